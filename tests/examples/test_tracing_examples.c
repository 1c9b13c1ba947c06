/* Each tracing example runs as a program of its own against an OTLP receiver; its spans are decoded
 * and compared: names, kinds, parents, links, status, attributes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../support/http_peer.h"
#include "../support/program.h"
#include "../support/trace_fixture.h"
#include "base/memory.h"
#include "wire/otlp.h"

enum { REQUESTS_MAX = 8, SPANS_MAX = 32, LIMIT_MS = 30000 };

#define LOG          "example.log"
#define EXAMPLES_DIR MARLINE_BIN_DIR "/examples"

/* What one run of an example left behind. */
static struct {
    struct http_peer *peer;
    struct otlp_request requests[REQUESTS_MAX];
    size_t request_count;
    const marline_span_data *spans[SPANS_MAX]; /* in the order of their arrival */
    size_t span_count;
    char *output;
} run;

static int setup(void **state)
{
    (void)state;
    static const struct http_peer_step accepts = {HTTP_PEER_ANSWER, 200,
                                                  "Content-Type: application/x-protobuf\r\n", ""};
    memset(&run, 0, sizeof run);
    (void)unlink(LOG);
    run.peer = http_peer_start(&accepts, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < run.request_count; i++) {
        marline__otlp_request_deinit(&run.requests[i]);
    }
    marline__memory_free(run.output);
    http_peer_stop(run.peer);
    return 0;
}

static void decode(size_t index)
{
    struct otlp_request *request = &run.requests[index];
    struct slice body = {http_peer_body(run.peer, index), http_peer_body_size(run.peer, index)};
    assert_non_null(strstr(http_peer_head(run.peer, index), "POST /v1/traces "));
    enum otlp_decode decoded = marline__otlp_decode(OTLP_PROTOBUF, body, request);
    run.request_count++;
    assert_int_equal(decoded, OTLP_DECODE_OK);
    assert_int_equal(request->rejected, 0);
    for (size_t i = 0; i < request->count; i++) {
        assert_true(run.span_count < SPANS_MAX);
        run.spans[run.span_count++] = &request->spans[i];
    }
}

/* Runs a program to its end, which must be a good one. */
static void run_program(const char *const *argv)
{
    char endpoint[64];
    (void)snprintf(endpoint, sizeof endpoint, "OTEL_EXPORTER_OTLP_ENDPOINT=%s",
                   http_peer_url(run.peer));
    const char *const environment[] = {"OTEL_TRACES_EXPORTER=otlp",
                                       "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", endpoint, NULL};
    struct program program;
    assert_true(program_start(&program, argv, environment, LOG));
    bool ended = program_wait(&program, LIMIT_MS);
    int status = program_exit_status(&program);
    program_stop(&program);
    run.output = program_read_file(LOG);
    if (!ended || status != 0) {
        print_error("%s\n", run.output);
    }
    assert_true(ended);
    assert_int_equal(status, 0);
    size_t count = http_peer_request_count(run.peer);
    assert_true(count <= REQUESTS_MAX);
    for (size_t i = 0; i < count; i++) {
        decode(i);
    }
}

static void run_example(const char *path, size_t spans)
{
    const char *const argv[] = {path, NULL};
    run_program(argv);
    assert_int_equal(run.span_count, spans);
}

/* ---- looking at spans ---- */

/* The n-th span of a name, counted from 0; fails when there is none. */
static const marline_span_data *span_named(const char *name, size_t n)
{
    for (size_t i = 0; i < run.span_count; i++) {
        marline_string s = run.spans[i]->name;
        if (s.size == strlen(name) && memcmp(s.data, name, s.size) == 0 && n-- == 0) {
            return run.spans[i];
        }
    }
    fail_msg("no such span: %s", name);
    return NULL;
}

static void assert_root(const marline_span_data *span)
{
    static const uint8_t none[8];
    assert_memory_equal(span->parent_span_id, none, sizeof none);
}

static void assert_child(const marline_span_data *child, const marline_span_data *parent)
{
    assert_memory_equal(child->trace_id, parent->trace_id, sizeof parent->trace_id);
    assert_memory_equal(child->parent_span_id, parent->span_id, sizeof parent->span_id);
}

static void assert_link(const marline_link_data *link, const marline_span_data *to)
{
    assert_memory_equal(link->trace_id, to->trace_id, sizeof to->trace_id);
    assert_memory_equal(link->span_id, to->span_id, sizeof to->span_id);
    assert_true(link->is_remote);
}

static void assert_int_attribute(const marline_span_data *span, const char *key, int64_t expected)
{
    const marline_value *value = span_attribute(span, key);
    assert_non_null(value);
    assert_int_equal(value->type, MARLINE_VALUE_INT);
    assert_int_equal(value->as.integer, expected);
}

static void assert_failed(const marline_span_data *span, const char *type, const char *message)
{
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_ERROR);
    assert_string_is(span->status_message, message);
    assert_span_text(span, "error.type", type);
    assert_int_equal(span->event_count, 1);
    assert_string_is(span->events[0].name, "exception");
    const marline_span_data event = {.attributes = span->events[0].attributes,
                                     .attribute_count = span->events[0].attribute_count};
    assert_span_text(&event, "exception.type", type);
    assert_span_text(&event, "exception.message", message);
}

static void assert_service(const marline_span_data *span, const char *name)
{
    const marline_span_data resource = {.attributes = span->resource->attributes,
                                        .attribute_count = span->resource->attribute_count};
    assert_span_text(&resource, "service.name", name);
}

/* ---- the examples ---- */

static void given_first_span_when_run_then_one_root_with_its_scope(void **state)
{
    (void)state;
    run_example(EXAMPLES_DIR "/first-span", 1);
    const marline_span_data *greet = span_named("greet", 0);
    assert_root(greet);
    assert_int_equal(greet->kind, MARLINE_SPAN_KIND_INTERNAL);
    assert_int_equal(greet->status, MARLINE_SPAN_STATUS_UNSET);
    assert_span_text(greet, "greeting.name", "world");
    assert_string_is(greet->scope->name, "example.greeting");
    assert_string_is(greet->scope->version, "1.0");
    assert_service(greet, "first-span");
    assert_string_equal(run.output, "Hello, world!\n1 of 1 spans exported\n");
}

static void given_nested_errors_when_run_then_each_failure_is_on_its_own_span(void **state)
{
    (void)state;
    run_example(EXAMPLES_DIR "/nested-errors", 6);
    const marline_span_data *import = span_named("import", 0);
    const marline_span_data *store = span_named("store", 0);
    assert_root(import);
    assert_child(span_named("read row", 0), import);
    assert_child(span_named("read row", 1), import);
    assert_child(store, import);
    assert_child(span_named("write", 0), store);
    assert_child(span_named("write", 1), store);

    assert_int_equal(import->status, MARLINE_SPAN_STATUS_OK);
    assert_int_attribute(import, "rows.bad", 1);
    assert_int_equal(span_named("read row", 0)->status, MARLINE_SPAN_STATUS_OK);
    assert_int_attribute(span_named("read row", 0), "row.value", 40);
    assert_failed(span_named("read row", 1), "parse_error", "a row must be a whole number");
    assert_int_equal(store->status, MARLINE_SPAN_STATUS_OK);
    assert_int_equal(store->event_count, 1);
    assert_string_is(store->events[0].name, "retry");
    assert_failed(span_named("write", 0), "busy", "the store is busy, attempt 1");
    assert_int_equal(span_named("write", 1)->status, MARLINE_SPAN_STATUS_OK);
    assert_non_null(strstr(run.output, "error: busy: the store is busy, attempt 1 trace_id="));
}

static void given_consumer_when_run_then_one_continues_and_one_links(void **state)
{
    (void)state;
    run_example(EXAMPLES_DIR "/consumer", 5);
    const marline_span_data *settle = span_named("settle orders", 0);
    static const char *const bodies[] = {"tea", "coffee"};
    assert_root(settle);
    assert_int_equal(settle->kind, MARLINE_SPAN_KIND_CONSUMER);
    assert_int_equal(settle->link_count, 2);
    for (size_t i = 0; i < 2; i++) {
        const marline_span_data *send = span_named("send order", i);
        const marline_span_data *process = span_named("process order", i);
        assert_root(send);
        assert_int_equal(send->kind, MARLINE_SPAN_KIND_PRODUCER);
        assert_child(process, send);
        assert_true(process->parent_is_remote);
        assert_int_equal(process->kind, MARLINE_SPAN_KIND_CONSUMER);
        assert_span_text(process, "order", bodies[i]);
        assert_link(&settle->links[i], send);
        assert_memory_not_equal(settle->trace_id, send->trace_id, sizeof send->trace_id);
    }
}

static void given_child_process_when_run_then_it_continues_the_parents_trace(void **state)
{
    (void)state;
    run_example(EXAMPLES_DIR "/child-process", 2);
    const marline_span_data *publish = span_named("publish album", 0);
    const marline_span_data *resize = span_named("resize", 0);
    assert_root(publish);
    assert_child(resize, publish);
    assert_true(resize->parent_is_remote);
    assert_span_text(resize, "album", "alps-2026");
    assert_service(publish, "album");
    assert_service(resize, "resizer");
    assert_int_equal(publish->status, MARLINE_SPAN_STATUS_OK);
}

static void given_poll_loop_when_fed_lines_then_a_span_each_on_the_console(void **state)
{
    (void)state;
    static const char *const argv[] = {
        "/bin/sh", "-c", "printf 'one\\nthree\\n' | '" EXAMPLES_DIR "/poll-loop'", NULL};
    run_program(argv);
    assert_int_equal(run.span_count, 0); /* nothing by OTLP */
    static const char mark[] = " - \"line\" trace=";
    const char *first = strstr(run.output, mark);
    assert_non_null(first);
    const char *second = strstr(first + sizeof mark, mark);
    assert_non_null(second);
    assert_null(strstr(second + sizeof mark, mark));
    assert_non_null(strstr(first, " line.size=3\n"));
    assert_non_null(strstr(second, " line.size=5\n"));
    assert_null(strstr(run.output, "parent="));
}

static void given_ai_agent_when_run_then_model_and_tool_are_its_children(void **state)
{
    (void)state;
    run_example(EXAMPLES_DIR "/ai-agent", 4);
    const marline_span_data *agent = span_named("ai.agent.invoke", 0);
    const marline_span_data *tool = span_named("ai.tool.invoke", 0);
    assert_root(agent);
    assert_span_text(agent, "ai.agent.name", "travel-guide");
    assert_child(tool, agent);
    assert_span_text(tool, "ai.tool.name", "weather");
    assert_span_text(tool, "function.kwargs", "{\"city\":\"Oslo\"}");
    assert_span_text(tool, "function.result", "4 degrees, rain");
    for (size_t i = 0; i < 2; i++) {
        const marline_span_data *model = span_named("ai.llm.invoke", i);
        assert_child(model, agent);
        assert_span_text(model, "ai.model.name", "small-1");
        assert_int_attribute(model, "ai.llm.tokens.total", 60);
        assert_int_equal(model->status, MARLINE_SPAN_STATUS_OK);
    }
    assert_string_equal(run.output, "Take an umbrella.\n");
}

static void given_own_tests_when_run_then_they_pass(void **state)
{
    (void)state;
    run_example(EXAMPLES_DIR "/own-tests", 0);
    assert_string_equal(run.output, "ok: nothing found is no error\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(given_first_span_when_run_then_one_root_with_its_scope,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_nested_errors_when_run_then_each_failure_is_on_its_own_span, setup, teardown),
        cmocka_unit_test_setup_teardown(given_consumer_when_run_then_one_continues_and_one_links,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_child_process_when_run_then_it_continues_the_parents_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_poll_loop_when_fed_lines_then_a_span_each_on_the_console, setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_ai_agent_when_run_then_model_and_tool_are_its_children, setup, teardown),
        cmocka_unit_test_setup_teardown(given_own_tests_when_run_then_they_pass, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
