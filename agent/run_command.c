/* marline-agent run: serves endpoints until told to stop.
 *
 * The main thread waits for signals and for the client's news; the client's own threads do the
 * work. The first SIGTERM or SIGINT drains: nothing new is accepted, what runs may finish, results
 * and spans are delivered, all within --drain-timeout-ms. A second one ends the program at once. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/endpoints.h"
#include "agent/logger.h"
#include "agent/service.h"
#include "agent/settings.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct option_spec own_specs[] = {
    {.name = "dry-run",
     .kind = OPTION_FLAG,
     .help = "read the settings, load the plugins, say what would be served, and end"},
};

static void print_help(const struct settings *s)
{
    (void)puts(
        "Usage: marline-agent run [OPTION]…\n"
        "\n"
        "Serves endpoints: holds the testing channel, runs what the backend asks for, sends the\n"
        "results, and exports the spans of each invocation.\n"
        "\n"
        "  # a program in any language: inputs as JSON on stdin, the result on stdout\n"
        "  marline-agent run --exec 'answer=python3 answer.py'\n"
        "\n"
        "  # a shared object written with MARLINE_ENDPOINT\n"
        "  marline-agent run --plugin ./libgreet.so\n"
        "\n"
        "  # a file with all of it\n"
        "  marline-agent run --config agent.yaml\n"
        "      base_url: http://localhost:8080\n"
        "      project_id: 11111111-1111-4111-8111-111111111111\n"
        "      plugins: [./libgreet.so]\n"
        "      endpoints:\n"
        "        - name: answer\n"
        "          exec: [python3, answer.py]\n"
        "          timeout_ms: 30000\n"
        "\n"
        "A flag is stronger than an environment variable, a variable than the file.\n"
        "\n"
        "Options:");
    settings_print_help(s, stdout);
    (void)puts("");
    command_print_exit_codes(stdout);
}

struct agent {
    struct settings settings;
    struct endpoints endpoints;
    struct service service;
    sigset_t signals;
    int signal_fd;
    int event_fd; /* written by the client's threads when the client failed for good */
    struct failure *failure;
};

/* ---- news of the client ---- */

static void log_invocation(const marline_client_event *event)
{
    if (event->type == MARLINE_CLIENT_EVENT_INVOCATION_START) {
        logger_write(LOG_DEBUG, "%s: invocation %s starts", event->endpoint, event->invocation_id);
    } else if (event->type == MARLINE_CLIENT_EVENT_INVOCATION_END && event->text) {
        logger_write(LOG_WARN, "%s: invocation %s failed: %s", event->endpoint,
                     event->invocation_id, event->text);
    } else if (event->type == MARLINE_CLIENT_EVENT_INVOCATION_END) {
        logger_write(LOG_INFO, "%s: invocation %s succeeded", event->endpoint,
                     event->invocation_id);
    }
}

static void on_event(void *user, const marline_client_event *event)
{
    struct agent *a = user;
    if (event->type != MARLINE_CLIENT_EVENT_STATE) {
        log_invocation(event);
        return;
    }
    const char *text = event->text ? event->text : "";
    const char *separator = event->text ? ": " : "";
    switch (event->state) {
    case MARLINE_CLIENT_REGISTERED:
        logger_write(LOG_INFO, "registered with %s, ready for tests%s%s",
                     a->settings.connection.base_url, separator, text);
        break;
    case MARLINE_CLIENT_CONNECTING:
        logger_write(LOG_INFO, "connecting to %s%s%s", a->settings.connection.base_url, separator,
                     text);
        break;
    case MARLINE_CLIENT_FAILED:
        if (eventfd_write(a->event_fd, 1)) {
            logger_write(LOG_ERROR, "cannot wake the main thread: %s", strerror(errno));
        }
        break;
    case MARLINE_CLIENT_IDLE:
    case MARLINE_CLIENT_CONNECTED:
    case MARLINE_CLIENT_STOPPED:
        break;
    }
}

/* ---- the run ---- */

/* Before any thread exists, so that all of them inherit the mask. */
static bool open_signals(struct agent *a)
{
    (void)sigemptyset(&a->signals);
    (void)sigaddset(&a->signals, SIGTERM);
    (void)sigaddset(&a->signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &a->signals, NULL);
    a->signal_fd = signalfd(-1, &a->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    a->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->signal_fd < 0 || a->event_fd < 0) {
        return failure_set(a->failure, EXIT_CODE_INTERNAL, "cannot watch for signals: %s",
                           strerror(errno));
    }
    return true;
}

static void wait_for_end(struct agent *a)
{
    struct pollfd ends[] = {{a->signal_fd, POLLIN, 0}, {a->event_fd, POLLIN, 0}};
    while (poll(ends, COUNT(ends), -1) < 0 && errno == EINTR) {
    }
    if (ends[1].revents) {
        marline_error error = {0};
        marline_status status = marline_client_wait_registered(a->service.client, 0, &error);
        failure_set(a->failure, service_exit_code(status), "%s", error.text);
        return;
    }
    struct signalfd_siginfo info;
    ssize_t size = read(a->signal_fd, &info, sizeof info);
    logger_write(LOG_INFO, "%s received: finishing what runs, within %" PRIu64 " ms",
                 size == (ssize_t)sizeof info && info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM",
                 options_whole(&a->settings.options, "drain-timeout-ms"));
    /* From here on a second signal takes its default course. */
    (void)pthread_sigmask(SIG_UNBLOCK, &a->signals, NULL);
}

static bool serve(struct agent *a)
{
    struct service_options options = {
        .connection = &a->settings.connection,
        .export_interval_ms = (uint32_t)options_whole(&a->settings.options, "export-interval-ms"),
        .worker_count = (uint32_t)options_whole(&a->settings.options, "concurrency"),
        .on_event = on_event,
        .user = a};
    if (!open_signals(a) || !service_open(&a->service, &options, a->failure)) {
        return false;
    }
    marline_error error = {0};
    bool ok = endpoints_add(&a->endpoints, &a->settings.config, a->service.client, a->failure);
    if (ok) {
        marline_status status = marline_client_start(a->service.client, &error);
        ok = status == MARLINE_OK ||
             failure_set(a->failure, service_exit_code(status), "%s", error.text);
    }
    if (ok) {
        wait_for_end(a);
    }
    service_close(&a->service, options_whole(&a->settings.options, "drain-timeout-ms"));
    return a->failure->code == EXIT_CODE_OK;
}

static const char *kind_of(const struct endpoint_config *e)
{
    return e->http.url ? "http" : "exec";
}

static void print_plan(const struct agent *a)
{
    const struct config *c = &a->settings.config;
    (void)printf("would serve project %s (%s) at %s:\n", a->settings.connection.project_id,
                 a->settings.connection.environment, a->settings.connection.base_url);
    for (size_t i = 0; i < a->endpoints.declared_count; i++) {
        (void)printf("  %-24s plugin\n", marline_endpoint_declared(i)->name);
    }
    for (size_t i = 0; i < c->endpoint_count; i++) {
        const struct endpoint_config *e = c->endpoints[i];
        (void)printf("  %-24s %s %s\n", e->name, kind_of(e),
                     e->http.url ? e->http.url : e->exec.command.items[0]);
    }
}

static bool prepare(struct agent *a)
{
    return settings_resolve(&a->settings, a->failure) &&
           endpoints_init(&a->endpoints, &a->settings.config, &a->settings.connection, a->failure);
}

static void close_descriptors(struct agent *a)
{
    if (a->signal_fd >= 0) {
        (void)close(a->signal_fd);
    }
    if (a->event_fd >= 0) {
        (void)close(a->event_fd);
    }
}

enum exit_code command_run(int argc, char **argv)
{
    struct failure failure = FAILURE_INIT;
    struct agent agent = {.signal_fd = -1, .event_fd = -1, .failure = &failure};
    settings_init(&agent.settings, own_specs, COUNT(own_specs));
    bool ok = settings_read(&agent.settings, argc, argv, &failure);
    if (ok && agent.settings.options.help) {
        print_help(&agent.settings);
    } else if (ok && prepare(&agent)) {
        if (options_flag(&agent.settings.options, "dry-run")) {
            print_plan(&agent);
        } else {
            (void)serve(&agent);
        }
    }
    close_descriptors(&agent);
    endpoints_deinit(&agent.endpoints);
    settings_deinit(&agent.settings);
    return failure.code ? command_fail("run", &failure) : EXIT_CODE_OK;
}
