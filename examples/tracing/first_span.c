/* A first span: set-up, one unit of work, an orderly end.
 *
 *     OTEL_TRACES_EXPORTER=console build/dev/bin/examples/first-span
 *
 * Without that variable the span goes to an OpenTelemetry Collector at http://localhost:4318; the
 * other OTEL_* variables choose another destination, all without a change to the program. */
#include <inttypes.h>
#include <stdio.h>

#include <marline/marline.h>

/* The library prints nothing by itself: what it has to say, such as why spans do not arrive, goes
 * where the program's own log goes. */
static void print_log(void *user, marline_log_level level, const char *text)
{
    (void)user;
    (void)fprintf(stderr, "%s: %s\n", level == MARLINE_LOG_ERROR ? "error" : "note", text);
}

int main(void)
{
    marline_log_set(print_log, NULL);
    marline_provider *provider = NULL;
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    marline_error error = {MARLINE_OK, ""};
    options.service_name = "first-span";
    if (marline_provider_create(&options, &provider, &error) != MARLINE_OK ||
        marline_provider_add_exporters_from_environment(provider, &error) != MARLINE_OK) {
        (void)fprintf(stderr, "tracing: %s\n", error.text);
        return 1;
    }

    /* A tracer is named after the code that traces. Get it once, keep it. */
    marline_tracer *tracer = marline_tracer_get(provider, "example.greeting", "1.0");

    marline_span span = marline_span_start(tracer, "greet", NULL);
    marline_span_set_text(&span, "greeting.name", "world");
    puts("Hello, world!");
    marline_span_end(&span);

    /* Ended spans wait for the next export; what waits leaves here, within five seconds. */
    marline_status status = marline_provider_shutdown(provider, 5000);

    /* started = exported + dropped, reason by reason + in flight: nothing is lost in silence. */
    marline_delivery delivery;
    marline_provider_delivery(provider, &delivery);
    printf("%" PRIu64 " of %" PRIu64 " spans exported\n", delivery.exported, delivery.started);
    marline_provider_destroy(provider);
    return status == MARLINE_OK ? 0 : 1;
}
