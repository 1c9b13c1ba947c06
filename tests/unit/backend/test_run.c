/* The executor of one run, under a clock moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/run.h"

static uint64_t ms(uint64_t value)
{
    return value * NS_PER_MS;
}

static struct run *create_with_retries(size_t tests, uint32_t concurrency, const char *criteria,
                                       uint32_t retries)
{
    const struct run_options options = {
        .organization_id = {{1}}, .run_id = {{2}}, .concurrency = concurrency};
    struct run_test specs[8];
    for (size_t i = 0; i < tests; i++) {
        specs[i] = (struct run_test){
            .test_id = {{3, (uint8_t)i}},
            .configuration_id = {{4, (uint8_t)i}},
            .function_name = SLICE("probe"),
            .inputs = SLICE("{}"),
            .timeout_ms = 500,
            .retries = retries,
            .criteria = marline__slice_text(criteria),
        };
    }
    return run_create(&options, specs, tests);
}

static struct run *create(size_t tests, uint32_t concurrency, const char *criteria)
{
    return create_with_retries(tests, concurrency, criteria, 0);
}

static struct run_action expect(struct run *run, enum run_action_type type)
{
    struct run_action action;
    assert_true(run_next_action(run, &action));
    assert_int_equal(action.type, type);
    return action;
}

static void expect_status_at(struct run *run, uint64_t now, enum run_status status)
{
    assert_int_equal(expect(run, RUN_SET_STATUS).status, status);
    assert_int_equal(run_get_status(run), status);
    run_on_status_stored(run, now, true);
}

static void expect_status(struct run *run, enum run_status status)
{
    expect_status_at(run, 0, status);
}

static void expect_none(struct run *run)
{
    struct run_action action;
    assert_false(run_next_action(run, &action));
}

static bool answer(struct run *run, uint64_t now, const struct run_action *invoked, bool success)
{
    const struct run_answer text = {.success = success,
                                    .output = success ? SLICE("{\"a\":1}") : SLICE_EMPTY,
                                    .error = success ? SLICE_EMPTY : SLICE("boom"),
                                    .duration_ms = 3,
                                    .trace_id = SLICE("00"),
                                    .span_count = 2};
    return run_on_answer(run, now, marline__slice_text(invoked->invocation_id), &text);
}

static void given_one_test_when_answered_then_passes_and_run_completes(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    expect_none(run);
    run_start(run, ms(0));
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(marline__slice_is(invoked.function_name, "probe"));
    assert_int_equal(invoked.key.attempt, 1);
    assert_int_equal(invoked.key.test.bytes[0], 3);
    assert_true(answer(run, ms(10), &invoked, true));
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.result_status, RESULT_PASS);
    assert_true(marline__slice_is(result.result.output, "{\"a\":1}"));
    assert_int_equal(result.result.span_count, 2);
    assert_true(link_key_equal(&result.key, &invoked.key));
    expect_none(run);
    assert_false(run_is_finished(run));
    run_on_result_stored(run, ms(11), result.test, true);
    expect_status(run, RUN_COMPLETED);
    expect_none(run);
    assert_true(run_is_finished(run));
    assert_true(run_next_deadline(run) == TIME_NEVER);
    run_destroy(run);
}

static void given_failed_function_when_answered_then_error_result(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, false));
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.result_status, RESULT_ERROR);
    assert_true(marline__slice_is(result.result.error, "boom"));
    run_destroy(run);
}

static void expect_judged(struct run *run, uint64_t now, enum result_status status)
{
    struct run_action action = expect(run, RUN_JUDGE);
    assert_true(marline__slice_is(action.criteria, "{}"));
    const struct run_verdict verdict = {
        .status = status, .metrics = SLICE("{\"m\":1}"), .error = SLICE("not computed")};
    assert_true(run_on_judged(run, now, action.test, &verdict));
    assert_false(run_on_judged(run, now, action.test, &verdict));
}

static void given_criteria_when_answered_then_verdict_decides(void **state)
{
    (void)state;
    struct run *run = create(2, 2, "{}");
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action first = expect(run, RUN_INVOKE);
    struct run_action second = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &first, true));
    expect_judged(run, ms(2), RESULT_FAIL);
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.result_status, RESULT_FAIL);
    assert_true(marline__slice_is(result.result.metrics, "{\"m\":1}"));
    assert_true(marline__slice_is(result.result.output, "{\"a\":1}"));
    assert_null(result.result.error.data);
    assert_true(answer(run, ms(3), &second, false)); /* a failed answer may be what is expected */
    expect_judged(run, ms(4), RESULT_PASS);
    assert_int_equal(expect(run, RUN_STORE_RESULT).result_status, RESULT_PASS);
    run_destroy(run);
}

static void given_broken_metric_when_judged_then_error_with_reason(void **state)
{
    (void)state;
    struct run *run = create(1, 1, "{}");
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, true));
    expect_judged(run, ms(2), RESULT_ERROR);
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.result_status, RESULT_ERROR);
    assert_true(marline__slice_is(result.result.error, "not computed"));
    run_destroy(run);
}

static void given_test_under_judgement_when_time_passes_then_keeps_slot_and_waits(void **state)
{
    (void)state;
    struct run *run = create(2, 1, "{}");
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, true));
    struct run_action judging = expect(run, RUN_JUDGE);
    assert_true(run_next_deadline(run) == TIME_NEVER);
    run_on_tick(run, ms(10000));
    expect_none(run);
    const struct run_verdict verdict = {.status = RESULT_PASS};
    assert_true(run_on_judged(run, ms(10001), judging.test, &verdict));
    assert_int_equal(expect(run, RUN_STORE_RESULT).result_status, RESULT_PASS);
    (void)expect(run, RUN_INVOKE);
    run_destroy(run);
}

static void given_test_under_judgement_when_cancelled_then_error_and_withdrawn(void **state)
{
    (void)state;
    struct run *run = create(2, 2, "{}");
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action first = expect(run, RUN_INVOKE);
    struct run_action second = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &first, true));
    struct run_action judging = expect(run, RUN_JUDGE);
    assert_true(answer(run, ms(1), &second, true)); /* its judgement is not asked for yet */
    run_cancel(run, ms(2));
    expect_status_at(run, ms(2), RUN_CANCELLING);
    assert_int_equal(expect(run, RUN_WITHDRAW).test, judging.test);
    for (size_t i = 0; i < 2; i++) {
        struct run_action result = expect(run, RUN_STORE_RESULT);
        assert_int_equal(result.result_status, RESULT_ERROR);
        assert_true(marline__slice_is(result.result.error, "cancelled"));
        assert_true(marline__slice_is(result.result.output, "{\"a\":1}"));
    }
    const struct run_verdict late = {.status = RESULT_PASS};
    assert_false(run_on_judged(run, ms(3), judging.test, &late));
    run_destroy(run);
}

static void given_more_tests_than_slots_when_one_answers_then_the_next_starts(void **state)
{
    (void)state;
    struct run *run = create(3, 2, NULL);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action first = expect(run, RUN_INVOKE);
    struct run_action second = expect(run, RUN_INVOKE);
    expect_none(run);
    assert_string_not_equal(first.invocation_id, second.invocation_id);
    assert_true(answer(run, ms(1), &second, true));
    assert_int_equal(expect(run, RUN_STORE_RESULT).test, 1);
    assert_int_equal(expect(run, RUN_INVOKE).test, 2);
    expect_none(run);
    run_destroy(run);
}

static void given_no_answer_when_timeout_passes_then_error_and_withdrawn(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_start(run, ms(100));
    expect_status_at(run, ms(100), RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(run_next_deadline(run) == ms(600));
    run_on_tick(run, ms(599));
    expect_none(run);
    run_on_tick(run, ms(600));
    assert_string_equal(expect(run, RUN_WITHDRAW).invocation_id, invoked.invocation_id);
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.result_status, RESULT_ERROR);
    assert_true(marline__slice_is(result.result.error, "no answer within 500 ms"));
    assert_false(answer(run, ms(601), &invoked, true)); /* late */
    expect_none(run);
    run_destroy(run);
}

static void given_answered_test_when_answered_again_then_ignored(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, true));
    assert_false(answer(run, ms(2), &invoked, false));
    assert_int_equal(expect(run, RUN_STORE_RESULT).result_status, RESULT_PASS);
    expect_none(run);
    run_destroy(run);
}

static void given_foreign_invocation_when_answered_then_ignored(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    (void)expect(run, RUN_INVOKE);
    const struct run_answer text = {.success = true};
    assert_false(run_on_answer(run, ms(1), SLICE("run_other"), &text));
    expect_none(run);
    run_destroy(run);
}

static void given_no_agent_when_dispatch_fails_then_error_with_reason(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(run_on_failed(run, ms(1), marline__slice_text(invoked.invocation_id),
                              SLICE("no agent is connected")));
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_true(marline__slice_is(result.result.error, "no agent is connected"));
    run_destroy(run);
}

static void given_failing_store_when_delay_is_over_then_result_is_stored_again(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, true));
    struct run_action result = expect(run, RUN_STORE_RESULT);
    run_on_result_stored(run, ms(2), result.test, false);
    expect_none(run);
    assert_true(run_next_deadline(run) == ms(102));
    run_on_tick(run, ms(102));
    result = expect(run, RUN_STORE_RESULT);
    assert_true(marline__slice_is(result.result.output, "{\"a\":1}"));
    run_on_result_stored(run, ms(103), result.test, false);
    assert_true(run_next_deadline(run) == ms(303));
    run_on_tick(run, ms(303));
    result = expect(run, RUN_STORE_RESULT);
    run_on_result_stored(run, ms(304), result.test, true);
    expect_status(run, RUN_COMPLETED);
    run_destroy(run);
}

static void given_running_run_when_cancelled_then_queued_skipped_and_invoked_withdrawn(void **state)
{
    (void)state;
    struct run *run = create(3, 1, NULL);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    run_cancel(run, ms(1));
    expect_status_at(run, ms(1), RUN_CANCELLING);
    assert_string_equal(expect(run, RUN_WITHDRAW).invocation_id, invoked.invocation_id);
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.test, 0);
    assert_true(marline__slice_is(result.result.error, "cancelled"));
    expect_none(run);
    run_on_result_stored(run, ms(2), 0, true);
    expect_status(run, RUN_CANCELLED);
    expect_none(run);
    assert_true(run_is_finished(run));
    run_destroy(run);
}

static void given_queued_run_when_cancelled_then_cancelled_at_once(void **state)
{
    (void)state;
    struct run *run = create(2, 1, NULL);
    run_cancel(run, 0);
    expect_status(run, RUN_CANCELLED);
    run_start(run, ms(1));
    expect_none(run);
    run_destroy(run);
}

static void given_no_tests_when_started_then_completes(void **state)
{
    (void)state;
    struct run *run = create(0, 1, NULL);
    run_start(run, 0);
    expect_status(run, RUN_COMPLETED);
    run_destroy(run);
}

static void given_retries_when_attempt_errs_then_next_is_another_invocation(void **state)
{
    (void)state;
    struct run *run = create_with_retries(1, 1, NULL, 2);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action first = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &first, false));
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.key.attempt, 1);
    expect_none(run); /* not before the result is stored */
    run_on_result_stored(run, ms(2), result.test, true);
    expect_none(run);
    assert_true(run_next_deadline(run) == ms(102));
    run_on_tick(run, ms(102));
    struct run_action second = expect(run, RUN_INVOKE);
    assert_int_equal(second.key.attempt, 2);
    assert_string_not_equal(first.invocation_id, second.invocation_id);
    assert_false(answer(run, ms(103), &first, true)); /* late: of the attempt before */
    assert_true(answer(run, ms(104), &second, true));
    result = expect(run, RUN_STORE_RESULT);
    assert_int_equal(result.result_status, RESULT_PASS);
    assert_int_equal(result.key.attempt, 2);
    run_on_result_stored(run, ms(105), result.test, true);
    expect_status(run, RUN_COMPLETED);
    expect_none(run);
    run_destroy(run);
}

static void given_retries_when_every_attempt_times_out_then_ends_after_the_last(void **state)
{
    (void)state;
    struct run *run = create_with_retries(1, 1, NULL, 2);
    uint64_t now = 0;
    run_start(run, now);
    expect_status(run, RUN_RUNNING);
    for (uint32_t attempt = 1; attempt <= 3; attempt++) {
        assert_int_equal(expect(run, RUN_INVOKE).key.attempt, attempt);
        now += ms(500);
        run_on_tick(run, now);
        assert_int_equal(expect(run, RUN_WITHDRAW).key.attempt, attempt);
        assert_int_equal(expect(run, RUN_STORE_RESULT).key.attempt, attempt);
        run_on_result_stored(run, now, 0, true);
        if (attempt < 3) {
            uint64_t delay = ms(100U << (attempt - 1));
            assert_true(run_next_deadline(run) == now + delay);
            now += delay;
            run_on_tick(run, now);
        }
    }
    expect_status(run, RUN_COMPLETED);
    expect_none(run);
    run_destroy(run);
}

static void given_retries_when_judged_fail_then_no_further_attempt(void **state)
{
    (void)state;
    struct run *run = create_with_retries(1, 1, "{}", 2);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, true));
    expect_judged(run, ms(1), RESULT_FAIL);
    assert_int_equal(expect(run, RUN_STORE_RESULT).result_status, RESULT_FAIL);
    run_on_result_stored(run, ms(2), 0, true);
    expect_status(run, RUN_COMPLETED);
    run_destroy(run);
}

static void given_test_to_be_retried_when_no_slot_is_free_then_it_waits_for_one(void **state)
{
    (void)state;
    struct run *run = create_with_retries(2, 1, NULL, 1);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action first = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &first, false));
    (void)expect(run, RUN_STORE_RESULT);
    struct run_action other = expect(run, RUN_INVOKE);
    assert_int_equal(other.test, 1);
    run_on_result_stored(run, ms(2), 0, true);
    run_on_tick(run, ms(200));
    expect_none(run);
    assert_true(run_next_deadline(run) == ms(501)); /* the other's: no busy waiting */
    assert_true(answer(run, ms(201), &other, true));
    assert_int_equal(expect(run, RUN_INVOKE).key.attempt, 2);
    assert_int_equal(expect(run, RUN_STORE_RESULT).test, 1);
    run_destroy(run);
}

static void given_test_to_be_retried_when_cancelled_then_its_last_result_stands(void **state)
{
    (void)state;
    struct run *run = create_with_retries(1, 1, NULL, 1);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, false));
    (void)expect(run, RUN_STORE_RESULT);
    run_on_result_stored(run, ms(2), 0, true);
    run_cancel(run, ms(3));
    expect_status(run, RUN_CANCELLED);
    expect_none(run);
    run_destroy(run);
}

static void given_attempt_being_stored_when_cancelled_then_not_retried(void **state)
{
    (void)state;
    struct run *run = create_with_retries(1, 1, NULL, 1);
    run_start(run, 0);
    expect_status(run, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    assert_true(answer(run, ms(1), &invoked, false));
    (void)expect(run, RUN_STORE_RESULT);
    run_cancel(run, ms(2));
    expect_status(run, RUN_CANCELLING);
    expect_none(run);
    run_on_result_stored(run, ms(3), 0, true);
    expect_status(run, RUN_CANCELLED);
    run_destroy(run);
}

static void given_failing_store_when_status_is_due_then_stored_again_before_the_end(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_start(run, 0);
    assert_int_equal(expect(run, RUN_SET_STATUS).status, RUN_RUNNING);
    struct run_action invoked = expect(run, RUN_INVOKE);
    run_on_status_stored(run, ms(1), false);
    expect_none(run);
    assert_true(run_next_deadline(run) == ms(101));
    run_on_tick(run, ms(101));
    assert_int_equal(expect(run, RUN_SET_STATUS).status, RUN_RUNNING);
    assert_true(answer(run, ms(102), &invoked, true));
    (void)expect(run, RUN_STORE_RESULT);
    run_on_result_stored(run, ms(103), 0, true);
    expect_none(run); /* one status at a time, else an older one may come last */
    run_on_status_stored(run, ms(104), true);
    assert_int_equal(expect(run, RUN_SET_STATUS).status, RUN_COMPLETED);
    run_on_status_stored(run, ms(105), false);
    assert_false(run_is_finished(run));
    run_on_tick(run, ms(205));
    expect_status(run, RUN_COMPLETED);
    assert_true(run_is_finished(run));
    run_destroy(run);
}

static void restore(struct run *run, size_t test, uint32_t attempt)
{
    run_restore(run, test, &(struct run_restored){.attempt = attempt});
}

static void restore_result(struct run *run, size_t test, uint32_t attempt,
                           enum result_status status)
{
    const struct run_restored from = {attempt, true, status};
    run_restore(run, test, &from);
}

static void
given_restart_when_resumed_then_what_was_sent_is_awaited_and_not_sent_again(void **state)
{
    (void)state;
    struct run *first = create(3, 2, NULL);
    run_start(first, 0);
    expect_status(first, RUN_RUNNING);
    struct run_action sent = expect(first, RUN_INVOKE);
    run_destroy(first); /* the crash */
    struct run *run = create(3, 1, NULL);
    restore(run, 0, 1);
    restore_result(run, 1, 1, RESULT_FAIL);
    run_resume(run, ms(1000), RUN_RUNNING, 0);
    struct run_action awaited = expect(run, RUN_AWAIT);
    assert_string_equal(awaited.invocation_id, sent.invocation_id);
    expect_none(run); /* it holds the only slot */
    assert_true(run_next_deadline(run) == ms(1500));
    assert_true(answer(run, ms(1001), &awaited, true));
    assert_int_equal(expect(run, RUN_STORE_RESULT).test, 0);
    struct run_action next = expect(run, RUN_INVOKE);
    assert_int_equal(next.test, 2);
    assert_true(answer(run, ms(1002), &next, true));
    run_on_result_stored(run, ms(1003), 0, true);
    (void)expect(run, RUN_STORE_RESULT);
    run_on_result_stored(run, ms(1004), 2, true);
    expect_status(run, RUN_COMPLETED);
    expect_none(run);
    run_destroy(run);
}

static void given_restart_when_nobody_answers_then_timed_out_anew(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    restore(run, 0, 1);
    run_resume(run, ms(1000), RUN_RUNNING, 0);
    (void)expect(run, RUN_AWAIT);
    run_on_tick(run, ms(1500));
    (void)expect(run, RUN_WITHDRAW);
    assert_int_equal(expect(run, RUN_STORE_RESULT).result_status, RESULT_ERROR);
    run_destroy(run);
}

static void given_restart_when_all_was_stored_but_the_status_then_only_that_is(void **state)
{
    (void)state;
    struct run *run = create(2, 1, NULL);
    restore_result(run, 0, 1, RESULT_PASS);
    restore_result(run, 1, 1, RESULT_ERROR);
    run_resume(run, 0, RUN_RUNNING, 0);
    expect_status(run, RUN_COMPLETED);
    expect_none(run);
    run_destroy(run);
}

static void given_restart_between_attempts_when_resumed_then_the_next_attempt(void **state)
{
    (void)state;
    struct run *run = create_with_retries(2, 2, NULL, 2);
    restore_result(run, 0, 1, RESULT_ERROR);
    restore_result(run, 0, 2, RESULT_ERROR);
    restore_result(run, 1, 1, RESULT_FAIL);
    run_resume(run, 0, RUN_RUNNING, 0);
    expect_none(run);
    assert_true(run_next_deadline(run) == ms(200));
    run_on_tick(run, ms(200));
    assert_int_equal(expect(run, RUN_INVOKE).key.attempt, 3);
    expect_none(run);
    run_destroy(run);
}

static void given_restart_of_a_queued_run_when_resumed_then_it_starts(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_resume(run, 0, RUN_QUEUED, 0);
    expect_status(run, RUN_RUNNING);
    assert_int_equal(expect(run, RUN_INVOKE).key.attempt, 1);
    run_destroy(run);
}

/* The store failed to record the first test's invocation, and before its result the crash came. */
static void given_restart_when_an_earlier_test_left_no_record_then_it_is_invoked(void **state)
{
    (void)state;
    struct run *run = create(3, 2, NULL);
    restore(run, 1, 1);
    run_resume(run, ms(5), RUN_RUNNING, 0);
    assert_int_equal(expect(run, RUN_INVOKE).test, 0);
    assert_int_equal(expect(run, RUN_AWAIT).test, 1);
    expect_none(run);
    run_destroy(run);
}

static void given_restart_of_a_cancelled_run_when_resumed_then_it_ends_cancelled(void **state)
{
    (void)state;
    struct run *run = create(3, 1, NULL);
    restore_result(run, 0, 1, RESULT_PASS);
    restore(run, 1, 1);
    run_resume(run, 0, RUN_CANCELLING, 0);
    assert_int_equal(expect(run, RUN_AWAIT).test, 1); /* so that a late answer is known */
    assert_int_equal(expect(run, RUN_WITHDRAW).test, 1);
    struct run_action result = expect(run, RUN_STORE_RESULT);
    assert_true(marline__slice_is(result.result.error, "cancelled"));
    run_on_result_stored(run, ms(1), 1, true);
    expect_status(run, RUN_CANCELLED);
    expect_none(run);
    run_destroy(run);
}

static void given_restart_when_no_agent_is_back_then_new_invocations_wait(void **state)
{
    (void)state;
    struct run *run = create(2, 2, NULL);
    restore(run, 0, 1);
    run_resume(run, ms(1000), RUN_RUNNING, ms(300));
    assert_int_equal(expect(run, RUN_AWAIT).test, 0);
    expect_none(run);
    assert_true(run_next_deadline(run) == ms(1300));
    run_release(run, ms(1100));
    assert_int_equal(expect(run, RUN_INVOKE).test, 1);
    assert_true(run_next_deadline(run) == ms(1500));
    run_destroy(run);
}

static void given_restart_when_no_agent_comes_back_then_invoked_all_the_same(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_resume(run, 0, RUN_QUEUED, ms(300));
    expect_status(run, RUN_RUNNING);
    expect_none(run);
    run_on_tick(run, ms(300));
    (void)expect(run, RUN_INVOKE);
    run_destroy(run);
}

static void given_held_run_when_cancelled_then_it_ends_at_once(void **state)
{
    (void)state;
    struct run *run = create(1, 1, NULL);
    run_resume(run, 0, RUN_RUNNING, ms(300));
    run_cancel(run, ms(1));
    expect_status_at(run, ms(1), RUN_CANCELLED);
    assert_true(run_is_finished(run));
    run_destroy(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_one_test_when_answered_then_passes_and_run_completes),
        cmocka_unit_test(given_failed_function_when_answered_then_error_result),
        cmocka_unit_test(given_criteria_when_answered_then_verdict_decides),
        cmocka_unit_test(given_broken_metric_when_judged_then_error_with_reason),
        cmocka_unit_test(given_test_under_judgement_when_time_passes_then_keeps_slot_and_waits),
        cmocka_unit_test(given_test_under_judgement_when_cancelled_then_error_and_withdrawn),
        cmocka_unit_test(given_more_tests_than_slots_when_one_answers_then_the_next_starts),
        cmocka_unit_test(given_no_answer_when_timeout_passes_then_error_and_withdrawn),
        cmocka_unit_test(given_answered_test_when_answered_again_then_ignored),
        cmocka_unit_test(given_foreign_invocation_when_answered_then_ignored),
        cmocka_unit_test(given_no_agent_when_dispatch_fails_then_error_with_reason),
        cmocka_unit_test(given_failing_store_when_delay_is_over_then_result_is_stored_again),
        cmocka_unit_test(
            given_running_run_when_cancelled_then_queued_skipped_and_invoked_withdrawn),
        cmocka_unit_test(given_queued_run_when_cancelled_then_cancelled_at_once),
        cmocka_unit_test(given_no_tests_when_started_then_completes),
        cmocka_unit_test(given_retries_when_attempt_errs_then_next_is_another_invocation),
        cmocka_unit_test(given_retries_when_every_attempt_times_out_then_ends_after_the_last),
        cmocka_unit_test(given_retries_when_judged_fail_then_no_further_attempt),
        cmocka_unit_test(given_test_to_be_retried_when_no_slot_is_free_then_it_waits_for_one),
        cmocka_unit_test(given_test_to_be_retried_when_cancelled_then_its_last_result_stands),
        cmocka_unit_test(given_attempt_being_stored_when_cancelled_then_not_retried),
        cmocka_unit_test(given_failing_store_when_status_is_due_then_stored_again_before_the_end),
        cmocka_unit_test(
            given_restart_when_resumed_then_what_was_sent_is_awaited_and_not_sent_again),
        cmocka_unit_test(given_restart_when_nobody_answers_then_timed_out_anew),
        cmocka_unit_test(given_restart_when_all_was_stored_but_the_status_then_only_that_is),
        cmocka_unit_test(given_restart_between_attempts_when_resumed_then_the_next_attempt),
        cmocka_unit_test(given_restart_of_a_queued_run_when_resumed_then_it_starts),
        cmocka_unit_test(given_restart_when_an_earlier_test_left_no_record_then_it_is_invoked),
        cmocka_unit_test(given_restart_of_a_cancelled_run_when_resumed_then_it_ends_cancelled),
        cmocka_unit_test(given_restart_when_no_agent_is_back_then_new_invocations_wait),
        cmocka_unit_test(given_restart_when_no_agent_comes_back_then_invoked_all_the_same),
        cmocka_unit_test(given_held_run_when_cancelled_then_it_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
