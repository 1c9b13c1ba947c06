/* The file and console exporters, and exporters by OTEL_TRACES_EXPORTER. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../support/trace_fixture.h"
#include "wire/otlp.h"
#include <marline/exporters.h>

static const marline_scope_data scope;
static const marline_resource_data resource;
static const marline_attribute attributes[] = {
    {{"text", 4}, {.type = MARLINE_VALUE_STRING, .as.string = {"two\nlines", 9}}},
    {{"n", 1}, {.type = MARLINE_VALUE_INT, .as.integer = 7}}};

static marline_span_data a_span(void)
{
    return (marline_span_data){.trace_id = {0xab},
                               .span_id = {0xcd},
                               .name = {"function.a", 10},
                               .kind = MARLINE_SPAN_KIND_INTERNAL,
                               .start_unix_ns = 1767225600 * NS_PER_S,
                               .end_unix_ns = 1767225600 * NS_PER_S + 1500 * NS_PER_MS / 1000,
                               .status = MARLINE_SPAN_STATUS_ERROR,
                               .status_message = {"broken", 6},
                               .attributes = attributes,
                               .attribute_count = 2,
                               .scope = &scope,
                               .resource = &resource};
}

static size_t read_file(const char *path, char *out, size_t size)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    ssize_t n = read(descriptor, out, size - 1);
    assert_true(n >= 0);
    close(descriptor);
    out[n] = '\0';
    return (size_t)n;
}

static void given_file_when_batches_are_exported_then_one_otlp_line_each(void **state)
{
    (void)state;
    (void)unlink("spans.jsonl");
    marline_exporter exporter;
    assert_int_equal(marline_exporter_file_create("spans.jsonl", &exporter, NULL), MARLINE_OK);
    marline_span_data spans[2] = {a_span(), a_span()};
    for (int i = 0; i < 2; i++) {
        marline_export_result result = {0};
        exporter.export_spans(exporter.user, spans, 2, 0, &result);
        assert_int_equal(result.exported, 2);
    }
    exporter.destroy(exporter.user);
    char text[8192];
    read_file("spans.jsonl", text, sizeof text);
    char *line = text;
    for (int i = 0; i < 2; i++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        struct otlp_request request;
        assert_int_equal(
            marline__otlp_decode(OTLP_JSON, (struct slice){line, (size_t)(end - line)}, &request),
            OTLP_DECODE_OK);
        assert_int_equal(request.count, 2);
        marline__otlp_request_deinit(&request);
        line = end + 1;
    }
    assert_string_equal(line, "");
}

static void given_full_disk_when_exported_then_failed_with_reason(void **state)
{
    (void)state;
    marline_exporter exporter;
    assert_int_equal(marline_exporter_file_create("/dev/full", &exporter, NULL), MARLINE_OK);
    marline_span_data span = a_span();
    marline_export_result result = {0};
    exporter.export_spans(exporter.user, &span, 1, 0, &result);
    assert_int_equal(result.failed, 1);
    assert_non_null(strstr(result.reason, "No space left"));
    exporter.destroy(exporter.user);
}

static void given_path_that_cannot_be_when_created_then_error_names_it(void **state)
{
    (void)state;
    marline_exporter exporter;
    marline_error error = {0};
    assert_int_equal(marline_exporter_file_create("/nowhere/x", &exporter, &error), MARLINE_EIO);
    assert_non_null(strstr(error.text, "/nowhere/x: No such file"));
    assert_int_equal(marline_exporter_file_create(NULL, &exporter, NULL), MARLINE_EINVAL);
    assert_int_equal(marline_exporter_console_create(-1, &exporter, NULL), MARLINE_EINVAL);
}

static void console_text(const marline_span_data *span, char *out, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    marline_exporter exporter;
    assert_int_equal(marline_exporter_console_create(ends[1], &exporter, NULL), MARLINE_OK);
    marline_export_result result = {0};
    exporter.export_spans(exporter.user, span, 1, 0, &result);
    assert_int_equal(result.exported, 1);
    exporter.destroy(exporter.user);
    close(ends[1]); /* the exporter leaves it open */
    ssize_t n = read(ends[0], out, size - 1);
    assert_true(n > 0);
    out[n] = '\0';
    close(ends[0]);
}

static void given_console_when_exported_then_one_line_a_span(void **state)
{
    (void)state;
    marline_span_data span = a_span();
    char text[1024];
    console_text(&span, text, sizeof text);
    assert_string_equal(text, "2026-01-01T00:00:00Z 1.500ms ERROR \"function.a\" "
                              "trace=ab000000000000000000000000000000 span=cd00000000000000 "
                              "message=\"broken\" text=\"two\\nlines\" n=7\n");
}

static void given_kind_event_and_link_when_on_console_then_shown(void **state)
{
    (void)state;
    static const marline_attribute odd[] = {
        {{"a=b", 3}, {.type = MARLINE_VALUE_BOOL, .as.boolean = true}},
        {{"", 0}, {.type = MARLINE_VALUE_EMPTY}}};
    static const marline_event_data events[] = {
        {.name = {"plain", 5}},
        {.name = {"full", 4}, .attributes = attributes, .attribute_count = 2}};
    static const marline_link_data link = {
        .trace_id = {0x01}, .span_id = {0x02}, .attributes = odd, .attribute_count = 2};
    marline_span_data span = a_span();
    char text[1024];
    span.kind = MARLINE_SPAN_KIND_CONSUMER;
    span.has_parent = true;
    span.parent_span_id[0] = 0xef;
    span.status_message.size = 0;
    span.attribute_count = 0;
    span.events = events;
    span.event_count = 2;
    span.links = &link;
    span.link_count = 1;
    console_text(&span, text, sizeof text);
    assert_string_equal(text, "2026-01-01T00:00:00Z 1.500ms ERROR \"function.a\" "
                              "trace=ab000000000000000000000000000000 span=cd00000000000000 "
                              "parent=ef00000000000000 kind=CONSUMER event=\"plain\" "
                              "event=\"full\"{text=\"two\\nlines\" n=7} "
                              "link=01000000000000000000000000000000/0200000000000000"
                              "{\"a=b\"=true \"\"=null}\n");
}

static unsigned processors_for(const char *names)
{
    if (names) {
        setenv("OTEL_TRACES_EXPORTER", names, 1);
    } else {
        unsetenv("OTEL_TRACES_EXPORTER");
    }
    marline_provider *provider = NULL;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_exporters_from_environment(provider, NULL), MARLINE_OK);
    unsigned count = atomic_load(&provider->processor_count);
    marline_provider_destroy(provider);
    unsetenv("OTEL_TRACES_EXPORTER");
    return count;
}

static void given_exporter_names_when_added_then_as_many_processors_ENV_05(void **state)
{
    (void)state;
    assert_int_equal(processors_for(NULL), 1);
    assert_int_equal(processors_for(""), 1);
    assert_int_equal(processors_for("none"), 0);
    assert_int_equal(processors_for("NONE"), 0);
    assert_int_equal(processors_for("otlp, Console"), 2);
    assert_int_equal(processors_for("zipkin"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_file_when_batches_are_exported_then_one_otlp_line_each),
        cmocka_unit_test(given_full_disk_when_exported_then_failed_with_reason),
        cmocka_unit_test(given_path_that_cannot_be_when_created_then_error_names_it),
        cmocka_unit_test(given_console_when_exported_then_one_line_a_span),
        cmocka_unit_test(given_kind_event_and_link_when_on_console_then_shown),
        cmocka_unit_test(given_exporter_names_when_added_then_as_many_processors_ENV_05),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
