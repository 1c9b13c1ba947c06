/* Spans to OTLP: golden bytes of otel.md §4.3, grouping, lengths of every width. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/hex.h"
#include "support/golden_otlp.h"
#include "support/golden_span.h"
#include "wire/json_reader.h"
#include "wire/otlp.h"

static void assert_hex(const struct buffer *out, const char *hex)
{
    struct buffer text = BUFFER_INIT;
    assert_false(out->failed);
    assert_true(marline__buffer_reserve(&text, 2 * out->size + 1));
    marline__hex_encode((const uint8_t *)out->data, out->size, text.data);
    text.data[2 * out->size] = '\0';
    assert_string_equal(text.data, hex);
    marline__buffer_deinit(&text);
}

static void given_golden_span_when_encoded_as_protobuf_then_golden_bytes(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    marline__otlp_encode(OTLP_PROTOBUF, &golden_span, 1, &out);
    assert_hex(&out, golden_protobuf_hex);
    marline__buffer_deinit(&out);
}

static void given_golden_span_when_encoded_as_json_then_golden_text(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    marline__otlp_encode(OTLP_JSON, &golden_span, 1, &out);
    assert_string_equal(out.data, golden_json);
    marline__buffer_deinit(&out);
}

static marline_span_data bare_span(void)
{
    static const marline_scope_data scope = {.attribute_count = 0};
    static const marline_resource_data resource = {.attribute_count = 0};
    return (marline_span_data){.trace_id = {1},
                               .span_id = {2},
                               .kind = MARLINE_SPAN_KIND_INTERNAL,
                               .flags = 3,
                               .scope = &scope,
                               .resource = &resource};
}

/* PB-03: no parent, no status; PB-01: the parent of a root is not remote, and that is known. */
static void given_bare_root_when_encoded_then_defaults_are_left_out_JS_12_PB_03(void **state)
{
    (void)state;
    marline_span_data span = bare_span();
    struct buffer out = BUFFER_INIT;
    marline__otlp_encode(OTLP_PROTOBUF, &span, 1, &out);
    assert_hex(&out, "0a3e0a00123a0a0012360a100100000000000000000000000000000012080200000000000000"
                     "3001390000000000000000410000000000000000850103010000");
    marline__buffer_clear(&out);
    marline__otlp_encode(OTLP_JSON, &span, 1, &out);
    assert_string_equal(out.data,
                        "{\"resourceSpans\":[{\"resource\":{},\"scopeSpans\":[{\"scope\":{},"
                        "\"spans\":[{\"traceId\":\"01000000000000000000000000000000\",\"spanId\":"
                        "\"0200000000000000\",\"kind\":1,\"startTimeUnixNano\":\"0\","
                        "\"endTimeUnixNano\":\"0\",\"flags\":259}]}]}]}");
    marline__buffer_deinit(&out);
}

#define SPAN_JSON(digit)                                                                           \
    "{\"traceId\":\"0" digit "000000000000000000000000000000\",\"spanId\":\"0200000000000000\","   \
    "\"kind\":1,\"startTimeUnixNano\":\"0\",\"endTimeUnixNano\":\"0\",\"flags\":259}"
#define SCOPE_A "{\"name\":\"a\",\"version\":\"1\"}"
#define SCOPE_B "{\"name\":\"b\",\"attributes\":[{\"key\":\"q\",\"value\":{\"boolValue\":true}}]}"

static void given_several_scopes_and_resources_when_encoded_then_grouped_PB_05(void **state)
{
    (void)state;
    static const marline_scope_data scopes[] = {
        {.name = GOLDEN_TEXT("a"), .version = GOLDEN_TEXT("1"), .schema_url = GOLDEN_TEXT("u")},
        {.name = GOLDEN_TEXT("b"), .attributes = golden_map, .attribute_count = 1}};
    static const marline_resource_data other = {.schema_url = GOLDEN_TEXT("r")};
    static const struct {
        size_t scope;
        bool other;
    } plan[] = {{0, false}, {1, false}, {0, true}, {0, false}, {1, false}};
    marline_span_data spans[5];
    struct buffer out = BUFFER_INIT;
    for (size_t i = 0; i < 5; i++) {
        spans[i] = bare_span();
        spans[i].trace_id[0] = (uint8_t)(i + 1);
        spans[i].scope = &scopes[plan[i].scope];
        spans[i].resource = plan[i].other ? &other : spans[i].resource;
    }
    marline__otlp_encode(OTLP_JSON, spans, 5, &out);
    assert_string_equal(out.data,
                        "{\"resourceSpans\":["
                        "{\"resource\":{},\"scopeSpans\":["
                        "{\"scope\":" SCOPE_A ",\"spans\":[" SPAN_JSON("1") "," SPAN_JSON(
                            "4") "],"
                                 "\"schemaUrl\":\"u\"},"
                                 "{\"scope\":" SCOPE_B ",\"spans\":[" SPAN_JSON("2") "," SPAN_JSON(
                                     "5") "]}]},"
                                          "{\"resource\":{},\"scopeSpans\":["
                                          "{\"scope\":" SCOPE_A
                                          ",\"spans\":[" SPAN_JSON("3") "],\"schemaUrl\":\"u\"}],"
                                                                        "\"schemaUrl\":\"r\"}]}");
    marline__buffer_clear(&out);
    struct otlp_request request;
    marline__otlp_encode(OTLP_PROTOBUF, spans, 5, &out);
    assert_int_equal(marline__otlp_decode(OTLP_PROTOBUF, marline__buffer_slice(&out), &request),
                     OTLP_DECODE_OK);
    static const uint8_t order[] = {1, 4, 2, 5, 3};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(request.spans[i].trace_id[0], order[i]);
    }
    assert_ptr_equal(request.spans[0].resource, request.spans[3].resource);
    assert_ptr_equal(request.spans[0].scope, request.spans[1].scope);
    assert_int_equal(request.spans[4].resource->schema_url.size, 1);
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&out);
}

/* JS-08, JS-09 */
static void
given_special_values_when_encoded_as_json_then_as_protobuf_json_has_them_JS_09_PB_02(void **state)
{
    (void)state;
    static const marline_attribute attributes[] = {
        {GOLDEN_TEXT("n"), {MARLINE_VALUE_DOUBLE, {.real = NAN}}},
        {GOLDEN_TEXT("p"), {MARLINE_VALUE_DOUBLE, {.real = INFINITY}}},
        {GOLDEN_TEXT("m"), {MARLINE_VALUE_DOUBLE, {.real = -INFINITY}}},
        {GOLDEN_TEXT("i"), {MARLINE_VALUE_INT, {.integer = INT64_MIN}}},
        {GOLDEN_TEXT("0"), {MARLINE_VALUE_INT, {.integer = 0}}},
        {GOLDEN_TEXT("t"), {MARLINE_VALUE_BOOL, {.boolean = true}}},
        {GOLDEN_TEXT("a"), {MARLINE_VALUE_ARRAY, {.array = {NULL, 0}}}},
        {GOLDEN_TEXT("k"), {MARLINE_VALUE_MAP, {.map = {NULL, 0}}}},
        {GOLDEN_TEXT("s"), {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("\"\n\xff\xc3\xa9")}}},
    };
    marline_span_data span = bare_span();
    struct buffer out = BUFFER_INIT;
    span.attributes = attributes;
    span.attribute_count = sizeof attributes / sizeof attributes[0];
    marline__otlp_encode(OTLP_JSON, &span, 1, &out);
    assert_non_null(strstr(
        out.data, "\"attributes\":[{\"key\":\"n\",\"value\":{\"doubleValue\":\"NaN\"}},"
                  "{\"key\":\"p\",\"value\":{\"doubleValue\":\"Infinity\"}},"
                  "{\"key\":\"m\",\"value\":{\"doubleValue\":\"-Infinity\"}},"
                  "{\"key\":\"i\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"
                  "{\"key\":\"0\",\"value\":{\"intValue\":\"0\"}},"
                  "{\"key\":\"t\",\"value\":{\"boolValue\":true}},"
                  "{\"key\":\"a\",\"value\":{\"arrayValue\":{\"values\":[]}}},"
                  "{\"key\":\"k\",\"value\":{\"kvlistValue\":{\"values\":[]}}},"
                  "{\"key\":\"s\",\"value\":{\"stringValue\":\"\\\"\\n\xef\xbf\xbd\xc3\xa9\"}}],"));
    assert_true(marline__json_is_valid(marline__buffer_slice(&out), JSON_STRICT));
    marline__buffer_deinit(&out);
}

/* Every width of a length: the guess is right, too small and too large. */
/* One such byte would have a collector refuse the request. */
static void given_texts_that_are_no_utf8_when_encoded_then_repaired_and_decodable(void **state)
{
    (void)state;
#define BAD                                                                                        \
    {                                                                                              \
        "a\xff", 2                                                                                 \
    }
#define REPAIRED "a\xef\xbf\xbd"
    const marline_value item = {.type = MARLINE_VALUE_STRING, .as.string = BAD};
    const marline_attribute inner = {BAD, {.type = MARLINE_VALUE_ARRAY, .as.array = {&item, 1}}};
    const marline_attribute attributes[] = {
        {BAD, {.type = MARLINE_VALUE_STRING, .as.string = BAD}},
        {{"map", 3}, {.type = MARLINE_VALUE_MAP, .as.map = {&inner, 1}}},
        {{"raw", 3}, {.type = MARLINE_VALUE_BYTES, .as.string = BAD}}};
    const marline_event_data event = {.name = BAD, .attributes = attributes, .attribute_count = 1};
    const marline_link_data link = {
        .trace_id = {1}, .span_id = {1}, .attributes = attributes, .attribute_count = 1};
    const marline_scope_data bad_scope = {
        .name = BAD, .version = BAD, .attributes = attributes, .attribute_count = 1};
    const marline_resource_data bad_resource = {.attributes = attributes, .attribute_count = 1};
    const marline_span_data span = {.trace_id = {1},
                                    .span_id = {2},
                                    .name = BAD,
                                    .kind = MARLINE_SPAN_KIND_CLIENT,
                                    .status = MARLINE_SPAN_STATUS_ERROR,
                                    .status_message = BAD,
                                    .attributes = attributes,
                                    .attribute_count = 3,
                                    .events = &event,
                                    .event_count = 1,
                                    .links = &link,
                                    .link_count = 1,
                                    .scope = &bad_scope,
                                    .resource = &bad_resource};
    struct buffer body = BUFFER_INIT;
    struct otlp_request request;
    marline__otlp_encode(OTLP_PROTOBUF, &span, 1, &body);
    assert_false(body.failed);
    assert_int_equal(marline__otlp_decode(OTLP_PROTOBUF, marline__buffer_slice(&body), &request),
                     OTLP_DECODE_OK);
    const marline_span_data *read = &request.spans[0];
    assert_int_equal(read->name.size, sizeof REPAIRED - 1);
    assert_memory_equal(read->name.data, REPAIRED, sizeof REPAIRED - 1);
    assert_memory_equal(read->status_message.data, REPAIRED, sizeof REPAIRED - 1);
    assert_memory_equal(read->attributes[0].key.data, REPAIRED, sizeof REPAIRED - 1);
    const marline_attribute *map = read->attributes[1].value.as.map.items;
    assert_memory_equal(map[0].value.as.array.items[0].as.string.data, REPAIRED,
                        sizeof REPAIRED - 1);
    assert_int_equal(read->attributes[2].value.as.string.size, 2); /* bytes are left alone */
    assert_memory_equal(read->events[0].name.data, REPAIRED, sizeof REPAIRED - 1);
    assert_memory_equal(read->scope->name.data, REPAIRED, sizeof REPAIRED - 1);
    assert_memory_equal(read->resource->attributes[0].value.as.string.data, REPAIRED,
                        sizeof REPAIRED - 1);
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&body);
}

static void given_names_of_all_sizes_when_encoded_and_decoded_then_same(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 60, 61, 62, 126, 127, 128, 16300, 16383, 16384, 2097152};
    char *text = calloc(1, sizes[sizeof sizes / sizeof sizes[0] - 1]);
    memset(text, 'x', sizes[sizeof sizes / sizeof sizes[0] - 1]);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const marline_value item = {MARLINE_VALUE_STRING, {.string = {text, sizes[i]}}};
        const marline_attribute attributes[] = {
            {{text, sizes[i]}, {MARLINE_VALUE_ARRAY, {.array = {&item, 1}}}}};
        const marline_event_data event = {{text, sizes[i]}, 1, attributes, 1, 0};
        marline_span_data span = bare_span();
        struct buffer out = BUFFER_INIT;
        struct otlp_request request;
        span.events = &event;
        span.event_count = 1;
        marline__otlp_encode(OTLP_PROTOBUF, &span, 1, &out);
        assert_int_equal(marline__otlp_decode(OTLP_PROTOBUF, marline__buffer_slice(&out), &request),
                         OTLP_DECODE_OK);
        const marline_event_data *back = request.spans[0].events;
        assert_int_equal(back->name.size, sizes[i]);
        assert_int_equal(back->attributes[0].key.size, sizes[i]);
        assert_int_equal(back->attributes[0].value.as.array.items[0].as.string.size, sizes[i]);
        marline__otlp_request_deinit(&request);
        marline__buffer_deinit(&out);
    }
    free(text);
}

static void given_content_types_when_read_then_format(void **state)
{
    (void)state;
    enum otlp_format format = OTLP_PROTOBUF;
    assert_true(marline__otlp_format_of(SLICE("Application/JSON ; charset=utf-8"), &format));
    assert_int_equal(format, OTLP_JSON);
    assert_true(marline__otlp_format_of(SLICE("application/x-protobuf"), &format));
    assert_int_equal(format, OTLP_PROTOBUF);
    assert_false(marline__otlp_format_of(SLICE("text/plain"), &format));
    assert_false(marline__otlp_format_of(SLICE_EMPTY, &format));
    assert_string_equal(marline__otlp_content_type(OTLP_JSON), "application/json");
    assert_string_equal(marline__otlp_content_type(OTLP_PROTOBUF), "application/x-protobuf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_golden_span_when_encoded_as_protobuf_then_golden_bytes),
        cmocka_unit_test(given_golden_span_when_encoded_as_json_then_golden_text),
        cmocka_unit_test(given_bare_root_when_encoded_then_defaults_are_left_out_JS_12_PB_03),
        cmocka_unit_test(given_several_scopes_and_resources_when_encoded_then_grouped_PB_05),
        cmocka_unit_test(
            given_special_values_when_encoded_as_json_then_as_protobuf_json_has_them_JS_09_PB_02),
        cmocka_unit_test(given_texts_that_are_no_utf8_when_encoded_then_repaired_and_decodable),
        cmocka_unit_test(given_names_of_all_sizes_when_encoded_and_decoded_then_same),
        cmocka_unit_test(given_content_types_when_read_then_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
