/* The agent's session under a clock moved by hand: invocations, repeats, limits of work, metrics.
 * Connections: test_session.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session_rig.h"

/* ---- invocations ---- */

static void given_registered_when_invoked_then_result_golden(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "invoke_1");
    assert_true(marline__slice_is(rig->job->test.function_name, "f"));
    assert_true(marline__slice_is(rig->job->test.inputs, "{\"input\":\"hi\"}"));
    assert_null(rig_text(rig));
    rig_finish(rig, "invoke_1");
    assert_string_equal(rig_text(rig), RESULT("invoke_1"));
    assert_null(rig_text(rig));
    assert_string_equal(rig->journal, "accepted invoke_1;stored invoke_1;settled invoke_1;");
}

static void given_two_running_when_second_ends_first_then_its_result_goes_first(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_invoke(rig, "b");
    rig_finish(rig, "b");
    rig_finish(rig, "a");
    assert_string_equal(rig_text(rig), RESULT("b"));
    rig_pass_ms(rig, SESSION_RESULT_GAP_MS);
    assert_string_equal(rig_text(rig), RESULT("a"));
}

static void given_unknown_function_when_invoked_then_the_protocols_error(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"nix\","
                     "\"inputs\":{}}");
    rig_expect_no_action(rig);
    assert_string_equal(rig_text(rig),
                        ERROR_RESULT("i", "Function 'nix' not found in registry", "0.0"));
}

static void given_malformed_invocation_with_id_then_error_result(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"inputs\":{}}");
    rig_expect_no_action(rig);
    const char *text = rig_text(rig);
    assert_non_null(strstr(text, "\"test_run_id\":\"i\",\"status\":\"error\""));
    assert_non_null(strstr(text, "function_name"));
}

static void given_rubbish_when_received_then_counted_and_survived(void **state)
{
    struct rig *rig = *state;
    static const char *const rubbish[] = {
        "", "x", "[1]", "3", "null", "{\"type\":", "{\"type\":\"execute_test\",\"inputs\":{}}",
    };
    rig_open(rig);
    rig_register(rig, "");
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        rig_receive(rig, rubbish[i]);
    }
    assert_int_equal(marline__session_counters(rig->session)->invalid_messages, 7);
    rig_receive(rig, "{\"type\":\"news\"}");
    rig_receive(rig, "{}");
    assert_int_equal(marline__session_counters(rig->session)->ignored_messages, 2);
    rig_receive(rig, "{\"type\":\"error\",\"detail\":\"Rate limit exceeded\"}");
    assert_int_equal(marline__session_counters(rig->session)->peer_errors, 1);
    assert_null(rig_text(rig));
    rig_invoke(rig, "a");
}

/* Messages that belong to somebody else, or come when their time is over, and again. */
static void given_foreign_and_late_messages_when_received_then_nothing_changes(void **state)
{
    struct rig *rig = *state;
    static const char *const messages[] = {
        "{\"type\":\"result_ack\",\"test_run_id\":\"never heard of\"}",
        "{\"type\":\"result_ack\",\"test_run_id\":\"a\"}", /* acknowledged before its result */
        "{\"type\":\"cancel\",\"test_run_id\":\"never heard of\"}",
        "{\"type\":\"test_result\",\"test_run_id\":\"a\",\"status\":\"success\"}",
        "{\"type\":\"register\",\"sdk_version\":\"1\",\"functions\":[]}",
        "{\"type\":\"registered\",\"status\":\"success\"}",
        "{\"type\":\"pong\"}",
    };
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    for (size_t i = 0; i < 2 * (sizeof messages / sizeof messages[0]); i++) {
        rig_receive(rig, messages[i / 2]);
        rig_expect_no_action(rig);
        assert_null(rig_text(rig));
    }
    rig_finish(rig, "a");
    assert_non_null(strstr(rig_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\""));
    rig_receive(rig, "{\"type\":\"cancel\",\"test_run_id\":\"a\"}");
    rig_receive(rig, messages[1]);
    rig_receive(rig, messages[1]);
    rig_expect_no_action(rig);
    assert_null(rig_text(rig));
    assert_int_equal(marline__session_undelivered(rig->session), 0);
}

static void given_ping_when_received_then_pong(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_receive(rig, "{\"type\":\"ping\"}");
    assert_string_equal(rig_text(rig), "{\"type\":\"pong\"}");
    assert_null(rig_text(rig));
}

static void given_invocation_before_registered_then_runs_and_result_waits(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_invoke(rig, "a");
    rig_finish(rig, "a");
    assert_null(rig_text(rig));
    rig_register(rig, "");
    assert_string_equal(rig_text(rig), RESULT("a"));
}

/* ---- repeats ---- */

static void given_running_or_done_when_repeated_then_executed_once(void **state)
{
    struct rig *rig = *state;
    static const char again[] = "{\"type\":\"execute_test\",\"test_run_id\":\"a\","
                                "\"function_name\":\"f\",\"inputs\":{}}";
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_receive(rig, again);
    rig_expect_no_action(rig);
    rig_finish(rig, "a");
    assert_string_equal(rig_text(rig), RESULT("a"));
    assert_null(rig_text(rig));
    rig_pass_ms(rig, 1000);
    rig_receive(rig, again);
    rig_expect_no_action(rig);
    assert_string_equal(rig_text(rig), RESULT("a"));
    assert_int_equal(marline__session_counters(rig->session)->repeats, 2);
}

static void given_many_done_when_oldest_repeated_then_never_executed_again(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    struct slice big = {NULL, 0};
    char *text = calloc(1, 4001);
    memset(text, 'x', 4000);
    big = (struct slice){text, 4000};
    /* more bytes than are kept of settled results, fewer ids than are remembered */
    for (int i = 0; i < 1000; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "old_%d", i);
        assert_int_equal(marline__session_restore_settled(
                             rig->session, &(struct session_restored){.id = marline__slice_text(id),
                                                                      .result = big}),
                         MARLINE_OK);
    }
    free(text);
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"old_0\",\"function_name\":\"f\","
                     "\"inputs\":{}}");
    rig_expect_no_action(rig);
    assert_non_null(strstr(rig_text(rig), "executed before"));
}

/* ---- limits of work ---- */

static void given_all_workers_busy_when_invoked_then_waits_its_turn(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_invoke(rig, "b");
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"c\",\"function_name\":\"f\","
                     "\"inputs\":{}}");
    rig_expect_no_action(rig);
    rig_finish(rig, "a");
    assert_true(marline__slice_is(rig_expect(rig, SESSION_INVOKE).id, "c"));
}

static void given_endpoint_limit_when_reached_then_others_pass(void **state)
{
    struct rig *rig = *state;
    rig->f.concurrency = 1;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"b\",\"function_name\":\"f\","
                     "\"inputs\":{}}");
    rig_expect_no_action(rig);
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"c\",\"function_name\":\"g\","
                     "\"inputs\":{}}");
    assert_true(marline__slice_is(rig_expect(rig, SESSION_INVOKE).id, "c"));
    rig_finish(rig, "a");
    assert_true(marline__slice_is(rig_expect(rig, SESSION_INVOKE).id, "b"));
}

static void given_full_queue_when_invoked_then_refused_with_reason(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_invoke(rig, "b");
    for (char id = 'c'; id <= 'f'; id++) {
        char text[128];
        (void)snprintf(text, sizeof text,
                       "{\"type\":\"execute_test\",\"test_run_id\":\"%c\",\"function_name\":\"f\","
                       "\"inputs\":{}}",
                       id);
        rig_receive(rig, text);
    }
    assert_string_equal(rig_text(rig),
                        ERROR_RESULT("f", "the agent is full: 3 invocations wait", "0.0"));
}

static void
given_timeout_when_handler_overruns_then_error_cancel_and_late_result_dropped(void **state)
{
    struct rig *rig = *state;
    rig->f.timeout_ms = 100;
    (void)snprintf(rig->trace.trace_id, sizeof rig->trace.trace_id, "%032d", 7);
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    assert_int_equal(marline__session_deadline(rig->session) - rig->now, 100 * RIG_MS);
    rig_pass_ms(rig, 100);
    struct session_action action = rig_expect(rig, SESSION_CANCEL);
    assert_true(marline__slice_is(action.id, "a"));
    assert_true(action.late);
    assert_string_equal(action.text, "timed out");
    rig_expect_no_action(rig);
    assert_string_equal(
        rig_text(rig), "{\"type\":\"test_result\",\"test_run_id\":\"a\",\"status\":\"error\","
                       "\"output\":null,\"error\":\"timed out after 100 ms\",\"duration_ms\":100.0,"
                       "\"trace_id\":\"00000000000000000000000000000007\"}");
    rig_finish(rig, "a");
    rig_pass_ms(rig, 1000);
    assert_null(rig_text(rig));
    assert_int_equal(marline__session_counters(rig->session)->late_results, 1);
}

static void given_returned_handler_when_its_spans_take_long_then_no_timeout(void **state)
{
    struct rig *rig = *state;
    rig->f.timeout_ms = 100;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig->trace.returned = true;
    rig_pass_ms(rig, 100);
    rig_expect_no_action(rig);
    rig_finish(rig, "a");
    assert_string_equal(rig_text(rig), RESULT("a"));
}

static void given_overrun_handler_when_it_still_runs_then_its_worker_stays_taken(void **state)
{
    struct rig *rig = *state;
    rig->options.concurrency = 1;
    rig_restart(rig);
    rig->f.timeout_ms = 100;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_pass_ms(rig, 100);
    rig_expect(rig, SESSION_CANCEL);
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"b\",\"function_name\":\"f\","
                     "\"inputs\":{}}");
    rig_expect_no_action(rig);
    rig_finish(rig, "a");
    assert_true(marline__slice_is(rig_expect(rig, SESSION_INVOKE).id, "b"));
}

static void given_deadline_of_the_backend_when_waiting_too_long_then_error(void **state)
{
    struct rig *rig = *state;
    rig->options.concurrency = 1;
    rig_restart(rig);
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"b\",\"function_name\":\"f\","
                     "\"inputs\":{},\"deadline_ms\":50}");
    rig_pass_ms(rig, 50);
    rig_expect_no_action(rig);
    assert_string_equal(rig_text(rig),
                        ERROR_RESULT("b", "timed out after 50 ms of waiting for a worker", "50.0"));
}

static void given_result_over_the_peers_limit_then_error_result_that_says_so(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    char *output = calloc(1, 5001);
    memset(output, '1', 5000);
    const struct message_test_result result = {
        .invocation_id = SLICE("a"), .success = true, .output = {output, 5000}};
    marline__session_finished(rig->session, rig->now, &result);
    free(output);
    const char *text = rig_text(rig);
    assert_non_null(strstr(text, "\"status\":\"error\""));
    assert_non_null(strstr(text, "the backend takes messages of 4096 at most"));
}

static void given_cancel_when_running_then_reaches_the_work_and_its_result_counts(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    rig_receive(rig, "{\"type\":\"cancel\",\"test_run_id\":\"a\"}");
    struct session_action action = rig_expect(rig, SESSION_CANCEL);
    assert_false(action.late);
    rig_expect_no_action(rig);
    rig_finish(rig, "a");
    assert_non_null(strstr(rig_text(rig), "\"success\""));
}

/* ---- metrics ---- */

static void given_unknown_metric_when_asked_then_the_protocols_error(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_receive(rig, "{\"type\":\"execute_metric\",\"metric_run_id\":\"m\",\"metric_name\":\"nix\","
                     "\"inputs\":{}}");
    const char *text = rig_text(rig);
    assert_non_null(strstr(text, "{\"type\":\"metric_result\",\"metric_run_id\":\"m\","
                                 "\"status\":\"error\""));
    assert_non_null(strstr(text, "\"error\":\"Metric 'nix' not found in registry\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(given_registered_when_invoked_then_result_golden),
        RIGGED(given_two_running_when_second_ends_first_then_its_result_goes_first),
        RIGGED(given_unknown_function_when_invoked_then_the_protocols_error),
        RIGGED(given_malformed_invocation_with_id_then_error_result),
        RIGGED(given_rubbish_when_received_then_counted_and_survived),
        RIGGED(given_foreign_and_late_messages_when_received_then_nothing_changes),
        RIGGED(given_ping_when_received_then_pong),
        RIGGED(given_invocation_before_registered_then_runs_and_result_waits),
        RIGGED(given_running_or_done_when_repeated_then_executed_once),
        RIGGED(given_many_done_when_oldest_repeated_then_never_executed_again),
        RIGGED(given_all_workers_busy_when_invoked_then_waits_its_turn),
        RIGGED(given_endpoint_limit_when_reached_then_others_pass),
        RIGGED(given_full_queue_when_invoked_then_refused_with_reason),
        RIGGED(given_timeout_when_handler_overruns_then_error_cancel_and_late_result_dropped),
        RIGGED(given_returned_handler_when_its_spans_take_long_then_no_timeout),
        RIGGED(given_overrun_handler_when_it_still_runs_then_its_worker_stays_taken),
        RIGGED(given_deadline_of_the_backend_when_waiting_too_long_then_error),
        RIGGED(given_result_over_the_peers_limit_then_error_result_that_says_so),
        RIGGED(given_cancel_when_running_then_reaches_the_work_and_its_result_counts),
        RIGGED(given_unknown_metric_when_asked_then_the_protocols_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
