/* Start and stop, in the order in which the parts need each other. */
#include "http/server.h"

#include <stdio.h>

#include "base/log.h"
#include "core/alloc.h"
#include "http/routes.h"

static void give_to_hub(void *user, int socket)
{
    struct server *s = user;
    hub_adopt(s->hub, socket);
}

static void give_to_http(void *user, int socket, const struct sockaddr *address,
                         socklen_t address_size)
{
    struct server *s = user;
    http_server_adopt(s->http, socket, address, address_size);
}

static bool start_parts(struct server *s, const struct server_options *options)
{
    s->workers = marline__worker_pool_create(SERVER_WORKERS, SERVER_WORKERS_QUEUE);
    s->gates = commit_gates_create();
    s->faults = faults_create();
    s->journal = journal_create();
    struct commit_queue_options queue = {.hold = commit_gates_hold,
                                         .hold_user = s->gates,
                                         .refuse = faults_refuse_write,
                                         .refuse_user = s->faults};
    s->queue = commit_queue_create(options->store, &queue);
    s->notifier =
        s->queue ? notifier_start(options->store, s->queue, options->tracer, options->name) : NULL;
    if (!s->workers || !s->notifier) {
        price_table_destroy(options->prices);
        return false;
    }
    struct hub_options hub = {.store = options->store,
                              .queue = s->queue,
                              .workers = s->workers,
                              .faults = s->faults,
                              .journal = s->journal,
                              .notifier = s->notifier,
                              .agent_limits = options->agent_limits,
                              .linker = options->linker,
                              .tracer = options->tracer,
                              .leaves_runs = options->leaves_runs,
                              .name = options->name};
    s->hub = hub_start(&hub);
    s->enricher = enricher_start(options->store, s->queue, options->prices, options->tracer);
    struct http_server_options http = {.server = s,
                                       .workers = s->workers,
                                       .handle = routes_handle,
                                       .answered = routes_answered,
                                       .write_refusal = routes_write_refusal,
                                       .body_max = options->body_max};
    s->http = s->hub && s->enricher ? http_server_start(&http) : NULL;
    struct listener_targets targets = {give_to_hub, give_to_http, s};
    return s->http && listener_start(s->listener, &targets);
}

struct server *server_start(const struct server_options *options, char error[256])
{
    struct server *s = alloc_zeroed(sizeof(*s));
    s->store = options->store;
    s->listener = options->listener;
    s->mock_api = options->mock_api;
    s->forwarder = options->forwarder;
    s->tracer = options->tracer;
    s->webhook = options->webhook;
    s->name = options->name;
    s->has_otlp_anonymous = options->has_otlp_anonymous;
    s->otlp_anonymous = options->otlp_anonymous;
    if (!start_parts(s, options)) {
        (void)snprintf(error, 256, "cannot start threads: raise 'ulimit -u' and 'ulimit -n'");
        (void)server_stop(s);
        return NULL;
    }
    return s;
}

bool server_stop(struct server *s)
{
    if (!s) {
        return true;
    }
    listener_close(s->listener);
    if (s->queue) {
        commit_gates_open_all(s->gates, s->queue);
    }
    if (s->hub) {
        hub_wind_down(s->hub);
    }
    if (s->http && !http_server_drain(s->http, SERVER_DRAIN_TIMEOUT_MS)) {
        marline__log(LOG_WARN, "some requests did not end in time");
    }
    enricher_stop(s->enricher);
    if (s->hub) {
        hub_stop(s->hub, SERVER_DRAIN_TIMEOUT_MS);
    }
    notifier_stop(s->notifier); /* after the hub's loop, before the queue that it writes to */
    if (marline__worker_pool_stop(s->workers, SERVER_DRAIN_TIMEOUT_MS) == MARLINE_ETIMEDOUT) {
        marline__log(LOG_ERROR, "some work did not end in time; what it uses is left as it is");
        return false;
    }
    commit_queue_destroy(s->queue);
    forwarder_stop(s->forwarder);
    enricher_destroy(s->enricher); /* after those who wake it: the queue, once it has answered */
    commit_gates_destroy(s->gates);
    hub_destroy(s->hub);
    http_server_stop(s->http);
    faults_destroy(s->faults);
    journal_destroy(s->journal);
    marline__memory_free(s);
    return true;
}
