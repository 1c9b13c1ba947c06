/* POST /mock/runs: starts a run of tests. Every member is checked, and one that is not known is
 * refused: a misspelt expectation would let a test pass that expects nothing. */
#include <stdio.h>

#include "core/alloc.h"
#include "core/criteria.h"
#include "core/json_member.h"
#include "http/json_body.h"
#include "http/routes.h"
#include "http/run_launch.h"
#include "hub/webhook_url.h"

enum {
    RUN_TESTS_MAX = 100000,
    RUN_CONCURRENCY_MAX = 1000,
    RUN_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    TEXT_LIMIT = 255, /* of names; the platform's database limit */
};

/* What the texts of a test belong to. */
struct test_texts {
    char *function_name;
    char *name;     /* NULL = none, as the next */
    char *criteria; /* JSON */
};

struct run_request {
    struct http_request *request;
    struct uuid organization_id;
    struct uuid project_id;
    struct uuid run_id;
    char *project_text;
    char *environment;
    char *name;
    char *webhook;
    uint32_t concurrency;
    uint32_t timeout_ms; /* of tests that say nothing themselves, as the next */
    uint32_t retries;
    struct slice tests_json;
    struct store_run_test *tests;
    struct test_texts *texts;
    size_t test_count;
    struct buffer body; /* a copy: the inputs outlive the answer */
    struct run_launch launch;
};

static void free_run_request(struct run_request *q)
{
    for (size_t i = 0; i < q->test_count; i++) {
        marline__memory_free(q->texts[i].function_name);
        marline__memory_free(q->texts[i].name);
        marline__memory_free(q->texts[i].criteria);
    }
    marline__memory_free(q->texts);
    marline__memory_free(q->tests);
    marline__memory_free(q->project_text);
    marline__memory_free(q->environment);
    marline__memory_free(q->name);
    marline__memory_free(q->webhook);
    marline__buffer_deinit(&q->body);
    marline__memory_free(q);
}

/* Says which members there are, after one that is none of them. */
static void refuse_member(struct json_body *b, struct slice key, const char *known)
{
    char name[60];
    char what[160];
    (void)snprintf(name, sizeof(name), "%.*s", (int)(key.size < 50 ? key.size : 50), key.data);
    (void)snprintf(what, sizeof(what), "is no member; there are %s", known);
    json_body_fail(b, name, what);
}

/* {"expect": …, "metrics": …}, as the store keeps it. */
static void take_criteria(struct json_body *b, struct slice expect, struct slice metrics,
                          char **out)
{
    struct buffer text = BUFFER_INIT;
    struct json_writer w;
    char error[CRITERIA_ERROR_SIZE];
    marline__json_writer_init(&w, &text);
    marline__json_begin_object(&w);
    if (expect.data) {
        marline__json_member_raw(&w, "expect", expect);
    }
    if (metrics.data) {
        marline__json_member_raw(&w, "metrics", metrics);
    }
    marline__json_end_object(&w);
    alloc_check_buffer(&text);
    struct criteria *criteria = criteria_parse(marline__buffer_slice(&text), error);
    if (!criteria) { /* "expect[1].min must be a number": the name ends at the first space */
        char *space = strchr(error, ' ');
        *space = '\0';
        json_body_fail(b, error, space + 1);
    }
    criteria_destroy(criteria);
    *out = marline__buffer_take(&text);
}

/* What a test has besides its numbers, while it is read. */
struct test_values {
    struct slice expect;
    struct slice metrics;
};

static void read_test_member(struct run_request *q, struct json_body *b, struct slice key,
                             struct test_values *values)
{
    struct store_run_test *test = &q->tests[q->test_count - 1];
    struct test_texts *texts = &q->texts[q->test_count - 1];
    if (marline__json_key_is(key, "function_name")) {
        json_body_text(b, "function_name", &texts->function_name);
    } else if (marline__json_key_is(key, "name")) {
        json_body_text(b, "name", &texts->name);
    } else if (marline__json_key_is(key, "inputs")) {
        json_body_object(b, "inputs", &test->inputs);
    } else if (marline__json_key_is(key, "expect")) {
        (void)marline__json_skip(&b->reader, &values->expect);
    } else if (marline__json_key_is(key, "metrics")) {
        (void)marline__json_skip(&b->reader, &values->metrics);
    } else if (marline__json_key_is(key, "timeout_ms")) {
        json_body_unsigned(b, "timeout_ms", 1, RUN_TIMEOUT_MAX_MS, &test->timeout_ms);
    } else if (marline__json_key_is(key, "retries")) {
        json_body_unsigned(b, "retries", 0, RUN_RETRIES_MAX, &test->retries);
    } else {
        refuse_member(b, key,
                      "name, function_name, inputs, expect, metrics, timeout_ms and retries");
    }
}

static void finish_test(struct run_request *q, struct json_body *b,
                        const struct test_values *values)
{
    struct store_run_test *test = &q->tests[q->test_count - 1];
    struct test_texts *texts = &q->texts[q->test_count - 1];
    if (!texts->function_name || !texts->function_name[0] ||
        strlen(texts->function_name) > TEXT_LIMIT) {
        json_body_fail(b, "function_name", "is required (up to 255 bytes)");
    }
    if (texts->name && strlen(texts->name) > TEXT_LIMIT) {
        json_body_fail(b, "name", "is too long (up to 255 bytes)");
    }
    if (!b->error[0] && (values->expect.data || values->metrics.data)) {
        take_criteria(b, values->expect, values->metrics, &texts->criteria);
    }
    test->function_name = marline__slice_text(texts->function_name);
    test->name = marline__slice_text(texts->name);
    test->criteria = marline__slice_text(texts->criteria);
}

/* The text of one test into the request's next place. */
static void read_test(struct run_request *q, struct slice text, struct json_body *b)
{
    struct store_run_test *test = &q->tests[q->test_count];
    struct test_values values = {SLICE_EMPTY, SLICE_EMPTY};
    struct slice key;
    char where[40];
    (void)snprintf(where, sizeof(where), "tests[%zu].", q->test_count++);
    test->timeout_ms = q->timeout_ms;
    test->retries = q->retries;
    test->inputs = SLICE("{}");
    test->test_id = marline__uuid_random(marline__random_system());
    test->configuration_id = marline__uuid_random(marline__random_system());
    if (json_body_begin(b, text)) {
        b->where = where;
        while (json_body_next(b, &key)) {
            read_test_member(q, b, key, &values);
        }
        finish_test(q, b, &values);
        b->where = "";
    }
}

static size_t count_elements(struct slice array)
{
    struct json_reader r;
    size_t count = 0;
    marline__json_reader_init(&r, array, JSON_STRICT);
    (void)marline__json_enter_array(&r);
    while (marline__json_next_element(&r)) {
        (void)marline__json_skip(&r, NULL);
        count++;
    }
    return count;
}

static void read_tests(struct run_request *q, struct json_body *b)
{
    size_t count = count_elements(q->tests_json);
    if (count == 0 || count > RUN_TESTS_MAX) {
        json_body_fail(b, "tests", "must hold 1 to 100000 tests");
        return;
    }
    q->tests = alloc_array(count, sizeof(*q->tests));
    q->texts = alloc_array(count, sizeof(*q->texts));
    struct json_reader r;
    marline__json_reader_init(&r, q->tests_json, JSON_STRICT);
    (void)marline__json_enter_array(&r);
    struct slice text;
    while (!b->error[0] && marline__json_next_element(&r) && marline__json_skip(&r, &text)) {
        if (text.size && text.data[0] == '{') {
            read_test(q, text, b);
        } else {
            json_body_fail(b, "tests", "must hold objects only");
        }
    }
}

static void read_run_member(struct run_request *q, struct json_body *b, struct slice key)
{
    if (marline__json_key_is(key, "project_id")) {
        json_body_text(b, "project_id", &q->project_text);
    } else if (marline__json_key_is(key, "name")) {
        json_body_text(b, "name", &q->name);
    } else if (marline__json_key_is(key, "environment")) {
        json_body_text(b, "environment", &q->environment);
    } else if (marline__json_key_is(key, "webhook")) {
        json_body_text(b, "webhook", &q->webhook);
    } else if (marline__json_key_is(key, "concurrency")) {
        json_body_unsigned(b, "concurrency", 1, RUN_CONCURRENCY_MAX, &q->concurrency);
    } else if (marline__json_key_is(key, "timeout_ms")) {
        json_body_unsigned(b, "timeout_ms", 1, RUN_TIMEOUT_MAX_MS, &q->timeout_ms);
    } else if (marline__json_key_is(key, "retries")) {
        json_body_unsigned(b, "retries", 0, RUN_RETRIES_MAX, &q->retries);
    } else if (marline__json_key_is(key, "tests")) {
        json_body_array(b, "tests", &q->tests_json);
    } else {
        refuse_member(b, key,
                      "project_id, name, environment, webhook, concurrency, timeout_ms, retries "
                      "and tests");
    }
}

static void check_run(struct run_request *q, struct json_body *b)
{
    if (!q->project_text ||
        !marline__uuid_parse(marline__slice_text(q->project_text), &q->project_id)) {
        json_body_fail(b, "project_id", "is required and must be a UUID");
    }
    if (q->environment && strlen(q->environment) > TEXT_LIMIT) {
        json_body_fail(b, "environment", "is too long");
    }
    if (q->name && strlen(q->name) > TEXT_LIMIT) {
        json_body_fail(b, "name", "is too long (up to 255 bytes)");
    }
    const char *refused = q->webhook ? webhook_url_refuse(q->webhook) : NULL;
    if (refused) {
        json_body_fail(b, "webhook", refused);
    }
    if (!q->tests_json.data) {
        json_body_fail(b, "tests", "is required");
    }
}

static void read_run(struct run_request *q, struct json_body *b)
{
    struct slice key;
    if (!json_body_begin(b, marline__buffer_slice(&q->body))) {
        return;
    }
    while (json_body_next(b, &key)) {
        read_run_member(q, b, key);
    }
    if (!b->error[0]) {
        check_run(q, b);
    }
    if (!b->error[0]) {
        read_tests(q, b);
    }
}

static void answer_run_created(struct run_request *q)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    json_member_uuid(&w, "test_run_id", &q->run_id);
    marline__json_end_object(&w);
    http_answer_json(q->request, 202, &body);
}

static void run_stored(struct run_launch *launch, const struct store_error *outcome)
{
    struct run_request *q = LIST_ENTRY(launch, struct run_request, launch);
    if (outcome->status == STORE_OK) {
        answer_run_created(q);
        return;
    }
    char not_found[96];
    char project[UUID_TEXT_SIZE];
    marline__uuid_format(&q->project_id, project);
    (void)snprintf(not_found, sizeof(not_found), "Project %s not found", project);
    routes_answer_store_error(q->request, outcome, not_found);
}

static void release_run(struct run_launch *launch)
{
    free_run_request(LIST_ENTRY(launch, struct run_request, launch));
}

static void launch_run(struct run_request *q)
{
    q->launch.server = http_request_server(q->request);
    q->launch.run = (struct store_create_run){.organization_id = q->organization_id,
                                              .project_id = q->project_id,
                                              .run_id = q->run_id,
                                              .environment = marline__slice_text(q->environment),
                                              .concurrency = q->concurrency,
                                              .tests = q->tests,
                                              .test_count = q->test_count,
                                              .name = marline__slice_text(q->name),
                                              .webhook = marline__slice_text(q->webhook)};
    q->launch.stored = run_stored;
    q->launch.release = release_run;
    run_launch_begin(&q->launch);
}

static void post_run(struct http_request *r)
{
    struct run_request *q = alloc_zeroed(sizeof(*q));
    q->request = r;
    q->organization_id = http_request_identity(r)->organization_id;
    q->run_id = marline__uuid_random(marline__random_system());
    q->concurrency = 1;
    q->timeout_ms = HUB_FUNCTION_TIMEOUT_MS;
    marline__buffer_append_slice(&q->body, http_request_body(r));
    alloc_check_buffer(&q->body);
    struct json_body body;
    read_run(q, &body);
    if (!q->environment) {
        q->environment = alloc_slice(SLICE("development"));
    }
    const struct uuid *bound = &http_request_identity(r)->project_id;
    if (body.error[0]) {
        http_answer_detail(r, 400, "%s", body.error);
        free_run_request(q);
    } else if (!marline__uuid_is_nil(bound) && !marline__uuid_equal(bound, &q->project_id)) {
        http_answer_detail(r, 404, "Project %s not found", q->project_text);
        free_run_request(q);
    } else {
        launch_run(q);
    }
}

const struct route routes_run_create[] = {
    {"POST", "/mock/runs", ROUTE_KEY, post_run, "Start a run of tests"},
    {0},
};
