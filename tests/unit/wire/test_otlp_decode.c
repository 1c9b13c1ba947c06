/* OTLP requests taken apart: JS-01 to JS-13, PB-01 to PB-04, which spans are refused, and the flat
 * form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/hex.h"
#include "base/memory.h"
#include "support/golden_otlp.h"
#include "support/golden_span.h"
#include "wire/json_reader.h"
#include "wire/otlp.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define TRACE "0102030405060708090a0b0c0d0e0f10"
#define SPAN  "2122232425262728"
#define IDS   "\"traceId\":\"" TRACE "\",\"spanId\":\"" SPAN "\""

static void assert_string(marline_string s, const char *expected)
{
    struct slice slice = {s.data, s.size};
    if (!marline__slice_is(slice, expected)) {
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(slice), expected);
    }
}

static struct slice golden_protobuf(struct buffer *bytes)
{
    size_t size = (sizeof golden_protobuf_hex - 1) / 2;
    assert_true(marline__buffer_reserve(bytes, size));
    assert_true(marline__hex_decode(marline__slice_text(golden_protobuf_hex),
                                    (uint8_t *)bytes->data, size));
    bytes->size = size;
    return marline__buffer_slice(bytes);
}

static void assert_golden(const struct otlp_request *request)
{
    assert_int_equal(request->count, 1);
    assert_int_equal(request->rejected, 0);
    const marline_span_data *span = &request->spans[0];
    assert_memory_equal(span->trace_id, golden_span.trace_id, 16);
    assert_memory_equal(span->span_id, golden_span.span_id, 8);
    assert_memory_equal(span->parent_span_id, golden_span.parent_span_id, 8);
    assert_true(span->has_parent && span->parent_is_remote);
    assert_int_equal(span->flags, 3);
    assert_string(span->trace_state, "a=b");
    assert_string(span->name, "n");
    assert_int_equal(span->kind, MARLINE_SPAN_KIND_CLIENT);
    assert_true(span->start_unix_ns == 1 && span->end_unix_ns == 9223372036854775808u);
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_ERROR);
    assert_string(span->status_message, "boom");
    assert_int_equal(span->dropped_attributes, 4);
    assert_int_equal(span->attribute_count, 8);
    assert_true(span->attributes[0].value.as.integer == -1);
    assert_true(span->attributes[1].value.as.real == 1.5);
    assert_int_equal(span->attributes[2].value.type, MARLINE_VALUE_BOOL);
    assert_false(span->attributes[2].value.as.boolean);
    assert_int_equal(span->attributes[3].value.type, MARLINE_VALUE_BYTES);
    assert_int_equal(span->attributes[3].value.as.string.size, 2);
    assert_int_equal(span->attributes[4].value.type, MARLINE_VALUE_STRING);
    assert_int_equal(span->attributes[4].value.as.string.size, 0);
    assert_int_equal(span->attributes[5].value.type, MARLINE_VALUE_EMPTY);
    assert_true(span->attributes[6].value.as.array.items[0].as.integer == 300);
    assert_string(span->attributes[7].value.as.map.items[0].key, "q");
    assert_int_equal(span->event_count, 1);
    assert_string(span->events[0].name, "exception");
    assert_int_equal(span->events[0].dropped_attributes, 1);
    assert_int_equal(span->link_count, 1);
    assert_int_equal(span->links[0].flags, 0);
    assert_false(span->links[0].is_remote);
    assert_string(span->scope->name, "s");
    assert_string(span->resource->attributes[0].key, "service.name");
}

static void given_golden_request_when_decoded_then_every_field(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(marline__otlp_decode(OTLP_PROTOBUF, golden_protobuf(&bytes), &request),
                     OTLP_DECODE_OK);
    assert_golden(&request);
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&bytes);
    assert_int_equal(marline__otlp_decode(OTLP_JSON, marline__slice_text(golden_json), &request),
                     OTLP_DECODE_OK);
    assert_golden(&request);
    marline__otlp_request_deinit(&request);
}

/* What comes in one format goes out the same in the other. */
static void given_golden_request_when_transcoded_then_golden(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(marline__otlp_decode(OTLP_PROTOBUF, golden_protobuf(&bytes), &request),
                     OTLP_DECODE_OK);
    marline__otlp_encode(OTLP_JSON, request.spans, request.count, &out);
    assert_string_equal(out.data, golden_json);
    marline__otlp_request_deinit(&request);
    marline__buffer_clear(&out);
    assert_int_equal(marline__otlp_decode(OTLP_JSON, marline__slice_text(golden_json), &request),
                     OTLP_DECODE_OK);
    marline__otlp_encode(OTLP_PROTOBUF, request.spans, request.count, &out);
    assert_true(marline__slice_equal(marline__buffer_slice(&out), marline__buffer_slice(&bytes)));
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&bytes);
    marline__buffer_deinit(&out);
}

/* An exact copy, so that a sanitizer sees a read beyond the end. */
static enum otlp_decode decode_exact(enum otlp_format format, const char *data, size_t size)
{
    struct otlp_request request;
    char *copy = marline__memory_zeroed(size);
    memcpy(copy, data, size);
    enum otlp_decode status = marline__otlp_decode(format, (struct slice){copy, size}, &request);
    marline__otlp_request_deinit(&request);
    marline__memory_free(copy);
    return status;
}

static void given_body_cut_at_every_offset_when_decoded_then_invalid(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct slice body = golden_protobuf(&bytes);
    for (size_t size = 1; size < body.size; size++) {
        assert_int_equal(decode_exact(OTLP_PROTOBUF, body.data, size), OTLP_DECODE_INVALID);
    }
    marline__buffer_deinit(&bytes);
    for (size_t size = 0; size < sizeof golden_json - 1; size++) {
        assert_int_equal(decode_exact(OTLP_JSON, golden_json, size), OTLP_DECODE_INVALID);
    }
}

/* SRV-02 */
static void given_no_spans_when_decoded_then_empty_request(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}", "{\"resourceSpans\":null}", "{\"resourceSpans\":[]}", "{\"resourceSpans\":[{}]}",
        "{\"resourceSpans\":[{\"resource\":null,\"scopeSpans\":[{\"spans\":null}]}]}"};
    struct otlp_request request;
    assert_int_equal(marline__otlp_decode(OTLP_PROTOBUF, SLICE(""), &request), OTLP_DECODE_OK);
    assert_int_equal(request.count, 0);
    marline__otlp_request_deinit(&request);
    for (size_t i = 0; i < COUNT(bodies); i++) {
        assert_int_equal(marline__otlp_decode(OTLP_JSON, marline__slice_text(bodies[i]), &request),
                         OTLP_DECODE_OK);
        assert_int_equal(request.count, 0);
        marline__otlp_request_deinit(&request);
    }
}

/* ---- JSON ---- */

static enum otlp_decode decode_span(const char *members, struct buffer *body,
                                    struct otlp_request *request)
{
    marline__buffer_clear(body);
    marline__buffer_append_format(
        body, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{%s}]}]}]}", members);
    return marline__otlp_decode(OTLP_JSON, marline__buffer_slice(body), request);
}

static void given_unknown_names_when_decoded_then_ignored_JS_01_JS_02(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(
        decode_span(IDS ",\"start_time_unix_nano\":\"5\",\"x\":{\"y\":[1,{}]},\"attributes\":"
                        "[{\"key\":\"k\",\"value\":{\"string_value\":\"v\",\"z\":[]},\"w\":null}]",
                    &body, &request),
        OTLP_DECODE_OK);
    assert_true(request.spans[0].start_unix_ns == 0);
    assert_int_equal(request.spans[0].attributes[0].value.type, MARLINE_VALUE_EMPTY);
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&body);
}

static void
given_numbers_when_decoded_then_their_forms_pass_JS_04_JS_05_JS_06_JS_07_JS_08(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(
        decode_span(IDS ",\"kind\":\"2\",\"startTimeUnixNano\":9007199254740993,"
                        "\"endTimeUnixNano\":\"18446744073709551615\",\"flags\":\"259\","
                        "\"droppedEventsCount\":\"7\",\"status\":{\"code\":\"1\"},\"attributes\":["
                        "{\"key\":\"a\",\"value\":{\"intValue\":-9223372036854775808}},"
                        "{\"key\":\"b\",\"value\":{\"intValue\":1.0}},"
                        "{\"key\":\"c\",\"value\":{\"doubleValue\":\"NaN\"}},"
                        "{\"key\":\"d\",\"value\":{\"doubleValue\":\"-Infinity\"}},"
                        "{\"key\":\"e\",\"value\":{\"doubleValue\":\"2.5\"}},"
                        "{\"key\":\"f\",\"value\":{\"bytesValue\":\"_w\"}}]",
                    &body, &request),
        OTLP_DECODE_OK);
    const marline_span_data *span = &request.spans[0];
    assert_int_equal(span->kind, MARLINE_SPAN_KIND_SERVER);
    assert_true(span->start_unix_ns == 9007199254740993u);
    assert_true(span->end_unix_ns == UINT64_MAX);
    assert_int_equal(span->flags, 3);
    assert_int_equal(span->dropped_events, 7);
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_OK);
    assert_true(span->attributes[0].value.as.integer == INT64_MIN);
    assert_true(span->attributes[1].value.as.integer == 1);
    assert_true(isnan(span->attributes[2].value.as.real));
    assert_true(isinf(span->attributes[3].value.as.real));
    assert_true(span->attributes[4].value.as.real == 2.5);
    assert_string(span->attributes[5].value.as.string, "\xff");
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&body);
}

static void given_faulty_members_when_decoded_then_invalid_with_a_reason_JS_10_JS_11(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *reason;
    } vectors[] = {
        {IDS ",\"kind\":\"SPAN_KIND_SERVER\"", "kind: must be a whole number in range"},
        {IDS ",\"startTimeUnixNano\":\"-1\"", "startTimeUnixNano: must be a whole number in range"},
        {IDS ",\"endTimeUnixNano\":\"18446744073709551616\"",
         "endTimeUnixNano: must be a whole number in range"},
        {IDS ",\"flags\":4294967296", "flags: must be a whole number in range"},
        {IDS ",\"name\":5", "name: must be a string"},
        {IDS ",\"attributes\":{}", "attributes: must be an array"},
        {IDS ",\"attributes\":[5]", "attributes: must be objects with key and value"},
        {IDS ",\"attributes\":[{\"key\":1}]", "key: must be a string"},
        {IDS ",\"attributes\":[{\"key\":\"k\",\"value\":\"v\"}]", "value: must be an object"},
        {IDS ",\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":1.5}}]",
         "intValue: must be a whole number in range"},
        {IDS ",\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":\"true\"}}]",
         "boolValue: must be true or false"},
        {IDS ",\"attributes\":[{\"key\":\"k\",\"value\":{\"bytesValue\":\"%\"}}]",
         "bytesValue: must be base64"},
        {IDS ",\"attributes\":[{\"key\":\"k\",\"value\":{\"doubleValue\":\"x\"}}]",
         "doubleValue: must be a number in range"},
        {IDS ",\"attributes\":[{\"key\":\"k\",\"value\":{\"boolValue\":true,\"intValue\":1}}]",
         "value: must have one member"},
        {IDS ",\"attributes\":[{\"key\":\"k\",\"value\":{\"arrayValue\":{\"values\":{}}}}]",
         "values: must be an array"},
        {IDS ",\"events\":[1]", "events: must be objects"},
        {IDS ",\"links\":{}", "links: must be an array"},
        {IDS ",\"status\":2", "status: must be an object"},
        {"\"traceId\":5", "traceId: must be a string"},
    };
    struct buffer body = BUFFER_INIT;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct otlp_request request;
        assert_int_equal(decode_span(vectors[i].members, &body, &request), OTLP_DECODE_INVALID);
        assert_string_equal(request.reason, vectors[i].reason);
        marline__otlp_request_deinit(&request);
    }
    marline__buffer_deinit(&body);
}

static void given_null_members_when_decoded_then_absent_JS_09(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(decode_span(IDS ",\"parentSpanId\":null,\"name\":null,\"kind\":null,"
                                     "\"events\":null,\"status\":null,\"attributes\":[{\"key\":"
                                     "\"k\",\"value\":{\"boolValue\":null,\"intValue\":\"1\"}}]",
                                 &body, &request),
                     OTLP_DECODE_OK);
    assert_false(request.spans[0].has_parent);
    assert_true(request.spans[0].attributes[0].value.as.integer == 1);
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&body);
}

static void given_repeated_names_and_escapes_when_decoded_then_last_wins_JS_13(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(
        decode_span(IDS ",\"name\":\"a\",\"n\\u0061me\":\"b\\u0000\\u20ac\"", &body, &request),
        OTLP_DECODE_OK);
    assert_int_equal(request.spans[0].name.size, 5);
    assert_memory_equal(request.spans[0].name.data, "b\0\xe2\x82\xac", 5);
    marline__otlp_request_deinit(&request);
    assert_int_equal(marline__otlp_decode(OTLP_JSON, SLICE("\xef\xbb\xbf{}"), &request),
                     OTLP_DECODE_INVALID);
    marline__otlp_request_deinit(&request);
    assert_int_equal(marline__otlp_decode(OTLP_JSON, SLICE("{} x"), &request), OTLP_DECODE_INVALID);
    marline__otlp_request_deinit(&request);
    assert_int_equal(marline__otlp_decode(OTLP_JSON, SLICE("[]"), &request), OTLP_DECODE_INVALID);
    assert_string_equal(request.reason, "the body: must be an object");
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&body);
}

/* ---- ids ---- */

static void given_impossible_ids_when_decoded_then_span_refused_and_neighbour_kept(void **state)
{
    (void)state;
    static const struct {
        const char *ids;
        const char *reason;
    } vectors[] = {
        {"\"traceId\":\"00\",\"spanId\":\"" SPAN "\"", "a trace id is not 16 bytes, or all zero"},
        {"\"spanId\":\"" SPAN "\"", "a trace id is not 16 bytes, or all zero"},
        {"\"traceId\":\"00000000000000000000000000000000\",\"spanId\":\"" SPAN "\"",
         "a trace id is not 16 bytes, or all zero"},
        {"\"traceId\":\"AQIDBAUGBwgJCgsMDQ4PEA==\",\"spanId\":\"" SPAN "\"",
         "a trace id is not 16 bytes, or all zero"},
        {"\"traceId\":\"" TRACE "\"", "a span id is not 8 bytes, or all zero"},
        {"\"traceId\":\"" TRACE "\",\"spanId\":\"" TRACE "00\"",
         "a span id is not 8 bytes, or all zero"},
        {IDS ",\"parentSpanId\":\"01\"", "a parent span id is not 8 bytes"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer body = BUFFER_INIT;
        struct otlp_request request;
        marline__buffer_append_format(&body,
                                      "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{%s},"
                                      "{" IDS "}]}]}]}",
                                      vectors[i].ids);
        assert_int_equal(marline__otlp_decode(OTLP_JSON, marline__buffer_slice(&body), &request),
                         OTLP_DECODE_OK);
        assert_int_equal(request.rejected, 1);
        assert_int_equal(request.count, 1);
        assert_string_equal(request.reason, vectors[i].reason);
        marline__otlp_request_deinit(&request);
        marline__buffer_deinit(&body);
    }
}

static void given_upper_case_ids_and_zero_parent_when_decoded_then_root_JS_03(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(decode_span("\"traceId\":\"0102030405060708090A0B0C0D0E0F10\",\"spanId\":"
                                 "\"" SPAN "\",\"parentSpanId\":\"0000000000000000\",\"flags\":"
                                 "771,\"links\":[{\"traceId\":\"1\"},{" IDS ",\"flags\":768}]",
                                 &body, &request),
                     OTLP_DECODE_OK);
    assert_int_equal(request.count, 1);
    assert_false(request.spans[0].has_parent);
    assert_false(request.spans[0].parent_is_remote);
    assert_int_equal(request.spans[0].link_count, 1);
    assert_true(request.spans[0].links[0].is_remote);
    assert_int_equal(request.spans[0].dropped_links, 1);
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&body);
}

/* ---- protobuf ---- */

static enum otlp_decode decode_hex(const char *hex, struct buffer *bytes,
                                   struct otlp_request *request)
{
    size_t size = strlen(hex) / 2;
    marline__buffer_clear(bytes);
    assert_true(marline__buffer_reserve(bytes, size));
    assert_true(marline__hex_decode(marline__slice_text(hex), (uint8_t *)bytes->data, size));
    bytes->size = size;
    return marline__otlp_decode(OTLP_PROTOBUF, marline__buffer_slice(bytes), request);
}

/* Scope spans before the two resources, which merge. The span has the name twice, a status in three
 * parts (ERROR, a message, OK), its start time as bytes, an unknown field and a group. */
static void given_pb_04_oddities_when_decoded_then_read_as_protobuf_has_them(void **state)
{
    (void)state;
    struct buffer bytes = BUFFER_INIT;
    struct otlp_request request;
    assert_int_equal(
        decode_hex(
            "0a53123d123b0a100102030405060708090a0b0c0d0e0f10120821222324252627282a01612a0162"
            "7a0218027a031201787a0218013a0179f807018b0108018c010a070a050a016b12000a090a070a01"
            "6c12021001",
            &bytes, &request),
        OTLP_DECODE_OK);
    assert_int_equal(request.count, 1);
    const marline_span_data *span = &request.spans[0];
    assert_string(span->name, "b");
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_OK);
    assert_string(span->status_message, "x");
    assert_true(span->start_unix_ns == 0);
    assert_int_equal(span->resource->attribute_count, 2);
    assert_string(span->resource->attributes[0].key, "k");
    assert_int_equal(span->resource->attributes[0].value.type, MARLINE_VALUE_EMPTY);
    assert_true(span->resource->attributes[1].value.as.boolean);
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&bytes);
}

static void given_malformed_protobuf_when_decoded_then_invalid(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        const char *reason;
    } vectors[] = {
        {"0a05", "malformed protobuf: a length goes beyond the end"},
        {"0aff", "malformed protobuf: a number is cut"},
        {"08ffffffffffffffffffff01", "malformed protobuf: a number is too long"},
        {"00", "malformed protobuf: a field number is out of range"},
        {"0e", "malformed protobuf: a wire type is unknown"},
        {"0c", "malformed protobuf: a wire type is unknown"},
        {"0b", "malformed protobuf: a number is cut"},
        {"0b14", "malformed protobuf: a group ends that did not start"},
        {"0902", "malformed protobuf: a number is cut"},
        {"0a06120412022a00"
         "0a03",
         "malformed protobuf: a length goes beyond the end"},
        {"0a0712051203"
         "2a01ff",
         "a string is not UTF-8"},
    };
    struct buffer bytes = BUFFER_INIT;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct otlp_request request;
        assert_int_equal(decode_hex(vectors[i].hex, &bytes, &request), OTLP_DECODE_INVALID);
        assert_string_equal(request.reason, vectors[i].reason);
        marline__otlp_request_deinit(&request);
    }
    marline__buffer_deinit(&bytes);
}

/* A span whose only attribute is an array in an array in an array… */
static enum otlp_decode decode_nested(size_t levels)
{
    const marline_value inner = {MARLINE_VALUE_INT, {.integer = 1}};
    marline_value *values = marline__memory_array(levels + 1, sizeof *values);
    struct buffer out = BUFFER_INIT;
    struct otlp_request request;
    values[0] = inner;
    for (size_t i = 1; i <= levels; i++) {
        values[i] = (marline_value){MARLINE_VALUE_ARRAY, {.array = {&values[i - 1], 1}}};
    }
    marline_attribute attribute = {GOLDEN_TEXT("k"), values[levels]};
    marline_span_data span = golden_span;
    span.attributes = &attribute;
    span.attribute_count = 1;
    marline__otlp_encode(OTLP_PROTOBUF, &span, 1, &out);
    enum otlp_decode status =
        marline__otlp_decode(OTLP_PROTOBUF, marline__buffer_slice(&out), &request);
    if (status == OTLP_DECODE_OK) {
        struct platform_request flat;
        assert_true(marline__otlp_flatten(request.spans, request.count, &flat));
        assert_int_equal(flat.count, 1);
        marline__platform_request_deinit(&flat);
    }
    marline__otlp_request_deinit(&request);
    marline__buffer_deinit(&out);
    marline__memory_free(values);
    return status;
}

static void given_nested_values_when_decoded_then_100_levels_at_most(void **state)
{
    (void)state;
    assert_int_equal(decode_nested(OTLP_NESTING_MAX), OTLP_DECODE_OK);
    assert_int_equal(decode_nested(OTLP_NESTING_MAX + 1), OTLP_DECODE_INVALID);
    assert_int_equal(decode_nested(20000), OTLP_DECODE_INVALID);
}

/* ---- the flat form ---- */

static void assert_slice(struct slice s, const char *expected)
{
    if (!marline__slice_is(s, expected) || (!s.data != !expected)) {
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(s), expected ? expected : "(null)");
    }
}

static void given_golden_span_when_flattened_then_platform_form(void **state)
{
    (void)state;
    struct platform_request flat;
    assert_true(marline__otlp_flatten(&golden_span, 1, &flat));
    assert_int_equal(flat.count, 1);
    const struct platform_span *span = &flat.spans[0];
    assert_string_equal(span->trace_id, TRACE);
    assert_string_equal(span->span_id, SPAN);
    assert_string_equal(span->parent_span_id, "3132333435363738");
    assert_slice(span->project_id, NULL);
    assert_slice(span->environment, "development");
    assert_slice(span->name, "n");
    assert_int_equal(span->kind, MARLINE_SPAN_KIND_CLIENT);
    assert_true(span->start_unix_ns == 1);
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_ERROR);
    assert_slice(span->status_message, "boom");
    assert_slice(span->attributes,
                 "{\"i\":-1,\"d\":1.5,\"b\":false,\"y\":\"/wA=\",\"e\":\"\",\"z\":null,"
                 "\"l\":[300],\"m\":{\"q\":true},\"otel.scope.name\":\"s\","
                 "\"otel.dropped_attributes_count\":4,\"w3c.tracestate\":\"a=b\"}");
    assert_slice(span->events, "[{\"name\":\"exception\",\"timestamp\":"
                               "\"1970-01-01T00:00:00Z\",\"attributes\":{}}]");
    assert_slice(span->links, "[{\"trace_id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
                              "\"span_id\":\"bbbbbbbbbbbbbbbb\",\"attributes\":{}}]");
    assert_slice(span->resource, "{\"service.name\":\"t\"}");
    assert_slice(span->test_run_id, NULL);
    marline__platform_request_deinit(&flat);
}

static void given_test_attributes_when_flattened_then_taken_out_and_last_key_wins(void **state)
{
    (void)state;
    static const marline_attribute resource_attributes[] = {
        {GOLDEN_TEXT("deployment.environment.name"),
         {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("staging")}}},
        {GOLDEN_TEXT("deployment.environment"),
         {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("old")}}}};
    static const marline_resource_data resource = {resource_attributes, 2, {NULL, 0}};
    static const marline_scope_data scope = {.attribute_count = 0};
    static const marline_attribute attributes[] = {
        {GOLDEN_TEXT("rhesis.test.run_id"), {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("x")}}},
        {GOLDEN_TEXT("rhesis.test.id"), {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("t")}}},
        {GOLDEN_TEXT("rhesis.test.run_id"), {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("r")}}},
        {GOLDEN_TEXT("rhesis.test.attempt"), {MARLINE_VALUE_INT, {.integer = 2}}},
        {GOLDEN_TEXT("rhesis.conversation.id"),
         {MARLINE_VALUE_STRING, {.string = GOLDEN_TEXT("c")}}}};
    marline_span_data span = {.trace_id = {1},
                              .span_id = {1},
                              .name = {"", 0},
                              .attributes = attributes,
                              .attribute_count = COUNT(attributes),
                              .resource = &resource,
                              .scope = &scope};
    struct platform_request flat;
    assert_true(marline__otlp_flatten(&span, 1, &flat));
    assert_slice(flat.spans[0].environment, "staging");
    assert_slice(flat.spans[0].test_run_id, "r");
    assert_slice(flat.spans[0].test_id, "t");
    assert_slice(flat.spans[0].test_configuration_id, NULL);
    assert_int_equal(flat.spans[0].attempt, 2);
    assert_slice(flat.spans[0].conversation_id, "c");
    assert_string_equal(flat.spans[0].parent_span_id, "");
    assert_slice(flat.spans[0].attributes,
                 "{\"rhesis.test.id\":\"t\",\"rhesis.test.run_id\":\"r\","
                 "\"rhesis.test.attempt\":2,\"rhesis.conversation.id\":\"c\"}");
    marline__platform_request_deinit(&flat);
}

static void given_many_spans_when_flattened_then_slices_stay_valid(void **state)
{
    (void)state;
    enum { SPANS = 300 };
    static marline_span_data spans[SPANS];
    struct platform_request flat;
    for (size_t i = 0; i < SPANS; i++) {
        spans[i] = golden_span;
    }
    assert_true(marline__otlp_flatten(spans, SPANS, &flat));
    for (size_t i = 0; i < SPANS; i++) {
        assert_true(marline__json_is_valid(flat.spans[i].attributes, JSON_STRICT));
        assert_true(marline__json_is_valid(flat.spans[i].events, JSON_STRICT));
        assert_true(marline__json_is_valid(flat.spans[i].links, JSON_STRICT));
        assert_slice(flat.spans[i].resource, "{\"service.name\":\"t\"}");
    }
    marline__platform_request_deinit(&flat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_golden_request_when_decoded_then_every_field),
        cmocka_unit_test(given_golden_request_when_transcoded_then_golden),
        cmocka_unit_test(given_body_cut_at_every_offset_when_decoded_then_invalid),
        cmocka_unit_test(given_no_spans_when_decoded_then_empty_request),
        cmocka_unit_test(given_unknown_names_when_decoded_then_ignored_JS_01_JS_02),
        cmocka_unit_test(
            given_numbers_when_decoded_then_their_forms_pass_JS_04_JS_05_JS_06_JS_07_JS_08),
        cmocka_unit_test(given_faulty_members_when_decoded_then_invalid_with_a_reason_JS_10_JS_11),
        cmocka_unit_test(given_null_members_when_decoded_then_absent_JS_09),
        cmocka_unit_test(given_repeated_names_and_escapes_when_decoded_then_last_wins_JS_13),
        cmocka_unit_test(given_impossible_ids_when_decoded_then_span_refused_and_neighbour_kept),
        cmocka_unit_test(given_upper_case_ids_and_zero_parent_when_decoded_then_root_JS_03),
        cmocka_unit_test(given_pb_04_oddities_when_decoded_then_read_as_protobuf_has_them),
        cmocka_unit_test(given_malformed_protobuf_when_decoded_then_invalid),
        cmocka_unit_test(given_nested_values_when_decoded_then_100_levels_at_most),
        cmocka_unit_test(given_golden_span_when_flattened_then_platform_form),
        cmocka_unit_test(given_test_attributes_when_flattened_then_taken_out_and_last_key_wins),
        cmocka_unit_test(given_many_spans_when_flattened_then_slices_stay_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
