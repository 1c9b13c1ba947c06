/* /mock: runs and what linking did with them, and the switches that show what it is for. */
#include <stdio.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/time_text.h"
#include "core/alloc.h"
#include "http/json_body.h"
#include "http/routes.h"
#include "http/run_attempts.h"
#include "http/run_launch.h"

enum {
    RUN_TESTS_MAX = 100000,
    RUN_CONCURRENCY_MAX = 1000,
    RUN_TIMEOUT_MAX_MS = 24 * 3600 * 1000,
    TEXT_LIMIT = 255, /* of names; the platform's database limit */
};

/* ---- POST /mock/runs ---- */

struct run_request {
    struct http_request *request;
    struct uuid organization_id;
    struct uuid project_id;
    struct uuid run_id;
    char *project_text;
    char *environment;
    uint32_t concurrency;
    uint32_t retries; /* of tests that say nothing themselves */
    struct slice tests_json;
    struct store_run_test *tests;
    char **names; /* owned texts behind the tests' function names */
    size_t test_count;
    struct buffer body; /* a copy: the inputs outlive the answer */
    struct run_launch launch;
};

static void free_run_request(struct run_request *q)
{
    for (size_t i = 0; i < q->test_count; i++) {
        marline__memory_free(q->names[i]);
    }
    marline__memory_free((void *)q->names);
    marline__memory_free(q->tests);
    marline__memory_free(q->project_text);
    marline__memory_free(q->environment);
    marline__buffer_deinit(&q->body);
    marline__memory_free(q);
}

/* The text of one test into the request's last place. */
static void read_test(struct run_request *q, struct slice text, struct json_body *b)
{
    size_t i = q->test_count;
    struct store_run_test *test = &q->tests[i];
    struct slice key;
    char where[40];
    (void)snprintf(where, sizeof(where), "tests[%zu].", i);
    test->timeout_ms = HUB_FUNCTION_TIMEOUT_MS;
    test->retries = q->retries;
    test->inputs = SLICE("{}");
    test->test_id = marline__uuid_random(marline__random_system());
    test->configuration_id = marline__uuid_random(marline__random_system());
    q->test_count++;
    if (!json_body_begin(b, text)) {
        return;
    }
    b->where = where;
    while (json_body_next(b, &key)) {
        if (marline__json_key_is(key, "function_name")) {
            json_body_text(b, "function_name", &q->names[i]);
        } else if (marline__json_key_is(key, "inputs")) {
            json_body_object(b, "inputs", &test->inputs);
        } else if (marline__json_key_is(key, "timeout_ms")) {
            json_body_unsigned(b, "timeout_ms", 1, RUN_TIMEOUT_MAX_MS, &test->timeout_ms);
        } else if (marline__json_key_is(key, "retries")) {
            json_body_unsigned(b, "retries", 0, RUN_RETRIES_MAX, &test->retries);
        } else {
            json_body_skip(b);
        }
    }
    if (!q->names[i] || !q->names[i][0] || strlen(q->names[i]) > TEXT_LIMIT) {
        json_body_fail(b, "function_name", "is required (up to 255 bytes)");
    }
    test->function_name = marline__slice_text(q->names[i]);
    b->where = "";
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
    q->names = (char **)alloc_array(count, sizeof(*q->names));
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

static void read_run(struct run_request *q, struct json_body *b)
{
    struct slice key;
    if (!json_body_begin(b, marline__buffer_slice(&q->body))) {
        return;
    }
    while (json_body_next(b, &key)) {
        if (marline__json_key_is(key, "project_id")) {
            json_body_text(b, "project_id", &q->project_text);
        } else if (marline__json_key_is(key, "environment")) {
            json_body_text(b, "environment", &q->environment);
        } else if (marline__json_key_is(key, "concurrency")) {
            json_body_unsigned(b, "concurrency", 1, RUN_CONCURRENCY_MAX, &q->concurrency);
        } else if (marline__json_key_is(key, "retries")) {
            json_body_unsigned(b, "retries", 0, RUN_RETRIES_MAX, &q->retries);
        } else if (marline__json_key_is(key, "tests")) {
            json_body_array(b, "tests", &q->tests_json);
        } else {
            json_body_skip(b);
        }
    }
    if (b->error[0]) {
        return;
    }
    if (!q->project_text ||
        !marline__uuid_parse(marline__slice_text(q->project_text), &q->project_id)) {
        json_body_fail(b, "project_id", "is required and must be a UUID");
    }
    if (q->environment && strlen(q->environment) > TEXT_LIMIT) {
        json_body_fail(b, "environment", "is too long");
    }
    if (!q->tests_json.data) {
        json_body_fail(b, "tests", "is required");
        return;
    }
    read_tests(q, b);
}

static void answer_run_created(struct run_request *q)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    routes_json_uuid(&w, "test_run_id", &q->run_id);
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
                                              .test_count = q->test_count};
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

/* ---- reading runs ---- */

/* What a visitor writes into; `begun` = the array is open. */
struct listing {
    struct json_writer w;
    bool begun;
    const struct uuid *run_id;
    const struct store_run *run;
    const struct run_attempts *attempts;
    size_t rows;
};

static void begin_run(struct listing *l)
{
    if (!l->begun) {
        l->begun = true;
        routes_json_uuid(&l->w, "test_run_id", l->run_id);
        marline__json_member_text(&l->w, "status", run_status_name(l->run->status));
        marline__json_key(&l->w, "results");
        marline__json_begin_array(&l->w);
    }
}

static void write_run_row(void *user, const struct store_run_row *row)
{
    struct listing *l = user;
    struct json_writer *w = &l->w;
    begin_run(l);
    marline__json_begin_object(w);
    routes_json_uuid(w, "test_id", &row->test.test_id);
    routes_json_uuid(w, "test_configuration_id", &row->test.configuration_id);
    if (row->has_result) {
        routes_json_uuid(w, "test_result_id", &row->result_id);
    } else {
        marline__json_member_null(w, "test_result_id");
    }
    marline__json_member_string(w, "function_name", row->test.function_name);
    marline__json_member_text(w, "status",
                              row->has_result ? result_status_name(row->status) : NULL);
    marline__json_member_raw(w, "output", row->has_result ? row->output : SLICE_EMPTY);
    routes_json_text_or_null(w, "error", row->has_result ? row->error : SLICE_EMPTY);
    if (row->has_result) {
        marline__json_member_double(w, "duration_ms", row->duration_ms);
    } else {
        marline__json_member_null(w, "duration_ms");
    }
    routes_json_text_or_null(w, "trace_id", row->has_result ? row->trace_id : SLICE_EMPTY);
    marline__json_member_int(w, "spans", (int64_t)row->spans);
    marline__json_member_int(w, "linked", (int64_t)row->linked);
    marline__json_member_int(w, "retries", row->test.retries);
    run_attempts_write(w, l->attempts, l->rows++);
    marline__json_end_object(w);
}

/* False when it has answered. */
static bool parse_run_id(struct http_request *r, struct uuid *out)
{
    if (!marline__uuid_parse(http_request_parameter(r, 0), out)) {
        http_answer_detail(r, 404, "Test Run not found");
        return false;
    }
    return true;
}

static void get_run(struct http_request *r)
{
    struct uuid id;
    if (!parse_run_id(r, &id)) {
        return;
    }
    struct store *store = http_request_server(r)->store;
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct store_run run;
    struct run_attempts attempts;
    struct buffer body = BUFFER_INIT;
    struct listing l = {.run_id = &id, .run = &run, .attempts = &attempts};
    marline__json_writer_init(&l.w, &body);
    marline__json_begin_object(&l.w);
    if (run_attempts_read(store, &scope, &id, &attempts, &error) != STORE_OK ||
        store_read_run(store, &scope, &id, &run, write_run_row, &l, &error) != STORE_OK) {
        marline__buffer_deinit(&body);
        routes_answer_store_error(r, &error, "Test Run not found");
    } else {
        begin_run(&l);
        marline__json_end_array(&l.w);
        marline__json_end_object(&l.w);
        http_answer_json(r, 200, &body);
    }
    run_attempts_deinit(&attempts);
}

/* ---- cancelling and waiting ---- */

struct run_control {
    struct hub_job job;
    struct hub_waiter waiter;
    struct http_request *request;
    struct uuid organization_id;
    struct uuid run_id;
    uint32_t timeout_ms;
};

static void answer_wait(struct run_control *c, bool finished)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    routes_json_uuid(&w, "test_run_id", &c->run_id);
    marline__json_member_bool(&w, "finished", finished);
    marline__json_end_object(&w);
    http_answer_json(c->request, 200, &body);
    marline__memory_free(c);
}

static void wait_over(struct hub *hub, struct hub_waiter *waiter, bool finished)
{
    (void)hub;
    answer_wait(LIST_ENTRY(waiter, struct run_control, waiter), finished);
}

/* On the loop. */
static void begin_wait(struct hub *hub, struct hub_job *job)
{
    struct run_control *c = LIST_ENTRY(job, struct run_control, job);
    c->waiter.done = wait_over;
    c->waiter.deadline_ns = hub_now_ns(hub) + c->timeout_ms * NS_PER_MS;
    if (!hub_run_wait(hub, &c->organization_id, &c->run_id, &c->waiter)) {
        answer_wait(c, true); /* it is in the store and not under way */
    }
}

/* On the loop. */
static void cancel_run(struct hub *hub, struct hub_job *job)
{
    struct run_control *c = LIST_ENTRY(job, struct run_control, job);
    if (hub_run_cancel(hub, &c->organization_id, &c->run_id)) {
        struct buffer body = BUFFER_INIT;
        struct json_writer w;
        marline__json_writer_init(&w, &body);
        marline__json_begin_object(&w);
        routes_json_uuid(&w, "test_run_id", &c->run_id);
        marline__json_member_text(&w, "status", run_status_name(RUN_CANCELLED));
        marline__json_end_object(&w);
        http_answer_json(c->request, 202, &body);
    } else {
        http_answer_detail(c->request, 409, "The run is not under way any more");
    }
    marline__memory_free(c);
}

static void ignore_row(void *user, const struct store_run_row *row)
{
    (void)user;
    (void)row;
}

/* Hands the request to the loop, if there is such a run. */
static void control_run(struct http_request *r, uint32_t timeout_ms,
                        void (*run)(struct hub *, struct hub_job *))
{
    struct uuid id;
    if (!parse_run_id(r, &id)) {
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct store_run found;
    if (store_read_run(http_request_server(r)->store, &scope, &id, &found, ignore_row, NULL,
                       &error) != STORE_OK) {
        routes_answer_store_error(r, &error, "Test Run not found");
        return;
    }
    struct run_control *c = alloc_zeroed(sizeof(*c));
    c->request = r;
    c->organization_id = scope.organization_id;
    c->run_id = id;
    c->timeout_ms = timeout_ms;
    c->job.run = run;
    hub_post(http_request_server(r)->hub, &c->job);
}

static void post_cancel(struct http_request *r)
{
    control_run(r, 0, cancel_run);
}

/* Answers when the run has ended, or after timeout_ms (30 s unless told, at most 10 minutes). */
static void get_wait(struct http_request *r)
{
    enum { WAIT_DEFAULT_MS = 30000, WAIT_MAX_MS = 600000 };
    uint32_t timeout_ms = WAIT_DEFAULT_MS;
    if (routes_query_unsigned(r, "timeout_ms", 0, WAIT_MAX_MS, &timeout_ms)) {
        control_run(r, timeout_ms, begin_wait);
    }
}

/* ---- timeline ---- */

static void write_link_attempt(struct json_writer *w, const struct store_event *e)
{
    marline__json_member_text(w, "point", link_point_name(e->point));
    marline__json_member_bool(w, "result_found", e->result_found);
    marline__json_member_int(w, "spans_found", (int64_t)e->spans_found);
    marline__json_member_int(w, "linked", (int64_t)e->linked);
    routes_json_text_or_null(w, "error", e->error);
}

static void write_event_detail(struct json_writer *w, const struct store_event *e)
{
    switch (e->type) {
    case EVENT_RUN_STARTED:
    case EVENT_RUN_FINISHED:
        break;
    case EVENT_INVOKED:
        marline__json_member_string(w, "invocation_id", e->invocation_id);
        break;
    case EVENT_RESULT_RECEIVED:
        marline__json_member_text(w, "status", result_status_name(e->status));
        break;
    case EVENT_RESULT_STORED:
        marline__json_member_text(w, "status", result_status_name(e->status));
        routes_json_uuid(w, "test_result_id", &e->result_id);
        marline__json_member_bool(w, "duplicate", e->is_duplicate);
        break;
    case EVENT_SPANS_STORED:
        marline__json_member_int(w, "spans", (int64_t)e->spans);
        marline__json_member_string(w, "post_id", e->post_id);
        marline__json_member_int(w, "post_spans", (int64_t)e->post_spans);
        break;
    case EVENT_LINK_ATTEMPT:
        write_link_attempt(w, e);
        break;
    }
}

static double unix_ms(uint64_t unix_ns)
{
    uint64_t us = unix_ns / 1000; /* more digits do not fit into a double */
    return (double)us / 1000.0;
}

static void write_event(void *user, const struct store_event *e)
{
    struct json_writer *w = user;
    marline__json_begin_object(w);
    routes_json_time(w, "at", e->at_unix_ns);
    marline__json_member_double(w, "at_ms", unix_ms(e->at_unix_ns));
    marline__json_member_text(w, "type", store_event_type_name(e->type));
    if (e->has_test) {
        routes_json_uuid(w, "test_id", &e->test_id);
        if (e->attempt) {
            marline__json_member_int(w, "attempt", e->attempt);
        }
    } else {
        marline__json_member_null(w, "test_id");
    }
    write_event_detail(w, e);
    marline__json_end_object(w);
}

static void get_timeline(struct http_request *r)
{
    struct uuid id;
    if (!parse_run_id(r, &id)) {
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    routes_json_uuid(&w, "test_run_id", &id);
    marline__json_key(&w, "events");
    marline__json_begin_array(&w);
    if (store_read_timeline(http_request_server(r)->store, &scope, &id, write_event, &w, &error) !=
        STORE_OK) {
        marline__buffer_deinit(&body);
        routes_answer_store_error(r, &error, "Test Run not found");
        return;
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- spans ---- */

static void json_hex(struct json_writer *w, const char *key, const uint8_t *bytes, size_t size)
{
    char text[32];
    marline__hex_encode(bytes, size, text);
    marline__json_member_string(w, key, (struct slice){text, 2 * size});
}

static void write_span_row(void *user, const struct store_span_row *row)
{
    struct json_writer *w = user;
    marline__json_begin_object(w);
    json_hex(w, "trace_id", row->trace_id, sizeof(row->trace_id));
    json_hex(w, "span_id", row->span_id, sizeof(row->span_id));
    if (row->has_parent) {
        json_hex(w, "parent_span_id", row->parent_span_id, sizeof(row->parent_span_id));
    } else {
        marline__json_member_null(w, "parent_span_id");
    }
    marline__json_member_string(w, "span_name", row->name);
    routes_json_uuid(w, "test_id", &row->test_id);
    routes_json_uuid(w, "test_configuration_id", &row->configuration_id);
    if (row->has_result) {
        routes_json_uuid(w, "test_result_id", &row->result_id);
        marline__json_member_text(w, "link_source", link_point_name(row->link_source));
    } else {
        marline__json_member_null(w, "test_result_id");
        marline__json_member_null(w, "link_source");
    }
    marline__json_member_double(w, "stored_at_ms", unix_ms(row->stored_unix_ns));
    marline__json_member_string(w, "post_id", row->post_id);
    marline__json_end_object(w);
}

static void get_spans(struct http_request *r)
{
    struct uuid id;
    if (!parse_run_id(r, &id)) {
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_key(&w, "spans");
    marline__json_begin_array(&w);
    if (store_read_run_spans(http_request_server(r)->store, &scope, &id, write_span_row, &w,
                             &error) != STORE_OK) {
        marline__buffer_deinit(&body);
        routes_answer_store_error(r, &error, "Test Run not found");
        return;
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- ledger ---- */

static void get_ledger(struct http_request *r)
{
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct store_ledger ledger;
    if (store_read_ledger(http_request_server(r)->store, &scope, &ledger, &error) != STORE_OK) {
        routes_answer_store_error(r, &error, NULL);
        return;
    }
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_int(&w, "received", (int64_t)ledger.received);
    marline__json_member_int(&w, "stored", (int64_t)ledger.stored);
    marline__json_member_int(&w, "rejected", (int64_t)ledger.rejected);
    marline__json_member_int(&w, "duplicate", (int64_t)ledger.duplicate);
    marline__json_member_int(&w, "linked", (int64_t)ledger.linked);
    marline__json_member_int(&w, "waiting", (int64_t)ledger.waiting);
    marline__json_member_int(&w, "without_context", (int64_t)ledger.without_context);
    marline__json_key(&w, "links_by_source");
    marline__json_begin_object(&w);
    for (int point = 0; point < LINK_POINT_COUNT; point++) {
        marline__json_member_int(&w, link_point_name((enum link_point)point),
                                 (int64_t)ledger.links_by_source[point]);
    }
    marline__json_end_object(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- link points ---- */

struct points_request {
    struct hub_job job;
    struct http_request *request;
    bool given[LINK_POINT_COUNT];
    bool value[LINK_POINT_COUNT];
};

/* On the loop. */
static void set_points(struct hub *hub, struct hub_job *job)
{
    struct points_request *q = LIST_ENTRY(job, struct points_request, job);
    struct linker_policy policy = linker_get_policy(hub_linker(hub));
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    for (int point = 0; point < LINK_POINT_COUNT; point++) {
        if (q->given[point]) {
            policy.points[point] = q->value[point];
        }
        marline__json_member_bool(&w, link_point_name((enum link_point)point),
                                  policy.points[point]);
    }
    marline__json_end_object(&w);
    linker_set_policy(hub_linker(hub), &policy);
    http_answer_json(q->request, 200, &body);
    marline__memory_free(q);
}

static void read_points(struct points_request *q, struct json_body *b)
{
    struct slice key;
    if (!json_body_begin(b, http_request_body(q->request))) {
        return;
    }
    while (json_body_next(b, &key)) {
        int point = 0;
        while (point < LINK_POINT_COUNT &&
               !marline__json_key_is(key, link_point_name((enum link_point)point))) {
            point++;
        }
        if (point == LINK_POINT_COUNT) {
            json_body_fail(b, "The body", "may hold result, ingest and sweep only");
            return;
        }
        q->given[point] = true;
        json_body_bool(b, link_point_name((enum link_point)point), &q->value[point]);
    }
}

static void put_link_points(struct http_request *r)
{
    struct points_request *q = alloc_zeroed(sizeof(*q));
    struct json_body body;
    q->request = r;
    read_points(q, &body);
    if (body.error[0]) {
        http_answer_detail(r, 400, "%s", body.error);
        marline__memory_free(q);
        return;
    }
    q->job.run = set_points;
    hub_post(http_request_server(r)->hub, &q->job);
}

const struct route routes_mock[] = {
    {"POST", "/mock/runs", ROUTE_KEY, post_run, "Start a run of tests"},
    {"GET", "/mock/runs/{id}", ROUTE_KEY, get_run, "Status and results of a run"},
    {"POST", "/mock/runs/{id}/cancel", ROUTE_KEY, post_cancel, "Cancel a run"},
    {"GET", "/mock/runs/{id}/wait", ROUTE_KEY, get_wait,
     "Answer when the run has ended, or after timeout_ms"},
    {"GET", "/mock/runs/{id}/timeline", ROUTE_KEY, get_timeline,
     "Every event and linking attempt of a run"},
    {"GET", "/mock/runs/{id}/spans", ROUTE_KEY, get_spans, "Spans of a run and who linked them"},
    {"GET", "/mock/ledger", ROUTE_KEY, get_ledger, "Conservation of spans"},
    {"PUT", "/mock/link-points", ROUTE_KEY, put_link_points, "Switch linking points on and off"},
    {0},
};
