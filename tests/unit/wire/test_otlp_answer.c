/* The answers of an OTLP receiver: golden bytes of otel.md §4.3 and SRV-15. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hex.h"
#include "wire/otlp.h"

static void assert_hex(struct buffer *out, const char *hex)
{
    struct buffer text = BUFFER_INIT;
    assert_true(marline__buffer_reserve(&text, 2 * out->size + 1));
    marline__hex_encode((const uint8_t *)out->data, out->size, text.data);
    text.data[2 * out->size] = '\0';
    assert_string_equal(text.data, hex);
    marline__buffer_deinit(&text);
    marline__buffer_clear(out);
}

static void assert_text(struct buffer *out, const char *expected)
{
    assert_string_equal(out->data, expected);
    marline__buffer_clear(out);
}

static void given_responses_when_encoded_then_golden_SRV_01_SRV_03_SRV_04(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    marline__otlp_encode_response(OTLP_PROTOBUF, 0, SLICE_EMPTY, &out);
    assert_int_equal(out.size, 0);
    marline__otlp_encode_response(OTLP_PROTOBUF, 2, SLICE("bad id"), &out);
    assert_hex(&out, "0a0a08021206626164206964");
    marline__otlp_encode_response(OTLP_PROTOBUF, 0, SLICE("x"), &out);
    assert_hex(&out, "0a03120178");
    marline__otlp_encode_response(OTLP_JSON, 0, SLICE_EMPTY, &out);
    assert_text(&out, "{}");
    marline__otlp_encode_response(OTLP_JSON, 2, SLICE("bad \"id\""), &out);
    assert_text(&out, "{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":"
                      "\"bad \\\"id\\\"\"}}");
    marline__otlp_encode_response(OTLP_JSON, 0, SLICE("x"), &out);
    assert_text(&out, "{\"partialSuccess\":{\"errorMessage\":\"x\"}}");
    marline__buffer_deinit(&out);
}

static void given_statuses_when_encoded_then_golden(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    marline__otlp_encode_status(OTLP_PROTOBUF, 3, SLICE("bad trace_id"), SLICE_EMPTY, &out);
    assert_hex(&out, "0803120c6261642074726163655f6964");
    marline__otlp_encode_status(OTLP_PROTOBUF, 3, SLICE("m"), SLICE("d"), &out);
    assert_hex(&out, "080312016d1a320a29747970652e676f6f676c65617069732e636f6d2f676f6f676c652e72"
                     "70632e4261645265717565737412050a03120164");
    marline__otlp_encode_status(OTLP_JSON, 3, SLICE("m"), SLICE_EMPTY, &out);
    assert_text(&out, "{\"code\":3,\"message\":\"m\"}");
    marline__otlp_encode_status(OTLP_JSON, 3, SLICE("m"), SLICE("d"), &out);
    assert_text(&out, "{\"code\":3,\"message\":\"m\",\"details\":[{\"@type\":"
                      "\"type.googleapis.com/google.rpc.BadRequest\",\"fieldViolations\":"
                      "[{\"description\":\"d\"}]}]}");
    marline__buffer_deinit(&out);
}

struct vector {
    enum otlp_format format;
    struct slice body;
    bool good;
    uint64_t rejected;
    const char *message;
};

static void check_answer(const struct vector *v,
                         bool (*decode)(enum otlp_format format, struct slice body,
                                        struct buffer *scratch, struct otlp_answer *out))
{
    struct buffer scratch = BUFFER_INIT;
    struct otlp_answer answer = {7, SLICE("before")};
    bool good = decode(v->format, v->body, &scratch, &answer);
    struct slice expected = marline__slice_text(v->good ? v->message : "before");
    if (good != v->good || answer.rejected != (good ? v->rejected : 7) ||
        !marline__slice_equal(answer.message, expected)) {
        fail_msg("%.*s: %d %d \"%.*s\"", SLICE_ARG(v->body), good, (int)answer.rejected,
                 SLICE_ARG(answer.message));
    }
    marline__buffer_deinit(&scratch);
}

static void given_responses_when_decoded_then_rejections_or_undecodable_JS_12(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {OTLP_PROTOBUF, SLICE_INIT(""), true, 0, ""},
        {OTLP_PROTOBUF, SLICE_INIT("\x0a\x00"), true, 0, ""},
        {OTLP_PROTOBUF,
         SLICE_INIT("\x0a\x0a\x08\x02\x12\x06"
                    "bad id"),
         true, 2, "bad id"},
        {OTLP_PROTOBUF, SLICE_INIT("\x0a\x0a"), false, 0, ""},
        {OTLP_PROTOBUF, SLICE_INIT("\x0a\x03\x12\x01\xff"), false, 0, ""},
        {OTLP_PROTOBUF, SLICE_INIT("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), true, 0,
         ""},
        {OTLP_JSON, SLICE_INIT("{}"), true, 0, ""},
        {OTLP_JSON, SLICE_INIT("{\"partialSuccess\":{}}"), true, 0, ""},
        {OTLP_JSON, SLICE_INIT("{\"partialSuccess\":null,\"x\":1}"), true, 0, ""},
        {OTLP_JSON,
         SLICE_INIT("{\"partialSuccess\":{\"rejectedSpans\":\"2\",\"errorMessage\":\"a\\nb\"}}"),
         true, 2, "a\nb"},
        {OTLP_JSON, SLICE_INIT("{\"partialSuccess\":{\"rejectedSpans\":3}}"), true, 3, ""},
        {OTLP_JSON, SLICE_INIT("{\"partialSuccess\":[]}"), false, 0, ""},
        {OTLP_JSON, SLICE_INIT("{\"partialSuccess\":{\"rejectedSpans\":\"x\"}}"), false, 0, ""},
        {OTLP_JSON, SLICE_INIT("{\"partialSuccess\":{\"errorMessage\":1}}"), false, 0, ""},
        {OTLP_JSON, SLICE_INIT("<html>"), false, 0, ""},
        {OTLP_JSON, SLICE_INIT(""), false, 0, ""},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        check_answer(&vectors[i], marline__otlp_decode_response);
    }
}

static void given_statuses_when_decoded_then_message(void **state)
{
    (void)state;
    static const struct vector vectors[] = {
        {OTLP_PROTOBUF,
         SLICE_INIT("\x08\x03\x12\x0c"
                    "bad trace_id"),
         true, 0, "bad trace_id"},
        {OTLP_PROTOBUF, SLICE_INIT(""), true, 0, ""},
        {OTLP_PROTOBUF, SLICE_INIT("<html>"), false, 0, ""},
        {OTLP_JSON, SLICE_INIT("{\"code\":3,\"message\":\"m\"}"), true, 0, "m"},
        {OTLP_JSON, SLICE_INIT("{\"message\":null}"), true, 0, ""},
        {OTLP_JSON, SLICE_INIT("{\"message\":[]}"), false, 0, ""},
        {OTLP_JSON, SLICE_INIT("[]"), false, 0, ""},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        check_answer(&vectors[i], marline__otlp_decode_status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_responses_when_encoded_then_golden_SRV_01_SRV_03_SRV_04),
        cmocka_unit_test(given_statuses_when_encoded_then_golden),
        cmocka_unit_test(given_responses_when_decoded_then_rejections_or_undecodable_JS_12),
        cmocka_unit_test(given_statuses_when_decoded_then_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
