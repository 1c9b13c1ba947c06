/* See forwarder.h. */
#include "hub/forwarder.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/signals.h"
#include "core/alloc.h"
#include "hub/otlp_url.h"
#include "io/http_client.h"

enum {
    ATTEMPT_TIMEOUT_MS = 10000,
    PAUSE_FIRST_MS = 500,
    PAUSE_MAX_MS = 30000,
};

struct parcel {
    struct list node;
    struct buffer body;
    size_t spans;
};

struct forwarder {
    char *url;
    struct http_client *client;
    pthread_t thread;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct list waiting;
        size_t waiting_bytes; /* the one under way included */
        uint64_t stop_at_ns;  /* 0 = running */
        bool full;            /* said so in the log */
        struct forwarder_counters counters;
    } shared;
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

static void free_parcel(struct parcel *p)
{
    marline__buffer_deinit(&p->body);
    marline__memory_free(p);
}

/* ---- the thread ---- */

/* The oldest parcel, which stays counted; NULL when it is time to end. */
static struct parcel *next_parcel(struct forwarder *f)
{
    struct list *node = NULL;
    (void)pthread_mutex_lock(&f->shared.lock);
    while (marline__list_is_empty(&f->shared.waiting) && !f->shared.stop_at_ns) {
        (void)pthread_cond_wait(&f->shared.changed, &f->shared.lock);
    }
    if (!f->shared.stop_at_ns || now_ns() < f->shared.stop_at_ns) {
        node = marline__list_pop_front(&f->shared.waiting);
    }
    (void)pthread_mutex_unlock(&f->shared.lock);
    return node ? LIST_ENTRY(node, struct parcel, node) : NULL;
}

static void count(struct forwarder *f, const struct parcel *p, bool accepted)
{
    (void)pthread_mutex_lock(&f->shared.lock);
    f->shared.waiting_bytes -= p->body.size;
    f->shared.counters.waiting -= p->spans;
    *(accepted ? &f->shared.counters.spans : &f->shared.counters.dropped) += p->spans;
    f->shared.full = f->shared.full && !accepted;
    (void)pthread_mutex_unlock(&f->shared.lock);
}

/* False when the backend stops before the pause is over, or has no time left for another try. */
static bool pause_for(struct forwarder *f, uint64_t ms)
{
    uint64_t until = now_ns() + ms * NS_PER_MS;
    struct timespec at = {(time_t)(until / NS_PER_S), (long)(until % NS_PER_S)};
    int waited = 0;
    (void)pthread_mutex_lock(&f->shared.lock);
    while (!f->shared.stop_at_ns && waited == 0) {
        waited = pthread_cond_timedwait(&f->shared.changed, &f->shared.lock, &at);
    }
    bool go_on = !f->shared.stop_at_ns;
    (void)pthread_mutex_unlock(&f->shared.lock);
    return go_on;
}

/* The request under way when the backend stops has what is left of the stop's time, not its own. */
static bool must_end(void *user)
{
    struct forwarder *f = user;
    (void)pthread_mutex_lock(&f->shared.lock);
    uint64_t stop = f->shared.stop_at_ns;
    (void)pthread_mutex_unlock(&f->shared.lock);
    return stop && now_ns() >= stop;
}

enum attempt { ATTEMPT_ACCEPTED, ATTEMPT_REFUSED, ATTEMPT_UNAVAILABLE };

static enum attempt attempt(struct forwarder *f, const struct parcel *p, char reason[256])
{
    static const char *const headers[] = {"Content-Type: application/x-protobuf"};
    struct http_response response = HTTP_RESPONSE_INIT;
    marline_error error = {MARLINE_OK, ""};
    struct http_request request = {.url = f->url,
                                   .headers = headers,
                                   .header_count = 1,
                                   .body = marline__buffer_slice(&p->body),
                                   .timeout_ms = ATTEMPT_TIMEOUT_MS,
                                   .is_canceled = must_end,
                                   .user = f};
    marline_status status = marline__http_client_perform(f->client, &request, &response, &error);
    int code = response.status;
    marline__http_response_deinit(&response);
    if (status != MARLINE_OK) {
        (void)snprintf(reason, 256, "%s", error.text);
        bool passing = status == MARLINE_EIO || status == MARLINE_ETIMEDOUT;
        return passing ? ATTEMPT_UNAVAILABLE : ATTEMPT_REFUSED;
    }
    (void)snprintf(reason, 256, "the receiver answers %d", code);
    if (code >= 200 && code < 300) {
        return ATTEMPT_ACCEPTED;
    }
    return code == 429 || (code >= 502 && code <= 504) ? ATTEMPT_UNAVAILABLE : ATTEMPT_REFUSED;
}

static void deliver(struct forwarder *f, const struct parcel *p)
{
    char reason[256] = "";
    uint64_t pause_ms = PAUSE_FIRST_MS;
    enum attempt outcome = attempt(f, p, reason);
    while (outcome == ATTEMPT_UNAVAILABLE && pause_for(f, pause_ms)) {
        if (pause_ms == PAUSE_FIRST_MS) {
            marline__log(LOG_WARN, "forwarding to %s waits: %s", f->url, reason);
        }
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
        outcome = attempt(f, p, reason);
    }
    count(f, p, outcome == ATTEMPT_ACCEPTED);
    if (outcome != ATTEMPT_ACCEPTED) {
        marline__log(LOG_WARN, "%zu spans not forwarded to %s: %s", p->spans, f->url, reason);
    } else if (pause_ms > PAUSE_FIRST_MS) {
        marline__log(LOG_INFO, "forwarding to %s goes on", f->url);
    }
}

static void *run(void *user)
{
    struct forwarder *f = user;
    struct parcel *p = NULL;
    while ((p = next_parcel(f)) != NULL) {
        deliver(f, p);
        free_parcel(p);
    }
    return NULL;
}

/* ---- life ---- */

static void free_forwarder(struct forwarder *f)
{
    struct list *node = NULL;
    while ((node = marline__list_pop_front(&f->shared.waiting)) != NULL) {
        free_parcel(LIST_ENTRY(node, struct parcel, node));
    }
    marline__http_client_destroy(f->client);
    (void)pthread_cond_destroy(&f->shared.changed);
    (void)pthread_mutex_destroy(&f->shared.lock);
    marline__memory_free(f->url);
    marline__memory_free(f);
}

struct forwarder *forwarder_start(const char *url, char error[256])
{
    char *whole = otlp_traces_url(url, error);
    if (!whole) {
        return NULL;
    }
    struct forwarder *f = alloc_zeroed(sizeof(*f));
    pthread_condattr_t attributes;
    f->url = whole;
    f->client = marline__http_client_create(NULL);
    marline__list_init(&f->shared.waiting);
    (void)pthread_mutex_init(&f->shared.lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&f->shared.changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (!f->client || marline__thread_start(&f->thread, run, f) != 0) {
        (void)snprintf(error, 256, "no thread for forwarding");
        free_forwarder(f);
        return NULL;
    }
    return f;
}

void forwarder_stop(struct forwarder *f)
{
    if (!f) {
        return;
    }
    (void)pthread_mutex_lock(&f->shared.lock);
    f->shared.stop_at_ns = now_ns() + FORWARD_STOP_MS * NS_PER_MS;
    (void)pthread_cond_signal(&f->shared.changed);
    (void)pthread_mutex_unlock(&f->shared.lock);
    (void)pthread_join(f->thread, NULL);
    if (f->shared.counters.waiting) {
        marline__log(LOG_WARN, "%" PRIu64 " spans not forwarded to %s: the backend stops",
                     f->shared.counters.waiting, f->url);
    }
    free_forwarder(f);
}

void forwarder_send(struct forwarder *f, struct buffer *request, size_t spans)
{
    if (!f) {
        marline__buffer_deinit(request);
        return;
    }
    struct parcel *p = alloc_zeroed(sizeof(*p));
    p->body = *request;
    p->spans = spans;
    *request = BUFFER_INIT;
    (void)pthread_mutex_lock(&f->shared.lock);
    bool fits = f->shared.waiting_bytes + p->body.size <= FORWARD_WAITING_MAX;
    bool says_so = !fits && !f->shared.full;
    if (fits) {
        f->shared.waiting_bytes += p->body.size;
        f->shared.counters.waiting += spans;
        marline__list_push_back(&f->shared.waiting, &p->node);
        (void)pthread_cond_signal(&f->shared.changed);
    } else {
        f->shared.counters.dropped += spans;
        f->shared.full = true;
    }
    (void)pthread_mutex_unlock(&f->shared.lock);
    if (says_so) {
        marline__log(LOG_WARN, "forwarding to %s is behind: spans are dropped", f->url);
    }
    if (!fits) {
        free_parcel(p);
    }
}

struct forwarder_counters forwarder_counters(struct forwarder *f)
{
    struct forwarder_counters counters = {0};
    if (f) {
        (void)pthread_mutex_lock(&f->shared.lock);
        counters = f->shared.counters;
        (void)pthread_mutex_unlock(&f->shared.lock);
    }
    return counters;
}
