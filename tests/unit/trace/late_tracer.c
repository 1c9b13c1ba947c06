/* A program that traces to the very end: from main, from a handler of atexit, and from a
 * destructor, with a provider that lives, and one that is gone by then. Exit 0: everything was
 * counted. */
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <marline/exporters.h>
#include <marline/trace.h>

enum { FLUSH_MS = 10000, SPANS_PER_STAGE = 3 };

static marline_provider *lasting;
static marline_provider *gone;
static marline_memory_exporter *memory;
static marline_span outlived; /* of the provider that is gone */

static void trace(marline_provider *provider)
{
    for (int i = 0; i < SPANS_PER_STAGE; i++) {
        marline_span span =
            marline_span_start(marline_tracer_get(provider, "late", NULL), "function.late", NULL);
        marline_span_set_int(&span, "i", i);
        marline_span_end(&span);
    }
    MARLINE_OBSERVE(observed, "function.observed"); /* with the global provider, or none */
    marline_span_set_text(&observed.span, "k", "v");
}

static void at_exit(void)
{
    trace(lasting);
    marline_span_end(&outlived);
    if (marline_provider_force_flush(lasting, FLUSH_MS) != MARLINE_OK) {
        _exit(2);
    }
}

__attribute__((destructor)) static void at_the_end(void)
{
    trace(lasting);
    marline_span_set_text(&outlived, "k", "v");
    marline_span_end(&outlived);
    if (marline_provider_shutdown(lasting, FLUSH_MS) != MARLINE_OK) {
        _exit(3);
    }
    trace(lasting); /* after the shutdown: nothing, and no crash */
    marline_delivery d;
    marline_provider_delivery(lasting, &d);
    size_t kept = marline_memory_exporter_count(memory);
    bool good = d.started == 3 * SPANS_PER_STAGE && d.exported == d.started && d.in_flight == 0 &&
                kept == d.exported;
    marline_provider_destroy(lasting);
    _exit(good ? 0 : 4);
}

static marline_provider *open_provider(void)
{
    marline_provider *provider = NULL;
    marline_exporter exporter;
    memory = marline_memory_exporter_create(&exporter);
    if (marline_provider_create(NULL, &provider, NULL) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, NULL, NULL) != MARLINE_OK) {
        _exit(1);
    }
    return provider;
}

int main(void)
{
    gone = open_provider();
    marline_provider_set_global(gone);
    trace(gone);
    outlived = marline_span_start(marline_tracer_get(gone, "late", NULL), "function.a", NULL);
    marline_provider_destroy(gone);
    lasting = open_provider();
    trace(lasting);
    return atexit(at_exit) == 0 ? 0 : 1;
}
