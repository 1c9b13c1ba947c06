/* Verifying, over the wire, what a backend saw and sent; and waiting for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/backend_fixture.h"

static void verify(const struct backend_process *b, const char *claim, const char *expected)
{
    backend_expect(b, "POST", "/mock/verify", claim, 200, expected);
}

static void given_requests_and_messages_when_verified_then_counted_and_ordered(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    backend_expect(b, "POST", "/telemetry/traces", "{", 422, "detail");
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    verify(b, "{\"on\":\"http\",\"match\":\"/telemetry/traces\",\"count\":2}",
           "{\"holds\":true,\"count\":2}");
    verify(b, "{\"on\":\"http\",\"match\":\"/telemetry/traces\",\"at_most\":1}",
           "{\"holds\":false,\"count\":2}");
    verify(b, "{\"on\":\"received\",\"match\":\"test_result\",\"count\":0}", "\"holds\":true");
    verify(b, "{\"on\":\"sent\",\"match\":\"registered\",\"timeout_ms\":20000}", "\"holds\":true");
    verify(b,
           "{\"order\":[{\"on\":\"http\",\"match\":\"/telemetry/traces\"},"
           "{\"on\":\"sent\",\"match\":\"connected\"},"
           "{\"on\":\"received\",\"match\":\"register\"}]}",
           "{\"holds\":true,\"count\":3}");
    verify(b,
           "{\"order\":[{\"on\":\"sent\",\"match\":\"connected\"},"
           "{\"on\":\"http\",\"match\":\"/telemetry/traces\"}]}",
           "\"missing\":{\"on\":\"http\",\"match\":\"/telemetry/traces\"}");
    backend_expect(b, "GET", "/mock/journal", NULL, 200,
                   "\"on\":\"http\",\"match\":\"/telemetry/traces\",\"status\":422");
    backend_expect(b, "POST", "/mock/reset", "{}", 200, "");
    backend_expect(b, "GET", "/mock/journal", NULL, 200, "{\"entries\":[]}");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_what_is_still_to_come_when_waited_for_then_answered_when_it_came(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer answer = BUFFER_INIT;
    static const char claim[] = "{\"on\":\"received\",\"match\":\"register\",\"timeout_ms\":20000}";
    char request[512];
    int fd = tcp_connect(b->port);
    int size = snprintf(request, sizeof(request),
                        "POST /mock/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                        b->api_key, sizeof(claim) - 1, claim);
    tcp_send(fd, request, (size_t)size);
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    tcp_read_all(fd, &answer);
    assert_non_null(strstr(answer.data, "{\"holds\":true,\"count\":1}"));
    close(fd);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&answer);
}

static void given_waiting_caller_when_stopped_then_told_what_is(void **state)
{
    (void)state;
    struct backend_process b;
    struct buffer answer = BUFFER_INIT;
    static const char claim[] = "{\"on\":\"sent\",\"match\":\"drain\",\"timeout_ms\":600000}";
    char request[512];
    backend_process_start(&b, backend_in_memory);
    int fd = tcp_connect(b.port);
    int size = snprintf(request, sizeof(request),
                        "POST /mock/verify HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Authorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s",
                        b.api_key, sizeof(claim) - 1, claim);
    tcp_send(fd, request, (size_t)size);
    /* Two requests under way: that one and the one that asks. */
    struct backend_answer metrics;
    backend_wait_for(&b, "/metrics", "marline_http_requests_active 2", &metrics);
    backend_answer_deinit(&metrics);
    assert_int_equal(backend_process_stop(&b), 0);
    tcp_read_all(fd, &answer);
    assert_non_null(strstr(answer.data, "{\"holds\":false,\"count\":0}"));
    close(fd);
    marline__buffer_deinit(&answer);
}

static void given_impossible_claim_when_posted_then_400_says_why(void **state)
{
    struct backend_process *b = *state;
    static const struct {
        const char *claim;
        const char *reason;
    } cases[] = {
        {"[]", "must be a JSON object"},
        {"{}", "on is required"},
        {"{\"on\":\"store\",\"match\":\"x\"}", "on is required: http, sent or received"},
        {"{\"on\":\"http\"}", "match is required"},
        {"{\"on\":\"http\",\"match\":\"/a\",\"count\":-1}", "count"},
        {"{\"on\":\"http\",\"match\":\"/a\",\"often\":1}", "may hold on, match, count"},
        {"{\"order\":[]}", "order must not be empty"},
        {"{\"order\":[{\"on\":\"http\"}]}", "order must be a list of"},
        {"{\"order\":[{\"on\":\"http\",\"match\":\"/a\"}],\"on\":\"http\"}", "goes without on"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        backend_expect(b, "POST", "/mock/verify", cases[i].claim, 400, cases[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_requests_and_messages_when_verified_then_counted_and_ordered),
        BACKEND_TEST(given_what_is_still_to_come_when_waited_for_then_answered_when_it_came),
        cmocka_unit_test(given_waiting_caller_when_stopped_then_told_what_is),
        BACKEND_TEST(given_impossible_claim_when_posted_then_400_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
