/* The flaws F1 to F16 that the reference is known for, each a scenario that is right here: real
 * program, real sockets, SQLite or (argument "postgresql") PostgreSQL. F9 to F11, about
 * conversations of several turns, by POST /endpoints/{id}/invoke. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/time_text.h"
#include "support/backend_fixture.h"
#ifdef HAVE_POSTGRES
#include "support/postgres_fixture.h"

static struct postgres_server server;
#endif

enum { TEXT_SIZE = 64, TESTS_MAX = 3, URL_SIZE = 192 };

static const char in_memory[] = "sqlite::memory:";
static char store[URL_SIZE] = "sqlite::memory:";

struct scene {
    struct backend_process b;
    struct ws_peer agent;
    struct buffer text;
    struct buffer execute[TESTS_MAX]; /* what the agent was sent */
    char run[TEXT_SIZE];
};

/* ---- fixture ---- */

static void start_scene(struct scene *s)
{
    backend_process_start(&s->b, (const char *const[]){"--store", store, "--api-key",
                                                       "rh-flaws-0123456789", "--log-level",
                                                       "error", NULL});
    backend_connect_agent(&s->b, &s->agent, &s->text);
    backend_register_agent(&s->agent, &s->text);
}

static int setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    assert_non_null(s);
#ifdef HAVE_POSTGRES
    if (server.pid > 0) {
        assert_true(postgres_fixture_empty(&server));
    }
#endif
    start_scene(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    ws_peer_deinit(&s->agent);
    assert_int_equal(backend_process_stop(&s->b), 0);
    marline__buffer_deinit(&s->text);
    for (size_t i = 0; i < TESTS_MAX; i++) {
        marline__buffer_deinit(&s->execute[i]);
    }
    free(s);
    return 0;
}

/* In memory there is nothing to come back to. */
static int setup_on_disk(void **state)
{
    if (strcmp(store, in_memory) == 0) {
        (void)snprintf(store, sizeof store, "sqlite:flaws-%d.db", (int)getpid());
    }
    return setup(state);
}

static int teardown_on_disk(void **state)
{
    static const char *const endings[] = {"", ".key", "-wal", "-shm"};
    int code = teardown(state);
    for (size_t i = 0; i < 4 && strncmp(store, "sqlite:", 7) == 0; i++) {
        char path[URL_SIZE + 8];
        (void)snprintf(path, sizeof path, "%s%s", strchr(store, ':') + 1, endings[i]);
        (void)unlink(path);
    }
    if (strncmp(store, "sqlite:", 7) == 0) {
        (void)snprintf(store, sizeof store, "%s", in_memory);
    }
    return code;
}

/* Starts a run of `tests`, all at once or one after the other, and takes what is sent at first. */
static void start_run(struct scene *s, unsigned tests, unsigned concurrency, const char *more)
{
    struct buffer body = BUFFER_INIT;
    struct backend_answer answer;
    marline__buffer_append_format(
        &body, "{\"project_id\":\"" BACKEND_PROJECT "\",\"concurrency\":%u%s,\"tests\":[",
        concurrency, more);
    for (unsigned i = 0; i < tests; i++) {
        marline__buffer_append_format(
            &body, "%s{\"function_name\":\"answer\",\"inputs\":{\"input\":\"%u\"}}", i ? "," : "",
            i);
    }
    marline__buffer_append_text(&body, "]}");
    backend_request(&s->b, "POST", "/mock/runs", NULL, body.data, &answer);
    assert_int_equal(answer.status, 202);
    backend_copy_member(answer.body.data, "test_run_id", s->run, sizeof s->run);
    backend_answer_deinit(&answer);
    marline__buffer_deinit(&body);
    for (unsigned i = 0; i < concurrency && i < tests; i++) {
        ws_peer_expect(&s->agent, "\"type\":\"execute_test\"", &s->execute[i]);
    }
}

static void wait_for_run(struct scene *s, const char *suffix, const char *mark)
{
    struct backend_answer answer;
    backend_wait_for_run(&s->b, s->run, suffix, mark, &answer);
    backend_answer_deinit(&answer);
}

static void wait_for(struct scene *s, const char *path, const char *mark)
{
    struct backend_answer answer;
    backend_wait_for(&s->b, path, mark, &answer);
    backend_answer_deinit(&answer);
}

static void append_span(struct buffer *body, unsigned trace, unsigned span, const char *rest)
{
    marline__buffer_append_format(
        body,
        "%s{\"trace_id\":\"%032x\",\"span_id\":\"%016x\",\"span_name\":\"function.answer\","
        "\"start_time\":\"2026-01-01T00:00:%02uZ\",\"end_time\":\"2026-01-01T00:01:00Z\"%s}",
        body->size ? "," : "{\"spans\":[", trace, span, span % 60, rest);
}

/* A span that belongs to the test of an execute_test. */
static void append_test_span(struct buffer *body, unsigned trace, unsigned span,
                             const char *execute)
{
    static const char *const names[] = {"test_run_id", "test_id", "test_configuration_id"};
    char ids[3][TEXT_SIZE];
    char rest[512];
    const char *context = strstr(execute, "_rhesis_test_context");
    assert_non_null(context);
    for (size_t i = 0; i < 3; i++) {
        backend_copy_member(context, names[i], ids[i], sizeof ids[i]);
    }
    (void)snprintf(rest, sizeof rest,
                   ",\"attributes\":{\"rhesis.test.run_id\":\"%s\",\"rhesis.test.id\":\"%s\","
                   "\"rhesis.test.configuration_id\":\"%s\"}",
                   ids[0], ids[1], ids[2]);
    append_span(body, trace, span, rest);
}

static void post(struct scene *s, struct buffer *body)
{
    marline__buffer_append_text(body, "]}");
    backend_expect(&s->b, "POST", "/telemetry/traces", body->data, 200, "received");
    marline__buffer_deinit(body);
}

static void post_test_span(struct scene *s, unsigned trace, unsigned span, const char *execute)
{
    struct buffer body = BUFFER_INIT;
    append_test_span(&body, trace, span, execute);
    post(s, &body);
}

static void answer_test(struct scene *s, unsigned test)
{
    backend_send_result(&s->agent, s->execute[test].data, backend_success);
}

/* Of the run that the ids below name; not one of this backend. */
#define REST_IDS(test)                                                                             \
    "\"test_run_id\":\"aaaaaaaa-0000-4000-8000-000000000001\",\"test_id\":\"" test                 \
    "\",\"test_configuration_id\":\"aaaaaaaa-0000-4000-8000-000000000003\""
#define REST_CONTEXT "_rhesis_test_context " REST_IDS("aaaaaaaa-0000-4000-8000-000000000002")

/* ---- the flaws ---- */

static void
f1_given_fast_test_when_its_spans_come_later_then_linked_at_point_2_for_good(void **state)
{
    struct scene *s = *state;
    start_run(s, 1, 1, "");
    answer_test(s, 0);
    wait_for_run(s, "", "\"completed\"");
    post_test_span(s, 1, 1, s->execute[0].data);
    wait_for_run(s, "/spans", "\"link_source\":\"ingest\"");
    wait_for_run(s, "", "\"linked\":1");
}

static void
f2_given_post_of_mixed_tests_and_a_stray_span_when_stored_then_each_test_linked(void **state)
{
    struct scene *s = *state;
    struct buffer body = BUFFER_INIT;
    start_run(s, 3, 3, "");
    answer_test(s, 0);
    answer_test(s, 1);
    wait_for_run(s, "/timeline", "\"result_found\":true");
    append_span(&body, 9, 1, "");                      /* a production span comes first */
    append_test_span(&body, 3, 2, s->execute[2].data); /* of the slow test */
    append_test_span(&body, 1, 3, s->execute[0].data);
    append_test_span(&body, 2, 4, s->execute[1].data);
    post(s, &body);
    wait_for(s, "/mock/ledger", "\"linked\":2,\"waiting\":1,\"without_context\":1");
    answer_test(s, 2);
    wait_for(s, "/mock/ledger", "\"linked\":3,\"waiting\":0,\"without_context\":1");
}

static void
f3_given_result_not_committed_when_spans_commit_then_linked_without_the_sweeper(void **state)
{
    struct scene *s = *state;
    backend_expect(&s->b, "PUT", "/mock/gates", "{\"result.store\":true}", 200, "\"shut\":true");
    start_run(s, 1, 1, "");
    answer_test(s, 0);
    wait_for(s, "/mock/gates", "\"result.store\":{\"shut\":true,\"waiting\":1");
    post_test_span(s, 1, 1, s->execute[0].data);
    wait_for_run(s, "/timeline", "\"result_found\":false"); /* point 2 has looked in vain */
    backend_expect(&s->b, "PUT", "/mock/gates", "{\"result.store\":false}", 200, "false");
    wait_for_run(s, "/spans", "\"link_source\":\"result\"");
}

static void
f3_given_spans_not_committed_when_result_commits_then_linked_without_the_sweeper(void **state)
{
    struct scene *s = *state;
    struct buffer body = BUFFER_INIT;
    struct buffer request = BUFFER_INIT;
    struct buffer answer = BUFFER_INIT;
    backend_expect(&s->b, "PUT", "/mock/gates", "{\"spans.store\":true}", 200, "\"shut\":true");
    start_run(s, 1, 1, "");
    append_test_span(&body, 1, 1, s->execute[0].data);
    marline__buffer_append_text(&body, "]}");
    marline__buffer_append_format(
        &request,
        "POST /telemetry/traces HTTP/1.1\r\nHost: h\r\nConnection: "
        "close\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n",
        s->b.api_key, body.size);
    marline__buffer_append_slice(&request, marline__buffer_slice(&body));
    int socket = tcp_connect(s->b.port);
    tcp_send(socket, request.data, request.size);
    wait_for(s, "/mock/gates", "\"spans.store\":{\"shut\":true,\"waiting\":1");
    answer_test(s, 0);
    wait_for_run(s, "/timeline", "\"point\":\"result\""); /* point 1 has looked in vain */
    backend_expect(&s->b, "PUT", "/mock/gates", "{\"spans.store\":false}", 200, "false");
    tcp_read_all(socket, &answer);
    (void)close(socket);
    wait_for_run(s, "/spans", "\"link_source\":\"ingest\"");
    marline__buffer_deinit(&body);
    marline__buffer_deinit(&request);
    marline__buffer_deinit(&answer);
}

static void f4_given_sequential_run_when_it_goes_on_then_what_has_ended_is_linked(void **state)
{
    struct scene *s = *state;
    start_run(s, 3, 1, "");
    for (unsigned i = 0; i < 2; i++) {
        char linked[40];
        answer_test(s, i);
        post_test_span(s, i + 1, i + 1, s->execute[i].data);
        (void)snprintf(linked, sizeof linked, "\"linked\":%u,\"waiting\":0", i + 1);
        wait_for(s, "/mock/ledger", linked);
        ws_peer_expect(&s->agent, "\"type\":\"execute_test\"", &s->execute[i + 1]);
    }
    wait_for_run(s, "", "\"status\":\"running\""); /* the third has not been answered */
}

static void f5_given_both_points_lost_when_time_passes_then_the_sweeper_links(void **state)
{
    struct scene *s = *state;
    backend_expect(&s->b, "PUT", "/mock/link-points", "{\"result\":false,\"ingest\":false}", 200,
                   "\"sweep\":true");
    start_run(s, 1, 1, "");
    post_test_span(s, 1, 1, s->execute[0].data);
    answer_test(s, 0);
    wait_for_run(s, "/spans", "\"link_source\":\"sweep\"");
}

static void f6_given_spans_when_result_comes_over_rest_then_linked(void **state)
{
    struct scene *s = *state;
    backend_expect(&s->b, "PUT", "/mock/link-points", "{\"ingest\":false,\"sweep\":false}", 200,
                   "\"result\":true");
    post_test_span(s, 1, 1, REST_CONTEXT);
    backend_expect(&s->b, "POST", "/test_results/",
                   "{" REST_IDS("aaaaaaaa-0000-4000-8000-000000000002") "}", 200, "\"id\":");
    wait_for(s, "/mock/ledger", "\"links_by_source\":{\"result\":1");
}

static void f7_given_misspelt_key_when_posted_then_only_the_right_one_names_the_test(void **state)
{
    struct scene *s = *state;
    struct buffer body = BUFFER_INIT;
    start_run(s, 1, 1, "");
    assert_null(strstr(s->execute[0].data, "configuration_id\":null"));
    answer_test(s, 0);
    wait_for_run(s, "", "\"completed\"");
    append_span(&body, 2, 2,
                ",\"attributes\":{\"rhesis.test.run_id\":\"aaaaaaaa-0000-4000-8000-000000000001\","
                "\"rhesis.test.id\":\"aaaaaaaa-0000-4000-8000-000000000002\","
                "\"rhesis.test.test_configuration_id\":"
                "\"aaaaaaaa-0000-4000-8000-000000000003\"}");
    append_test_span(&body, 1, 1, s->execute[0].data);
    post(s, &body);
    wait_for(s, "/mock/ledger", "\"linked\":1,\"waiting\":0,\"without_context\":1");
}

static void
f8_given_second_result_for_a_key_when_spans_follow_then_the_first_takes_them(void **state)
{
    struct scene *s = *state;
    static const char body[] = "{" REST_IDS("aaaaaaaa-0000-4000-8000-000000000002") "}";
    struct backend_answer answer;
    char first[TEXT_SIZE];
    char second[TEXT_SIZE];
    backend_request(&s->b, "POST", "/test_results", NULL, body, &answer);
    backend_copy_member(answer.body.data, "id", first, sizeof first);
    backend_answer_deinit(&answer);
    backend_request(&s->b, "POST", "/test_results", NULL, body, &answer);
    backend_copy_member(answer.body.data, "id", second, sizeof second);
    backend_answer_deinit(&answer);
    assert_string_not_equal(first, second);
    post_test_span(s, 1, 1, REST_CONTEXT);
    wait_for(s, "/mock/ledger", "\"linked\":1");
    char path[128];
    (void)snprintf(path, sizeof path, "/telemetry/traces?test_result_id=%s", first);
    wait_for(s, path, "00000000000000000000000000000001");
    (void)snprintf(path, sizeof path, "/telemetry/traces?test_result_id=%s", second);
    backend_expect(&s->b, "GET", path, NULL, 200, "\"total\":0");
}

static void
f8_given_failed_attempt_when_retried_then_each_trace_stays_with_its_attempt(void **state)
{
    struct scene *s = *state;
    char rest[256];
    struct backend_answer answer;
    ws_peer_deinit(&s->agent);
    backend_connect_agent(&s->b, &s->agent, &s->text);
    ws_peer_send_text(&s->agent, "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
                                 "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                                 "\"functions\":[],\"capabilities\":[\"attempt\"]}");
    ws_peer_expect(&s->agent, "registered", &s->text);
    start_run(s, 1, 1, ",\"retries\":1");
    for (unsigned i = 1; i <= 2; i++) { /* spans that do not say which: by the reported trace */
        post_test_span(s, i, i, s->execute[0].data);
        (void)snprintf(rest, sizeof rest,
                       "\"status\":\"%s\",\"output\":null,\"error\":\"e\",\"duration_ms\":1,"
                       "\"trace_id\":\"%032x\"",
                       i == 1 ? "error" : "success", i);
        backend_send_result(&s->agent, s->execute[0].data, rest);
        if (i == 1) {
            ws_peer_expect(&s->agent, "\"attempt\":2", &s->execute[0]);
        }
    }
    wait_for_run(s, "", "\"completed\"");
    wait_for(s, "/mock/ledger", "\"linked\":2,\"waiting\":0");
    char results[2][TEXT_SIZE];
    backend_wait_for_run(&s->b, s->run, "/spans", "\"test_result_id\":\"", &answer);
    backend_copy_member(answer.body.data, "test_result_id", results[0], TEXT_SIZE);
    const char *next = strstr(strstr(answer.body.data, results[0]), "\"span_id\"");
    assert_non_null(next);
    backend_copy_member(next, "test_result_id", results[1], TEXT_SIZE);
    backend_answer_deinit(&answer);
    assert_string_not_equal(results[0], results[1]);
}

/* ---- conversations ---- */

struct turn {
    int socket;
    struct buffer execute; /* what the agent was sent */
    uint64_t begun_ns;     /* when the agent had it: its root starts here */
};

static void find_endpoint(struct scene *s, char id[TEXT_SIZE])
{
    struct backend_answer answer;
    ws_peer_send_text(&s->agent, "{\"type\":\"register\",\"project_id\":\"" BACKEND_PROJECT
                                 "\",\"environment\":\"development\",\"sdk_version\":\"1\","
                                 "\"functions\":[{\"name\":\"answer\",\"parameters\":{},"
                                 "\"return_type\":\"dict\",\"metadata\":{}}]}");
    ws_peer_expect(&s->agent, "\"type\":\"registered\"", &s->text);
    backend_request(&s->b, "GET", "/endpoints", NULL, NULL, &answer);
    backend_copy_member(answer.body.data, "id", id, TEXT_SIZE);
    backend_answer_deinit(&answer);
}

/* `more` are further members of the request. */
static struct turn begin_turn(struct scene *s, const char *input, const char *more)
{
    struct turn turn = {.execute = BUFFER_INIT};
    char endpoint[TEXT_SIZE];
    char body[256];
    char request[768];
    find_endpoint(s, endpoint);
    int size = snprintf(body, sizeof body, "{\"input\":\"%s\"%s}", input, more);
    int n = snprintf(request, sizeof request,
                     "POST /endpoints/%s/invoke HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
                     "Connection: close\r\nContent-Length: %d\r\n\r\n%s",
                     endpoint, s->b.api_key, size, body);
    turn.socket = tcp_connect(s->b.port);
    tcp_send(turn.socket, request, (size_t)n);
    ws_peer_expect(&s->agent, "\"type\":\"execute_test\"", &turn.execute);
    turn.begun_ns = marline__clock_wall_ns(marline__clock_system());
    return turn;
}

/* The agent answers, and the caller has it. */
static void end_turn(struct scene *s, struct turn *turn, unsigned trace, const char *output)
{
    struct buffer answer = BUFFER_INIT;
    char rest[256];
    (void)snprintf(rest, sizeof rest,
                   "\"status\":\"success\",\"output\":{\"output\":\"%s\","
                   "\"conversation_id\":\"talk-1\"},\"duration_ms\":1,\"trace_id\":\"%032x\"",
                   output, trace);
    backend_send_result(&s->agent, turn->execute.data, rest);
    tcp_read_all(turn->socket, &answer);
    (void)snprintf(rest, sizeof rest, "\"output\":\"%s\"", output);
    if (!strstr(answer.data, "HTTP/1.1 200") || !strstr(answer.data, rest)) {
        fail_msg("no %s in %s", rest, answer.data);
    }
    (void)close(turn->socket);
    marline__buffer_deinit(&answer);
    marline__buffer_deinit(&turn->execute);
}

/* The root of a turn, as the SDK makes it. */
static void append_root(struct buffer *body, unsigned trace, unsigned span, uint64_t start_ns,
                        const char *input)
{
    char start[TIME_TEXT_SIZE];
    marline__time_format(start_ns, start);
    marline__buffer_append_format(
        body,
        "%s{\"trace_id\":\"%032x\",\"span_id\":\"%016x\",\"span_name\":\"function.answer\","
        "\"start_time\":\"%s\",\"end_time\":\"2099-01-01T00:00:00Z\","
        "\"attributes\":{\"rhesis.conversation.input\":\"%s\"}}",
        body->size ? "," : "{\"spans\":[", trace, span, start, input);
}

static void post_root(struct scene *s, unsigned span, uint64_t start_ns, const char *input)
{
    struct buffer body = BUFFER_INIT;
    append_root(&body, 1, span, start_ns, input);
    post(s, &body);
}

/* What trace 1 shows as the output of a span; "" when nothing. */
static void read_output(struct scene *s, unsigned span, char out[TEXT_SIZE])
{
    static const char path[] =
        "/telemetry/traces/00000000000000000000000000000001?project_id=" BACKEND_PROJECT;
    struct backend_answer answer;
    char mark[TEXT_SIZE];
    backend_request(&s->b, "GET", path, NULL, NULL, &answer);
    assert_int_equal(answer.status, 200);
    (void)snprintf(mark, sizeof mark, "\"span_id\":\"%016x\"", span);
    char *node = strstr(answer.body.data, mark);
    assert_non_null(node);
    char *end = strstr(node, "\"children\"");
    assert_non_null(end);
    *end = '\0';
    out[0] = '\0';
    if (strstr(node, "rhesis.conversation.output")) {
        backend_copy_member(node, "rhesis.conversation.output", out, TEXT_SIZE);
    }
    backend_answer_deinit(&answer);
}

static void expect_output(struct scene *s, unsigned span, const char *expected)
{
    char output[TEXT_SIZE];
    read_output(s, span, output);
    assert_string_equal(output, expected);
}

#define TALK ",\"conversation_id\":\"talk-1\""
#define TALK_CONTEXT                                                                               \
    "{\"conversation_id\":\"talk-1\",\"trace_id\":\"00000000000000000000000000000001\","           \
    "\"mapped_input\":"
#define TALK_LIST "/telemetry/traces?project_id=" BACKEND_PROJECT "&conversation_id=talk-1"

static void f9_given_conversation_when_turns_follow_then_all_continue_its_one_trace(void **state)
{
    struct scene *s = *state;
    struct turn turn = begin_turn(s, "hello", "");
    assert_non_null(
        strstr(turn.execute.data, "\"_rhesis_conversation_context\":{\"mapped_input\":\"hello\"}"));
    post_root(s, 1, turn.begun_ns, "hello"); /* nobody knows the conversation yet */
    end_turn(s, &turn, 1, "one");
    turn = begin_turn(s, "go on", TALK);
    assert_non_null(strstr(turn.execute.data, TALK_CONTEXT "\"go on\"}"));
    end_turn(s, &turn, 1, "two");
    turn = begin_turn(s, "and on", TALK);
    assert_non_null(strstr(turn.execute.data, TALK_CONTEXT "\"and on\"}"));
    end_turn(s, &turn, 1, "three");
    backend_expect(&s->b, "GET", TALK_LIST, NULL, 200, "\"conversation_id\":\"talk-1\"");
    backend_expect(&s->b, "GET", TALK_LIST "&trace_type=Multi-Turn", NULL, 200, "\"total\":1");
    backend_expect(&s->b, "GET", TALK_LIST "&trace_type=Single-Turn", NULL, 200, "\"total\":0");
}

/* The same question twice, so that only the time tells the two roots apart. */
static void
f10_given_two_turn_roots_in_one_post_when_stored_then_each_shows_its_own_output(void **state)
{
    struct scene *s = *state;
    struct buffer body = BUFFER_INIT;
    struct turn first = begin_turn(s, "more", "");
    end_turn(s, &first, 1, "one");
    struct turn second = begin_turn(s, "more", TALK);
    end_turn(s, &second, 1, "two");
    append_root(&body, 1, 2, second.begun_ns, "more");
    append_root(&body, 1, 1, first.begun_ns, "more");
    post(s, &body);
    expect_output(s, 1, "one");
    expect_output(s, 2, "two");
    backend_expect(&s->b, "GET", "/telemetry/traces?search=two&project_id=" BACKEND_PROJECT, NULL,
                   200, "\"total\":1");
}

static void
f10_given_root_before_its_result_when_read_then_never_the_output_of_another_turn(void **state)
{
    struct scene *s = *state;
    struct turn first = begin_turn(s, "more", "");
    end_turn(s, &first, 1, "one");
    struct turn second = begin_turn(s, "more", TALK);
    post_root(s, 2, second.begun_ns, "more"); /* while the turn is under way, before the first's */
    expect_output(s, 2, "");
    end_turn(s, &second, 1, "two");
    expect_output(s, 2, "two");
    post_root(s, 1, first.begun_ns, "more");
    expect_output(s, 1, "one");
    expect_output(s, 2, "two");
}

static void
f10_given_agent_whose_clock_is_wrong_when_all_roots_are_there_then_told_apart_by_order(void **state)
{
    struct scene *s = *state;
    struct turn first = begin_turn(s, "more", "");
    end_turn(s, &first, 1, "one");
    struct turn second = begin_turn(s, "more", TALK);
    end_turn(s, &second, 1, "two");
    post_root(s, 2, second.begun_ns - 3600 * NS_PER_S, "more");
    expect_output(s, 2, ""); /* it could be either */
    post_root(s, 1, first.begun_ns - 3600 * NS_PER_S, "more");
    expect_output(s, 1, "one");
    expect_output(s, 2, "two");
}

static void
f11_given_killed_backend_when_the_conversation_goes_on_then_in_its_one_trace(void **state)
{
    struct scene *s = *state;
    struct turn turn = begin_turn(s, "hello", "");
    end_turn(s, &turn, 1, "one");
    backend_process_kill(&s->b);
    ws_peer_deinit(&s->agent);
    start_scene(s);
    uint64_t first_ns = turn.begun_ns;
    turn = begin_turn(s, "go on", TALK);
    assert_non_null(strstr(turn.execute.data, TALK_CONTEXT "\"go on\"}"));
    end_turn(s, &turn, 1, "two");
    post_root(s, 1, first_ns, "hello");
    expect_output(s, 1, "one");
    backend_expect(&s->b, "GET", TALK_LIST, NULL, 200, "\"total\":1");
}

static void
f12_given_connection_lost_in_mid_call_when_result_comes_on_the_next_then_taken(void **state)
{
    struct scene *s = *state;
    start_run(s, 1, 1, "");
    ws_peer_deinit(&s->agent);
    backend_connect_agent(&s->b, &s->agent, &s->text);
    backend_register_agent(&s->agent, &s->text);
    answer_test(s, 0);
    wait_for_run(s, "", "\"completed\"");
    wait_for_run(s, "", "\"status\":\"Pass\"");
}

static void f13_given_stale_connection_when_it_ends_then_the_live_route_stays(void **state)
{
    struct scene *s = *state;
    struct ws_peer stale = s->agent;
    backend_connect_agent(&s->b, &s->agent, &s->text);
    backend_register_agent(&s->agent, &s->text);
    ws_peer_deinit(&stale);
    wait_for(s, "/metrics", "\nmarline_agents 1\n");
    start_run(s, 1, 1, "");
    answer_test(s, 0);
    wait_for_run(s, "", "\"status\":\"Pass\"");
}

static void
f14_given_unknown_ids_in_a_batch_when_posted_then_all_stored_and_the_rest_linked(void **state)
{
    struct scene *s = *state;
    struct buffer body = BUFFER_INIT;
    start_run(s, 1, 1, "");
    answer_test(s, 0);
    wait_for_run(s, "", "\"completed\"");
    append_test_span(&body, 1, 1, REST_CONTEXT);
    append_test_span(&body, 2, 2, s->execute[0].data);
    post(s, &body);
    wait_for(s, "/mock/ledger",
             "\"stored\":2,\"rejected\":0,\"duplicate\":0,\"linked\":1,"
             "\"waiting\":1");
}

static void f15_given_enriched_trace_when_a_span_is_added_then_it_enters_the_totals(void **state)
{
    struct scene *s = *state;
    static const char path[] =
        "/telemetry/traces/00000000000000000000000000000001?project_id=" BACKEND_PROJECT;
    static const char tokens[] = ",\"attributes\":{\"ai.model.name\":\"gpt-4o-mini\","
                                 "\"ai.llm.tokens.input\":1000,\"ai.llm.tokens.total\":1000}";
    struct buffer first = BUFFER_INIT;
    struct buffer second = BUFFER_INIT;
    append_span(&first, 1, 1, tokens);
    post(s, &first);
    wait_for(s, "/metrics", "\nmarline_enricher_behind 0\n");
    backend_expect(&s->b, "GET", path, NULL, 200, "\"total_tokens\":1000");
    append_span(&second, 1, 2, tokens);
    post(s, &second);
    backend_expect(&s->b, "GET", path, NULL, 200, "\"total_tokens\":2000");
}

static void
f16_given_conversation_with_unlinked_last_turn_when_listed_by_result_then_found(void **state)
{
    struct scene *s = *state;
    struct buffer body = BUFFER_INIT;
    struct backend_answer answer;
    char result[TEXT_SIZE];
    char path[128];
    start_run(s, 1, 1, "");
    answer_test(s, 0);
    wait_for_run(s, "", "\"completed\"");
    append_test_span(&body, 1, 1, s->execute[0].data);
    append_test_span(&body, 1, 2, REST_CONTEXT); /* the newer turn, of a test without result */
    post(s, &body);
    wait_for(s, "/mock/ledger", "\"linked\":1,\"waiting\":1");
    backend_wait_for_run(&s->b, s->run, "", "\"completed\"", &answer);
    backend_copy_member(answer.body.data, "test_result_id", result, sizeof result);
    backend_answer_deinit(&answer);
    (void)snprintf(path, sizeof path, "/telemetry/traces?test_result_id=%s", result);
    backend_expect(&s->b, "GET", path, NULL, 200, "00000000000000000000000000000001");
}

#define FLAW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static int run_all(const char *name)
{
    const struct CMUnitTest tests[] = {
        FLAW(f1_given_fast_test_when_its_spans_come_later_then_linked_at_point_2_for_good),
        FLAW(f2_given_post_of_mixed_tests_and_a_stray_span_when_stored_then_each_test_linked),
        FLAW(f3_given_result_not_committed_when_spans_commit_then_linked_without_the_sweeper),
        FLAW(f3_given_spans_not_committed_when_result_commits_then_linked_without_the_sweeper),
        FLAW(f4_given_sequential_run_when_it_goes_on_then_what_has_ended_is_linked),
        FLAW(f5_given_both_points_lost_when_time_passes_then_the_sweeper_links),
        FLAW(f6_given_spans_when_result_comes_over_rest_then_linked),
        FLAW(f7_given_misspelt_key_when_posted_then_only_the_right_one_names_the_test),
        FLAW(f8_given_second_result_for_a_key_when_spans_follow_then_the_first_takes_them),
        FLAW(f8_given_failed_attempt_when_retried_then_each_trace_stays_with_its_attempt),
        FLAW(f9_given_conversation_when_turns_follow_then_all_continue_its_one_trace),
        FLAW(f10_given_two_turn_roots_in_one_post_when_stored_then_each_shows_its_own_output),
        FLAW(f10_given_root_before_its_result_when_read_then_never_the_output_of_another_turn),
        FLAW(
            f10_given_agent_whose_clock_is_wrong_when_all_roots_are_there_then_told_apart_by_order),
        cmocka_unit_test_setup_teardown(
            f11_given_killed_backend_when_the_conversation_goes_on_then_in_its_one_trace,
            setup_on_disk, teardown_on_disk),
        FLAW(f12_given_connection_lost_in_mid_call_when_result_comes_on_the_next_then_taken),
        FLAW(f13_given_stale_connection_when_it_ends_then_the_live_route_stays),
        FLAW(f14_given_unknown_ids_in_a_batch_when_posted_then_all_stored_and_the_rest_linked),
        FLAW(f15_given_enriched_trace_when_a_span_is_added_then_it_enters_the_totals),
        FLAW(f16_given_conversation_with_unlinked_last_turn_when_listed_by_result_then_found),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        return run_all("sqlite");
    }
    int code = 77;
#ifdef HAVE_POSTGRES
    code = postgres_fixture_start(&server, false);
    if (code == 0) {
        postgres_server_url(&server, store, sizeof store);
        code = run_all(argv[1]);
    }
    postgres_server_stop(&server);
#else
    (void)fprintf(stderr, "%s: libpq-dev is not installed\n", argv[1]);
#endif
    return code;
}
