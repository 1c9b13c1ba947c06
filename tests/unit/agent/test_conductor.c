/* The orders that a schedule can name, and the point that each of them leaves the link to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/check/conductor.h"

static void given_each_order_when_asked_then_the_first_point_that_sees_both_links(void **state)
{
    (void)state;
    static const struct {
        const char *letters;
        enum link_point expected;
    } orders[] = {{"RRSS", LINK_INGEST}, {"RSRS", LINK_RESULT}, {"RSSR", LINK_INGEST},
                  {"SRRS", LINK_RESULT}, {"SRSR", LINK_INGEST}, {"ssrr", LINK_RESULT}};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct failure failure = FAILURE_INIT;
        assert_true(schedule_check(orders[i].letters, &failure));
        assert_int_equal(schedule_links_at(orders[i].letters), orders[i].expected);
    }
}

static void given_impossible_order_when_checked_then_usage_error(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "RRS", "RRRS", "RSRSR", "RXSS", "RRSSx"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct failure failure = FAILURE_INIT;
        assert_false(schedule_check(bad[i], &failure));
        assert_int_equal(failure.code, EXIT_CODE_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_each_order_when_asked_then_the_first_point_that_sees_both_links),
        cmocka_unit_test(given_impossible_order_when_checked_then_usage_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
