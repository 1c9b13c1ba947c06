/* A table of flags; "--name value" and "--name=value". */
#include "options.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLAG_COUNT = 9 };

static const char help_text[] =
    "marline-backend-mock: a small, real backend for tests and traces, on one port\n"
    "\n"
    "usage: marline-backend-mock serve [options]\n"
    "       marline-backend-mock help | version\n"
    "\n"
    "options\n"
    "  --listen HOST:PORT    where to listen; port 0 takes a free one      [127.0.0.1:8080]\n"
    "  --store LOCATION      sqlite:PATH, sqlite::memory: for nothing kept, or postgresql://…\n"
    "                                                                      [sqlite:marline.db]\n"
    "  --api-key KEY         the ready-made key; also from RHESIS_API_KEY  [made once, see below]\n"
    "  --ready-file FILE     write base URL, ids and key as JSON once connections are accepted\n"
    "  --otlp-anonymous PROJECT\n"
    "                        take spans at /v1/traces without a key, for this project\n"
    "  --max-message-size N  characters of one message of an agent         [1048576]\n"
    "  --rate-limit N        messages a second of one agent, 0 = any       [50]\n"
    "  --idle-timeout-ms N   silence before an agent is closed, 0 = never  [300000]\n"
    "  --log-level LEVEL     error, warn, info or debug                    [info]\n"
    "\n"
    "what it serves\n"
    "  agents                WebSocket /connector/ws\n"
    "  spans                 POST /telemetry/traces (the platform's JSON), POST /v1/traces (OTLP)\n"
    "  traces                GET /telemetry/traces, …/{trace_id}, /telemetry/metrics\n"
    "  calls                 POST /connector/trigger, GET /connector/status/{project_id}\n"
    "  runs                  POST /mock/runs, GET /mock/runs/{id}, …/timeline, …/spans, …/wait,\n"
    "                        POST …/cancel; POST /mock/metrics\n"
    "  linking               GET /mock/ledger, /mock/links/{trace_id}, PUT /mock/link-points\n"
    "  faults                POST, GET, DELETE /mock/faults, POST /mock/reset, /mock/sessions\n"
    "  health                GET /health, /healthz, /readyz, /metrics\n"
    "  all of it             GET /openapi.json\n"
    "\n"
    "the key\n"
    "  A project and a key exist from the first start. The store keeps only a hash of the key; "
    "the\n"
    "  key itself lies beside a SQLite file, in PATH.key, readable by you alone, so that every\n"
    "  start can show it. With a store in memory or PostgreSQL the key is new at every start,\n"
    "  unless --api-key is given.\n"
    "\n"
    "examples\n"
    "  marline-backend-mock serve\n"
    "  marline-backend-mock serve --listen 127.0.0.1:0 --store sqlite::memory: --ready-file "
    "r.json\n"
    "\n"
    "exit codes\n"
    "  0  stopped by SIGTERM or SIGINT, everything acknowledged is stored\n"
    "  2  wrong command line\n"
    "  3  cannot listen: the port is in use, or the address is not ours\n"
    "  4  the store cannot be opened\n"
    "  5  the key file or the ready file cannot be read or written\n"
    "  70 no memory or no threads\n";

/* One flag: where its text goes. */
struct flag {
    const char *name;
    const char **target;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static bool __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("marline-backend-mock: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputs("\nTry 'marline-backend-mock --help'.\n", stderr);
    return false;
}

static bool read_level(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return wrong("--log-level '%s' is none of error, warn, info, debug", text);
}

static bool read_number(const char *name, const char *text, uint32_t minimum, uint32_t maximum,
                        uint32_t *out)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || strlen(text) > 9 || value < minimum ||
        value > maximum) {
        return wrong("--%s '%s' is no whole number from %u to %u", name, text, minimum, maximum);
    }
    *out = (uint32_t)value;
    return true;
}

/* How many leading characters two words share: enough to guess a misspelt flag. */
static size_t shared_prefix(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n]) {
        n++;
    }
    return n;
}

static bool unknown_flag(const char *argument, const struct flag flags[FLAG_COUNT])
{
    const char *best = NULL;
    size_t best_shared = 3; /* "--" and one letter */
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "--%s", flags[i].name);
        size_t shared = shared_prefix(argument, name);
        if (shared >= best_shared) {
            best_shared = shared + 1;
            best = flags[i].name;
        }
    }
    (void)fprintf(stderr, "marline-backend-mock: unknown option '%s'", argument);
    if (best) {
        (void)fprintf(stderr, "; did you mean --%s?", best);
    }
    (void)fputs("\nTry 'marline-backend-mock --help'.\n", stderr);
    return false;
}

/* Reads argv[*at] and, where its value is the next argument, moves on to that. */
static bool read_flag(int argc, char **argv, int *at, const struct flag flags[FLAG_COUNT])
{
    const char *argument = argv[*at];
    if (strncmp(argument, "--", 2) != 0) {
        return wrong("unexpected argument '%s'", argument);
    }
    size_t size = strcspn(argument + 2, "=");
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        if (strlen(flags[i].name) != size || strncmp(argument + 2, flags[i].name, size) != 0) {
            continue;
        }
        if (argument[2 + size] == '=') {
            *flags[i].target = argument + 2 + size + 1;
        } else if (*at + 1 < argc) {
            *flags[i].target = argv[++*at];
        } else {
            return wrong("%s needs a value", argument);
        }
        return true;
    }
    return unknown_flag(argument, flags);
}

static bool is_help(const char *argument)
{
    return strcmp(argument, "help") == 0 || strcmp(argument, "--help") == 0 ||
           strcmp(argument, "-h") == 0;
}

static enum options_outcome read_serve(int argc, char **argv, struct options *out)
{
    const char *level = "info";
    const char *size = "1048576";
    const char *rate = "50";
    const char *idle = "300000";
    const struct flag flags[FLAG_COUNT] = {{"listen", &out->listen},
                                           {"store", &out->store},
                                           {"api-key", &out->api_key},
                                           {"ready-file", &out->ready_file},
                                           {"otlp-anonymous", &out->otlp_anonymous},
                                           {"max-message-size", &size},
                                           {"rate-limit", &rate},
                                           {"idle-timeout-ms", &idle},
                                           {"log-level", &level}};
    for (int i = 2; i < argc; i++) {
        if (is_help(argv[i])) {
            (void)fputs(help_text, stdout);
            return OPTIONS_DONE;
        }
        if (!read_flag(argc, argv, &i, flags)) {
            return OPTIONS_WRONG;
        }
    }
    if (out->api_key && out->api_key[0] == '\0') {
        out->api_key = NULL; /* an empty variable counts as unset */
    }
    bool ok = read_level(level, &out->log_level) &&
              read_number("max-message-size", size, 1, 16 * 1024 * 1024, &out->message_size_max) &&
              read_number("rate-limit", rate, 0, 10000, &out->rate_per_second) &&
              read_number("idle-timeout-ms", idle, 0, 86400000, &out->idle_timeout_ms);
    return ok ? OPTIONS_SERVE : OPTIONS_WRONG;
}

enum options_outcome options_read(int argc, char **argv, struct options *out)
{
    if (argc < 2) {
        (void)wrong("the command is missing: 'serve' starts the backend");
        return OPTIONS_WRONG;
    }
    if (is_help(argv[1])) {
        (void)fputs(help_text, stdout);
        return OPTIONS_DONE;
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        (void)puts("marline-backend-mock " MARLINE_VERSION_TEXT);
        return OPTIONS_DONE;
    }
    if (strcmp(argv[1], "serve") != 0) {
        (void)wrong("unknown command '%s'; there is 'serve'", argv[1]);
        return OPTIONS_WRONG;
    }
    return read_serve(argc, argv, out);
}
