/* Runs of tests over REST: expectations, metrics, reports, webhooks, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "support/backend_fixture.h"
#include "support/http_peer.h"

struct scene {
    struct backend_process *backend;
    struct ws_peer agent;
    struct buffer text; /* the last message that the agent received */
    char run[64];
};

/* An agent with the function "answer" and the metrics "brevity" and "tone". */
static void open_scene(struct scene *s, void **state)
{
    *s = (struct scene){.backend = *state, .text = BUFFER_INIT};
    backend_connect_agent(s->backend, &s->agent, &s->text);
    ws_peer_send_text(&s->agent,
                      "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
                      "\",\"environment\":\"development\",\"sdk_version\":\"0.4.2\",\"functions\":"
                      "[{\"name\":\"answer\",\"parameters\":{},\"return_type\":\"dict\","
                      "\"metadata\":{}}],\"metrics\":[{\"name\":\"brevity\",\"parameters\":"
                      "[\"input\",\"output\"],\"return_type\":\"MetricResult\",\"metadata\":{}},"
                      "{\"name\":\"tone\",\"parameters\":[\"input\",\"output\"],\"return_type\":"
                      "\"MetricResult\",\"metadata\":{}}]}");
    ws_peer_expect(&s->agent, "\"type\":\"registered\"", &s->text);
}

static void close_scene(struct scene *s)
{
    ws_peer_deinit(&s->agent);
    marline__buffer_deinit(&s->text);
}

/* Starts a run; `rest` are members after the project. */
static void start(struct scene *s, const char *rest)
{
    struct buffer body = BUFFER_INIT;
    struct backend_answer answer;
    marline__buffer_append_format(&body, "{\"project_id\":\"" BACKEND_PROJECT "\",%s}", rest);
    backend_request(s->backend, "POST", "/mock/runs", NULL, body.data, &answer);
    if (answer.status != 202) {
        fail_msg("%s: %d %s", body.data, answer.status, answer.body.data);
    }
    backend_copy_member(answer.body.data, "test_run_id", s->run, sizeof s->run);
    backend_answer_deinit(&answer);
    marline__buffer_deinit(&body);
}

/* Takes the next execute_test and answers it. */
static void serve(struct scene *s, const char *result)
{
    ws_peer_expect(&s->agent, "\"type\":\"execute_test\"", &s->text);
    backend_send_result(&s->agent, s->text.data, result);
}

/* Takes the next execute_metric, which holds `mark`, and answers it. */
static void score(struct scene *s, const char *mark, const char *rest)
{
    char id[64];
    struct buffer result = BUFFER_INIT;
    ws_peer_expect(&s->agent, "\"type\":\"execute_metric\"", &s->text);
    assert_non_null(strstr(s->text.data, mark));
    backend_copy_member(s->text.data, "metric_run_id", id, sizeof id);
    marline__buffer_append_format(
        &result, "{\"type\":\"metric_result\",\"metric_run_id\":\"%s\",%s}", id, rest);
    ws_peer_send_text(&s->agent, result.data);
    marline__buffer_deinit(&result);
}

/* Waits for the end of the run; then each text is in the body of GET /mock/runs/{run}{suffix}. */
static void expect(struct scene *s, const char *suffix, const char *const *texts)
{
    struct backend_answer answer;
    char path[128];
    backend_wait_for_run(s->backend, s->run, "/wait", "\"finished\":true", &answer);
    backend_answer_deinit(&answer);
    (void)snprintf(path, sizeof path, "/mock/runs/%s%s", s->run, suffix);
    backend_request(s->backend, "GET", path, NULL, NULL, &answer);
    assert_int_equal(answer.status, 200);
    for (size_t i = 0; texts[i]; i++) {
        if (!strstr(answer.body.data, texts[i])) {
            fail_msg("no %s in %s", texts[i], answer.body.data);
        }
    }
    backend_answer_deinit(&answer);
}

static const char hello[] = "\"status\":\"success\",\"output\":{\"output\":\"Hello\"},"
                            "\"error\":null,\"duration_ms\":4.5,\"trace_id\":null";
static const char failure[] = "\"status\":\"error\",\"output\":null,\"error\":\"no such user\","
                              "\"duration_ms\":2,\"trace_id\":null";

static void given_expectations_when_answered_then_judged_with_reason(void **state)
{
    struct scene s;
    open_scene(&s, state);
    start(&s, "\"name\":\"greetings\",\"tests\":["
              "{\"name\":\"good\",\"function_name\":\"answer\","
              "\"expect\":{\"pointer\":\"/output\",\"equals\":\"Hello\"}},"
              "{\"name\":\"bad\",\"function_name\":\"answer\","
              "\"expect\":[{\"pointer\":\"/output\",\"contains\":\"Bye\"}]},"
              "{\"name\":\"fails as it should\",\"function_name\":\"answer\","
              "\"expect\":{\"of\":\"error\",\"contains\":\"user\"}},"
              "{\"name\":\"fails\",\"function_name\":\"answer\",\"expect\":{\"exists\":true}}]");
    serve(&s, hello);
    serve(&s, hello);
    serve(&s, failure);
    serve(&s, failure);
    expect(&s, "",
           (const char *const[]){
               "\"name\":\"greetings\"", "\"name\":\"good\"", "\"status\":\"Pass\"",
               "\"reason\":\"/output: expected to contain \\\"Bye\\\", found \\\"Hello\\\"\"",
               "\"reason\":\"no such user\"", "\"expect[0]\":{", NULL});
    expect(&s, "/progress",
           (const char *const[]){"\"tests\":4,\"passed\":2,\"failed\":1,\"errors\":1,\"running\":0,"
                                 "\"waiting\":0,\"skipped\":0",
                                 "\"finished\":true", NULL});
    close_scene(&s);
}

static void given_metrics_when_scored_then_threshold_decides(void **state)
{
    struct scene s;
    open_scene(&s, state);
    start(&s,
          "\"tests\":[{\"name\":\"m\",\"function_name\":\"answer\",\"inputs\":{\"input\":\"hi\"},"
          "\"metrics\":[{\"name\":\"brevity\",\"threshold\":0.5},"
          "{\"name\":\"tone\",\"equals\":\"warm\",\"expected_output\":\"Hello!\"}]}]");
    serve(&s, hello);
    score(&s, "\"inputs\":{\"input\":\"hi\",\"output\":\"Hello\"}",
          "\"status\":\"success\",\"score\":0.7,\"details\":{},\"error\":null,\"duration_ms\":1");
    score(&s, "\"expected_output\":\"Hello!\"",
          "\"status\":\"success\",\"score\":\"cold\",\"details\":{\"why\":\"no smile\"},"
          "\"error\":null,\"duration_ms\":1");
    expect(&s, "",
           (const char *const[]){
               "\"status\":\"Fail\"", "\"brevity\":{\"score\":0.7,\"threshold\":0.5,\"min\":0.5,",
               "\"details\":{\"why\":\"no smile\"},\"is_successful\":false",
               "\"reason\":\"metric tone: expected \\\"warm\\\", found \\\"cold\\\"\"", NULL});
    close_scene(&s);
}

static void given_unknown_metric_when_run_then_error_names_it(void **state)
{
    struct scene s;
    open_scene(&s, state);
    start(&s, "\"tests\":[{\"function_name\":\"answer\",\"metrics\":[{\"name\":\"wit\"}]}]");
    serve(&s, hello);
    expect(&s, "",
           (const char *const[]){
               "\"status\":\"Error\"",
               "\"error\":\"metric wit: not computed: no agent has registered it\"", NULL});
    close_scene(&s);
}

static void given_metric_under_way_when_cancelled_then_error_keeps_the_output(void **state)
{
    struct scene s;
    char path[128];
    open_scene(&s, state);
    start(&s, "\"tests\":[{\"function_name\":\"answer\",\"metrics\":[{\"name\":\"tone\"}]},"
              "{\"function_name\":\"answer\"}]");
    serve(&s, hello);
    ws_peer_expect(&s.agent, "\"type\":\"execute_metric\"", &s.text);
    (void)snprintf(path, sizeof path, "/mock/runs/%s/cancel", s.run);
    backend_expect(s.backend, "POST", path, "{}", 202, "\"status\":");
    expect(&s, "",
           (const char *const[]){"\"status\":\"cancelled\"",
                                 "\"output\":{\"output\":\"Hello\"},\"error\":\"cancelled\"",
                                 NULL});
    expect(&s, "/junit", (const char *const[]){"<skipped message=\"cancelled before it was", NULL});
    close_scene(&s);
}

static void given_odd_texts_and_retries_when_reported_then_valid_junit(void **state)
{
    struct scene s;
    open_scene(&s, state);
    start(&s, "\"name\":\"a <b> & \\\"c\\\"\",\"retries\":1,\"tests\":["
              "{\"name\":\"flaky \\u0001\\n]]>\",\"function_name\":\"answer\"},"
              "{\"name\":\"broken\",\"function_name\":\"answer\"}]");
    serve(&s, failure);
    serve(&s, hello); /* the second test: the first waits before its next attempt */
    serve(&s, hello);
    expect(&s, "/junit",
           (const char *const[]){
               "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"a &lt;b&gt; &amp; "
               "&quot;c&quot;\" tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"0\"",
               "name=\"flaky \xef\xbf\xbd&#10;]]&gt;\"",
               "<flakyError message=\"no such user\" type=\"Error\">no such user</flakyError>",
               "<property name=\"attempts\" value=\"2\"/>", "</testsuites>\n", NULL});
    close_scene(&s);
}

static void given_webhook_when_run_ends_then_told_and_kept(void **state)
{
    static const struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 503, NULL, NULL},
                                                   {HTTP_PEER_ANSWER, 204, NULL, NULL}};
    struct scene s;
    struct buffer body = BUFFER_INIT;
    struct backend_answer answer;
    struct http_peer *peer = http_peer_start(script, 2);
    open_scene(&s, state);
    marline__buffer_append_format(
        &body,
        "\"webhook\":\"%s/done?token=a%%20b&x=1\",\"tests\":[{\"function_name\":\"answer\"}]",
        http_peer_url(peer));
    start(&s, body.data);
    serve(&s, hello);
    assert_true(http_peer_wait(peer, 2));
    assert_non_null(strstr(http_peer_head(peer, 1), "POST /done?token=a%20b&x=1 HTTP/1.1"));
    assert_non_null(strstr(http_peer_head(peer, 1), "Idempotency-Key: "));
    assert_non_null(strstr(strstr(http_peer_head(peer, 1), "Idempotency-Key: "), s.run));
    assert_non_null(strstr(http_peer_body(peer, 1), "{\"event\":\"run.finished\","));
    assert_non_null(strstr(http_peer_body(peer, 1), "\"tests\":1,\"passed\":1,\"failed\":0"));
    backend_wait_for_run(s.backend, s.run, "",
                         "\"notice\":{\"delivered\":true,\"attempts\":2,\"status\":204", &answer);
    backend_answer_deinit(&answer);
    close_scene(&s);
    http_peer_stop(peer);
    marline__buffer_deinit(&body);
}

static void given_webhook_that_refuses_when_run_ends_then_told_once(void **state)
{
    static const struct http_peer_step script[] = {
        {HTTP_PEER_ANSWER, 302, "Location: http://127.0.0.1:9/\r\n", NULL}};
    struct scene s;
    struct buffer body = BUFFER_INIT;
    struct backend_answer answer;
    struct http_peer *peer = http_peer_start(script, 1);
    open_scene(&s, state);
    marline__buffer_append_format(&body,
                                  "\"webhook\":\"%s/\",\"tests\":[{\"function_name\":\"answer\"}]",
                                  http_peer_url(peer));
    start(&s, body.data);
    serve(&s, hello);
    backend_wait_for_run(s.backend, s.run, "",
                         "\"notice\":{\"delivered\":false,\"attempts\":1,\"status\":302,"
                         "\"error\":\"the receiver answers 302\"}",
                         &answer);
    assert_int_equal(http_peer_request_count(peer), 1);
    backend_answer_deinit(&answer);
    close_scene(&s);
    http_peer_stop(peer);
    marline__buffer_deinit(&body);
}

static void given_receiver_that_is_silent_when_runs_end_then_others_are_told(void **state)
{
    static const struct http_peer_step silence[] = {{HTTP_PEER_HANG, 0, NULL, NULL}};
    static const struct http_peer_step taken[] = {{HTTP_PEER_ANSWER, 204, NULL, NULL}};
    struct scene s;
    struct http_peer *peers[] = {http_peer_start(silence, 1), http_peer_start(taken, 1)};
    open_scene(&s, state);
    for (size_t i = 0; i < 2; i++) {
        struct buffer body = BUFFER_INIT;
        marline__buffer_append_format(
            &body, "\"webhook\":\"%s\",\"tests\":[{\"function_name\":\"answer\"}]",
            http_peer_url(peers[i]));
        start(&s, body.data);
        serve(&s, hello);
        assert_true(http_peer_wait(peers[i], 1)); /* 20 s; the first is given up after 27 */
        marline__buffer_deinit(&body);
    }
    assert_non_null(strstr(http_peer_body(peers[1], 0), s.run));
    close_scene(&s);
    http_peer_stop(peers[0]);
    http_peer_stop(peers[1]);
}

static void given_wrong_member_when_posted_then_400_names_it(void **state)
{
    static const struct {
        const char *rest;
        const char *detail;
    } cases[] = {
        {"\"tests\":[{\"function_name\":\"a\",\"expects\":{}}]",
         "tests[0].expects is no member; there are name, function_name, inputs, expect, metrics, "
         "timeout_ms and retries"},
        {"\"test\":[]", "test is no member; there are project_id, name, environment, webhook, "
                        "concurrency, timeout_ms, retries and tests"},
        {"\"tests\":[{\"function_name\":\"a\"},{\"function_name\":\"a\",\"expect\":{\"min\":\"x\"}}"
         "]",
         "tests[1].expect[0].min must be a number"},
        {"\"tests\":[{\"function_name\":\"a\",\"expect\":[{}]}]",
         "tests[0].expect[0] says nothing: give equals, contains, min, max or exists"},
        {"\"tests\":[{\"function_name\":\"a\",\"metrics\":[{\"min\":1}]}]",
         "tests[0].metrics[0].name is required"},
        {"\"tests\":[{\"function_name\":\"a\",\"name\":7}]", "tests[0].name must be a string"},
        {"\"webhook\":\"file:///etc/passwd\",\"tests\":[{\"function_name\":\"a\"}]",
         "webhook must be an http:// or https:// URL"},
        {"\"webhook\":\"http://\",\"tests\":[{\"function_name\":\"a\"}]",
         "webhook must be an http:// or https:// URL with a host"},
        {"\"timeout_ms\":0,\"tests\":[{\"function_name\":\"a\"}]",
         "timeout_ms must be a whole number from 1 to 86400000"},
    };
    struct backend_process *b = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512];
        (void)snprintf(body, sizeof body, "{\"project_id\":\"" BACKEND_PROJECT "\",%s}",
                       cases[i].rest);
        backend_expect(b, "POST", "/mock/runs", body, 400, cases[i].detail);
    }
    backend_expect(b, "GET", "/mock/runs/" BACKEND_UNKNOWN "/junit", NULL, 404, "not found");
    backend_expect(b, "GET", "/mock/runs/" BACKEND_UNKNOWN "/progress", NULL, 404, "not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_expectations_when_answered_then_judged_with_reason),
        BACKEND_TEST(given_metrics_when_scored_then_threshold_decides),
        BACKEND_TEST(given_unknown_metric_when_run_then_error_names_it),
        BACKEND_TEST(given_metric_under_way_when_cancelled_then_error_keeps_the_output),
        BACKEND_TEST(given_odd_texts_and_retries_when_reported_then_valid_junit),
        BACKEND_TEST(given_webhook_when_run_ends_then_told_and_kept),
        BACKEND_TEST(given_webhook_that_refuses_when_run_ends_then_told_once),
        BACKEND_TEST(given_receiver_that_is_silent_when_runs_end_then_others_are_told),
        BACKEND_TEST(given_wrong_member_when_posted_then_400_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
