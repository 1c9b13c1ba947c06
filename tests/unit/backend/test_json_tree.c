/* JSON as a tree: equality, differences, containing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/json_tree.h"

struct pair {
    struct arena arena;
    struct json_node a;
    struct json_node b;
};

static void parse_pair(struct pair *p, const char *a, const char *b)
{
    p->arena = ARENA_INIT;
    assert_true(json_tree_parse(marline__slice_text(a), &p->arena, &p->a));
    assert_true(json_tree_parse(marline__slice_text(b), &p->arena, &p->b));
}

static void given_texts_when_compared_then_by_value(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool equal;
    } cases[] = {
        {"null", " null ", true},
        {"1", "1.0", true},
        {"1", "1e0", true},
        {"0.1", "0.10", true},
        {"9007199254740993", "9007199254740992", false},
        {"18446744073709551616", "18446744073709551617", false},
        {"18446744073709551616", "18446744073709551616", true},
        {"1e400", "1", false},
        {"true", "false", false},
        {"true", "\"true\"", false},
        {"\"\\u0041\"", "\"A\"", true},
        {"\"a\\u0000b\"", "\"a\\u0000c\"", false},
        {"{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", true},
        {"{\"a\":1,\"a\":2}", "{\"a\":2}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":null}", false},
        {"{\"\\u0061\":1}", "{\"a\":1}", true},
        {"[1,2]", "[2,1]", false},
        {"[]", "{}", false},
        {"[]", "[]", true},
        {"{}", "{}", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair p;
        parse_pair(&p, cases[i].a, cases[i].b);
        if (json_tree_equal(&p.a, &p.b, NULL) != cases[i].equal ||
            json_tree_equal(&p.b, &p.a, NULL) != cases[i].equal) {
            fail_msg("%s and %s", cases[i].a, cases[i].b);
        }
        marline__arena_deinit(&p.arena);
    }
}

static void given_trees_when_different_then_first_place_is_named(void **state)
{
    static const struct {
        const char *expected;
        const char *found;
        const char *pointer;
        const char *expected_part;
        const char *found_part;
    } cases[] = {
        {"1", "2", "", "1", "2"},
        {"{\"a\":{\"b\":[1,2]}}", "{\"a\":{\"b\":[1,3]}}", "/a/b/1", "2", "3"},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", "/b", NULL, "2"},
        {"{\"a/b~\":1}", "{}", "/a~1b~0", "1", NULL},
        {"[1]", "[1,{}]", "/1", NULL, "{}"},
        {"{\"a\":[1],\"b\":1}", "{\"a\":[1],\"b\":\"1\"}", "/b", "1", "\"1\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair p;
        struct json_difference d;
        parse_pair(&p, cases[i].expected, cases[i].found);
        assert_false(json_tree_equal(&p.a, &p.b, &d));
        assert_string_equal(d.pointer.data, cases[i].pointer);
        assert_int_equal(d.expected != NULL, cases[i].expected_part != NULL);
        assert_int_equal(d.found != NULL, cases[i].found_part != NULL);
        assert_true(!d.expected || marline__slice_is(d.expected->raw, cases[i].expected_part));
        assert_true(!d.found || marline__slice_is(d.found->raw, cases[i].found_part));
        marline__buffer_deinit(&d.pointer);
        marline__arena_deinit(&p.arena);
    }
}

static void given_value_and_part_when_asked_then_contained_or_not(void **state)
{
    static const struct {
        const char *whole;
        const char *part;
        bool contained;
    } cases[] = {
        {"\"Hello, Ada\"", "\"Ada\"", true},
        {"\"Hello\"", "\"\"", true},
        {"\"Hello\"", "\"hello\"", false},
        {"\"12\"", "1", false},
        {"[1,2,3]", "2", true},
        {"[1,2,3]", "[2]", false},
        {"[[2],3]", "[2]", true},
        {"[{\"id\":7,\"x\":1}]", "{\"id\":7}", true},
        {"[{\"id\":8}]", "{\"id\":7}", false},
        {"{\"a\":{\"b\":1,\"c\":2},\"d\":3}", "{\"a\":{\"c\":2}}", true},
        {"{\"a\":{\"b\":1}}", "{\"a\":{\"c\":2}}", false},
        {"{\"a\":[1,2]}", "{\"a\":[1]}", false},
        {"{\"a\":1}", "{}", true},
        {"7", "7", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pair p;
        parse_pair(&p, cases[i].whole, cases[i].part);
        if (json_tree_contains(&p.a, &p.b) != cases[i].contained) {
            fail_msg("%s in %s", cases[i].part, cases[i].whole);
        }
        marline__arena_deinit(&p.arena);
    }
}

static void given_no_json_when_parsed_then_refused(void **state)
{
    static const char *const cases[] = {"", "{", "[1,]", "1 2", "{\"a\":}", "nul"};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena = ARENA_INIT;
        struct json_node node;
        assert_false(json_tree_parse(marline__slice_text(cases[i]), &arena, &node));
        marline__arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_texts_when_compared_then_by_value),
        cmocka_unit_test(given_trees_when_different_then_first_place_is_named),
        cmocka_unit_test(given_value_and_part_when_asked_then_contained_or_not),
        cmocka_unit_test(given_no_json_when_parsed_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
