/* The backend killed in the middle of a run, and started again on the same store: nothing that was
 * sent is sent again, nothing that was answered is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/backend_fixture.h"
#include "support/http_peer.h"

enum { NAME_SIZE = 64, IDS_SIZE = 160 };

struct restart {
    struct backend_process backend;
    struct ws_peer agent;
    struct buffer text;
    struct buffer executes[2]; /* what was sent before the crash */
    char store[NAME_SIZE];
    char run[NAME_SIZE];
};

static int setup(void **state)
{
    static int number;
    struct restart *r = calloc(1, sizeof *r);
    assert_non_null(r);
    (void)snprintf(r->store, sizeof r->store, "sqlite:resume-%d-%d.db", (int)getpid(), number++);
    const char *const arguments[] = {"--store", r->store, "--log-level", "error", NULL};
    backend_process_start(&r->backend, arguments);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    static const char *const endings[] = {"", ".key", "-wal", "-shm"};
    struct restart *r = *state;
    char path[2 * NAME_SIZE];
    ws_peer_deinit(&r->agent);
    assert_int_equal(backend_process_stop(&r->backend), 0);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        (void)snprintf(path, sizeof path, "%s%s", strchr(r->store, ':') + 1, endings[i]);
        (void)unlink(path);
    }
    marline__buffer_deinit(&r->text);
    marline__buffer_deinit(&r->executes[0]);
    marline__buffer_deinit(&r->executes[1]);
    free(r);
    return 0;
}

/* `name` NULL: none. */
static void start_again_as(struct restart *r, const char *name)
{
    const char *const arguments[] = {
        "--store", r->store, "--log-level", "error", name ? "--name" : NULL, name, NULL};
    ws_peer_deinit(&r->agent);
    backend_process_start(&r->backend, arguments);
}

static void start_again(struct restart *r)
{
    start_again_as(r, NULL);
}

static void restart_as(struct restart *r, const char *name)
{
    backend_process_kill(&r->backend);
    start_again_as(r, name);
}

static void restart(struct restart *r)
{
    restart_as(r, NULL);
}

/* `in_flight`: the invocations that the agent says it has, a JSON array. */
static void connect_agent(struct restart *r, const char *in_flight)
{
    char message[512];
    backend_connect_agent(&r->backend, &r->agent, &r->text);
    (void)snprintf(message, sizeof message,
                   "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
                   "\",\"environment\":\"development\",\"sdk_version\":\"1\",\"functions\":[],"
                   "\"capabilities\":[\"result_ack\",\"in_flight\",\"attempt\"],\"agent_id\":"
                   "\"agent-1\",\"in_flight\":%s}",
                   in_flight);
    ws_peer_send_text(&r->agent, message);
    ws_peer_expect(&r->agent, "\"type\":\"registered\"", &r->text);
}

/* Three tests, two at a time: two are sent, one waits. */
static void begin_run(struct restart *r, const char *options)
{
    char body[512];
    struct backend_answer answer;
    (void)snprintf(body, sizeof body,
                   "{\"project_id\":\"" BACKEND_PROJECT "\",\"concurrency\":2,%s\"tests\":["
                   "{\"function_name\":\"one\"},{\"function_name\":\"two\"},"
                   "{\"function_name\":\"three\"}]}",
                   options);
    backend_request(&r->backend, "POST", "/mock/runs", NULL, body, &answer);
    assert_int_equal(answer.status, 202);
    backend_copy_member(answer.body.data, "test_run_id", r->run, sizeof r->run);
    backend_answer_deinit(&answer);
    ws_peer_expect(&r->agent, "\"function_name\":\"one\"", &r->executes[0]);
    ws_peer_expect(&r->agent, "\"function_name\":\"two\"", &r->executes[1]);
}

/* A JSON array of the first invocations that were sent. */
static void list_ids(const struct restart *r, size_t count, char out[IDS_SIZE])
{
    char id[NAME_SIZE];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        backend_copy_member(r->executes[i].data, "test_run_id", id, sizeof id);
        size += (size_t)snprintf(out + size, IDS_SIZE - size, "%s\"%s\"", i ? "," : "[", id);
    }
    (void)snprintf(out + size, IDS_SIZE - size, "]");
}

static void given_killed_backend_when_started_again_then_the_run_goes_on_to_its_end(void **state)
{
    struct restart *r = *state;
    char ids[IDS_SIZE];
    char first[NAME_SIZE];
    struct backend_answer answer;
    connect_agent(r, "[]");
    begin_run(r, "");
    backend_copy_member(r->executes[0].data, "test_run_id", first, sizeof first);
    backend_post_test_span(&r->backend, r->executes[0].data, "0000000000000001");
    restart(r);
    list_ids(r, 2, ids);
    connect_agent(r, ids);
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    /* Only the third is sent; the other two have been. */
    ws_peer_expect(&r->agent, "\"type\":\"execute_test\"", &r->text);
    assert_non_null(strstr(r->text.data, "\"function_name\":\"three\""));
    backend_send_result(&r->agent, r->text.data, backend_success);
    backend_send_result(&r->agent, r->executes[1].data, backend_success);
    backend_wait_for_run(&r->backend, r->run, "", "\"completed\"", &answer);
    assert_null(strstr(answer.body.data, "\"status\":\"Error\""));
    assert_null(strstr(answer.body.data, "\"attempt\":2"));
    backend_answer_deinit(&answer);
    backend_wait_for_run(&r->backend, r->run, "", "\"spans\":1,\"linked\":1", &answer);
    backend_answer_deinit(&answer);
    /* The acknowledgement was lost, the agent sends again: it is told plainly. */
    restart(r);
    connect_agent(r, "[]");
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    ws_peer_expect(&r->agent, "result_ack", &r->text);
    assert_non_null(strstr(r->text.data, first));
    assert_null(strstr(r->text.data, "reason"));
}

static void given_stopped_backend_when_started_again_then_the_run_goes_on_too(void **state)
{
    struct restart *r = *state;
    char ids[IDS_SIZE];
    struct backend_answer answer;
    connect_agent(r, "[]");
    begin_run(r, "");
    assert_int_equal(backend_process_stop(&r->backend), 0);
    start_again(r);
    list_ids(r, 2, ids);
    connect_agent(r, ids);
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    backend_send_result(&r->agent, r->executes[1].data, backend_success);
    ws_peer_expect(&r->agent, "\"type\":\"execute_test\"", &r->text);
    assert_non_null(strstr(r->text.data, "\"function_name\":\"three\""));
    backend_send_result(&r->agent, r->text.data, backend_success);
    backend_wait_for_run(&r->backend, r->run, "", "\"completed\"", &answer);
    assert_null(strstr(answer.body.data, "\"status\":\"Error\""));
    assert_null(strstr(answer.body.data, "\"attempt\":2"));
    backend_answer_deinit(&answer);
}

static void
given_criteria_when_backend_is_killed_then_answer_is_judged_by_them_afterwards(void **state)
{
    static const char body[] =
        "{\"project_id\":\"" BACKEND_PROJECT "\",\"tests\":[{\"function_name\":\"one\","
        "\"expect\":{\"pointer\":\"/a\",\"equals\":2}}]}";
    struct restart *r = *state;
    char id[NAME_SIZE];
    char ids[NAME_SIZE + 4];
    struct backend_answer answer;
    connect_agent(r, "[]");
    backend_request(&r->backend, "POST", "/mock/runs", NULL, body, &answer);
    backend_copy_member(answer.body.data, "test_run_id", r->run, sizeof r->run);
    backend_answer_deinit(&answer);
    ws_peer_expect(&r->agent, "\"function_name\":\"one\"", &r->executes[0]);
    backend_copy_member(r->executes[0].data, "test_run_id", id, sizeof id);
    restart(r);
    (void)snprintf(ids, sizeof ids, "[\"%s\"]", id);
    connect_agent(r, ids);
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    ws_peer_expect(&r->agent, "\"type\":\"result_ack\"", &r->text);
    backend_wait_for_run(&r->backend, r->run, "", "\"status\":\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"reason\":\"/a: expected 2, found 1.50\""));
    backend_answer_deinit(&answer);
}

static void
given_run_of_another_backend_when_started_on_its_store_then_it_is_left_alone(void **state)
{
    struct restart *r = *state;
    char ids[IDS_SIZE];
    struct backend_answer answer;
    connect_agent(r, "[]");
    begin_run(r, "");
    list_ids(r, 2, ids);
    restart_as(r, "west");
    connect_agent(r, ids);
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    ws_peer_expect(&r->agent, "\"type\":\"result_ack\"", &r->text);
    assert_non_null(strstr(r->text.data, "\"reason\":\"nobody waits"));
    restart(r);
    connect_agent(r, ids);
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    ws_peer_expect(&r->agent, "\"function_name\":\"three\"", &r->text);
    backend_send_result(&r->agent, r->text.data, backend_success);
    backend_send_result(&r->agent, r->executes[1].data, backend_success);
    backend_wait_for_run(&r->backend, r->run, "", "\"completed\"", &answer);
    assert_null(strstr(answer.body.data, "\"status\":\"Error\""));
    backend_answer_deinit(&answer);
}

static void given_invocation_lost_in_the_crash_when_agent_reports_then_error_at_once(void **state)
{
    struct restart *r = *state;
    char ids[IDS_SIZE];
    struct backend_answer answer;
    connect_agent(r, "[]");
    begin_run(r, "");
    restart(r);
    list_ids(r, 1, ids);
    connect_agent(r, ids);
    ws_peer_expect(&r->agent, "\"function_name\":\"three\"", &r->text);
    backend_send_result(&r->agent, r->text.data, backend_success);
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    backend_wait_for_run(&r->backend, r->run, "", "\"completed\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"error\":\"lost: "));
    backend_answer_deinit(&answer);
}

static void given_lost_invocation_with_retries_when_reported_then_next_attempt_is_sent(void **state)
{
    struct restart *r = *state;
    char ids[IDS_SIZE];
    connect_agent(r, "[]");
    begin_run(r, "\"retries\":1,");
    restart(r);
    list_ids(r, 1, ids);
    connect_agent(r, ids);
    ws_peer_expect(&r->agent, "\"function_name\":\"three\"", &r->text);
    backend_send_result(&r->agent, r->text.data, backend_success);
    ws_peer_expect(&r->agent, "\"function_name\":\"two\"", &r->text);
    assert_non_null(strstr(r->text.data, "\"attempt\":2"));
}

static void given_cancelled_run_when_killed_and_started_again_then_it_ends_cancelled(void **state)
{
    struct restart *r = *state;
    struct backend_answer answer;
    char path[2 * NAME_SIZE];
    connect_agent(r, "[]");
    begin_run(r, "");
    backend_expect(&r->backend, "PUT", "/mock/gates", "{\"result.store\":true}", 200, "true");
    (void)snprintf(path, sizeof path, "/mock/runs/%s/cancel", r->run);
    backend_expect(&r->backend, "POST", path, "", 202, "\"status\":\"cancelled\"");
    backend_wait_for_run(&r->backend, r->run, "", "\"status\":\"cancelling\"", &answer);
    backend_answer_deinit(&answer);
    restart(r);
    backend_wait_for_run(&r->backend, r->run, "", "\"status\":\"cancelled\"", &answer);
    assert_non_null(strstr(answer.body.data, "\"error\":\"cancelled\""));
    backend_answer_deinit(&answer);
    connect_agent(r, "[]");
    backend_send_result(&r->agent, r->executes[0].data, backend_success); /* late */
    ws_peer_expect(&r->agent, "result_ack", &r->text);
    assert_null(strstr(r->text.data, "reason"));
}

/* As of another store, or of a trigger whose caller is gone. */
static void given_backend_killed_before_webhook_answers_when_started_again_then_told(void **state)
{
    static const struct http_peer_step script[] = {{HTTP_PEER_HANG, 0, NULL, NULL},
                                                   {HTTP_PEER_ANSWER, 204, NULL, NULL}};
    struct restart *r = *state;
    struct http_peer *peer = http_peer_start(script, 2);
    struct backend_answer answer;
    char options[2 * NAME_SIZE];
    connect_agent(r, "[]");
    (void)snprintf(options, sizeof options, "\"webhook\":\"%s/?k=v\",", http_peer_url(peer));
    begin_run(r, options);
    backend_send_result(&r->agent, r->executes[0].data, backend_success);
    backend_send_result(&r->agent, r->executes[1].data, backend_success);
    ws_peer_expect(&r->agent, "\"function_name\":\"three\"", &r->text);
    backend_send_result(&r->agent, r->text.data, backend_success);
    assert_true(http_peer_wait(peer, 1));
    restart(r);
    assert_true(http_peer_wait(peer, 2));
    for (size_t i = 0; i < 2; i++) { /* both name the run, so the receiver knows the repeat */
        assert_non_null(strstr(http_peer_head(peer, i), r->run));
        assert_non_null(strstr(http_peer_body(peer, i), r->run));
    }
    backend_wait_for_run(&r->backend, r->run, "", "\"notice\":{\"delivered\":true", &answer);
    backend_answer_deinit(&answer);
    http_peer_stop(peer);
}

static void given_unknown_result_when_sent_then_acknowledged_with_the_reason(void **state)
{
    struct restart *r = *state;
    connect_agent(r, "[]");
    ws_peer_send_text(&r->agent, "{\"type\":\"test_result\",\"test_run_id\":\"run_never\","
                                 "\"status\":\"success\",\"output\":null,\"error\":null,"
                                 "\"duration_ms\":1,\"trace_id\":null}");
    ws_peer_expect(&r->agent, "result_ack", &r->text);
    assert_string_equal(r->text.data,
                        "{\"type\":\"result_ack\",\"test_run_id\":\"run_never\",\"reason\":"
                        "\"nobody waits for this invocation, or not any more\"}");
}

int main(void)
{
#define RESTART_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        RESTART_TEST(given_killed_backend_when_started_again_then_the_run_goes_on_to_its_end),
        RESTART_TEST(given_stopped_backend_when_started_again_then_the_run_goes_on_too),
        RESTART_TEST(
            given_criteria_when_backend_is_killed_then_answer_is_judged_by_them_afterwards),
        RESTART_TEST(given_run_of_another_backend_when_started_on_its_store_then_it_is_left_alone),
        RESTART_TEST(given_invocation_lost_in_the_crash_when_agent_reports_then_error_at_once),
        RESTART_TEST(given_lost_invocation_with_retries_when_reported_then_next_attempt_is_sent),
        RESTART_TEST(given_cancelled_run_when_killed_and_started_again_then_it_ends_cancelled),
        RESTART_TEST(given_backend_killed_before_webhook_answers_when_started_again_then_told),
        RESTART_TEST(given_unknown_result_when_sent_then_acknowledged_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
