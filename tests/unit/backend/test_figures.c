/* Rounding as Python's round() does it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "core/figures.h"

static void given_figures_when_rounded_then_as_python(void **state)
{
    (void)state;
    static const struct {
        double value;
        int places;
        double expected;
    } cases[] = {
        {0.0000005, 6, 0.0},                        /* the double lies below the half */
        {0.0000015, 6, 0.000002},                   /* above it */
        {0.0000025, 6, 0.000003}, {1.005, 2, 1.0},  /* scaling first would give 1.01 */
        {2.675, 2, 2.67},         {0.125, 2, 0.12}, /* a true tie: to even */
        {0.375, 2, 0.38},         {12345.678, 0, 12346.0}, {-1.25, 1, -1.2}, {1e300, 6, 1e300},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(figure_round(cases[i].value, cases[i].places) == cases[i].expected);
    }
}

static void given_small_negative_when_rounded_then_plain_zero(void **state)
{
    (void)state;
    assert_false(signbit(figure_round(-0.0000001, 6)));
}

static void given_largest_double_when_rounded_then_itself(void **state)
{
    (void)state;
    assert_true(figure_round(-DBL_MAX, FIGURE_PLACES_MAX) == -DBL_MAX);
    assert_true(isnan(figure_round(NAN, 2)));
    assert_true(figure_round(INFINITY, 2) == INFINITY);
}

static void given_sum_beyond_64_bits_when_added_then_the_largest(void **state)
{
    (void)state;
    assert_true(figure_add(1, 2) == 3);
    assert_true(figure_add(UINT64_MAX, 0) == UINT64_MAX);
    assert_true(figure_add(UINT64_MAX - 1, 2) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_figures_when_rounded_then_as_python),
        cmocka_unit_test(given_small_negative_when_rounded_then_plain_zero),
        cmocka_unit_test(given_largest_double_when_rounded_then_itself),
        cmocka_unit_test(given_sum_beyond_64_bits_when_added_then_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
