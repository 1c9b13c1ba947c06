/* See notifier.h. */
#include "hub/notifier.h"

#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/signals.h"
#include "core/alloc.h"
#include "hub/run_summary.h"
#include "hub/self_trace.h"
#include "hub/webhook_url.h"
#include "io/http_client.h"
#include "wire/json_writer.h"

enum {
    PAUSE_FIRST_MS = 1000,
    STORE_PAUSE_MS = 10 * 1000, /* the store fails: before it is asked again */
    REASON_SIZE = 256,
};

/* A run to be told of, and what became of it. */
struct notice {
    struct list node; /* in waiting or busy */
    struct notifier *notifier;
    struct uuid organization_id;
    struct uuid run_id;
    char *url; /* owned */
    struct webhook_receiver receiver;
    bool is_storing;
    uint64_t due_ns;
    struct buffer body; /* empty before the first attempt */
    marline_span span;  /* over all attempts */
    unsigned attempts;
    int status; /* of the last answer; 0 = none */
    char reason[REASON_SIZE];
    struct buffer outcome; /* JSON, while it is stored */
    struct commit commit;
};

struct notifier {
    struct store *store;
    struct commit_queue *queue;
    marline_tracer *tracer;
    struct slice backend;
    pthread_t threads[NOTICE_THREADS];
    size_t running;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct list waiting;
        struct list busy; /* under way or storing */
        size_t count;     /* of both */
        size_t storing;   /* commits under way */
        uint64_t read_ns; /* when the store is to be read; TIME_NEVER: all it has is here */
        bool stopping;
    } shared;
};

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

static bool is_delivered(const struct notice *notice)
{
    return notice->status >= 200 && notice->status <= 299;
}

static void free_notice(struct notice *n)
{
    marline__memory_free(n->url);
    marline__buffer_deinit(&n->body);
    marline__buffer_deinit(&n->outcome);
    marline__memory_free(n);
}

/* ---- who is told next; the lock is held ---- */

static bool is_known_in(const struct list *list, const struct uuid *run_id)
{
    LIST_EACH(list, node)
    {
        if (marline__uuid_equal(&LIST_ENTRY(node, struct notice, node)->run_id, run_id)) {
            return true;
        }
    }
    return false;
}

static bool is_receiver_free(const struct notifier *n, const struct webhook_receiver *receiver)
{
    LIST_EACH(&n->shared.busy, node)
    {
        const struct notice *other = LIST_ENTRY(node, struct notice, node);
        if (!other->is_storing && webhook_receiver_equal(&other->receiver, receiver)) {
            return false;
        }
    }
    return true;
}

/* The first that may go; NULL, and since when one may: none. */
static struct notice *find_due(struct notifier *n, uint64_t now, uint64_t *out_next_ns)
{
    *out_next_ns = TIME_NEVER;
    LIST_EACH(&n->shared.waiting, node)
    {
        struct notice *notice = LIST_ENTRY(node, struct notice, node);
        if (is_receiver_free(n, &notice->receiver)) {
            if (notice->due_ns <= now) {
                return notice;
            }
            *out_next_ns = notice->due_ns < *out_next_ns ? notice->due_ns : *out_next_ns;
        }
    }
    return NULL;
}

static void wait_until(struct notifier *n, uint64_t until_ns)
{
    if (until_ns == TIME_NEVER) {
        (void)pthread_cond_wait(&n->shared.changed, &n->shared.lock);
    } else {
        struct timespec at = {(time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S)};
        (void)pthread_cond_timedwait(&n->shared.changed, &n->shared.lock, &at);
    }
}

/* ---- reading the store ---- */

static void add_notice(struct notifier *n, const struct store_untold_run *run)
{
    struct notice *notice = alloc_zeroed(sizeof(*notice));
    notice->notifier = n;
    notice->organization_id = run->organization_id;
    notice->run_id = run->run_id;
    notice->url = alloc_slice(run->webhook);
    notice->receiver = webhook_url_receiver(notice->url);
    (void)pthread_mutex_lock(&n->shared.lock);
    bool fits = n->shared.count < NOTICE_WAITING_MAX && !n->shared.stopping;
    bool is_new = !is_known_in(&n->shared.waiting, &run->run_id) &&
                  !is_known_in(&n->shared.busy, &run->run_id);
    if (fits && is_new) {
        n->shared.count++;
        marline__list_push_back(&n->shared.waiting, &notice->node);
        (void)pthread_cond_broadcast(&n->shared.changed);
    } else if (is_new) {
        n->shared.read_ns = 0;
    }
    (void)pthread_mutex_unlock(&n->shared.lock);
    if (!fits || !is_new) {
        free_notice(notice);
    }
}

static void read_later(struct notifier *n, uint64_t at_ns)
{
    (void)pthread_mutex_lock(&n->shared.lock);
    n->shared.read_ns = at_ns < n->shared.read_ns ? at_ns : n->shared.read_ns;
    (void)pthread_cond_broadcast(&n->shared.changed);
    (void)pthread_mutex_unlock(&n->shared.lock);
}

static void add_untold(void *user, const struct store_untold_run *run)
{
    add_notice(user, run);
}

static void read_store(struct notifier *n)
{
    struct store_error error;
    /* One more than fits: then the rest is read when these are told. */
    if (store_untold_runs(n->store, n->backend, NOTICE_WAITING_MAX + 1, add_untold, n, &error) !=
        STORE_OK) {
        marline__log(LOG_WARN, "webhooks to be told cannot be read: %s", error.text);
        read_later(n, now_ns() + STORE_PAUSE_MS * NS_PER_MS);
    }
}

/* Half empty: so that it is not read again for each that is told. The lock is held. */
static bool has_room(const struct notifier *n)
{
    return n->shared.count <= NOTICE_WAITING_MAX / 2;
}

/* True when the store is to be read, by the caller. The lock is held. */
static bool take_reading(struct notifier *n, uint64_t now)
{
    bool due = n->shared.read_ns <= now && has_room(n);
    n->shared.read_ns = due ? TIME_NEVER : n->shared.read_ns;
    return due;
}

/* NULL when the backend stops. */
static struct notice *next_notice(struct notifier *n)
{
    struct notice *notice = NULL;
    (void)pthread_mutex_lock(&n->shared.lock);
    while (!n->shared.stopping) {
        uint64_t now = now_ns();
        uint64_t next_ns;
        if (take_reading(n, now)) {
            (void)pthread_mutex_unlock(&n->shared.lock);
            read_store(n);
            (void)pthread_mutex_lock(&n->shared.lock);
            continue;
        }
        notice = find_due(n, now, &next_ns);
        if (notice) {
            marline__list_remove(&notice->node);
            marline__list_push_back(&n->shared.busy, &notice->node);
            break;
        }
        bool reads = has_room(n) && n->shared.read_ns < next_ns;
        wait_until(n, reads ? n->shared.read_ns : next_ns);
    }
    (void)pthread_mutex_unlock(&n->shared.lock);
    return notice;
}

/* ---- the end of a notice ---- */

/* It is under way, or stored. */
static void forget(struct notifier *n, struct notice *notice)
{
    (void)pthread_mutex_lock(&n->shared.lock);
    marline__list_remove(&notice->node);
    n->shared.count--;
    n->shared.storing -= notice->is_storing;
    (void)pthread_cond_broadcast(&n->shared.changed);
    (void)pthread_mutex_unlock(&n->shared.lock);
    free_notice(notice);
}

static void put_back(struct notifier *n, struct notice *notice)
{
    uint64_t pause_ms = (uint64_t)PAUSE_FIRST_MS << notice->attempts >> 1;
    notice->due_ns = now_ns() + pause_ms * NS_PER_MS;
    (void)pthread_mutex_lock(&n->shared.lock);
    marline__list_remove(&notice->node);
    marline__list_push_back(&n->shared.waiting, &notice->node);
    (void)pthread_cond_broadcast(&n->shared.changed);
    (void)pthread_mutex_unlock(&n->shared.lock);
}

static void write_outcome(struct notice *notice)
{
    struct json_writer w;
    marline__json_writer_init(&w, &notice->outcome);
    marline__json_begin_object(&w);
    marline__json_member_bool(&w, "delivered", is_delivered(notice));
    marline__json_member_int(&w, "attempts", notice->attempts);
    if (notice->status) {
        marline__json_member_int(&w, "status", notice->status);
    } else {
        marline__json_member_null(&w, "status");
    }
    marline__json_member_text(&w, "error", is_delivered(notice) ? NULL : notice->reason);
    marline__json_end_object(&w);
    alloc_check_buffer(&notice->outcome);
}

/* On the commit queue's thread. */
static void outcome_stored(struct commit *commit, void *user)
{
    struct notice *notice = user;
    if (commit->write.outcome.status != STORE_OK) {
        marline__log(LOG_WARN,
                     "what became of a webhook is not stored, it is told again at the next "
                     "start: %s",
                     commit->write.outcome.text);
    }
    forget(notice->notifier, notice);
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
    notice->is_storing = true;
    n->shared.storing++;
    (void)pthread_cond_broadcast(&n->shared.changed); /* its receiver is free */
    (void)pthread_mutex_unlock(&n->shared.lock);
    if (!commit_queue_submit(n->queue, &notice->commit)) {
        notice->commit.write.outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        outcome_stored(&notice->commit, notice);
    }
}

/* ---- telling ---- */

static bool is_stopping(void *user)
{
    struct notifier *n = user;
    (void)pthread_mutex_lock(&n->shared.lock);
    bool stopping = n->shared.stopping;
    (void)pthread_mutex_unlock(&n->shared.lock);
    return stopping;
}

/* False when the run cannot be read. */
static bool write_body(struct notifier *n, struct notice *notice)
{
    struct store_error error;
    struct run_summary summary;
    const struct store_scope scope = {.organization_id = notice->organization_id};
    if (run_summary_read(n->store, &scope, &notice->run_id, &summary, &error) != STORE_OK) {
        marline__log(LOG_WARN, "a webhook is not told of the end of a run yet: %s", error.text);
        return false;
    }
    struct json_writer w;
    marline__json_writer_init(&w, &notice->body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "event", "run.finished");
    run_summary_write(&w, &summary);
    marline__json_end_object(&w);
    alloc_check_buffer(&notice->body);
    run_summary_deinit(&summary);
    return true;
}

enum attempt_outcome { ATTEMPT_FINAL, ATTEMPT_AGAIN, ATTEMPT_CUT };

/* On a connection of its own: the next attempt may be another thread's, and this one's would keep
 * a receiver busy that serves one at a time. */
static marline_status send_notice(struct notice *notice)
{
    struct http_client *client = marline__http_client_create(NULL);
    char id[UUID_TEXT_SIZE];
    char key[64];
    const char *const headers[] = {"Content-Type: application/json", key};
    struct http_response response = HTTP_RESPONSE_INIT;
    marline_error error = {MARLINE_OK, ""};
    marline__uuid_format(&notice->run_id, id);
    (void)snprintf(key, sizeof(key), "Idempotency-Key: %s", id);
    const struct http_request request = {.url = notice->url,
                                         .headers = headers,
                                         .header_count = 2,
                                         .body = marline__buffer_slice(&notice->body),
                                         .timeout_ms = NOTICE_TIMEOUT_MS,
                                         .is_canceled = is_stopping,
                                         .user = notice->notifier};
    marline_status status =
        client ? marline__http_client_perform(client, &request, &response, &error) : MARLINE_EIO;
    marline__http_client_destroy(client);
    notice->status = status == MARLINE_OK ? response.status : 0;
    (void)snprintf(notice->reason, sizeof(notice->reason), "%s", error.text);
    marline__http_response_deinit(&response);
    return status;
}

static enum attempt_outcome attempt(struct notice *notice)
{
    marline_status status = send_notice(notice);
    if (status == MARLINE_ECANCELED) {
        return ATTEMPT_CUT;
    }
    notice->attempts++;
    if (status == MARLINE_OK && !is_delivered(notice)) {
        (void)snprintf(notice->reason, sizeof(notice->reason), "the receiver answers %d",
                       notice->status);
    }
    bool is_down = status == MARLINE_EIO || status == MARLINE_ETIMEDOUT || notice->status == 429 ||
                   notice->status >= 500;
    return is_down && notice->attempts < NOTICE_ATTEMPTS_MAX ? ATTEMPT_AGAIN : ATTEMPT_FINAL;
}

static void finish(struct notifier *n, struct notice *notice)
{
    const char *failure = is_delivered(notice) ? NULL : notice->reason;
    if (failure) {
        marline__log(LOG_WARN, "the webhook at %s is not told of the end of a run: %s",
                     notice->receiver.host, failure);
    }
    self_trace_end_notice(&notice->span, notice->attempts, notice->status, failure);
    store_outcome(n, notice);
}

static void tell(struct notifier *n, struct notice *notice)
{
    if (notice->body.size == 0) {
        if (!write_body(n, notice)) {
            forget(n, notice);
            read_later(n, now_ns() + STORE_PAUSE_MS * NS_PER_MS);
            return;
        }
        notice->span = self_trace_start_notice(n->tracer, &notice->run_id);
    }
    switch (attempt(notice)) {
    case ATTEMPT_FINAL:
        finish(n, notice);
        break;
    case ATTEMPT_AGAIN:
    case ATTEMPT_CUT: /* of which stop disposes */
        put_back(n, notice);
        break;
    }
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

struct notifier *notifier_start(struct store *store, struct commit_queue *queue,
                                marline_tracer *tracer, const char *name)
{
    struct notifier *n = alloc_zeroed(sizeof(*n));
    pthread_condattr_t attributes;
    n->store = store;
    n->queue = queue;
    n->tracer = tracer;
    n->backend = marline__slice_text(name);
    n->shared.read_ns = TIME_NEVER;
    marline__list_init(&n->shared.waiting);
    marline__list_init(&n->shared.busy);
    (void)pthread_mutex_init(&n->shared.lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&n->shared.changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    for (; n->running < NOTICE_THREADS; n->running++) {
        if (marline__thread_start(&n->threads[n->running], run, n) != 0) {
            notifier_stop(n);
            return NULL;
        }
    }
    return n;
}

/* What was begun has a span to be ended. */
static void drop_waiting(struct notifier *n)
{
    for (struct list *node; (node = marline__list_pop_front(&n->shared.waiting));) {
        struct notice *notice = LIST_ENTRY(node, struct notice, node);
        if (notice->body.size) {
            self_trace_end_notice(&notice->span, notice->attempts, notice->status,
                                  "the backend stops; it is told at the next start");
        }
        free_notice(notice);
    }
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
    for (size_t i = 0; i < n->running; i++) {
        (void)pthread_join(n->threads[i], NULL);
    }
    (void)pthread_mutex_lock(&n->shared.lock);
    while (n->shared.storing > 0) {
        (void)pthread_cond_wait(&n->shared.changed, &n->shared.lock);
    }
    (void)pthread_mutex_unlock(&n->shared.lock);
    drop_waiting(n);
    (void)pthread_cond_destroy(&n->shared.changed);
    (void)pthread_mutex_destroy(&n->shared.lock);
    marline__memory_free(n);
}

void notifier_tell(struct notifier *n, const struct store_untold_run *run)
{
    if (n) {
        add_notice(n, run);
    }
}

void notifier_take_up(struct notifier *n)
{
    if (n) {
        read_later(n, 0);
    }
}
