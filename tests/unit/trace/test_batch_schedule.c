/* When batches leave, under simulated time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "trace/batch_schedule.h"

enum { QUEUE = 2048, BATCH = 512 };
static const uint64_t start = 7 * NS_PER_S;
static const uint64_t interval = 5 * NS_PER_S;

static struct batch_schedule begin(void)
{
    struct batch_schedule_config config = {QUEUE, BATCH, interval};
    struct batch_schedule s;
    marline__batch_schedule_init(&s, &config, start);
    return s;
}

static void given_few_spans_when_before_tick_then_nothing_leaves_BSP_02(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    assert_int_equal(marline__batch_schedule_add(&s, 3), 3);
    assert_int_equal(marline__batch_schedule_take(&s, start + interval - 1), 0);
    assert_int_equal(marline__batch_schedule_deadline_ns(&s), start + interval);
}

static void given_few_spans_when_tick_comes_then_all_leave_BSP_02(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    marline__batch_schedule_add(&s, 3);
    assert_int_equal(marline__batch_schedule_take(&s, start + interval), 3);
    assert_int_equal(marline__batch_schedule_deadline_ns(&s), TIME_NEVER);
    marline__batch_schedule_done(&s);
    assert_int_equal(marline__batch_schedule_deadline_ns(&s), start + 2 * interval);
}

static void given_nothing_waits_when_tick_comes_then_nothing_leaves_BSP_04_CLI_04(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    assert_int_equal(marline__batch_schedule_take(&s, start + interval), 0);
    assert_int_equal(marline__batch_schedule_deadline_ns(&s), start + 2 * interval);
}

static void given_full_batch_when_added_then_leaves_at_once_BSP_02(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    marline__batch_schedule_add(&s, BATCH - 1);
    assert_int_equal(marline__batch_schedule_take(&s, start + 1), 0);
    marline__batch_schedule_add(&s, 1);
    assert_int_equal(marline__batch_schedule_take(&s, start + 2), BATCH);
}

static void given_export_runs_when_full_or_ticked_then_second_waits_BSP_02(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    marline__batch_schedule_add(&s, BATCH + 5);
    assert_int_equal(marline__batch_schedule_take(&s, start), BATCH);
    marline__batch_schedule_add(&s, BATCH);
    assert_int_equal(marline__batch_schedule_take(&s, start + 3 * interval), 0);
    marline__batch_schedule_done(&s);
    assert_int_equal(marline__batch_schedule_take(&s, start + 3 * interval), BATCH);
    marline__batch_schedule_done(&s);
    assert_int_equal(marline__batch_schedule_take(&s, start + 3 * interval), 5);
    marline__batch_schedule_done(&s);
    assert_int_equal(marline__batch_schedule_deadline_ns(&s), start + 4 * interval);
}

static void given_full_queue_when_added_then_newest_are_refused_BSP_03(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    assert_int_equal(marline__batch_schedule_add(&s, QUEUE - 1), QUEUE - 1);
    assert_int_equal(marline__batch_schedule_add(&s, 3), 1);
    assert_int_equal(marline__batch_schedule_take(&s, start), BATCH);
    assert_int_equal(marline__batch_schedule_add(&s, BATCH + 1), BATCH);
}

static void given_flush_when_more_than_batch_then_several_exports_one_by_one_BSP_06(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    marline__batch_schedule_add(&s, 2 * BATCH + 1);
    uint64_t ticket = marline__batch_schedule_flush(&s);
    marline__batch_schedule_add(&s, 2); /* after the call: not its concern */
    size_t sizes[] = {BATCH, BATCH, 1};
    for (size_t i = 0; i < 3; i++) {
        assert_false(marline__batch_schedule_is_flushed(&s, ticket));
        assert_int_equal(marline__batch_schedule_take(&s, start), sizes[i]);
        assert_int_equal(marline__batch_schedule_take(&s, start), 0);
        marline__batch_schedule_done(&s);
    }
    assert_true(marline__batch_schedule_is_flushed(&s, ticket));
    assert_int_equal(marline__batch_schedule_take(&s, start), 0);
    assert_int_equal(marline__batch_schedule_waiting(&s), 2);
}

static void given_flush_when_nothing_waits_then_done_at_once(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    assert_true(marline__batch_schedule_is_flushed(&s, marline__batch_schedule_flush(&s)));
}

static void given_flush_when_export_runs_then_waits_for_that_too_PRC_05(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    marline__batch_schedule_add(&s, BATCH);
    assert_int_equal(marline__batch_schedule_take(&s, start), BATCH);
    uint64_t ticket = marline__batch_schedule_flush(&s);
    assert_false(marline__batch_schedule_is_flushed(&s, ticket));
    marline__batch_schedule_done(&s);
    assert_true(marline__batch_schedule_is_flushed(&s, ticket));
}

static void given_ticks_when_late_then_later_ones_keep_their_times(void **state)
{
    (void)state;
    struct batch_schedule s = begin();
    marline__batch_schedule_add(&s, 1);
    assert_int_equal(marline__batch_schedule_take(&s, start + interval + 123), 1);
    marline__batch_schedule_done(&s);
    assert_int_equal(marline__batch_schedule_deadline_ns(&s), start + 2 * interval);
}

static void given_batch_above_queue_when_initialised_then_lowered_BSP_01(void **state)
{
    (void)state;
    struct batch_schedule_config config = {4, 512, interval};
    struct batch_schedule s;
    marline__batch_schedule_init(&s, &config, start);
    marline__batch_schedule_add(&s, 4);
    assert_int_equal(marline__batch_schedule_take(&s, start), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_few_spans_when_before_tick_then_nothing_leaves_BSP_02),
        cmocka_unit_test(given_few_spans_when_tick_comes_then_all_leave_BSP_02),
        cmocka_unit_test(given_nothing_waits_when_tick_comes_then_nothing_leaves_BSP_04_CLI_04),
        cmocka_unit_test(given_full_batch_when_added_then_leaves_at_once_BSP_02),
        cmocka_unit_test(given_export_runs_when_full_or_ticked_then_second_waits_BSP_02),
        cmocka_unit_test(given_full_queue_when_added_then_newest_are_refused_BSP_03),
        cmocka_unit_test(given_flush_when_more_than_batch_then_several_exports_one_by_one_BSP_06),
        cmocka_unit_test(given_flush_when_nothing_waits_then_done_at_once),
        cmocka_unit_test(given_flush_when_export_runs_then_waits_for_that_too_PRC_05),
        cmocka_unit_test(given_ticks_when_late_then_later_ones_keep_their_times),
        cmocka_unit_test(given_batch_above_queue_when_initialised_then_lowered_BSP_01),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
