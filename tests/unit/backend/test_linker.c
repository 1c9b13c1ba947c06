/* When a link is tried, under a clock moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/linker.h"

static struct link_key key_of(uint8_t number)
{
    return (struct link_key){
        .run = {{1}}, .test = {{number}}, .configuration = {{number}}, .attempt = 1};
}

static uint64_t ms(uint64_t value)
{
    return value * NS_PER_MS;
}

static int setup(void **state)
{
    struct linker_options options = linker_options_default();
    options.tries_max = 3;
    *state = linker_create(&options);
    /* The first sweep of a start finds nothing here; tests begin after it. */
    struct linker_action action;
    linker_on_tick(*state, 0);
    assert_true(linker_next_action(*state, &action));
    assert_int_equal(action.type, LINKER_SWEEP);
    linker_sweep_done(*state, 0, NULL, 0, true);
    return 0;
}

static int teardown(void **state)
{
    linker_destroy(*state);
    return 0;
}

static struct linker_action expect(struct linker *linker, enum linker_action_type type)
{
    struct linker_action action;
    assert_true(linker_next_action(linker, &action));
    assert_int_equal(action.type, type);
    return action;
}

static void expect_none(struct linker *linker)
{
    struct linker_action action;
    assert_false(linker_next_action(linker, &action));
}

static struct linker_action expect_try(struct linker *linker, uint8_t number, enum link_point point)
{
    struct linker_action action = expect(linker, LINKER_TRY);
    struct link_key key = key_of(number);
    assert_true(link_key_equal(&action.key, &key));
    assert_int_equal(action.point, point);
    return action;
}

/* ---- the two points ---- */

static void given_result_when_committed_then_point_1_tries_once(void **state)
{
    struct link_key key = key_of(1);
    linker_on_result_committed(*state, &key);
    struct linker_action action = expect_try(*state, 1, LINK_POINT_RESULT);
    expect_none(*state);
    linker_attempt_done(*state, ms(1), &action, true);
    expect_none(*state);
    assert_int_equal(linker_counters(*state).tries, 1);
}

/* F2: in the reference the first span decides for the whole POST. */
static void given_mixed_post_when_committed_then_every_key_is_tried_once(void **state)
{
    const struct link_key keys[] = {key_of(2), key_of(1), key_of(2), key_of(3), key_of(1)};
    linker_on_spans_committed(*state, keys, 5);
    expect_try(*state, 1, LINK_POINT_INGEST);
    expect_try(*state, 2, LINK_POINT_INGEST);
    expect_try(*state, 3, LINK_POINT_INGEST);
    expect_none(*state);
}

static void given_post_without_keys_when_committed_then_nothing(void **state)
{
    linker_on_spans_committed(*state, NULL, 0);
    expect_none(*state);
}

/* An attempt that is under way may have read before this commit: it does not count for it. */
static void given_attempt_under_way_when_more_spans_commit_then_tried_again(void **state)
{
    struct link_key key = key_of(1);
    linker_on_spans_committed(*state, &key, 1);
    expect_try(*state, 1, LINK_POINT_INGEST);
    linker_on_spans_committed(*state, &key, 1);
    expect_try(*state, 1, LINK_POINT_INGEST);
}

static void given_point_switched_off_when_committed_then_not_tried(void **state)
{
    struct link_key key = key_of(1);
    const struct linker_policy no_result = {.points = {false, true, true}};
    linker_set_policy(*state, &no_result);
    linker_on_result_committed(*state, &key);
    expect_none(*state);
    linker_on_spans_committed(*state, &key, 1);
    expect_try(*state, 1, LINK_POINT_INGEST);
    const struct linker_policy no_ingest = {.points = {true, false, true}};
    linker_set_policy(*state, &no_ingest);
    linker_on_spans_committed(*state, &key, 1);
    expect_none(*state);
    assert_false(linker_get_policy(*state).points[LINK_POINT_INGEST]);
}

/* ---- failures ---- */

static void
given_failed_attempt_when_delay_is_over_then_tried_again_with_doubled_delay(void **state)
{
    struct link_key key = key_of(1);
    linker_on_result_committed(*state, &key);
    struct linker_action action = expect_try(*state, 1, LINK_POINT_RESULT);
    linker_attempt_done(*state, ms(10), &action, false);
    assert_true(linker_next_deadline(*state) == ms(110));
    linker_on_tick(*state, ms(109));
    expect_none(*state);
    linker_on_tick(*state, ms(110));
    action = expect_try(*state, 1, LINK_POINT_RESULT);
    linker_attempt_done(*state, ms(110), &action, false);
    assert_true(linker_next_deadline(*state) == ms(310));
}

static void given_attempt_that_keeps_failing_when_tried_out_then_left_to_the_sweeper(void **state)
{
    struct link_key key = key_of(1);
    linker_on_result_committed(*state, &key);
    uint64_t now = 0;
    for (int i = 0; i < 3; i++) {
        struct linker_action action = expect_try(*state, 1, LINK_POINT_RESULT);
        linker_attempt_done(*state, now, &action, false);
        now = linker_next_deadline(*state);
        linker_on_tick(*state, now);
    }
    assert_int_equal(linker_counters(*state).given_up, 1);
    assert_int_equal(linker_counters(*state).failures, 3);
    expect(*state, LINKER_SWEEP);
}

static void given_too_many_attempts_when_wanted_then_left_to_the_sweeper(void **state)
{
    (void)state;
    struct linker_options options = linker_options_default();
    options.attempts_max = 2;
    struct linker *linker = linker_create(&options);
    const struct link_key keys[] = {key_of(1), key_of(2), key_of(3)};
    linker_on_spans_committed(linker, keys, 3);
    expect_try(linker, 1, LINK_POINT_INGEST);
    expect_try(linker, 2, LINK_POINT_INGEST);
    expect_none(linker);
    assert_int_equal(linker_counters(linker).given_up, 1);
    linker_destroy(linker);
}

static void given_unknown_or_repeated_outcome_when_told_then_ignored(void **state)
{
    struct link_key key = key_of(1);
    linker_on_result_committed(*state, &key);
    struct linker_action action = expect_try(*state, 1, LINK_POINT_RESULT);
    linker_attempt_done(*state, 0, &action, true);
    linker_attempt_done(*state, 0, &action, false);
    assert_int_equal(linker_counters(*state).failures, 0);
    assert_true(linker_next_deadline(*state) == ms(1000)); /* the next sweep only */
}

/* ---- the sweeper ---- */

/* `span`: the first that waits; 0: nothing does. */
static void sweep(struct linker *linker, uint64_t now, const struct link_key *key, uint64_t span)
{
    struct link_sighting found = {.span = span};
    if (span)
        found.key = *key;
    linker_on_tick(linker, now);
    expect(linker, LINKER_SWEEP);
    expect_none(linker);
    linker_sweep_done(linker, now, &found, span ? 1 : 0, true);
}

static void given_orphan_when_seen_by_two_sweeps_then_tried(void **state)
{
    struct link_key key = key_of(1);
    sweep(*state, ms(1000), &key, 1);
    expect_none(*state);
    sweep(*state, ms(2000), &key, 1);
    expect_try(*state, 1, LINK_POINT_SWEEP);
}

/* Between a commit and its own attempt a key looks like an orphan. */
static void given_key_seen_once_when_linked_by_its_point_then_sweeper_leaves_it(void **state)
{
    struct link_key key = key_of(1);
    sweep(*state, ms(1000), &key, 1);
    linker_on_result_committed(*state, &key);
    struct linker_action action = expect_try(*state, 1, LINK_POINT_RESULT);
    linker_attempt_done(*state, ms(1001), &action, true);
    sweep(*state, ms(2000), NULL, 0);
    expect_none(*state);
}

/* Found by simulation, seed 910330384154: the second sighting was of other spans than the first. */
static void
given_key_seen_and_linked_when_more_spans_are_seen_then_sweeper_leaves_them(void **state)
{
    struct link_key key = key_of(1);
    sweep(*state, ms(1000), &key, 1);
    linker_on_result_committed(*state, &key);
    struct linker_action action = expect_try(*state, 1, LINK_POINT_RESULT);
    linker_attempt_done(*state, ms(1001), &action, true);
    sweep(*state, ms(2000), &key, 2);
    expect_none(*state);
    sweep(*state, ms(3000), &key, 2);
    expect_try(*state, 1, LINK_POINT_SWEEP);
}

/* Another backend on the same store links too, and this one is not told. */
static void
given_key_linked_by_another_backend_when_more_spans_are_seen_then_sweeper_leaves_them(void **state)
{
    struct link_key key = key_of(1);
    sweep(*state, ms(1000), &key, 1);
    sweep(*state, ms(2000), &key, 2);
    expect_none(*state);
}

static void given_attempt_under_way_when_swept_twice_then_sweeper_leaves_it(void **state)
{
    struct link_key key = key_of(1);
    linker_on_result_committed(*state, &key);
    expect_try(*state, 1, LINK_POINT_RESULT);
    sweep(*state, ms(1000), &key, 1);
    sweep(*state, ms(2000), &key, 1);
    expect_none(*state);
}

static void given_sweep_under_way_when_ticked_then_no_second_one(void **state)
{
    linker_on_tick(*state, ms(1000));
    expect(*state, LINKER_SWEEP);
    linker_on_tick(*state, ms(5000));
    expect_none(*state);
    assert_true(linker_next_deadline(*state) == TIME_NEVER);
}

static void given_failed_sweep_when_next_ones_succeed_then_orphan_is_tried(void **state)
{
    struct link_key key = key_of(1);
    sweep(*state, ms(1000), &key, 1);
    linker_on_tick(*state, ms(2000));
    expect(*state, LINKER_SWEEP);
    linker_sweep_done(*state, ms(2000), NULL, 0, false);
    sweep(*state, ms(3000), &key, 1);
    expect_try(*state, 1, LINK_POINT_SWEEP);
}

static void given_sweeper_switched_off_when_time_passes_then_no_sweep(void **state)
{
    const struct linker_policy policy = {.points = {true, true, false}};
    linker_set_policy(*state, &policy);
    assert_true(linker_next_deadline(*state) == TIME_NEVER);
    linker_on_tick(*state, ms(10000));
    expect_none(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(given_result_when_committed_then_point_1_tries_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            given_mixed_post_when_committed_then_every_key_is_tried_once, setup, teardown),
        cmocka_unit_test_setup_teardown(given_post_without_keys_when_committed_then_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            given_attempt_under_way_when_more_spans_commit_then_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(given_point_switched_off_when_committed_then_not_tried,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_failed_attempt_when_delay_is_over_then_tried_again_with_doubled_delay, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            given_attempt_that_keeps_failing_when_tried_out_then_left_to_the_sweeper, setup,
            teardown),
        cmocka_unit_test(given_too_many_attempts_when_wanted_then_left_to_the_sweeper),
        cmocka_unit_test_setup_teardown(given_unknown_or_repeated_outcome_when_told_then_ignored,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(given_orphan_when_seen_by_two_sweeps_then_tried, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            given_key_seen_once_when_linked_by_its_point_then_sweeper_leaves_it, setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_key_seen_and_linked_when_more_spans_are_seen_then_sweeper_leaves_them, setup,
            teardown),
        cmocka_unit_test_setup_teardown(
            given_key_linked_by_another_backend_when_more_spans_are_seen_then_sweeper_leaves_them,
            setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_attempt_under_way_when_swept_twice_then_sweeper_leaves_it, setup, teardown),
        cmocka_unit_test_setup_teardown(given_sweep_under_way_when_ticked_then_no_second_one, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            given_failed_sweep_when_next_ones_succeed_then_orphan_is_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(given_sweeper_switched_off_when_time_passes_then_no_sweep,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
