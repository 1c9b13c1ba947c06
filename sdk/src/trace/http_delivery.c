/* Attempts, waits and cancellation around the HTTP client; see http_delivery.h. */
#include "trace/http_delivery.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

bool marline__delivery_init(struct http_delivery *d, const struct http_client_options *options)
{
    d->response = HTTP_RESPONSE_INIT;
    d->canceled = false;
    d->client = marline__http_client_create(options);
    if (d->client && !marline__monitor_init(&d->monitor)) {
        marline__http_client_destroy(d->client);
        d->client = NULL;
    }
    return d->client != NULL;
}

void marline__delivery_deinit(struct http_delivery *d)
{
    marline__http_client_destroy(d->client);
    marline__http_response_deinit(&d->response);
    marline__monitor_deinit(&d->monitor);
}

/* Waits; false when canceled. */
static bool pause_for(struct http_delivery *d, uint64_t wait_ns)
{
    uint64_t end_ns = now_ns() + wait_ns;
    marline__monitor_lock(&d->monitor);
    while (!d->canceled && marline__monitor_wait(&d->monitor, end_ns)) {
    }
    bool canceled = d->canceled;
    marline__monitor_unlock(&d->monitor);
    return !canceled;
}

static struct retry_outcome attempt(struct http_delivery *d, struct http_request *request,
                                    uint64_t timeout_ns, char reason[MARLINE_ERROR_TEXT_SIZE])
{
    marline_error error = {0};
    request->timeout_ms = timeout_ns == TIME_NEVER ? 0 : (timeout_ns + NS_PER_MS - 1) / NS_PER_MS;
    struct retry_outcome outcome = {
        .transport = marline__http_client_perform(d->client, request, &d->response, &error)};
    if (outcome.transport != MARLINE_OK) {
        (void)snprintf(reason, MARLINE_ERROR_TEXT_SIZE, "%s", error.text);
        return outcome;
    }
    outcome.http_status = d->response.status;
    outcome.has_retry_after = marline__retry_after_parse(
        marline__slice_text(d->response.retry_after),
        marline__clock_wall_ns(marline__clock_system()), &outcome.retry_after_ns);
    (void)snprintf(reason, MARLINE_ERROR_TEXT_SIZE, "%.100s answered HTTP %d", request->url,
                   d->response.status);
    return outcome;
}

enum retry_verdict marline__delivery_post(struct http_delivery *d, struct http_request *request,
                                          const struct retry_policy *policy, uint64_t deadline_ns,
                                          char reason[MARLINE_ERROR_TEXT_SIZE])
{
    struct retry retry;
    marline__retry_begin(&retry, policy, now_ns(), deadline_ns);
    for (;;) {
        uint64_t now = now_ns();
        uint64_t left_ns =
            retry.deadline_ns == TIME_NEVER ? TIME_NEVER : marline__retry_left_ns(&retry, now);
        if (left_ns == 0) {
            return RETRY_GIVE_UP;
        }
        struct retry_outcome outcome = attempt(d, request, left_ns, reason);
        uint64_t wait_ns = 0;
        enum retry_verdict verdict = marline__retry_judge(
            &retry, &outcome, now_ns(), marline__random_u64(marline__random_system()), &wait_ns);
        if (verdict != RETRY_AGAIN) {
            return verdict;
        }
        if (!pause_for(d, wait_ns)) {
            return RETRY_GIVE_UP;
        }
    }
}

void marline__delivery_begin(struct http_delivery *d)
{
    marline__monitor_lock(&d->monitor);
    if (d->canceled) {
        d->canceled = false;
        marline__http_client_resume(d->client);
    }
    marline__monitor_unlock(&d->monitor);
}

void marline__delivery_cancel(struct http_delivery *d)
{
    marline__monitor_lock(&d->monitor);
    d->canceled = true;
    marline__http_client_cancel(d->client);
    marline__monitor_notify(&d->monitor);
    marline__monitor_unlock(&d->monitor);
}

/* What the parent's thread was building is lost to the child on purpose. */
void marline__delivery_after_fork(struct http_delivery *d)
{
    d->response = HTTP_RESPONSE_INIT;
    (void)marline__monitor_init(&d->monitor);
    marline__http_client_after_fork(d->client);
}
