/* A provider under a clock that is moved by hand, with one batch processor that keeps everything in
 * memory. */
#ifndef TESTS_SUPPORT_TRACE_FIXTURE_H
#define TESTS_SUPPORT_TRACE_FIXTURE_H

#include <stdint.h>

#include "base/clock.h"
#include "trace/provider.h"
#include <marline/trace.h>

struct fake_clock {
    uint64_t monotonic_ns;
    uint64_t wall_ns;
    struct clock clock;
};

struct trace_fixture {
    struct fake_clock clock;
    marline_provider *provider;
    marline_tracer *tracer;
    marline_memory_exporter *memory;
};

/* options may be NULL. The provider is the global one until teardown. */
void trace_fixture_begin(struct trace_fixture *f, const marline_provider_options *options);
/* Shuts down, asserts that every span is accounted for, and frees. */
void trace_fixture_end(struct trace_fixture *f);

void fake_clock_init(struct fake_clock *clock);
void fake_clock_advance(struct fake_clock *clock, uint64_t ns);

/* Flushes and returns the index-th span exported so far; fails the test when there is none. */
const marline_span_data *trace_fixture_span(struct trace_fixture *f, size_t index);
size_t trace_fixture_count(struct trace_fixture *f);

/* NULL when the span has no such attribute. */
const marline_value *span_attribute(const marline_span_data *span, const char *key);
void assert_span_text(const marline_span_data *span, const char *key, const char *expected);
void assert_string_is(marline_string s, const char *expected);

/* started = exported + spooled + dropped + in flight, where in flight is counted record by record.
 */
void assert_delivery_balanced(marline_provider *provider);
/* As above, and nothing is in flight or in a spool. */
void assert_delivery(marline_provider *provider, uint64_t exported, uint64_t dropped);

/* Skips the test, visibly, where a sanitizer is at work: its allocator and its knowledge of threads
 * do not survive the fork of a process with several threads. */
void skip_fork_under_sanitizers(void);

#endif
