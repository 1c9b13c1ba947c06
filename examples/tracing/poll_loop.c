/* Tracing without a thread of the library's: the program's own event loop exports.
 *
 *     build/dev/bin/examples/poll-loop < README.md
 *
 * For programs that may have one thread only, or that fork and are strict about threads. Each line
 * that arrives is a span; marline_provider_pump exports what is due and says when to call it again,
 * which is the timeout of poll(). */
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "setup.h"

static marline_provider *start_tracing_without_thread(void)
{
    marline_provider *provider = NULL;
    marline_exporter exporter;
    marline_error error = {MARLINE_OK, ""};
    marline_batch_options batch = MARLINE_BATCH_OPTIONS_INIT;
    batch.no_thread = true;
    batch.interval_ms = 1000;
    if (marline_provider_create(NULL, &provider, &error) != MARLINE_OK ||
        marline_exporter_console_create(STDOUT_FILENO, &exporter, &error) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, &batch, &error) != MARLINE_OK) {
        (void)fprintf(stderr, "tracing: %s\n", error.text);
        marline_provider_destroy(provider);
        return NULL;
    }
    return provider;
}

static void trace_lines(marline_tracer *tracer, const char *bytes, size_t size)
{
    for (const char *end; size > 0 && (end = memchr(bytes, '\n', size)); bytes = end + 1) {
        size_t line_size = (size_t)(end - bytes);
        marline_span span = marline_span_start(tracer, "line", NULL);
        marline_span_set_int(&span, "line.size", (int64_t)line_size);
        marline_span_end(&span);
        size -= line_size + 1;
    }
}

static int wait_ms(uint64_t pump_again_ms)
{
    return pump_again_ms > INT_MAX ? -1 : (int)pump_again_ms;
}

static void loop(marline_provider *provider)
{
    marline_tracer *tracer = marline_tracer_get(provider, "example.loop", NULL);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char bytes[4096];
    for (;;) {
        int ready = poll(&input, 1, wait_ms(marline_provider_pump(provider)));
        ssize_t size = ready > 0 ? read(STDIN_FILENO, bytes, sizeof bytes) : 0;
        if (ready < 0 || (ready > 0 && size <= 0)) {
            return;
        }
        trace_lines(tracer, bytes, (size_t)size);
    }
}

int main(void)
{
    marline_provider *provider = start_tracing_without_thread();
    if (!provider) {
        return 1;
    }
    loop(provider);
    return stop_tracing(provider); /* exports what waits, in this thread */
}
