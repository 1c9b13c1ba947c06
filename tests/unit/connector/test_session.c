/* The agent's session under a clock moved by hand: connecting, registering, ends, backoff, pacing,
 * results that outlive their connection, stopping. Invocations: test_session_work.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session_rig.h"

/* ---- connecting and registering ---- */

static void given_idle_when_start_then_connects(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(marline__session_state(rig->session), SESSION_IDLE);
    rig_open(rig);
    assert_null(rig_text(rig));
}

static void given_open_when_connected_comes_then_plain_registration(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_receive(rig, "{\"type\":\"connected\",\"status\":\"success\"}");
    assert_string_equal(rig_text(rig),
                        "{\"type\":\"register\",\"project_id\":"
                        "\"11111111-1111-4111-8111-111111111111\",\"environment\":\"development\","
                        "\"sdk_version\":\"0.1.0\",\"functions\":[{\"name\":\"f\"}],"
                        "\"metrics\":[]}");
    rig_expect_state(rig, SESSION_REGISTERING);
    assert_null(rig_text(rig));
}

static void given_open_when_connected_has_capabilities_then_registration_carries_ours(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_receive(rig, "{\"type\":\"connected\",\"status\":\"success\"" EXTENSIONS "}");
    assert_string_equal(
        rig_text(rig),
        "{\"type\":\"register\",\"project_id\":\"11111111-1111-4111-8111-111111111111\","
        "\"environment\":\"development\",\"sdk_version\":\"0.1.0\","
        "\"functions\":[{\"name\":\"f\"}],\"metrics\":[],\"capabilities\":[\"result_ack\","
        "\"cancel\",\"drain\",\"trace_context\",\"deadline\",\"attempt\",\"span_count\","
        "\"in_flight\",\"limits\"],\"agent_id\":\"agent-1\",\"concurrency\":2,\"in_flight\":[]}");
}

static void given_open_when_connected_stays_away_then_registers_after_half_a_second(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    assert_int_equal(marline__session_deadline(rig->session) - rig->now, 500 * RIG_MS);
    rig_pass_ms(rig, 499);
    assert_null(rig_text(rig));
    rig_pass_ms(rig, 1);
    assert_non_null(strstr(rig_text(rig), "\"register\""));
}

static void given_registered_in_part_then_registered_with_text(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_pass_ms(rig, 500);
    (void)rig_text(rig);
    rig_expect_state(rig, SESSION_REGISTERING);
    rig_receive(rig, "{\"type\":\"registered\",\"status\":\"error\",\"sync_stats\":{\"created\":1},"
                     "\"errors\":[],\"message\":\"Endpoint sync failed for 1 function(s)\"}");
    assert_string_equal(rig_expect_state(rig, SESSION_REGISTERED),
                        "registered in part: Endpoint sync failed for 1 function(s)");
}

static void given_registration_refused_then_rejected_and_asked_again(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_pass_ms(rig, 500);
    (void)rig_text(rig);
    rig_expect_state(rig, SESSION_REGISTERING);
    rig_receive(rig, "{\"type\":\"registered\",\"status\":\"error\","
                     "\"error\":\"Project 1 not found or not accessible\"}");
    struct session_action action = rig_expect(rig, SESSION_CHANGED);
    assert_int_equal(action.state, SESSION_REJECTED);
    assert_int_equal(action.status, MARLINE_EREJECTED);
    assert_string_equal(action.text, "the backend refused the registration: "
                                     "Project 1 not found or not accessible");
    rig_pass_ms(rig, SESSION_REJECTED_RETRY_MS - 1);
    assert_null(rig_text(rig));
    rig_pass_ms(rig, 1);
    assert_non_null(strstr(rig_text(rig), "\"register\""));
    rig_receive(rig, "{\"type\":\"registered\",\"status\":\"success\"}");
    rig_expect_state(rig, SESSION_REGISTERED);
}

static void given_no_answer_to_registration_then_closes_and_reconnects(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_pass_ms(rig, 500);
    (void)rig_text(rig);
    rig_expect_state(rig, SESSION_REGISTERING);
    rig_pass_ms(rig, SESSION_REGISTERED_WAIT_MS);
    rig_expect_state(rig, SESSION_CLOSING);
    assert_int_equal(rig_expect(rig, SESSION_CLOSE).code, 1001);
    marline__session_closed(rig->session, rig->now, 0, 1001, false, SLICE_EMPTY);
    rig_expect_state(rig, SESSION_WAITING);
}

static void given_registered_when_endpoints_change_then_registers_again(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    marline__session_endpoints_changed(rig->session, rig->now);
    assert_non_null(strstr(rig_text(rig), "\"register\""));
    rig_receive(rig, "{\"type\":\"registered\",\"status\":\"success\"}");
    rig_expect_no_action(rig);
}

/* ---- ends ---- */

static void given_connecting_when_refused_then_final_or_retried_by_status(void **state)
{
    struct rig *rig = *state;
    static const struct {
        int http;
        enum session_state state;
        marline_status status;
    } cases[] = {
        {400, SESSION_FAILED, MARLINE_EREJECTED}, {401, SESSION_FAILED, MARLINE_EAUTH},
        {403, SESSION_FAILED, MARLINE_EAUTH},     {404, SESSION_WAITING, MARLINE_EIO},
        {302, SESSION_WAITING, MARLINE_EIO},      {429, SESSION_WAITING, MARLINE_EIO},
        {500, SESSION_WAITING, MARLINE_EIO},      {503, SESSION_WAITING, MARLINE_EIO},
        {0, SESSION_WAITING, MARLINE_EIO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_restart(rig);
        marline__session_start(rig->session, rig->now);
        rig_expect_state(rig, SESSION_CONNECTING);
        rig_expect(rig, SESSION_CONNECT);
        marline__session_refused(rig->session, rig->now, 0, cases[i].http, "why");
        struct session_action action = rig_expect(rig, SESSION_CHANGED);
        assert_int_equal(action.state, cases[i].state);
        assert_int_equal(action.status, cases[i].status);
        bool retries = marline__session_deadline(rig->session) != TIME_NEVER;
        assert_int_equal(retries, cases[i].state == SESSION_WAITING);
    }
}

static void
given_certificate_not_verified_when_refused_then_the_fix_is_named_and_retried(void **state)
{
    struct rig *rig = *state;
    marline__session_start(rig->session, rig->now);
    rig_expect_state(rig, SESSION_CONNECTING);
    rig_expect(rig, SESSION_CONNECT);
    marline__session_refused(rig->session, rig->now, 0, 0,
                             "localhost:443: unable to get local issuer certificate");
    struct session_action action = rig_expect(rig, SESSION_CHANGED);
    assert_int_equal(action.state, SESSION_WAITING);
    assert_string_equal(action.text,
                        "no connection to localhost:443: unable to get local issuer certificate: "
                        "its certificate is of no known CA: give the CA file that signed it; "
                        "trying again, in case it is mended");
}

static void given_open_when_closed_then_only_1008_of_the_peer_is_final(void **state)
{
    struct rig *rig = *state;
    static const struct {
        uint16_t code;
        bool by_peer;
        enum session_state state;
    } cases[] = {
        {1000, true, SESSION_WAITING},  {1001, true, SESSION_WAITING},
        {1002, true, SESSION_WAITING},  {1003, true, SESSION_WAITING},
        {1005, true, SESSION_WAITING},  {1006, false, SESSION_WAITING},
        {1007, true, SESSION_WAITING},  {1008, true, SESSION_FAILED},
        {1008, false, SESSION_WAITING}, {1009, false, SESSION_WAITING},
        {1011, true, SESSION_WAITING},  {1012, true, SESSION_WAITING},
        {3000, true, SESSION_WAITING},  {4999, true, SESSION_WAITING},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rig_restart(rig);
        rig_open(rig);
        marline__session_closed(rig->session, rig->now, 0, cases[i].code, cases[i].by_peer,
                                SLICE("why"));
        rig_expect_state(rig, cases[i].state);
    }
}

static void given_failures_when_waiting_then_full_jitter_below_a_doubling_bound(void **state)
{
    struct rig *rig = *state;
    static const uint64_t bounds_s[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    marline__session_start(rig->session, rig->now);
    rig_expect_state(rig, SESSION_CONNECTING);
    for (size_t i = 0; i < sizeof bounds_s / sizeof bounds_s[0]; i++) {
        uint64_t bound = bounds_s[i] * NS_PER_S;
        rig_expect(rig, SESSION_CONNECT);
        marline__session_refused(rig->session, rig->now, bound - 1, 0, "why");
        rig_expect_state(rig, SESSION_WAITING);
        uint64_t wait = marline__session_deadline(rig->session) - rig->now;
        assert_int_equal(wait, BACKOFF_FLOOR_MS * RIG_MS + bound - 1); /* the longest */
        rig->now += wait - 1;
        marline__session_tick(rig->session, rig->now);
        rig_expect_no_action(rig);
        rig->now += 1;
        marline__session_tick(rig->session, rig->now);
        rig_expect_state(rig, SESSION_CONNECTING);
    }
    rig_expect(rig, SESSION_CONNECT);
    marline__session_refused(rig->session, rig->now, 60 * NS_PER_S, 0, "why");
    assert_int_equal(marline__session_deadline(rig->session) - rig->now,
                     BACKOFF_FLOOR_MS * RIG_MS); /* the shortest */
}

static uint64_t wait_after_uptime(struct rig *rig, uint64_t uptime_ms)
{
    rig_restart(rig);
    rig->random = 3 * NS_PER_S; /* 0 below a bound of 1 s, 1 s below one of 2 s */
    marline__session_start(rig->session, rig->now);
    marline__session_refused(rig->session, rig->now, rig->random, 0, "why");
    rig_pass_ms(rig, 5000);
    marline__session_opened(rig->session, rig->now);
    rig->now += uptime_ms * RIG_MS;
    rig_lose(rig);
    return marline__session_deadline(rig->session) - rig->now;
}

static void given_stable_uptime_when_lost_then_backoff_starts_anew(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(wait_after_uptime(rig, SESSION_STABLE_MS - 1),
                     (BACKOFF_FLOOR_MS + 1000) * RIG_MS);
    assert_int_equal(wait_after_uptime(rig, SESSION_STABLE_MS), BACKOFF_FLOOR_MS * RIG_MS);
}

/* ---- reconnecting ---- */

static void reconnect(struct rig *rig, const char *extensions)
{
    rig_lose(rig);
    rig_expect_state(rig, SESSION_WAITING);
    rig_pass_ms(rig, 70000);
    rig_expect_state(rig, SESSION_CONNECTING);
    rig_expect(rig, SESSION_CONNECT);
    marline__session_opened(rig->session, rig->now);
    rig_expect_state(rig, SESSION_OPEN);
    rig_register(rig, extensions);
}

static void given_result_made_while_away_when_registered_again_then_sent(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_lose(rig);
    rig_expect_state(rig, SESSION_WAITING);
    rig_finish(rig, "a");
    assert_null(rig_text(rig));
    rig_pass_ms(rig, 70000);
    rig_expect_state(rig, SESSION_CONNECTING);
    rig_expect(rig, SESSION_CONNECT);
    marline__session_opened(rig->session, rig->now);
    rig_expect_state(rig, SESSION_OPEN);
    assert_null(rig_text(rig));
    rig_register(rig, "");
    assert_string_equal(rig_text(rig), RESULT("a"));
}

static void given_unacknowledged_when_reconnected_then_sent_again_in_order(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    rig_invoke(rig, "b");
    rig_finish(rig, "a");
    assert_non_null(strstr(rig_text(rig), "\"a\""));
    rig_finish(rig, "b");
    reconnect(rig, EXTENSIONS);
    assert_non_null(strstr(rig_text(rig), "\"test_run_id\":\"a\""));
    assert_non_null(strstr(rig_text(rig), "\"test_run_id\":\"b\""));
    rig_receive(rig, "{\"type\":\"result_ack\",\"test_run_id\":\"a\"}");
    rig_receive(rig, "{\"type\":\"result_ack\",\"test_run_id\":\"b\"}");
    assert_int_equal(marline__session_undelivered(rig->session), 0);
    reconnect(rig, EXTENSIONS);
    assert_null(rig_text(rig));
}

static void given_reconnected_then_in_flight_names_what_is_still_to_come(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    rig_lose(rig);
    rig_expect_state(rig, SESSION_WAITING);
    rig_pass_ms(rig, 70000);
    rig_expect_state(rig, SESSION_CONNECTING);
    rig_expect(rig, SESSION_CONNECT);
    marline__session_opened(rig->session, rig->now);
    rig_receive(rig, "{\"type\":\"connected\",\"status\":\"success\"" EXTENSIONS "}");
    assert_non_null(strstr(rig_text(rig), "\"in_flight\":[\"a\"]"));
}

static void given_no_acknowledgement_in_time_then_sent_again(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    rig_finish(rig, "a");
    assert_string_equal(rig_text(rig),
                        "{\"type\":\"test_result\",\"test_run_id\":\"a\",\"status\":\"success\","
                        "\"output\":{\"output\":\"x\"},\"error\":null,\"duration_ms\":4.5,"
                        "\"trace_id\":\"85094a4cbcd769b66394d2829bd934b9\",\"span_count\":3}");
    rig_pass_ms(rig, SESSION_ACK_WAIT_MS - 1);
    assert_null(rig_text(rig));
    rig_pass_ms(rig, 1);
    assert_non_null(strstr(rig_text(rig), "\"test_run_id\":\"a\""));
}

static void
given_plain_peer_when_lost_right_after_a_result_then_possible_loss_is_counted(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "old");
    rig_finish(rig, "old");
    assert_non_null(rig_text(rig));
    rig_pass_ms(rig, SESSION_DOUBT_MS + 1);
    rig_invoke(rig, "a");
    rig_finish(rig, "a");
    assert_non_null(rig_text(rig));
    rig_lose(rig);
    assert_int_equal(marline__session_counters(rig->session)->results_doubtful, 1);
}

static void given_backend_that_never_acknowledges_then_dead_letter_in_the_end(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    rig_finish(rig, "a");
    for (int i = 0; i < SESSION_ACK_SILENCES; i++) {
        assert_non_null(strstr(rig_text(rig), "\"test_run_id\":\"a\""));
        rig_pass_ms(rig, SESSION_ACK_WAIT_MS);
    }
    assert_null(rig_text(rig));
    assert_int_equal(marline__session_undelivered(rig->session), 0);
    assert_int_equal(marline__session_counters(rig->session)->results_given_up, 1);
    assert_string_equal(rig->journal, "accepted a;stored a;buried a;settled a;");
}

static void given_undelivered_result_when_retried_then_sent_again_and_not_executed(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    rig_finish(rig, "a");
    assert_int_equal(marline__session_deliver_again(rig->session, rig->now, SLICE(RESULT("a"))),
                     MARLINE_ESTATE); /* it is on its way */
    assert_non_null(strstr(rig_text(rig), "\"test_run_id\":\"a\""));
    rig_receive(rig, "{\"type\":\"result_ack\",\"test_run_id\":\"a\"}");
    assert_null(rig_text(rig));
    assert_int_equal(marline__session_deliver_again(rig->session, rig->now, SLICE(RESULT("a"))),
                     MARLINE_OK);
    assert_string_equal(rig_text(rig), RESULT("a"));
    rig_expect_no_action(rig);
    assert_int_equal(marline__session_deliver_again(rig->session, rig->now, SLICE("{}")),
                     MARLINE_EINVAL);
    assert_string_equal(rig->journal, "accepted a;stored a;settled a;stored a;");
}

static void given_refused_invocation_then_dead_letter_with_its_request(void **state)
{
    struct rig *rig = *state;
    rig->refusal_trace = "0af7651916cd43dd8448eb211c80319c";
    rig_open(rig);
    rig_register(rig, "");
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"nix\","
                     "\"inputs\":{}}");
    assert_string_equal(rig->journal, "buried i;stored i;");
    assert_non_null(strstr(rig_text(rig), "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\""));
}

/* ---- pacing and keepalive ---- */

static int count_texts_in(struct rig *rig, uint64_t ms)
{
    int count = 0;
    for (uint64_t i = 0; i < ms; i++) {
        while (rig_text(rig)) {
            count++;
        }
        rig->now += RIG_MS;
    }
    return count;
}

static void make_results(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "r_%d", i);
        assert_int_equal(marline__session_restore(
                             rig->session, &(struct session_restored){.id = marline__slice_text(id),
                                                                      .result = SLICE("{}")}),
                         MARLINE_OK);
    }
}

static void given_plain_peer_when_many_results_then_spaced(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    make_results(rig, 200);
    assert_string_equal(rig_text(rig), "{}");
    assert_null(rig_text(rig)); /* never two together */
    assert_int_equal(marline__session_deadline(rig->session) - rig->now,
                     SESSION_RESULT_GAP_MS * RIG_MS);
    assert_int_equal(count_texts_in(rig, 1000), 39);
}

static void given_limits_when_many_results_then_below_the_rate(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, ",\"capabilities\":[\"limits\"],\"limits\":{\"rate_per_second\":50}");
    make_results(rig, 200);
    int sent = count_texts_in(rig, 1000);
    assert_in_range(sent, 35, 40);
    assert_in_range(count_texts_in(rig, 1000), 35, 40);
}

static void given_limits_without_rate_then_unpaced(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, ",\"capabilities\":[\"limits\"]");
    make_results(rig, 1000);
    assert_int_equal(count_texts_in(rig, 1), 1000);
}

static void given_silence_when_idle_limit_nears_then_keepalive(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_pass_ms(rig, 238999);
    assert_null(rig_text(rig));
    rig_pass_ms(rig, 1); /* 240 s after the registration */
    assert_string_equal(rig_text(rig), "{\"type\":\"pong\"}");
    assert_null(rig_text(rig));
    assert_int_equal(marline__session_deadline(rig->session) - rig->now, 240000ull * RIG_MS);
}

/* ---- stopping ---- */

static void given_registered_when_stop_then_closes_with_1000(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    marline__session_stop(rig->session, rig->now, NS_PER_S);
    rig_expect_state(rig, SESSION_CLOSING);
    assert_int_equal(rig_expect(rig, SESSION_CLOSE).code, 1000);
    rig_expect_no_action(rig);
    marline__session_closed(rig->session, rig->now, 0, 1000, false, SLICE_EMPTY);
    rig_expect_state(rig, SESSION_STOPPED);
    assert_int_equal(marline__session_deadline(rig->session), TIME_NEVER);
}

static void given_running_when_stop_then_drains_first(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, EXTENSIONS);
    rig_invoke(rig, "a");
    marline__session_stop(rig->session, rig->now, NS_PER_S);
    assert_string_equal(rig_text(rig), "{\"type\":\"drain\"}");
    rig_receive(rig, "{\"type\":\"execute_test\",\"test_run_id\":\"b\",\"function_name\":\"f\","
                     "\"inputs\":{}}");
    assert_string_equal(rig_text(rig),
                        ERROR_RESULT("b", "the agent is draining and takes no new work", "0.0"));
    rig_finish(rig, "a");
    assert_non_null(strstr(rig_text(rig), "\"a\""));
    rig_expect_no_action(rig); /* the acknowledgements are still due */
    rig_receive(rig, "{\"type\":\"result_ack\",\"test_run_id\":\"a\"}");
    rig_receive(rig, "{\"type\":\"result_ack\",\"test_run_id\":\"b\"}");
    rig_expect_state(rig, SESSION_CLOSING);
    assert_int_equal(rig_expect(rig, SESSION_CLOSE).code, 1000);
}

static void
given_handler_that_never_returns_when_stop_time_is_up_then_canceled_result_and_end(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    marline__session_stop(rig->session, rig->now, NS_PER_S);
    assert_int_equal(marline__session_deadline(rig->session) - rig->now, NS_PER_S);
    rig_pass_ms(rig, 1000);
    assert_true(rig_expect(rig, SESSION_CANCEL).late);
    assert_non_null(strstr(rig_text(rig), "canceled: the agent stopped"));
    rig_expect_state(rig, SESSION_CLOSING);
    rig_expect(rig, SESSION_CLOSE);
}

static void given_not_connected_when_stop_then_stopped_at_the_deadline(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_register(rig, "");
    rig_invoke(rig, "a");
    rig_lose(rig);
    rig_expect_state(rig, SESSION_WAITING);
    rig_finish(rig, "a");
    rig->random = 0;
    marline__session_stop(rig->session, rig->now, 10 * RIG_MS);
    rig_expect_no_action(rig);
    rig_pass_ms(rig, 10);
    struct session_action action = rig_expect(rig, SESSION_CHANGED);
    assert_int_equal(action.state, SESSION_STOPPED);
    assert_int_equal(action.status, MARLINE_ETIMEDOUT); /* the result was not delivered */
}

static void given_nothing_to_do_when_stop_while_waiting_then_stopped_at_once(void **state)
{
    struct rig *rig = *state;
    rig_open(rig);
    rig_lose(rig);
    rig_expect_state(rig, SESSION_WAITING);
    marline__session_stop(rig->session, rig->now, NS_PER_S);
    rig_expect_state(rig, SESSION_STOPPED);
    rig_restart(rig);
    marline__session_stop(rig->session, rig->now, NS_PER_S);
    rig_expect_state(rig, SESSION_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(given_idle_when_start_then_connects),
        RIGGED(given_open_when_connected_comes_then_plain_registration),
        RIGGED(given_open_when_connected_has_capabilities_then_registration_carries_ours),
        RIGGED(given_open_when_connected_stays_away_then_registers_after_half_a_second),
        RIGGED(given_registered_in_part_then_registered_with_text),
        RIGGED(given_registration_refused_then_rejected_and_asked_again),
        RIGGED(given_no_answer_to_registration_then_closes_and_reconnects),
        RIGGED(given_registered_when_endpoints_change_then_registers_again),
        RIGGED(given_connecting_when_refused_then_final_or_retried_by_status),
        RIGGED(given_certificate_not_verified_when_refused_then_the_fix_is_named_and_retried),
        RIGGED(given_open_when_closed_then_only_1008_of_the_peer_is_final),
        RIGGED(given_failures_when_waiting_then_full_jitter_below_a_doubling_bound),
        RIGGED(given_stable_uptime_when_lost_then_backoff_starts_anew),
        RIGGED(given_result_made_while_away_when_registered_again_then_sent),
        RIGGED(given_unacknowledged_when_reconnected_then_sent_again_in_order),
        RIGGED(given_reconnected_then_in_flight_names_what_is_still_to_come),
        RIGGED(given_no_acknowledgement_in_time_then_sent_again),
        RIGGED(given_plain_peer_when_lost_right_after_a_result_then_possible_loss_is_counted),
        RIGGED(given_backend_that_never_acknowledges_then_dead_letter_in_the_end),
        RIGGED(given_undelivered_result_when_retried_then_sent_again_and_not_executed),
        RIGGED(given_refused_invocation_then_dead_letter_with_its_request),
        RIGGED(given_plain_peer_when_many_results_then_spaced),
        RIGGED(given_limits_when_many_results_then_below_the_rate),
        RIGGED(given_limits_without_rate_then_unpaced),
        RIGGED(given_silence_when_idle_limit_nears_then_keepalive),
        RIGGED(given_registered_when_stop_then_closes_with_1000),
        RIGGED(given_running_when_stop_then_drains_first),
        RIGGED(given_handler_that_never_returns_when_stop_time_is_up_then_canceled_result_and_end),
        RIGGED(given_not_connected_when_stop_then_stopped_at_the_deadline),
        RIGGED(given_nothing_to_do_when_stop_while_waiting_then_stopped_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
