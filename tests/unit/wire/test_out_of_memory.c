/* Every decoder and encoder of the wire layer with each of its allocations failing in turn: it says
 * so, leaks nothing, and still works when the memory is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hex.h"
#include "base/memory.h"
#include "support/failing_memory.h"
#include "support/golden_otlp.h"
#include "support/golden_span.h"
#include "wire/baggage.h"
#include "wire/connector_message.h"
#include "wire/env_carrier.h"
#include "wire/json_writer.h"
#include "wire/otlp.h"
#include "wire/platform_span_data.h"
#include "wire/platform_trace.h"
#include "wire/tracestate.h"

/* Runs one piece of work; true when it was done whole. It must free all it allocates. */
typedef bool (*work_function)(void);

static void sweep(work_function work)
{
    bool done = false;
    for (size_t fail_at = 1; !done; fail_at++) {
        assert_in_range(fail_at, 1, 1000);
        failing_memory_install(fail_at);
        done = work();
        bool failed = failing_memory_has_failed();
        size_t alive = failing_memory_alive();
        failing_memory_remove();
        assert_int_equal(done, !failed);
        assert_int_equal(alive, 0);
    }
}

static const char message[] =
    "{\"type\":\"execute_test\",\"test_run_id\":\"i\\n\",\"function_name\":\"f\\n\",\"inputs\":"
    "{\"a\":1,\"_rhesis_test_context\":{\"test_id\":\"t\\n\"}}}";

static bool decode_message(void)
{
    struct buffer scratch = BUFFER_INIT;
    struct connector_message m;
    enum decode_status status =
        marline__message_decode(marline__slice_text(message), &scratch, &m, NULL);
    assert_true(status == DECODE_OK || status == DECODE_NO_MEMORY);
    marline__buffer_deinit(&scratch);
    return status == DECODE_OK;
}

static bool encode_message(void)
{
    struct buffer out = BUFFER_INIT;
    char text[1000];
    memset(text, 'x', sizeof text);
    struct connector_message m = {.type = MESSAGE_TEST_RESULT};
    m.test_result.invocation_id = (struct slice){text, sizeof text};
    m.test_result.error = (struct slice){text, sizeof text};
    marline__message_encode(&m, &out);
    bool done = !out.failed;
    marline__buffer_deinit(&out);
    return done;
}

static bool change_inputs(void)
{
    struct buffer out = BUFFER_INIT;
    struct slice inputs = SLICE("{\"a\":1,\"_rhesis_test_context\":{}}");
    struct message_test_context test = {.present = true};
    bool done = marline__message_strip_inputs(inputs, &out);
    done = marline__message_inputs(inputs, &test, NULL, &out) && done;
    marline__buffer_deinit(&out);
    return done;
}

static bool walk_functions(void)
{
    struct buffer scratch = BUFFER_INIT;
    char reason[DECODE_REASON_SIZE];
    struct message_function f;
    size_t position = 0;
    size_t count = 0;
    while (marline__message_next_function(SLICE("[{\"name\":\"a\\n\"},{\"name\":\"b\\n\"}]"),
                                          &position, &f, &scratch, reason)) {
        count++;
    }
    marline__buffer_deinit(&scratch);
    assert_int_equal(count == 2, reason[0] == '\0');
    return count == 2;
}

static bool decode_platform(const char *body, enum platform_decode expected)
{
    struct platform_request request;
    struct buffer errors = BUFFER_INIT;
    enum platform_decode status =
        marline__platform_decode(marline__slice_text(body), &request, &errors);
    assert_true(status == expected || status == PLATFORM_DECODE_NO_MEMORY);
    marline__platform_request_deinit(&request);
    marline__buffer_deinit(&errors);
    return status == expected;
}

static bool decode_platform_good(void)
{
    return decode_platform(
        "{\"spans\":[{\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"span_id\":"
        "\"2122232425262728\",\"span_name\":\"function.\\u0061\",\"start_time\":0,\"end_time\":1,"
        "\"attributes\":{\"rhesis.test.id\":\"\\u0061\"}}]}",
        PLATFORM_DECODE_OK);
}

static bool decode_platform_bad(void)
{
    return decode_platform("{\"spans\":[{\"span_name\":\"\\u0061\",\"trace_id\":\"\"}]}",
                           PLATFORM_DECODE_REJECTED);
}

static bool encode_platform(void)
{
    static const marline_attribute attributes[] = {
        {{"k", 1}, {MARLINE_VALUE_BYTES, {.string = {"bytes", 5}}}}};
    static const marline_resource_data resource = {.attribute_count = 0};
    static const marline_scope_data scope = {.attribute_count = 0};
    marline_span_data span = {.name = {"function.a", 10},
                              .attributes = attributes,
                              .attribute_count = 1,
                              .scope = &scope,
                              .resource = &resource};
    struct platform_identity identity = {.project_id = SLICE_EMPTY};
    struct buffer out = BUFFER_INIT;
    marline__platform_encode_span(&span, &identity, &out);
    bool done = !out.failed;
    marline__buffer_deinit(&out);
    return done;
}

static void given_no_memory_when_messages_are_coded_then_said_and_nothing_leaks(void **state)
{
    (void)state;
    sweep(decode_message);
    sweep(encode_message);
    sweep(change_inputs);
    sweep(walk_functions);
}

static bool lift_platform_spans(void)
{
    struct platform_request request;
    struct buffer error = BUFFER_INIT;
    struct arena arena = ARENA_INIT;
    enum platform_decode status = marline__platform_decode(
        SLICE("{\"spans\":[{\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"span_id\":"
              "\"2122232425262728\",\"span_name\":\"function.a\",\"start_time\":"
              "\"2026-01-01T00:00:00Z\",\"end_time\":\"2026-01-01T00:00:01Z\","
              "\"attributes\":{\"a\\n\":[\"b\\n\",{\"c\":1}]},\"events\":[{\"name\":\"e\","
              "\"timestamp\":\"2026-01-01T00:00:00Z\",\"attributes\":{}}],\"links\":[{"
              "\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"span_id\":"
              "\"2122232425262728\"}]}]}"),
        &request, &error);
    assert_true(status == PLATFORM_DECODE_OK || status == PLATFORM_DECODE_NO_MEMORY);
    bool done =
        status == PLATFORM_DECODE_OK && marline__platform_to_span_data(&request, &arena) != NULL;
    marline__arena_deinit(&arena);
    marline__buffer_deinit(&error);
    marline__platform_request_deinit(&request);
    return done;
}

static void given_no_memory_when_platform_spans_are_coded_then_said_and_nothing_leaks(void **state)
{
    (void)state;
    sweep(decode_platform_good);
    sweep(decode_platform_bad);
    sweep(encode_platform);
    sweep(lift_platform_spans);
}

static bool encode_otlp(enum otlp_format format)
{
    static const marline_scope_data other = {.name = GOLDEN_TEXT("other")};
    marline_span_data spans[] = {golden_span, golden_span};
    struct buffer out = BUFFER_INIT;
    spans[1].scope = &other; /* two groups, which takes memory */
    marline__otlp_encode(format, spans, 2, &out);
    bool done = !out.failed;
    marline__buffer_deinit(&out);
    return done;
}

static bool encode_otlp_protobuf(void)
{
    return encode_otlp(OTLP_PROTOBUF);
}

static bool encode_otlp_json(void)
{
    return encode_otlp(OTLP_JSON);
}

static bool decode_otlp(enum otlp_format format, struct slice body)
{
    struct otlp_request request;
    struct platform_request flat;
    enum otlp_decode status = marline__otlp_decode(format, body, &request);
    assert_true(status == OTLP_DECODE_OK || status == OTLP_DECODE_NO_MEMORY);
    bool done = status == OTLP_DECODE_OK;
    if (done) {
        done = marline__otlp_flatten(request.spans, request.count, &flat);
        marline__platform_request_deinit(&flat);
    }
    marline__otlp_request_deinit(&request);
    return done;
}

static bool decode_otlp_json(void)
{
    return decode_otlp(OTLP_JSON, marline__slice_text(golden_json));
}

static bool decode_otlp_protobuf(void)
{
    char bytes[sizeof golden_protobuf_hex / 2];
    size_t size = sizeof bytes;
    assert_true(
        marline__hex_decode(marline__slice_text(golden_protobuf_hex), (uint8_t *)bytes, size));
    return decode_otlp(OTLP_PROTOBUF, (struct slice){bytes, size});
}

static bool answer_otlp(void)
{
    struct buffer out = BUFFER_INIT;
    struct buffer scratch = BUFFER_INIT;
    struct otlp_answer answer;
    marline__otlp_encode_status(OTLP_PROTOBUF, 3, SLICE("message"), SLICE("description"), &out);
    bool done = !out.failed;
    done = marline__otlp_decode_response(OTLP_JSON,
                                         SLICE("{\"partialSuccess\":{\"errorMessage\":\"a\\n\"}}"),
                                         &scratch, &answer) &&
           done;
    marline__buffer_deinit(&scratch);
    marline__buffer_deinit(&out);
    return done;
}

static bool code_propagation(void)
{
    static const char *const environment[] = {"A=1", NULL};
    struct slice field = SLICE("k=a%20b,j=1");
    struct env_setting setting = {SLICE("traceparent"), SLICE("x")};
    struct tracestate_ot ot = {.has_threshold = true};
    struct baggage baggage;
    struct buffer out = BUFFER_INIT;
    bool done = marline__baggage_parse(&field, 1, &baggage);
    (void)marline__baggage_encode(baggage.entries, baggage.count, &out);
    done = marline__tracestate_parse(&field, 1, &out) && done;
    done = marline__tracestate_set_ot(SLICE("a=1"), &ot, &out) && done;
    done = !out.failed && done;
    char **copy = marline__env_copy(environment, &setting, 1);
    done = copy && done;
    marline__memory_free(copy);
    marline__baggage_deinit(&baggage);
    marline__buffer_deinit(&out);
    return done;
}

static void given_no_memory_when_otlp_is_coded_then_said_and_nothing_leaks(void **state)
{
    (void)state;
    sweep(encode_otlp_protobuf);
    sweep(encode_otlp_json);
    sweep(decode_otlp_protobuf);
    sweep(decode_otlp_json);
    sweep(answer_otlp);
}

static void given_no_memory_when_propagation_is_coded_then_said_and_nothing_leaks(void **state)
{
    (void)state;
    sweep(code_propagation);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_no_memory_when_messages_are_coded_then_said_and_nothing_leaks),
        cmocka_unit_test(given_no_memory_when_platform_spans_are_coded_then_said_and_nothing_leaks),
        cmocka_unit_test(given_no_memory_when_otlp_is_coded_then_said_and_nothing_leaks),
        cmocka_unit_test(given_no_memory_when_propagation_is_coded_then_said_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
