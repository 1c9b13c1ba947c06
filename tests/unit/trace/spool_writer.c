/* A traced program for test_outage.c, which kills it: makes spans and flushes them, five at a time,
 * through an OTLP exporter with a spool; after each flush it says up to which number its spans are
 * kept. With a count of 0 it makes none and delivers what the spool holds.
 *
 *   spool_writer URL SPOOL FIRST COUNT */
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <marline/exporters.h>
#include <marline/trace.h>

enum {
    SPANS_PER_FLUSH = 5,
    WRITING_TIMEOUT_MS = 50,
    DELIVERING_TIMEOUT_MS = 10000,
    FLUSH_MS = 30000,
    DELIVER_ROUNDS_MAX = 10000,
};

static marline_provider *open_provider(const char *url, const char *spool, bool delivers)
{
    marline_provider *provider = NULL;
    marline_exporter exporter;
    marline_otlp_exporter_options otlp = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    otlp.endpoint = url;
    otlp.protocol = MARLINE_OTLP_HTTP_JSON;
    otlp.timeout_ms = delivers ? DELIVERING_TIMEOUT_MS : WRITING_TIMEOUT_MS;
    marline_batch_options batch = MARLINE_BATCH_OPTIONS_INIT;
    batch.spool_path = spool;
    batch.spool_spans_per_s = INT_MAX;
    batch.no_thread = delivers;
    batch.interval_ms = INT_MAX;
    marline_error error = {0};
    if (marline_provider_create(NULL, &provider, &error) != MARLINE_OK ||
        marline_exporter_otlp_create(&otlp, &exporter, &error) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, &batch, &error) != MARLINE_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    return provider;
}

/* Everything is accounted for: exported, or in the spool. */
static bool is_kept(const marline_provider *provider)
{
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    return d.started == d.exported + d.spooled;
}

static void write_spans(marline_provider *provider, long first, long count)
{
    marline_tracer *tracer = marline_tracer_get(provider, "spool_writer", NULL);
    for (long n = first; n < first + count; n++) {
        char name[32];
        (void)snprintf(name, sizeof name, "span-%ld.", n);
        marline_span span = marline_span_start(tracer, name, NULL);
        marline_span_end(&span);
        if ((n + 1 - first) % SPANS_PER_FLUSH == 0) {
            if (marline_provider_force_flush(provider, FLUSH_MS) != MARLINE_OK ||
                !is_kept(provider)) {
                exit(2);
            }
            (void)printf("kept %ld.\n", n + 1);
            (void)fflush(stdout);
        }
    }
    (void)printf("written\n");
    (void)fflush(stdout);
}

static bool deliver(marline_provider *provider)
{
    marline_spool_state spool = {0};
    for (int i = 0; i < DELIVER_ROUNDS_MAX; i++) {
        uint64_t wait_ms = marline_provider_pump(provider);
        marline_provider_spool(provider, &spool);
        if (spool.waiting_spans == 0) {
            break;
        }
        (void)poll(NULL, 0, wait_ms < INT_MAX ? (int)wait_ms : INT_MAX);
    }
    (void)printf("recovered %" PRIu64 ", lost %" PRIu64 ", waiting %" PRIu64 "\n", spool.recovered,
                 spool.recovered_lost, spool.waiting_spans);
    return spool.waiting_spans == 0 && spool.recovered_lost == 0;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 1;
    }
    long first = strtol(argv[3], NULL, 10);
    long count = strtol(argv[4], NULL, 10);
    marline_provider *provider = open_provider(argv[1], argv[2], count == 0);
    bool good = true;
    if (count > 0) {
        write_spans(provider, first, count);
        (void)poll(NULL, 0, -1); /* until it is killed */
    } else {
        good = deliver(provider);
    }
    (void)marline_provider_shutdown(provider, FLUSH_MS);
    marline_provider_destroy(provider);
    return good ? 0 : 3;
}
