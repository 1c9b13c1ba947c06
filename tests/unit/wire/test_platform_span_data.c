/* Spans of the platform's JSON as span data, seen through the OTLP encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/otlp.h"
#include "wire/platform_span_data.h"

#define IDS                                                                                        \
    "\"trace_id\":\"0102030405060708090a0b0c0d0e0f10\",\"span_id\":\"2122232425262728\","          \
    "\"span_name\":\"function.a\",\"start_time\":\"2026-01-01T00:00:00Z\","                        \
    "\"end_time\":\"2026-01-01T00:00:01.5Z\""

/* The request as OTLP JSON. */
static void expect_otlp(const char *platform_json, const char *otlp_json)
{
    struct platform_request request;
    struct buffer error = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    struct arena arena = ARENA_INIT;
    assert_int_equal(marline__platform_decode(marline__slice_text(platform_json), &request, &error),
                     PLATFORM_DECODE_OK);
    marline_span_data *spans = marline__platform_to_span_data(&request, &arena);
    assert_non_null(spans);
    marline__otlp_encode(OTLP_JSON, spans, request.count, &out);
    assert_string_equal(out.data, otlp_json);
    marline__buffer_deinit(&out);
    marline__buffer_deinit(&error);
    marline__arena_deinit(&arena);
    marline__platform_request_deinit(&request);
}

#define OTLP_HEAD(resource)                                                                        \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[" resource                                 \
    "]},\"scopeSpans\":[{\"scope\":{},\"spans\":["
#define OTLP_IDS                                                                                   \
    "{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"2122232425262728\","
#define OTLP_NAME                                                                                  \
    "\"name\":\"function.a\",\"kind\":1,\"startTimeUnixNano\":"                                    \
    "\"1767225600000000000\",\"endTimeUnixNano\":\"1767225601500000000\""
#define DEVELOPMENT                                                                                \
    "{\"key\":\"deployment.environment.name\",\"value\":{\"stringValue\":\"development\"}}"
#define OTLP_END  ",\"status\":{\"code\":1},\"flags\":257}"
#define OTLP_TAIL "]}]}]}"

static void given_smallest_span_then_environment_is_of_the_resource(void **state)
{
    (void)state;
    expect_otlp("{\"spans\":[{" IDS "}]}",
                OTLP_HEAD(DEVELOPMENT) OTLP_IDS OTLP_NAME OTLP_END OTLP_TAIL);
}

static void given_values_of_every_type_then_typed(void **state)
{
    (void)state;
    expect_otlp(
        "{\"spans\":[{" IDS ",\"resource\":{\"deployment.environment.name\":\"qa\"},"
        "\"attributes\":{\"i\":-1,\"big\":1e30,\"d\":1.5,\"b\":false,\"s\":\"a\\\"b\",\"n\":null,"
        "\"l\":[1,\"x\",[]],\"m\":{\"q\\n\":true}}}]}",
        OTLP_HEAD("{\"key\":\"deployment.environment.name\",\"value\":{\"stringValue\":\"qa\"}}")
            OTLP_IDS OTLP_NAME
        ",\"attributes\":[{\"key\":\"i\",\"value\":{\"intValue\":\"-1\"}},"
        "{\"key\":\"big\",\"value\":{\"doubleValue\":1e+30}},"
        "{\"key\":\"d\",\"value\":{\"doubleValue\":1.5}},"
        "{\"key\":\"b\",\"value\":{\"boolValue\":false}},"
        "{\"key\":\"s\",\"value\":{\"stringValue\":\"a\\\"b\"}},"
        "{\"key\":\"n\",\"value\":{}},"
        "{\"key\":\"l\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},"
        "{\"stringValue\":\"x\"},{\"arrayValue\":{\"values\":[]}}]}}},"
        "{\"key\":\"m\",\"value\":{\"kvlistValue\":{\"values\":[{\"key\":\"q\\n\","
        "\"value\":{\"boolValue\":true}}]}}}]" OTLP_END OTLP_TAIL);
}

static void given_parent_status_events_and_links_then_kept(void **state)
{
    (void)state;
    expect_otlp(
        "{\"spans\":[{" IDS ",\"parent_span_id\":\"3132333435363738\",\"span_kind\":\"CLIENT\","
        "\"status_code\":\"ERROR\",\"status_message\":\"boom\","
        "\"events\":[{\"name\":\"e\",\"timestamp\":\"2026-01-01T00:00:01Z\","
        "\"attributes\":{\"k\":1}}],"
        "\"links\":[{\"trace_id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
        "\"span_id\":\"bbbbbbbbbbbbbbbb\"}]}]}",
        OTLP_HEAD(DEVELOPMENT) OTLP_IDS
        "\"parentSpanId\":\"3132333435363738\",\"name\":\"function.a\","
        "\"kind\":3,\"startTimeUnixNano\":\"1767225600000000000\","
        "\"endTimeUnixNano\":\"1767225601500000000\",\"events\":[{\"timeUnixNano\":"
        "\"1767225601000000000\",\"name\":\"e\",\"attributes\":[{\"key\":\"k\",\"value\":"
        "{\"intValue\":\"1\"}}]}],\"links\":[{\"traceId\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
        "\"spanId\":\"bbbbbbbbbbbbbbbb\",\"flags\":256}],"
        "\"status\":{\"message\":\"boom\",\"code\":2},\"flags\":257}" OTLP_TAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_smallest_span_then_environment_is_of_the_resource),
        cmocka_unit_test(given_values_of_every_type_then_typed),
        cmocka_unit_test(given_parent_status_events_and_links_then_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
