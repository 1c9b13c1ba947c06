/* The public client: one loop thread that owns the session and the socket, and workers that run
 * handlers.
 *
 * A finished invocation reaches the loop through a mailbox. The client is counted, because a
 * handler may outlive the stop: the last of them frees what it still needs. */
#include <ctype.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include <marline/client.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/uuid.h"
#include "connector/invocation.h"
#include "connector/registry.h"
#include "connector/session.h"
#include "io/url.h"
#include "io/websocket_client.h"
#include "io/worker_pool.h"

enum {
    WORKERS_DEFAULT = 8,
    WORKERS_MAX = 1024,
    QUEUE_DEFAULT = 1024,
    RECONNECT_FIRST_MS = 1000,
    RECONNECT_MAX_MS = 60000,
    MESSAGE_MAX = 16 * 1024 * 1024, /* incoming; what uvicorn allows, far above the platform's */
    CONNECT_TIMEOUT_S = 10,
    PING_AFTER_S = 20,    /* below the usual idle limits of proxies */
    HANG_UP_AFTER_S = 40, /* a dead connection is noticed so soon */
    FLUSH_WAIT_MS = 2000,
    WORKER_END_MS = 100, /* for idle workers to leave, when a stop has no time left */
};

struct marline_client {
    atomic_uint references; /* the owner, and each invocation */
    struct websocket_options websocket;
    struct websocket_header headers[3];
    char *url;
    char *authorization;
    char *environment;
    char *tls_files[3];
    char project_id[UUID_TEXT_SIZE];
    char agent_id[UUID_TEXT_SIZE];
    uint32_t workers_max;
    marline_provider *provider;
    marline_tracer *tracer;
    marline_flush_mode flush;
    uint32_t flush_wait_ms;
    marline_client_event_fn on_event;
    void *user;
    struct registry registry;
    struct session_host host;
    struct session_options session_options;
    struct worker_pool *workers; /* set by start, freed by stop */
    pthread_t thread;

    struct {
        struct websocket_client *ws;
        struct session *session;
        struct list running;
    } loop; /* the loop thread's, from start to its end */

    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed; /* state, or the loop's end */
        struct list done;       /* the mailbox: invocations whose handler returned */
        bool closed;            /* the mailbox takes nothing any more */
        bool endpoints_changed;
        bool stop;
        uint64_t stop_within_ns;
        bool started; /* start was called */
        bool running; /* the socket may be woken */
        bool ended;   /* the loop thread is about to return */
        bool stopped; /* the workers are gone too */
        marline_client_state state;
        marline_status status; /* of the last change */
        char text[MARLINE_ERROR_TEXT_SIZE];
    } shared;
};

__attribute__((format(printf, 3, 4))) static marline_status
refuse(marline_error *error, marline_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->code = status;
        (void)vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return status;
}

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

static uint64_t random_bits(void)
{
    return marline__random_u64(marline__random_system());
}

static void client_unref(marline_client *client)
{
    if (atomic_fetch_sub(&client->references, 1) != 1) {
        return;
    }
    marline__registry_deinit(&client->registry);
    pthread_cond_destroy(&client->shared.changed);
    pthread_mutex_destroy(&client->shared.lock);
    for (size_t i = 0; i < 3; i++) {
        marline__memory_free(client->tls_files[i]);
    }
    marline__memory_free(client->environment);
    marline__memory_free(client->authorization);
    marline__memory_free(client->url);
    marline__memory_free(client);
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
        client_unref(client);
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

static bool find_endpoint(void *user, struct slice name, struct session_endpoint *out)
{
    marline_client *client = user;
    struct endpoint *endpoint = marline__registry_find(&client->registry, name);
    if (!endpoint) {
        return false;
    }
    *out = (struct session_endpoint){endpoint->key, endpoint->timeout_ms, endpoint->concurrency};
    marline__endpoint_unref(endpoint);
    return true;
}

static void write_registration(void *user, struct buffer *functions, struct buffer *metrics)
{
    marline_client *client = user;
    marline__registry_write(&client->registry, functions);
    marline__buffer_append_text(metrics, "[]");
}

static struct invocation *find_running(marline_client *client, struct slice id)
{
    LIST_EACH(&client->loop.running, node)
    {
        struct invocation *i = LIST_ENTRY(node, struct invocation, running);
        if (marline__slice_equal(id, i->request->test.invocation_id)) {
            return i;
        }
    }
    return NULL;
}

static void describe(void *user, struct slice id, struct session_trace *out)
{
    const struct invocation *i = find_running(user, id);
    if (i) {
        marline__invocation_describe(i, out);
    }
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
    marline__log(action->status == MARLINE_OK ? LOG_INFO : LOG_WARN, "testing channel: %s",
                 action->text);
    const marline_client_event event = {.type = MARLINE_CLIENT_EVENT_STATE,
                                        .state = state,
                                        .status = action->status,
                                        .text = action->text};
    emit(client, &event);
}

/* The work cannot even begin: the session hears so at once. */
static void answer_unstarted(marline_client *client, struct slice id, const char *why)
{
    const struct message_test_result result = {.invocation_id = id,
                                               .error = marline__slice_text(why)};
    marline__session_finished(client->loop.session, now_ns(), &result);
}

static void invoke(marline_client *client, const struct session_action *action)
{
    struct endpoint *endpoint =
        marline__registry_find(&client->registry, action->job->test.function_name);
    if (!endpoint) {
        marline__session_job_free(action->job);
        answer_unstarted(client, action->id, "the endpoint was removed meanwhile");
        return;
    }
    struct invocation *i = marline__invocation_create(action->job, endpoint);
    if (!i) {
        answer_unstarted(client, action->id, "the agent is out of memory");
        return;
    }
    i->owner = client;
    i->job.run = work;
    atomic_fetch_add(&client->references, 1);
    marline__list_push_back(&client->loop.running, &i->running);
    if (marline__worker_pool_submit(client->workers, &i->job) != MARLINE_OK) {
        marline__list_remove(&i->running);
        marline__invocation_destroy(i);
        client_unref(client);
        answer_unstarted(client, action->id, "the agent could not start a thread for it");
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
        i = find_running(client, action->id);
        if (i) {
            marline__invocation_cancel(i, action->text, action->late);
        }
        break;
    case SESSION_CHANGED:
        publish_state(client, action);
        break;
    }
}

static void settle_done(marline_client *client, struct list *done)
{
    struct list *node;
    while ((node = marline__list_pop_front(done)) != NULL) {
        struct invocation *i = LIST_ENTRY(node, struct invocation, done);
        struct session_trace trace;
        struct message_test_result result;
        marline__invocation_result(i, &trace, &result);
        marline__list_remove(&i->running);
        marline__session_finished(client->loop.session, now_ns(), &result);
        marline__invocation_destroy(i);
        client_unref(client);
    }
}

/* Takes what other threads asked for. */
static void read_mailbox(marline_client *client)
{
    struct list done;
    marline__list_init(&done);
    pthread_mutex_lock(&client->shared.lock);
    struct list *node;
    while ((node = marline__list_pop_front(&client->shared.done)) != NULL) {
        marline__list_push_back(&done, node);
    }
    bool changed = client->shared.endpoints_changed;
    client->shared.endpoints_changed = false;
    bool stop = client->shared.stop;
    client->shared.stop = false;
    uint64_t within_ns = client->shared.stop_within_ns;
    pthread_mutex_unlock(&client->shared.lock);
    settle_done(client, &done);
    if (changed) {
        marline__session_endpoints_changed(client->loop.session, now_ns());
    }
    if (stop) {
        marline__session_stop(client->loop.session, now_ns(), within_ns);
    }
}

/* After every input: does what the session wants, and arms what will wake the loop again. */
static void pump(marline_client *client)
{
    struct session *session = client->loop.session;
    struct session_action action;
    while (marline__session_next_action(session, now_ns(), &action)) {
        perform(client, &action);
    }
    uint64_t now = now_ns();
    if (marline__session_wants_write(session, now)) {
        marline__websocket_want_write(client->loop.ws);
    }
    uint64_t deadline = marline__session_deadline(session);
    marline__websocket_set_timer(client->loop.ws, deadline == TIME_NEVER ? UINT64_MAX
                                                  : deadline > now       ? deadline - now
                                                                         : 0);
}

/* ---- what the socket says; loop thread ---- */

static void on_opened(void *user)
{
    marline_client *client = user;
    marline__session_opened(client->loop.session, now_ns());
    pump(client);
}

static void on_refused(void *user, int http_status, const char *reason)
{
    marline_client *client = user;
    marline__session_refused(client->loop.session, now_ns(), random_bits(), http_status, reason);
    pump(client);
}

static void on_text(void *user, struct slice message)
{
    marline_client *client = user;
    marline__session_text(client->loop.session, now_ns(), message);
    pump(client);
}

static void on_closed(void *user, const struct websocket_end *end)
{
    marline_client *client = user;
    marline__session_closed(client->loop.session, now_ns(), random_bits(), end->code, end->by_peer,
                            end->reason);
    pump(client);
}

static void on_writable(void *user)
{
    marline_client *client = user;
    struct slice text;
    if (marline__session_next_text(client->loop.session, now_ns(), &text) &&
        marline__websocket_write_text(client->loop.ws, text) == MARLINE_OK) {
        const struct ledger_record *r = marline__session_written(client->loop.session, now_ns());
        if (r) {
            const marline_client_event event = {.type = MARLINE_CLIENT_EVENT_RESULT_SENT,
                                                .invocation_id = r->id_text};
            emit(client, &event);
        }
    }
    pump(client);
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
    marline__session_tick(client->loop.session, now_ns());
    pump(client);
}

/* ---- the loop ---- */

/* Nobody may wake the socket from now on, and what is in the mailbox is dropped: its results were
 * made when the session stopped. */
static void close_mailbox(marline_client *client)
{
    struct list done;
    marline__list_init(&done);
    pthread_mutex_lock(&client->shared.lock);
    client->shared.closed = true;
    client->shared.running = false;
    struct list *node;
    while ((node = marline__list_pop_front(&client->shared.done)) != NULL) {
        marline__list_push_back(&done, node);
    }
    pthread_mutex_unlock(&client->shared.lock);
    settle_done(client, &done);
}

static void *run_loop(void *user)
{
    marline_client *client = user;
    marline__session_start(client->loop.session, now_ns());
    pump(client);
    while (marline__session_state(client->loop.session) != SESSION_STOPPED) {
        marline__websocket_run(client->loop.ws);
    }
    close_mailbox(client);
    marline__websocket_destroy(client->loop.ws);
    marline__session_destroy(client->loop.session);
    client->loop.ws = NULL;
    client->loop.session = NULL;
    pthread_mutex_lock(&client->shared.lock);
    client->shared.ended = true;
    pthread_cond_broadcast(&client->shared.changed);
    pthread_mutex_unlock(&client->shared.lock);
    return NULL;
}

/* ---- creating ---- */

static marline_status check_environment(const char *text, marline_client *client,
                                        marline_error *error)
{
    static const char *const known[] = {"production", "staging", "development", "local"};
    client->environment = marline__memory_text(text && text[0] ? text : "development");
    if (!client->environment) {
        return refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    for (char *c = client->environment; *c; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(client->environment, known[i]) == 0) {
            return MARLINE_OK;
        }
    }
    return refuse(error, MARLINE_EINVAL,
                  "environment '%.40s' is none of production, staging, development, local", text);
}

static marline_status check_project(const char *text, marline_client *client, marline_error *error)
{
    struct uuid project;
    if (!text || !text[0]) {
        return refuse(error, MARLINE_EINVAL,
                      "no project_id given: set it, or RHESIS_PROJECT_ID, to the project's UUID");
    }
    if (!marline__uuid_parse(marline__slice_text(text), &project)) {
        return refuse(error, MARLINE_EINVAL, "project_id '%.60s' is not a UUID", text);
    }
    marline__uuid_format(&project, client->project_id);
    return MARLINE_OK;
}

static marline_status check_url(const char *base_url, marline_client *client, marline_error *error)
{
    struct url url;
    const char *reason;
    if (!base_url || !base_url[0]) {
        return refuse(error, MARLINE_EINVAL, "no base_url given: set it, or RHESIS_BASE_URL");
    }
    if (!marline__url_parse(marline__slice_text(base_url), &url, &reason)) {
        return refuse(error, MARLINE_EINVAL, "base_url '%.80s': %s", base_url, reason);
    }
    struct buffer text = BUFFER_INIT;
    marline__buffer_append_format(
        &text, url.is_ipv6 ? "%s[%s]:%u%s/connector/ws" : "%s%s:%u%s/connector/ws",
        url.secure ? "wss://" : "ws://", url.host, url.port, url.path);
    client->url = marline__buffer_take(&text);
    return client->url ? MARLINE_OK : refuse(error, MARLINE_ENOMEM, "out of memory");
}

static marline_status check_key(const char *key, marline_client *client, marline_error *error)
{
    if (!key || !key[0]) {
        return refuse(error, MARLINE_EINVAL, "no api_key given: set it, or RHESIS_API_KEY");
    }
    struct buffer text = BUFFER_INIT;
    marline__buffer_append_format(&text, "Bearer %s", key);
    client->authorization = marline__buffer_take(&text);
    return client->authorization ? MARLINE_OK : refuse(error, MARLINE_ENOMEM, "out of memory");
}

static marline_status copy_tls(const marline_client_options *options, marline_client *client,
                               marline_error *error)
{
    const char *const files[] = {options->tls_ca_file, options->tls_cert_file,
                                 options->tls_key_file};
    for (size_t i = 0; i < 3; i++) {
        client->tls_files[i] = marline__memory_text(files[i]);
        if (files[i] && !client->tls_files[i]) {
            return refuse(error, MARLINE_ENOMEM, "out of memory");
        }
    }
    return MARLINE_OK;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value > 0 ? value : fallback;
}

static marline_status configure(marline_client *client, const marline_client_options *o,
                                marline_error *error)
{
    marline_status status = check_url(o->base_url, client, error);
    if (status == MARLINE_OK) {
        status = check_key(o->api_key, client, error);
    }
    if (status == MARLINE_OK) {
        status = check_project(o->project_id, client, error);
    }
    if (status == MARLINE_OK) {
        status = check_environment(o->environment, client, error);
    }
    if (status == MARLINE_OK) {
        status = copy_tls(o, client, error);
    }
    client->workers_max = or_default(o->worker_count, WORKERS_DEFAULT);
    if (status == MARLINE_OK && client->workers_max > WORKERS_MAX) {
        status = refuse(error, MARLINE_EINVAL, "worker_count is above %d", WORKERS_MAX);
    }
    return status;
}

static void fill_options(marline_client *client, const marline_client_options *o)
{
    client->headers[0] = (struct websocket_header){"Authorization", client->authorization};
    client->headers[1] = (struct websocket_header){"X-Rhesis-Project", client->project_id};
    client->headers[2] = (struct websocket_header){"X-Rhesis-Environment", client->environment};
    client->websocket = (struct websocket_options){
        .url = client->url,
        .headers = client->headers,
        .header_count = 3,
        .tls = {client->tls_files[0], client->tls_files[1], client->tls_files[2]},
        .message_max = MESSAGE_MAX,
        .connect_timeout_s = CONNECT_TIMEOUT_S,
        .ping_after_s = PING_AFTER_S,
        .hang_up_after_s = HANG_UP_AFTER_S,
    };
    client->session_options = (struct session_options){
        .project_id = marline__slice_text(client->project_id),
        .environment = marline__slice_text(client->environment),
        .agent_id = marline__slice_text(client->agent_id),
        .sdk_version = marline__slice_text(marline_version()),
        .concurrency = client->workers_max,
        .queue_max = or_default(o->queue_max, QUEUE_DEFAULT),
        .backoff_first_ns = or_default(o->reconnect_first_ms, RECONNECT_FIRST_MS) * NS_PER_MS,
        .backoff_max_ns = or_default(o->reconnect_max_ms, RECONNECT_MAX_MS) * NS_PER_MS,
    };
    client->host = (struct session_host){.find_endpoint = find_endpoint,
                                         .write_registration = write_registration,
                                         .describe = describe,
                                         .user = client};
    client->on_event = o->on_event;
    client->user = o->user;
    client->flush = o->flush;
    client->flush_wait_ms = or_default(o->flush_wait_ms, FLUSH_WAIT_MS);
    client->provider = o->provider;
    client->tracer = o->provider
                         ? marline_tracer_get(o->provider, "marline.connector", marline_version())
                         : NULL;
}

static marline_client *new_client(void)
{
    marline_client *client = marline__memory_zeroed(sizeof *client);
    if (!client) {
        return NULL;
    }
    atomic_init(&client->references, 1);
    marline__registry_init(&client->registry);
    marline__list_init(&client->loop.running);
    marline__list_init(&client->shared.done);
    struct uuid id = marline__uuid_random(marline__random_system());
    marline__uuid_format(&id, client->agent_id);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&client->shared.lock, NULL);
    pthread_cond_init(&client->shared.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return client;
}

marline_status marline_client_create(const marline_client_options *options, marline_client **out,
                                     marline_error *error)
{
    if (!options || !out || options->size < offsetof(marline_client_options, queue_max)) {
        return refuse(error, MARLINE_EINVAL,
                      "options and out are required, and options->size must be set");
    }
    marline_client_options known = MARLINE_CLIENT_OPTIONS_INIT;
    memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
    marline_client *client = new_client();
    if (!client) {
        return refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    marline_status status = configure(client, &known, error);
    if (status != MARLINE_OK) {
        client_unref(client);
        return status;
    }
    fill_options(client, &known);
    *out = client;
    return MARLINE_OK;
}

/* ---- endpoints ---- */

static void tell_endpoints_changed(marline_client *client)
{
    pthread_mutex_lock(&client->shared.lock);
    client->shared.endpoints_changed = true;
    if (client->shared.running) {
        marline__websocket_wake(client->loop.ws);
    }
    pthread_mutex_unlock(&client->shared.lock);
}

marline_status marline_client_add_endpoint(marline_client *client, const marline_endpoint *endpoint,
                                           marline_error *error)
{
    if (!client) {
        return refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    marline_status status = marline__registry_add(&client->registry, endpoint, error);
    if (status == MARLINE_OK) {
        tell_endpoints_changed(client);
    }
    return status;
}

marline_status marline_client_remove_endpoint(marline_client *client, const char *name)
{
    if (!client || !name) {
        return MARLINE_EINVAL;
    }
    marline_status status = marline__registry_remove(&client->registry, marline__slice_text(name));
    if (status == MARLINE_OK) {
        tell_endpoints_changed(client);
    }
    return status;
}

marline_status marline_client_add_declared(marline_client *client, marline_error *error)
{
    if (!client) {
        return refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    size_t count = marline_endpoint_declared_count();
    for (size_t i = 0; i < count; i++) {
        const marline_endpoint *declared = marline_endpoint_declared(i);
        struct endpoint *known =
            marline__registry_find(&client->registry, marline__slice_text(declared->name));
        bool same = known && known->handler == declared->handler;
        marline__endpoint_unref(known);
        if (!same) {
            marline_status status = marline_client_add_endpoint(client, declared, error);
            if (status != MARLINE_OK) {
                return status;
            }
        }
    }
    return MARLINE_OK;
}

/* ---- running ---- */

static marline_status make_parts(marline_client *client, marline_error *error)
{
    const struct websocket_events events = {on_opened,   on_refused, on_text,  on_closed,
                                            on_writable, on_woken,   on_timer, client};
    client->workers = marline__worker_pool_create(client->workers_max, client->workers_max);
    client->loop.session = marline__session_create(&client->session_options, &client->host);
    if (!client->workers || !client->loop.session) {
        return refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    return marline__websocket_create(&client->websocket, &events, &client->loop.ws, error);
}

static void set_running(marline_client *client, bool started, bool running)
{
    pthread_mutex_lock(&client->shared.lock);
    client->shared.started = started;
    client->shared.running = running;
    pthread_mutex_unlock(&client->shared.lock);
}

static void free_parts(marline_client *client)
{
    marline__websocket_destroy(client->loop.ws);
    marline__session_destroy(client->loop.session);
    (void)marline__worker_pool_stop(client->workers, 0);
    client->loop.ws = NULL;
    client->loop.session = NULL;
    client->workers = NULL;
}

/* Signals belong to the program's own threads; SIGPIPE must not come from a lost TLS connection. */
static bool start_thread(marline_client *client)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&client->thread, NULL, run_loop, client);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure == 0;
}

marline_status marline_client_start(marline_client *client, marline_error *error)
{
    if (!client) {
        return refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    pthread_mutex_lock(&client->shared.lock);
    bool again = client->shared.started;
    client->shared.started = true;
    pthread_mutex_unlock(&client->shared.lock);
    if (again) {
        return refuse(error, MARLINE_ESTATE, "the client was started before");
    }
    marline_status status = make_parts(client, error);
    if (status == MARLINE_OK) {
        set_running(client, true, true);
        if (!start_thread(client)) {
            status = refuse(error, MARLINE_EIO, "the client could not start its thread");
        }
    }
    if (status != MARLINE_OK) {
        set_running(client, false, false);
        free_parts(client);
    }
    return status;
}

marline_client_state marline_client_current_state(const marline_client *client)
{
    if (!client) {
        return MARLINE_CLIENT_IDLE;
    }
    union {
        const marline_client *constant;
        marline_client *mutable; /* a lock is no part of the value */
    } pointer = {client};
    pthread_mutex_lock(&pointer.mutable->shared.lock);
    marline_client_state state = client->shared.state;
    pthread_mutex_unlock(&pointer.mutable->shared.lock);
    return state;
}

static struct timespec deadline_after(uint64_t timeout_ms)
{
    const uint64_t year_ms = 366ull * 86400 * 1000;
    uint64_t at = now_ns() + (timeout_ms < year_ms ? timeout_ms : year_ms) * NS_PER_MS;
    return (struct timespec){(time_t)(at / NS_PER_S), (long)(at % NS_PER_S)};
}

/* With the lock held. True: the wait is over, with *out. */
static bool is_decided(const marline_client *client, marline_status *out)
{
    switch (client->shared.state) {
    case MARLINE_CLIENT_REGISTERED:
        *out = MARLINE_OK;
        return true;
    case MARLINE_CLIENT_FAILED:
        *out = client->shared.status;
        return true;
    case MARLINE_CLIENT_CONNECTED:
        *out = client->shared.status;
        return client->shared.status == MARLINE_EREJECTED;
    case MARLINE_CLIENT_STOPPED:
        *out = MARLINE_ECANCELED;
        return true;
    default:
        return false;
    }
}

marline_status marline_client_wait_registered(marline_client *client, uint64_t timeout_ms,
                                              marline_error *error)
{
    if (!client) {
        return refuse(error, MARLINE_EINVAL, "client is NULL");
    }
    struct timespec deadline = deadline_after(timeout_ms);
    marline_status status = MARLINE_ETIMEDOUT;
    int waited = 0;
    pthread_mutex_lock(&client->shared.lock);
    while (!is_decided(client, &status) && waited == 0) {
        waited = pthread_cond_timedwait(&client->shared.changed, &client->shared.lock, &deadline);
        status = MARLINE_ETIMEDOUT;
    }
    (void)is_decided(client, &status);
    if (status == MARLINE_ETIMEDOUT) {
        (void)refuse(error, status, "not registered within %llu ms: %.180s",
                     (unsigned long long)timeout_ms,
                     client->shared.text[0] ? client->shared.text : "no attempt was made");
    } else if (status != MARLINE_OK) {
        (void)refuse(error, status, "%s", client->shared.text);
    }
    pthread_mutex_unlock(&client->shared.lock);
    return status;
}

/* ---- stopping ---- */

/* Asks the loop to stop, and waits for its end: the session keeps the deadline. True: this call is
 * the one that cleans up. */
static bool wait_for_loop(marline_client *client, uint64_t timeout_ms)
{
    pthread_mutex_lock(&client->shared.lock);
    bool mine = client->shared.started && !client->shared.stopped;
    client->shared.stopped |= mine;
    if (client->shared.running) {
        uint64_t within_ns =
            timeout_ms < TIME_NEVER / NS_PER_MS ? timeout_ms * NS_PER_MS : TIME_NEVER;
        client->shared.stop = true;
        client->shared.stop_within_ns = within_ns;
        marline__websocket_wake(client->loop.ws);
    }
    while (client->shared.started && !client->shared.ended) {
        pthread_cond_wait(&client->shared.changed, &client->shared.lock);
    }
    pthread_mutex_unlock(&client->shared.lock);
    return mine;
}

marline_status marline_client_stop(marline_client *client, uint64_t timeout_ms)
{
    if (!client) {
        return MARLINE_EINVAL;
    }
    uint64_t start = now_ns();
    bool mine = wait_for_loop(client, timeout_ms);
    marline_status status = client->shared.status; /* the loop has ended: nobody writes it */
    if (!mine) {
        return status;
    }
    pthread_join(client->thread, NULL);
    uint64_t used_ms = (now_ns() - start) / NS_PER_MS;
    uint64_t left_ms = timeout_ms > used_ms + WORKER_END_MS ? timeout_ms - used_ms : WORKER_END_MS;
    if (marline__worker_pool_stop(client->workers, left_ms) != MARLINE_OK) {
        status = MARLINE_ETIMEDOUT;
    }
    client->workers = NULL;
    return status;
}

void marline_client_destroy(marline_client *client)
{
    if (client) {
        (void)marline_client_stop(client, 0);
        client_unref(client);
    }
}
