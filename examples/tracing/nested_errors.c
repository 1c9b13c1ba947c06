/* Nested spans, and what to do with errors on the way.
 *
 *     OTEL_TRACES_EXPORTER=console build/dev/bin/examples/nested-errors
 *
 *     import                    OK     the work as a whole got done
 *     ├── read row              OK
 *     ├── read row              ERROR  parse_error, and an `exception` event
 *     └── store                 OK
 *         └── write             ERROR  went wrong, and was tried again
 *         └── write             OK
 *
 * MARLINE_OBSERVE starts a span, makes it the parent of all that the block does, at any depth, and
 * ends it on every path out of the block: no early return leaks one. */
#include <stdbool.h>
#include <stdlib.h>

#include "setup.h"

static bool read_row(const char *text, long *out)
{
    MARLINE_OBSERVE(row, "read row");
    char *end = NULL;
    *out = strtol(text, &end, 10);
    if (end == text || *end != '\0') {
        /* The exception event, status ERROR with the message, and error.type, in one call. */
        marline_span_fail(&row.span, "parse_error", "a row must be a whole number");
        return false;
    }
    marline_span_set_int(&row.span, "row.value", *out);
    return true;
}

static bool write_total(long total, int attempt)
{
    MARLINE_OBSERVE(write, "write");
    marline_span_set_int(&write.span, "attempt", attempt);
    marline_span_set_int(&write.span, "total", total);
    if (attempt == 1) {
        /* The same, also as a line in the program's log, with the ids of the span it belongs to. */
        marline_record_error("busy", "the store is busy, attempt %d", attempt);
        return false;
    }
    return true;
}

static bool store(long total)
{
    enum { ATTEMPTS_MAX = 3 };
    MARLINE_OBSERVE(stored, "store");
    for (int attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        if (write_total(total, attempt)) {
            return true;
        }
        marline_span_add_event(&stored.span, "retry", 0, NULL, 0);
    }
    marline_span_set_status(&stored.span, MARLINE_SPAN_STATUS_ERROR, "every attempt failed");
    return false;
}

static void import_rows(const char *const *rows, size_t count)
{
    MARLINE_OBSERVE(import, "import");
    long total = 0;
    int bad = 0;
    for (size_t i = 0; i < count; i++) {
        long value = 0;
        if (read_row(rows[i], &value)) {
            total += value;
        } else {
            bad++;
        }
    }
    marline_span_set_int(&import.span, "rows.bad", bad);
    /* A child's failure is not its parent's: whether the import failed is for the import to say. */
    if (!store(total)) {
        marline_span_set_status(&import.span, MARLINE_SPAN_STATUS_ERROR, "nothing was stored");
    }
}

int main(void)
{
    static const char *const rows[] = {"40", "forty-one"};
    marline_provider *provider = start_tracing("nested-errors");
    if (!provider) {
        return 1;
    }
    import_rows(rows, sizeof rows / sizeof rows[0]);
    return stop_tracing(provider);
}
