/* marline-backend-mock as a process, over real sockets: HTTP, a scripted agent of raw frames, and
 * what it says about bad input. */
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

#include "base/memory.h"
#include "support/backend_process.h"
#include "support/ws_peer.h"

#define PROJECT "11111111-1111-4111-8111-111111111111"
#define UNKNOWN "99999999-9999-4999-8999-999999999999"

static const char *const in_memory[] = {"--store", "sqlite::memory:", "--log-level", "error", NULL};

static int start_backend(void **state)
{
    struct backend_process *b = marline__memory_zeroed(sizeof(*b));
    backend_process_start(b, in_memory);
    *state = b;
    return 0;
}

static int stop_backend(void **state)
{
    int code = backend_process_stop(*state);
    marline__memory_free(*state);
    return code;
}

static void expect(const struct backend_process *b, const char *method, const char *path,
                   const char *body, int status, const char *text)
{
    struct backend_answer answer;
    backend_request(b, method, path, NULL, body, &answer);
    if (answer.status != status || !strstr(answer.body.data, text)) {
        fail_msg("%s %s: %d %s", method, path, answer.status, answer.body.data);
    }
    backend_answer_deinit(&answer);
}

static void connect_agent(const struct backend_process *b, struct ws_peer *agent,
                          struct buffer *text)
{
    char authorization[256];
    (void)snprintf(authorization, sizeof(authorization), "Bearer %s", b->api_key);
    assert_int_equal(ws_peer_connect(agent, b->port, authorization, NULL), 101);
    ws_peer_expect(agent, "\"type\":\"connected\"", text);
}

static void register_agent(struct ws_peer *agent, struct buffer *text)
{
    ws_peer_send_text(agent, "{\"type\": \"register\", \"project_id\": \"" PROJECT
                             "\", \"environment\": \"development\", \"sdk_version\": \"0.4.2\", "
                             "\"functions\": [{\"name\": \"answer\", \"parameters\": {}, "
                             "\"return_type\": \"dict\", \"metadata\": {}}], \"metrics\": []}");
    ws_peer_expect(agent, "\"type\":\"registered\"", text);
    assert_non_null(strstr(text->data, "\"status\":\"success\""));
}

/* The value of a string member of a flat text; fails when it is not there. */
static void copy_member(const char *json, const char *name, char *out, size_t size)
{
    char mark[64];
    (void)snprintf(mark, sizeof(mark), "\"%s\":\"", name);
    const char *at = strstr(json, mark);
    assert_non_null(at);
    at += strlen(mark);
    size_t n = strcspn(at, "\"");
    assert_true(n < size);
    memcpy(out, at, n);
    out[n] = '\0';
}

/* ---- HTTP ---- */

static void given_running_backend_when_asked_then_plain_routes_answer(void **state)
{
    struct backend_process *b = *state;
    expect(b, "GET", "/health", NULL, 200, "{\"status\":\"ok\"}");
    expect(b, "GET", "/health/", NULL, 200, "ok");
    expect(b, "GET", "/tokens/current", NULL, 200, "\"project_id\":\"" PROJECT "\"");
    expect(b, "GET", "/nowhere", NULL, 404, "{\"detail\":\"Not Found\"}");
    expect(b, "DELETE", "/health", NULL, 405, "{\"detail\":\"Method Not Allowed\"}");
    expect(b, "GET", "/connector/ws", NULL, 426, "WebSocket");
}

static void given_no_or_wrong_key_when_asked_then_401(void **state)
{
    struct backend_process *b = *state;
    static const char *const keys[] = {"", "rh-wrong", "' OR 1=1 --"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct backend_answer answer;
        backend_request(b, "GET", "/tokens/current", keys[i], NULL, &answer);
        assert_int_equal(answer.status, 401);
        assert_string_equal(answer.body.data, "{\"detail\":\"Not authenticated\"}");
        backend_answer_deinit(&answer);
    }
}

static const char one_span[] =
    "{\"spans\":[{\"trace_id\":\"0123456789ABCDEF0123456789abcdef\",\"span_id\":"
    "\"0123456789abcdef\",\"span_name\":\"function.x\",\"start_time\":\"2026-01-01T00:00:00Z\","
    "\"end_time\":\"2026-01-01T00:00:01Z\"}]}";

static void given_span_when_posted_twice_then_acknowledged_and_kept_once(void **state)
{
    struct backend_process *b = *state;
    static const char answer[] = "{\"status\":\"received\",\"span_count\":1,"
                                 "\"trace_id\":\"0123456789abcdef0123456789abcdef\"}";
    expect(b, "POST", "/telemetry/traces", one_span, 200, answer);
    expect(b, "POST", "/telemetry/traces/", one_span, 200, answer);
    expect(b, "GET", "/mock/ledger", NULL, 200,
           "{\"received\":2,\"stored\":1,\"rejected\":0,\"duplicate\":1,\"linked\":0,"
           "\"waiting\":0,\"without_context\":1,"
           "\"links_by_source\":{\"result\":0,\"ingest\":0,\"sweep\":0}}");
}

static void given_bad_spans_when_posted_then_the_documented_answers(void **state)
{
    struct backend_process *b = *state;
    expect(b, "POST", "/telemetry/traces", "{\"spans\":[]}", 422, "\"type\":\"too_short\"");
    expect(b, "POST", "/telemetry/traces", "{\"spans\":", 422, "\"type\":\"json_invalid\"");
    expect(b, "POST", "/telemetry/traces", "[]", 422, "model_attributes_type");
    expect(b, "POST", "/telemetry/traces", "{\"spans\":[{}]}", 422,
           "\"loc\":[\"body\",\"spans\",0,\"trace_id\"]");
    struct backend_answer answer;
    backend_request(b, "POST", "/telemetry/traces", "", "{\"spans\":", &answer);
    assert_int_equal(answer.status, 422); /* read before the key is looked at */
    backend_answer_deinit(&answer);
    backend_request(b, "POST", "/telemetry/traces", "", "{\"spans\":[]}", &answer);
    assert_int_equal(answer.status, 401);
    backend_answer_deinit(&answer);
}

static void post_for_project(const struct backend_process *b, const char *project, int status,
                             const char *text)
{
    char body[512];
    (void)snprintf(body, sizeof(body),
                   "{\"spans\":[{\"trace_id\":\"0123456789abcdef0123456789abcdef\",\"span_id\":"
                   "\"0123456789abcdef\",\"span_name\":\"function.x\",\"project_id\":%s,"
                   "\"start_time\":1,\"end_time\":2}]}",
                   project);
    expect(b, "POST", "/telemetry/traces", body, status, text);
}

static void given_project_of_spans_when_posted_then_checked(void **state)
{
    struct backend_process *b = *state;
    post_for_project(b, "\"" PROJECT "\"", 200, "received");
    post_for_project(b, "\"unknown\"", 200, "received");
    post_for_project(b, "null", 200, "received");
    post_for_project(b, "\"my-project\"", 400, "{\"detail\":\"Invalid project_id format\"}");
    post_for_project(b, "\"" UNKNOWN "\"", 403,
                     "{\"detail\":\"Token is scoped to a different project\"}");
}

static void given_bad_run_when_posted_then_400_names_the_fault(void **state)
{
    struct backend_process *b = *state;
    static const struct {
        const char *body;
        const char *text;
    } cases[] = {
        {"", "Invalid JSON"},
        {"[]", "The body must be a JSON object"},
        {"{}", "project_id is required"},
        {"{\"project_id\":\"x\",\"tests\":[]}", "project_id is required and must be a UUID"},
        {"{\"project_id\":\"" PROJECT "\"}", "tests is required"},
        {"{\"project_id\":\"" PROJECT "\",\"tests\":[]}", "tests must hold 1 to 100000 tests"},
        {"{\"project_id\":\"" PROJECT "\",\"tests\":[1]}", "tests must hold objects only"},
        {"{\"project_id\":\"" PROJECT "\",\"tests\":[{\"function_name\":\"f\"},{}]}",
         "tests[1].function_name is required"},
        {"{\"project_id\":\"" PROJECT "\",\"tests\":[{\"function_name\":\"f\",\"inputs\":[]}]}",
         "tests[0].inputs must be an object"},
        {"{\"project_id\":\"" PROJECT "\",\"tests\":[{\"function_name\":\"f\",\"timeout_ms\":0}]}",
         "tests[0].timeout_ms must be a whole number"},
        {"{\"project_id\":\"" PROJECT "\",\"concurrency\":1.5,\"tests\":[]}",
         "concurrency must be a whole number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect(b, "POST", "/mock/runs", cases[i].body, 400, cases[i].text);
    }
    expect(b, "POST", "/mock/runs",
           "{\"project_id\":\"" UNKNOWN "\",\"tests\":[{\"function_name\":\"f\"}]}", 404,
           "not found");
    expect(b, "GET", "/mock/runs/" UNKNOWN, NULL, 404, "Test Run not found");
    expect(b, "GET", "/mock/runs/x/timeline", NULL, 404, "Test Run not found");
    expect(b, "PUT", "/mock/link-points", "{\"results\":true}", 400, "result, ingest and sweep");
}

/* A body sent in pieces, chunked, on a connection that goes on afterwards. */
static void
given_chunked_body_and_keep_alive_when_sent_then_both_requests_are_answered(void **state)
{
    struct backend_process *b = *state;
    struct buffer request = BUFFER_INIT;
    marline__buffer_append_format(&request,
                                  "POST /telemetry/traces HTTP/1.1\r\nHost: h\r\n"
                                  "Authorization: bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "%zx\r\n%s\r\n0\r\n\r\n"
                                  "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                                  b->api_key, strlen(one_span), one_span);
    int socket = tcp_connect(b->port);
    for (size_t i = 0; i < request.size; i += 7) {
        tcp_send(socket, request.data + i, request.size - i < 7 ? request.size - i : 7);
    }
    struct buffer answer = BUFFER_INIT;
    tcp_read_all(socket, &answer);
    assert_non_null(strstr(answer.data, "\"span_count\":1"));
    assert_non_null(strstr(answer.data, "{\"status\":\"ok\"}"));
    assert_non_null(strstr(answer.data, "X-Request-ID: "));
    (void)close(socket);
    marline__buffer_deinit(&request);
    marline__buffer_deinit(&answer);
}

static void given_body_over_the_limit_when_announced_then_413(void **state)
{
    struct backend_process *b = *state;
    static const char request[] = "POST /telemetry/traces HTTP/1.1\r\nHost: h\r\n"
                                  "Content-Length: 99999999999\r\n\r\n";
    int socket = tcp_connect(b->port);
    tcp_send(socket, request, sizeof(request) - 1);
    assert_int_equal(shutdown(socket, SHUT_WR), 0);
    struct buffer answer = BUFFER_INIT;
    tcp_read_all(socket, &answer);
    assert_non_null(strstr(answer.data, "HTTP/1.1 413"));
    assert_non_null(strstr(answer.data, "{\"detail\":\"Request body too large\"}"));
    (void)close(socket);
    marline__buffer_deinit(&answer);
}

/* ---- the testing channel ---- */

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
    static const char path[] = "/connector/status/" PROJECT "?environment=development";
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    expect(b, "GET", path, NULL, 200, "\"connected\":false,\"functions\":[]");
    connect_agent(b, &agent, &text);
    register_agent(&agent, &text);
    expect(b, "GET", path, NULL, 200, "\"connected\":true,\"functions\":[{\"name\": \"answer\"");
    expect(b, "GET", "/connector/status/x", NULL, 400, "Invalid project_id: must be a UUID");
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
    connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"project_id\":\"" UNKNOWN
                              "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                              "\"functions\":[]}");
    ws_peer_expect(&agent, "registered", &text);
    assert_string_equal(text.data, "{\"type\":\"registered\",\"status\":\"error\",\"error\":"
                                   "\"Project " UNKNOWN " not found or not accessible\"}");
    register_agent(&agent, &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_bad_frames_when_sent_then_answered_and_the_connection_lives(void **state)
{
    struct backend_process *b = *state;
    enum { HUGE = 5 * 1024 * 1024 };
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    connect_agent(b, &agent, &text);
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
    register_agent(&agent, &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_protocol_violation_when_sent_then_only_that_connection_ends(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer good;
    struct ws_peer bad;
    struct buffer text = BUFFER_INIT;
    connect_agent(b, &good, &text);
    connect_agent(b, &bad, &text);
    tcp_send(bad.socket, "\xff\xff\xff\xff\xff\xff", 6);
    while (ws_peer_receive(&bad, &text) >= 0) {
    }
    register_agent(&good, &text);
    ws_peer_deinit(&bad);
    ws_peer_deinit(&good);
    marline__buffer_deinit(&text);
}

static void given_too_many_messages_when_sent_at_once_then_rate_limited(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    connect_agent(b, &agent, &text);
    for (int i = 0; i < 51; i++) {
        ws_peer_send_text(&agent, "{\"type\":\"pong\"}");
    }
    ws_peer_expect(&agent, "Rate limit exceeded", &text);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

/* ---- calls ---- */

static void given_agent_when_triggered_then_inputs_arrive_unchanged(void **state)
{
    struct backend_process *b = *state;
    static const char body[] =
        "{\"project_id\":\"" PROJECT "\",\"function_name\":\"answer\","
        "\"inputs\":{\"n\": 12345678901234567890123, \"_rhesis_test_context\": {\"x\": 1.50}}}";
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    expect(b, "POST", "/connector/trigger", body, 404,
           "{\"detail\":\"Project " PROJECT " (development) not connected\"}");
    connect_agent(b, &agent, &text);
    register_agent(&agent, &text);
    expect(b, "POST", "/connector/trigger", body, 200,
           "\"message\":\"Test execution requested for answer\"");
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    assert_non_null(strstr(text.data, "\"test_run_id\":\"test_"));
    assert_non_null(strstr(text.data, "\"inputs\":{\"n\": 12345678901234567890123, "
                                      "\"_rhesis_test_context\": {\"x\": 1.50}}"));
    assert_non_null(strstr(text.data, "\"parameter_schema\":null"));
    expect(b, "POST", "/connector/trigger", "{\"project_id\":\"x\",\"function_name\":\"f\"}", 400,
           "Invalid project_id: must be a UUID");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

/* Starts a run of one test and takes its execute_test. */
static void start_run(const struct backend_process *b, struct ws_peer *agent, char run[64],
                      struct buffer *execute)
{
    struct backend_answer answer;
    backend_request(b, "POST", "/mock/runs", NULL,
                    "{\"project_id\":\"" PROJECT "\",\"tests\":[{\"function_name\":\"answer\","
                    "\"inputs\":{\"input\":\"hi\",\"_rhesis_x\":1}}]}",
                    &answer);
    assert_int_equal(answer.status, 202);
    copy_member(answer.body.data, "test_run_id", run, 64);
    backend_answer_deinit(&answer);
    ws_peer_expect(agent, "\"type\":\"execute_test\"", execute);
}

static void send_result(struct ws_peer *agent, const char *execute, const char *rest)
{
    char id[64];
    struct buffer result = BUFFER_INIT;
    copy_member(execute, "test_run_id", id, sizeof(id));
    marline__buffer_append_format(&result, "{\"type\":\"test_result\",\"test_run_id\":\"%s\",%s}",
                                  id, rest);
    ws_peer_send_text(agent, result.data);
    marline__buffer_deinit(&result);
}

static const char success[] = "\"status\":\"success\",\"output\":{\"a\":1.50},\"error\":null,"
                              "\"duration_ms\":4.5,\"trace_id\":null";

/* Posts one span that carries the test context of an execute_test. */
static void post_test_span(const struct backend_process *b, const char *execute,
                           const char *span_id)
{
    char run[64];
    char test[64];
    char configuration[64];
    const char *context = strstr(execute, "_rhesis_test_context");
    assert_non_null(context);
    copy_member(context, "test_run_id", run, sizeof(run));
    copy_member(context, "test_id", test, sizeof(test));
    copy_member(context, "test_configuration_id", configuration, sizeof(configuration));
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_format(
        &body,
        "{\"spans\":[{\"trace_id\":\"00000000000000000000000000000001\",\"span_id\":\"%s\","
        "\"span_name\":\"function.answer\",\"start_time\":\"2026-01-01T00:00:00Z\","
        "\"end_time\":\"2026-01-01T00:00:01Z\",\"attributes\":{\"rhesis.test.run_id\":\"%s\","
        "\"rhesis.test.id\":\"%s\",\"rhesis.test.configuration_id\":\"%s\"}}]}",
        span_id, run, test, configuration);
    expect(b, "POST", "/telemetry/traces", body.data, 200, "received");
    marline__buffer_deinit(&body);
}

static void wait_for_run(const struct backend_process *b, const char *run, const char *suffix,
                         const char *mark, struct backend_answer *out)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/mock/runs/%s%s", run, suffix);
    backend_wait_for(b, path, mark, out);
}

static void given_run_when_answered_then_spans_are_linked_at_both_points(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    connect_agent(b, &agent, &text);
    register_agent(&agent, &text);
    start_run(b, &agent, run, &execute);
    assert_null(strstr(execute.data, "_rhesis_x")); /* reserved keys of users are taken out */
    post_test_span(b, execute.data, "0000000000000001");
    wait_for_run(b, run, "/timeline", "\"result_found\":false", &answer); /* point 2 has tried */
    backend_answer_deinit(&answer);
    send_result(&agent, execute.data, success);
    wait_for_run(b, run, "", "\"linked\":1", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Pass\",\"output\":{\"a\":1.50}"));
    backend_answer_deinit(&answer);
    post_test_span(b, execute.data, "0000000000000002");
    wait_for_run(b, run, "", "\"spans\":2,\"linked\":2", &answer);
    backend_answer_deinit(&answer);
    wait_for_run(b, run, "/spans", "\"link_source\":\"ingest\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"link_source\":\"result\""));
    backend_answer_deinit(&answer);
    wait_for_run(b, run, "/timeline", "run_finished", &answer);
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
    connect_agent(b, &agent, &text);
    register_agent(&agent, &text);
    start_run(b, &agent, run, &text);
    send_result(&agent, text.data,
                "\"status\":\"error\",\"output\":null,\"error\":\"Function 'answer' not found in "
                "registry\",\"duration_ms\":0,\"trace_id\":null");
    wait_for_run(b, run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"status\":\"Error\",\"output\":null,\"error\":"
                                             "\"Function 'answer' not found in registry\""));
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
    connect_agent(b, &first, &text);
    register_agent(&first, &text);
    start_run(b, &first, run, &execute);
    ws_peer_deinit(&first);
    connect_agent(b, &second, &text);
    register_agent(&second, &text);
    send_result(&second, execute.data, success);
    send_result(&second, execute.data, success);
    wait_for_run(b, run, "", "\"completed\"", &answer);
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
    connect_agent(b, &agent, &text);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"project_id\":\"" PROJECT
                              "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                              "\"functions\":[],\"capabilities\":[\"result_ack\",\"deadline\"]}");
    ws_peer_expect(&agent, "registered", &text);
    start_run(b, &agent, run, &execute);
    assert_non_null(strstr(execute.data, "\"deadline_ms\":120000"));
    send_result(&agent, execute.data, success);
    ws_peer_expect(&agent, "\"type\":\"result_ack\"", &text);
    send_result(&agent, execute.data, success);
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
    expect(b, "PUT", "/mock/link-points", "{\"result\":false,\"sweep\":false}", 200,
           "{\"result\":false,\"ingest\":true,\"sweep\":false}");
    connect_agent(b, &agent, &text);
    register_agent(&agent, &text);
    start_run(b, &agent, run, &execute);
    post_test_span(b, execute.data, "0000000000000001");
    wait_for_run(b, run, "/timeline", "\"result_found\":false", &answer); /* point 2 has tried */
    backend_answer_deinit(&answer);
    send_result(&agent, execute.data, success);
    wait_for_run(b, run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"spans\":1,\"linked\":0"));
    backend_answer_deinit(&answer);
    expect(b, "PUT", "/mock/link-points", "{\"sweep\":true}", 200, "\"sweep\":true");
    wait_for_run(b, run, "/spans", "\"link_source\":\"sweep\"", &answer);
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
    backend_process_start(&b, in_memory);
    connect_agent(&b, &agent, &text);
    register_agent(&agent, &text);
    start_run(&b, &agent, run, &text); /* never answered: must not hold up the end */
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

/* ---- reading traces ---- */

static const char llm_trace[] =
    "{\"spans\":[{\"trace_id\":\"000000000000000000000000000000aa\",\"span_id\":"
    "\"00000000000000a1\",\"span_name\":\"function.ask\",\"environment\":\"staging\","
    "\"start_time\":\"2026-01-01T00:00:00Z\",\"end_time\":\"2026-01-01T00:00:12.3Z\"},"
    "{\"trace_id\":\"000000000000000000000000000000aa\",\"span_id\":\"00000000000000a2\","
    "\"parent_span_id\":\"00000000000000a1\",\"span_name\":\"ai.llm.invoke\","
    "\"start_time\":\"2026-01-01T00:00:01Z\",\"end_time\":\"2026-01-01T00:00:02Z\","
    "\"status_code\":\"ERROR\",\"status_message\":\"boom\",\"links\":[{\"trace_id\":"
    "\"0123456789abcdef0123456789abcdef\",\"span_id\":\"0123456789abcdef\"}],"
    "\"attributes\":{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"gpt-4o\","
    "\"ai.llm.tokens.input\":100,\"ai.llm.tokens.output\":50}}]}";

static void given_trace_when_read_then_list_detail_and_metrics_show_it(void **state)
{
    struct backend_process *b = *state;
    struct backend_answer answer;
    expect(b, "POST", "/telemetry/traces", one_span, 200, "received");
    expect(b, "POST", "/telemetry/traces", llm_trace, 200, "\"span_count\":2");
    expect(b, "GET", "/telemetry/traces", NULL, 200, "\"total\":2,\"limit\":100,\"offset\":0}");
    expect(b, "GET", "/telemetry/traces?environment=staging&limit=1", NULL, 200,
           "\"root_operation\":\"function.ask\"");
    expect(b, "GET", "/telemetry/traces?search=BOOM", NULL, 200, "\"total\":1");
    expect(b, "GET", "/telemetry/traces?search=%27%20OR%201%3D1%20--", NULL, 200, "\"total\":0");
    backend_request(b, "GET",
                    "/telemetry/traces/000000000000000000000000000000aa?project_id=" PROJECT, NULL,
                    NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.data, "\"type\":\"slow_span\""));
    assert_non_null(strstr(answer.body.data, "\"models_used\":[\"gpt-4o\"]"));
    assert_non_null(strstr(answer.body.data, "\"total_cost_usd\":0.00075"));
    assert_non_null(strstr(answer.body.data, "\"cut_by_window\":false"));
    backend_answer_deinit(&answer);
    expect(b, "GET", "/telemetry/traces/0123456789abcdef0123456789abcdef?project_id=" PROJECT, NULL,
           200, "\"linked_from\":[{\"trace_id\":\"000000000000000000000000000000aa\"");
    expect(b, "GET", "/telemetry/metrics?project_id=" PROJECT, NULL, 200, "\"total_spans\":3");
    expect(b, "GET", "/mock/links/0123456789abcdef0123456789abcdef", NULL, 200,
           "\"verdict\":\"no_context\"");
}

static void given_bad_trace_queries_when_sent_then_the_documented_answers(void **state)
{
    struct backend_process *b = *state;
    static const char trace[] = "/telemetry/traces/0123456789abcdef0123456789abcdef";
    char path[160];
    expect(b, "GET", "/telemetry/traces?limit=0", NULL, 422, "\"loc\":[\"query\",\"limit\"]");
    expect(b, "GET", "/telemetry/traces?limit=1001", NULL, 422, "limit");
    expect(b, "GET", "/telemetry/traces?offset=x", NULL, 422, "offset");
    expect(b, "GET", "/telemetry/traces?test_run_id=x", NULL, 500, "An unexpected error occurred.");
    expect(b, "GET", "/telemetry/traces?project_id=x", NULL, 400, "Invalid project_id format");
    expect(b, "GET", "/telemetry/traces?project_id=" UNKNOWN, NULL, 403, "not a member");
    expect(b, "GET", "/telemetry/traces?status_code=BAD", NULL, 422, "status_code");
    expect(b, "GET", trace, NULL, 422, "Field required");
    (void)snprintf(path, sizeof(path), "%s?project_id=%s", trace, PROJECT);
    expect(b, "GET", path, NULL, 404,
           "{\"detail\":\"Trace 0123456789abcdef0123456789abcdef not found\"}");
    expect(b, "GET", "/mock/links/zz", NULL, 404, "Trace zz not found");
}

/* gzip of {"spans":[]} and of nothing that is gzip, over a raw socket. */
static void post_encoded(const struct backend_process *b, const char *encoding, const void *data,
                         size_t size, const char *expected)
{
    struct buffer request = BUFFER_INIT;
    struct buffer answer = BUFFER_INIT;
    marline__buffer_append_format(&request,
                                  "POST /telemetry/traces HTTP/1.1\r\nHost: h\r\n"
                                  "Authorization: Bearer %s\r\nContent-Encoding: %s\r\n"
                                  "Connection: close\r\nContent-Length: %zu\r\n\r\n",
                                  b->api_key, encoding, size);
    marline__buffer_append(&request, data, size);
    int socket = tcp_connect(b->port);
    tcp_send(socket, request.data, request.size);
    tcp_read_all(socket, &answer);
    if (!strstr(answer.data, expected)) {
        fail_msg("%s: %s", encoding, answer.data);
    }
    (void)close(socket);
    marline__buffer_deinit(&request);
    marline__buffer_deinit(&answer);
}

static void given_compressed_bodies_when_posted_then_decoded_or_refused(void **state)
{
    struct backend_process *b = *state;
    static const uint8_t empty_list[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
                                         0x02, 0x03, 0xab, 0x56, 0x2a, 0x2e, 0x48, 0xcc,
                                         0x2b, 0x56, 0xb2, 0x8a, 0x8e, 0xad, 0x05, 0x00,
                                         0x57, 0x4b, 0x81, 0x32, 0x0c, 0x00, 0x00, 0x00};
    post_encoded(b, "GZIP", empty_list, sizeof(empty_list), "too_short");
    post_encoded(b, "gzip", empty_list, sizeof(empty_list) - 9, "HTTP/1.1 400");
    post_encoded(b, "gzip", "{\"spans\":[]}", 12, "The body is no valid gzip");
    post_encoded(b, "identity", "{\"spans\":[]}", 12, "too_short");
    post_encoded(b, "br", "x", 1, "HTTP/1.1 415");
}

/* ---- control ---- */

static void given_run_when_waited_for_then_told_at_its_end(void **state)
{
    struct backend_process *b = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char run[64];
    char path[128];
    connect_agent(b, &agent, &text);
    register_agent(&agent, &text);
    start_run(b, &agent, run, &text);
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/wait?timeout_ms=1", run);
    expect(b, "GET", path, NULL, 200, "\"finished\":false");
    send_result(&agent, text.data, success);
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/wait?timeout_ms=20000", run);
    expect(b, "GET", path, NULL, 200, "\"finished\":true");
    (void)snprintf(path, sizeof(path), "/mock/runs/%s", run);
    expect(b, "GET", path, NULL, 200, "\"status\":\"completed\"");
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/cancel", run);
    expect(b, "POST", path, "", 409, "not under way");
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
    connect_agent(b, &agent, &text);
    register_agent(&agent, &text);
    start_run(b, &agent, run, &text);
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/cancel", run);
    expect(b, "POST", path, "", 202, "\"status\":\"cancelled\"");
    wait_for_run(b, run, "", "\"status\":\"cancelled\"", &answer);
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
    expect(b, "POST", "/mock/metrics", "{\"metric_name\":\"brevity\"}", 404, "brevity");
    expect(b, "POST", "/mock/metrics", "{}", 400, "metric_name is required");
    connect_agent(b, &agent, &text);
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
    copy_member(text.data, "metric_run_id", id, sizeof(id));
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

/* ---- start ---- */

static void expect_failure(const char *const *arguments, int code, const char *text)
{
    struct buffer error = BUFFER_INIT;
    int exit_code = backend_process_run(arguments, &error);
    if (exit_code != code || !error.data || !strstr(error.data, text)) {
        fail_msg("exit %d: %s", exit_code, error.data ? error.data : "");
    }
    marline__buffer_deinit(&error);
}

static void given_wrong_command_line_when_started_then_exit_2_and_a_hint(void **state)
{
    (void)state;
    expect_failure((const char *const[]){NULL}, 2, "'serve' starts the backend");
    expect_failure((const char *const[]){"server", NULL}, 2, "unknown command 'server'");
    expect_failure((const char *const[]){"serve", "--lisen", "x", NULL}, 2,
                   "did you mean --listen");
    expect_failure((const char *const[]){"serve", "--listen", NULL}, 2, "--listen needs a value");
    expect_failure((const char *const[]){"serve", "now", NULL}, 2, "unexpected argument 'now'");
    expect_failure((const char *const[]){"serve", "--log-level", "loud", NULL}, 2, "loud");
}

static void given_taken_port_when_started_then_exit_3_names_it(void **state)
{
    struct backend_process *b = *state;
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", b->port);
    expect_failure(
        (const char *const[]){"serve", "--listen", address, "--store", "sqlite::memory:", NULL}, 3,
        "is in use by another program");
    expect_failure((const char *const[]){"serve", "--listen", "nonsense", NULL}, 3, "HOST:PORT");
}

static void given_bad_store_when_started_then_exit_4_names_it(void **state)
{
    (void)state;
    expect_failure(
        (const char *const[]){"serve", "--listen", "127.0.0.1:0", "--store", "mysql:x", NULL}, 4,
        "mysql");
    expect_failure((const char *const[]){"serve", "--listen", "127.0.0.1:0", "--store",
                                         "sqlite:/nonexistent/folder/x.db", NULL},
                   4, "/nonexistent/folder/x.db");
}

static void given_unwritable_ready_file_when_started_then_exit_5_names_it(void **state)
{
    (void)state;
    expect_failure((const char *const[]){"serve", "--listen", "127.0.0.1:0", "--store",
                                         "sqlite::memory:", "--ready-file",
                                         "/nonexistent/ready.json", NULL},
                   5, "/nonexistent/ready.json");
}

static void given_file_store_when_restarted_then_same_key_and_data(void **state)
{
    (void)state;
    char store[64];
    (void)snprintf(store, sizeof(store), "sqlite:restart-%d.db", (int)getpid());
    const char *const arguments[] = {"--store", store, "--log-level", "error", NULL};
    struct backend_process b;
    char key[BACKEND_TEXT_SIZE];
    backend_process_start(&b, arguments);
    (void)snprintf(key, sizeof(key), "%s", b.api_key);
    expect(&b, "POST", "/telemetry/traces", one_span, 200, "received");
    assert_int_equal(backend_process_stop(&b), 0);
    backend_process_start(&b, arguments);
    assert_string_equal(b.api_key, key);
    expect(&b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
    assert_int_equal(backend_process_stop(&b), 0);
    (void)unlink(strchr(store, ':') + 1);
    (void)snprintf(store, sizeof(store), "restart-%d.db.key", (int)getpid());
    assert_int_equal(unlink(store), 0);
}

int main(void)
{
#define BACKEND_TEST(name) cmocka_unit_test_setup_teardown(name, start_backend, stop_backend)
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_running_backend_when_asked_then_plain_routes_answer),
        BACKEND_TEST(given_no_or_wrong_key_when_asked_then_401),
        BACKEND_TEST(given_span_when_posted_twice_then_acknowledged_and_kept_once),
        BACKEND_TEST(given_bad_spans_when_posted_then_the_documented_answers),
        BACKEND_TEST(given_project_of_spans_when_posted_then_checked),
        BACKEND_TEST(given_bad_run_when_posted_then_400_names_the_fault),
        BACKEND_TEST(given_chunked_body_and_keep_alive_when_sent_then_both_requests_are_answered),
        BACKEND_TEST(given_body_over_the_limit_when_announced_then_413),
        BACKEND_TEST(given_wrong_key_when_upgraded_then_403_with_empty_body),
        BACKEND_TEST(given_agent_when_registered_then_status_shows_its_functions),
        BACKEND_TEST(given_unknown_project_when_registered_then_error_and_still_open),
        BACKEND_TEST(given_bad_frames_when_sent_then_answered_and_the_connection_lives),
        BACKEND_TEST(given_protocol_violation_when_sent_then_only_that_connection_ends),
        BACKEND_TEST(given_too_many_messages_when_sent_at_once_then_rate_limited),
        BACKEND_TEST(given_agent_when_triggered_then_inputs_arrive_unchanged),
        BACKEND_TEST(given_run_when_answered_then_spans_are_linked_at_both_points),
        BACKEND_TEST(given_error_result_then_the_test_is_an_error_with_its_text),
        BACKEND_TEST(given_agent_that_reconnects_in_mid_call_then_its_result_is_taken_once),
        BACKEND_TEST(given_agent_that_acknowledges_when_the_result_is_stored_then_it_is_told),
        BACKEND_TEST(given_link_point_off_when_run_then_only_the_other_links),
        BACKEND_TEST(given_trace_when_read_then_list_detail_and_metrics_show_it),
        BACKEND_TEST(given_bad_trace_queries_when_sent_then_the_documented_answers),
        BACKEND_TEST(given_compressed_bodies_when_posted_then_decoded_or_refused),
        BACKEND_TEST(given_run_when_waited_for_then_told_at_its_end),
        BACKEND_TEST(given_run_when_cancelled_then_its_test_is_an_error),
        BACKEND_TEST(given_metric_when_asked_for_then_the_agent_answers),
        BACKEND_TEST(given_operator_when_asking_then_health_and_counters_without_a_key),
        cmocka_unit_test(given_agent_when_the_backend_stops_then_close_1001),
        cmocka_unit_test(given_wrong_command_line_when_started_then_exit_2_and_a_hint),
        BACKEND_TEST(given_taken_port_when_started_then_exit_3_names_it),
        cmocka_unit_test(given_bad_store_when_started_then_exit_4_names_it),
        cmocka_unit_test(given_unwritable_ready_file_when_started_then_exit_5_names_it),
        cmocka_unit_test(given_file_store_when_restarted_then_same_key_and_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
