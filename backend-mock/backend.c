/* See backend.h. */
#include "backend.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/memory.h"
#include "hub/otlp_url.h"
#include "hub/webhook_url.h"
#include "price_file.h"
#include <marline/exporters.h>

enum { TRACING_STOP_MS = 3000 };

/* "http://HOST:PORT" with the port that was really taken; 0.0.0.0 is no place to go to. */
static void format_base_url(const char *listen, uint16_t port, char out[READY_URL_SIZE])
{
    size_t size = (size_t)(strrchr(listen, ':') - listen);
    struct slice host = {listen, size};
    if (marline__slice_is(host, "0.0.0.0") || marline__slice_is(host, "[::]")) {
        host = SLICE("127.0.0.1");
    }
    (void)snprintf(out, READY_URL_SIZE, "http://%.*s:%u", SLICE_ARG(host), port);
}

static void note_project(void *user, const struct store_project *row)
{
    (void)row;
    *(bool *)user = true;
}

/* Spans without a key belong to a project of the ready-made organization. */
static bool allow_anonymous(const struct backend *b, const struct backend_settings *settings,
                            struct server_options *out, struct failure *f)
{
    struct auth_identity *identity = &out->otlp_anonymous;
    struct store_error error;
    if (!settings->otlp_anonymous) {
        return true;
    }
    (void)marline__uuid_parse(marline__slice_text(b->ready.organization_id),
                              &identity->organization_id);
    struct store_scope scope = {.organization_id = identity->organization_id};
    if (marline__uuid_parse(marline__slice_text(settings->otlp_anonymous), &scope.project_id) &&
        store_list_projects(b->store, &scope, note_project, &out->has_otlp_anonymous, &error) ==
            STORE_OK &&
        out->has_otlp_anonymous) {
        identity->project_id = scope.project_id;
        return true;
    }
    return failure_set(f, EXIT_CODE_USAGE, "--otlp-anonymous '%s' is no project of this store",
                       settings->otlp_anonymous);
}

/* Each connection is a descriptor, and the usual soft limit of 1024 is soon reached. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool start_forwarder(const char *url, struct forwarder **out, struct failure *f)
{
    char error[256];
    *out = url ? forwarder_start(url, error) : NULL;
    return !url || *out || failure_set(f, EXIT_CODE_USAGE, "--forward-otlp %s", error);
}

/* Spans of our own work go to that receiver. */
static bool start_tracing(struct backend *b, const char *url, struct failure *f)
{
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    marline_otlp_exporter_options otlp = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    marline_exporter exporter;
    marline_error error = {MARLINE_OK, ""};
    char text[256];
    if (!url) {
        return true;
    }
    char *endpoint = otlp_traces_url(url, text);
    if (!endpoint) {
        return failure_set(f, EXIT_CODE_USAGE, "--trace-otlp %s", text);
    }
    options.service_name = "marline-backend-mock";
    otlp.endpoint = endpoint;
    bool ok =
        marline_exporter_otlp_create(&otlp, &exporter, &error) == MARLINE_OK &&
        marline_provider_create(&options, &b->provider, &error) == MARLINE_OK &&
        marline_provider_add_batch_processor(b->provider, &exporter, NULL, &error) == MARLINE_OK;
    marline__memory_free(endpoint);
    return ok || failure_set(f, EXIT_CODE_INTERNAL, "--trace-otlp: %s", error.text);
}

static void stop_tracing(struct backend *b)
{
    if (b->provider) {
        (void)marline_provider_shutdown(b->provider, TRACING_STOP_MS);
        marline_provider_destroy(b->provider);
    }
}

/* Takes the listener. */
static bool start_server(struct backend *b, const struct backend_settings *settings,
                         struct listener *listener, struct failure *f)
{
    struct server_options options = {.store = b->store,
                                     .listener = listener,
                                     .agent_limits = settings->agent_limits,
                                     .linker = linker_options_default(),
                                     .webhook = settings->webhook,
                                     .leaves_runs = settings->leaves_runs,
                                     .name = settings->name,
                                     .mock_api = settings->mock_api};
    char error[256];
    const char *refused = settings->webhook ? webhook_url_refuse(settings->webhook) : NULL;
    if (refused) {
        listener_close(listener);
        return failure_set(f, EXIT_CODE_USAGE, "--webhook %s", refused);
    }
    if (!allow_anonymous(b, settings, &options, f) ||
        !price_file_load(settings->price_file, &options.prices, f) ||
        !start_tracing(b, settings->trace_otlp, f) ||
        !start_forwarder(settings->forward_otlp, &options.forwarder, f)) {
        price_table_destroy(options.prices);
        listener_close(listener);
        return false;
    }
    options.tracer = marline_tracer_get(b->provider, "marline-backend-mock", NULL);
    format_base_url(settings->listen, listener_port(listener), b->ready.base_url);
    b->server = server_start(&options, error);
    return b->server || failure_set(f, EXIT_CODE_INTERNAL, "%s", error);
}

bool backend_start(struct backend *b, const struct backend_settings *settings, struct failure *f)
{
    char error[LISTENER_ERROR_SIZE];
    struct store_error store_error;
    *b = (struct backend){.store = NULL};
    raise_descriptor_limit();
    struct listener *listener = listener_open(settings->listen, error);
    if (!listener) {
        return failure_set(f, EXIT_CODE_LISTEN, "%s", error);
    }
    b->store = store_open(settings->store, &store_error);
    if (!b->store) {
        listener_close(listener);
        return failure_set(f, EXIT_CODE_STORE, "%s", store_error.text);
    }
    if (!ready_prepare(b->store, settings->store, settings->api_key, &b->ready, f)) {
        listener_close(listener);
    } else if (start_server(b, settings, listener, f)) {
        return true;
    }
    stop_tracing(b);
    store_close(b->store);
    *b = (struct backend){.store = NULL};
    return false;
}

void backend_stop(struct backend *b)
{
    if (server_stop(b->server)) {
        stop_tracing(b);
        store_close(b->store);
    }
    *b = (struct backend){.store = NULL};
}
