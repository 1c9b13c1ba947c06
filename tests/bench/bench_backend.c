/* marline-bench backend: the backend-mock, in a process of its own, on SQLite and on PostgreSQL.
 * What the figures claim is counted in the store's ledger afterwards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_http.h"
#include "bench_load.h"
#include "bench_program.h"

enum { CONNECTIONS = 16, WARM_UP_POSTS = 100, POSTS = 2500, MILLION_POSTS = 10000 };

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

static void measure_store(const char *name, bool on_postgres)
{
    struct backend_bench b = {.store = name};
    if (!bench_program_start(&b.program, on_postgres)) {
        return;
    }
    bench_http_open(&b.http, b.program.port, b.program.key);
    double idle = bench_anonymous_kilobytes(b.program.pid) / 1024;
    report(&b, "anonymous_idle", idle, "MB", 0, 10, idle);
    measure_ingest(&b, BENCH_PLATFORM, "platform_json", 40000);
    measure_ingest(&b, BENCH_OTLP, "otlp_protobuf", 60000);
    bench_http_close(&b.http);
    bench_program_stop(&b.program);
}

void bench_backend(void)
{
    measure_store("sqlite", false);
    measure_store("postgresql", true);
}
