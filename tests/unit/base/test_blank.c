/* Spaces and tabs around a text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/blank.h"

static void given_blanks_at_both_ends_when_stripped_then_only_those_go(void **state)
{
    (void)state;
    assert_true(marline__slice_is(marline__blank_strip(SLICE(" \t a \tb\t ")), "a \tb"));
    assert_true(marline__slice_is(marline__blank_strip(SLICE("a")), "a"));
    assert_true(marline__slice_is(marline__blank_strip(SLICE(" \na\r ")), "\na\r"));
}

static void given_a_nul_at_an_end_when_stripped_then_it_stays(void **state)
{
    (void)state;
    assert_true(marline__slice_equal(marline__blank_strip(SLICE(" \0a\0 ")), SLICE("\0a\0")));
}

static void given_nothing_else_when_stripped_then_empty(void **state)
{
    (void)state;
    assert_int_equal(marline__blank_strip(SLICE(" \t ")).size, 0);
    assert_int_equal(marline__blank_strip(SLICE_EMPTY).size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_blanks_at_both_ends_when_stripped_then_only_those_go),
        cmocka_unit_test(given_a_nul_at_an_end_when_stripped_then_it_stays),
        cmocka_unit_test(given_nothing_else_when_stripped_then_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
