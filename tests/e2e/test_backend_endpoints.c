/* Endpoints over REST: listed as registered, invoked through an agent, answered as mapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/backend_fixture.h"

static void register_mapped(struct ws_peer *agent, struct buffer *text)
{
    ws_peer_send_text(
        agent, "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
               "\",\"environment\":\"development\",\"sdk_version\":\"0.4.2\",\"functions\":["
               "{\"name\":\"answer\",\"parameters\":{},\"return_type\":\"dict\",\"metadata\":{"
               "\"request_mapping\":{\"question\":\"{{ input }}\"},"
               "\"response_mapping\":{\"output\":\"$.reply\"}}}]}");
    ws_peer_expect(agent, "\"type\":\"registered\"", text);
}

static void find_endpoint(const struct backend_process *b, char id[64])
{
    struct backend_answer answer;
    backend_request(b, "GET", "/endpoints", NULL, NULL, &answer);
    assert_int_equal(answer.status, 200);
    backend_copy_member(answer.body.data, "id", id, 64);
    backend_answer_deinit(&answer);
}

/* Sends the invocation on a socket of its own: its answer comes after the agent's. */
static int begin_invoke(const struct backend_process *b, const char *id)
{
    static const char body[] = "{\"input\":\"42\",\"_rhesis_test_context\":{}}";
    char request[512];
    int n = snprintf(request, sizeof(request),
                     "POST /endpoints/%s/invoke HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
                     "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                     id, b->api_key, sizeof(body) - 1, body);
    int socket = tcp_connect(b->port);
    tcp_send(socket, request, (size_t)n);
    return socket;
}

static void finish_invoke(int socket, const char *expected)
{
    struct buffer answer = BUFFER_INIT;
    tcp_read_all(socket, &answer);
    if (!strstr(answer.data, "HTTP/1.1 200") || !strstr(answer.data, expected)) {
        fail_msg("no %s in %s", expected, answer.data);
    }
    (void)close(socket);
    marline__buffer_deinit(&answer);
}

static void given_endpoint_when_invoked_then_mapped_both_ways(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char id[64];
    char path[128];
    backend_connect_agent(b, &agent, &text);
    register_mapped(&agent, &text);
    assert_non_null(strstr(text.data, "\"created\":1,\"updated\":0,\"marked_inactive\":0"));
    register_mapped(&agent, &text);
    assert_non_null(strstr(text.data, "\"created\":0,\"updated\":1,\"marked_inactive\":0"));
    find_endpoint(b, id);
    (void)snprintf(path, sizeof(path), "/endpoints/%s/", id);
    backend_expect(b, "GET", path, NULL, 200, "\"status\":\"Active\"");

    int socket = begin_invoke(b, id);
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    assert_non_null(strstr(text.data,
                           "\"inputs\":{\"question\":42,"
                           "\"_rhesis_conversation_context\":{\"mapped_input\":\"42\"}}"));
    backend_send_result(&agent, text.data,
                        "\"status\":\"success\",\"output\":{\"reply\":\"yes\"},\"trace_id\":"
                        "\"000000000000000000000000000000cc\"");
    finish_invoke(socket, "{\"output\":\"yes\",\"trace_id\":\"000000000000000000000000000000cc\"}");

    socket = begin_invoke(b, id);
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    backend_send_result(&agent, text.data, "\"status\":\"error\",\"error\":\"no luck\"");
    finish_invoke(socket, "{\"output\":\"SDK function error: no luck\",\"error\":true,"
                          "\"error_type\":\"sdk_function_error\",\"message\":\"no luck\","
                          "\"request\":{\"question\":42}");
    ws_peer_deinit(&agent);
    struct backend_answer answer;
    backend_wait_for(b, "/connector/status/" BACKEND_PROJECT, "\"connected\":false", &answer);
    backend_answer_deinit(&answer);
    finish_invoke(begin_invoke(b, id), "\"error_type\":\"sdk_not_connected\"");
    marline__buffer_deinit(&text);
}

static void given_bad_invocations_when_posted_then_the_documented_answers(void **state)
{
    struct backend_process *b = *state;
    static const char unknown[] = "/endpoints/" BACKEND_UNKNOWN "/invoke";
    backend_expect(b, "GET", "/endpoints", NULL, 200, "[]");
    backend_expect(b, "GET", "/endpoints/x", NULL, 422, "[\"path\",\"endpoint_id\"]");
    backend_expect(b, "POST", unknown, "{\"input\":1}", 404, "Endpoint not found");
    backend_expect(b, "POST", unknown, "{}", 400, "{\"detail\":{\"error\":\"missing_input\"");
    backend_expect(b, "POST", unknown, "{", 400, "missing_input");
}

static void given_backend_started_again_when_listed_then_the_endpoint_is_still_there(void **state)
{
    (void)state;
    static const char *const arguments[] = {"--store", "sqlite:endpoints.db", "--log-level",
                                            "error", NULL};
    static const char *const files[] = {"endpoints.db", "endpoints.db.key", "endpoints.db-wal",
                                        "endpoints.db-shm"};
    struct backend_process b;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char id[64];
    char path[128];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)unlink(files[i]);
    }
    backend_process_start(&b, arguments);
    backend_connect_agent(&b, &agent, &text);
    register_mapped(&agent, &text);
    find_endpoint(&b, id);
    backend_process_kill(&b); /* what the agent was told is on disk */
    ws_peer_deinit(&agent);
    backend_process_start(&b, arguments);
    (void)snprintf(path, sizeof(path), "/endpoints/%s", id);
    backend_expect(&b, "GET", path, NULL, 200, "\"response_mapping\":{\"output\":\"$.reply\"}");
    assert_int_equal(backend_process_stop(&b), 0);
    marline__buffer_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_endpoint_when_invoked_then_mapped_both_ways),
        BACKEND_TEST(given_bad_invocations_when_posted_then_the_documented_answers),
        cmocka_unit_test(given_backend_started_again_when_listed_then_the_endpoint_is_still_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
