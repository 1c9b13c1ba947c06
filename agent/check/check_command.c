/* marline-agent check: agent and orchestrator in one process. It registers probes, has the backend
 * run them in scenarios, and shows what each linking point did. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "agent/check/backend_api.h"
#include "agent/check/conductor.h"
#include "agent/check/orchestrator.h"
#include "agent/check/own_backend.h"
#include "agent/check/pace.h"
#include "agent/check/probes.h"
#include "agent/check/report.h"
#include "agent/check/span_tap.h"
#include "agent/commands.h"
#include "agent/connection.h"
#include "agent/service.h"
#include "base/clock.h"
#include "programs/console.h"
#include "programs/must.h"
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
     .help = "one of those above, or all; repeatable (default: those that disturb nothing)"},
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
    {.name = "patience-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .default_text = "15000",
     .minimum = 1000,
     .maximum = 600000,
     .help = "how long to wait for what should have come"},
    {.name = "json", .kind = OPTION_FLAG, .help = "print one JSON object instead of the timelines"},
    {.name = "junit", .kind = OPTION_TEXT, .value_name = "FILE", .help = "also write JUnit XML"},
    {.name = "flush",
     .kind = OPTION_CHOICE,
     .value_name = "MODE",
     .environment = "MARLINE_FLUSH",
     .default_text = "batch",
     .choices = "batch|prompt|both",
     .help = "batch: with the next export; prompt: at once, and the result after them; both: one "
             "after the other, and a comparison"},
    {.name = "self-contained",
     .kind = OPTION_FLAG,
     .help = "check a backend-mock of its own, started for it; the default where no base URL, key "
             "and project are given"},
    {.name = "backend-program",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "what to start then; takes the options of marline-backend-mock serve (default: the "
             "marline-backend-mock beside this program)"},
    CONNECTION_OPTIONS,
    LOG_OPTIONS("error"),
};

static void print_scenarios(bool is_disturbing)
{
    for (size_t i = 0; i < scenario_count(); i++) {
        const struct scenario *s = scenario_at(i);
        if ((s->disturbance != DISTURB_NOTHING) == is_disturbing) {
            (void)printf("  %-*s", SCENARIO_COLUMN - 2, s->name);
            wrap_print(stdout, s->title, SCENARIO_COLUMN, SCENARIO_COLUMN);
        }
    }
}

static void print_help(void)
{
    (void)puts("Usage: marline-agent check [OPTION]…\n"
               "\n"
               "Shows that test results and traces find each other at a backend. Probe endpoints\n"
               "are registered, the backend runs them, results travel over the testing channel\n"
               "and spans over the tracing channel, as ever in either order. A backend tries to\n"
               "link them at two points: point 1 after a result is stored, point 2 after spans\n"
               "are stored. Each scenario makes one of them necessary, or breaks something on\n"
               "the way, and fails when a span is not linked as it should be:\n");
    print_scenarios(false);
    (void)puts("\nWith --scenario all also those that disturb, one by one:\n");
    print_scenarios(true);
    (void)puts("\n"
               "  marline-agent check                   # no backend at hand? it brings its own\n"
               "  marline-agent check --scenario all --time-scale 0.2\n"
               "  marline-agent check --flush both      # what prompt buys, side by side\n"
               "  marline-agent check --json --junit check.xml\n"
               "\n"
               "Any backend of the platform can be checked. One without the backend-mock's\n"
               "control routes shows which spans are linked, not by which point; scenarios that\n"
               "need those routes are then reported as not judged.\n"
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

/* One pass through the scenarios, with one way to flush. */
struct rehearsal {
    const struct session *session;
    bool is_prompt;
    struct service service;
    struct pace pace;
    struct span_tap *tap;
    struct probes *probes;
    struct check check;
};

enum { REHEARSALS_MAX = 2 };

struct session {
    struct options options;
    struct connection connection;
    struct own_backend backend;
    struct backend_api *api;
    struct rehearsal rehearsals[REHEARSALS_MAX];
    size_t count;
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

static void add_to_all(struct session *s, const struct scenario *scenario)
{
    for (size_t i = 0; i < s->count; i++) {
        check_add(&s->rehearsals[i].check, scenario);
    }
}

static void add_scenarios(struct session *s, bool disturbing_too)
{
    for (size_t i = 0; i < scenario_count(); i++) {
        if (disturbing_too || scenario_at(i)->disturbance == DISTURB_NOTHING) {
            add_to_all(s, scenario_at(i));
        }
    }
}

static bool refuse_scenario(struct session *s, const char *name)
{
    const char *near =
        nearest_word(name, &scenario_at(0)->name, scenario_count(), sizeof *scenario_at(0));
    struct buffer all = BUFFER_INIT;
    for (size_t i = 0; i < scenario_count(); i++) {
        marline__buffer_append_format(&all, "%s, ", scenario_at(i)->name);
    }
    must_buffer(&all);
    if (near) {
        failure_set(s->failure, EXIT_CODE_USAGE, "no scenario '%s'; did you mean '%s'?", name,
                    near);
    } else {
        failure_set(s->failure, EXIT_CODE_USAGE, "no scenario '%s'; there are %sand all", name,
                    all.data);
    }
    marline__buffer_deinit(&all);
    return false;
}

static bool add_scenario(struct session *s, const char *name)
{
    const struct scenario *scenario = scenario_find(name);
    if (scenario) {
        add_to_all(s, scenario);
    } else if (strcmp(name, "all") == 0) {
        add_scenarios(s, true);
    } else {
        return refuse_scenario(s, name);
    }
    return true;
}

static bool pick_scenarios(struct session *s)
{
    const struct option_value *wanted = options_value(&s->options, "scenario");
    const char *schedule = options_text(&s->options, "schedule");
    if (schedule) {
        add_to_all(s, scenario_scheduled());
        return wanted->count == 0
                   ? schedule_check(schedule, s->failure)
                   : failure_set(s->failure, EXIT_CODE_USAGE,
                                 "--schedule plays a scenario of its own: leave --scenario out");
    }
    for (size_t i = 0; i < wanted->count; i++) {
        if (!add_scenario(s, wanted->texts[i])) {
            return false;
        }
    }
    if (wanted->count == 0) {
        add_scenarios(s, false);
    }
    return true;
}

static void pick_rehearsals(struct session *s)
{
    const char *flush = options_text(&s->options, "flush");
    bool is_both = strcmp(flush, "both") == 0;
    s->count = is_both ? 2 : 1;
    for (size_t i = 0; i < s->count; i++) {
        struct rehearsal *r = &s->rehearsals[i];
        r->session = s;
        r->is_prompt = is_both ? i == 1 : strcmp(flush, "prompt") == 0;
        r->check.is_prompt = r->is_prompt;
        r->check.patience_ms = (double)options_whole(&s->options, "patience-ms");
        r->check.schedule = options_text(&s->options, "schedule");
        r->check.shows_progress = isatty(STDERR_FILENO) && console_has_colour(stderr);
    }
}

/* Nobody has said a word about a backend: it is the first command that somebody tries. */
static bool names_no_backend(const struct options *o)
{
    return options_value(o, "base-url")->origin == ORIGIN_DEFAULT && !options_text(o, "api-key") &&
           !options_text(o, "api-key-file") && !options_text(o, "project-id");
}

/* The settings of a backend of the check's own are stronger than any others. */
static bool use_own_backend(struct session *s)
{
    struct own_backend *b = &s->backend;
    struct options *o = &s->options;
    if (!own_backend_start(b, options_text(o, "backend-program"), s->failure)) {
        return false;
    }
    (void)fprintf(stderr, "checking a backend of its own, at %s\n", b->base_url);
    return options_set(o, "base-url", b->base_url, ORIGIN_FLAG, NULL, s->failure) &&
           options_set(o, "api-key", b->api_key, ORIGIN_FLAG, NULL, s->failure) &&
           options_set(o, "project-id", b->project_id, ORIGIN_FLAG, NULL, s->failure);
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
    if (!options_read_environment(o, s->failure)) {
        return false;
    }
    pick_rehearsals(s);
    bool is_own = options_flag(o, "self-contained") || names_no_backend(o);
    return pick_scenarios(s) && (!is_own || use_own_backend(s)) &&
           connection_resolve(&s->connection, o, s->failure);
}

/* ---- the agent ---- */

static bool open_agent(struct rehearsal *r, struct failure *f)
{
    const struct session *s = r->session;
    struct service_options options = {.connection = &s->connection,
                                      .flush =
                                          r->is_prompt ? MARLINE_FLUSH_PROMPT : MARLINE_FLUSH_BATCH,
                                      .export_interval_ms = interval_ms(&s->options),
                                      .worker_count = WORKER_COUNT,
                                      .wrap = span_tap_insert,
                                      .wrap_user = r->tap};
    return service_open(&r->service, &options, f);
}

static bool start_agent(struct rehearsal *r, struct failure *f)
{
    if (!probes_register(r->probes, r->service.client, f)) {
        return false;
    }
    marline_error error = {0};
    marline_status status = marline_client_start(r->service.client, &error);
    if (!status) {
        status = marline_client_wait_registered(r->service.client, REGISTER_TIMEOUT_MS, &error);
    }
    return status == MARLINE_OK ||
           failure_set(f, service_exit_code(status), "%s%s", error.text, service_advice(status));
}

static void close_agent(struct rehearsal *r)
{
    uint64_t patience_ms = (uint64_t)r->check.patience_ms;
    uint64_t timeout_ms = patience_ms < CLOSE_TIMEOUT_MS ? patience_ms : CLOSE_TIMEOUT_MS;
    service_drain(&r->service, timeout_ms);
    service_close(&r->service, timeout_ms);
}

static bool restart_agent(void *user, struct failure *f)
{
    struct rehearsal *r = user;
    close_agent(r);
    bool is_open = open_agent(r, f);
    pace_restart(&r->pace, r->service.ticks_start_ns);
    return is_open && start_agent(r, f);
}

/* ---- a rehearsal ---- */

static bool prepare(struct session *s, struct rehearsal *r)
{
    r->tap = span_tap_create();
    if (!open_agent(r, s->failure)) {
        return false;
    }
    pace_init(&r->pace, r->service.ticks_start_ns, (uint64_t)interval_ms(&s->options) * NS_PER_MS);
    r->probes = probes_create(&r->pace, r->tap, r->is_prompt);
    r->check.pace = &r->pace;
    r->check.probes = r->probes;
    r->check.api = s->api;
    r->check.knows_points = backend_api_is_mock(s->api);
    r->check.client = &r->service.client;
    r->check.tools = (struct disturbance_tools){.api = s->api,
                                                .tap = r->tap,
                                                .backend = s->backend.pid ? &s->backend : NULL,
                                                .restart_agent = restart_agent,
                                                .user = r};
    return start_agent(r, s->failure);
}

static bool rehearse(struct session *s, struct rehearsal *r)
{
    bool ok = prepare(s, r) && check_run_all(&r->check, s->failure);
    if (r->probes) {
        pace_stop(&r->pace);
    }
    close_agent(r);
    r->check.posts = r->tap ? span_tap_counts(r->tap).exports : 0;
    return ok;
}

static void end_rehearsal(struct rehearsal *r)
{
    check_deinit(&r->check);
    if (r->probes) {
        probes_destroy(r->probes);
        pace_deinit(&r->pace);
    }
    span_tap_destroy(r->tap);
}

static bool perform(struct session *s)
{
    s->api = backend_api_create(&s->connection);
    bool ok = backend_api_greet(s->api, s->failure);
    if (ok && options_text(&s->options, "schedule") && !backend_api_is_mock(s->api)) {
        return failure_set(s->failure, EXIT_CODE_CONFIGURATION,
                           "--schedule needs the gates of a marline-backend-mock, and %s has no "
                           "/mock routes",
                           s->connection.base_url);
    }
    for (size_t i = 0; ok && i < s->count; i++) {
        ok = rehearse(s, &s->rehearsals[i]);
    }
    return ok;
}

/* ---- the outcome ---- */

static bool write_junit(struct session *s, const struct check *const *checks)
{
    const char *path = options_text(&s->options, "junit");
    if (!path) {
        return true;
    }
    FILE *file = fopen(path, "we");
    if (!file) {
        return failure_set(s->failure, EXIT_CODE_USAGE, "--junit %s: %s", path, strerror(errno));
    }
    report_junit(checks, s->count, file);
    bool is_broken = ferror(file) != 0;
    if (fclose(file) != 0 || is_broken) {
        return failure_set(s->failure, EXIT_CODE_INTERNAL, "--junit %s: %s", path, strerror(errno));
    }
    return true;
}

static void print_reports(const struct session *s, const struct check *const *checks)
{
    if (options_flag(&s->options, "json")) {
        report_json(checks, s->count, stdout);
        for (size_t i = 0; i < s->count; i++) {
            report_failures(checks[i], stderr);
        }
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        report_text(checks[i], s->connection.base_url, console_has_colour(stdout), stdout);
    }
    if (s->count == 2) {
        report_comparison(checks[0], checks[1], stdout);
    }
}

static enum exit_code report(struct session *s)
{
    const struct check *checks[REHEARSALS_MAX];
    bool is_pass = true;
    size_t judged = 0;
    for (size_t i = 0; i < s->count; i++) {
        checks[i] = &s->rehearsals[i].check;
        is_pass = is_pass && check_is_pass(checks[i]);
        judged += check_count_judged(checks[i]);
    }
    print_reports(s, checks);
    if (!write_junit(s, checks)) {
        return command_fail("check", s->failure);
    }
    if (judged == 0) {
        failure_set(s->failure, EXIT_CODE_CONFIGURATION, "nothing could be judged at this backend");
        return command_fail("check", s->failure);
    }
    return is_pass ? EXIT_CODE_OK : EXIT_CODE_CHECK_FAILED;
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
        code = perform(&s) ? report(&s) : command_fail("check", &failure);
    }
    for (size_t i = 0; i < s.count; i++) {
        end_rehearsal(&s.rehearsals[i]);
    }
    backend_api_destroy(s.api);
    connection_deinit(&s.connection);
    own_backend_stop(&s.backend);
    options_deinit(&s.options);
    return code;
}
