/* A program that traces, for marline-bench size: 20 000 spans in one thread, the usual settings, to
 * the endpoint of its first argument. Writes a byte when all are exported, and waits to be ended.
 */
#include <unistd.h>

#include <marline/marline.h>

enum { SPANS = 20000, BURST = 500 };

static void trace(marline_provider *provider)
{
    marline_tracer *tracer = marline_tracer_get(provider, "bench", "1");
    for (int i = 1; i <= SPANS; i++) {
        marline_span span = marline_span_start(tracer, "work", NULL);
        marline_span_set_text(&span, "http.request.method", "GET");
        marline_span_set_text(&span, "http.route", "/orders/{id}");
        marline_span_end(&span);
        if (i % BURST == 0) {
            (void)marline_provider_force_flush(provider, 10000);
        }
    }
}

int main(int argc, char **argv)
{
    marline_provider *provider = NULL;
    marline_exporter exporter;
    marline_delivery delivery;
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    options.endpoint = argc == 2 ? argv[1] : NULL;
    if (marline_provider_create(NULL, &provider, NULL) != MARLINE_OK ||
        marline_exporter_otlp_create(&options, &exporter, NULL) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, NULL, NULL) != MARLINE_OK) {
        return 1;
    }
    trace(provider);
    marline_provider_delivery(provider, &delivery);
    if (delivery.exported != SPANS || write(STDOUT_FILENO, "r", 1) != 1) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}
