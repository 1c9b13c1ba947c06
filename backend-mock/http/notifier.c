/* See notifier.h. */
#include "http/notifier.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/signals.h"
#include "core/alloc.h"
#include "http/run_summary.h"
#include "http/self_trace.h"
#include "io/http_client.h"
#include "io/url.h"
#include "wire/json_writer.h"

enum { PAUSE_FIRST_MS = 1000, REASON_SIZE = 256 };

/* A run to be told of, and what became of it. */
struct notice {
    struct list node;
    struct notifier *notifier;
    struct uuid organization_id;
    struct uuid run_id;
    char *url; /* owned */
    struct buffer body;
    unsigned attempts;
    int status; /* of the last answer; 0 = none */
    char reason[REASON_SIZE];
    struct buffer outcome; /* JSON, while it is stored */
    struct commit commit;
};

struct notifier {
    struct store *store;
    struct commit_queue *queue;
    struct http_client *client;
    marline_tracer *tracer;
    pthread_t thread;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct list waiting;
        size_t count;
        size_t storing; /* commits under way */
        bool stopping;
    } shared;
};

static void free_notice(struct notice *n)
{
    marline__memory_free(n->url);
    marline__buffer_deinit(&n->body);
    marline__buffer_deinit(&n->outcome);
    marline__memory_free(n);
}

const char *notifier_refuse_url(const char *url)
{
    struct url parsed;
    const char *reason = NULL;
    if (strlen(url) > NOTICE_URL_MAX) {
        return "is too long";
    }
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        return "must be an http:// or https:// URL";
    }
    return marline__url_parse(marline__slice_text(url), &parsed, &reason)
               ? NULL
               : "must be an http:// or https:// URL with a host";
}

/* ---- the thread ---- */

static struct notice *next_notice(struct notifier *n)
{
    (void)pthread_mutex_lock(&n->shared.lock);
    while (marline__list_is_empty(&n->shared.waiting) && !n->shared.stopping) {
        (void)pthread_cond_wait(&n->shared.changed, &n->shared.lock);
    }
    struct list *node = n->shared.stopping ? NULL : marline__list_pop_front(&n->shared.waiting);
    n->shared.count -= node != NULL;
    (void)pthread_mutex_unlock(&n->shared.lock);
    return node ? LIST_ENTRY(node, struct notice, node) : NULL;
}

static bool is_stopping(void *user)
{
    struct notifier *n = user;
    (void)pthread_mutex_lock(&n->shared.lock);
    bool stopping = n->shared.stopping;
    (void)pthread_mutex_unlock(&n->shared.lock);
    return stopping;
}

/* False when the backend stops. */
static bool pause_for(struct notifier *n, uint64_t ms)
{
    uint64_t until = marline__clock_monotonic_ns(marline__clock_system()) + ms * NS_PER_MS;
    struct timespec at = {(time_t)(until / NS_PER_S), (long)(until % NS_PER_S)};
    int waited = 0;
    (void)pthread_mutex_lock(&n->shared.lock);
    while (!n->shared.stopping && waited == 0) {
        waited = pthread_cond_timedwait(&n->shared.changed, &n->shared.lock, &at);
    }
    bool go_on = !n->shared.stopping;
    (void)pthread_mutex_unlock(&n->shared.lock);
    return go_on;
}

/* True when another attempt may succeed. */
static bool attempt(struct notifier *n, struct notice *notice)
{
    static const char *const headers[] = {"Content-Type: application/json"};
    struct http_response response = HTTP_RESPONSE_INIT;
    marline_error error = {MARLINE_OK, ""};
    struct http_request request = {.url = notice->url,
                                   .headers = headers,
                                   .header_count = 1,
                                   .body = marline__buffer_slice(&notice->body),
                                   .timeout_ms = NOTICE_TIMEOUT_MS,
                                   .is_canceled = is_stopping,
                                   .user = n};
    marline_status status = marline__http_client_perform(n->client, &request, &response, &error);
    notice->attempts++;
    notice->status = status == MARLINE_OK ? response.status : 0;
    (void)snprintf(notice->reason, sizeof(notice->reason), "%s", error.text);
    marline__http_response_deinit(&response);
    if (status != MARLINE_OK) {
        return status == MARLINE_EIO || status == MARLINE_ETIMEDOUT;
    }
    bool accepted = notice->status >= 200 && notice->status < 300;
    if (!accepted) {
        (void)snprintf(notice->reason, sizeof(notice->reason), "the receiver answers %d",
                       notice->status);
    }
    return notice->status == 429 || notice->status >= 500;
}

static void write_outcome(struct notice *notice)
{
    struct json_writer w;
    bool delivered = notice->status >= 200 && notice->status < 300;
    marline__json_writer_init(&w, &notice->outcome);
    marline__json_begin_object(&w);
    marline__json_member_bool(&w, "delivered", delivered);
    marline__json_member_int(&w, "attempts", notice->attempts);
    if (notice->status) {
        marline__json_member_int(&w, "status", notice->status);
    } else {
        marline__json_member_null(&w, "status");
    }
    marline__json_member_text(&w, "error", delivered ? NULL : notice->reason);
    marline__json_end_object(&w);
    alloc_check_buffer(&notice->outcome);
}

/* On the commit queue's thread. */
static void outcome_stored(struct commit *commit, void *user)
{
    struct notice *notice = user;
    struct notifier *n = notice->notifier;
    if (commit->write.outcome.status != STORE_OK) {
        marline__log(LOG_WARN, "what became of a webhook is not stored: %s",
                     commit->write.outcome.text);
    }
    free_notice(notice);
    (void)pthread_mutex_lock(&n->shared.lock);
    n->shared.storing--;
    (void)pthread_cond_broadcast(&n->shared.changed);
    (void)pthread_mutex_unlock(&n->shared.lock);
}

static void store_outcome(struct notifier *n, struct notice *notice)
{
    struct store_write *write = &notice->commit.write;
    write_outcome(notice);
    write->type = STORE_SET_RUN_NOTICE;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->set_run_notice.organization_id = notice->organization_id;
    write->set_run_notice.run_id = notice->run_id;
    write->set_run_notice.notice = marline__buffer_slice(&notice->outcome);
    notice->commit.done = outcome_stored;
    notice->commit.user = notice;
    (void)pthread_mutex_lock(&n->shared.lock);
    n->shared.storing++;
    (void)pthread_mutex_unlock(&n->shared.lock);
    if (!commit_queue_submit(n->queue, &notice->commit)) {
        notice->commit.write.outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        outcome_stored(&notice->commit, notice);
    }
}

/* False when there is nobody to be told. */
static bool prepare(struct notifier *n, struct notice *notice)
{
    struct store_error error;
    struct run_summary summary;
    const struct store_scope scope = {.organization_id = notice->organization_id};
    if (run_summary_read(n->store, &scope, &notice->run_id, &summary, &error) != STORE_OK) {
        marline__log(LOG_WARN, "a webhook is not told of the end of a run: %s", error.text);
        return false;
    }
    notice->url = summary.webhook ? alloc_slice(marline__slice_text(summary.webhook)) : NULL;
    struct json_writer w;
    marline__json_writer_init(&w, &notice->body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "event", "run.finished");
    run_summary_write(&w, &summary);
    marline__json_end_object(&w);
    alloc_check_buffer(&notice->body);
    run_summary_deinit(&summary);
    return notice->url != NULL;
}

/* Without its path, which is a secret with many receivers. */
static void log_not_told(const struct notice *notice)
{
    struct url url;
    const char *reason = NULL;
    bool parsed = marline__url_parse(marline__slice_text(notice->url), &url, &reason);
    marline__log(LOG_WARN, "the webhook at %s is not told of the end of a run: %s",
                 parsed ? url.host : "an unknown host", notice->reason);
}

static void tell(struct notifier *n, struct notice *notice)
{
    if (!prepare(n, notice)) {
        free_notice(notice);
        return;
    }
    marline_span span = self_trace_start_notice(n->tracer, &notice->run_id);
    uint64_t pause_ms = PAUSE_FIRST_MS;
    bool again = attempt(n, notice);
    while (again && notice->attempts < NOTICE_ATTEMPTS_MAX && pause_for(n, pause_ms)) {
        pause_ms *= 2;
        again = attempt(n, notice);
    }
    bool delivered = notice->status >= 200 && notice->status <= 299;
    if (!delivered) {
        log_not_told(notice);
    }
    self_trace_end_notice(&span, notice->attempts, notice->status,
                          delivered ? NULL : notice->reason);
    store_outcome(n, notice);
}

static void *run(void *user)
{
    struct notifier *n = user;
    struct notice *notice = NULL;
    while ((notice = next_notice(n)) != NULL) {
        tell(n, notice);
    }
    return NULL;
}

/* ---- life ---- */

static void free_notifier(struct notifier *n)
{
    for (struct list *node; (node = marline__list_pop_front(&n->shared.waiting));) {
        free_notice(LIST_ENTRY(node, struct notice, node));
    }
    marline__http_client_destroy(n->client);
    (void)pthread_cond_destroy(&n->shared.changed);
    (void)pthread_mutex_destroy(&n->shared.lock);
    marline__memory_free(n);
}

struct notifier *notifier_start(struct store *store, struct commit_queue *queue,
                                marline_tracer *tracer)
{
    struct notifier *n = alloc_zeroed(sizeof(*n));
    pthread_condattr_t attributes;
    n->store = store;
    n->queue = queue;
    n->tracer = tracer;
    n->client = marline__http_client_create(NULL);
    marline__list_init(&n->shared.waiting);
    (void)pthread_mutex_init(&n->shared.lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&n->shared.changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    if (!n->client || marline__thread_start(&n->thread, run, n) != 0) {
        free_notifier(n);
        return NULL;
    }
    return n;
}

void notifier_stop(struct notifier *n)
{
    if (!n) {
        return;
    }
    (void)pthread_mutex_lock(&n->shared.lock);
    n->shared.stopping = true;
    (void)pthread_cond_broadcast(&n->shared.changed);
    (void)pthread_mutex_unlock(&n->shared.lock);
    (void)pthread_join(n->thread, NULL);
    (void)pthread_mutex_lock(&n->shared.lock);
    while (n->shared.storing > 0) {
        (void)pthread_cond_wait(&n->shared.changed, &n->shared.lock);
    }
    (void)pthread_mutex_unlock(&n->shared.lock);
    free_notifier(n);
}

void notifier_tell(struct notifier *n, const struct uuid *organization_id,
                   const struct uuid *run_id)
{
    if (!n) {
        return;
    }
    struct notice *notice = alloc_zeroed(sizeof(*notice));
    notice->notifier = n;
    notice->organization_id = *organization_id;
    notice->run_id = *run_id;
    (void)pthread_mutex_lock(&n->shared.lock);
    bool fits = n->shared.count < NOTICE_WAITING_MAX && !n->shared.stopping;
    if (fits) {
        n->shared.count++;
        marline__list_push_back(&n->shared.waiting, &notice->node);
        (void)pthread_cond_signal(&n->shared.changed);
    }
    (void)pthread_mutex_unlock(&n->shared.lock);
    if (!fits) {
        marline__log(LOG_WARN, "a webhook is not told of the end of a run: too many wait");
        free_notice(notice);
    }
}
