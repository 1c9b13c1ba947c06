/* The platform's entities over REST: created, listed, changed, deleted, executed. */
#include "entity_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 256, BODY_SIZE = 512 };

/* ---- one of each kind ---- */

static void given_documents_when_used_then_the_whole_life_of_each(void **state)
{
    struct entities *e = *state;
    static const struct {
        const char *path;
        const char *body;
        const char *change;
        const char *changed;
        const char *kept;
    } cases[] = {
        {"/tests", TEST_BODY, "{\"topic\":\"other\"}", "\"topic\":\"other\"",
         "\"prompt\":{\"content\":\"hello\"}"},
        {"/endpoints", ENDPOINT_BODY, "{\"name\":\"new\"}", "\"name\":\"new\"",
         "\"url\":\"http://x\""},
        {"/test_sets", "{\"name\":\"set\",\"description\":\"d\"}", "{\"description\":null}",
         "\"name\":\"set\"", "\"test_count\":0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[64];
        char path[PATH_SIZE];
        char slash[PATH_SIZE + 2];
        entity_create(e, cases[i].path, cases[i].body, id);
        (void)snprintf(path, sizeof(path), "%s/%s", cases[i].path, id);
        (void)snprintf(slash, sizeof(slash), "%s/", path);
        entity_expect(e, "GET", path, NULL, 200, cases[i].kept);
        entity_expect(e, "PUT", slash, cases[i].change, 200, cases[i].changed);
        entity_expect(e, "GET", slash, NULL, 200, cases[i].changed);
        entity_expect(e, "GET", slash, NULL, 200, cases[i].kept);
        entity_expect(e, "GET", cases[i].path, NULL, 200, id);
        entity_expect(e, "DELETE", path, NULL, 200, id);
        entity_expect(e, "GET", path, NULL, 410, "has been deleted\",\"model_name\":\"");
        entity_expect(e, "PUT", path, cases[i].change, 410, id);
        entity_expect(e, "DELETE", path, NULL, 410, id);
        entity_expect(e, "GET", cases[i].path, NULL, 200, "[]");
    }
}

static void given_configuration_when_created_then_it_names_what_exists(void **state)
{
    struct entities *e = *state;
    char endpoint[64];
    char id[64];
    char body[BODY_SIZE];
    entity_create(e, "/endpoints", ENDPOINT_BODY, endpoint);
    (void)snprintf(body, sizeof(body), "{\"endpoint_id\":\"%s\",\"attributes\":{\"a\":1.50}}",
                   endpoint);
    entity_create(e, "/test_configurations/", body, id);
    entity_expect(e, "GET", "/test_configurations", NULL, 200, "\"attributes\":{\"a\":1.50}");
    (void)snprintf(body, sizeof(body),
                   "{\"endpoint_id\":\"%s\",\"test_set_id\":\"" BACKEND_UNKNOWN "\"}", endpoint);
    entity_expect(e, "POST", "/test_configurations", body, 400,
                  "Invalid test_set_id: there is no " BACKEND_UNKNOWN);
    entity_expect(e, "POST", "/test_configurations", "{\"endpoint_id\":\"" BACKEND_UNKNOWN "\"}",
                  400, "Invalid endpoint_id: there is no " BACKEND_UNKNOWN);
}

static void given_set_with_tests_when_created_then_members_are_kept_apart(void **state)
{
    struct entities *e = *state;
    char set[64];
    char test[64];
    char path[PATH_SIZE];
    char body[BODY_SIZE];
    entity_create(e, "/test_sets/bulk", SET_BODY, set);
    entity_create(e, "/tests",
                  "{\"prompt\":{\"content\":\"third\"},\"behavior\":\"R\","
                  "\"category\":\"C\"}",
                  test);
    (void)snprintf(path, sizeof(path), "/test_sets/%s/tests", set);
    entity_expect(e, "GET", path, NULL, 200, "\"content\":\"hello\"");
    (void)snprintf(path, sizeof(path), "/test_sets/%s/associate", set);
    (void)snprintf(body, sizeof(body), "{\"test_ids\":[\"%s\",\"" BACKEND_UNKNOWN "\"]}", test);
    entity_expect(e, "POST", path, body, 200,
                  "{\"success\":true,\"total_tests\":3,\"new_associations\":1,");
    entity_expect(e, "POST", path, body, 200, "\"total_tests\":3,\"new_associations\":0");
    (void)snprintf(path, sizeof(path), "/test_sets/%s/tests?skip=2&limit=1", set);
    entity_expect(e, "GET", path, NULL, 200, "\"content\":\"third\"");
    (void)snprintf(path, sizeof(path), "/test_sets/%s/disassociate", set);
    entity_expect(e, "POST", path, body, 200,
                  "{\"success\":true,\"total_tests\":2,\"removed_associations\":1,");
    (void)snprintf(path, sizeof(path), "/test_sets/%s", set);
    entity_expect(e, "GET", path, NULL, 200, "\"test_count\":2");
}

/* ---- lists ---- */

static void given_lists_when_asked_for_pages_then_rows_and_the_whole_count(void **state)
{
    struct entities *e = *state;
    static const char *const names[] = {"b", "a", "c"};
    char headers[PATH_SIZE];
    for (size_t i = 0; i < 3; i++) {
        char body[BODY_SIZE];
        char id[64];
        (void)snprintf(body, sizeof(body), "{\"name\":\"%s\"}", names[i]);
        entity_create(e, "/test_sets", body, id);
    }
    (void)snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\n", e->own.key);
    static const struct {
        const char *line;
        const char *total;
        const char *rows;
    } cases[] = {
        {"GET /test_sets?$select=name", "3",
         "[{\"name\":\"c\"},{\"name\":\"a\"},{\"name\":\"b\"}]"},
        {"GET /test_sets/?$select=name&limit=1&skip=1", "3", "\r\n\r\n[{\"name\":\"a\"}]"},
        {"GET /test_sets?$select=name&sort_by=name&sort_order=asc", "3",
         "[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]"},
        {"GET /test_sets?$select=name&$filter=tolower(name)%20eq%20'b'", "1", "[{\"name\":\"b\"}]"},
        {"GET /test_sets?$select=name&skip=3", "3", "\r\n\r\n[]"},
        {"GET /test_sets?$select=name,%20test_count&limit=1", "3",
         "[{\"name\":\"c\",\"test_count\":0}]"},
        {"GET /tests", "0", "\r\n\r\n[]"},
        {"GET /test_configurations", "0", "\r\n\r\n[]"},
        {"GET /test_runs", "0", "\r\n\r\n[]"},
        {"GET /test_results", "0", "\r\n\r\n[]"},
        {"GET /endpoints", "0", "\r\n\r\n[]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char total[64];
        (void)snprintf(total, sizeof(total), "X-Total-Count: %s\r\n", cases[i].total);
        const char *const expected[] = {"HTTP/1.1 200", total, cases[i].rows, NULL};
        backend_expect_raw(e->backend, cases[i].line, headers, "", 0, expected);
    }
}

static void given_bad_queries_when_listed_then_the_reason(void **state)
{
    struct entities *e = *state;
    static const struct {
        const char *query;
        int status;
        const char *text;
    } cases[] = {
        {"$filter=name", 400, "Invalid OData filter: at character 5: expected eq"},
        {"$filter=", 400, "the filter ends here"},
        {"$filter=secret%20eq%20'x'", 400, "there is no field secret"},
        {"$filter=id%20eq%20'x'", 400, "this field takes a UUID"},
        {"$filter=name%20eq%20'x'%3B%20DROP%20TABLE%20entities", 400, "unexpected character"},
        {"$filter=name%20eq%20'x'%20--", 400, "expected and, or, or the end"},
        {"$filter=name%20eq%20'%FF'", 400, "not text in UTF-8"},
        {"sort_by=body", 400, "Invalid sort_by: there is no field body"},
        {"sort_by=name%3BDROP%20TABLE%20entities", 400, "Invalid sort_by"},
        {"sort_order=up", 400, "Invalid sort_order"},
        {"limit=0", 422, "[\"query\",\"limit\"]"},
        {"limit=1001", 422, "[\"query\",\"limit\"]"},
        {"limit=-1", 422, "[\"query\",\"limit\"]"},
        {"skip=x", 422, "[\"query\",\"skip\"]"},
        {"skip=99999999999", 422, "[\"query\",\"skip\"]"},
    };
    static const char *const paths[] = {"/tests",     "/test_sets",    "/test_configurations",
                                        "/test_runs", "/test_results", "/endpoints"};
    for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            char path[PATH_SIZE];
            bool by_name = strstr(cases[i].query, "name") != NULL;
            if (by_name && strcmp(paths[p], "/test_results") == 0) {
                continue; /* a result has no name */
            }
            (void)snprintf(path, sizeof(path), "%s?%s", paths[p], cases[i].query);
            entity_expect(e, "GET", path, NULL, cases[i].status, cases[i].text);
        }
    }
}

/* ---- results over REST ---- */

static void given_result_over_rest_when_posted_then_read_and_filtered(void **state)
{
    struct entities *e = *state;
    char endpoint[64];
    char configuration[64];
    char run[64];
    char test[64];
    char result[64];
    char body[BODY_SIZE];
    char path[PATH_SIZE];
    entity_create(e, "/endpoints", ENDPOINT_BODY, endpoint);
    (void)snprintf(body, sizeof(body), "{\"endpoint_id\":\"%s\"}", endpoint);
    entity_create(e, "/test_configurations", body, configuration);
    (void)snprintf(body, sizeof(body), "{\"test_configuration_id\":\"%s\",\"name\":\"by hand\"}",
                   configuration);
    entity_create(e, "/test_runs/", body, run);
    entity_create(e, "/tests", TEST_BODY, test);
    (void)snprintf(path, sizeof(path), "/test_runs/%s", run);
    entity_expect(e, "GET", path, NULL, 200, "\"status\":null,");
    (void)snprintf(path, sizeof(path), "/test_runs/%s/cancel", run);
    entity_expect(e, "POST", path, NULL, 409, "this one is not executed here");
    (void)snprintf(body, sizeof(body),
                   "{\"test_configuration_id\":\"%s\",\"test_run_id\":\"%s\",\"test_id\":\"%s\","
                   "\"test_metrics\":{\"execution_time\":2,\"metrics\":{\"m\":{\"is_successful\":"
                   "true}}},\"test_output\":{\"answer\":1.50}}",
                   configuration, run, test);
    entity_create(e, "/test_results", body, result);
    (void)snprintf(path, sizeof(path), "/test_results/%s", result);
    entity_expect(e, "GET", path, NULL, 200, "\"name\":\"Pass\"}");
    entity_expect(e, "GET", path, NULL, 200, "\"test_output\":{\"answer\":1.50}");
    entity_expect(e, "GET", path, NULL, 200, "\"execution_time\":2,");
    (void)snprintf(path, sizeof(path), "/test_results?$filter=test_run_id%%20eq%%20'%s'", run);
    entity_expect(e, "GET", path, NULL, 200, result);
    entity_expect(e, "GET", "/test_results?$filter=test_run_id%20eq%20'" BACKEND_UNKNOWN "'", NULL,
                  200, "[]");
    (void)snprintf(path, sizeof(path), "/test_runs?$filter=test_configuration_id%%20eq%%20'%s'",
                   configuration);
    entity_expect(e, "GET", path, NULL, 200, "\"name\":\"by hand\"");
}

/* ---- executing ---- */

/* The ids of the answer to an execution. */
static void submit(struct entities *e, const char *path, const char *body, char run[64],
                   char configuration[64])
{
    struct backend_answer answer;
    entity_request(e, "POST", path, body, &answer);
    if (answer.status != 200) {
        fail_msg("POST %s: %d %s", path, answer.status, answer.body.data);
    }
    backend_copy_member(answer.body.data, "test_run_id", run, 64);
    backend_copy_member(answer.body.data, "test_configuration_id", configuration, 64);
    assert_non_null(strstr(answer.body.data, "\"status\":\"submitted\""));
    backend_answer_deinit(&answer);
}

static void wait_for_status(struct entities *e, const char *run, const char *status)
{
    char path[PATH_SIZE];
    char mark[64];
    struct backend_answer answer;
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/wait?timeout_ms=20000", run);
    entity_expect(e, "GET", path, NULL, 200, "\"finished\":true");
    (void)snprintf(path, sizeof(path), "/test_runs/%s", run);
    (void)snprintf(mark, sizeof(mark), "\"name\":\"%s\"}", status);
    entity_request(e, "GET", path, NULL, &answer);
    if (!strstr(answer.body.data, mark)) {
        fail_msg("not %s: %s", status, answer.body.data);
    }
    backend_answer_deinit(&answer);
}

static void given_set_when_executed_then_a_run_with_the_tests_own_ids(void **state)
{
    struct entities *e = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char endpoint[64];
    char set[64];
    char run[64];
    char configuration[64];
    char path[PATH_SIZE];
    entity_connect_agent(e, &agent, &text, endpoint);
    entity_create(e, "/test_sets/bulk", SET_BODY, set);
    (void)snprintf(path, sizeof(path), "/test_sets/%s/execute/%s", set, endpoint);
    submit(e, path, "{\"execution_options\":{\"execution_mode\":\"Sequential\"}}", run,
           configuration);
    for (int i = 0; i < 2; i++) {
        ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
        assert_non_null(strstr(text.data, "\"inputs\":{\"question\":\"hello\""));
        assert_non_null(strstr(text.data, run));
        assert_non_null(strstr(text.data, configuration));
        backend_send_result(&agent, text.data,
                            i ? "\"status\":\"error\",\"error\":\"no\""
                              : "\"status\":\"success\",\"output\":\"yes\"");
    }
    wait_for_status(e, run, "Partial");
    struct backend_answer answer;
    (void)snprintf(path, sizeof(path), "/test_results?$filter=test_run_id%%20eq%%20'%s'", run);
    entity_request(e, "GET", path, NULL, &answer);
    assert_int_equal(entity_count(answer.body.data, "\"name\":\"Pass\""), 1);
    assert_int_equal(entity_count(answer.body.data, "\"name\":\"Error\""), 1);
    assert_int_equal(entity_count(answer.body.data, configuration), 2);
    backend_answer_deinit(&answer);
    (void)snprintf(path, sizeof(path), "/test_configurations/%s", configuration);
    entity_expect(e, "GET", path, NULL, 200, "\"attributes\":{\"execution_mode\":\"Sequential\"}");
    (void)snprintf(path, sizeof(path), "/test_runs/%s/cancel", run);
    entity_expect(e, "POST", path, NULL, 409, "this one is Partial");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

/* What tests ask, what they expect, and what they are answered. */
static const struct {
    const char *asks;
    const char *expects; /* members of the test, and of its prompt before the bracket */
    const char *reply;
    const char *status;
} judged_cases[] = {
    {"right", ",\"expected_response\":\"good\"}", "{\"reply\":\"good\"}", "Pass"},
    {"wrong", ",\"expected_response\":\"good\"}", "{\"reply\":\"bad\",\"output\":\"good\"}",
     "Fail"},
    {"count", "},\"test_metadata\":{\"expect\":{\"pointer\":\"/n\",\"min\":2}}",
     "{\"reply\":\"x\",\"n\":1}", "Fail"},
    {"error", "},\"metadata\":{\"expect\":{\"of\":\"error\",\"contains\":\"empty\"}}", NULL,
     "Pass"},
    {"score",
     ",\"expected_response\":\"ideal\"},\"test_metadata\":{\"metrics\":{\"name\":\"brevity\","
     "\"min\":0.5}}",
     "{\"output\":\"short\"}", "Pass"},
};
enum { JUDGED_COUNT = sizeof(judged_cases) / sizeof(judged_cases[0]), SCORED = JUDGED_COUNT - 1 };

static void append_judged_test(struct buffer *out, size_t i)
{
    marline__buffer_append_format(out,
                                  "{\"prompt\":{\"content\":\"%s\"%s,\"requirement\":\"R\","
                                  "\"category\":\"C\"}",
                                  judged_cases[i].asks, judged_cases[i].expects);
}

/* Answers the next call as its test wants; which one that is, it tells. */
static size_t serve_judged(struct ws_peer *agent, struct buffer *text)
{
    size_t i = 0;
    char mark[64];
    char result[BODY_SIZE];
    ws_peer_expect(agent, "\"type\":\"execute_test\"", text);
    do {
        assert_true(i < JUDGED_COUNT);
        (void)snprintf(mark, sizeof(mark), "\"question\":\"%s\"", judged_cases[i++].asks);
    } while (!strstr(text->data, mark));
    const char *reply = judged_cases[--i].reply;
    (void)snprintf(result, sizeof(result), "\"status\":\"%s\",\"%s\":%s",
                   reply ? "success" : "error", reply ? "output" : "error",
                   reply ? reply : "\"the input is empty\"");
    backend_send_result(agent, text->data, result);
    return i;
}

/* Answers the metric that the scored test is judged by. */
static void serve_metric(struct ws_peer *agent, struct buffer *text)
{
    char id[64];
    char result[BODY_SIZE];
    ws_peer_expect(agent, "\"type\":\"execute_metric\"", text);
    assert_non_null(strstr(text->data, "\"output\":\"short\",\"expected_output\":\"ideal\""));
    backend_copy_member(text->data, "metric_run_id", id, sizeof(id));
    (void)snprintf(result, sizeof(result),
                   "{\"type\":\"metric_result\",\"metric_run_id\":\"%s\",\"status\":\"success\","
                   "\"score\":0.7,\"details\":{}}",
                   id);
    ws_peer_send_text(agent, result);
}

static void given_tests_that_expect_when_set_executed_then_judged_by_that(void **state)
{
    struct entities *e = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer body = BUFFER_INIT;
    struct backend_answer answer;
    char endpoint[64];
    char set[64];
    char run[64];
    char configuration[64];
    char path[PATH_SIZE];
    entity_connect_agent(e, &agent, &text, endpoint);
    marline__buffer_append_text(&body, "{\"name\":\"set\",\"tests\":");
    for (size_t i = 0; i < JUDGED_COUNT; i++) {
        marline__buffer_append_byte(&body, i ? ',' : '[');
        append_judged_test(&body, i);
    }
    marline__buffer_append_text(&body, "]}");
    entity_create(e, "/test_sets/bulk", body.data, set);
    (void)snprintf(path, sizeof(path), "/test_sets/%s/execute/%s", set, endpoint);
    submit(e, path, "{\"execution_options\":{\"execution_mode\":\"Sequential\"}}", run,
           configuration);
    for (size_t i = 0; i < JUDGED_COUNT; i++) {
        if (serve_judged(&agent, &text) == SCORED) {
            serve_metric(&agent, &text);
        }
    }
    (void)snprintf(path, sizeof(path), "/mock/runs/%s/wait?timeout_ms=20000", run);
    entity_expect(e, "GET", path, NULL, 200, "\"finished\":true");
    (void)snprintf(path, sizeof(path), "/test_results?$filter=test_run_id%%20eq%%20'%s'", run);
    entity_request(e, "GET", path, NULL, &answer);
    assert_int_equal(entity_count(answer.body.data, "\"name\":\"Pass\""), 3);
    assert_int_equal(entity_count(answer.body.data, "\"name\":\"Fail\""), 2);
    assert_int_equal(entity_count(answer.body.data, "expected \\\"good\\\", found \\\"bad\\\""), 2);
    assert_int_equal(entity_count(answer.body.data, "\"brevity\":{\"score\":0.7"), 1);
    backend_answer_deinit(&answer);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&body);
    marline__buffer_deinit(&text);
}

static void given_configuration_when_executed_and_cancelled_then_so_it_ends(void **state)
{
    struct entities *e = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char endpoint[64];
    char set[64];
    char id[64];
    char run[64];
    char configuration[64];
    char path[PATH_SIZE];
    char body[BODY_SIZE];
    entity_connect_agent(e, &agent, &text, endpoint);
    entity_create(e, "/test_sets/bulk", SET_BODY, set);
    (void)snprintf(body, sizeof(body), "{\"endpoint_id\":\"%s\",\"test_set_id\":\"%s\"}", endpoint,
                   set);
    entity_create(e, "/test_configurations", body, id);
    (void)snprintf(path, sizeof(path), "/test_configurations/%s/execute", id);
    submit(e, path, NULL, run, configuration);
    assert_string_equal(configuration, id);
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    (void)snprintf(path, sizeof(path), "/test_runs/%s", run);
    entity_expect(e, "GET", path, NULL, 200, "\"permitted_actions\":[\"cancel\"]");
    (void)snprintf(path, sizeof(path), "/test_runs/%s/cancel", run);
    entity_expect(e, "POST", path, NULL, 200, "\"status\":\"Cancelled\"");
    wait_for_status(e, run, "Cancelled");
    entity_expect(e, "POST", path, NULL, 409, "this one is Cancelled");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_what_cannot_be_executed_when_asked_then_the_reason(void **state)
{
    struct entities *e = *state;
    char rest[64];
    char set[64];
    char empty[64];
    char without[64];
    char path[PATH_SIZE];
    char body[BODY_SIZE];
    entity_create(e, "/endpoints", ENDPOINT_BODY, rest);
    entity_create(e, "/test_sets/bulk", SET_BODY, set);
    entity_create(e, "/test_sets", "{\"name\":\"empty\"}", empty);
    (void)snprintf(body, sizeof(body), "{\"endpoint_id\":\"%s\"}", rest);
    entity_create(e, "/test_configurations", body, without);
    (void)snprintf(path, sizeof(path), "/test_sets/%s/execute/%s", set, rest);
    entity_expect(e, "POST", path, "{}", 400, "Only endpoints of type SDK");
    entity_expect(e, "POST", path, "{\"execution_options\":{\"execution_mode\":\"Fast\"}}", 422,
                  "Input should be 'Parallel' or 'Sequential'");
    entity_expect(e, "POST", path, "{\"execution_options\":[]}", 422, "dict_type");
    entity_expect(e, "POST", path, "[]", 422, "model_attributes_type");
    (void)snprintf(path, sizeof(path), "/test_sets/%s/execute/" BACKEND_UNKNOWN, set);
    entity_expect(e, "POST", path, "{}", 404, "\"detail\":\"Endpoint not found\"");
    (void)snprintf(path, sizeof(path), "/test_sets/%s/execute/x", set);
    entity_expect(e, "POST", path, "{}", 422, "[\"path\",\"endpoint_id\"]");
    (void)snprintf(path, sizeof(path), "/test_configurations/%s/execute", without);
    entity_expect(e, "POST", path, "{}", 400, "names no test set");
    (void)snprintf(path, sizeof(path), "/endpoints/%s/invoke", rest);
    entity_expect(e, "POST", path, "{\"input\":\"x\"}", 400, "Only endpoints of type SDK");
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char endpoint[64];
    entity_connect_agent(e, &agent, &text, endpoint);
    (void)snprintf(path, sizeof(path), "/test_sets/%s/execute/%s", empty, endpoint);
    entity_expect(e, "POST", path, "{}", 400, "Test set empty has no tests");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

/* Sends a request on a socket of its own: its answer comes after the agent's. */
static int begin_request(struct entities *e, const char *path, const char *body)
{
    char request[2 * BODY_SIZE];
    int n = snprintf(request, sizeof(request),
                     "POST %s HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer %s\r\n"
                     "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                     path, e->own.key, strlen(body), body);
    int socket = tcp_connect(e->backend->port);
    tcp_send(socket, request, (size_t)n);
    return socket;
}

static void finish_request(int socket, const char *expected)
{
    struct buffer answer = BUFFER_INIT;
    tcp_read_all(socket, &answer);
    if (!strstr(answer.data, "HTTP/1.1 200") || !strstr(answer.data, expected)) {
        fail_msg("no %s in %s", expected, answer.data);
    }
    (void)close(socket);
    marline__buffer_deinit(&answer);
}

static void given_test_when_executed_in_place_then_no_context_and_nothing_stored(void **state)
{
    struct entities *e = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char endpoint[64];
    char test[64];
    char body[BODY_SIZE];
    entity_connect_agent(e, &agent, &text, endpoint);
    entity_create(e, "/tests", TEST_BODY, test);
    (void)snprintf(body, sizeof(body), "{\"test_id\":\"%s\",\"endpoint_id\":\"%s\"}", test,
                   endpoint);
    int socket = begin_request(e, "/tests/execute", body);
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    assert_null(strstr(text.data, "_rhesis_test_context"));
    backend_send_result(&agent, text.data, "\"status\":\"success\",\"output\":{\"reply\":\"hi\"}");
    finish_request(socket, "\"test_output\":{\"output\":\"hi\"},\"status\":\"Pass\"");
    socket = begin_request(e, "/tests/execute", body);
    ws_peer_expect(&agent, "\"type\":\"execute_test\"", &text);
    backend_send_result(&agent, text.data, "\"status\":\"error\",\"error\":\"timeout\"");
    finish_request(socket, "\"error_type\":\"sdk_timeout\",\"message\":\"timeout\"}");
    entity_expect(e, "GET", "/test_runs", NULL, 200, "[]");
    entity_expect(e, "GET", "/test_results", NULL, 200, "[]");
    entity_expect(e, "POST", "/tests/execute", "{}", 422, "[\"body\",\"endpoint_id\"]");
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

/* ---- endpoints of agents ---- */

static void given_tests_that_expect_when_executed_in_place_then_judged_too(void **state)
{
    struct entities *e = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char endpoint[64];
    entity_connect_agent(e, &agent, &text, endpoint);
    for (size_t i = 0; i < JUDGED_COUNT; i++) {
        struct buffer body = BUFFER_INIT;
        char test[64];
        char request[BODY_SIZE];
        char status[64];
        append_judged_test(&body, i);
        entity_create(e, "/tests", body.data, test);
        (void)snprintf(request, sizeof(request), "{\"test_id\":\"%s\",\"endpoint_id\":\"%s\"}",
                       test, endpoint);
        int socket = begin_request(e, "/tests/execute", request);
        assert_int_equal(serve_judged(&agent, &text), i);
        if (i == SCORED) {
            serve_metric(&agent, &text);
        }
        (void)snprintf(status, sizeof(status), "\"status\":\"%s\",\"test_metrics\":{\"exec",
                       judged_cases[i].status);
        finish_request(socket, status);
        marline__buffer_deinit(&body);
    }
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
}

static void given_test_with_a_misspelt_expectation_when_saved_then_told(void **state)
{
    struct entities *e = *state;
    static const struct {
        const char *member;
        const char *told;
    } cases[] = {
        {"\"test_metadata\":{\"expect\":{\"equal\":1}}",
         "[\"body\",\"test_metadata\"],\"msg\":\"Value error, expect[0] has the unknown member"},
        {"\"metadata\":{\"metrics\":[{\"min\":1}]}",
         "[\"body\",\"metadata\"],\"msg\":\"Value error, metrics[0].name is required\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char body[BODY_SIZE];
        char test[64];
        char path[PATH_SIZE];
        (void)snprintf(
            body, sizeof(body),
            "{\"prompt\":{\"content\":\"q\"},\"requirement\":\"R\",\"category\":\"C\",%s}",
            cases[i].member);
        entity_expect(e, "POST", "/tests", body, 422, cases[i].told);
        entity_create(e, "/tests", TEST_BODY, test);
        (void)snprintf(path, sizeof(path), "/tests/%s", test);
        (void)snprintf(body, sizeof(body), "{%s}", cases[i].member);
        entity_expect(e, "PUT", path, body, 422, cases[i].told);
    }
}

static void given_endpoint_when_its_agent_is_gone_then_known_but_not_callable(void **state)
{
    struct entities *e = *state;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    char endpoint[64];
    char path[PATH_SIZE];
    struct backend_answer answer;
    entity_connect_agent(e, &agent, &text, endpoint);
    entity_expect(e, "GET", "/endpoints?$filter=status%20eq%20'Active'", NULL, 200, endpoint);
    ws_peer_send_text(&agent, "{\"type\":\"register\",\"sdk_version\":\"1\",\"functions\":[]}");
    ws_peer_expect(&agent, "registered", &text); /* metrics only: changes nothing */
    (void)snprintf(path, sizeof(path), "/endpoints/%s", endpoint);
    entity_expect(e, "GET", path, NULL, 200, "\"status\":\"Active\"");
    entity_expect(e, "GET", path, NULL, 200, "\"name\":\"session (answer)\"");
    ws_peer_deinit(&agent);
    (void)snprintf(path, sizeof(path), "/connector/status/%s", e->own.project);
    backend_wait_for_as(e->backend, e->own.key, path, "\"connected\":false", &answer);
    backend_answer_deinit(&answer);
    (void)snprintf(path, sizeof(path), "/endpoints/%s/invoke", endpoint);
    entity_expect(e, "POST", path, "{\"input\":\"x\"}", 200,
                  "\"error_type\":\"sdk_not_connected\"");
    marline__buffer_deinit(&text);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ENTITY_TEST(given_documents_when_used_then_the_whole_life_of_each),
        ENTITY_TEST(given_configuration_when_created_then_it_names_what_exists),
        ENTITY_TEST(given_set_with_tests_when_created_then_members_are_kept_apart),
        ENTITY_TEST(given_lists_when_asked_for_pages_then_rows_and_the_whole_count),
        ENTITY_TEST(given_bad_queries_when_listed_then_the_reason),
        ENTITY_TEST(given_result_over_rest_when_posted_then_read_and_filtered),
        ENTITY_TEST(given_set_when_executed_then_a_run_with_the_tests_own_ids),
        ENTITY_TEST(given_tests_that_expect_when_set_executed_then_judged_by_that),
        ENTITY_TEST(given_configuration_when_executed_and_cancelled_then_so_it_ends),
        ENTITY_TEST(given_what_cannot_be_executed_when_asked_then_the_reason),
        ENTITY_TEST(given_test_when_executed_in_place_then_no_context_and_nothing_stored),
        ENTITY_TEST(given_tests_that_expect_when_executed_in_place_then_judged_too),
        ENTITY_TEST(given_test_with_a_misspelt_expectation_when_saved_then_told),
        ENTITY_TEST(given_endpoint_when_its_agent_is_gone_then_known_but_not_callable),
    };
    return entity_tests_run(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
