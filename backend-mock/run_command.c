/* marline-backend-mock run: a whole run of tests in one command. It starts a backend of its own (or
 * talks to another), starts an agent, waits until the endpoints are served, runs the tests, waits
 * until the traces are linked, prints a table, and ends everything that it started.
 *
 * The main thread does all of it. Signals come from the signal watch as a count and a wake-up:
 *     1st SIGINT, SIGTERM or SIGHUP   cancels the run, and still reports what there is
 *     2nd                             ends at once; the agent is killed */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backend.h"
#include "base/clock.h"
#include "commands.h"
#include "programs/console.h"
#include "programs/logger.h"
#include "programs/must.h"
#include "programs/nearest.h"
#include "programs/options.h"
#include "programs/signal_watch.h"
#include "run/agent_process.h"
#include "run/backend_client.h"
#include "run/progress.h"
#include "run/run_report.h"
#include "run/suite.h"
#include "wire/json_reader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    LOOK_MS = 100,         /* between two looks at what is waited for */
    WAIT_MS = 250,         /* of one request that waits for the end: so soon is a signal heard */
    AGENT_STOP_MS = 25000, /* longer than the agent's own time to drain */
    AGENT_STOP_SOON_MS = 5000, /* after a signal */
    EXIT_CODE_SIGNAL = 128,
};

static const struct option_spec specs[] = {
    {.name = "with-agent",
     .kind = OPTION_TEXT,
     .value_name = "CONFIG",
     .help = "start a marline-agent with this configuration, and end it afterwards"},
    {.name = "against",
     .kind = OPTION_TEXT,
     .value_name = "URL",
     .help = "use this backend instead of a private one; needs the key"},
    {.name = "api-key",
     .kind = OPTION_TEXT,
     .value_name = "KEY",
     .environment = "RHESIS_API_KEY",
     .secret = true,
     .help = "key for --against; other users can see it here: prefer the variable"},
    {.name = "project-id",
     .kind = OPTION_TEXT,
     .value_name = "UUID",
     .environment = "RHESIS_PROJECT_ID",
     .help = "project for --against; else the one that the key belongs to"},
    {.name = "environment",
     .kind = OPTION_TEXT,
     .value_name = "NAME",
     .environment = "RHESIS_ENVIRONMENT",
     .help = "where the endpoints are served; stronger than the file's (default development)"},
    {.name = "store",
     .kind = OPTION_TEXT,
     .value_name = "LOCATION",
     .default_text = "sqlite::memory:",
     .help = "where the private backend keeps its data: sqlite:PATH to look at it later"},
    {.name = "junit",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "write the results as JUnit XML"},
    {.name = "json", .kind = OPTION_FLAG, .help = "print the run as JSON instead of the table"},
    {.name = "quiet",
     .kind = OPTION_FLAG,
     .help = "print nothing but what keeps the tests from running"},
    {.name = "require-links",
     .kind = OPTION_FLAG,
     .help = "fail when a trace is not wholly linked to its result"},
    {.name = "ready-timeout-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .default_text = "30000",
     .minimum = 100,
     .maximum = 600000,
     .help = "how long to wait until all endpoints are served"},
    {.name = "link-timeout-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .default_text = "10000",
     .minimum = 0,
     .maximum = 600000,
     .help = "how long to wait for traces after the last result"},
    {.name = "agent-log",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "keep what the agent writes; else its last lines show when it fails"},
    {.name = "agent-program",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "marline-agent to start; else the one beside this program, or in PATH"},
};

struct runner {
    struct options options;
    struct suite suite;
    struct backend backend;
    bool has_backend;
    struct agent_process agent;
    struct backend_client *client;
    struct progress progress;
    struct run_report report;
    struct signal_watch signals;
    int wake_fd;
    atomic_int signal_count;
    atomic_int first_signal;
    const char *base_url;
    const char *api_key;
    char project[UUID_TEXT_SIZE];
    const char *environment;
    char run[UUID_TEXT_SIZE];
    uint64_t started_ns;
    double seconds; /* of the run */
};

static void print_help(void)
{
    (void)fputs("Usage: marline-backend-mock run FILE [OPTION]…\n"
                "\n"
                "Runs the tests of a YAML or JSON file and exits with the verdict.\n"
                "\n"
                "  marline-backend-mock run tests.yaml --with-agent agent.yaml --junit report.xml\n"
                "  marline-backend-mock run tests.yaml --against http://127.0.0.1:8080\n"
                "\n"
                "  # tests.yaml\n"
                "  concurrency: 4\n"
                "  tests:\n"
                "    - name: greets by name\n"
                "      endpoint: greet\n"
                "      inputs: {name: Ada}\n"
                "      expect: {pointer: /output, equals: \"Hello, Ada!\"}\n"
                "      timeout_ms: 2000\n"
                "      retries: 1\n"
                "\n"
                "Options:\n",
                stdout);
    options_print_help(specs, COUNT(specs), stdout);
    (void)fputs("\n"
                "Exit codes:\n"
                "  0    every test passed\n"
                "  1    a test failed, ended in error or was skipped; with --require-links also:\n"
                "       a trace is not wholly linked\n"
                "  2    wrong command line\n"
                "  3    the file of tests, the agent's configuration or an output file is faulty\n"
                "  4    backend not reached, the agent ended early, or endpoints are not served\n"
                "  5    key or project refused\n"
                "  70   internal error, or out of memory\n"
                "  129, 130, 143  cancelled by SIGHUP, SIGINT, SIGTERM\n",
                stdout);
}

/* ---- time and signals ---- */

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

static void take_signal(void *user, int signal_number)
{
    struct runner *r = user;
    int none = 0;
    (void)atomic_compare_exchange_strong(&r->first_signal, &none, signal_number);
    atomic_fetch_add(&r->signal_count, 1);
    if (eventfd_write(r->wake_fd, 1)) {
        logger_write(LOG_ERROR, "cannot wake the main thread: %s", strerror(errno));
    }
}

static bool is_interrupted(const struct runner *r)
{
    return atomic_load(&r->signal_count) > 0;
}

/* Ends a request under way: before the run there is nothing worth waiting for, after the first
 * signal there is (cancelling, reporting), after the second no more. */
static bool must_give_up(void *user)
{
    const struct runner *r = user;
    return atomic_load(&r->signal_count) > (r->run[0] ? 1 : 0);
}

/* False when a signal came. */
static bool pause_for(struct runner *r, int ms)
{
    struct pollfd wake = {.fd = r->wake_fd, .events = POLLIN};
    if (!is_interrupted(r)) {
        (void)poll(&wake, 1, ms);
    }
    return !is_interrupted(r);
}

static bool fail_interrupted(struct failure *f)
{
    return failure_set(f, EXIT_CODE_INTERNAL, "interrupted before the tests were started");
}

/* ---- backend and agent ---- */

static bool start_backend(struct runner *r, struct failure *f)
{
    const struct backend_settings settings = {
        .listen = "127.0.0.1:0",
        .store = options_text(&r->options, "store"),
        .agent_limits = {AGENT_MESSAGE_SIZE_MAX, 0, 0}, /* our own agent need not be slowed down */
    };
    r->has_backend = backend_start(&r->backend, &settings, f);
    if (r->has_backend) {
        r->base_url = r->backend.ready.base_url;
        r->api_key = r->backend.ready.api_key;
        (void)snprintf(r->project, sizeof r->project, "%s", r->backend.ready.project_id);
    } else if (f->code == EXIT_CODE_LISTEN || f->code == EXIT_CODE_STORE) {
        f->code = EXIT_CODE_UNREACHABLE; /* the codes of serve mean other things here */
    }
    return r->has_backend;
}

static bool name_backend(struct runner *r, struct failure *f)
{
    const char *project = options_text(&r->options, "project-id");
    r->base_url = options_text(&r->options, "against");
    r->api_key = options_text(&r->options, "api-key");
    if (!r->api_key) {
        return failure_set(f, EXIT_CODE_USAGE,
                           "--against needs the backend's key: set RHESIS_API_KEY, or give "
                           "--api-key");
    }
    (void)snprintf(r->project, sizeof r->project, "%.*s", UUID_TEXT_SIZE - 1,
                   project ? project : "");
    return true;
}

static bool greet(struct runner *r, struct failure *f)
{
    char bound[UUID_TEXT_SIZE];
    if (!backend_client_greet(r->client, bound, f)) {
        return false;
    }
    if (!r->project[0]) {
        memcpy(r->project, bound, sizeof r->project);
    }
    return r->project[0] || failure_set(f, EXIT_CODE_USAGE,
                                        "the key belongs to no project: set RHESIS_PROJECT_ID, or "
                                        "give --project-id");
}

static bool connect_backend(struct runner *r, struct failure *f)
{
    const char *environment = options_text(&r->options, "environment");
    bool is_other = options_text(&r->options, "against") != NULL;
    if (!(is_other ? name_backend(r, f) : start_backend(r, f))) {
        return false;
    }
    r->environment = environment ? environment : r->suite.environment;
    const struct backend_client_options options = {r->base_url, r->api_key, must_give_up, r};
    r->client = backend_client_create(&options);
    return greet(r, f);
}

static bool start_agent(struct runner *r, struct failure *f)
{
    const struct agent_process_options options = {
        .program = options_text(&r->options, "agent-program"),
        .config = options_text(&r->options, "with-agent"),
        .log = options_text(&r->options, "agent-log"),
        .base_url = r->base_url,
        .api_key = r->api_key,
        .project_id = r->project,
        .environment = r->environment,
    };
    return !options.config || agent_process_start(&r->agent, &options, f);
}

static bool fail_agent_ended(struct runner *r, struct failure *f)
{
    enum { AGENT_CONFIGURATION_EXIT = EXIT_CODE_CONFIGURATION };
    char how[64];
    struct buffer lines = BUFFER_INIT;
    agent_process_describe(&r->agent, how, sizeof how);
    agent_process_last_lines(&r->agent, &lines);
    bool is_configured = strcmp(how, "ended with exit code 3") != 0;
    failure_set(f, is_configured ? EXIT_CODE_UNREACHABLE : AGENT_CONFIGURATION_EXIT,
                "the agent %s before the tests began; its last lines:%s", how,
                lines.data ? lines.data : " none");
    marline__buffer_deinit(&lines);
    return false;
}

/* ---- endpoints ---- */

static bool is_served(struct slice functions, const char *endpoint)
{
    struct json_reader r;
    bool found = false;
    marline__json_reader_init(&r, functions, JSON_STRICT);
    (void)marline__json_enter_array(&r);
    while (!found && marline__json_next_element(&r)) {
        static const char *const names[] = {"name"};
        struct slice object = SLICE_EMPTY;
        struct json_member name;
        if (!marline__json_skip(&r, &object) || object.data[0] != '{') {
            break;
        }
        marline__json_find_members(object, names, 1, &name);
        found =
            name.type == JSON_STRING &&
            marline__json_key_is((struct slice){name.raw.data + 1, name.raw.size - 2}, endpoint);
    }
    return found;
}

/* The first endpoint of the tests that nobody serves; NULL: all are served. */
static const char *find_missing(const struct suite *s, struct slice functions)
{
    for (size_t i = 0; i < s->count; i++) {
        bool is_known = i > 0 && strcmp(s->tests[i].endpoint, s->tests[i - 1].endpoint) == 0;
        if (!is_known && !is_served(functions, s->tests[i].endpoint)) {
            return s->tests[i].endpoint;
        }
    }
    return NULL;
}

static bool fail_not_served(struct runner *r, const char *missing, struct slice functions,
                            struct failure *f)
{
    bool is_connected = functions.size > 2;
    return failure_set(
        f, EXIT_CODE_UNREACHABLE,
        is_connected
            ? "endpoint '%s' is not served in environment %s after %u ms, others are; is it in the "
              "agent's configuration, under this name?"
            : "nobody serves endpoint '%s' in environment %s after %u ms; is an agent running for "
              "this project?",
        missing, r->environment ? r->environment : "development",
        (unsigned)options_whole(&r->options, "ready-timeout-ms"));
}

static bool wait_for_endpoints(struct runner *r, struct failure *f)
{
    uint64_t deadline = now_ns() + options_whole(&r->options, "ready-timeout-ms") * NS_PER_MS;
    bool has_agent = r->agent.pid > 0;
    progress_text(&r->progress, "waiting until the endpoints are served…");
    for (;;) {
        struct slice functions = SLICE_EMPTY;
        if (!backend_client_functions(r->client, r->project,
                                      r->environment ? r->environment : "development", &functions,
                                      f)) {
            return false;
        }
        const char *missing = find_missing(&r->suite, functions);
        if (!missing) {
            return true;
        }
        if (has_agent && !agent_process_is_alive(&r->agent)) {
            return fail_agent_ended(r, f);
        }
        if (now_ns() >= deadline) {
            return fail_not_served(r, missing, functions, f);
        }
        if (!pause_for(r, LOOK_MS)) {
            return fail_interrupted(f);
        }
    }
}

/* ---- the run ---- */

static bool start_run(struct runner *r, struct failure *f)
{
    struct buffer body = BUFFER_INIT;
    char *own = r->suite.environment;
    r->suite.environment = must_text(r->environment);
    suite_write_run(&r->suite, r->project, &body);
    marline__memory_free(r->suite.environment);
    r->suite.environment = own;
    bool ok = backend_client_start(r->client, marline__buffer_slice(&body), r->run, f);
    marline__buffer_deinit(&body);
    r->started_ns = now_ns();
    return ok;
}

static double seconds_since(uint64_t start_ns)
{
    return (double)(now_ns() - start_ns) / (double)NS_PER_S;
}

/* After a signal the run is cancelled, and its end awaited all the same. */
static bool wait_for_end(struct runner *r, struct failure *f)
{
    bool is_finished = false;
    bool is_cancelled = false;
    while (!is_finished) {
        struct slice body;
        if (is_interrupted(r) && !is_cancelled) {
            progress_text(&r->progress, "cancelling…");
            if (!backend_client_cancel(r->client, r->run, f)) {
                return false;
            }
            is_cancelled = true;
        }
        if (!backend_client_wait(r->client, r->run, WAIT_MS, &is_finished, f)) {
            return false;
        }
        if (r->progress.is_shown && !is_cancelled) {
            if (!backend_client_read(r->client, r->run, "/progress", &body, f)) {
                return false;
            }
            progress_run(&r->progress, body, seconds_since(r->started_ns));
        }
    }
    r->seconds = seconds_since(r->started_ns);
    return true;
}

/* Reads the run until its traces are linked and its webhook is told, or the time for that is over.
 */
static bool wait_for_links(struct runner *r, struct failure *f)
{
    uint64_t deadline = now_ns() + options_whole(&r->options, "link-timeout-ms") * NS_PER_MS;
    progress_text(&r->progress, "waiting until the traces are linked…");
    for (;;) {
        struct slice body = SLICE_EMPTY;
        run_report_deinit(&r->report);
        if (!backend_client_read(r->client, r->run, "", &body, f)) {
            return false;
        }
        if (!run_report_read(&r->report, body)) {
            return failure_set(f, EXIT_CODE_UNREACHABLE,
                               "what the backend says of the run cannot be read");
        }
        bool is_told = !r->suite.webhook || r->report.has_notice;
        if ((r->report.is_complete && is_told) || now_ns() >= deadline || is_interrupted(r)) {
            return true;
        }
        (void)pause_for(r, LOOK_MS);
    }
}

/* ---- reports ---- */

static bool write_file(const char *path, struct slice text, struct failure *f)
{
    FILE *file = fopen(path, "wbe");
    bool ok = file && fwrite(text.data, 1, text.size, file) == text.size;
    int error = errno;
    if (file && fclose(file) != 0) {
        error = ok ? errno : error;
        ok = false;
    }
    return ok ||
           failure_set(f, EXIT_CODE_CONFIGURATION, "cannot write %s: %s", path, strerror(error));
}

/* A file that cannot be written is better said before the tests than after them. */
static bool check_writable(const char *path, struct failure *f)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    size_t size = slash ? (size_t)(slash - path) : 0;
    char *folder = must_slice(size ? (struct slice){path, size} : slash ? SLICE("/") : SLICE("."));
    bool ok = !path || access(access(path, F_OK) == 0 ? path : folder, W_OK) == 0;
    int error = errno;
    marline__memory_free(folder);
    return ok ||
           failure_set(f, EXIT_CODE_CONFIGURATION, "cannot write %s: %s", path, strerror(error));
}

static bool write_reports(struct runner *r, struct failure *f)
{
    const char *junit = options_text(&r->options, "junit");
    struct slice body = SLICE_EMPTY;
    progress_clear(&r->progress);
    if (options_flag(&r->options, "json")) {
        if (!backend_client_read(r->client, r->run, "", &body, f)) {
            return false;
        }
        (void)printf("%.*s\n", SLICE_ARG(body));
    } else if (!options_flag(&r->options, "quiet")) {
        run_report_print(&r->report, r->seconds, console_has_colour(stdout), stdout);
    }
    (void)fflush(stdout);
    return !junit || (backend_client_read(r->client, r->run, "/junit", &body, f) &&
                      write_file(junit, body, f));
}

static void print_head(const struct runner *r)
{
    const char *config = options_text(&r->options, "with-agent");
    if (options_flag(&r->options, "json") || options_flag(&r->options, "quiet")) {
        return;
    }
    (void)printf("  tests    %zu%s%s, %u at a time\n", r->suite.count, r->suite.name ? " · " : "",
                 r->suite.name ? r->suite.name : "", r->suite.concurrency);
    (void)printf("  backend  %s%s\n", r->base_url, r->has_backend ? " (private)" : "");
    if (config) {
        (void)printf("  agent    marline-agent run --config %s\n", config);
    }
    (void)fflush(stdout);
}

/* ---- all of it ---- */

static bool run_tests(struct runner *r, struct failure *f)
{
    bool ok = connect_backend(r, f);
    if (ok) {
        print_head(r);
        ok = start_agent(r, f) && wait_for_endpoints(r, f) && start_run(r, f) && wait_for_end(r, f);
    }
    if (!ok) {
        return false;
    }
    /* Told to end, an agent exports what it holds: nobody has to wait for its next interval. */
    progress_text(&r->progress, "waiting until the agent has exported its spans…");
    agent_process_stop(&r->agent, is_interrupted(r) ? AGENT_STOP_SOON_MS : AGENT_STOP_MS);
    return wait_for_links(r, f) && write_reports(r, f);
}

static enum exit_code verdict(const struct runner *r)
{
    if (is_interrupted(r)) {
        return (enum exit_code)(EXIT_CODE_SIGNAL + atomic_load(&r->first_signal));
    }
    if (r->report.by_status[REPORT_PASS] != r->report.count) {
        return EXIT_CODE_TESTS_FAILED;
    }
    bool has_links = r->report.is_complete || !options_flag(&r->options, "require-links");
    return has_links ? EXIT_CODE_OK : EXIT_CODE_TESTS_FAILED;
}

static enum exit_code end(struct runner *r, bool ok, const struct failure *f)
{
    enum exit_code code = EXIT_CODE_OK;
    progress_clear(&r->progress);
    if (ok) {
        code = verdict(r);
        if (r->suite.webhook && (!r->report.has_notice || r->report.notice_error)) {
            console_error("the webhook was not told of the end: %s",
                          r->report.notice_error ? r->report.notice_error : "it has not answered");
        }
        if (!is_interrupted(r) && !r->report.is_complete) {
            console_error("some traces are not wholly linked; see docs/debugging.md, or give more "
                          "time with --link-timeout-ms");
        }
    } else {
        code = command_fail("run", f);
        code = is_interrupted(r) ? verdict(r) : code;
    }
    agent_process_deinit(&r->agent);
    backend_client_destroy(r->client);
    if (r->has_backend) {
        backend_stop(&r->backend);
    }
    run_report_deinit(&r->report);
    return code;
}

static bool read_command_line(struct runner *r, int argc, char **argv, struct failure *f)
{
    struct options *o = &r->options;
    if (!options_read_arguments(o, argc, argv, f) || o->help) {
        return f->code == EXIT_CODE_OK;
    }
    if (!options_read_environment(o, f)) {
        return false;
    }
    if (o->operand_count != 1) {
        return failure_set(f, EXIT_CODE_USAGE,
                           o->operand_count ? "one file of tests, please; '%s' is one too many"
                                            : "the file of tests is missing",
                           o->operand_count ? o->operands[1] : "");
    }
    if (!options_text(o, "with-agent") && !options_text(o, "against")) {
        return failure_set(f, EXIT_CODE_USAGE,
                           "who serves the endpoints? give --with-agent CONFIG, --against URL, or "
                           "both");
    }
    return suite_read(&r->suite, o->operands[0], f) && check_writable(options_text(o, "junit"), f);
}

static enum exit_code run_command(struct runner *r, struct failure *f)
{
    logger_start(LOG_ERROR, LOG_FORMAT_TEXT);
    signal_watch_block(&r->signals);
    r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool ok = r->wake_fd >= 0 || failure_set(f, EXIT_CODE_INTERNAL, "eventfd: %s", strerror(errno));
    ok = ok && signal_watch_start(&r->signals, take_signal, r, f);
    progress_init(&r->progress, stderr,
                  !options_flag(&r->options, "quiet") && !options_flag(&r->options, "json"));
    ok = ok && run_tests(r, f);
    enum exit_code code = end(r, ok, f);
    signal_watch_stop(&r->signals);
    if (r->wake_fd >= 0) {
        (void)close(r->wake_fd);
    }
    return code;
}

enum exit_code command_run(int argc, char **argv)
{
    struct failure f = FAILURE_INIT;
    struct runner r = {.agent = AGENT_PROCESS_INIT, .wake_fd = -1};
    enum exit_code code = EXIT_CODE_OK;
    options_init(&r.options, specs, COUNT(specs));
    if (!read_command_line(&r, argc, argv, &f)) {
        code = command_fail("run", &f);
    } else if (r.options.help) {
        print_help();
    } else {
        code = run_command(&r, &f);
    }
    suite_deinit(&r.suite);
    options_deinit(&r.options);
    return code;
}
