/* JSON pointers, and templates filled from inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/template.h"
#include "wire/json_pointer.h"

/* The document and the cases of RFC 6901, section 5. */
static const char document[] =
    "{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3, \"g|h\": 4,"
    " \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8, \"deep\": {\"x\": [{\"y\": null}]}}";

static void given_pointers_of_the_rfc_when_followed_then_its_values(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"/foo", "[\"bar\", \"baz\"]"},
                                           {"/foo/0", "\"bar\""},
                                           {"/", "0"},
                                           {"/a~1b", "1"},
                                           {"/c%d", "2"},
                                           {"/e^f", "3"},
                                           {"/g|h", "4"},
                                           {"/i\\j", "5"},
                                           {"/k\"l", "6"},
                                           {"/ ", "7"},
                                           {"/m~0n", "8"},
                                           {"/deep/x/0/y", "null"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice value;
        assert_true(marline__json_pointer_is_valid(cases[i][0]));
        assert_true(marline__json_pointer_find(marline__slice_text(document), cases[i][0], &value));
        assert_true(marline__slice_is(value, cases[i][1]));
    }
    struct slice whole;
    assert_true(marline__json_pointer_find(SLICE("[1]"), "", &whole));
    assert_true(marline__slice_is(whole, "[1]"));
}

static void given_pointers_to_nothing_when_followed_then_not_found(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "/none", "/foo/2",   "/foo/-",  "/foo/00",
        "/foo/", "/foo/0/x", "/a~1b/0", "/foo/18446744073709551616"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice value;
        assert_false(marline__json_pointer_find(marline__slice_text(document), cases[i], &value));
    }
    struct slice value;
    assert_false(marline__json_pointer_find(SLICE("{\"a\": "), "/a", &value));
    assert_false(marline__json_pointer_is_valid("a"));
    assert_false(marline__json_pointer_is_valid("/a~2"));
}

static const char inputs[] =
    "{\"input\":\"a \\\"b\\\" & \\u00e9\",\"n\":42,\"list\":[1,\"x\"],\"user\":{\"name\":\"Ada\"}}";

static void assert_text(const char *text, enum template_escape escape, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    struct buffer missing = BUFFER_INIT;
    assert_true(template_fill_text(text, marline__slice_text(inputs), escape, &out, &missing));
    assert_string_equal(out.data, expected);
    marline__buffer_deinit(&out);
    marline__buffer_deinit(&missing);
}

static void given_text_when_filled_then_inputs_in_place(void **state)
{
    (void)state;
    assert_text("plain", TEMPLATE_PLAIN, "plain");
    assert_text("q={{ input }}!", TEMPLATE_PLAIN, "q=a \"b\" & \xc3\xa9!");
    assert_text("{{n}}{{ list }}", TEMPLATE_PLAIN, "42[1,\"x\"]");
    assert_text("{{ /user/name }} {{ /list/1 }}", TEMPLATE_PLAIN, "Ada x");
    assert_text("{{ open", TEMPLATE_PLAIN, "{{ open");
    assert_text("/q?x={{ input }}", TEMPLATE_URL, "/q?x=a%20%22b%22%20%26%20%C3%A9");
}

static void given_json_when_filled_then_values_keep_their_type(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct buffer missing = BUFFER_INIT;
    assert_true(template_fill_json(
        SLICE(
            "{\"q\":\"{{ input }}\",\"n\":\"{{ n }}\",\"t\":\"n is {{ n }}\",\"l\":[\"{{ list }}\","
            "true,null,1.50],\"o\":{\"\\u0061\":\"{{ /user }}\"}}"),
        marline__slice_text(inputs), &out, &missing));
    assert_string_equal(
        out.data, "{\"q\":\"a \\\"b\\\" & \\u00e9\",\"n\":42,\"t\":\"n is 42\",\"l\":[[1,\"x\"],"
                  "true,null,1.50],\"o\":{\"a\":{\"name\":\"Ada\"}}}");
    marline__buffer_deinit(&out);
    marline__buffer_deinit(&missing);
}

static void given_missing_input_when_filled_then_named(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct buffer missing = BUFFER_INIT;
    assert_false(template_fill_text("{{ inptu }}", marline__slice_text(inputs), TEMPLATE_PLAIN,
                                    &out, &missing));
    assert_string_equal(missing.data, "inptu");
    marline__buffer_clear(&missing);
    assert_false(template_fill_json(SLICE("{\"a\":[\"{{ /user/age }}\"]}"),
                                    marline__slice_text(inputs), &out, &missing));
    assert_string_equal(missing.data, "/user/age");
    marline__buffer_deinit(&out);
    marline__buffer_deinit(&missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_pointers_of_the_rfc_when_followed_then_its_values),
        cmocka_unit_test(given_pointers_to_nothing_when_followed_then_not_found),
        cmocka_unit_test(given_text_when_filled_then_inputs_in_place),
        cmocka_unit_test(given_json_when_filled_then_values_keep_their_type),
        cmocka_unit_test(given_missing_input_when_filled_then_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
