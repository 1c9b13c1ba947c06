/* Bodies of span POSTs, made once by the SDK's own encoders and then given new ids in place, so
 * that the load generator costs little.
 *
 * A body has BENCH_TRACES traces of BENCH_TRACE_SPANS spans, a root and its children, each trace of
 * another test, as an agent sends them: ids of the test on every span, model and tokens on some. */
#ifndef TESTS_BENCH_BENCH_BODY_H
#define TESTS_BENCH_BENCH_BODY_H

#include <stdint.h>

#include "base/buffer.h"

enum {
    BENCH_TRACES = 5,
    BENCH_TRACE_SPANS = 20,
    BENCH_BODY_SPANS = BENCH_TRACES * BENCH_TRACE_SPANS
};

enum bench_format { BENCH_PLATFORM, BENCH_OTLP };

struct bench_patch {
    uint32_t offset;
    uint8_t trace;
    uint8_t kind;
};

struct bench_body {
    struct buffer bytes;
    struct bench_patch *patches;
    size_t count;
};

/* `spans`: BENCH_BODY_SPANS, or fewer for a smaller one (whole traces). */
void bench_body_create(struct bench_body *body, enum bench_format format, const char *project,
                       size_t spans);
void bench_body_deinit(struct bench_body *body);
/* Gives it the ids of post `number`. */
void bench_body_renew(struct bench_body *body, uint64_t number);
/* Gives all its spans the test of somebody else: run (0), test (1) or configuration (2), a UUID's
 * 36 characters. Platform format. */
void bench_body_set_test(struct bench_body *body, unsigned which, const char *uuid);
/* The trace id that a trace of that post got. */
void bench_body_trace_hex(uint64_t number, unsigned trace, char out[33]);

#endif
