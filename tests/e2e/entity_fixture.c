/* See entity_fixture.h. */
#include "entity_fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#ifdef HAVE_POSTGRES
#include "support/postgres_fixture.h"
#endif

static struct backend_process shared;

/* ---- the program ---- */

static int run_on(const char *store, const struct CMUnitTest *tests, size_t count)
{
    const char *const arguments[] = {"--store", store, "--log-level", "error", NULL};
    backend_process_start(&shared, arguments);
    int failures = _cmocka_run_group_tests(store, tests, count, NULL, NULL);
    int code = backend_process_stop(&shared);
    if (code != 0) {
        (void)fprintf(stderr, "the backend ended with %d\n", code);
    }
    return failures + (code != 0);
}

#ifdef HAVE_POSTGRES
static int run_on_postgres(const struct CMUnitTest *tests, size_t count)
{
    struct postgres_server server;
    char url[POSTGRES_URL_SIZE];
    int failures = postgres_fixture_start(&server, false);
    if (failures == 0) {
        postgres_server_url(&server, url, sizeof(url));
        failures = run_on(url, tests, count);
    }
    postgres_server_stop(&server);
    return failures;
}
#else
static int run_on_postgres(const struct CMUnitTest *tests, size_t count)
{
    (void)tests;
    (void)count;
    (void)fprintf(stderr, "libpq-dev is not installed\n");
    return 77;
}
#endif

int entity_tests_run(int argc, char **argv, const struct CMUnitTest *tests, size_t count)
{
    if (argc > 1 && strcmp(argv[1], "postgresql") == 0) {
        return run_on_postgres(tests, count);
    }
    return run_on("sqlite::memory:", tests, count);
}

/* ---- one test ---- */

static void open_session(const char *key, const char *body, struct session *out)
{
    struct backend_answer answer;
    backend_request(&shared, "POST", "/mock/sessions", key, body, &answer);
    assert_int_equal(answer.status, 201);
    backend_copy_member(answer.body.data, "organization_id", out->organization,
                        sizeof(out->organization));
    backend_copy_member(answer.body.data, "project_id", out->project, sizeof(out->project));
    backend_copy_member(answer.body.data, "api_key", out->key, sizeof(out->key));
    backend_answer_deinit(&answer);
}

int entity_setup(void **state)
{
    struct entities *e = marline__memory_zeroed(sizeof(*e));
    e->backend = &shared;
    open_session(NULL, NULL, &e->own);
    open_session(e->own.key, "{\"same_organization\":true}", &e->sibling);
    open_session(e->own.key, "{\"same_organization\":true,\"unbound_key\":true}", &e->unbound);
    open_session(NULL, NULL, &e->foreign);
    *state = e;
    return 0;
}

int entity_teardown(void **state)
{
    marline__memory_free(*state);
    return 0;
}

void entity_request(struct entities *e, const char *method, const char *path, const char *body,
                    struct backend_answer *out)
{
    backend_request(e->backend, method, path, e->own.key, body, out);
}

void entity_expect(struct entities *e, const char *method, const char *path, const char *body,
                   int status, const char *text)
{
    struct backend_answer answer;
    entity_request(e, method, path, body, &answer);
    if (answer.status != status || !strstr(answer.body.data, text)) {
        fail_msg("%s %s %s: %d %s; expected %d %s", method, path, body ? body : "", answer.status,
                 answer.body.data, status, text);
    }
    backend_answer_deinit(&answer);
}

void entity_create(struct entities *e, const char *path, const char *body, char id[64])
{
    struct backend_answer answer;
    entity_request(e, "POST", path, body, &answer);
    if (answer.status != 200) {
        fail_msg("POST %s %s: %d %s", path, body, answer.status, answer.body.data);
    }
    backend_copy_member(answer.body.data, "id", id, 64);
    backend_answer_deinit(&answer);
}

size_t entity_count(const char *text, const char *mark)
{
    size_t count = 0;
    while ((text = strstr(text, mark))) {
        count++;
        text += strlen(mark);
    }
    return count;
}

void entity_connect_agent(struct entities *e, struct ws_peer *agent, struct buffer *text,
                          char endpoint[64])
{
    char authorization[128];
    struct buffer message = BUFFER_INIT;
    struct backend_answer answer;
    (void)snprintf(authorization, sizeof(authorization), "Bearer %s", e->own.key);
    assert_int_equal(ws_peer_connect(agent, e->backend->port, authorization, NULL), 101);
    ws_peer_expect(agent, "\"type\":\"connected\"", text);
    marline__buffer_append_format(
        &message,
        "{\"type\":\"register\",\"project_id\":\"%s\",\"environment\":\"development\","
        "\"sdk_version\":\"0.4.2\",\"functions\":[{\"name\":\"answer\",\"parameters\":{},"
        "\"return_type\":\"dict\",\"metadata\":{\"request_mapping\":{\"question\":\"{{ input }}\"},"
        "\"response_mapping\":{\"output\":\"$.reply\"}}}],\"metrics\":[{\"name\":\"brevity\","
        "\"parameters\":[\"input\",\"output\"],\"return_type\":\"float\",\"metadata\":{}}]}",
        e->own.project);
    ws_peer_send_text(agent, message.data);
    ws_peer_expect(agent, "\"type\":\"registered\",\"status\":\"success\"", text);
    entity_request(e, "GET", "/endpoints", NULL, &answer);
    backend_copy_member(answer.body.data, "id", endpoint, 64);
    backend_answer_deinit(&answer);
    marline__buffer_deinit(&message);
}
