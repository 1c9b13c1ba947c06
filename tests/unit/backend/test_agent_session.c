/* The backend's side of one connection: golden texts, limits, time moved by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/agent_session.h"

static const struct agent_identity identity = {
    .connection_id = {"5f0c9d2be1f24d77a4a1c2f0b7d3e611", 32},
    .organization_id = {"22222222-2222-4222-8222-222222222222", 36},
    .user_id = {"33333333-3333-4333-8333-333333333333", 36},
};

struct fixture {
    struct agent_session *session;
    struct agent_step step;
    uint64_t now_ns;
};

static int open_with(void **state, const struct agent_limits *limits)
{
    struct fixture *f = marline__memory_zeroed(sizeof(*f));
    f->now_ns = 1000 * NS_PER_S;
    f->session = agent_session_open(limits, &identity, f->now_ns, &f->step);
    *state = f;
    return 0;
}

static int open_default(void **state)
{
    struct agent_limits limits = agent_limits_default();
    return open_with(state, &limits);
}

static int open_narrow(void **state)
{
    struct agent_limits limits = {
        .message_size_max = 20, .rate_per_second = 3, .idle_timeout_ms = 1000};
    return open_with(state, &limits);
}

static int close_session(void **state)
{
    struct fixture *f = *state;
    agent_session_destroy(f->session);
    marline__memory_free(f);
    return 0;
}

static const struct agent_step *say(struct fixture *f, const char *text)
{
    agent_session_text(f->session, marline__slice_text(text), f->now_ns, &f->step);
    return &f->step;
}

static void assert_reply(const struct agent_step *step, const char *expected)
{
    assert_int_equal(step->reply.size, strlen(expected));
    assert_memory_equal(step->reply.data, expected, step->reply.size);
}

static void given_new_connection_when_opened_then_connected_is_sent_first(void **state)
{
    struct fixture *f = *state;
    assert_reply(&f->step,
                 "{\"type\":\"connected\",\"status\":\"success\","
                 "\"connection_id\":\"5f0c9d2be1f24d77a4a1c2f0b7d3e611\","
                 "\"organization_id\":\"22222222-2222-4222-8222-222222222222\","
                 "\"user_id\":\"33333333-3333-4333-8333-333333333333\","
                 "\"capabilities\":[\"result_ack\",\"cancel\",\"drain\",\"trace_context\","
                 "\"deadline\",\"attempt\",\"span_count\",\"in_flight\",\"limits\"],"
                 "\"limits\":{\"rate_per_second\":50,\"message_size_max\":1048576,"
                 "\"idle_timeout_ms\":300000}}");
}

static void given_register_when_received_then_the_owner_is_asked(void **state)
{
    struct fixture *f = *state;
    const struct agent_step *step =
        say(f, "{\"type\": \"register\", \"project_id\": \"p\", \"environment\": \"development\", "
               "\"sdk_version\": \"0.4.2\", \"functions\": [], "
               "\"capabilities\": [\"result_ack\"]}");
    assert_int_equal(step->event, AGENT_REGISTER);
    assert_int_equal(step->reply.size, 0);
    assert_true(marline__slice_is(step->message->registration.project_id, "p"));
    assert_int_equal(agent_session_capabilities(f->session), CAPABILITY_RESULT_ACK);
}

static void given_registration_in_place_when_told_then_success_with_stats(void **state)
{
    struct fixture *f = *state;
    struct agent_registration outcome = {.stats = SLICE("{\"created\":1}")};
    agent_session_registered(f->session, &outcome, &f->step);
    assert_reply(&f->step, "{\"type\":\"registered\",\"status\":\"success\","
                           "\"sync_stats\":{\"created\":1}}");
}

static void given_metrics_only_registration_when_told_then_connection_id_is_added(void **state)
{
    struct fixture *f = *state;
    struct agent_registration outcome = {.metrics_only = true, .stats = SLICE("{}")};
    agent_session_registered(f->session, &outcome, &f->step);
    assert_reply(&f->step, "{\"type\":\"registered\",\"status\":\"success\",\"sync_stats\":{},"
                           "\"connection_id\":\"5f0c9d2be1f24d77a4a1c2f0b7d3e611\"}");
}

static void given_refused_registration_when_told_then_error_text(void **state)
{
    struct fixture *f = *state;
    struct agent_registration outcome = {.error = "Project p not found or not accessible"};
    agent_session_registered(f->session, &outcome, &f->step);
    assert_reply(&f->step, "{\"type\":\"registered\",\"status\":\"error\","
                           "\"error\":\"Project p not found or not accessible\"}");
}

static void given_malformed_register_when_received_then_answered_with_error(void **state)
{
    struct fixture *f = *state;
    const struct agent_step *step = say(f, "{\"type\":\"register\",\"functions\":[]}");
    assert_int_equal(step->event, AGENT_NOTHING);
    assert_non_null(memmem(step->reply.data, step->reply.size, "\"status\":\"error\"", 16));
    assert_non_null(memmem(step->reply.data, step->reply.size, "sdk_version", 11));
}

static void given_result_when_received_then_handed_over(void **state)
{
    struct fixture *f = *state;
    const struct agent_step *step =
        say(f, "{\"type\":\"test_result\",\"test_run_id\":\"invoke_1\",\"status\":\"success\","
               "\"output\":{\"a\":1.50},\"error\":null,\"duration_ms\":4.1,\"trace_id\":null}");
    assert_int_equal(step->event, AGENT_RESULT);
    assert_true(marline__slice_is(step->message->test_result.invocation_id, "invoke_1"));
    assert_true(marline__slice_is(step->message->test_result.output, "{\"a\":1.50}"));
}

static void given_result_with_nan_when_received_then_handed_over_as_json(void **state)
{
    struct fixture *f = *state;
    const struct agent_step *step =
        say(f, "{\"type\":\"test_result\",\"test_run_id\":\"invoke_1\",\"status\":\"success\","
               "\"output\":{\"a\":NaN,\"b\":\"NaN\"},\"duration_ms\":4.1}");
    assert_true(marline__slice_is(step->message->test_result.output, "{\"a\":null,\"b\":\"NaN\"}"));
    step = say(f, "{\"type\":\"metric_result\",\"metric_run_id\":\"m\",\"status\":\"success\","
                  "\"score\":-Infinity,\"details\":{\"c\":[Infinity]}}");
    assert_int_equal(step->event, AGENT_METRIC_RESULT);
    assert_true(marline__slice_is(step->message->metric_result.score, "null"));
    assert_true(marline__slice_is(step->message->metric_result.details, "{\"c\":[null]}"));
}

static void given_result_without_id_when_received_then_dropped(void **state)
{
    struct fixture *f = *state;
    const struct agent_step *step = say(f, "{\"type\":\"test_result\",\"status\":\"success\"}");
    assert_int_equal(step->event, AGENT_NOTHING);
    assert_int_equal(step->reply.size, 0);
    assert_int_equal(agent_session_counters(f->session)->ill_formed, 1);
}

static void given_no_json_object_when_received_then_invalid_json_and_on(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {"",   "{",  "not json", "{\"type\":1} x",
                                        "[]", "42", "null",     "\"text\""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        const struct agent_step *step = say(f, texts[i]);
        assert_reply(step, "{\"type\":\"error\",\"detail\":\"Invalid JSON\"}");
        assert_int_equal(step->close_code, 0);
    }
    assert_int_equal(say(f, "{\"type\":\"drain\"}")->event, AGENT_DRAIN);
}

static void given_binary_when_received_then_invalid_json(void **state)
{
    struct fixture *f = *state;
    agent_session_binary(f->session, f->now_ns, &f->step);
    assert_reply(&f->step, "{\"type\":\"error\",\"detail\":\"Invalid JSON\"}");
}

static void given_pong_or_unknown_type_when_received_then_no_answer(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(say(f, "{\"type\":\"pong\"}")->reply.size, 0);
    assert_int_equal(say(f, "{\"type\":\"surprise\"}")->reply.size, 0);
    assert_int_equal(say(f, "{\"type\":\"connected\"}")->reply.size, 0);
    assert_int_equal(agent_session_counters(f->session)->messages, 3);
}

static void given_drain_when_registered_again_then_no_longer_draining(void **state)
{
    struct fixture *f = *state;
    (void)say(f, "{\"type\":\"drain\"}");
    assert_true(agent_session_is_draining(f->session));
    (void)say(f, "{\"type\":\"register\",\"sdk_version\":\"1\",\"functions\":[]}");
    assert_false(agent_session_is_draining(f->session));
}

static void given_size_limit_when_counted_then_characters_not_bytes(void **state)
{
    struct fixture *f = *state;
    /* 20 characters, 23 bytes */
    assert_int_equal(say(f, "{\"type\":\"ping\",\"\xC3\xA4\xC3\xA4\xC3\xA4x")->reply.size,
                     strlen("{\"type\":\"error\",\"detail\":\"Invalid JSON\"}"));
    f->now_ns += NS_PER_S;
    /* 21 characters */
    assert_reply(say(f, "{\"type\":\"ping\",\"\xC3\xA4\xC3\xA4\xC3\xA4xx"),
                 "{\"type\":\"error\",\"detail\":\"Message too large (max 20 bytes)\"}");
    agent_session_oversize(f->session, f->now_ns, &f->step);
    assert_reply(&f->step, "{\"type\":\"error\",\"detail\":\"Message too large (max 20 bytes)\"}");
    assert_int_equal(agent_session_counters(f->session)->oversize, 2);
}

static void given_rate_limit_when_exceeded_then_refused_and_not_counted(void **state)
{
    struct fixture *f = *state;
    static const char limited[] = "{\"type\":\"error\",\"detail\":\"Rate limit exceeded\"}";
    uint64_t start = f->now_ns;
    for (int i = 0; i < 3; i++) {
        f->now_ns = start + (uint64_t)i * 100 * NS_PER_MS;
        assert_int_equal(say(f, "{\"type\":\"pong\"}")->reply.size, 0);
    }
    struct agent_rate rate = agent_session_rate(f->session, f->now_ns);
    assert_true(rate.allowed);
    assert_int_equal(rate.limit, 3);
    assert_int_equal(rate.remaining, 0);
    assert_int_equal(agent_session_rate(f->session, start + NS_PER_S).remaining, 1);
    assert_reply(say(f, "{\"type\":\"pong\"}"), limited);
    assert_false(agent_session_rate(f->session, f->now_ns).allowed);
    f->now_ns = start + NS_PER_S - 1;
    assert_reply(say(f, "{\"type\":\"pong\"}"), limited);
    f->now_ns = start + NS_PER_S; /* the first one is a second old; the refused do not count */
    assert_int_equal(say(f, "{\"type\":\"pong\"}")->reply.size, 0);
    assert_reply(say(f, "{\"type\":\"pong\"}"), limited);
    assert_int_equal(agent_session_counters(f->session)->rate_limited, 3);
}

static void given_silence_when_the_idle_time_is_over_then_closed_with_1000(void **state)
{
    struct fixture *f = *state;
    uint64_t deadline = agent_session_deadline(f->session);
    assert_true(deadline == f->now_ns + NS_PER_S);
    agent_session_tick(f->session, deadline - 1, &f->step);
    assert_int_equal(f->step.close_code, 0);
    agent_session_tick(f->session, deadline, &f->step);
    assert_int_equal(f->step.close_code, 1000);
    assert_string_equal(f->step.close_reason, "Idle timeout");
}

static void given_text_when_received_then_the_idle_time_starts_anew(void **state)
{
    struct fixture *f = *state;
    f->now_ns += NS_PER_S / 2;
    (void)say(f, "{\"type\":\"pong\"}");
    assert_true(agent_session_deadline(f->session) == f->now_ns + NS_PER_S);
}

int main(void)
{
#define SESSION_TEST(name, open) cmocka_unit_test_setup_teardown(name, open, close_session)
    const struct CMUnitTest tests[] = {
        SESSION_TEST(given_new_connection_when_opened_then_connected_is_sent_first, open_default),
        SESSION_TEST(given_register_when_received_then_the_owner_is_asked, open_default),
        SESSION_TEST(given_registration_in_place_when_told_then_success_with_stats, open_default),
        SESSION_TEST(given_metrics_only_registration_when_told_then_connection_id_is_added,
                     open_default),
        SESSION_TEST(given_refused_registration_when_told_then_error_text, open_default),
        SESSION_TEST(given_malformed_register_when_received_then_answered_with_error, open_default),
        SESSION_TEST(given_result_when_received_then_handed_over, open_default),
        SESSION_TEST(given_result_with_nan_when_received_then_handed_over_as_json, open_default),
        SESSION_TEST(given_result_without_id_when_received_then_dropped, open_default),
        SESSION_TEST(given_no_json_object_when_received_then_invalid_json_and_on, open_default),
        SESSION_TEST(given_binary_when_received_then_invalid_json, open_default),
        SESSION_TEST(given_pong_or_unknown_type_when_received_then_no_answer, open_default),
        SESSION_TEST(given_drain_when_registered_again_then_no_longer_draining, open_default),
        SESSION_TEST(given_size_limit_when_counted_then_characters_not_bytes, open_narrow),
        SESSION_TEST(given_rate_limit_when_exceeded_then_refused_and_not_counted, open_narrow),
        SESSION_TEST(given_silence_when_the_idle_time_is_over_then_closed_with_1000, open_narrow),
        SESSION_TEST(given_text_when_received_then_the_idle_time_starts_anew, open_narrow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
