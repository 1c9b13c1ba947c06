/* http endpoints, from a real backend-mock through the agent to a scripted service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/http_peer.h"
#include "../support/program.h"
#include "agent_fixture.h"

#define CLOSE "Connection: close\r\n"

enum { START_MS = 20000 };

struct fixture {
    struct agent_fixture *backend;
    struct http_peer *service;
    struct program agent;
};

/* One answer per request, in the order of the tests below. The service takes one connection at a
 * time, and each endpoint keeps its own. */
static const struct http_peer_step script[] = {
    {HTTP_PEER_ANSWER, 200, CLOSE, "{\"answer\":[{\"text\":\"42\"}],\"usage\":{\"total\":7}}"},
    {HTTP_PEER_ANSWER, 200, CLOSE, "plain answer"},
    {HTTP_PEER_ANSWER, 503, CLOSE, "overloaded"},
    {HTTP_PEER_ANSWER, 200, CLOSE, "{\"other\":1}"},
    {HTTP_PEER_HANG, 0, NULL, NULL},
};

static int set_up(void **state)
{
    static struct fixture f;
    char text[2048];
    f = (struct fixture){.backend = agent_fixture_create()};
    if (!f.backend) {
        return -1;
    }
    f.service = http_peer_start(script, sizeof script / sizeof script[0]);
    const char *url = http_peer_url(f.service);
    (void)snprintf(text, sizeof text,
                   "endpoints:\n"
                   "  - name: chat\n"
                   "    http:\n"
                   "      url: '%s/chat/{{ user }}'\n"
                   "      headers: {X-Key: '${MARLINE_TEST_SECRET}', X-User: '{{ user }}'}\n"
                   "      body: {q: '{{ input }}', n: '{{ n }}', fixed: [1, a]}\n"
                   "      response: {output: /answer/0/text, tokens: /usage/total}\n"
                   "  - name: get\n"
                   "    http: {method: GET, url: '%s/q?x={{ input }}'}\n"
                   "  - name: hurried\n"
                   "    timeout_ms: 300\n"
                   "    http: {method: GET, url: '%s/hang'}\n",
                   url, url, url);
    if (!agent_fixture_write(f.backend, "agent.yaml", text)) {
        return -1;
    }
    char path[256];
    (void)snprintf(path, sizeof path, "%s", agent_fixture_path(f.backend, "agent.yaml"));
    const char *arguments[] = {"marline-agent", "run", "--config", path, NULL};
    *state = &f;
    if (setenv("MARLINE_TEST_SECRET", "s3cret", 1)) {
        return -1;
    }
    return agent_fixture_start_agent(f.backend, &f.agent, arguments) &&
                   program_wait_for_text(&f.agent, agent_fixture_path(f.backend, "agent.log"),
                                         "ready for tests", START_MS)
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    program_stop(&f->agent);
    http_peer_stop(f->service);
    agent_fixture_destroy(f->backend);
    return 0;
}

static cJSON *invoke(struct fixture *f, const char *name, const char *inputs, const char *status)
{
    cJSON *result = agent_fixture_run_test(f->backend, name, inputs);
    assert_non_null(result);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(result, "status")), status);
    return result;
}

static void assert_error(struct fixture *f, const char *name, const char *inputs, const char *text)
{
    cJSON *result = invoke(f, name, inputs, "Error");
    const char *error = cJSON_GetStringValue(cJSON_GetObjectItem(result, "error"));
    assert_non_null(error);
    if (!strstr(error, text)) {
        fail_msg("%s, without %s", error, text);
    }
    cJSON_Delete(result);
}

static const char chat_inputs[] = "{\"user\":\"a b\",\"input\":\"why \\\"?\\\"\",\"n\":3}";

static void given_service_when_invoked_then_request_is_filled_and_answer_mapped(void **state)
{
    struct fixture *f = *state;
    cJSON *result = invoke(f, "chat", chat_inputs, "Pass");
    char *output = cJSON_PrintUnformatted(cJSON_GetObjectItem(result, "output"));
    assert_string_equal(output, "{\"output\":\"42\",\"tokens\":7}");
    cJSON_free(output);
    const char *head = http_peer_head(f->service, 0);
    assert_true(strncmp(head, "POST /chat/a%20b HTTP/1.1\r\n", 27) == 0);
    assert_non_null(strstr(head, "X-Key: s3cret\r\n"));
    assert_non_null(strstr(head, "X-User: a b\r\n"));
    assert_non_null(strstr(head, "Content-Type: application/json"));
    const char *traceparent = strstr(head, "traceparent: 00-");
    assert_non_null(traceparent);
    const char *trace_id = cJSON_GetStringValue(cJSON_GetObjectItem(result, "trace_id"));
    assert_non_null(trace_id);
    assert_memory_equal(traceparent + strlen("traceparent: 00-"), trace_id, 32);
    assert_string_equal(http_peer_body(f->service, 0),
                        "{\"q\":\"why \\\"?\\\"\",\"n\":3,\"fixed\":[1,\"a\"]}");
    cJSON_Delete(result);
}

static void given_plain_answer_when_invoked_then_it_is_the_output(void **state)
{
    struct fixture *f = *state;
    cJSON *result = invoke(f, "get", "{\"input\":\"a&b\"}", "Pass");
    const cJSON *output = cJSON_GetObjectItem(result, "output");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(output, "output")),
                        "plain answer");
    assert_true(strncmp(http_peer_head(f->service, 1), "GET /q?x=a%26b HTTP/1.1\r\n", 25) == 0);
    assert_string_equal(http_peer_body(f->service, 1), "");
    cJSON_Delete(result);
}

static void given_service_that_fails_when_invoked_then_status_and_body_in_the_error(void **state)
{
    assert_error(*state, "get", "{\"input\":\"x\"}", "answered HTTP 503: overloaded");
}

static void given_answer_without_the_member_when_invoked_then_pointer_named(void **state)
{
    assert_error(*state, "chat", chat_inputs, "the answer has nothing at /answer/0/text");
}

static void given_service_that_hangs_when_invoked_then_time_is_up(void **state)
{
    assert_error(*state, "hurried", "{}", "hurried: ");
}

static void given_missing_input_when_invoked_then_named_and_nothing_sent(void **state)
{
    struct fixture *f = *state;
    size_t before = http_peer_request_count(f->service);
    assert_error(f, "chat", "{\"input\":\"x\",\"n\":1}", "needs the input 'user'");
    assert_int_equal(http_peer_request_count(f->service), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_service_when_invoked_then_request_is_filled_and_answer_mapped),
        cmocka_unit_test(given_plain_answer_when_invoked_then_it_is_the_output),
        cmocka_unit_test(given_service_that_fails_when_invoked_then_status_and_body_in_the_error),
        cmocka_unit_test(given_answer_without_the_member_when_invoked_then_pointer_named),
        cmocka_unit_test(given_service_that_hangs_when_invoked_then_time_is_up),
        cmocka_unit_test(given_missing_input_when_invoked_then_named_and_nothing_sent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
