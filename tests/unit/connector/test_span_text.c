/* What spans show of inputs and results: wire-protocol §4.2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "connector/span_text.h"

static void check_arguments(const char *inputs, const char *expected, uint32_t expected_count)
{
    struct buffer out = BUFFER_INIT;
    uint32_t count;
    marline__span_text_arguments(marline__slice_text(inputs), &out, &count);
    assert_string_equal(out.size ? out.data : "", expected);
    assert_int_equal(count, expected_count);
    marline__buffer_deinit(&out);
}

static void given_inputs_when_shown_then_ascii_json_without_hidden_keys(void **state)
{
    (void)state;
    check_arguments("{}", "", 0);
    check_arguments("{ \"a\": 1, \"b\": \"x\" }", "{\"a\":1,\"b\":\"x\"}", 2);
    check_arguments("{\"a\":1,\"_rhesis_x\":2,\"b\":{\"_rhesis_y\":3}}",
                    "{\"a\":1,\"b\":{\"_rhesis_y\":3}}", 3);
    check_arguments("{\"_rhesis_x\":2}", "", 1);
    check_arguments("{\"k\":\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"}",
                    "{\"k\":\"\\u00fc\\u20ac\\ud83d\\ude00\"}", 1);
}

static void given_many_items_when_shown_then_ten_and_a_note(void **state)
{
    (void)state;
    check_arguments("{\"l\":[0,1,2,3,4,5,6,7,8,9,10,11]}",
                    "{\"l\":[0,1,2,3,4,5,6,7,8,9,\"... (2 more items)\"]}", 1);
    check_arguments("{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,"
                    "\"j\":0,\"k\":0}",
                    "{\"a\":0,\"b\":0,\"c\":0,\"d\":0,\"e\":0,\"f\":0,\"g\":0,\"h\":0,\"i\":0,"
                    "\"j\":0,\"...\":\"(1 more items)\"}",
                    11);
}

static void given_long_inputs_when_shown_then_cut_at_2000(void **state)
{
    (void)state;
    struct buffer inputs = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    uint32_t count;
    marline__buffer_append_text(&inputs, "{\"k\":\"");
    for (int i = 0; i < 3000; i++) {
        marline__buffer_append_byte(&inputs, 'x');
    }
    marline__buffer_append_text(&inputs, "\"}");
    marline__span_text_arguments(marline__buffer_slice(&inputs), &out, &count);
    assert_int_equal(out.size, 2014);
    assert_string_equal(out.data + 2000, "...[truncated]");
    marline__buffer_deinit(&inputs);
    marline__buffer_deinit(&out);
}

static void given_deep_nesting_when_shown_then_bounded(void **state)
{
    (void)state;
    struct buffer inputs = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    uint32_t count;
    marline__buffer_append_text(&inputs, "{\"k\":");
    for (int i = 0; i < 90; i++) {
        marline__buffer_append_byte(&inputs, '[');
    }
    for (int i = 0; i < 90; i++) {
        marline__buffer_append_byte(&inputs, ']');
    }
    marline__buffer_append_byte(&inputs, '}');
    marline__span_text_arguments(marline__buffer_slice(&inputs), &out, &count);
    assert_non_null(strstr(out.data, "[\"...\"]"));
    marline__buffer_deinit(&inputs);
    marline__buffer_deinit(&out);
}

static void given_result_when_shown_then_bare_text_or_json(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"gr\\u00fc\\u00df\"", "gr\xc3\xbc\xc3\x9f"},
        {"{\"output\": \"\xc3\xbc\"}", "{\"output\":\"\\u00fc\"}"},
        {"null", "null"},
        {"3", "3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = BUFFER_INIT;
        marline__span_text_result(marline__slice_text(cases[i][0]), &out);
        assert_string_equal(out.data, cases[i][1]);
        marline__buffer_deinit(&out);
    }
}

static void given_utf8_when_cut_then_by_characters(void **state)
{
    (void)state;
    struct slice cut = marline__span_text_cut(SLICE("a\xc3\xbc\xf0\x9f\x98\x80z"), 3);
    assert_int_equal(cut.size, 7);
    assert_int_equal(marline__span_text_cut(SLICE("abc"), 3).size, 3);
    assert_int_equal(marline__span_text_cut(SLICE("abc"), 0).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_inputs_when_shown_then_ascii_json_without_hidden_keys),
        cmocka_unit_test(given_many_items_when_shown_then_ten_and_a_note),
        cmocka_unit_test(given_long_inputs_when_shown_then_cut_at_2000),
        cmocka_unit_test(given_deep_nesting_when_shown_then_bounded),
        cmocka_unit_test(given_result_when_shown_then_bare_text_or_json),
        cmocka_unit_test(given_utf8_when_cut_then_by_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
