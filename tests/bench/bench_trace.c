/* The cost of a span to the thread that makes it, and what survives under load. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "bench.h"
#include "wire/otlp.h"
#include <marline/trace.h>

enum { BURST = 400, BURSTS = 1000, THREADS_MAX = 2 };

/* ---- allocations of the library ---- */

static atomic_uint_fast64_t allocations;

static void *counting_allocate(size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return malloc(size);
}

static void *counting_resize(void *block, size_t size)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return realloc(block, size);
}

static const struct memory_functions counting = {counting_allocate, counting_resize, free};

/* ---- a provider whose exporter throws everything away ---- */

struct sink {
    atomic_uint_fast64_t spans;
    atomic_uint_fast64_t attributes;
    bool encodes;       /* into OTLP protobuf first, as an exporter has to */
    struct buffer body; /* the processor's thread; reading it after the shutdown is fine */
    uint64_t batches;
};

/* One body in DECODE_EVERY is decoded again. */
static void encode(struct sink *sink, const marline_span_data *spans, size_t count)
{
    enum { DECODE_EVERY = 256 };
    marline__buffer_clear(&sink->body);
    marline__otlp_encode(OTLP_PROTOBUF, spans, count, &sink->body);
    if (sink->batches++ % DECODE_EVERY == 0) {
        struct otlp_request request;
        bench_check(marline__otlp_decode(OTLP_PROTOBUF, marline__buffer_slice(&sink->body),
                                         &request) == OTLP_DECODE_OK &&
                        request.count == count && request.rejected == 0 &&
                        request.spans[count - 1].attribute_count == 4,
                    "what was encoded decodes");
        marline__otlp_request_deinit(&request);
    }
}

static void discard(void *user, const marline_span_data *spans, size_t count, uint64_t timeout_ms,
                    marline_export_result *out)
{
    (void)timeout_ms;
    struct sink *sink = user;
    uint64_t attributes = 0;
    for (size_t i = 0; i < count; i++) {
        attributes += spans[i].attribute_count;
    }
    if (sink->encodes) {
        encode(sink, spans, count);
    }
    atomic_fetch_add_explicit(&sink->spans, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&sink->attributes, attributes, memory_order_relaxed);
    out->exported = count;
}

static marline_provider *make_provider(struct sink *sink, const marline_sampler *sampler,
                                       uint32_t queue_max)
{
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.sampler = sampler;
    marline_provider *provider = NULL;
    bench_check(marline_provider_create(&options, &provider, NULL) == MARLINE_OK, "a provider");
    marline_exporter exporter = {.export_spans = discard, .user = sink};
    marline_batch_options batch = MARLINE_BATCH_OPTIONS_INIT;
    batch.queue_max = queue_max;
    bench_check(marline_provider_add_batch_processor(provider, &exporter, &batch, NULL) ==
                    MARLINE_OK,
                "a batch processor");
    return provider;
}

static void check_balance(marline_provider *provider, const struct sink *sink, uint64_t started)
{
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    uint64_t dropped = 0;
    for (int i = 0; i < MARLINE_DROP_REASONS; i++) {
        dropped += d.dropped[i];
    }
    bench_check(d.started == started, "every start was counted");
    bench_check(d.exported == atomic_load(&sink->spans), "the exporter saw what was counted");
    bench_check(d.started == d.exported + dropped && d.in_flight == 0, "the balance holds");
    bench_check(atomic_load(&sink->attributes) == 4 * d.exported, "each span had 4 attributes");
}

/* ---- the measured work ---- */

static void make_span(marline_tracer *tracer)
{
    marline_span span = marline_span_start(tracer, "function.work", NULL);
    marline_span_set_text(&span, "http.method", "GET");
    marline_span_set_text(&span, "http.route", "/orders/{id}");
    marline_span_set_text(&span, "customer.id", "c-1234567890");
    marline_span_set_text(&span, "region", "eu-central-1");
    marline_span_end(&span);
}

/* Spans are made in bursts that fit into the default queue, and the processor may empty it between
 * two: what is measured is what the caller pays, not how a processor loses a race against a loop
 * that does nothing else. steady_* below measures that. */
struct worker {
    marline_provider *provider;
    marline_tracer *tracer;
    pthread_barrier_t *barrier;
    double best_ns; /* per span, of the best burst */
};

static void *work(void *user)
{
    struct worker *w = user;
    for (int burst = 0; burst < BURSTS; burst++) {
        pthread_barrier_wait(w->barrier);
        uint64_t start = bench_now_ns();
        for (int i = 0; i < BURST; i++) {
            make_span(w->tracer);
        }
        double ns = (double)(bench_now_ns() - start) / BURST;
        if (w->best_ns == 0 || ns < w->best_ns) {
            w->best_ns = ns;
        }
        pthread_barrier_wait(w->barrier);
        bench_check(marline_provider_force_flush(w->provider, 10000) == MARLINE_OK, "a flush");
    }
    return NULL;
}

struct measured {
    double best_ns;
    uint64_t allocations;
};

static double round_of(marline_provider *provider, int threads)
{
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    pthread_t ids[THREADS_MAX];
    struct worker workers[THREADS_MAX];
    double sum = 0;
    for (int i = 0; i < threads; i++) {
        workers[i] =
            (struct worker){provider, marline_tracer_get(provider, "bench", "1"), &barrier, 0};
        bench_check(pthread_create(&ids[i], NULL, work, &workers[i]) == 0, "a thread");
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum += workers[i].best_ns;
    }
    pthread_barrier_destroy(&barrier);
    return sum / threads;
}

/* Two rounds: the first warms up, the second must not allocate. */
static struct measured measure(const marline_sampler *sampler, int threads)
{
    struct sink sink = {0};
    marline_provider *provider = make_provider(&sink, sampler, 0);
    (void)round_of(provider, threads);
    uint64_t before = atomic_load(&allocations);
    struct measured m = {round_of(provider, threads), 0};
    m.allocations = atomic_load(&allocations) - before;
    bench_check(marline_provider_shutdown(provider, 30000) == MARLINE_OK, "an orderly end");
    check_balance(provider, &sink, (uint64_t)BURST * BURSTS * (uint64_t)threads * 2);
    marline_provider_destroy(provider);
    return m;
}

static void report_costs(void)
{
    double pair = bench_clock_pair_ns();
    bench_report("clock_pair", pair, "ns", 1, -1, 0);
    struct measured one = measure(NULL, 1);
    bench_report("span_recording_1_thread", one.best_ns, "ns", one.best_ns / pair, 3,
                 one.best_ns / pair);
    bench_report("span_recording_allocations", (double)one.allocations, "count", 0, 0,
                 (double)one.allocations);
    struct measured two = measure(NULL, 2);
    bench_report("span_recording_2_threads", two.best_ns, "ns", two.best_ns / one.best_ns, 1.2,
                 two.best_ns / one.best_ns);
    marline_sampler off = marline_sampler_always_off();
    struct measured unsampled = measure(&off, 1);
    bench_report("span_unsampled", unsampled.best_ns, "ns", unsampled.best_ns / pair, 0.4,
                 unsampled.best_ns / pair);
    bench_report("span_unsampled_allocations", (double)unsampled.allocations, "count", 0, 0,
                 (double)unsampled.allocations);
}

/* ---- a steady million spans a second ---- */

/* Waits until `made` spans are due. A loop that was kept from its core for longer than LAG_NS does
 * not catch up: that would be a burst of many times the rate. The ratio that is reported says how
 * much longer than planned all took. */
static void keep_pace(uint64_t *start_ns, uint64_t made, uint64_t per_second)
{
    const uint64_t LAG_NS = 10000000;
    uint64_t due_ns = *start_ns + made * (1000000000u / per_second);
    uint64_t now_ns = bench_now_ns();
    if (now_ns > due_ns + LAG_NS) {
        *start_ns += now_ns - due_ns;
    }
    while (now_ns < due_ns) {
        now_ns = bench_now_ns();
    }
}

/* Each span is encoded before it is thrown away. */
static void report_steady(uint32_t queue_max, int seconds, const char *name, double target)
{
    enum { PER_SECOND = 1000000, STEP = 100 };
    struct sink sink = {.encodes = true};
    marline_provider *provider = make_provider(&sink, NULL, queue_max);
    marline_tracer *tracer = marline_tracer_get(provider, "bench", "1");
    uint64_t total = (uint64_t)seconds * PER_SECOND;
    uint64_t start = bench_now_ns();
    uint64_t pace = start;
    for (uint64_t made = 0; made < total;) {
        for (int i = 0; i < STEP; i++, made++) {
            make_span(tracer);
        }
        keep_pace(&pace, made, PER_SECOND);
    }
    double took_s = (double)(bench_now_ns() - start) / 1e9;
    bench_check(marline_provider_shutdown(provider, 30000) == MARLINE_OK, "an orderly end");
    check_balance(provider, &sink, total);
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    bench_check(sink.batches > 0 && !sink.body.failed, "spans were encoded");
    bench_report(name, (double)d.dropped[MARLINE_DROP_QUEUE_FULL], "spans", took_s / seconds,
                 target, (double)d.dropped[MARLINE_DROP_QUEUE_FULL]);
    marline_provider_destroy(provider);
    marline__buffer_deinit(&sink.body);
}

void bench_trace(void)
{
    marline__memory_install(&counting);
    report_costs();
    report_steady(65536, 10, "steady_1M_per_s_lost", 0);
    report_steady(2048, 2, "steady_1M_per_s_lost_default_queue", -1);
}
