/* The JSON writer: exact bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/random.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

static void assert_text(struct buffer *out, const char *expected)
{
    assert_false(out->failed);
    assert_string_equal(out->data, expected);
    marline__buffer_deinit(out);
}

static void given_nested_document_when_written_then_compact_json(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &out);
    marline__json_begin_object(&w);
    marline__json_member_string(&w, "s", SLICE("x"));
    marline__json_member_text(&w, "n", NULL);
    marline__json_key(&w, "a");
    marline__json_begin_array(&w);
    marline__json_int(&w, INT64_MIN);
    marline__json_unsigned(&w, UINT64_MAX);
    marline__json_begin_object(&w);
    marline__json_end_object(&w);
    marline__json_begin_array(&w);
    marline__json_end_array(&w);
    marline__json_bool(&w, true);
    marline__json_end_array(&w);
    marline__json_member_int(&w, "i", -7);
    marline__json_member_double(&w, "d", 4.1);
    marline__json_member_bool(&w, "b", false);
    marline__json_member_null(&w, "z");
    marline__json_member_raw(&w, "r", SLICE("{\"k\": 1}"));
    marline__json_member_raw(&w, "e", SLICE_EMPTY);
    marline__json_end_object(&w);
    assert_text(&out, "{\"s\":\"x\",\"n\":null,\"a\":[-9223372036854775808,18446744073709551615,{},"
                      "[],true],\"i\":-7,\"d\":4.1,\"b\":false,\"z\":null,\"r\":{\"k\": 1},"
                      "\"e\":null}");
}

/* Whatever the reader takes can be written again. */
static void given_nesting_as_deep_as_the_reader_goes_when_written_then_valid(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &out);
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        marline__json_begin_array(&w);
    }
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        marline__json_end_array(&w);
    }
    assert_true(marline__json_is_valid(marline__buffer_slice(&out), JSON_STRICT));
    marline__buffer_deinit(&out);
}

static void assert_string(struct slice value, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &out);
    marline__json_string(&w, value);
    assert_text(&out, expected);
}

static void given_special_characters_when_written_then_escaped(void **state)
{
    (void)state;
    assert_string(SLICE(""), "\"\"");
    assert_string(SLICE("\"\\/\b\f\n\r\t"), "\"\\\"\\\\/\\b\\f\\n\\r\\t\"");
    assert_string(SLICE("\0\x01\x0b\x1f\x7f"), "\"\\u0000\\u0001\\u000b\\u001f\x7f\"");
    assert_string(SLICE("\xc3\xa9\xf0\x9f\x98\x80"), "\"\xc3\xa9\xf0\x9f\x98\x80\"");
}

static void given_invalid_utf8_when_written_then_replacement_characters(void **state)
{
    (void)state;
    assert_string(SLICE("a\xffz"), "\"a\xef\xbf\xbdz\"");
    assert_string(SLICE("\xe2\x82"), "\"\xef\xbf\xbd\"");
    assert_string(SLICE("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void assert_double(double value, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &out);
    marline__json_double(&w, value);
    assert_text(&out, expected);
}

static void given_doubles_when_written_then_shortest_text(void **state)
{
    (void)state;
    assert_double(0.0, "0.0");
    assert_double(-0.0, "-0.0");
    assert_double(1.0, "1.0");
    assert_double(-12.0, "-12.0");
    assert_double(0.1, "0.1");
    assert_double(0.1 + 0.2, "0.30000000000000004");
    assert_double(100.0 / 3, "33.333333333333336");
    assert_double(123456.789, "123456.789");
    assert_double(4.1, "4.1");
    assert_double(0.3, "0.3");
    assert_double(2.675, "2.675");
    assert_double(1e-9, "1e-09");
    assert_double(0.001234567, "0.001234567");
    assert_double(999999999999999.0, "999999999999999.0");
    assert_double(99999999999999.9, "99999999999999.9");
    assert_double(1000000.0, "1000000.0");
    assert_double(0.0001, "0.0001");
    assert_double(0.00012345, "0.00012345");
    assert_double(0.00001, "1e-05");
    assert_double(1e15, "1000000000000000.0");
    assert_double(1e16, "1e+16");
    assert_double(9007199254740993.0, "9007199254740992.0");
    assert_double(1.5e300, "1.5e+300");
    assert_double(5e-324, "5e-324");
    assert_double(DBL_MIN, "2.2250738585072014e-308");
    assert_double(DBL_MAX, "1.7976931348623157e+308");
    assert_double(NAN, "null");
    assert_double(-INFINITY, "null");
}

static double random_finite(const struct random_source *random)
{
    double value;
    do {
        uint64_t bits = marline__random_u64(random);
        memcpy(&value, &bits, sizeof value);
    } while (!isfinite(value));
    return value;
}

static void given_random_doubles_when_written_and_read_then_same(void **state)
{
    (void)state;
    struct random_seeded seeded;
    struct random_source random = marline__random_seeded(&seeded, 20260101);
    struct buffer out = BUFFER_INIT;
    for (int i = 0; i < 20000; i++) {
        double value = random_finite(&random);
        double back = 0;
        struct json_writer w;
        struct json_reader r;
        marline__buffer_clear(&out);
        marline__json_writer_init(&w, &out);
        marline__json_double(&w, value);
        marline__json_reader_init(&r, marline__buffer_slice(&out), JSON_STRICT);
        assert_true(marline__json_read_double(&r, &back));
        assert_true(marline__json_finish(&r));
        assert_memory_equal(&back, &value, sizeof back);
    }
    marline__buffer_deinit(&out);
}

/* Durations and scores: every number of three decimals comes out as it was written. */
static void given_short_decimals_when_written_then_their_own_digits(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    for (unsigned i = 0; i < 200000; i++) {
        char expected[32];
        struct json_writer w;
        int length = snprintf(expected, sizeof expected, "%u.%03u", i / 1000, i % 1000);
        while (expected[length - 1] == '0' && expected[length - 2] != '.') {
            expected[--length] = '\0';
        }
        marline__buffer_clear(&out);
        marline__json_writer_init(&w, &out);
        marline__json_double(&w, i / 1000.0);
        assert_string_equal(out.data, expected);
    }
    marline__buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_nested_document_when_written_then_compact_json),
        cmocka_unit_test(given_nesting_as_deep_as_the_reader_goes_when_written_then_valid),
        cmocka_unit_test(given_special_characters_when_written_then_escaped),
        cmocka_unit_test(given_invalid_utf8_when_written_then_replacement_characters),
        cmocka_unit_test(given_doubles_when_written_then_shortest_text),
        cmocka_unit_test(given_short_decimals_when_written_then_their_own_digits),
        cmocka_unit_test(given_random_doubles_when_written_and_read_then_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
