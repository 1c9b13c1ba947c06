/* marline-bench backend: the backend-mock, in a process of its own, on SQLite and on PostgreSQL.
 * What the figures claim is counted in the store's ledger afterwards. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_http.h"
#include "bench_load.h"
#include "bench_program.h"
#include "bench_ws.h"

enum { CONNECTIONS = 16, WARM_UP_POSTS = 100, POSTS = 2500, FEW_POSTS = 100, MANY_POSTS = 10000 };
enum { READS = 1000, ROUND_TRIPS = 2000, LINKS = 300, AGENTS = 1000, ENRICHED_WITHIN_S = 300 };

struct backend_bench {
    const char *store; /* in the names of the figures */
    struct bench_program program;
    struct bench_http http;
    uint64_t posts; /* so far: the number of the next */
};

static void report(const struct backend_bench *b, const char *name, double value, const char *unit,
                   double ratio, double target, double compared)
{
    char full[64];
    (void)snprintf(full, sizeof full, "backend.%s.%s", b->store, name);
    bench_report(full, value, unit, ratio, target, compared);
}

/* ---- ingest ---- */

static double spans_in_store(struct backend_bench *b)
{
    const char *body;
    bench_check(bench_http_get(&b->http, "/mock/ledger", &body) == 200, "the ledger");
    return bench_json_number(body, "stored");
}

static struct bench_ingest_figures ingest(struct backend_bench *b, enum bench_format format,
                                          uint32_t posts)
{
    double before = spans_in_store(b);
    const struct bench_ingest load = {.port = b->program.port,
                                      .key = b->program.key,
                                      .project = b->program.project,
                                      .format = format,
                                      .connections = CONNECTIONS,
                                      .posts = posts,
                                      .first = b->posts};
    struct bench_ingest_figures figures = bench_ingest_run(&load);
    b->posts += posts;
    bench_check(figures.refused == 0, "every POST was accepted");
    bench_check(spans_in_store(b) - before == figures.accepted * (double)BENCH_BODY_SPANS,
                "every acknowledged span is in the store");
    return figures;
}

static void measure_ingest(struct backend_bench *b, enum bench_format format, const char *name,
                           double target_rate)
{
    char full[48];
    (void)ingest(b, format, WARM_UP_POSTS);
    struct bench_ingest_figures figures = ingest(b, format, POSTS);
    (void)snprintf(full, sizeof full, "ingest_%s", name);
    report(b, full, figures.spans_per_second, "spans/s", figures.spans_per_second / target_rate, 1,
           target_rate / figures.spans_per_second);
    (void)snprintf(full, sizeof full, "ingest_%s_p50", name);
    report(b, full, figures.p50_ms, "ms", 0, -1, 0);
    (void)snprintf(full, sizeof full, "ingest_%s_p99", name);
    report(b, full, figures.p99_ms, "ms", 0, 150, figures.p99_ms);
}

/* ---- reading ---- */

/* p50 and p99 of GET of a whole trace, whose enrichment is stored, in ms. */
struct percentiles {
    double p50;
    double p99;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct percentiles percentiles(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return (struct percentiles){values[count / 2], values[count * 99 / 100]};
}

static void wait_until_enriched(struct backend_bench *b)
{
    const char *body;
    uint64_t give_up = bench_now_ns() + ENRICHED_WITHIN_S * 1000000000ull;
    do {
        bench_check(bench_http_get(&b->http, "/metrics", &body) == 200, "the metrics");
        if (strstr(body, "\nmarline_enricher_behind 0\n")) {
            return;
        }
        (void)poll(NULL, 0, 100);
    } while (bench_now_ns() < give_up);
    bench_check(false, "all traces are enriched");
}

static struct percentiles measure_reads(struct backend_bench *b, uint64_t posts)
{
    double *values = calloc(READS, sizeof *values);
    for (size_t i = 0; i < READS; i++) {
        char hex[33];
        char path[160];
        const char *body;
        bench_body_trace_hex(i * 7919 % posts, i % BENCH_TRACES, hex);
        (void)snprintf(path, sizeof path, "/telemetry/traces/%s?project_id=%s", hex,
                       b->program.project);
        uint64_t start = bench_now_ns();
        int status = bench_http_get(&b->http, path, &body);
        values[i] = (double)(bench_now_ns() - start) / 1e6;
        bench_check(status == 200 && bench_json_number(body, "span_count") == BENCH_TRACE_SPANS,
                    "the trace is whole");
    }
    struct percentiles result = percentiles(values, READS);
    free(values);
    return result;
}

static void report_reads(struct backend_bench *b, const char *name, struct percentiles p)
{
    char full[48];
    (void)snprintf(full, sizeof full, "trace_detail_%s_p50", name);
    report(b, full, p.p50, "ms", 0, 1, p.p50);
    (void)snprintf(full, sizeof full, "trace_detail_%s_p99", name);
    report(b, full, p.p99, "ms", 0, 5, p.p99);
}

/* Alone in its store: what is there decides how long a read takes. */
static void measure_sizes(struct backend_bench *b)
{
    (void)ingest(b, BENCH_PLATFORM, FEW_POSTS);
    wait_until_enriched(b);
    (void)measure_reads(b, FEW_POSTS);
    struct percentiles few = measure_reads(b, FEW_POSTS);
    report_reads(b, "10000", few);
    (void)ingest(b, BENCH_PLATFORM, MANY_POSTS - FEW_POSTS);
    double megabytes = bench_anonymous_kilobytes(b->program.pid) / 1024;
    report(b, "anonymous_after_1000000_spans", megabytes, "MB", 0, 100, megabytes);
    wait_until_enriched(b);
    (void)measure_reads(b, MANY_POSTS);
    struct percentiles many = measure_reads(b, MANY_POSTS);
    report_reads(b, "1000000", many);
    report(b, "trace_detail_growth", many.p50 / few.p50, "x", many.p50 / few.p50, 1.5,
           many.p50 / few.p50);
}

/* ---- the testing channel ---- */

/* POST …/invoke waits for the agent's answer. What is not the round trip to the agent, a GET of the
 * same endpoint costs too. */
static void measure_round_trip(struct backend_bench *b)
{
    static double calls[ROUND_TRIPS];
    static double gets[ROUND_TRIPS];
    static const char body[] = "{\"input\":\"hi\"}";
    struct bench_ws agent;
    const char *text;
    char path[80];
    char invoke[96];
    double echo = bench_echo_p50_us();
    bench_ws_open(&agent, b->program.port, b->program.key, b->program.project, "development");
    bench_check(bench_http_get(&b->http, "/endpoints", &text) == 200, "the endpoints");
    const char *id = strstr(text, "\"id\":\"");
    (void)snprintf(path, sizeof path, "/endpoints/%.36s", id ? id + 6 : "");
    (void)snprintf(invoke, sizeof invoke, "%s/invoke", path);
    for (size_t i = 0; i < ROUND_TRIPS; i++) {
        uint64_t start = bench_now_ns();
        bench_http_send(&b->http, "POST", invoke, "application/json",
                        (struct slice){body, sizeof body - 1});
        bench_ws_answer(&agent, bench_ws_expect(&agent, "execute_test"));
        bench_check(bench_http_receive(&b->http, &text) == 200 && !strstr(text, "error"),
                    "the call was answered");
        calls[i] = (double)(bench_now_ns() - start) / 1e3;
        start = bench_now_ns();
        bench_check(bench_http_get(&b->http, path, &text) == 200, "the endpoint");
        gets[i] = (double)(bench_now_ns() - start) / 1e3;
    }
    bench_ws_close(&agent);
    double call = percentiles(calls, ROUND_TRIPS).p50;
    double get = percentiles(gets, ROUND_TRIPS).p50;
    bench_check(call > get, "a call takes longer than a look at its endpoint");
    report(b, "echo_p50", echo, "us", 1, -1, 0);
    report(b, "invoke_over_http_p50", call, "us", call / echo, -1, 0);
    report(b, "execute_test_p50", call - get, "us", (call - get) / echo, 3, (call - get) / echo);
}

static void post_spans(struct backend_bench *b, struct bench_body *body, const char *execute)
{
    static const char *const names[] = {"test_run_id", "test_id", "test_configuration_id"};
    char hex[33];
    bench_body_renew(body, b->posts);
    bench_body_trace_hex(b->posts++, 0, hex);
    const char *context = strstr(execute, "\"_rhesis_test_context\":");
    for (size_t i = 0; context && i < 3; i++) {
        char mark[40];
        (void)snprintf(mark, sizeof mark, "\"%s\":\"", names[i]);
        const char *id = strstr(context, mark);
        bench_check(id != NULL, "the test context");
        bench_body_set_test(body, (unsigned)i, id + strlen(mark));
    }
    bench_check(context != NULL, "a test context");
    bench_check(bench_http_perform(&b->http, "POST", "/telemetry/traces", "application/json",
                                   marline__buffer_slice(&body->bytes), NULL) == 200,
                "the spans are stored");
}

/* Prompt mode: the agent's spans are acknowledged before it sends the result. From the result sent,
 * over its commit, the linking and its commit, to a GET that shows the link. */
static double time_of_link(struct backend_bench *b, struct bench_ws *agent, struct bench_body *body)
{
    char run[256];
    char path[160];
    char hex[33];
    const char *text;
    (void)snprintf(run, sizeof run,
                   "{\"project_id\":\"%s\",\"tests\":[{\"function_name\":\"noop\",\"inputs\":"
                   "{\"input\":\"hi\"}}]}",
                   b->program.project);
    bench_check(bench_http_perform(&b->http, "POST", "/mock/runs", "application/json",
                                   marline__slice_text(run), NULL) == 202,
                "a run");
    const char *execute = bench_ws_expect(agent, "execute_test");
    bench_body_trace_hex(b->posts, 0, hex);
    post_spans(b, body, execute);
    (void)snprintf(path, sizeof path, "/telemetry/traces/%s?project_id=%s", hex,
                   b->program.project);
    uint64_t start = bench_now_ns();
    bench_ws_answer(agent, execute);
    bool is_linked = false;
    uint64_t now = start;
    while (!is_linked && now < start + 5000000000ull) {
        bench_check(bench_http_get(&b->http, path, &text) == 200, "the trace");
        is_linked = strstr(text, "\"test_result\":{") != NULL;
        now = bench_now_ns();
    }
    bench_check(is_linked, "the trace is linked within 5 s");
    return (double)(now - start) / 1e6;
}

static void measure_linking(struct backend_bench *b)
{
    static double values[LINKS];
    struct bench_ws agent;
    struct bench_body body;
    bench_body_create(&body, BENCH_PLATFORM, b->program.project, BENCH_TRACE_SPANS);
    bench_ws_open(&agent, b->program.port, b->program.key, b->program.project, "development");
    for (size_t i = 0; i < LINKS; i++) {
        values[i] = time_of_link(b, &agent, &body);
    }
    bench_ws_close(&agent);
    bench_body_deinit(&body);
    struct percentiles p = percentiles(values, LINKS);
    report(b, "result_to_linked_trace_p50", p.p50, "ms", 0, 5, p.p50);
    report(b, "result_to_linked_trace_p99", p.p99, "ms", 0, 20, p.p99);
}

static void measure_agents(struct backend_bench *b)
{
    struct bench_ws *agents = calloc(AGENTS, sizeof *agents);
    double before = bench_anonymous_kilobytes(b->program.pid);
    for (size_t i = 0; i < AGENTS; i++) {
        char key[128] = "";
        char project[64] = "";
        const char *session;
        (void)bench_http_perform(&b->http, "POST", "/mock/sessions", "application/json",
                                 SLICE("{}"), &session);
        bench_check(bench_json_text(session, "api_key", key, sizeof key) &&
                        bench_json_text(session, "project_id", project, sizeof project),
                    "a session for each agent");
        bench_ws_open(&agents[i], b->program.port, key, project, "development");
    }
    double each = (bench_anonymous_kilobytes(b->program.pid) - before) / AGENTS;
    report(b, "anonymous_per_agent", each, "KB", 0, 64, each);
    for (size_t i = 0; i < AGENTS; i++) {
        bench_ws_close(&agents[i]);
    }
    free(agents);
}

/* ---- a store after the other ---- */

static bool begin(struct backend_bench *b, const char *store, bool on_postgres)
{
    *b = (struct backend_bench){.store = store};
    if (!bench_program_start(&b->program, on_postgres)) {
        return false;
    }
    bench_http_open(&b->http, b->program.port, b->program.key);
    return true;
}

static void end(struct backend_bench *b)
{
    bench_http_close(&b->http);
    bench_program_stop(&b->program);
}

/* In processes of their own, so that what one measured leaves nothing for the next. */
static void measure_store(const char *name, bool on_postgres)
{
    struct backend_bench b;
    if (!begin(&b, name, on_postgres)) {
        return;
    }
    double idle = bench_anonymous_kilobytes(b.program.pid) / 1024;
    report(&b, "anonymous_idle", idle, "MB", 0, 10, idle);
    if (!on_postgres) { /* no store is on the way; the GET that is taken off would be most of it */
        measure_round_trip(&b);
    }
    measure_linking(&b);
    measure_agents(&b);
    end(&b);
    if (begin(&b, name, on_postgres)) {
        measure_ingest(&b, BENCH_PLATFORM, "platform_json", 40000);
        measure_ingest(&b, BENCH_OTLP, "otlp_protobuf", 60000);
        end(&b);
    }
    if (begin(&b, name, on_postgres)) {
        measure_sizes(&b);
        end(&b);
    }
}

void bench_backend_sqlite(void)
{
    measure_store("sqlite", false);
}

void bench_backend_postgresql(void)
{
    measure_store("postgresql", true);
}

void bench_backend(void)
{
    bench_backend_sqlite();
    bench_backend_postgresql();
}
