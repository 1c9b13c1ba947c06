/* The language of $filter: what it means, and what is said of what it does not know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "core/odata_filter.h"

static const struct filter_field fields[] = {
    {"name", FILTER_TEXT, NULL},        {"test_run_id", FILTER_UUID, NULL},
    {"created_at", FILTER_TIME, NULL},  {"attempt", FILTER_NUMBER, NULL},
    {"status/name", FILTER_TEXT, NULL},
};
enum { FIELD_COUNT = sizeof(fields) / sizeof(fields[0]) };

static bool parse(const char *text, struct odata_filter *out)
{
    return odata_filter_parse(marline__slice_text(text), fields, FIELD_COUNT, out);
}

static void show_value(const struct filter_node *node, struct buffer *out)
{
    char uuid[UUID_TEXT_SIZE];
    if (node->value.is_null) {
        marline__buffer_append_text(out, "null");
        return;
    }
    switch (fields[node->field].type) {
    case FILTER_TEXT:
        marline__buffer_append_format(out, "'%.*s'", SLICE_ARG(node->value.text));
        break;
    case FILTER_UUID:
        marline__uuid_format(&node->value.uuid, uuid);
        marline__buffer_append_format(out, "%.8s", uuid);
        break;
    case FILTER_TIME:
        marline__buffer_append_format(out, "%llus",
                                      (unsigned long long)(node->value.time_ns / 1000000000));
        break;
    case FILTER_NUMBER:
        marline__buffer_append_format(out, "%g", node->value.number);
        break;
    }
}

/* As a text with every parenthesis: (or a b). */
static void show(const struct odata_filter *f, uint8_t index, struct buffer *out)
{
    static const char *const names[] = {"or", "and", "not", "eq",       "ne",     "gt",
                                        "ge", "lt",  "le",  "contains", "starts", "ends"};
    static const char *const letters[] = {"", "lower ", "upper "};
    const struct filter_node *node = &f->nodes[index];
    marline__buffer_append_format(out, "(%s ", names[node->op]);
    if (node->op >= FILTER_EQ) {
        marline__buffer_append_format(out, "%s%s ", letters[node->letters],
                                      fields[node->field].name);
        show_value(node, out);
    } else {
        show(f, node->left, out);
    }
    if (node->op <= FILTER_AND) {
        marline__buffer_append_text(out, " ");
        show(f, node->right, out);
    }
    marline__buffer_append_text(out, ")");
}

static void given_filters_when_parsed_then_they_mean_what_odata_says(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"tolower(name) eq 'my set'", "(eq lower name 'my set')"},
        {"test_run_id eq 'AAAAAAAA-0000-4000-8000-000000000001'", "(eq test_run_id aaaaaaaa)"},
        {"test_run_id eq aaaaaaaa-0000-4000-8000-000000000001", "(eq test_run_id aaaaaaaa)"},
        {"name eq 'it''s'", "(eq name 'it's')"},
        {"name eq ''", "(eq name '')"},
        {"name ne null", "(ne name null)"},
        {"attempt ge -2.5", "(ge attempt -2.5)"},
        {"attempt eq true", "(eq attempt 1)"},
        {"created_at lt 1970-01-01T00:01:00Z", "(lt created_at 60s)"},
        {"status/name eq 'Pass'", "(eq status/name 'Pass')"},
        {"name eq 'a' or name eq 'b' and attempt eq 1",
         "(or (eq name 'a') (and (eq name 'b') (eq attempt 1)))"},
        {"(name eq 'a' or name eq 'b') and attempt eq 1",
         "(and (or (eq name 'a') (eq name 'b')) (eq attempt 1))"},
        {"not name eq 'a' and attempt eq 1", "(and (not (eq name 'a')) (eq attempt 1))"},
        {"not (name eq 'a')", "(not (eq name 'a'))"},
        {"contains(toupper(name),'X') or startswith( name , 'y' ) or endswith(name,'z')",
         "(or (or (contains upper name 'X') (starts name 'y')) (ends name 'z'))"},
        {"attempt in (1,2,3)", "(or (or (eq attempt 1) (eq attempt 2)) (eq attempt 3))"},
        {"NAME_IS_CASE eq 1", NULL},
        {"name EQ 'a' AND attempt Eq 1", "(and (eq name 'a') (eq attempt 1))"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct odata_filter filter;
        struct buffer text = BUFFER_INIT;
        assert_int_equal(parse(cases[i][0], &filter), cases[i][1] != NULL);
        if (cases[i][1]) {
            show(&filter, filter.root, &text);
            assert_string_equal(text.data, cases[i][1]);
        }
        marline__buffer_deinit(&text);
    }
}

static void given_faults_when_parsed_then_the_place_and_the_reason(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "at character 1: expected a field, but the filter ends here"},
        {"   ", "at character 4: expected a field, but the filter ends here"},
        {"name", "at character 5: expected eq, ne, gt, ge, lt, le or in, but the filter ends here"},
        {"name eq", "at character 8: expected a value, but the filter ends here"},
        {"name = 'a'", "at character 6: unexpected character"},
        {"name eq a", "at character 9: this field takes a text in single quotes"},
        {"name eq 'a", "at character 9: the text that begins here has no closing quote"},
        {"name eq 'o'brien'", "at character 12: expected and, or, or the end, found brien"},
        {"secret eq 'a'", "at character 1: there is no field secret"},
        {"name; DROP TABLE runs", "at character 5: unexpected character"},
        {"test_run_id eq 'x'", "at character 16: this field takes a UUID"},
        {"created_at gt 'yesterday'",
         "at character 15: this field takes a time such as 2026-01-01T00:00:00Z"},
        {"attempt eq 'one'", "at character 12: this field takes a number"},
        {"attempt eq nan", "at character 12: this field takes a number"},
        {"attempt eq -inf", "at character 12: this field takes a number"},
        {"attempt gt null", "at character 12: null is compared with eq and ne only"},
        {"tolower(attempt) eq 1",
         "at character 16: tolower and toupper take a field that is a text"},
        {"contains(attempt,'1')",
         "at character 17: contains, startswith and endswith take a field that is a text"},
        {"(name eq 'a'", "at character 13: expected ')', but the filter ends here"},
        {"attempt in ()", "at character 13: expected a value, found )"},
        {"name eq 'a' name eq 'b'", "at character 13: expected and, or, or the end, found name"},
        {"name eq '\xff'", "it is not text in UTF-8"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct odata_filter filter;
        assert_false(parse(cases[i][0], &filter));
        assert_string_equal(filter.error, cases[i][1]);
    }
}

static void given_nul_inside_when_parsed_then_refused(void **state)
{
    (void)state;
    struct odata_filter filter;
    assert_false(odata_filter_parse(SLICE("name eq 'a\0b'"), fields, FIELD_COUNT, &filter));
    assert_string_equal(filter.error, "it is not text in UTF-8");
}

static void repeat(struct buffer *out, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        marline__buffer_append_text(out, text);
    }
}

static void expect_refused(const char *begin, const char *again, size_t times, const char *why)
{
    struct odata_filter filter;
    struct buffer text = BUFFER_INIT;
    marline__buffer_append_text(&text, begin);
    repeat(&text, again, times);
    assert_false(parse(text.data, &filter));
    assert_non_null(strstr(filter.error, why));
    marline__buffer_deinit(&text);
}

static void given_huge_filters_when_parsed_then_refused_with_the_limit(void **state)
{
    (void)state;
    expect_refused("", "(", 1000, "nested more than 16 deep");
    expect_refused("", "not ", 400, "nested more than 16 deep");
    expect_refused("attempt in (1", ",2", 50, "more than 12 values");
    expect_refused("attempt eq 1", " or attempt eq 1", 50, "more than 12 values");
    expect_refused("name eq '", "x", 3000, "longer than 2000 bytes");
}

static void given_filter_when_cut_anywhere_then_no_crash(void **state)
{
    (void)state;
    static const char text[] =
        "not (tolower(name) eq 'it''s' or test_run_id in (aaaaaaaa-0000-4000-8000-000000000001)) "
        "and contains(name,'x') and created_at ge 2026-01-01T00:00:00Z and attempt le 3";
    struct odata_filter filter;
    assert_true(parse(text, &filter));
    size_t understood = 0;
    for (size_t size = 0; size < sizeof(text) - 1; size++) {
        understood += odata_filter_parse((struct slice){text, size}, fields, FIELD_COUNT, &filter);
    }
    assert_in_range(understood, 1, 30); /* behind whole comparisons only */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_filters_when_parsed_then_they_mean_what_odata_says),
        cmocka_unit_test(given_faults_when_parsed_then_the_place_and_the_reason),
        cmocka_unit_test(given_nul_inside_when_parsed_then_refused),
        cmocka_unit_test(given_huge_filters_when_parsed_then_refused_with_the_limit),
        cmocka_unit_test(given_filter_when_cut_anywhere_then_no_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
