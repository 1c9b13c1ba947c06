/* What must not get through: other projects, wrong keys, bad input, for every route. */
#include "entity_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json_reader.h"

enum { PATH_SIZE = 320, BODY_SIZE = 1024, OPERATIONS_MAX = 256 };

/* ---- one of everything, in the own project ---- */

#define MARK  "MARK-OF-THE-OWNER"
#define TRACE "0af7651916cd43dd8448eb211c80319c"

struct things {
    char test[64];
    char set[64];
    char endpoint[64];
    char configuration[64];
    char run[64];
    char result[64];
};

static void create_things(struct entities *e, struct things *t)
{
    char body[BODY_SIZE];
    entity_create(e, "/tests",
                  "{\"name\":\"" MARK "\",\"prompt\":{\"content\":\"" MARK
                  "\"},\"requirement\":\"R\",\"category\":\"C\"}",
                  t->test);
    entity_create(e, "/test_sets/bulk", "{\"name\":\"" MARK "\",\"tests\":[" TEST_BODY "]}",
                  t->set);
    entity_create(e, "/endpoints", "{\"name\":\"" MARK "\",\"connection_type\":\"SDK\"}",
                  t->endpoint);
    (void)snprintf(body, sizeof(body),
                   "{\"name\":\"" MARK "\",\"endpoint_id\":\"%s\",\"test_set_id\":\"%s\"}",
                   t->endpoint, t->set);
    entity_create(e, "/test_configurations", body, t->configuration);
    (void)snprintf(body, sizeof(body), "{\"name\":\"" MARK "\",\"test_configuration_id\":\"%s\"}",
                   t->configuration);
    entity_create(e, "/test_runs", body, t->run);
    (void)snprintf(body, sizeof(body),
                   "{\"test_configuration_id\":\"%s\",\"test_run_id\":\"%s\",\"test_id\":\"%s\","
                   "\"test_output\":{\"text\":\"" MARK "\"}}",
                   t->configuration, t->run, t->test);
    entity_create(e, "/test_results", body, t->result);
    (void)snprintf(body, sizeof(body),
                   "{\"spans\":[{\"trace_id\":\"" TRACE "\",\"span_id\":\"b7ad6b7169203331\","
                   "\"span_name\":\"function." MARK "\",\"start_time\":\"2026-01-01T00:00:00Z\","
                   "\"end_time\":\"2026-01-01T00:00:01Z\",\"attributes\":{"
                   "\"rhesis.test.run_id\":\"%s\",\"rhesis.test.id\":\"%s\","
                   "\"rhesis.test.configuration_id\":\"%s\"}}]}",
                   t->run, t->test, t->configuration);
    entity_expect(e, "POST", "/telemetry/traces", body, 200, "received");
}

/* ---- the routes, from the document that the server writes of them ---- */

struct operation {
    char method[8];
    char path[128]; /* with its {placeholders} */
    bool is_open;
};

struct operations {
    struct operation items[OPERATIONS_MAX];
    size_t count;
};

static void copy_upper(struct slice text, char *out, size_t size)
{
    assert_true(text.size < size);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        out[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    out[text.size] = '\0';
}

static void read_path(struct operations *all, struct json_reader *r, struct slice path)
{
    struct slice method;
    struct slice what;
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &method)) {
        assert_true(all->count < OPERATIONS_MAX && path.size < sizeof(all->items[0].path));
        struct operation *o = &all->items[all->count++];
        assert_true(marline__json_skip(r, &what));
        copy_upper(method, o->method, sizeof(o->method));
        (void)snprintf(o->path, sizeof(o->path), "%.*s", SLICE_ARG(path));
        const char *security = memmem(what.data, what.size, "\"security\":[]", 13);
        o->is_open = security != NULL;
    }
}

static void read_operations(struct entities *e, struct operations *out)
{
    struct backend_answer answer;
    struct json_reader r;
    struct slice key;
    out->count = 0;
    entity_request(e, "GET", "/openapi.json", NULL, &answer);
    marline__json_reader_init(&r, marline__buffer_slice(&answer.body), JSON_STRICT);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key)) {
        if (!marline__json_key_is(key, "paths")) {
            (void)marline__json_skip(&r, NULL);
            continue;
        }
        (void)marline__json_enter_object(&r);
        while (marline__json_next_member(&r, &key)) {
            read_path(out, &r, key);
        }
    }
    assert_true(marline__json_finish(&r));
    backend_answer_deinit(&answer);
    assert_true(out->count > 60);
}

/* What of the own project a placeholder stands for; an id of nothing where nobody knows. */
static const char *value_of(const struct things *t, const struct entities *e, const char *path,
                            struct slice name)
{
    const struct {
        const char *name;
        const char *value;
    } values[] = {
        {"test_id", t->test},
        {"test_set_id", t->set},
        {"endpoint_id", t->endpoint},
        {"test_configuration_id", t->configuration},
        {"test_run_id", t->run},
        {"test_result_id", t->result},
        {"project_id", e->own.project},
        {"trace_id", TRACE},
        {"id", strncmp(path, "/projects/", 10) == 0 ? e->own.project : t->run},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        if (marline__slice_is(name, values[i].name)) {
            return values[i].value;
        }
    }
    return BACKEND_UNKNOWN;
}

static void fill_path(const struct things *t, const struct entities *e, const char *path,
                      char out[PATH_SIZE])
{
    size_t used = 0;
    for (const char *at = path; *at;) {
        if (*at != '{') {
            out[used++] = *at++;
            continue;
        }
        struct slice name = {at + 1, strcspn(at + 1, "}")};
        const char *value = value_of(t, e, path, name);
        assert_true(used + strlen(value) + 2 < PATH_SIZE);
        memcpy(out + used, value, strlen(value));
        used += strlen(value);
        at += name.size + 2;
    }
    out[used] = '\0';
}

/* ---- isolation ---- */

struct stranger {
    const char *who;
    const char *key;
    char header[96]; /* "" = none */
};

static size_t list_strangers(struct entities *e, struct stranger out[4])
{
    out[0] = (struct stranger){"another organization", e->foreign.key, ""};
    out[1] = (struct stranger){"another project", e->sibling.key, ""};
    out[2] = (struct stranger){"an unbound key without project", e->unbound.key, ""};
    out[3] = (struct stranger){"an unbound key in another project", e->unbound.key, ""};
    (void)snprintf(out[3].header, sizeof(out[3].header), "X-Project-Id: %s", e->sibling.project);
    return 4;
}

static void ask(struct entities *e, const struct stranger *s, const char *method, const char *path,
                const char *body, struct backend_answer *out)
{
    backend_request_with(e->backend, method, path, s->key, s->header[0] ? s->header : NULL, body,
                         out);
}

/* Routes whose whole organization sees what they tell: counters without contents, and faults. An
 * unbound key may act for any project that it names in the body or the path. */
static bool leaks(const char *body)
{
    return strstr(body, MARK) != NULL;
}

static void given_ids_of_another_project_when_any_route_is_asked_then_nothing_is_told(void **state)
{
    struct entities *e = *state;
    struct things t;
    struct operations *all = calloc(1, sizeof(*all));
    struct stranger strangers[4];
    size_t count = list_strangers(e, strangers);
    create_things(e, &t);
    read_operations(e, all);
    for (size_t i = 0; i < all->count; i++) {
        const struct operation *o = &all->items[i];
        char path[PATH_SIZE];
        fill_path(&t, e, o->path, path);
        for (size_t s = 0; s < count && !o->is_open; s++) {
            struct backend_answer answer;
            ask(e, &strangers[s], o->method, path, o->method[0] == 'P' ? "{}" : NULL, &answer);
            bool unbound = strangers[s].key == e->unbound.key;
            bool by_path = strstr(o->path, "{project_id}") || strncmp(path, "/mock/", 6) == 0;
            if (answer.status >= 500 || (leaks(answer.body.data) && !(unbound && by_path))) {
                fail_msg("%s asked %s %s: %d %s", strangers[s].who, o->method, path, answer.status,
                         answer.body.data);
            }
            backend_answer_deinit(&answer);
        }
    }
    free(all);
}

static void given_ids_of_another_project_when_entities_are_asked_for_then_not_found(void **state)
{
    struct entities *e = *state;
    struct things t;
    struct stranger strangers[4];
    size_t count = list_strangers(e, strangers);
    static const char *const routes[][3] = {
        {"GET", "/tests/{test_id}", NULL},
        {"PUT", "/tests/{test_id}", "{\"topic\":\"stolen\"}"},
        {"DELETE", "/tests/{test_id}", NULL},
        {"GET", "/test_sets/{test_set_id}", NULL},
        {"PUT", "/test_sets/{test_set_id}", "{\"name\":\"stolen\"}"},
        {"DELETE", "/test_sets/{test_set_id}", NULL},
        {"GET", "/test_sets/{test_set_id}/tests", NULL},
        {"POST", "/test_sets/{test_set_id}/associate", "{\"test_ids\":[]}"},
        {"POST", "/test_sets/{test_set_id}/disassociate", "{\"test_ids\":[]}"},
        {"POST", "/test_sets/{test_set_id}/execute/{endpoint_id}", "{}"},
        {"GET", "/endpoints/{endpoint_id}", NULL},
        {"PUT", "/endpoints/{endpoint_id}", "{\"name\":\"stolen\"}"},
        {"DELETE", "/endpoints/{endpoint_id}", NULL},
        {"POST", "/endpoints/{endpoint_id}/invoke", "{\"input\":\"x\"}"},
        {"GET", "/test_configurations/{test_configuration_id}", NULL},
        {"PUT", "/test_configurations/{test_configuration_id}", "{\"name\":\"stolen\"}"},
        {"DELETE", "/test_configurations/{test_configuration_id}", NULL},
        {"POST", "/test_configurations/{test_configuration_id}/execute", "{}"},
        {"GET", "/test_runs/{test_run_id}", NULL},
        {"POST", "/test_runs/{test_run_id}/cancel", NULL},
        {"GET", "/test_results/{test_result_id}", NULL},
    };
    create_things(e, &t);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        for (size_t s = 0; s < count; s++) {
            char path[PATH_SIZE];
            struct backend_answer answer;
            fill_path(&t, e, routes[i][1], path);
            ask(e, &strangers[s], routes[i][0], path, routes[i][2], &answer);
            if (answer.status != 404 || !strstr(answer.body.data, "not found\",\"model_name\":")) {
                fail_msg("%s asked %s %s: %d %s", strangers[s].who, routes[i][0], path,
                         answer.status, answer.body.data);
            }
            backend_answer_deinit(&answer);
        }
    }
    entity_expect(e, "GET", "/tests", NULL, 200, MARK);
    entity_expect(e, "GET", "/test_sets", NULL, 200, MARK);
    entity_expect(e, "GET", "/endpoints", NULL, 200, MARK);
    entity_expect(e, "GET", "/test_configurations", NULL, 200, MARK);
}

static void given_lists_when_strangers_ask_then_empty(void **state)
{
    struct entities *e = *state;
    struct things t;
    struct stranger strangers[4];
    size_t count = list_strangers(e, strangers);
    static const char *const lists[] = {"/tests",     "/test_sets",    "/endpoints",
                                        "/test_runs", "/test_results", "/test_configurations"};
    create_things(e, &t);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (size_t s = 0; s < count; s++) {
            struct backend_answer answer;
            ask(e, &strangers[s], "GET", lists[i], NULL, &answer);
            assert_int_equal(answer.status, 200);
            assert_string_equal(answer.body.data, "[]");
            backend_answer_deinit(&answer);
        }
    }
}

/* References in a body are looked up in the project of the entity. */
static void given_ids_of_another_project_when_referred_to_then_unknown(void **state)
{
    struct entities *e = *state;
    struct things t;
    struct stranger strangers[4];
    size_t count = list_strangers(e, strangers);
    create_things(e, &t);
    for (size_t s = 0; s < count; s++) {
        char body[BODY_SIZE];
        struct backend_answer answer;
        (void)snprintf(body, sizeof(body), "{\"endpoint_id\":\"%s\"}", t.endpoint);
        ask(e, &strangers[s], "POST", "/test_configurations", body, &answer);
        assert_int_equal(answer.status, 400);
        assert_non_null(strstr(answer.body.data, "Invalid endpoint_id"));
        backend_answer_deinit(&answer);
        (void)snprintf(body, sizeof(body), "{\"test_configuration_id\":\"%s\"}", t.configuration);
        ask(e, &strangers[s], "POST", "/test_runs", body, &answer);
        assert_int_equal(answer.status, 404);
        backend_answer_deinit(&answer);
        (void)snprintf(body, sizeof(body), "{\"test_id\":\"%s\",\"endpoint_id\":\"%s\"}", t.test,
                       t.endpoint);
        ask(e, &strangers[s], "POST", "/tests/execute", body, &answer);
        assert_int_equal(answer.status, 404);
        backend_answer_deinit(&answer);
    }
}

static void given_foreign_project_when_named_then_refused(void **state)
{
    struct entities *e = *state;
    char body[BODY_SIZE];
    char header[96];
    struct backend_answer answer;
    struct things t;
    create_things(e, &t);
    const char *const projects[] = {e->sibling.project, e->foreign.project, BACKEND_UNKNOWN};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(body, sizeof(body), "{\"name\":\"x\",\"project_id\":\"%s\"}", projects[i]);
        entity_expect(e, "POST", "/test_sets", body, 403, "User is not a member of project");
        (void)snprintf(header, sizeof(header), "X-Project-Id: %s", projects[i]);
        backend_request_with(e->backend, "GET", "/tests", e->own.key, header, NULL, &answer);
        assert_int_equal(answer.status, 403);
        backend_answer_deinit(&answer);
    }
    /* The run is one of another project of the same organization: its results are its own. */
    (void)snprintf(body, sizeof(body),
                   "{\"test_configuration_id\":\"%s\",\"test_run_id\":\"%s\",\"test_id\":\"%s\"}",
                   t.configuration, t.run, t.test);
    backend_request(e->backend, "POST", "/test_results", e->sibling.key, body, &answer);
    assert_int_equal(answer.status, 404);
    backend_answer_deinit(&answer);
}

static void given_test_of_another_project_when_added_to_a_set_then_left_out(void **state)
{
    struct entities *e = *state;
    struct things t;
    struct backend_answer answer;
    char body[BODY_SIZE];
    char path[PATH_SIZE];
    char set[64];
    create_things(e, &t);
    backend_request(e->backend, "POST", "/test_sets", e->sibling.key, "{\"name\":\"thief\"}",
                    &answer);
    backend_copy_member(answer.body.data, "id", set, sizeof(set));
    backend_answer_deinit(&answer);
    (void)snprintf(path, sizeof(path), "/test_sets/%s/associate", set);
    (void)snprintf(body, sizeof(body), "{\"test_ids\":[\"%s\"]}", t.test);
    backend_request(e->backend, "POST", path, e->sibling.key, body, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.data, "\"new_associations\":0"));
    backend_answer_deinit(&answer);
}

/* ---- keys ---- */

static void given_wrong_keys_when_any_route_is_asked_then_401(void **state)
{
    struct entities *e = *state;
    struct operations *all = calloc(1, sizeof(*all));
    struct things t = {BACKEND_UNKNOWN, BACKEND_UNKNOWN, BACKEND_UNKNOWN,
                       BACKEND_UNKNOWN, BACKEND_UNKNOWN, BACKEND_UNKNOWN};
    char longer[96];
    char shorter[96];
    char changed[96];
    char *huge = calloc(1, 3001);
    memset(huge, 'k', 3000);
    (void)snprintf(longer, sizeof(longer), "%sx", e->own.key);
    (void)snprintf(shorter, sizeof(shorter), "%s", e->own.key);
    shorter[strlen(shorter) - 1] = '\0';
    (void)snprintf(changed, sizeof(changed), "%s", e->own.key);
    changed[strlen(changed) - 1] ^= 1;
    const char *const keys[] = {"", "None", longer, shorter, changed, "' OR '1'='1"};
    read_operations(e, all);
    for (size_t i = 0; i < all->count; i++) {
        char path[PATH_SIZE];
        fill_path(&t, e, all->items[i].path, path);
        for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]) && !all->items[i].is_open; k++) {
            struct backend_answer answer;
            backend_request(e->backend, all->items[i].method, path, keys[k],
                            all->items[i].method[0] == 'P' ? "{}" : NULL, &answer);
            if (answer.status != 401 ||
                strcmp(answer.body.data, "{\"detail\":\"Not authenticated\"}") != 0) {
                fail_msg("%s %s with key %zu: %d %s", all->items[i].method, path, k, answer.status,
                         answer.body.data);
            }
            backend_answer_deinit(&answer);
        }
    }
    struct backend_answer answer;
    backend_request(e->backend, "GET", "/tests", huge, NULL, &answer);
    assert_true(answer.status == 401 || answer.status == 431);
    backend_answer_deinit(&answer);
    free(huge);
    free(all);
}

/* ---- bad input ---- */

static void given_bad_bodies_when_posted_then_the_platforms_errors(void **state)
{
    struct entities *e = *state;
    static const struct {
        const char *path;
        const char *body;
        const char *text;
    } cases[] = {
        {"/tests", "", "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\"]"},
        {"/tests", "{", "{\"type\":\"json_invalid\",\"loc\":[\"body\",1]"},
        {"/tests", "{} x", "json_invalid"},
        {"/tests", "{\"name\":\"\xff\"}", "json_invalid"},
        {"/tests", "{\"name\":\"\\ud800\"}", "json_invalid"},
        {"/tests", "{\"name\":NaN}", "json_invalid"},
        {"/tests", "[]",
         "{\"type\":\"model_attributes_type\",\"loc\":[\"body\"],\"msg\":"
         "\"Input should be a valid dictionary or object to extract fields from\"}"},
        {"/tests", "null", "model_attributes_type"},
        {"/tests", "{}", "[\"body\",\"category\"],\"msg\":\"Field required\"}"},
        {"/tests", "{}", "[\"body\",\"prompt\"],\"msg\":\"Field required\"}"},
        {"/tests", "{}", "[\"body\",\"requirement\"],\"msg\":\"Field required\"}"},
        {"/tests", "{\"category\":\"C\",\"requirement\":\"R\",\"prompt\":{}}",
         "[\"body\",\"prompt\",\"content\"],\"msg\":\"Field required\"}"},
        {"/tests", "{\"category\":\"C\",\"requirement\":\"R\",\"prompt\":{\"content\":1}}",
         "{\"type\":\"string_type\",\"loc\":[\"body\",\"prompt\",\"content\"]"},
        {"/tests", "{\"category\":1,\"requirement\":\"R\",\"prompt\":{\"content\":\"x\"}}",
         "{\"type\":\"string_type\",\"loc\":[\"body\",\"category\"],\"msg\":"
         "\"Input should be a valid string\"}"},
        {"/tests", "{\"category\":null,\"requirement\":\"R\",\"prompt\":{\"content\":\"x\"}}",
         "{\"type\":\"string_type\",\"loc\":[\"body\",\"category\"]"},
        {"/tests", "{\"prompt\":[]}", "{\"type\":\"dict_type\",\"loc\":[\"body\",\"prompt\"]"},
        {"/tests", "{\"test_type\":\"Both\"}",
         "{\"type\":\"enum\",\"loc\":[\"body\",\"test_type\"],\"msg\":\"Input should be "
         "'Single-Turn' or 'Multi-Turn'\",\"ctx\":{\"expected\":"},
        {"/tests", "{\"name\":\"a\\u0000b\"}",
         "{\"type\":\"value_error\",\"loc\":[\"body\",\"name\"]"},
        {"/tests", "{\"metadata\":{\"a\":[\"\\u0000\"]}}", "[\"body\",\"metadata\"]"},
        {"/tests", "{\"project_id\":\"x\"}",
         "{\"type\":\"uuid_parsing\",\"loc\":[\"body\",\"project_id\"]"},
        {"/tests", "{\"project_id\":7}", "{\"type\":\"uuid_type\""},
        {"/test_sets", "{}", "[\"body\",\"name\"]"},
        {"/test_sets", "{\"name\":null}", "{\"type\":\"string_type\",\"loc\":[\"body\",\"name\"]"},
        {"/test_sets", "{\"name\":\"x\",\"is_published\":\"yes\"}", "\"bool_type\""},
        {"/test_sets/bulk", "{\"name\":\"x\"}", "[\"body\",\"tests\"],\"msg\":\"Field required\"}"},
        {"/test_sets/bulk", "{\"name\":\"x\",\"tests\":{}}",
         "{\"type\":\"list_type\",\"loc\":[\"body\",\"tests\"]"},
        {"/test_sets/bulk", "{\"name\":\"x\",\"tests\":[" TEST_BODY ",{\"category\":2}]}",
         "[\"body\",\"tests\",1,\"category\"]"},
        {"/test_sets/bulk", "{\"name\":\"x\",\"tests\":[null]}",
         "{\"type\":\"model_attributes_type\",\"loc\":[\"body\",\"tests\",0]"},
        {"/endpoints", "{\"name\":\"x\"}", "[\"body\",\"connection_type\"]"},
        {"/endpoints", "{\"name\":\"x\",\"connection_type\":\"FTP\"}",
         "Input should be 'REST', 'WebSocket', 'GRPC' or 'SDK'"},
        {"/test_configurations", "{}", "[\"body\",\"endpoint_id\"],\"msg\":\"Field required\"}"},
        {"/test_configurations", "{\"endpoint_id\":\"00000000-0000-0000-0000-000000000000\"}",
         "uuid_parsing"},
        {"/test_runs", "{}", "[\"body\",\"test_configuration_id\"]"},
        {"/test_runs", "{\"test_configuration_id\":{}}", "uuid_parsing"},
        {"/test_runs", "{\"test_configuration_id\":\"" BACKEND_UNKNOWN "\",\"name\":3}",
         "{\"type\":\"string_type\",\"loc\":[\"body\",\"name\"]"},
        {"/test_runs", "{\"test_configuration_id\":\"" BACKEND_UNKNOWN "\",\"attributes\":3}",
         "{\"type\":\"dict_type\""},
        {"/test_results", "{}", "[\"body\",\"test_configuration_id\"]"},
        {"/test_results", "{\"attempt\":0}", "[\"body\",\"attempt\"]"},
        {"/test_results", "{\"attempt\":1e99}", "[\"body\",\"attempt\"]"},
        {"/test_results", "{\"test_metrics\":[]}", "[\"body\",\"test_metrics\"]"},
        {"/test_results", "{\"test_output\":\"x\"}", "[\"body\",\"test_output\"]"},
        {"/tests/execute", "{\"test_id\":\"x\"}", "[\"body\",\"test_id\"]"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        entity_expect(e, "POST", cases[i].path, cases[i].body, 422, cases[i].text);
    }
    entity_expect(e, "GET", "/tests", NULL, 200, "[]");
    entity_expect(e, "GET", "/test_sets", NULL, 200, "[]");
}

static void append_repeated(struct buffer *out, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        marline__buffer_append_text(out, text);
    }
}

/* The kinds of values that no member expects, made once. */
enum { VALUE_COUNT = 16 };
struct values {
    struct buffer texts[VALUE_COUNT];
};

static void make_values(struct values *v)
{
    static const char *const plain[] = {"null",
                                        "1",
                                        "-1e308",
                                        "123456789012345678901234567890",
                                        "true",
                                        "\"\"",
                                        "\"x\"",
                                        "[]",
                                        "{}",
                                        "\"a\\u0000b\"",
                                        "\"'; DROP TABLE entities; --\"",
                                        "{\"a\":1,\"a\":2}",
                                        "\"\xc3\xa4\""};
    size_t count = sizeof(plain) / sizeof(plain[0]);
    memset(v, 0, sizeof(*v));
    for (size_t i = 0; i < count; i++) {
        marline__buffer_append_text(&v->texts[i], plain[i]);
    }
    append_repeated(&v->texts[count], "[", 90);
    append_repeated(&v->texts[count], "]", 90);
    append_repeated(&v->texts[count + 1], "{\"a\":", 5000);
    marline__buffer_append_byte(&v->texts[count + 2], '"');
    append_repeated(&v->texts[count + 2], "long ", 80000);
    marline__buffer_append_byte(&v->texts[count + 2], '"');
}

/* Each value in the place of each member, as a second one of its name: the last counts. Whatever
 * the answer, it is one of the protocol, and its neighbours are unharmed. */
static void given_any_value_in_any_member_when_posted_then_no_failure(void **state)
{
    struct entities *e = *state;
    static const struct {
        const char *path;
        const char *body;
        const char *members[14];
    } kinds[] = {
        {"/tests",
         TEST_BODY,
         {"name", "project_id", "prompt", "test_configuration", "requirement", "behavior",
          "category", "topic", "test_type", "priority", "metadata", "test_metadata", "unknown"}},
        {"/endpoints",
         ENDPOINT_BODY,
         {"name", "project_id", "connection_type", "description", "url", "method", "endpoint_path",
          "request_headers", "query_params", "request_mapping", "response_mapping",
          "endpoint_metadata", "auth_token"}},
        {"/test_sets/bulk",
         SET_BODY,
         {"name", "project_id", "description", "short_description", "test_set_type", "metadata",
          "attributes", "is_published", "tests"}},
        {"/test_results",
         "{\"test_run_id\":\"" BACKEND_UNKNOWN "\",\"test_id\":\"" BACKEND_UNKNOWN
         "\",\"test_configuration_id\":\"" BACKEND_UNKNOWN "\"}",
         {"test_run_id", "test_id", "test_configuration_id", "attempt", "test_metrics",
          "test_output"}},
    };
    struct values values;
    size_t accepted = 0;
    size_t refused = 0;
    make_values(&values);
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (size_t m = 0; kinds[k].members[m]; m++) {
            for (size_t v = 0; v < VALUE_COUNT; v++) {
                struct buffer body = BUFFER_INIT;
                struct backend_answer answer;
                marline__buffer_append(&body, kinds[k].body, strlen(kinds[k].body) - 1);
                marline__buffer_append_format(&body, ",\"%s\":", kinds[k].members[m]);
                marline__buffer_append_slice(&body, marline__buffer_slice(&values.texts[v]));
                marline__buffer_append_byte(&body, '}');
                entity_request(e, "POST", kinds[k].path, body.data, &answer);
                bool good = answer.status == 200 || answer.status == 422;
                if (!good ||
                    !marline__json_is_valid(marline__buffer_slice(&answer.body), JSON_STRICT)) {
                    fail_msg("%s.%s, value %zu: %d %s", kinds[k].path, kinds[k].members[m], v,
                             answer.status, answer.body.data);
                }
                accepted += answer.status == 200;
                refused += answer.status == 422;
                backend_answer_deinit(&answer);
                marline__buffer_deinit(&body);
            }
        }
        struct backend_answer list;
        entity_request(e, "GET", k == 2 ? "/test_sets" : kinds[k].path, NULL, &list);
        assert_int_equal(list.status, 200);
        assert_true(marline__json_is_valid(marline__buffer_slice(&list.body), JSON_STRICT));
        backend_answer_deinit(&list);
    }
    assert_true(accepted > 50);
    assert_true(refused > 200);
    for (size_t v = 0; v < VALUE_COUNT; v++) {
        marline__buffer_deinit(&values.texts[v]);
    }
}

static void given_sql_in_every_text_when_stored_then_it_is_only_text(void **state)
{
    struct entities *e = *state;
    static const char sql[] = "x'); DELETE FROM entities; DROP TABLE runs; --";
    char body[BODY_SIZE];
    char id[64];
    (void)snprintf(body, sizeof(body),
                   "{\"name\":\"%s\",\"prompt\":{\"content\":\"%s\"},\"requirement\":\"%s\","
                   "\"category\":\"%s\",\"topic\":\"%s\",\"metadata\":{\"%s\":\"%s\"}}",
                   sql, sql, sql, sql, sql, sql, sql);
    entity_create(e, "/tests", body, id);
    struct backend_answer answer;
    entity_request(e, "GET", "/tests", NULL, &answer);
    assert_int_equal(entity_count(answer.body.data, sql), 7);
    backend_answer_deinit(&answer);
    entity_expect(e, "GET",
                  "/tests?$filter=name%20eq%20'x'')%3B%20DELETE%20FROM%20entities%3B%20DROP%20"
                  "TABLE%20runs%3B%20--'",
                  NULL, 200, id);
    entity_expect(e, "GET", "/tests?$filter=name%20eq%20'x'%20or%201%20eq%201", NULL, 400,
                  "Invalid OData filter");
}

static void given_bad_ids_in_the_path_when_asked_then_422_or_404(void **state)
{
    struct entities *e = *state;
    static const char *const lists[] = {"/tests",     "/test_sets",    "/endpoints",
                                        "/test_runs", "/test_results", "/test_configurations"};
    static const struct {
        const char *id;
        int status;
    } ids[] = {{"x", 422},
               {"%00", 422},
               {"'%20OR%201=1", 422},
               {"%FF%FE", 422},
               {"00000000-0000-0000-0000-000000000000", 404},
               {BACKEND_UNKNOWN, 404},
               {"99999999999949998999999999999999", 404}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        for (size_t n = 0; n < sizeof(ids) / sizeof(ids[0]); n++) {
            char path[PATH_SIZE];
            struct backend_answer answer;
            (void)snprintf(path, sizeof(path), "%s/%s", lists[i], ids[n].id);
            entity_request(e, "GET", path, NULL, &answer);
            bool cut = strcmp(ids[n].id, "%00") == 0; /* ends the path where it stands */
            if (answer.status != ids[n].status && !(cut && answer.status < 500)) {
                fail_msg("GET %s: %d %s", path, answer.status, answer.body.data);
            }
            backend_answer_deinit(&answer);
        }
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ENTITY_TEST(given_ids_of_another_project_when_any_route_is_asked_then_nothing_is_told),
        ENTITY_TEST(given_ids_of_another_project_when_entities_are_asked_for_then_not_found),
        ENTITY_TEST(given_lists_when_strangers_ask_then_empty),
        ENTITY_TEST(given_ids_of_another_project_when_referred_to_then_unknown),
        ENTITY_TEST(given_foreign_project_when_named_then_refused),
        ENTITY_TEST(given_test_of_another_project_when_added_to_a_set_then_left_out),
        ENTITY_TEST(given_wrong_keys_when_any_route_is_asked_then_401),
        ENTITY_TEST(given_bad_bodies_when_posted_then_the_platforms_errors),
        ENTITY_TEST(given_any_value_in_any_member_when_posted_then_no_failure),
        ENTITY_TEST(given_sql_in_every_text_when_stored_then_it_is_only_text),
        ENTITY_TEST(given_bad_ids_in_the_path_when_asked_then_422_or_404),
    };
    return entity_tests_run(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
