/* See backend.h. */
#include "backend.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "price_file.h"

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

/* Takes the listener. */
static bool start_server(struct backend *b, const struct backend_settings *settings,
                         struct listener *listener, struct failure *f)
{
    struct server_options options = {.store = b->store,
                                     .listener = listener,
                                     .agent_limits = settings->agent_limits,
                                     .linker = linker_options_default(),
                                     .mock_api = settings->mock_api};
    char error[256];
    if (!allow_anonymous(b, settings, &options, f) ||
        !price_file_load(settings->price_file, &options.prices, f) ||
        !start_forwarder(settings->forward_otlp, &options.forwarder, f)) {
        price_table_destroy(options.prices);
        listener_close(listener);
        return false;
    }
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
    store_close(b->store);
    b->store = NULL;
    return false;
}

void backend_stop(struct backend *b)
{
    server_stop(b->server);
    store_close(b->store);
    *b = (struct backend){.store = NULL};
}
