/* Whose a span without attempt number is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/attempt.h"

static const uint8_t trace_a[16] = {0xa};
static const uint8_t trace_b[16] = {0xb};

static void given_no_attempt_when_chosen_then_none_known(void **state)
{
    (void)state;
    enum attempt_reason reason = ATTEMPT_ONLY;
    assert_int_equal(attempt_choose(NULL, 0, trace_a, 5, &reason), ATTEMPT_UNKNOWN);
    assert_int_equal(reason, ATTEMPT_NONE_KNOWN);
}

static void given_single_attempt_when_chosen_then_it_whatever_the_clocks_say(void **state)
{
    (void)state;
    const struct attempt only = {.number = 3, .dispatched_unix_ns = 100, .finished_unix_ns = 200};
    enum attempt_reason reason = ATTEMPT_AMBIGUOUS;
    assert_int_equal(attempt_choose(&only, 1, trace_a, 5, &reason), 3);
    assert_int_equal(reason, ATTEMPT_ONLY);
}

static void given_reported_trace_when_chosen_then_before_the_window(void **state)
{
    (void)state;
    const struct attempt attempts[] = {
        {.number = 1, .dispatched_unix_ns = 100, .finished_unix_ns = 200},
        {.number = 2,
         .dispatched_unix_ns = 300,
         .finished_unix_ns = 400,
         .has_trace = true,
         .trace_id = {0xa}}};
    enum attempt_reason reason = ATTEMPT_AMBIGUOUS;
    assert_int_equal(attempt_choose(attempts, 2, trace_a, 150, &reason), 2);
    assert_int_equal(reason, ATTEMPT_BY_TRACE);
    assert_int_equal(attempt_choose(attempts, 2, trace_b, 150, &reason), 1);
    assert_int_equal(reason, ATTEMPT_BY_WINDOW);
}

static void given_running_attempt_when_chosen_then_its_window_is_open(void **state)
{
    (void)state;
    const struct attempt attempts[] = {
        {.number = 1, .dispatched_unix_ns = 100, .finished_unix_ns = 200},
        {.number = 2, .dispatched_unix_ns = 300, .finished_unix_ns = UINT64_MAX}};
    assert_int_equal(attempt_choose(attempts, 2, trace_a, 100, NULL), 1);
    assert_int_equal(attempt_choose(attempts, 2, trace_a, 200, NULL), 1);
    assert_int_equal(attempt_choose(attempts, 2, trace_a, 99999, NULL), 2);
}

static void given_two_candidates_or_none_when_chosen_then_ambiguous(void **state)
{
    (void)state;
    const struct attempt attempts[] = {
        {.number = 1, .dispatched_unix_ns = 100, .finished_unix_ns = 300},
        {.number = 2, .dispatched_unix_ns = 200, .finished_unix_ns = 400}};
    enum attempt_reason reason = ATTEMPT_ONLY;
    assert_int_equal(attempt_choose(attempts, 2, trace_a, 250, &reason), ATTEMPT_UNKNOWN);
    assert_int_equal(reason, ATTEMPT_AMBIGUOUS);
    assert_int_equal(attempt_choose(attempts, 2, trace_a, 500, &reason), ATTEMPT_UNKNOWN);
    assert_int_equal(reason, ATTEMPT_AMBIGUOUS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_no_attempt_when_chosen_then_none_known),
        cmocka_unit_test(given_single_attempt_when_chosen_then_it_whatever_the_clocks_say),
        cmocka_unit_test(given_reported_trace_when_chosen_then_before_the_window),
        cmocka_unit_test(given_running_attempt_when_chosen_then_its_window_is_open),
        cmocka_unit_test(given_two_candidates_or_none_when_chosen_then_ambiguous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
