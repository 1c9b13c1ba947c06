/* Span POSTs from a process of their own, over many connections at once. */
#ifndef TESTS_BENCH_BENCH_LOAD_H
#define TESTS_BENCH_BENCH_LOAD_H

#include <stdint.h>

#include "bench_body.h"

struct bench_ingest {
    uint16_t port;
    const char *key;
    const char *project;
    enum bench_format format;
    unsigned connections; /* each with one POST under way */
    uint32_t posts;       /* in all, of BENCH_BODY_SPANS spans */
    uint64_t first;       /* number of the first: other numbers, other ids */
};

struct bench_ingest_figures {
    uint32_t accepted; /* answered 200 */
    uint32_t refused;
    double spans_per_second; /* accepted, from the first byte sent to the last answer */
    double p50_ms;           /* of a POST */
    double p99_ms;
};

/* Forks, waits for the end. */
struct bench_ingest_figures bench_ingest_run(const struct bench_ingest *load);

#endif
