/* Faults that tests ask for, over real sockets: each does what it says, as often as it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "support/backend_fixture.h"

static void add_fault(const struct backend_process *b, const char *body)
{
    backend_expect(b, "POST", "/mock/faults", body, 201, "\"hits\":0");
}

static void given_status_fault_when_posted_then_nothing_is_stored(void **state)
{
    struct backend_process *b = *state;
    add_fault(b, "{\"on\":\"http\",\"match\":\"/telemetry/traces\",\"action\":\"status\","
                 "\"code\":503,\"from\":2,\"times\":2}");
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 503, "A fault was asked for");
    backend_expect(b, "POST", "/telemetry/traces/", backend_one_span, 503, "fault");
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    backend_expect(b, "GET", "/mock/faults", NULL, 200, "\"seen\":4,\"hits\":2");
    backend_expect(b, "GET", "/mock/ledger", NULL, 200, "\"received\":2");
}

static void given_after_fault_when_posted_then_stored_but_answered_with_the_code(void **state)
{
    struct backend_process *b = *state;
    add_fault(b, "{\"on\":\"http\",\"match\":\"/telemetry/traces\",\"action\":\"after\","
                 "\"code\":500}");
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 500, "received");
    backend_expect(b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
}

static void given_cut_fault_when_asked_then_the_connection_ends_without_an_answer(void **state)
{
    struct backend_process *b = *state;
    struct buffer answer = BUFFER_INIT;
    char request[256];
    add_fault(b, "{\"on\":\"http\",\"match\":\"/tokens/current\",\"action\":\"cut\"}");
    int n = snprintf(request, sizeof(request),
                     "GET /tokens/current HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n\r\n",
                     b->api_key);
    int socket = tcp_connect(b->port);
    tcp_send(socket, request, (size_t)n);
    tcp_read_all(socket, &answer);
    assert_int_equal(answer.size, 0);
    (void)close(socket);
    marline__buffer_deinit(&answer);
    backend_expect(b, "GET", "/tokens/current", NULL, 200, "project_id");
}

static void given_delay_fault_when_asked_then_answered_later(void **state)
{
    struct backend_process *b = *state;
    add_fault(b, "{\"on\":\"http\",\"match\":\"/tokens/current\",\"action\":\"delay\","
                 "\"delay_ms\":150}");
    uint64_t before = marline__clock_monotonic_ns(marline__clock_system());
    backend_expect(b, "GET", "/tokens/current", NULL, 200, "project_id");
    uint64_t took = marline__clock_monotonic_ns(marline__clock_system()) - before;
    assert_true(took >= 150 * NS_PER_MS);
}

static void given_message_faults_when_hit_then_lost_doubled_or_closed(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    add_fault(b, "{\"on\":\"sent\",\"match\":\"registered\",\"action\":\"withhold\"}");
    add_fault(b, "{\"on\":\"sent\",\"match\":\"error\",\"action\":\"duplicate\"}");
    add_fault(b, "{\"on\":\"received\",\"match\":\"test_result\",\"action\":\"close\","
                 "\"code\":1012}");
    backend_connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"sdk_version\":\"1\",\"functions\":[]}");
    ws_peer_send_text(&agent, "{");
    assert_int_equal(ws_peer_receive(&agent, &text), WS_TEXT);
    assert_non_null(strstr(text.data, "Invalid JSON")); /* no "registered" before it */
    assert_int_equal(ws_peer_receive(&agent, &text), WS_TEXT);
    assert_non_null(strstr(text.data, "Invalid JSON"));
    ws_peer_send_text(&agent, "{\"type\":\"test_result\",\"test_run_id\":\"x\","
                              "\"status\":\"success\"}");
    assert_int_equal(ws_peer_receive(&agent, &text), WS_CLOSE);
    assert_int_equal((uint8_t)text.data[0] << 8 | (uint8_t)text.data[1], 1012);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_invocation_sent_twice_when_answered_twice_then_one_result(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    add_fault(b, "{\"on\":\"sent\",\"match\":\"execute_test\",\"action\":\"duplicate\"}");
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(b, &agent, run, &execute);
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    backend_send_result(&agent, execute.data, backend_success);
    backend_send_result(&agent, text.data, backend_success);
    backend_wait_for_run(b, run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Pass\""));
    backend_answer_deinit(&answer);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&execute);
}

static void given_store_fault_when_posted_then_500_and_the_repeat_is_stored(void **state)
{
    struct backend_process *b = *state;
    add_fault(b, "{\"on\":\"store\",\"match\":\"spans.store\",\"action\":\"fail\"}");
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 500, "detail");
    backend_expect(b, "GET", "/mock/ledger", NULL, 200, "\"stored\":0");
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    backend_expect(b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
    backend_expect(b, "GET", "/mock/faults", NULL, 200, "\"seen\":2,\"hits\":1");
}

/* 500 would have an OTLP client drop the spans. */
static void given_store_fault_when_otlp_comes_then_503_SRV_07_SRV_08(void **state)
{
    static const char body[] =
        "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{"
        "\"traceId\":\"000000000000000000000000000000cc\",\"spanId\":\"00000000000000c1\","
        "\"name\":\"n\",\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\"}]}]}]}";
    struct backend_process *b = *state;
    add_fault(b, "{\"on\":\"store\",\"match\":\"spans.store\",\"action\":\"fail\"}");
    backend_expect(b, "POST", "/v1/traces", body, 503, "\"code\":14");
    backend_expect(b, "POST", "/v1/traces", body, 200, "{}");
    backend_expect(b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
}

static void given_session_when_created_then_empty_and_apart(void **state)
{
    struct backend_process *b = *state;
    struct backend_answer answer;
    char key[64];
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    add_fault(b, "{\"on\":\"http\",\"match\":\"/tokens/current\",\"action\":\"status\","
                 "\"code\":500,\"times\":0}");
    backend_request(b, "POST", "/mock/sessions", NULL, "", &answer);
    assert_int_equal(answer.status, 201);
    backend_copy_member(answer.body.data, "api_key", key, sizeof(key));
    backend_answer_deinit(&answer);
    backend_request(b, "GET", "/mock/ledger", key, NULL, &answer);
    assert_non_null(strstr(answer.body.data, "\"received\":0"));
    backend_answer_deinit(&answer);
    backend_request(b, "GET", "/tokens/current", key, NULL, &answer);
    assert_int_equal(answer.status, 200); /* the other session's fault is not this one's */
    backend_answer_deinit(&answer);
    backend_request(b, "GET", "/telemetry/traces?project_id=" BACKEND_PROJECT, key, NULL, &answer);
    assert_int_equal(answer.status, 403);
    backend_answer_deinit(&answer);
    backend_expect(b, "GET", "/tokens/current", NULL, 500, "fault");
    backend_expect(b, "POST", "/mock/reset", "", 200, "{\"faults\":[]}");
    backend_expect(b, "GET", "/tokens/current", NULL, 200, "project_id");
}

static void given_impossible_fault_when_posted_then_400_says_why(void **state)
{
    struct backend_process *b = *state;
    static const struct {
        const char *body;
        const char *text;
    } cases[] = {
        {"{}", "on is required"},
        {"{\"on\":\"http\"}", "action is required"},
        {"{\"on\":\"http\",\"action\":\"cut\"}", "match is required"},
        {"{\"on\":\"http\",\"action\":\"withhold\",\"match\":\"/x\"}", "does not go"},
        {"{\"on\":\"sent\",\"action\":\"close\",\"code\":500,\"match\":\"x\"}", "does not go"},
        {"{\"on\":\"http\",\"action\":\"cut\",\"match\":\"/x\",\"typo\":1}", "may hold on"},
        {"{\"on\":\"store\",\"action\":\"delay\",\"match\":\"spans.store\"}", "does not go"},
        {"{\"on\":\"http\",\"action\":\"fail\",\"match\":\"/x\"}", "does not go"},
        {"{\"on\":\"http\",\"from\":0}", "from must be a whole number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        backend_expect(b, "POST", "/mock/faults", cases[i].body, 400, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_status_fault_when_posted_then_nothing_is_stored),
        BACKEND_TEST(given_after_fault_when_posted_then_stored_but_answered_with_the_code),
        BACKEND_TEST(given_cut_fault_when_asked_then_the_connection_ends_without_an_answer),
        BACKEND_TEST(given_delay_fault_when_asked_then_answered_later),
        BACKEND_TEST(given_message_faults_when_hit_then_lost_doubled_or_closed),
        BACKEND_TEST(given_invocation_sent_twice_when_answered_twice_then_one_result),
        BACKEND_TEST(given_store_fault_when_posted_then_500_and_the_repeat_is_stored),
        BACKEND_TEST(given_store_fault_when_otlp_comes_then_503_SRV_07_SRV_08),
        BACKEND_TEST(given_session_when_created_then_empty_and_apart),
        BACKEND_TEST(given_impossible_fault_when_posted_then_400_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
