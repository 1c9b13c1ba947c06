/* The strict JSON reader: what passes, what does not, and that values come out as they went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "wire/json_reader.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct json_reader reader_of(const char *text)
{
    struct json_reader r;
    marline__json_reader_init(&r, marline__slice_text(text), JSON_STRICT);
    return r;
}

static void given_well_formed_texts_when_checked_then_valid(void **state)
{
    (void)state;
    static const char *const good[] = {
        "null",
        " true ",
        "false\n",
        "0",
        "-0",
        "1.5e+10",
        "1E-2",
        "\"\"",
        "[]",
        "{}",
        "[1,2]",
        "{\"a\":{\"b\":[null,{}]},\"c\":\"\"}",
        "\t[\r\n1 , 2 ]",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\xf0\x9f\x98\x80\"",
        "123456789012345678901234567890",
        "1e999",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        if (!marline__json_is_valid(marline__slice_text(good[i]), JSON_STRICT)) {
            fail_msg("refused: %s", good[i]);
        }
    }
}

static void given_malformed_texts_when_checked_then_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "tru",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x1",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "{1:1}",
        "{\"a\":}",
        "[1}",
        "{\"a\":1]",
        "\"",
        "\"abc",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800x\"",
        "\"\t\"",
        "\"\x01\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xe2\x82\"",
        "1 2",
        "{} {}",
        "null x",
        "\xef\xbb\xbf{}",
        "// c\n1",
        "[1]//",
        "NaN",
        "Infinity",
        "-Infinity",
        "'a'",
        "[1,,2]",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        if (marline__json_is_valid(marline__slice_text(bad[i]), JSON_STRICT)) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
}

static void given_embedded_nul_when_checked_then_refused(void **state)
{
    (void)state;
    assert_false(marline__json_is_valid(SLICE("1\0"), JSON_STRICT));
    assert_false(marline__json_is_valid(SLICE("\"a\0b\""), JSON_STRICT));
}

static void given_text_cut_at_every_offset_when_checked_then_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,-2.5e+3,true,false,null],\"b\\n\\u00e9\\ud83d\\ude00\":{"
                               "\"c\":\"\xe2\x82\xac\"}}";
    for (size_t size = 0; size < sizeof text - 1; size++) {
        /* A block of the exact size, so that a sanitizer sees a read beyond the end. */
        char *cut = marline__memory_zeroed(size);
        assert_non_null(cut);
        memcpy(cut, text, size);
        assert_false(marline__json_is_valid((struct slice){cut, size}, JSON_STRICT));
        marline__memory_free(cut);
    }
    assert_true(marline__json_is_valid(marline__slice_text(text), JSON_STRICT));
}

static void given_nesting_when_at_the_limit_then_valid_and_one_more_refused(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    memset(text, '[', sizeof text / 2);
    memset(text + sizeof text / 2, ']', sizeof text / 2);
    assert_true(marline__json_is_valid((struct slice){text + 1, sizeof text - 2}, JSON_STRICT));
    struct json_reader r;
    marline__json_reader_init(&r, (struct slice){text, sizeof text}, JSON_STRICT);
    assert_false(marline__json_skip(&r, NULL));
    assert_string_equal(r.error, "nested too deeply");
    assert_int_equal(r.error_offset, JSON_DEPTH_MAX);
}

static void given_error_when_more_is_read_then_first_error_stays(void **state)
{
    (void)state;
    struct json_reader r = reader_of("{\"a\": x, \"b\": 1}");
    struct slice key;
    int64_t number;
    assert_true(marline__json_enter_object(&r));
    assert_true(marline__json_next_member(&r, &key));
    assert_false(marline__json_read_int64(&r, &number));
    assert_int_equal(r.error_offset, 6);
    assert_false(marline__json_next_member(&r, &key));
    assert_int_equal(marline__json_peek(&r), JSON_ERROR);
    assert_false(marline__json_finish(&r));
    assert_string_equal(r.error, "expected a value");
}

static void given_object_when_walked_then_members_in_order(void **state)
{
    (void)state;
    struct json_reader r = reader_of(" {\"one\" : 1, \"list\":[true , \"x\"], \"none\":null } ");
    struct slice key;
    int64_t number = 0;
    bool truth = false;
    struct slice text;
    assert_true(marline__json_enter_object(&r));
    assert_true(marline__json_next_member(&r, &key));
    assert_true(marline__json_key_is(key, "one"));
    assert_true(marline__json_read_int64(&r, &number));
    assert_int_equal(number, 1);
    assert_true(marline__json_next_member(&r, &key));
    assert_true(marline__json_enter_array(&r));
    assert_true(marline__json_next_element(&r));
    assert_true(marline__json_read_bool(&r, &truth));
    assert_true(truth);
    assert_true(marline__json_next_element(&r));
    assert_true(marline__json_read_raw_string(&r, &text));
    assert_true(marline__slice_is(text, "x"));
    assert_false(marline__json_next_element(&r));
    assert_true(marline__json_next_member(&r, &key));
    assert_true(marline__json_read_null(&r));
    assert_false(marline__json_next_member(&r, &key));
    assert_true(marline__json_finish(&r));
}

static void given_container_when_skipped_then_exact_text_and_next_member_follows(void **state)
{
    (void)state;
    struct json_reader r = reader_of("{\"a\": {\"x\": [1, \"]}\"]} , \"b\":2}");
    struct slice key;
    struct slice raw;
    assert_true(marline__json_enter_object(&r));
    assert_true(marline__json_next_member(&r, &key));
    assert_true(marline__json_skip(&r, &raw));
    assert_true(marline__slice_is(raw, "{\"x\": [1, \"]}\"]}"));
    assert_true(marline__json_next_member(&r, &key));
    assert_true(marline__json_skip(&r, &raw));
    assert_true(marline__slice_is(raw, "2"));
    assert_false(marline__json_next_member(&r, &key));
    assert_true(marline__json_finish(&r));
}

static void given_unread_container_when_finished_then_error(void **state)
{
    (void)state;
    struct json_reader r = reader_of("[]");
    assert_false(marline__json_finish(&r));
    r = reader_of("[1]");
    assert_true(marline__json_enter_array(&r));
    assert_false(marline__json_finish(&r));
}

static void given_escapes_when_read_then_decoded(void **state)
{
    (void)state;
    struct json_reader r =
        reader_of("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac\\uD83D\\uDE00\\u0000.\"");
    struct buffer out = BUFFER_INIT;
    assert_true(marline__json_read_string(&r, &out));
    assert_true(
        marline__slice_equal(marline__buffer_slice(&out),
                             SLICE("\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0.")));
    assert_true(marline__json_finish(&r));
    marline__buffer_deinit(&out);
}

static void given_escaped_key_when_compared_then_equal_to_its_meaning(void **state)
{
    (void)state;
    assert_true(marline__json_key_is(SLICE("type"), "type"));
    assert_true(marline__json_key_is(SLICE("t\\u0079pe"), "type"));
    assert_true(marline__json_key_is(SLICE("\\u20ac"), "\xe2\x82\xac"));
    assert_false(marline__json_key_is(SLICE("t\\u0079p"), "type"));
    assert_false(marline__json_key_is(SLICE("t\\u0079pes"), "type"));
    assert_false(marline__json_key_is(SLICE("\\u0000"), ""));
    assert_true(marline__json_key_is(SLICE(""), ""));
}

static void given_integers_when_read_then_all_64_bits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } vectors[] = {
        {"0", 0},
        {"-0", 0},
        {"9007199254740993", 9007199254740993},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"1.0", 1},
        {"1e3", 1000},
        {"12.50e1", 125},
        {"100e-2", 1},
        {"0e99999999999999999999", 0},
        {"922337203685477580.7e1", INT64_MAX},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct json_reader r = reader_of(vectors[i].text);
        int64_t value = -1;
        assert_true(marline__json_read_int64(&r, &value));
        assert_true(value == vectors[i].value);
    }
}

static void given_no_whole_64_bit_number_when_read_as_integer_then_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"1.5",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "1e19",
                                      "1e-1",
                                      "18446744073709551616",
                                      "true",
                                      "1e99999999999999999",
                                      "\"1\""};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct json_reader r = reader_of(bad[i]);
        int64_t value;
        assert_false(marline__json_read_int64(&r, &value));
        assert_non_null(r.error);
    }
}

static void given_doubles_when_read_then_correctly_rounded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } vectors[] = {
        {"0", 0.0},
        {"0.1", 0.1},
        {"-2.5e-3", -2.5e-3},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"5e-324", 5e-324},
        {"1e-400", 0.0},
        {"9007199254740993", 9007199254740992.0},
        {"9007199254740993.00000000000000000000000000000000000001", 9007199254740994.0},
        {"123456789012345678901234567890", 123456789012345678901234567890.0},
        {"0.000000000000000000000000000000001e33", 1.0},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct json_reader r = reader_of(vectors[i].text);
        double value = -1;
        assert_true(marline__json_read_double(&r, &value));
        assert_true(value == vectors[i].value);
    }
    struct json_reader r = reader_of("-0.0");
    double zero = 1;
    assert_true(marline__json_read_double(&r, &zero));
    assert_true(zero == 0 && signbit(zero));
    r = reader_of("1e999");
    assert_false(marline__json_read_double(&r, &zero));
}

/* 2^53 + 1 lies half-way between two doubles: one digit far behind decides. */
static void given_thousand_digits_when_read_as_double_then_last_digit_counts(void **state)
{
    (void)state;
    char text[1100];
    memset(text, '0', sizeof text);
    memcpy(text, "9007199254740993.", 17);
    text[1000] = '1';
    for (size_t size = 1000; size <= 1001; size++) {
        struct json_reader r;
        double value = 0;
        marline__json_reader_init(&r, (struct slice){text, size}, JSON_STRICT);
        assert_true(marline__json_read_double(&r, &value));
        assert_true(value == (size == 1000 ? 9007199254740992.0 : 9007199254740994.0));
    }
}

static void given_many_digits_when_read_as_double_then_as_the_c_library(void **state)
{
    (void)state;
    char text[1100];
    memset(text, '7', sizeof text);
    memcpy(text + 1090, "e-900", 6);
    for (size_t start = 0; start < 1080; start += 7) {
        struct json_reader r = reader_of(text + start);
        double value = 0;
        assert_true(marline__json_read_double(&r, &value));
        assert_true(value == strtod(text + start, NULL));
    }
}

static void given_non_finite_tokens_when_allowed_then_numbers(void **state)
{
    (void)state;
    struct json_reader r;
    double values[3] = {0};
    int64_t whole;
    marline__json_reader_init(&r, SLICE("[NaN,Infinity,-Infinity]"), JSON_ALLOW_NON_FINITE);
    assert_true(marline__json_enter_array(&r));
    for (size_t i = 0; i < COUNT(values); i++) {
        assert_true(marline__json_next_element(&r));
        assert_int_equal(marline__json_peek(&r), JSON_NUMBER);
        assert_true(marline__json_read_double(&r, &values[i]));
    }
    assert_true(isnan(values[0]));
    assert_true(isinf(values[1]) && values[1] > 0);
    assert_true(isinf(values[2]) && values[2] < 0);
    assert_false(marline__json_is_valid(SLICE("-NaN"), JSON_ALLOW_NON_FINITE));
    assert_false(marline__json_is_valid(SLICE("Infinit"), JSON_ALLOW_NON_FINITE));
    marline__json_reader_init(&r, SLICE("NaN"), JSON_ALLOW_NON_FINITE);
    assert_false(marline__json_read_int64(&r, &whole));
}

static void given_non_finite_tokens_when_made_finite_then_null_and_all_else_unchanged(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"NaN", "null"},
        {" [NaN , -Infinity,Infinity,-1] ", " [null , null,null,-1] "},
        {"{\"NaN\":\"-Infinity \\\" NaN\",\"I\":{}}", "{\"NaN\":\"-Infinity \\\" NaN\",\"I\":{}}"},
        {"{\"a\\\\\":NaN}", "{\"a\\\\\":null}"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer out = BUFFER_INIT;
        marline__json_append_finite(&out, marline__slice_text(vectors[i][0]));
        assert_string_equal(out.data, vectors[i][1]);
        assert_true(marline__json_is_valid(marline__buffer_slice(&out), JSON_STRICT));
        marline__buffer_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_well_formed_texts_when_checked_then_valid),
        cmocka_unit_test(given_malformed_texts_when_checked_then_refused),
        cmocka_unit_test(given_embedded_nul_when_checked_then_refused),
        cmocka_unit_test(given_text_cut_at_every_offset_when_checked_then_refused),
        cmocka_unit_test(given_nesting_when_at_the_limit_then_valid_and_one_more_refused),
        cmocka_unit_test(given_error_when_more_is_read_then_first_error_stays),
        cmocka_unit_test(given_object_when_walked_then_members_in_order),
        cmocka_unit_test(given_container_when_skipped_then_exact_text_and_next_member_follows),
        cmocka_unit_test(given_unread_container_when_finished_then_error),
        cmocka_unit_test(given_escapes_when_read_then_decoded),
        cmocka_unit_test(given_escaped_key_when_compared_then_equal_to_its_meaning),
        cmocka_unit_test(given_integers_when_read_then_all_64_bits),
        cmocka_unit_test(given_no_whole_64_bit_number_when_read_as_integer_then_refused),
        cmocka_unit_test(given_doubles_when_read_then_correctly_rounded),
        cmocka_unit_test(given_thousand_digits_when_read_as_double_then_last_digit_counts),
        cmocka_unit_test(given_many_digits_when_read_as_double_then_as_the_c_library),
        cmocka_unit_test(given_non_finite_tokens_when_allowed_then_numbers),
        cmocka_unit_test(given_non_finite_tokens_when_made_finite_then_null_and_all_else_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
