/* See backend_fixture.h. */
#include "support/backend_fixture.h"

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

const char *const backend_in_memory[] = {"--store", "sqlite::memory:", "--log-level", "error",
                                         NULL};

int backend_setup(void **state)
{
    struct backend_process *b = marline__memory_zeroed(sizeof(*b));
    backend_process_start(b, backend_in_memory);
    *state = b;
    return 0;
}

int backend_teardown(void **state)
{
    int code = backend_process_stop(*state);
    marline__memory_free(*state);
    return code;
}

void backend_expect(const struct backend_process *b, const char *method, const char *path,
                    const char *body, int status, const char *text)
{
    struct backend_answer answer;
    backend_request(b, method, path, NULL, body, &answer);
    if (answer.status != status || !strstr(answer.body.data, text)) {
        fail_msg("%s %s: %d %s", method, path, answer.status, answer.body.data);
    }
    backend_answer_deinit(&answer);
}

void backend_connect_agent(const struct backend_process *b, struct ws_peer *agent,
                           struct buffer *text)
{
    char authorization[256];
    (void)snprintf(authorization, sizeof(authorization), "Bearer %s", b->api_key);
    assert_int_equal(ws_peer_connect(agent, b->port, authorization, NULL), 101);
    ws_peer_expect(agent, "\"type\":\"connected\"", text);
}

void backend_register_agent(struct ws_peer *agent, struct buffer *text)
{
    ws_peer_send_text(agent, "{\"type\": \"register\", \"project_id\": \"" BACKEND_PROJECT
                             "\", \"environment\": \"development\", \"sdk_version\": \"0.4.2\", "
                             "\"functions\": [{\"name\": \"answer\", \"parameters\": {}, "
                             "\"return_type\": \"dict\", \"metadata\": {}}], \"metrics\": []}");
    ws_peer_expect(agent, "\"type\":\"registered\"", text);
    assert_non_null(strstr(text->data, "\"status\":\"success\""));
}

/* The value of a string member of a flat text; fails when it is not there. */
void backend_copy_member(const char *json, const char *name, char *out, size_t size)
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

const char *const backend_one_span =
    "{\"spans\":[{\"trace_id\":\"0123456789ABCDEF0123456789abcdef\",\"span_id\":"
    "\"0123456789abcdef\",\"span_name\":\"function.x\",\"start_time\":\"2026-01-01T00:00:00Z\","
    "\"end_time\":\"2026-01-01T00:00:01Z\"}]}";

/* Starts a run of one test and takes its execute_test. */
void backend_start_run(const struct backend_process *b, struct ws_peer *agent, char run[64],
                       struct buffer *execute)
{
    struct backend_answer answer;
    backend_request(b, "POST", "/mock/runs", NULL,
                    "{\"project_id\":\"" BACKEND_PROJECT
                    "\",\"tests\":[{\"function_name\":\"answer\","
                    "\"inputs\":{\"input\":\"hi\",\"_rhesis_x\":1}}]}",
                    &answer);
    assert_int_equal(answer.status, 202);
    backend_copy_member(answer.body.data, "test_run_id", run, 64);
    backend_answer_deinit(&answer);
    ws_peer_expect(agent, "\"type\":\"execute_test\"", execute);
}

void backend_send_result(struct ws_peer *agent, const char *execute, const char *rest)
{
    char id[64];
    struct buffer result = BUFFER_INIT;
    backend_copy_member(execute, "test_run_id", id, sizeof(id));
    marline__buffer_append_format(&result, "{\"type\":\"test_result\",\"test_run_id\":\"%s\",%s}",
                                  id, rest);
    ws_peer_send_text(agent, result.data);
    marline__buffer_deinit(&result);
}

const char *const backend_success = "\"status\":\"success\",\"output\":{\"a\":1.50},\"error\":null,"
                                    "\"duration_ms\":4.5,\"trace_id\":null";

/* Posts one span that carries the test context of an execute_test. */
void backend_post_test_span(const struct backend_process *b, const char *execute,
                            const char *span_id)
{
    char run[64];
    char test[64];
    char configuration[64];
    const char *context = strstr(execute, "_rhesis_test_context");
    assert_non_null(context);
    backend_copy_member(context, "test_run_id", run, sizeof(run));
    backend_copy_member(context, "test_id", test, sizeof(test));
    backend_copy_member(context, "test_configuration_id", configuration, sizeof(configuration));
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_format(
        &body,
        "{\"spans\":[{\"trace_id\":\"00000000000000000000000000000001\",\"span_id\":\"%s\","
        "\"span_name\":\"function.answer\",\"start_time\":\"2026-01-01T00:00:00Z\","
        "\"end_time\":\"2026-01-01T00:00:01Z\",\"attributes\":{\"rhesis.test.run_id\":\"%s\","
        "\"rhesis.test.id\":\"%s\",\"rhesis.test.configuration_id\":\"%s\"}}]}",
        span_id, run, test, configuration);
    backend_expect(b, "POST", "/telemetry/traces", body.data, 200, "received");
    marline__buffer_deinit(&body);
}

void backend_wait_for_run(const struct backend_process *b, const char *run, const char *suffix,
                          const char *mark, struct backend_answer *out)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/mock/runs/%s%s", run, suffix);
    backend_wait_for(b, path, mark, out);
}

/* One request over a socket of its own, with exactly these header lines; the whole answer. */
static void send_raw(const struct backend_process *b, const char *line, const char *headers,
                     const void *data, size_t size, struct buffer *answer)
{
    struct buffer request = BUFFER_INIT;
    marline__buffer_append_format(
        &request, "%s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
        line, size, headers);
    marline__buffer_append(&request, data, size);
    int socket = tcp_connect(b->port);
    tcp_send(socket, request.data, request.size);
    tcp_read_all(socket, answer);
    (void)close(socket);
    marline__buffer_deinit(&request);
}

void backend_expect_raw(const struct backend_process *b, const char *line, const char *headers,
                        const void *data, size_t size, const char *const *expected)
{
    struct buffer answer = BUFFER_INIT;
    send_raw(b, line, headers, data, size, &answer);
    for (size_t i = 0; expected[i]; i++) {
        if (!memmem(answer.data, answer.size, expected[i], strlen(expected[i]))) {
            fail_msg("%s %s: no %s in %s", line, headers, expected[i], answer.data);
        }
    }
    marline__buffer_deinit(&answer);
}
