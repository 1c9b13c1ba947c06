/* This project's row of the comparison: see README.md. */
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <marline/marline.h>

enum { BURST = 400, BURSTS = 1000, ATTRIBUTES = 4 };

extern uint64_t thread_allocations(void);

static atomic_uint_fast64_t spans_seen;
static atomic_uint_fast64_t attributes_seen;

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void discard(void *user, const marline_span_data *spans, size_t count, uint64_t timeout_ms,
                    marline_export_result *out)
{
    (void)user;
    (void)timeout_ms;
    for (size_t i = 0; i < count; i++) {
        attributes_seen += spans[i].attribute_count;
    }
    spans_seen += count;
    out->exported = count;
}

static void make_span(marline_tracer *tracer)
{
    marline_span span = marline_span_start(tracer, "function.work", NULL);
    marline_span_set_text(&span, "http.method", "GET");
    marline_span_set_text(&span, "http.route", "/orders/{id}");
    marline_span_set_text(&span, "customer.id", "c-1234567890");
    marline_span_set_text(&span, "region", "eu-central-1");
    marline_span_end(&span);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    static double bursts[BURSTS];
    marline_provider *provider = NULL;
    const marline_exporter exporter = {.export_spans = discard};
    if (marline_provider_create(NULL, &provider, NULL) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, NULL, NULL) != MARLINE_OK) {
        return 1;
    }
    marline_tracer *tracer = marline_tracer_get(provider, "bench", "1");
    uint64_t allocations = 0;
    for (int b = 0; b < BURSTS; b++) {
        uint64_t allocations_before = thread_allocations();
        uint64_t start = now_ns();
        for (int i = 0; i < BURST; i++) {
            make_span(tracer);
        }
        bursts[b] = (double)(now_ns() - start) / BURST;
        allocations = thread_allocations() - allocations_before; /* the last, a warm one */
        (void)marline_provider_force_flush(provider, 10000);
    }
    (void)marline_provider_shutdown(provider, 10000);
    marline_provider_destroy(provider);
    qsort(bursts, BURSTS, sizeof bursts[0], ascending);
    printf("marline %s|%.1f|%.1f|%.1f\n", marline_version(), bursts[0], bursts[BURSTS / 2],
           (double)allocations / BURST);
    return spans_seen == (uint64_t)BURST * BURSTS && attributes_seen == ATTRIBUTES * spans_seen ? 0
                                                                                                : 1;
}
