/* Spans in your own tests: keep them in memory, and look at them.
 *
 *     build/dev/bin/examples/own-tests
 *
 * No collector, no file, no waiting: each test has a provider of its own. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <marline/marline.h>

/* ---- what is tested: to find nothing is no error ---- */

static void find(marline_tracer *tracer, const char *word)
{
    marline_span span = marline_span_start(tracer, "find", NULL);
    marline_span_set_bool(&span, "found", strcmp(word, "rope") == 0);
    marline_span_end(&span);
}

/* ---- the test ---- */

static bool is(marline_string s, const char *text)
{
    return s.size == strlen(text) && memcmp(s.data, text, s.size) == 0;
}

static bool nothing_found_is_no_error(const marline_span_data *span)
{
    return span && is(span->name, "find") && span->status == MARLINE_SPAN_STATUS_UNSET &&
           span->attribute_count == 1 && is(span->attributes[0].key, "found") &&
           span->attributes[0].value.type == MARLINE_VALUE_BOOL &&
           !span->attributes[0].value.as.boolean;
}

int main(void)
{
    marline_provider *provider = NULL;
    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    if (!memory || marline_provider_create(NULL, &provider, NULL) != MARLINE_OK ||
        marline_provider_add_simple_processor(provider, &exporter, NULL) != MARLINE_OK) {
        return 1;
    }

    find(marline_tracer_get(provider, "example.find", NULL), "needle");

    /* A simple processor exports in marline_span_end, so the span is there now. */
    bool passed = marline_memory_exporter_count(memory) == 1 &&
                  nothing_found_is_no_error(marline_memory_exporter_span(memory, 0));
    puts(passed ? "ok: nothing found is no error" : "FAILED: nothing found is no error");
    marline_provider_destroy(provider); /* and the exporter with it */
    return passed ? 0 : 1;
}
