/* marline-backend-mock serve: a backend until a signal comes. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "backend.h"
#include "base/log.h"
#include "commands.h"
#include "programs/logger.h"
#include "programs/options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MESSAGE_SIZE_CEILING = 16 * 1024 * 1024, IDLE_CEILING_MS = 24 * 3600 * 1000 };

static const struct option_spec specs[] = {
    {.name = "listen",
     .kind = OPTION_TEXT,
     .value_name = "HOST:PORT",
     .default_text = "127.0.0.1:8080",
     .help = "where to listen; port 0 takes a free one"},
    {.name = "store",
     .kind = OPTION_TEXT,
     .value_name = "LOCATION",
     .default_text = "sqlite:marline.db",
     .help = "sqlite:PATH, sqlite::memory: for nothing kept, or postgresql://…"},
    {.name = "api-key",
     .kind = OPTION_TEXT,
     .value_name = "KEY",
     .environment = "RHESIS_API_KEY",
     .secret = true,
     .help = "the ready-made key; else it is made once, see below"},
    {.name = "ready-file",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "write base URL, ids and key as JSON once connections are accepted"},
    {.name = "otlp-anonymous",
     .kind = OPTION_TEXT,
     .value_name = "PROJECT",
     .help = "take spans at /v1/traces without a key, for this project"},
    {.name = "mock-api",
     .kind = OPTION_CHOICE,
     .value_name = "WHO",
     .default_text = "loopback",
     .choices = "loopback|any|off",
     .help = "who may use the routes under /mock/: loopback, any or off"},
    {.name = "price-file",
     .kind = OPTION_TEXT,
     .value_name = "FILE",
     .help = "prices of models, in LiteLLM's format, over the built-in ones"},
    {.name = "forward-otlp",
     .kind = OPTION_TEXT,
     .value_name = "URL",
     .help = "pass spans on to an OTLP receiver, such as http://127.0.0.1:4318"},
    {.name = "trace-otlp",
     .kind = OPTION_TEXT,
     .value_name = "URL",
     .help = "send spans of the backend's own work to that OTLP receiver"},
    {.name = "webhook",
     .kind = OPTION_TEXT,
     .value_name = "URL",
     .help = "tell this URL when a run ends that names no webhook of its own"},
    {.name = "name",
     .kind = OPTION_TEXT,
     .value_name = "NAME",
     .help = "among several backends on one PostgreSQL: each goes on with its own runs"},
    {.name = "max-message-size",
     .kind = OPTION_WHOLE,
     .value_name = "N",
     .default_text = "1048576",
     .minimum = 1,
     .maximum = MESSAGE_SIZE_CEILING,
     .help = "characters of one message of an agent"},
    {.name = "rate-limit",
     .kind = OPTION_WHOLE,
     .value_name = "N",
     .default_text = "50",
     .minimum = 0,
     .maximum = AGENT_RATE_CEILING,
     .help = "messages a second of one agent, 0 = any"},
    {.name = "idle-timeout-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .default_text = "300000",
     .minimum = 0,
     .maximum = IDLE_CEILING_MS,
     .help = "silence before an agent is closed, 0 = never"},
    {.name = "log-level",
     .kind = OPTION_CHOICE,
     .value_name = "LEVEL",
     .environment = "MARLINE_LOG_LEVEL",
     .default_text = "info",
     .choices = "error|warn|info|debug",
     .help = "error, warn, info or debug"},
    {.name = "log-format",
     .kind = OPTION_CHOICE,
     .value_name = "FORMAT",
     .environment = "MARLINE_LOG_FORMAT",
     .default_text = "text",
     .choices = "text|json",
     .help = "text or json"},
};

static void print_help(void)
{
    (void)fputs("Usage: marline-backend-mock serve [OPTION]…\n"
                "\n"
                "Serves agents, spans, runs and queries on one port until SIGTERM or SIGINT.\n"
                "\n"
                "  marline-backend-mock serve\n"
                "  marline-backend-mock serve --listen 127.0.0.1:0 --store sqlite::memory: \\\n"
                "      --ready-file ready.json\n"
                "\n"
                "Options:\n",
                stdout);
    options_print_help(specs, COUNT(specs), stdout);
    (void)fputs("\n"
                "What it serves:\n"
                "  agents  WebSocket /connector/ws\n"
                "  spans   POST /telemetry/traces (the platform's JSON), POST /v1/traces (OTLP)\n"
                "  traces  GET /telemetry/traces, …/{trace_id}, /telemetry/metrics\n"
                "  calls   POST /connector/trigger, GET /connector/status/{project_id}\n"
                "  runs    POST /mock/runs, GET /mock/runs/{id}, …/progress, …/junit, …/timeline,\n"
                "          …/spans, …/wait, POST …/cancel; POST /mock/metrics\n"
                "  links   GET /mock/ledger, /mock/links/{trace_id}, PUT /mock/link-points\n"
                "  faults  POST, GET, DELETE /mock/faults, POST /mock/reset, /mock/sessions\n"
                "  health  GET /health, /healthz, /readyz, /metrics\n"
                "  all     GET /openapi.json\n"
                "\n"
                "The key:\n"
                "  A project and a key exist from the first start. The store keeps only a hash of\n"
                "  the key; the key itself lies beside a SQLite file, in PATH.key, readable by\n"
                "  you alone, so that every start can show it. With a store in memory or\n"
                "  PostgreSQL the key is new at every start, unless --api-key is given.\n"
                "\n"
                "Stopping:\n"
                "  Runs that are under way go on when it is started again on the same store,\n"
                "  under the same --name; with a store in memory they are cancelled.\n"
                "\n"
                "Exit codes:\n"
                "  0   stopped by SIGTERM or SIGINT, everything acknowledged is stored\n"
                "  2   wrong command line\n"
                "  3   cannot listen (port in use, address not ours), or a variable is malformed\n"
                "  4   the store cannot be opened\n"
                "  5   the key file or the ready file cannot be read or written\n"
                "  70  no memory or no threads\n",
                stdout);
}

static enum mock_api mock_api(const char *word)
{
    switch (word[0]) {
    case 'a':
        return MOCK_API_ANY;
    case 'o':
        return MOCK_API_OFF;
    default:
        return MOCK_API_LOOPBACK;
    }
}

static void read_settings(const struct options *o, struct backend_settings *out)
{
    *out = (struct backend_settings){
        .listen = options_text(o, "listen"),
        .store = options_text(o, "store"),
        .api_key = options_text(o, "api-key"),
        .otlp_anonymous = options_text(o, "otlp-anonymous"),
        .price_file = options_text(o, "price-file"),
        .forward_otlp = options_text(o, "forward-otlp"),
        .trace_otlp = options_text(o, "trace-otlp"),
        .webhook = options_text(o, "webhook"),
        .leaves_runs = strcmp(options_text(o, "store"), "sqlite::memory:") != 0,
        .name = options_text(o, "name"),
        .mock_api = mock_api(options_text(o, "mock-api")),
        .agent_limits = {(uint32_t)options_whole(o, "max-message-size"),
                         (uint32_t)options_whole(o, "rate-limit"),
                         (uint32_t)options_whole(o, "idle-timeout-ms")},
    };
}

static void start_log(const struct options *o)
{
    enum log_level level = LOG_INFO;
    bool is_json = options_text(o, "log-format")[0] == 'j';
    (void)logger_parse_level(options_text(o, "log-level"), &level);
    logger_start(level, is_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT);
}

static bool serve(const struct options *o, const sigset_t *signals, struct failure *f)
{
    struct backend_settings settings;
    struct backend backend;
    const char *ready_file = options_text(o, "ready-file");
    read_settings(o, &settings);
    if (!backend_start(&backend, &settings, f)) {
        return false;
    }
    bool ok = !ready_file || ready_write_file(&backend.ready, ready_file, f);
    if (ok) {
        int signal_number = 0;
        ready_print(&backend.ready, settings.store);
        (void)sigwait(signals, &signal_number);
        marline__log(LOG_INFO, "signal %d: shutting down", signal_number);
    }
    backend_stop(&backend);
    marline__log(LOG_INFO, "stopped");
    return ok;
}

/* Before any other thread exists, so that each inherits it. */
static void block_signals(sigset_t *out)
{
    (void)sigemptyset(out);
    (void)sigaddset(out, SIGTERM);
    (void)sigaddset(out, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, out, NULL);
}

enum exit_code command_serve(int argc, char **argv)
{
    struct failure f = FAILURE_INIT;
    struct options o;
    sigset_t signals;
    options_init(&o, specs, COUNT(specs));
    bool ok = options_read_arguments(&o, argc, argv, &f);
    if (ok && o.help) {
        print_help();
    } else {
        ok = ok && options_read_environment(&o, &f);
        if (ok && o.operand_count) {
            ok = failure_set(&f, EXIT_CODE_USAGE, "unexpected argument '%s'", o.operands[0]);
        }
        if (ok) {
            block_signals(&signals);
            start_log(&o);
            ok = serve(&o, &signals, &f);
        }
    }
    options_deinit(&o);
    return ok ? EXIT_CODE_OK : command_fail("serve", &f);
}
