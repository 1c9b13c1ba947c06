/* marline-agent run: serves endpoints until told to stop.
 *
 * The main thread owns the agent: it starts and ends it, and reloads its configuration. News come
 * from other threads, the client's and the signal watch's, as atomics and one wake-up (wake_fd).
 *     1st SIGTERM or SIGINT  drains: nothing new is accepted, what runs may finish, results and
 *                            spans are delivered, all within --drain-timeout-ms
 *     2nd                    cancels what still runs
 *     3rd                    leaves at once
 *     SIGHUP                 reads the configuration again, on the same connection */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/commands.h"
#include "agent/diagnosis.h"
#include "agent/endpoints.h"
#include "agent/health.h"
#include "agent/notify.h"
#include "agent/service.h"
#include "agent/settings.h"
#include "base/clock.h"
#include "programs/logger.h"
#include "programs/must.h"
#include "programs/signal_watch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    FLUSH_MIN_MS = 1000, /* a drain that used all its time still gets this to post its spans */
    LOOK_MS = 1000,
};

static const struct option_spec own_specs[] = {
    {.name = "health-listen",
     .kind = OPTION_TEXT,
     .value_name = "HOST:PORT",
     .environment = "MARLINE_HEALTH_LISTEN",
     .in_file = true,
     .help = "serve /healthz, /readyz and /metrics there"},
    {.name = "once", .kind = OPTION_FLAG, .help = "end after the first result has been sent"},
    {.name = "dry-run",
     .kind = OPTION_FLAG,
     .help = "read the settings, load the plugins, say what would be served, and end"},
};

static void print_help(const struct settings *s)
{
    (void)puts("Usage: marline-agent run [OPTION]…\n"
               "\n"
               "Serves endpoints: holds the testing channel, runs what the backend asks for,\n"
               "sends the results, and exports the spans of each invocation.\n"
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

/* What one reading of the configuration gave. Earlier ones are kept to the end: calls that began
 * under them may still run. */
struct generation {
    struct settings settings;
    struct endpoints endpoints;
    struct generation *previous;
};

struct agent {
    int argc;
    char **argv;
    struct generation *current;
    const struct settings *settings; /* of the first generation: what a reload cannot change */
    struct service service;
    struct signal_watch signals;
    struct health_facts facts;
    struct health *health;
    struct failure *failure;
    struct diagnosis *diagnosis;
    int wake_fd;
    atomic_uint stop_signals;
    atomic_bool wants_reload;
    atomic_bool has_failed;    /* the client, for good */
    atomic_bool is_struggling; /* an attempt to connect has failed since the last look */
    atomic_bool has_served;    /* a result has been sent */
    bool is_announced;         /* the service manager knows that the agent is ready */
    bool is_refusal_told;      /* the log knows that the backend refuses the registration */
};

static void wake(struct agent *a)
{
    if (eventfd_write(a->wake_fd, 1)) {
        logger_write(LOG_ERROR, "cannot wake the main thread: %s", strerror(errno));
    }
}

/* ---- generations ---- */

static void destroy_generation(struct generation *g)
{
    while (g) {
        struct generation *previous = g->previous;
        endpoints_deinit(&g->endpoints);
        settings_deinit(&g->settings);
        marline__memory_free(g);
        g = previous;
    }
}

/* Returns owned, with the settings read and nothing else done; NULL after a failure. */
static struct generation *read_generation(int argc, char **argv, struct failure *f)
{
    struct generation *g = must_zeroed(sizeof *g);
    settings_init(&g->settings, own_specs, COUNT(own_specs));
    if (!settings_read(&g->settings, argc, argv, f)) {
        destroy_generation(g);
        return NULL;
    }
    return g;
}

/* What is wrong with the new configuration is logged, and the old one stays. */
static void reload(struct agent *a)
{
    struct failure failure = FAILURE_INIT;
    struct generation *g = read_generation(a->argc, a->argv, &failure);
    const struct config *old = &a->current->settings.config;
    if (!g || !endpoints_init(&g->endpoints, &g->settings.config, old, &a->settings->connection,
                              &failure)) {
        logger_write(LOG_ERROR, "configuration not reloaded: %s", failure.text);
        destroy_generation(g);
        return;
    }
    endpoints_remove(old, a->service.client);
    g->previous = a->current;
    a->current = g;
    if (endpoints_add(&g->endpoints, &g->settings.config, a->service.client, &failure)) {
        logger_write(LOG_INFO, "configuration reloaded: %zu endpoints of it, %zu of plugins",
                     g->settings.config.endpoint_count, marline_endpoint_declared_count());
    } else {
        logger_write(LOG_ERROR, "configuration reloaded in part: %s", failure.text);
    }
}

/* ---- news ---- */

/* The library logs each change itself; what is added here is what a person waits for. */
static void take_state(struct agent *a, const marline_client_event *event)
{
    bool is_ready = event->state == MARLINE_CLIENT_REGISTERED;
    int before = atomic_exchange(&a->facts.state, (int)event->state);
    if (is_ready) {
        atomic_store(&a->facts.away_since_ns, 0);
        atomic_fetch_add(&a->facts.connections, 1);
        logger_write(LOG_INFO, "registered with %s, ready for tests",
                     a->settings->connection.base_url);
    } else if (event->state == MARLINE_CLIENT_CONNECTING && before == MARLINE_CLIENT_CONNECTING) {
        atomic_store(&a->is_struggling, true);
    } else if (before == MARLINE_CLIENT_REGISTERED) {
        atomic_store(&a->facts.away_since_ns, marline__clock_monotonic_ns(marline__clock_system()));
    }
    atomic_store(&a->has_failed, event->state == MARLINE_CLIENT_FAILED);
    wake(a);
}

static void take_invocation_end(struct agent *a, const marline_client_event *event)
{
    atomic_fetch_sub(&a->facts.invocations_running, 1);
    if (event->text) {
        atomic_fetch_add(&a->facts.invocations_failed, 1);
        logger_write(LOG_WARN, "%s: invocation %s failed: %s", event->endpoint,
                     event->invocation_id, event->text);
    } else {
        logger_write(LOG_INFO, "%s: invocation %s succeeded", event->endpoint,
                     event->invocation_id);
    }
}

static void on_event(void *user, const marline_client_event *event)
{
    struct agent *a = user;
    switch (event->type) {
    case MARLINE_CLIENT_EVENT_STATE:
        take_state(a, event);
        break;
    case MARLINE_CLIENT_EVENT_INVOCATION_START:
        atomic_fetch_add(&a->facts.invocations, 1);
        atomic_fetch_add(&a->facts.invocations_running, 1);
        logger_write(LOG_DEBUG, "%s: invocation %s starts", event->endpoint, event->invocation_id);
        break;
    case MARLINE_CLIENT_EVENT_INVOCATION_END:
        take_invocation_end(a, event);
        break;
    case MARLINE_CLIENT_EVENT_RESULT_SENT:
        atomic_fetch_add(&a->facts.results_sent, 1);
        atomic_store(&a->has_served, true);
        wake(a);
        break;
    }
}

/* On the watch's thread. */
static void on_signal(void *user, int signal_number)
{
    struct agent *a = user;
    if (signal_number == SIGHUP) {
        atomic_store(&a->wants_reload, true);
        wake(a);
        return;
    }
    unsigned count = atomic_fetch_add(&a->stop_signals, 1) + 1;
    if (count == 1) {
        logger_write(LOG_INFO, "%s received: finishing what runs, within %" PRIu64 " ms",
                     signal_number == SIGINT ? "SIGINT" : "SIGTERM",
                     options_whole(&a->settings->options, "drain-timeout-ms"));
        wake(a);
    } else if (count == 2) {
        logger_write(LOG_WARN, "second signal: canceling what still runs");
        (void)marline_client_stop(a->service.client, 0);
    } else {
        _Exit(128 + signal_number);
    }
}

/* ---- the run ---- */

static void announce(struct agent *a)
{
    if (atomic_load(&a->facts.state) == MARLINE_CLIENT_REGISTERED) {
        a->is_refusal_told = false;
        diagnosis_forget(a->diagnosis);
        if (!a->is_announced) {
            notify_send("READY=1\nSTATUS=Ready for tests");
            a->is_announced = true;
        }
        return;
    }
    if (atomic_exchange(&a->is_struggling, false)) {
        diagnosis_ask(a->diagnosis);
    }
    /* The library has logged the refusal itself; what to do about it is added here. */
    if (!a->is_refusal_told &&
        marline_client_wait_registered(a->service.client, 0, NULL) == MARLINE_EREJECTED) {
        logger_write(LOG_ERROR, "registration refused%s; marline-agent doctor tells more",
                     service_advice(MARLINE_EREJECTED));
        a->is_refusal_told = true;
    }
}

static bool is_over(struct agent *a)
{
    if (atomic_load(&a->has_failed)) {
        /* The log has the refusal; what a person reads last is what to do about it. */
        marline_status status = marline_client_wait_registered(a->service.client, 0, NULL);
        failure_set(a->failure, service_exit_code(status), "the backend refuses this agent%s",
                    service_advice(status));
        return true;
    }
    bool is_served = options_flag(&a->settings->options, "once") && atomic_load(&a->has_served);
    return is_served || atomic_load(&a->stop_signals) > 0;
}

/* A refused registration makes no event, so as long as the agent is not ready it looks. */
static int poll_timeout_ms(struct agent *a, uint64_t watchdog_ms)
{
    bool is_ready = atomic_load(&a->facts.state) == MARLINE_CLIENT_REGISTERED;
    uint64_t wanted = is_ready ? watchdog_ms : LOOK_MS;
    wanted = watchdog_ms && watchdog_ms < wanted ? watchdog_ms : wanted;
    return wanted ? (int)wanted : -1;
}

static void wait_for_end(struct agent *a)
{
    uint64_t watchdog_ms = notify_watchdog_interval_ms();
    while (!is_over(a)) {
        eventfd_t ignored;
        struct pollfd end = {a->wake_fd, POLLIN, 0};
        (void)poll(&end, 1, poll_timeout_ms(a, watchdog_ms));
        (void)eventfd_read(a->wake_fd, &ignored);
        if (watchdog_ms) {
            notify_send("WATCHDOG=1");
        }
        announce(a);
        if (atomic_exchange(&a->wants_reload, false)) {
            reload(a);
        }
    }
}

static void drain(struct agent *a)
{
    uint64_t timeout_ms = options_whole(&a->settings->options, "drain-timeout-ms");
    uint64_t start = marline__clock_monotonic_ns(marline__clock_system());
    notify_send("STOPPING=1\nSTATUS=Finishing what runs");
    service_drain(&a->service, timeout_ms);
    /* From here on there is nothing left to cancel: a signal takes its default course. */
    signal_watch_stop(&a->signals);
    health_stop(a->health);
    uint64_t used_ms = (marline__clock_monotonic_ns(marline__clock_system()) - start) / NS_PER_MS;
    uint64_t left_ms = timeout_ms > used_ms ? timeout_ms - used_ms : 0;
    service_close(&a->service, left_ms > FLUSH_MIN_MS ? left_ms : FLUSH_MIN_MS);
}

static bool open_health(struct agent *a)
{
    const char *address = options_text(&a->settings->options, "health-listen");
    a->facts.provider = a->service.provider;
    a->facts.client = a->service.client;
    if (!address) {
        return true;
    }
    a->health = health_start(address, &a->facts, a->failure);
    if (a->health) {
        logger_write(LOG_INFO, "health on port %u", health_port(a->health));
    }
    return a->health != NULL;
}

static bool start(struct agent *a)
{
    const struct options *o = &a->settings->options;
    struct service_options options = {
        .connection = &a->settings->connection,
        .export_interval_ms = (uint32_t)options_whole(o, "export-interval-ms"),
        .worker_count = (uint32_t)options_whole(o, "concurrency"),
        .flush = strcmp(options_text(o, "flush"), "prompt") == 0 ? MARLINE_FLUSH_PROMPT
                                                                 : MARLINE_FLUSH_BATCH,
        .outbox_path = options_text(o, "outbox"),
        .outbox_durable = options_flag(o, "durable"),
        .spool_path = options_text(o, "spool"),
        .on_event = on_event,
        .user = a};
    if (!service_open(&a->service, &options, a->failure) || !open_health(a) ||
        !endpoints_add(&a->current->endpoints, &a->current->settings.config, a->service.client,
                       a->failure) ||
        !signal_watch_start(&a->signals, on_signal, a, a->failure)) {
        return false;
    }
    marline_error error = {0};
    marline_status status = marline_client_start(a->service.client, &error);
    return status == MARLINE_OK ||
           failure_set(a->failure, service_setup_exit_code(status), "%s", error.text);
}

static void serve(struct agent *a)
{
    signal_watch_block(&a->signals);
    a->diagnosis = diagnosis_create(&a->settings->connection);
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_store(&a->facts.away_since_ns, marline__clock_monotonic_ns(marline__clock_system()));
    if (a->wake_fd < 0) {
        failure_set(a->failure, EXIT_CODE_INTERNAL, "eventfd: %s", strerror(errno));
    } else if (start(a)) {
        wait_for_end(a);
    }
    drain(a);
    diagnosis_destroy(a->diagnosis);
    if (a->wake_fd >= 0) {
        (void)close(a->wake_fd);
    }
}

static void print_target(const struct endpoint_config *e)
{
    if (e->http.url) {
        (void)printf("http    %s %s\n", e->http.method ? e->http.method : "POST", e->http.url);
        return;
    }
    (void)printf("exec   ");
    for (size_t i = 0; i < e->exec.command.count; i++) {
        (void)printf(" %s", e->exec.command.items[i]);
    }
    (void)printf("%s\n", e->exec.is_long_lived ? " (long-lived)" : "");
}

/* The limits that were read, so that a slip of a zero shows. */
static void print_limits(const struct endpoint_config *e)
{
    (void)printf("    %-22s         timeout %" PRIu64 " ms, ", "", e->timeout_ms);
    if (e->concurrency) {
        (void)printf("%" PRIu64 " at once, ", e->concurrency);
    }
    (void)printf("output up to %" PRIu64 " bytes\n", e->output_max);
}

static void print_plan(const struct generation *g)
{
    const struct config *c = &g->settings.config;
    const struct options *o = &g->settings.options;
    (void)printf("settings are in order: project %s (%s) at %s\n",
                 g->settings.connection.project_id, g->settings.connection.environment,
                 g->settings.connection.base_url);
    (void)printf("would serve, at most %s at once, spans every %s ms, flush %s, outbox %s:\n",
                 options_text(o, "concurrency"), options_text(o, "export-interval-ms"),
                 options_text(o, "flush"),
                 options_text(o, "outbox") ? options_text(o, "outbox") : "none");
    for (size_t i = 0; i < g->endpoints.declared_count; i++) {
        (void)printf("  %-24s plugin, loaded\n", marline_endpoint_declared(i)->name);
    }
    for (size_t i = 0; i < marline_metric_declared_count(); i++) {
        (void)printf("  %-24s metric, plugin, loaded\n", marline_metric_declared(i)->name);
    }
    for (size_t i = 0; i < c->endpoint_count; i++) {
        (void)printf("  %-24s %s", c->endpoints[i]->name,
                     c->endpoints[i]->is_metric ? "metric, " : "");
        print_target(c->endpoints[i]);
        print_limits(c->endpoints[i]);
    }
    (void)puts("programs were found, and may be run; the backend was not asked: "
               "marline-agent doctor does");
}

static void run(struct generation *g, int argc, char **argv, struct failure *f)
{
    struct settings *s = &g->settings;
    if (!settings_resolve(s, f) ||
        !endpoints_init(&g->endpoints, &s->config, NULL, &s->connection, f)) {
        return;
    }
    if (options_flag(&s->options, "dry-run")) {
        print_plan(g);
        return;
    }
    struct agent a = {
        .argc = argc, .argv = argv, .current = g, .settings = s, .wake_fd = -1, .failure = f};
    serve(&a);
    /* The first generation is the caller's. */
    while (a.current != g) {
        struct generation *newer = a.current;
        a.current = newer->previous;
        newer->previous = NULL;
        destroy_generation(newer);
    }
}

enum exit_code command_run(int argc, char **argv)
{
    struct failure failure = FAILURE_INIT;
    struct generation *g = read_generation(argc, argv, &failure);
    if (g && g->settings.options.help) {
        print_help(&g->settings);
    } else if (g) {
        run(g, argc, argv, &failure);
    }
    destroy_generation(g);
    return failure.code ? command_fail("run", &failure) : EXIT_CODE_OK;
}
