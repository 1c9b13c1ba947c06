/* What stored tests expect, as criteria. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/stored_criteria.h"

static void given_stored_tests_when_executed_then_these_criteria(void **state)
{
    static const struct {
        const char *test;
        const char *mapping;
        const char *expected; /* NULL = none */
    } cases[] = {
        {"{\"prompt\":{\"content\":\"q\"}}", "", NULL},
        {"{\"prompt\":{\"expected_response\":\"\"},\"metadata\":{}}", "", NULL},
        {"{\"prompt\":{\"expected_response\":null},\"metadata\":{\"expect\":null}}", "", NULL},
        {"{\"prompt\":{\"expected_response\":\"a\\\"b\"}}", "",
         "{\"expect\":{\"of\":\"text\",\"equals\":\"a\\\"b\"},\"expected_output\":\"a\\\"b\"}"},
        {"{\"prompt\":{\"expected_response\":\"a\"}}", "{\"output\":\"$.reply.te/xt\"}",
         "{\"expect\":{\"pointer\":\"/reply/te~1xt\",\"equals\":\"a\"},\"expected_output\":\"a\"}"},
        {"{\"prompt\":{\"expected_response\":\"a\"}}", "{\"output\":\"$.output\"}",
         "{\"expect\":{\"of\":\"text\",\"equals\":\"a\"},\"expected_output\":\"a\"}"},
        {"{\"prompt\":{\"expected_response\":\"a\"}}", "{\"output\":\"$\"}",
         "{\"expect\":{\"pointer\":\"\",\"equals\":\"a\"},\"expected_output\":\"a\"}"},
        {"{\"prompt\":{\"expected_response\":\"a\"}}", "{\"output\":\"$[0]\"}",
         "{\"expect\":{\"of\":\"text\",\"equals\":\"a\"},\"expected_output\":\"a\"}"},
        {"{\"prompt\":{\"expected_response\":\"a\"},\"test_metadata\":{\"metrics\":{\"name\":\"m\"}"
         "}}",
         "", "{\"metrics\":{\"name\":\"m\"},\"expected_output\":\"a\"}"},
        {"{\"prompt\":{\"expected_response\":\"a\"},\"metadata\":{\"expect\":{\"contains\":\"b\"}}"
         "}",
         "", "{\"expect\":{\"contains\":\"b\"},\"expected_output\":\"a\"}"},
        {"{\"test_metadata\":{\"expect\":{\"min\":1}},\"metadata\":{\"expect\":{\"min\":2},"
         "\"metrics\":[{\"name\":\"m\"}]}}",
         "", "{\"expect\":{\"min\":1},\"metrics\":[{\"name\":\"m\"}]}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer out = BUFFER_INIT;
        char error[CRITERIA_ERROR_SIZE];
        bool any = stored_criteria_write(marline__slice_text(cases[i].test),
                                         marline__slice_text(cases[i].mapping), &out);
        assert_int_equal(any, cases[i].expected != NULL);
        if (any) {
            struct criteria *criteria = criteria_parse(marline__buffer_slice(&out), error);
            assert_string_equal(out.data, cases[i].expected);
            assert_non_null(criteria);
            criteria_destroy(criteria);
        }
        marline__buffer_deinit(&out);
    }
}

static void given_wrong_criteria_in_a_test_when_checked_then_member_is_named(void **state)
{
    static const struct {
        const char *test;
        const char *member;
        const char *error;
    } cases[] = {
        {"{\"metadata\":{\"metrics\":[{\"name\":\"m\"}]}}", NULL, ""},
        {"{\"test_metadata\":{\"expect\":7}}", "test_metadata", "expect[0] must be an object"},
        {"{\"test_metadata\":{\"expect\":{\"min\":1}},\"metadata\":{\"expect\":{\"min\":\"x\"}}}",
         "metadata", "expect[0].min must be a number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char error[CRITERIA_ERROR_SIZE] = "";
        const char *member = stored_criteria_fault(marline__slice_text(cases[i].test), error);
        assert_int_equal(member != NULL, cases[i].member != NULL);
        if (member && cases[i].member) {
            assert_string_equal(member, cases[i].member);
            assert_string_equal(error, cases[i].error);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_stored_tests_when_executed_then_these_criteria),
        cmocka_unit_test(given_wrong_criteria_in_a_test_when_checked_then_member_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
