/* The testing channel, served: a scripted agent of raw frames, runs, linking, calls. */
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

#include "support/backend_fixture.h"

static void given_wrong_key_when_upgraded_then_403_with_empty_body(void **state)
{
    struct backend_process *b = *state;
    char lower[256];
    (void)snprintf(lower, sizeof(lower), "bearer %s", b->api_key);
    const char *const wrong[] = {NULL, "Bearer rh-wrong", "Bearer ", "Basic x", lower};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct ws_peer agent;
        assert_int_equal(ws_peer_connect(&agent, b->port, wrong[i], NULL), 403);
        tcp_read_all(agent.socket, &agent.incoming);
        assert_int_equal(agent.incoming.size, 0);
        ws_peer_deinit(&agent);
    }
}

static void given_agent_when_registered_then_status_shows_its_functions(void **state)
{
    struct backend_process *b = *state;
    static const char path[] = "/connector/status/" BACKEND_PROJECT "?environment=development";
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_expect(b, "GET", path, NULL, 200, "\"connected\":false,\"functions\":[]");
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_expect(b, "GET", path, NULL, 200,
                   "\"connected\":true,\"functions\":[{\"name\": \"answer\"");
    backend_expect(b, "GET", "/connector/status/x", NULL, 400,
                   "Invalid project_id: must be a UUID");
    ws_peer_deinit(&agent);
    struct backend_answer answer;
    backend_wait_for(b, path, "\"connected\":false", &answer);
    backend_answer_deinit(&answer);
    marline__buffer_deinit(&text);
}

static void given_unknown_project_when_registered_then_error_and_still_open(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"project_id\":\"" BACKEND_UNKNOWN
                              "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                              "\"functions\":[]}");
    ws_peer_expect(&agent, "registered", &text);
    assert_string_equal(text.data, "{\"type\":\"registered\",\"status\":\"error\",\"error\":"
                                   "\"Project " BACKEND_UNKNOWN " not found or not accessible\"}");
    backend_register_agent(&agent, &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_bad_frames_when_sent_then_answered_and_the_connection_lives(void **state)
{
    struct backend_process *b = *state;
    enum { HUGE = 5 * 1024 * 1024 };
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{");
    ws_peer_expect(&agent, "Invalid JSON", &text);
    ws_peer_send_text(&agent, "[1]");
    ws_peer_expect(&agent, "Invalid JSON", &text);
    ws_peer_send_frame(&agent, true, WS_BINARY, "\x00\x01", 2);
    ws_peer_expect(&agent, "Invalid JSON", &text);
    char *huge = malloc(HUGE);
    assert_non_null(huge);
    memset(huge, 'x', HUGE);
    ws_peer_send_frame(&agent, true, WS_TEXT, huge, 1024 * 1024 + 1);
    ws_peer_expect(&agent, "Message too large (max 1048576 bytes)", &text);
    ws_peer_send_frame(&agent, true, WS_TEXT, huge, HUGE);
    ws_peer_expect(&agent, "Message too large (max 1048576 bytes)", &text);
    free(huge);
    ws_peer_send_frame(&agent, false, WS_TEXT, "{\"type\":\"te", 11);
    ws_peer_send_frame(&agent, true, WS_PING, "p", 1);
    ws_peer_send_frame(&agent, true, 0, "st_result\",\"test_run_id\":\"no\"}", 30);
    backend_register_agent(&agent, &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_protocol_violation_when_sent_then_only_that_connection_ends(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer good;
    struct ws_peer bad;
    struct buffer text = BUFFER_INIT;
    backend_connect_agent(b, &good, &text);
    backend_connect_agent(b, &bad, &text);
    tcp_send(bad.socket, "\xff\xff\xff\xff\xff\xff", 6);
    while (ws_peer_receive(&bad, &text) >= 0) {
    }
    backend_register_agent(&good, &text);
    ws_peer_deinit(&bad);
    ws_peer_deinit(&good);
    marline__buffer_deinit(&text);
}

/* More than `count` in any one second, though the machine may stop either side for some of them. */
static void send_pongs(struct ws_peer *agent, int count)
{
    enum { SECONDS = 10 };
    for (int i = 0; i < SECONDS * count; i++) {
        ws_peer_send_text(agent, "{\"type\":\"pong\"}");
    }
}

static void given_too_many_messages_when_sent_at_once_then_rate_limited(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_connect_agent(b, &agent, &text);
    send_pongs(&agent, 51);
    ws_peer_expect(&agent, "Rate limit exceeded", &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_agent_when_triggered_then_inputs_arrive_unchanged(void **state)
{
    struct backend_process *b = *state;
    static const char body[] =
        "{\"project_id\":\"" BACKEND_PROJECT "\",\"function_name\":\"answer\","
        "\"inputs\":{\"n\": 12345678901234567890123, \"_rhesis_test_context\": {\"x\": 1.50}}}";
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_expect(b, "POST", "/connector/trigger", body, 404,
                   "{\"detail\":\"Project " BACKEND_PROJECT " (development) not connected\"}");
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_expect(b, "POST", "/connector/trigger", body, 200,
                   "\"message\":\"Test execution requested for answer\"");
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    assert_non_null(strstr(text.data, "\"test_run_id\":\"test_"));
    assert_non_null(strstr(text.data, "\"inputs\":{\"n\": 12345678901234567890123, "
                                      "\"_rhesis_test_context\": {\"x\": 1.50}}"));
    assert_non_null(strstr(text.data, "\"parameter_schema\":null"));
    backend_expect(b, "POST", "/connector/trigger",
                   "{\"project_id\":\"x\",\"function_name\":\"f\"}", 400,
                   "Invalid project_id: must be a UUID");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_run_when_answered_then_spans_are_linked_at_both_points(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(b, &agent, run, &execute);
    assert_null(strstr(execute.data, "_rhesis_x")); /* reserved keys of users are taken out */
    backend_post_test_span(b, execute.data, "0000000000000001");
    backend_wait_for_run(b, run, "/timeline", "\"result_found\":false",
                         &answer); /* point 2 has tried */
    backend_answer_deinit(&answer);
    backend_send_result(&agent, execute.data, backend_success);
    backend_wait_for_run(b, run, "", "\"linked\":1", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Pass\",\"output\":{\"a\":1.50}"));
    backend_answer_deinit(&answer);
    backend_post_test_span(b, execute.data, "0000000000000002");
    backend_wait_for_run(b, run, "", "\"spans\":2,\"linked\":2", &answer);
    backend_answer_deinit(&answer);
    backend_wait_for_run(b, run, "/spans", "\"link_source\":\"ingest\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"link_source\":\"result\""));
    backend_answer_deinit(&answer);
    backend_wait_for_run(b, run, "/timeline", "run_finished", &answer);
    assert_non_null(strstr(answer.body.data, "\"point\":\"ingest\",\"result_found\":false"));
    assert_non_null(strstr(answer.body.data,
                           "\"point\":\"result\",\"result_found\":true,\"spans_found\":1,"
                           "\"linked\":1,\"error\":null"));
    backend_answer_deinit(&answer);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&execute);
}

static void given_error_result_then_the_test_is_an_error_with_its_text(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(b, &agent, run, &text);
    backend_send_result(
        &agent, text.data,
        "\"status\":\"error\",\"output\":null,\"error\":\"Function 'answer' not found in "
        "registry\",\"duration_ms\":0,\"trace_id\":null");
    backend_wait_for_run(b, run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Error\",\"output\":null,\"error\":"
                                             "\"Function 'answer' not found in registry\""));
    backend_answer_deinit(&answer);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_retries_when_attempt_errs_then_dispatched_again_with_its_number(void **state)
{
    struct backend_process *b = *state;
    static const char body[] = "{\"project_id\":\"" BACKEND_PROJECT "\",\"retries\":1,\"tests\":"
                               "[{\"function_name\":\"answer\",\"inputs\":{}}]}";
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    char first[64];
    char second[64];
    backend_connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
                              "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                              "\"functions\":[],\"capabilities\":[\"attempt\"]}");
    ws_peer_expect(&agent, "registered", &text);
    backend_request(b, "POST", "/mock/runs", NULL, body, &answer);
    backend_copy_member(answer.body.data, "test_run_id", run, sizeof(run));
    backend_answer_deinit(&answer);
    ws_peer_expect(&agent, "\"attempt\":1", &text);
    backend_copy_member(text.data, "test_run_id", first, sizeof(first));
    backend_send_result(&agent, text.data,
                        "\"status\":\"error\",\"output\":null,\"error\":\"flaky\","
                        "\"duration_ms\":1,\"trace_id\":null");
    ws_peer_expect(&agent, "\"attempt\":2", &text);
    backend_copy_member(text.data, "test_run_id", second, sizeof(second));
    assert_string_not_equal(first, second);
    backend_send_result(&agent, text.data, backend_success);
    backend_wait_for_run(b, run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Pass\",\"output\":{\"a\":1.50}"));
    assert_non_null(strstr(answer.body.data, "\"retries\":1,\"attempts\":[{\"attempt\":1,"));
    assert_non_null(strstr(answer.body.data, "\"status\":\"Error\",\"error\":\"flaky\""));
    assert_non_null(strstr(answer.body.data, "{\"attempt\":2,"));
    backend_answer_deinit(&answer);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_agent_that_reconnects_in_mid_call_then_its_result_is_taken_once(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer first;
    struct ws_peer second;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    backend_connect_agent(b, &first, &text);
    backend_register_agent(&first, &text);
    backend_start_run(b, &first, run, &execute);
    ws_peer_deinit(&first);
    backend_connect_agent(b, &second, &text);
    backend_register_agent(&second, &text);
    backend_send_result(&second, execute.data, backend_success);
    backend_send_result(&second, execute.data, backend_success);
    backend_wait_for_run(b, run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Pass\""));
    backend_answer_deinit(&answer);
    ws_peer_deinit(&second);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&execute);
}

static void given_agent_that_acknowledges_when_the_result_is_stored_then_it_is_told(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    char run[64];
    backend_connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
                              "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                              "\"functions\":[],\"capabilities\":[\"result_ack\",\"deadline\"]}");
    ws_peer_expect(&agent, "registered", &text);
    backend_start_run(b, &agent, run, &execute);
    assert_non_null(strstr(execute.data, "\"deadline_ms\":120000"));
    backend_send_result(&agent, execute.data, backend_success);
    ws_peer_expect(&agent, "\"type\":\"result_ack\"", &text);
    backend_send_result(&agent, execute.data, backend_success);
    ws_peer_expect(&agent, "\"type\":\"result_ack\"", &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&execute);
}

/* Found by simulation: the late result was acknowledged at once, and a crash before the commit of
 * the test's Error then lost both. */
static void
given_late_result_when_the_tests_end_is_not_stored_then_not_acknowledged_yet(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    char run[64];
    char path[128];
    backend_connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
                              "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                              "\"functions\":[],\"capabilities\":[\"result_ack\",\"cancel\"]}");
    ws_peer_expect(&agent, "registered", &text);
    backend_start_run(b, &agent, run, &execute);
    backend_expect(b, "PUT", "/mock/gates", "{\"result.store\":true}", 200, "\"shut\":true");
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/cancel", run);
    backend_expect(b, "POST", path, "", 202, "\"status\":\"cancelled\"");
    ws_peer_expect(&agent, "\"type\":\"cancel\"", &text);
    backend_send_result(&agent, execute.data, backend_success);
    ws_peer_send_text(&agent, "not JSON: its answer shows that nothing was said before");
    assert_true(ws_peer_receive(&agent, &text) >= 0);
    assert_non_null(strstr(text.data, "Invalid JSON"));
    backend_expect(b, "PUT", "/mock/gates", "{\"result.store\":false}", 200, "\"shut\":false");
    ws_peer_expect(&agent, "\"type\":\"result_ack\"", &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&execute);
}

static void given_link_point_off_when_run_then_only_the_other_links(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    backend_expect(b, "PUT", "/mock/link-points", "{\"result\":false,\"sweep\":false}", 200,
                   "{\"result\":false,\"ingest\":true,\"sweep\":false}");
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(b, &agent, run, &execute);
    backend_post_test_span(b, execute.data, "0000000000000001");
    backend_wait_for_run(b, run, "/timeline", "\"result_found\":false",
                         &answer); /* point 2 has tried */
    backend_answer_deinit(&answer);
    backend_send_result(&agent, execute.data, backend_success);
    backend_wait_for_run(b, run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"spans\":1,\"linked\":0"));
    backend_answer_deinit(&answer);
    backend_expect(b, "PUT", "/mock/link-points", "{\"sweep\":true}", 200, "\"sweep\":true");
    backend_wait_for_run(b, run, "/spans", "\"link_source\":\"sweep\"", &answer);
    backend_answer_deinit(&answer);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&execute);
}

static void given_agent_when_the_backend_stops_then_close_1001(void **state)
{
    (void)state;
    struct backend_process b;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char run[64];
    backend_process_start(&b, backend_in_memory);
    backend_connect_agent(&b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(&b, &agent, run, &text); /* never answered: must not hold up the end */
    assert_int_equal(backend_process_stop(&b), 0);
    int opcode;
    while ((opcode = ws_peer_receive(&agent, &text)) == WS_TEXT) {
    }
    assert_int_equal(opcode, WS_CLOSE);
    assert_true(text.size >= 2);
    assert_int_equal((uint8_t)text.data[0] << 8 | (uint8_t)text.data[1], 1001);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_run_when_waited_for_then_told_at_its_end(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char run[64];
    char path[128];
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(b, &agent, run, &text);
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/wait?timeout_ms=1", run);
    backend_expect(b, "GET", path, NULL, 200, "\"finished\":false");
    backend_send_result(&agent, text.data, backend_success);
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/wait?timeout_ms=20000", run);
    backend_expect(b, "GET", path, NULL, 200, "\"finished\":true");
    (void)snprintf(path, sizeof(path), "/mock/runs/%s", run);
    backend_expect(b, "GET", path, NULL, 200, "\"status\":\"completed\"");
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/cancel", run);
    backend_expect(b, "POST", path, "", 409, "not under way");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_run_when_cancelled_then_its_test_is_an_error(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    char path[128];
    backend_connect_agent(b, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(b, &agent, run, &text);
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/cancel", run);
    backend_expect(b, "POST", path, "", 202, "\"status\":\"cancelled\"");
    backend_wait_for_run(b, run, "", "\"status\":\"cancelled\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Error\""));
    backend_answer_deinit(&answer);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_metric_when_asked_for_then_the_agent_answers(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_expect(b, "POST", "/mock/metrics", "{\"metric_name\":\"brevity\"}", 404, "brevity");
    backend_expect(b, "POST", "/mock/metrics", "{}", 400, "metric_name is required");
    backend_connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"project_id\":null,\"environment\":null,"
                              "\"sdk_version\":\"0.4.2\",\"functions\":[],\"metrics\":[{\"name\":"
                              "\"brevity\",\"parameters\":[\"input\",\"output\"],\"return_type\":"
                              "\"MetricResult\",\"metadata\":{}}]}");
    ws_peer_expect(&agent, "\"metric_sync\":{\"created\":1", &text);
    assert_non_null(strstr(text.data, "\"connection_id\""));
    /* The answer waits for the agent, so the request is a socket of its own. */
    static const char body[] = "{\"metric_name\":\"brevity\",\"inputs\":{\"input\":\"a\"}}";
    struct buffer request = BUFFER_INIT;
    struct buffer answer = BUFFER_INIT;
    marline__buffer_append_format(&request,
                                  "POST /mock/metrics HTTP/1.1\r\nHost: h\r\nAuthorization: "
                                  "Bearer %s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                                  b->api_key, sizeof(body) - 1, body);
    int socket = tcp_connect(b->port);
    tcp_send(socket, request.data, request.size);
    ws_peer_expect(&agent, "\"type\":\"execute_metric\"", &text);
    assert_non_null(strstr(text.data, "\"inputs\":{\"input\":\"a\"}"));
    char id[64];
    char result[256];
    backend_copy_member(text.data, "metric_run_id", id, sizeof(id));
    (void)snprintf(result, sizeof(result),
                   "{\"type\":\"metric_result\",\"metric_run_id\":\"%s\",\"status\":\"success\","
                   "\"score\":0.50,\"details\":{\"why\":1},\"error\":null,\"duration_ms\":2}",
                   id);
    ws_peer_send_text(&agent, result);
    tcp_read_all(socket, &answer);
    assert_non_null(strstr(answer.data, "\"score\":0.50,\"details\":{\"why\":1},\"error\":null"));
    (void)close(socket);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&request);
    marline__buffer_deinit(&answer);
    marline__buffer_deinit(&text);
}

static void given_operator_when_asking_then_health_and_counters_without_a_key(void **state)
{
    struct backend_process *b = *state;
    static const char *const paths[] = {"/healthz", "/readyz", "/metrics"};
    static const char *const texts[] = {"ok\n", "ready\n",
                                        "marline_links_total{source=\"sweep\"} 0"};
    for (size_t i = 0; i < 3; i++) {
        struct backend_answer answer;
        backend_request(b, "GET", paths[i], "", NULL, &answer);
        assert_int_equal(answer.status, 200);
        assert_non_null(strstr(answer.body.data, texts[i]));
        backend_answer_deinit(&answer);
    }
}

static void given_narrow_limits_when_started_then_they_hold(void **state)
{
    (void)state;
    struct backend_process b;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_process_start(&b, (const char *const[]){"--store", "sqlite::memory:", "--rate-limit",
                                                    "2", "--max-message-size", "30", NULL});
    backend_connect_agent(&b, &agent, &text);
    send_pongs(&agent, 3);
    ws_peer_expect(&agent, "Rate limit exceeded", &text);
    ws_peer_send_text(&agent, "{\"type\":\"pong\",\"and\":\"much more\"}");
    ws_peer_expect(&agent, "Message too large (max 30 bytes)", &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    assert_int_equal(backend_process_stop(&b), 0);
}

static void given_idle_limit_when_nothing_is_said_then_closed_with_1000(void **state)
{
    (void)state;
    struct backend_process b;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    backend_process_start(
        &b, (const char *const[]){"--store", "sqlite::memory:", "--idle-timeout-ms", "200", NULL});
    backend_connect_agent(&b, &agent, &text);
    assert_int_equal(ws_peer_receive(&agent, &text), WS_CLOSE);
    assert_string_equal(text.data + 2, "Idle timeout");
    assert_int_equal((uint8_t)text.data[0] << 8 | (uint8_t)text.data[1], 1000);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    assert_int_equal(backend_process_stop(&b), 0);
}

static const char result_ids[] = "\"test_run_id\":\"aaaaaaaa-0000-4000-8000-000000000001\","
                                 "\"test_id\":\"aaaaaaaa-0000-4000-8000-000000000002\","
                                 "\"test_configuration_id\":"
                                 "\"AAAAAAAA-0000-4000-8000-000000000003\"";

/* Flaw F6 of the reference. */
static void given_result_over_rest_when_spans_were_there_then_linked(void **state)
{
    struct backend_process *b = *state;
    struct backend_answer answer;
    char body[512];
    /* Or the attempt of the ingest, which follows its answer, could come after the result. */
    backend_expect(b, "PUT", "/mock/link-points", "{\"ingest\":false,\"sweep\":false}", 200,
                   "\"ingest\":false,\"sweep\":false");
    backend_post_test_span(b,
                           "_rhesis_test_context "
                           "\"test_run_id\":\"aaaaaaaa-0000-4000-8000-000000000001\","
                           "\"test_id\":\"aaaaaaaa-0000-4000-8000-000000000002\","
                           "\"test_configuration_id\":\"aaaaaaaa-0000-4000-8000-000000000003\"",
                           "0000000000000001");
    (void)snprintf(body, sizeof(body),
                   "{%s,\"test_output\":{\"a\":1.50},\"test_metrics\":{\"execution_time\":1,"
                   "\"metrics\":{\"m\":{\"is_successful\":true},\"n\":{\"is_successful\":false}}}}",
                   result_ids);
    backend_expect(b, "POST", "/test_results/", body, 200, "\"name\":\"Fail\"");
    backend_wait_for(b, "/mock/ledger", "\"linked\":1", &answer);
    assert_non_null(strstr(answer.body.data, "\"result\":1,\"ingest\":0,\"sweep\":0"));
    backend_answer_deinit(&answer);
    (void)snprintf(body, sizeof(body), "{%s}", result_ids);
    backend_expect(b, "POST", "/test_results", body, 200, "\"name\":\"Error\"");
    backend_expect(b, "POST", "/test_results", "{}", 422, "[\"body\",\"test_id\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_wrong_key_when_upgraded_then_403_with_empty_body),
        BACKEND_TEST(given_agent_when_registered_then_status_shows_its_functions),
        BACKEND_TEST(given_unknown_project_when_registered_then_error_and_still_open),
        BACKEND_TEST(given_bad_frames_when_sent_then_answered_and_the_connection_lives),
        BACKEND_TEST(given_protocol_violation_when_sent_then_only_that_connection_ends),
        BACKEND_TEST(given_too_many_messages_when_sent_at_once_then_rate_limited),
        BACKEND_TEST(given_agent_when_triggered_then_inputs_arrive_unchanged),
        BACKEND_TEST(given_run_when_answered_then_spans_are_linked_at_both_points),
        BACKEND_TEST(given_error_result_then_the_test_is_an_error_with_its_text),
        BACKEND_TEST(given_retries_when_attempt_errs_then_dispatched_again_with_its_number),
        BACKEND_TEST(given_agent_that_reconnects_in_mid_call_then_its_result_is_taken_once),
        BACKEND_TEST(given_agent_that_acknowledges_when_the_result_is_stored_then_it_is_told),
        BACKEND_TEST(given_late_result_when_the_tests_end_is_not_stored_then_not_acknowledged_yet),
        BACKEND_TEST(given_link_point_off_when_run_then_only_the_other_links),
        cmocka_unit_test(given_agent_when_the_backend_stops_then_close_1001),
        BACKEND_TEST(given_run_when_waited_for_then_told_at_its_end),
        BACKEND_TEST(given_run_when_cancelled_then_its_test_is_an_error),
        BACKEND_TEST(given_metric_when_asked_for_then_the_agent_answers),
        BACKEND_TEST(given_operator_when_asking_then_health_and_counters_without_a_key),
        cmocka_unit_test(given_narrow_limits_when_started_then_they_hold),
        cmocka_unit_test(given_idle_limit_when_nothing_is_said_then_closed_with_1000),
        BACKEND_TEST(given_result_over_rest_when_spans_were_there_then_linked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
