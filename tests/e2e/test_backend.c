/* marline-backend-mock as a process: plain HTTP, bad input, starting and stopping. */
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

static void given_running_backend_when_asked_then_plain_routes_answer(void **state)
{
    struct backend_process *b = *state;
    backend_expect(b, "GET", "/health", NULL, 200, "{\"status\":\"ok\"}");
    backend_expect(b, "GET", "/health/", NULL, 200, "ok");
    backend_expect(b, "GET", "/tokens/current", NULL, 200,
                   "\"project_id\":\"" BACKEND_PROJECT "\"");
    backend_expect(b, "GET", "/projects", NULL, 200, "[{\"id\":\"" BACKEND_PROJECT "\"");
    backend_expect(b, "GET", "/projects/" BACKEND_PROJECT, NULL, 200, "{\"id\":\"" BACKEND_PROJECT);
    backend_expect(b, "GET", "/projects/" BACKEND_UNKNOWN, NULL, 404, "Project not found");
    backend_expect(b, "GET", "/nowhere", NULL, 404, "{\"detail\":\"Not Found\"}");
    backend_expect(b, "DELETE", "/health", NULL, 405, "{\"detail\":\"Method Not Allowed\"}");
    backend_expect(b, "GET", "/connector/ws", NULL, 426, "WebSocket");
}

/* Every path of the document is served: a method that it has not gives 405, not 404. */
static void given_openapi_document_when_read_then_each_path_is_served(void **state)
{
    struct backend_process *b = *state;
    struct backend_answer answer;
    size_t paths = 0;
    backend_request(b, "GET", "/openapi.json", "", NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.data, "\"openapi\":\"3.1.0\""));
    for (const char *at = answer.body.data; (at = strstr(at, "\"/")); at++) {
        char path[128];
        struct backend_answer probe;
        (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(at + 1, "\""), at + 1);
        backend_request(b, "PATCH", path, NULL, NULL, &probe);
        assert_int_equal(probe.status, 405);
        backend_answer_deinit(&probe);
        paths++;
    }
    assert_true(paths > 30);
    backend_answer_deinit(&answer);
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

static void given_span_when_posted_twice_then_acknowledged_and_kept_once(void **state)
{
    struct backend_process *b = *state;
    static const char answer[] = "{\"status\":\"received\",\"span_count\":1,"
                                 "\"trace_id\":\"0123456789abcdef0123456789abcdef\"}";
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 200, answer);
    backend_expect(b, "POST", "/telemetry/traces/", backend_one_span, 200, answer);
    backend_expect(b, "GET", "/mock/ledger", NULL, 200,
                   "{\"received\":2,\"stored\":1,\"rejected\":0,\"duplicate\":1,\"linked\":0,"
                   "\"waiting\":0,\"without_context\":1,"
                   "\"links_by_source\":{\"result\":0,\"ingest\":0,\"sweep\":0}}");
}

static void given_bad_spans_when_posted_then_the_documented_answers(void **state)
{
    struct backend_process *b = *state;
    backend_expect(b, "POST", "/telemetry/traces", "{\"spans\":[]}", 422, "\"type\":\"too_short\"");
    backend_expect(b, "POST", "/telemetry/traces", "{\"spans\":", 422, "\"type\":\"json_invalid\"");
    backend_expect(b, "POST", "/telemetry/traces", "[]", 422, "model_attributes_type");
    backend_expect(b, "POST", "/telemetry/traces", "{\"spans\":[{}]}", 422,
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
    backend_expect(b, "POST", "/telemetry/traces", body, status, text);
}

static void given_project_of_spans_when_posted_then_checked(void **state)
{
    struct backend_process *b = *state;
    post_for_project(b, "\"" BACKEND_PROJECT "\"", 200, "received");
    post_for_project(b, "\"unknown\"", 200, "received");
    post_for_project(b, "null", 200, "received");
    post_for_project(b, "\"my-project\"", 400, "{\"detail\":\"Invalid project_id format\"}");
    post_for_project(b, "\"" BACKEND_UNKNOWN "\"", 403,
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
        {"{\"project_id\":\"" BACKEND_PROJECT "\"}", "tests is required"},
        {"{\"project_id\":\"" BACKEND_PROJECT "\",\"tests\":[]}",
         "tests must hold 1 to 100000 tests"},
        {"{\"project_id\":\"" BACKEND_PROJECT "\",\"tests\":[1]}", "tests must hold objects only"},
        {"{\"project_id\":\"" BACKEND_PROJECT "\",\"tests\":[{\"function_name\":\"f\"},{}]}",
         "tests[1].function_name is required"},
        {"{\"project_id\":\"" BACKEND_PROJECT
         "\",\"tests\":[{\"function_name\":\"f\",\"inputs\":[]}]}",
         "tests[0].inputs must be an object"},
        {"{\"project_id\":\"" BACKEND_PROJECT
         "\",\"tests\":[{\"function_name\":\"f\",\"timeout_ms\":0}]}",
         "tests[0].timeout_ms must be a whole number"},
        {"{\"project_id\":\"" BACKEND_PROJECT "\",\"concurrency\":1.5,\"tests\":[]}",
         "concurrency must be a whole number"},
        {"{\"project_id\":\"" BACKEND_PROJECT "\",\"retries\":11,\"tests\":[]}",
         "retries must be a whole number from 0 to 10"},
        {"{\"project_id\":\"" BACKEND_PROJECT
         "\",\"tests\":[{\"function_name\":\"f\",\"retries\":-1}]}",
         "tests[0].retries must be a whole number"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        backend_expect(b, "POST", "/mock/runs", cases[i].body, 400, cases[i].text);
    }
    backend_expect(b, "POST", "/mock/runs",
                   "{\"project_id\":\"" BACKEND_UNKNOWN "\",\"tests\":[{\"function_name\":\"f\"}]}",
                   404, "not found");
    backend_expect(b, "GET", "/mock/runs/" BACKEND_UNKNOWN, NULL, 404, "Test Run not found");
    backend_expect(b, "GET", "/mock/runs/x/timeline", NULL, 404, "Test Run not found");
    backend_expect(b, "PUT", "/mock/link-points", "{\"results\":true}", 400,
                   "result, ingest and sweep");
}

/* A body sent in pieces, chunked, on a connection that goes on afterwards. */
static void given_chunked_body_and_keep_alive_when_sent_then_both_are_answered_SRV_19(void **state)
{
    struct backend_process *b = *state;
    struct buffer request = BUFFER_INIT;
    marline__buffer_append_format(&request,
                                  "POST /telemetry/traces HTTP/1.1\r\nHost: h\r\n"
                                  "Authorization: bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "%zx\r\n%s\r\n0\r\n\r\n"
                                  "GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                                  b->api_key, strlen(backend_one_span), backend_one_span);
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

/* None of them says a word. */
static void given_hundreds_of_silent_connections_when_asked_then_still_answered(void **state)
{
    struct backend_process *b = *state;
    enum { SILENT = 600 };
    int sockets[SILENT];
    for (int i = 0; i < SILENT; i++) {
        sockets[i] = tcp_connect(b->port);
    }
    backend_expect(b, "GET", "/health", NULL, 200, "ok");
    for (int i = 0; i < SILENT; i++) {
        (void)close(sockets[i]);
    }
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
    expect_failure((const char *const[]){"serve", "--rate-limit", "-1", NULL}, 2, "--rate-limit");
    expect_failure((const char *const[]){"serve", "--listen", "127.0.0.1:0", "--store",
                                         "sqlite::memory:", "--otlp-anonymous", BACKEND_UNKNOWN,
                                         NULL},
                   2, "is no project of this store");
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
    backend_expect(&b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    assert_int_equal(backend_process_stop(&b), 0);
    backend_process_start(&b, arguments);
    assert_string_equal(b.api_key, key);
    backend_expect(&b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
    assert_int_equal(backend_process_stop(&b), 0);
    (void)unlink(strchr(store, ':') + 1);
    (void)snprintf(store, sizeof(store), "restart-%d.db.key", (int)getpid());
    assert_int_equal(unlink(store), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_running_backend_when_asked_then_plain_routes_answer),
        BACKEND_TEST(given_openapi_document_when_read_then_each_path_is_served),
        BACKEND_TEST(given_no_or_wrong_key_when_asked_then_401),
        BACKEND_TEST(given_span_when_posted_twice_then_acknowledged_and_kept_once),
        BACKEND_TEST(given_bad_spans_when_posted_then_the_documented_answers),
        BACKEND_TEST(given_project_of_spans_when_posted_then_checked),
        BACKEND_TEST(given_bad_run_when_posted_then_400_names_the_fault),
        BACKEND_TEST(given_chunked_body_and_keep_alive_when_sent_then_both_are_answered_SRV_19),
        BACKEND_TEST(given_hundreds_of_silent_connections_when_asked_then_still_answered),
        BACKEND_TEST(given_body_over_the_limit_when_announced_then_413),
        cmocka_unit_test(given_wrong_command_line_when_started_then_exit_2_and_a_hint),
        BACKEND_TEST(given_taken_port_when_started_then_exit_3_names_it),
        cmocka_unit_test(given_bad_store_when_started_then_exit_4_names_it),
        cmocka_unit_test(given_unwritable_ready_file_when_started_then_exit_5_names_it),
        cmocka_unit_test(given_file_store_when_restarted_then_same_key_and_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
