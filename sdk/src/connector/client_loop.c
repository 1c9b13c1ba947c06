/* The loop thread: it owns the session and the socket, and turns what the session wants into calls.
 * Workers run handlers, and hand them back through the mailbox. */
#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "connector/client_private.h"

static uint64_t random_bits(void)
{
    return marline__random_u64(marline__random_system());
}

static void emit(marline_client *client, const marline_client_event *event)
{
    if (client->on_event) {
        client->on_event(client->user, event);
    }
}

/* ---- workers ---- */

static void emit_invocation(struct invocation *i, marline_client_event_type type, const char *text)
{
    const marline_client_event event = {.type = type,
                                        .text = text,
                                        .invocation_id = i->id,
                                        .endpoint = i->endpoint->name,
                                        .test = i->has_test ? &i->test : NULL};
    emit(i->owner, &event);
}

/* Hands a finished invocation to the loop; when that has ended, to nobody. */
static void post_done(marline_client *client, struct invocation *i)
{
    pthread_mutex_lock(&client->shared.lock);
    bool closed = client->shared.closed;
    if (!closed) {
        bool first = marline__list_is_empty(&client->shared.done);
        marline__list_push_back(&client->shared.done, &i->done);
        if (first) {
            marline__websocket_wake(client->loop.ws); /* alive as long as the mailbox is open */
        }
    }
    pthread_mutex_unlock(&client->shared.lock);
    if (closed) {
        marline__invocation_destroy(i);
        marline__client_unref(client);
    }
}

/* Spans first: the result waits until they are posted, for a bounded time. */
static void flush_spans(marline_client *client, const struct invocation *i)
{
    marline_flush_mode mode = i->endpoint->flush ? i->endpoint->flush : client->flush;
    if (mode == MARLINE_FLUSH_PROMPT && atomic_load(&i->traced) &&
        marline_provider_force_flush(client->provider, client->flush_wait_ms) != MARLINE_OK) {
        marline__log(LOG_WARN,
                     "invocation %s: its spans were not posted within %u ms; its result "
                     "goes first",
                     i->id, client->flush_wait_ms);
    }
}

static void work(struct worker_job *job, bool canceled)
{
    struct invocation *i = LIST_ENTRY(&job->node, struct invocation, job.node);
    marline_client *client = i->owner;
    emit_invocation(i, MARLINE_CLIENT_EVENT_INVOCATION_START, NULL);
    if (canceled) {
        marline__invocation_skip(i);
    } else {
        marline__invocation_run(i, client->tracer);
        flush_spans(client, i);
    }
    emit_invocation(i, MARLINE_CLIENT_EVENT_INVOCATION_END, i->call.failed ? i->call.error : NULL);
    post_done(client, i);
}

/* ---- what the session asks; loop thread ---- */

static bool find_in(struct registry *registry, struct slice name, struct session_endpoint *out)
{
    struct endpoint *endpoint = marline__registry_find(registry, name);
    if (!endpoint) {
        return false;
    }
    *out = (struct session_endpoint){endpoint->key, endpoint->timeout_ms, endpoint->concurrency};
    marline__endpoint_unref(endpoint);
    return true;
}

static bool find_endpoint(void *user, struct slice name, struct session_endpoint *out)
{
    marline_client *client = user;
    return find_in(&client->registry, name, out);
}

static bool find_metric(void *user, struct slice name, struct session_endpoint *out)
{
    marline_client *client = user;
    return find_in(&client->metrics, name, out);
}

static void write_registration(void *user, struct buffer *functions, struct buffer *metrics)
{
    marline_client *client = user;
    marline__registry_write(&client->registry, functions);
    marline__registry_write(&client->metrics, metrics);
}

static struct invocation *find_running(marline_client *client, struct slice id, bool is_metric)
{
    LIST_EACH(&client->loop.running, node)
    {
        struct invocation *i = LIST_ENTRY(node, struct invocation, running);
        if (i->request->is_metric == is_metric &&
            marline__slice_equal(id, i->request->test.invocation_id)) {
            return i;
        }
    }
    return NULL;
}

static void describe(void *user, const struct ledger_record *record, struct session_trace *out)
{
    const struct invocation *i = find_running(user, record->id, record->is_metric);
    if (i) {
        marline__invocation_describe(i, out);
    }
}

struct session_host marline__client_host(marline_client *client)
{
    struct session_host host = {.find_endpoint = find_endpoint,
                                .find_metric = find_metric,
                                .write_registration = write_registration,
                                .describe = describe,
                                .user = client};
    marline__client_add_journal(client, &host);
    return host;
}

/* ---- what the session wants done; loop thread ---- */

static marline_client_state public_state(enum session_state state)
{
    switch (state) {
    case SESSION_IDLE:
        return MARLINE_CLIENT_IDLE;
    case SESSION_WAITING:
    case SESSION_CONNECTING:
    case SESSION_CLOSING:
        return MARLINE_CLIENT_CONNECTING;
    case SESSION_OPEN:
    case SESSION_REGISTERING:
    case SESSION_REJECTED:
        return MARLINE_CLIENT_CONNECTED;
    case SESSION_REGISTERED:
        return MARLINE_CLIENT_REGISTERED;
    case SESSION_FAILED:
        return MARLINE_CLIENT_FAILED;
    case SESSION_STOPPED:
        break;
    }
    return MARLINE_CLIENT_STOPPED;
}

static void publish_state(marline_client *client, const struct session_action *action)
{
    marline_client_state state = public_state(action->state);
    pthread_mutex_lock(&client->shared.lock);
    client->shared.state = state;
    client->shared.status = action->status;
    /* "connecting again" says less than why that is necessary */
    if (action->status != MARLINE_OK || state != MARLINE_CLIENT_CONNECTING) {
        (void)snprintf(client->shared.text, sizeof client->shared.text, "%s", action->text);
    }
    pthread_cond_broadcast(&client->shared.changed);
    pthread_mutex_unlock(&client->shared.lock);
    if (action->text[0] != '\0') {
        marline__log(action->status == MARLINE_OK ? LOG_INFO : LOG_WARN, "testing channel: %s",
                     action->text);
    }
    const marline_client_event event = {.type = MARLINE_CLIENT_EVENT_STATE,
                                        .state = state,
                                        .status = action->status,
                                        .text = action->text};
    emit(client, &event);
}

/* The work cannot even begin: the session hears so at once. */
static void answer_unstarted(marline_client *client, const struct session_action *action,
                             const char *why)
{
    struct slice error = marline__slice_text(why);
    if (action->is_metric) {
        const struct message_metric_result result = {.metric_run_id = action->id, .error = error};
        marline__session_metric_finished(client->loop.session, marline__client_now(), &result);
    } else {
        const struct message_test_result result = {.invocation_id = action->id, .error = error};
        marline__session_finished(client->loop.session, marline__client_now(), &result);
    }
}

static void invoke(marline_client *client, const struct session_action *action)
{
    struct registry *registry = action->is_metric ? &client->metrics : &client->registry;
    struct endpoint *endpoint = marline__registry_find(registry, action->job->test.function_name);
    if (!endpoint) {
        marline__session_job_free(action->job);
        answer_unstarted(client, action, "the endpoint was removed meanwhile");
        return;
    }
    struct invocation *i = marline__invocation_create(action->job, endpoint);
    if (!i) {
        answer_unstarted(client, action, "the agent is out of memory");
        return;
    }
    i->owner = client;
    i->job.run = work;
    atomic_fetch_add(&client->references, 1);
    marline__list_push_back(&client->loop.running, &i->running);
    if (marline__worker_pool_submit(client->workers, &i->job) != MARLINE_OK) {
        marline__list_remove(&i->running);
        marline__invocation_destroy(i);
        marline__client_unref(client);
        answer_unstarted(client, action, "the agent could not start a thread for it");
    }
}

static void perform(marline_client *client, const struct session_action *action)
{
    struct invocation *i;
    switch (action->type) {
    case SESSION_CONNECT:
        marline__websocket_connect(client->loop.ws);
        break;
    case SESSION_CLOSE:
        marline__websocket_close(client->loop.ws, action->code, action->text);
        break;
    case SESSION_INVOKE:
        invoke(client, action);
        break;
    case SESSION_CANCEL:
        i = find_running(client, action->id, action->is_metric);
        if (i) {
            marline__invocation_cancel(i, action->text, action->late);
        }
        break;
    case SESSION_CHANGED:
        publish_state(client, action);
        break;
    }
}

static void report_result(marline_client *client, struct invocation *i)
{
    if (i->request->is_metric) {
        struct message_metric_result result;
        marline__invocation_metric_result(i, &result);
        marline__session_metric_finished(client->loop.session, marline__client_now(), &result);
    } else {
        struct session_trace trace;
        struct message_test_result result;
        marline__invocation_result(i, &trace, &result);
        marline__session_finished(client->loop.session, marline__client_now(), &result);
    }
}

static void settle_done(marline_client *client, struct list *done)
{
    struct list *node;
    while ((node = marline__list_pop_front(done)) != NULL) {
        struct invocation *i = LIST_ENTRY(node, struct invocation, done);
        report_result(client, i); /* which asks about it once more, as about one that runs */
        marline__list_remove(&i->running);
        marline__invocation_destroy(i);
        marline__client_unref(client);
    }
}

static void move_all(struct list *from, struct list *to)
{
    struct list *node;
    marline__list_init(to);
    while ((node = marline__list_pop_front(from)) != NULL) {
        marline__list_push_back(to, node);
    }
}

/* Takes what other threads asked for. */
static void read_mailbox(marline_client *client)
{
    struct list done;
    pthread_mutex_lock(&client->shared.lock);
    move_all(&client->shared.done, &done);
    bool asked = client->shared.retries_asked;
    client->shared.retries_asked = false;
    bool changed = client->shared.endpoints_changed;
    client->shared.endpoints_changed = false;
    bool stop = client->shared.stop;
    client->shared.stop = false;
    uint64_t within_ns = client->shared.stop_within_ns;
    pthread_mutex_unlock(&client->shared.lock);
    settle_done(client, &done);
    if (asked) {
        marline__client_take_retries(client);
    }
    if (changed) {
        marline__session_endpoints_changed(client->loop.session, marline__client_now());
    }
    if (stop) {
        marline__session_stop(client->loop.session, marline__client_now(), within_ns);
    }
}

static void note_contact(marline_client *client)
{
    client->loop.last_contact_unix_ns = marline__clock_wall_ns(marline__clock_system());
}

static void publish_statistics(marline_client *client)
{
    const struct session *session = client->loop.session;
    const struct session_counters *c = marline__session_counters(session);
    const marline_client_statistics statistics = {
        .last_contact_unix_ns = client->loop.last_contact_unix_ns,
        .connections = client->loop.connections,
        .invocations = c->accepted,
        .refused = c->refused,
        .repeats = c->repeats,
        .late_results = c->late_results,
        .results_sent = c->results_written,
        .results_repeated = c->results_repeated,
        .results_doubtful = c->results_doubtful,
        .results_given_up = c->results_given_up,
        .invalid_messages = c->invalid_messages,
        .backend_errors = c->peer_errors,
        .outbox_failures = client->loop.outbox ? marline__outbox_failures(client->loop.outbox) : 0,
        .running = marline__session_running(session),
        .waiting = marline__session_waiting(session),
        .undelivered = marline__session_undelivered(session),
    };
    pthread_mutex_lock(&client->shared.lock);
    client->shared.statistics = statistics;
    pthread_mutex_unlock(&client->shared.lock);
}

/* After every input: does what the session wants, and arms what will wake the loop again. What the
 * session told the journal is on disk before anything of it is seen outside. */
static void pump(marline_client *client)
{
    struct session *session = client->loop.session;
    struct session_action action;
    if (client->loop.retries_wait) {
        marline__client_take_retries(client);
    }
    marline__client_secure(client);
    while (marline__session_next_action(session, marline__client_now(), &action)) {
        perform(client, &action);
        marline__client_secure(client);
    }
    uint64_t now = marline__client_now();
    if (marline__session_wants_write(session, now)) {
        marline__websocket_want_write(client->loop.ws);
    }
    uint64_t deadline = marline__session_deadline(session);
    uint64_t tidy_at = marline__client_tidy_journal(client, now);
    deadline = tidy_at < deadline ? tidy_at : deadline;
    uint64_t wait = deadline > now ? deadline - now : 0;
    publish_statistics(client);
    marline__websocket_set_timer(client->loop.ws, deadline == TIME_NEVER ? UINT64_MAX : wait);
}

/* ---- what the socket says; loop thread ---- */

static void on_opened(void *user)
{
    marline_client *client = user;
    client->loop.connections++;
    note_contact(client);
    marline__session_opened(client->loop.session, marline__client_now());
    pump(client);
}

static void on_refused(void *user, int http_status, const char *reason)
{
    marline_client *client = user;
    marline__session_refused(client->loop.session, marline__client_now(), random_bits(),
                             http_status, reason);
    pump(client);
}

static void on_text(void *user, struct slice message)
{
    marline_client *client = user;
    note_contact(client);
    marline__session_text(client->loop.session, marline__client_now(), message);
    pump(client);
}

static void on_closed(void *user, const struct websocket_end *end)
{
    marline_client *client = user;
    marline__session_closed(client->loop.session, marline__client_now(), random_bits(), end->code,
                            end->by_peer, end->reason);
    pump(client);
}

static void on_writable(void *user)
{
    marline_client *client = user;
    struct slice text;
    if (marline__session_next_text(client->loop.session, marline__client_now(), &text) &&
        marline__websocket_write_text(client->loop.ws, text) == MARLINE_OK) {
        const struct ledger_record *r =
            marline__session_written(client->loop.session, marline__client_now());
        if (r) {
            const marline_client_event event = {.type = MARLINE_CLIENT_EVENT_RESULT_SENT,
                                                .invocation_id = r->id_text};
            emit(client, &event);
        }
    }
    pump(client);
}

static void on_alive(void *user)
{
    marline_client *client = user;
    note_contact(client);
    publish_statistics(client);
}

static void on_woken(void *user)
{
    marline_client *client = user;
    read_mailbox(client);
    pump(client);
}

static void on_timer(void *user)
{
    marline_client *client = user;
    marline__session_tick(client->loop.session, marline__client_now());
    pump(client);
}

const struct websocket_events marline__client_events = {
    on_opened, on_refused, on_text, on_closed, on_writable, on_alive, on_woken, on_timer, NULL};

/* ---- the loop ---- */

/* Nobody may wake the socket from now on, and what is in the mailbox is dropped: its results were
 * made when the session stopped. */
static void close_mailbox(marline_client *client)
{
    struct list done;
    pthread_mutex_lock(&client->shared.lock);
    client->shared.closed = true;
    client->shared.running = false;
    move_all(&client->shared.done, &done);
    pthread_mutex_unlock(&client->shared.lock);
    settle_done(client, &done);
}

void *marline__client_run(void *user)
{
    marline_client *client = user;
    marline__session_start(client->loop.session, marline__client_now());
    marline__client_take_retries(client); /* asked for while no client ran */
    pump(client);
    while (marline__session_state(client->loop.session) != SESSION_STOPPED) {
        marline__websocket_run(client->loop.ws);
    }
    close_mailbox(client);
    marline__client_flush_journal(client);
    marline__websocket_destroy(client->loop.ws);
    marline__session_destroy(client->loop.session);
    marline__client_close_journal(client);
    client->loop.ws = NULL;
    client->loop.session = NULL;
    pthread_mutex_lock(&client->shared.lock);
    client->shared.ended = true;
    pthread_cond_broadcast(&client->shared.changed);
    pthread_mutex_unlock(&client->shared.lock);
    return NULL;
}
