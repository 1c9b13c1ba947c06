/* marline-backend-mock: reads its command line, opens the store, serves until a signal comes. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "http/server.h"
#include "options.h"
#include "programs/logger.h"
#include "ready.h"

static void block_signals(sigset_t *out)
{
    (void)sigemptyset(out);
    (void)sigaddset(out, SIGTERM);
    (void)sigaddset(out, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, out, NULL); /* inherited by every thread */
    (void)signal(SIGPIPE, SIG_IGN);
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
static bool allow_anonymous(struct store *store, const struct options *options,
                            const struct ready *ready, struct server_options *out)
{
    struct auth_identity *identity = &out->otlp_anonymous;
    struct store_error error;
    if (!options->otlp_anonymous) {
        return true;
    }
    (void)marline__uuid_parse(marline__slice_text(ready->organization_id),
                              &identity->organization_id);
    struct store_scope scope = {.organization_id = identity->organization_id};
    if (marline__uuid_parse(marline__slice_text(options->otlp_anonymous), &scope.project_id) &&
        store_list_projects(store, &scope, note_project, &out->has_otlp_anonymous, &error) ==
            STORE_OK &&
        out->has_otlp_anonymous) {
        identity->project_id = scope.project_id;
        return true;
    }
    (void)fprintf(stderr,
                  "marline-backend-mock: --otlp-anonymous '%s' is no project of this store\n",
                  options->otlp_anonymous);
    return false;
}

static enum exit_code serve_until_signal(struct store *store, struct listener *listener,
                                         const struct options *options, struct ready *ready,
                                         const sigset_t *signals)
{
    struct server_options server_options = {.store = store,
                                            .listener = listener,
                                            .agent_limits = {options->message_size_max,
                                                             options->rate_per_second,
                                                             options->idle_timeout_ms},
                                            .linker = linker_options_default()};
    char error[256];
    if (!allow_anonymous(store, options, ready, &server_options)) {
        listener_close(listener);
        return EXIT_CODE_USAGE;
    }
    struct server *server = server_start(&server_options, error);
    if (!server) {
        (void)fprintf(stderr, "marline-backend-mock: %s\n", error);
        return EXIT_CODE_INTERNAL;
    }
    enum exit_code code = EXIT_CODE_OK;
    if (options->ready_file && !ready_write_file(ready, options->ready_file)) {
        code = EXIT_CODE_READY_FILE;
    } else {
        ready_print(ready, options->store);
        int signal_number = 0;
        (void)sigwait(signals, &signal_number);
        marline__log(LOG_INFO, "signal %d: shutting down", signal_number);
    }
    server_stop(server);
    marline__log(LOG_INFO, "stopped");
    return code;
}

static enum exit_code serve(const struct options *options, const sigset_t *signals)
{
    char error[LISTENER_ERROR_SIZE];
    struct listener *listener = listener_open(options->listen, error);
    if (!listener) {
        (void)fprintf(stderr, "marline-backend-mock: %s\n", error);
        return EXIT_CODE_LISTEN;
    }
    struct store_error store_error;
    struct store *store = store_open(options->store, &store_error);
    if (!store) {
        (void)fprintf(stderr, "marline-backend-mock: %s\n", store_error.text);
        listener_close(listener);
        return EXIT_CODE_STORE;
    }
    struct ready ready;
    enum exit_code code = ready_prepare(store, options, &ready);
    if (code == EXIT_CODE_OK) {
        format_base_url(options->listen, listener_port(listener), ready.base_url);
        code = serve_until_signal(store, listener, options, &ready, signals);
    } else {
        listener_close(listener);
    }
    store_close(store);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {.listen = "127.0.0.1:8080",
                              .store = "sqlite:marline.db",
                              .api_key = getenv("RHESIS_API_KEY")};
    switch (options_read(argc, argv, &options)) {
    case OPTIONS_DONE:
        return EXIT_CODE_OK;
    case OPTIONS_WRONG:
        return EXIT_CODE_USAGE;
    case OPTIONS_SERVE:
        break;
    }
    sigset_t signals;
    block_signals(&signals);
    raise_descriptor_limit();
    logger_start(options.log_level, LOG_FORMAT_TEXT);
    return (int)serve(&options, &signals);
}
