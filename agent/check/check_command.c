/* marline-agent check: agent and orchestrator in one process. It registers probes, has the backend
 * run them in scenarios, and shows what each linking point did. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/check/backend_api.h"
#include "agent/check/conductor.h"
#include "agent/check/orchestrator.h"
#include "agent/check/pace.h"
#include "agent/check/probes.h"
#include "agent/check/report.h"
#include "agent/commands.h"
#include "agent/connection.h"
#include "agent/service.h"
#include "base/clock.h"
#include "programs/console.h"
#include "programs/nearest.h"
#include "programs/options.h"
#include "programs/wrap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    WORKER_COUNT = 32, /* every test of every scenario runs at once */
    REGISTER_TIMEOUT_MS = 15000,
    CLOSE_TIMEOUT_MS = 5000,
    SCHEDULE_INTERVAL_MS = 100, /* a schedule needs no long export: gates make the order */
    SCENARIO_COLUMN = 20,       /* of the help: where titles begin */
    INTERVAL_MIN_MS = 20, /* below, the network alone takes longer than a phase of a scenario */
};

static const struct option_spec specs[] = {
    {.name = "scenario",
     .kind = OPTION_LIST,
     .value_name = "NAME",
     .help = "fast, slow, boundary or mixed; repeatable (default: all)"},
    {.name = "schedule",
     .kind = OPTION_TEXT,
     .value_name = "ORDER",
     .help = "play one order of storing and linking instead: two R and two S, such as RSRS"},
    {.name = "export-interval-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .environment = "OTEL_BSP_SCHEDULE_DELAY",
     .default_text = "5000",
     .minimum = INTERVAL_MIN_MS,
     .maximum = 600000,
     .help = "the exporter's tick; every duration of a scenario is a multiple of it"},
    {.name = "time-scale",
     .kind = OPTION_REAL,
     .value_name = "FACTOR",
     .default_text = "1",
     .minimum = 0.01,
     .maximum = 10,
     .help = "shrinks the default tick of 5000 ms, and so every duration, by this factor"},
    {.name = "json", .kind = OPTION_FLAG, .help = "print one JSON object instead of the timelines"},
    {.name = "junit", .kind = OPTION_TEXT, .value_name = "FILE", .help = "also write JUnit XML"},
    FLUSH_OPTION,
    CONNECTION_OPTIONS,
    LOG_OPTIONS("warn"),
};

static void print_help(void)
{
    (void)puts("Usage: marline-agent check [OPTION]…\n"
               "\n"
               "Shows that test results and traces find each other at a backend. Probe endpoints\n"
               "are registered, the backend runs them, results travel over the testing channel\n"
               "and spans over the tracing channel, as ever in either order. A backend tries to\n"
               "link them at two points: point 1 after a result is stored, point 2 after spans\n"
               "are stored. Each scenario makes one of them necessary, and fails when it did not\n"
               "do its work:\n");
    for (size_t i = 0; i < scenario_count(); i++) {
        (void)printf("  %-*s", SCENARIO_COLUMN - 2, scenario_at(i)->name);
        wrap_print(stdout, scenario_at(i)->title, SCENARIO_COLUMN, SCENARIO_COLUMN);
    }
    (void)puts("\n"
               "  marline-agent check                   # all, at the real 5 s: ~16 s\n"
               "  marline-agent check --scenario fast --time-scale 0.2\n"
               "  marline-agent check --flush prompt    # spans first: point 1 links all\n"
               "  marline-agent check --json --junit check.xml\n"
               "\n"
               "With --schedule the backend-mock's gates hold result and spans, and let them in\n"
               "step by step: R stores, then links the result; S stores, then links the spans.\n"
               "So any order is played in milliseconds, whatever the export interval and luck.\n"
               "The backend must be a marline-backend-mock that serves nobody else meanwhile.\n"
               "\n"
               "  marline-agent check --schedule RRSS   # the fast test\n"
               "  marline-agent check --schedule RSRS   # both stored, then both points\n"
               "\n"
               "Options:");
    options_print_help(specs, COUNT(specs), stdout);
    (void)puts("");
    command_print_exit_codes(stdout);
}

struct session {
    struct options options;
    struct connection connection;
    struct service service;
    struct pace pace;
    struct probes *probes;
    struct backend_api *api;
    struct check check;
    struct failure *failure;
};

static uint32_t interval_ms(const struct options *o)
{
    double ms = options_real(o, "export-interval-ms");
    if (options_value(o, "export-interval-ms")->origin == ORIGIN_DEFAULT) {
        ms =
            options_text(o, "schedule") ? SCHEDULE_INTERVAL_MS : ms * options_real(o, "time-scale");
    }
    return ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : (uint32_t)ms;
}

static bool add_scenario(struct session *s, const char *name)
{
    const struct scenario *scenario = scenario_find(name);
    if (scenario) {
        check_add(&s->check, scenario);
        return true;
    }
    const char *near =
        nearest_word(name, &scenario_at(0)->name, scenario_count(), sizeof *scenario_at(0));
    if (near) {
        return failure_set(s->failure, EXIT_CODE_USAGE, "no scenario '%s'; did you mean '%s'?",
                           name, near);
    }
    return failure_set(s->failure, EXIT_CODE_USAGE,
                       "no scenario '%s'; there are fast, slow, boundary and mixed", name);
}

static bool pick_scenarios(struct session *s)
{
    const struct option_value *wanted = options_value(&s->options, "scenario");
    s->check.schedule = options_text(&s->options, "schedule");
    if (s->check.schedule) {
        check_add(&s->check, scenario_scheduled());
        return wanted->count == 0
                   ? schedule_check(s->check.schedule, s->failure)
                   : failure_set(s->failure, EXIT_CODE_USAGE,
                                 "--schedule plays a scenario of its own: leave --scenario out");
    }
    for (size_t i = 0; i < wanted->count; i++) {
        if (!add_scenario(s, wanted->texts[i])) {
            return false;
        }
    }
    for (size_t i = 0; wanted->count == 0 && i < scenario_count(); i++) {
        check_add(&s->check, scenario_at(i));
    }
    return true;
}

static bool read_settings(struct session *s, int argc, char **argv)
{
    struct options *o = &s->options;
    if (!options_read_arguments(o, argc, argv, s->failure) || o->help) {
        return s->failure->code == EXIT_CODE_OK;
    }
    if (o->operand_count) {
        return failure_set(s->failure, EXIT_CODE_USAGE, "unexpected argument '%s'", o->operands[0]);
    }
    return options_read_environment(o, s->failure) && pick_scenarios(s) &&
           connection_resolve(&s->connection, o, s->failure);
}

static bool connect_agent(struct session *s)
{
    bool is_prompt = strcmp(options_text(&s->options, "flush"), "prompt") == 0;
    struct service_options options = {.connection = &s->connection,
                                      .flush =
                                          is_prompt ? MARLINE_FLUSH_PROMPT : MARLINE_FLUSH_BATCH,
                                      .export_interval_ms = interval_ms(&s->options),
                                      .worker_count = WORKER_COUNT};
    if (!service_open(&s->service, &options, s->failure)) {
        return false;
    }
    pace_init(&s->pace, s->service.ticks_start_ns, (uint64_t)interval_ms(&s->options) * NS_PER_MS);
    s->probes = probes_create(&s->pace, is_prompt);
    if (!probes_register(s->probes, s->service.client, s->failure)) {
        return false;
    }
    marline_error error = {0};
    marline_status status = marline_client_start(s->service.client, &error);
    if (!status) {
        status = marline_client_wait_registered(s->service.client, REGISTER_TIMEOUT_MS, &error);
    }
    return status == MARLINE_OK || failure_set(s->failure, service_exit_code(status), "%s%s",
                                               error.text, service_advice(status));
}

static void disconnect_agent(struct session *s)
{
    if (s->probes) {
        pace_stop(&s->pace);
    }
    service_drain(&s->service, CLOSE_TIMEOUT_MS);
    service_close(&s->service, CLOSE_TIMEOUT_MS);
    if (s->probes) {
        probes_destroy(s->probes);
        pace_deinit(&s->pace);
    }
}

static bool write_junit(struct session *s)
{
    const char *path = options_text(&s->options, "junit");
    if (!path) {
        return true;
    }
    FILE *file = fopen(path, "we");
    if (!file) {
        return failure_set(s->failure, EXIT_CODE_USAGE, "--junit %s: %s", path, strerror(errno));
    }
    report_junit(&s->check, file);
    bool is_broken = ferror(file) != 0;
    if (fclose(file) != 0 || is_broken) {
        return failure_set(s->failure, EXIT_CODE_INTERNAL, "--junit %s: %s", path, strerror(errno));
    }
    return true;
}

static enum exit_code report(struct session *s)
{
    bool is_pass = check_is_pass(&s->check);
    if (options_flag(&s->options, "json")) {
        report_json(&s->check, stdout);
        report_failures(&s->check, stderr);
    } else {
        report_text(&s->check, s->connection.base_url, console_has_colour(stdout), stdout);
    }
    if (!write_junit(s)) {
        return command_fail("check", s->failure);
    }
    return is_pass ? EXIT_CODE_OK : EXIT_CODE_CHECK_FAILED;
}

static bool perform(struct session *s)
{
    s->api = backend_api_create(&s->connection);
    if (!backend_api_greet(s->api, s->failure) || !connect_agent(s)) {
        return false;
    }
    s->check.pace = &s->pace;
    s->check.probes = s->probes;
    s->check.api = s->api;
    s->check.client = s->service.client;
    s->check.is_prompt = strcmp(options_text(&s->options, "flush"), "prompt") == 0;
    s->check.shows_progress = isatty(STDERR_FILENO) && console_has_colour(stderr);
    return check_run_all(&s->check, s->failure);
}

enum exit_code command_check(int argc, char **argv)
{
    struct failure failure = FAILURE_INIT;
    struct session s = {.failure = &failure};
    enum exit_code code = EXIT_CODE_OK;
    options_init(&s.options, specs, COUNT(specs));
    if (!read_settings(&s, argc, argv)) {
        code = command_fail("check", &failure);
    } else if (s.options.help) {
        print_help();
    } else {
        bool ok = perform(&s);
        code = ok ? report(&s) : command_fail("check", &failure);
        disconnect_agent(&s);
    }
    check_deinit(&s.check);
    backend_api_destroy(s.api);
    connection_deinit(&s.connection);
    options_deinit(&s.options);
    return code;
}
