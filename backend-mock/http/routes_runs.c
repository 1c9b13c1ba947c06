/* /mock/runs/{id}: how a run stands, what its tests came to, its end and its report. */
#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "core/json_member.h"
#include "http/routes.h"
#include "http/run_junit.h"
#include "hub/run_attempts.h"
#include "hub/run_summary.h"
#include "wire/json_pointer.h"

bool routes_parse_run_id(struct http_request *r, struct uuid *out)
{
    if (!marline__uuid_parse(http_request_parameter(r, 0), out)) {
        http_answer_detail(r, 404, "Test Run not found");
        return false;
    }
    return true;
}

/* ---- the run and its results ---- */

/* What a visitor writes into; `begun` = the array is open. */
struct listing {
    struct json_writer w;
    bool begun;
    const struct uuid *run_id;
    const struct store_run *run;
    const struct run_attempts *attempts;
    size_t rows;
};

static void write_time_or_null(struct json_writer *w, const char *key, uint64_t unix_ns)
{
    if (unix_ns) {
        json_member_time(w, key, unix_ns);
    } else {
        marline__json_member_null(w, key);
    }
}

static void begin_run(struct listing *l)
{
    struct json_writer *w = &l->w;
    if (l->begun) {
        return;
    }
    l->begun = true;
    json_member_uuid(w, "test_run_id", l->run_id);
    json_member_uuid(w, "project_id", &l->run->project_id);
    json_member_text_or_null(w, "name", l->run->name);
    marline__json_member_string(w, "environment", l->run->environment);
    marline__json_member_text(w, "status", run_status_name(l->run->status));
    marline__json_member_int(w, "concurrency", l->run->concurrency);
    write_time_or_null(w, "started_at", l->run->started_unix_ns);
    write_time_or_null(w, "finished_at", l->run->finished_unix_ns);
    json_member_text_or_null(w, "webhook", l->run->webhook);
    marline__json_member_raw(w, "notice", l->run->notice);
    marline__json_key(w, "results");
    marline__json_begin_array(w);
}

static void write_result(struct json_writer *w, const struct store_run_row *row)
{
    struct slice reason = SLICE_EMPTY;
    bool has_reason = row->metrics.data &&
                      marline__json_pointer_find(row->metrics, "/reason", &reason) &&
                      reason.data[0] == '"';
    json_member_uuid(w, "test_result_id", &row->result_id);
    marline__json_member_text(w, "status", result_status_name(row->status));
    marline__json_member_raw(w, "output", row->output);
    json_member_text_or_null(w, "error", row->error);
    if (has_reason) {
        marline__json_member_raw(w, "reason", reason);
    } else {
        json_member_text_or_null(w, "reason", row->error);
    }
    marline__json_member_raw(w, "test_metrics", row->metrics);
    marline__json_member_double(w, "duration_ms", row->duration_ms);
    json_member_text_or_null(w, "trace_id", row->trace_id);
}

static void write_no_result(struct json_writer *w)
{
    static const char *const members[] = {"test_result_id", "status",  "output",
                                          "error",          "reason",  "test_metrics",
                                          "duration_ms",    "trace_id"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        marline__json_member_null(w, members[i]);
    }
}

static void write_run_row(void *user, const struct store_run_row *row)
{
    struct listing *l = user;
    struct json_writer *w = &l->w;
    begin_run(l);
    marline__json_begin_object(w);
    json_member_text_or_null(w, "name", row->test.name);
    json_member_uuid(w, "test_id", &row->test.test_id);
    json_member_uuid(w, "test_configuration_id", &row->test.configuration_id);
    marline__json_member_string(w, "function_name", row->test.function_name);
    if (row->has_result) {
        write_result(w, row);
    } else {
        write_no_result(w);
    }
    marline__json_member_int(w, "spans", (int64_t)row->spans);
    marline__json_member_int(w, "linked", (int64_t)row->linked);
    if (row->has_result && row->span_count) { /* what the agent said its last attempt has */
        marline__json_member_int(w, "declared_spans", row->span_count);
        marline__json_member_bool(w, "complete", row->own_spans >= row->span_count);
    } else {
        marline__json_member_null(w, "declared_spans");
        marline__json_member_null(w, "complete");
    }
    marline__json_member_int(w, "retries", row->test.retries);
    run_attempts_write(w, l->attempts, l->rows++);
    marline__json_end_object(w);
}

static void get_run(struct http_request *r)
{
    struct uuid id;
    if (!routes_parse_run_id(r, &id)) {
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
        if (!l.begun) { /* no tests: the texts of the run were valid during the visits only */
            run.name = run.environment = run.webhook = run.notice = SLICE_EMPTY;
        }
        begin_run(&l);
        marline__json_end_array(&l.w);
        marline__json_end_object(&l.w);
        http_answer_json(r, 200, &body);
    }
    run_attempts_deinit(&attempts);
}

static void get_progress(struct http_request *r)
{
    struct uuid id;
    if (!routes_parse_run_id(r, &id)) {
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct run_summary summary;
    if (run_summary_read(http_request_server(r)->store, &scope, &id, &summary, &error) !=
        STORE_OK) {
        routes_answer_store_error(r, &error, "Test Run not found");
        return;
    }
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    run_summary_write(&w, &summary);
    marline__json_end_object(&w);
    run_summary_deinit(&summary);
    http_answer_json(r, 200, &body);
}

static void get_junit(struct http_request *r)
{
    struct uuid id;
    if (!routes_parse_run_id(r, &id)) {
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct buffer body = BUFFER_INIT;
    if (run_junit_write(http_request_server(r)->store, &scope, &id, &body, &error) != STORE_OK) {
        marline__buffer_deinit(&body);
        routes_answer_store_error(r, &error, "Test Run not found");
        return;
    }
    http_answer(r, 200, "application/xml; charset=utf-8", &body);
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
    json_member_uuid(&w, "test_run_id", &c->run_id);
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
        json_member_uuid(&w, "test_run_id", &c->run_id);
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
    if (!routes_parse_run_id(r, &id)) {
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

const struct route routes_runs[] = {
    {"GET", "/mock/runs/{id}", ROUTE_KEY, get_run, "Status and results of a run"},
    {"GET", "/mock/runs/{id}/progress", ROUTE_KEY, get_progress, "A run in numbers"},
    {"GET", "/mock/runs/{id}/junit", ROUTE_KEY, get_junit, "Results of a run as JUnit XML"},
    {"POST", "/mock/runs/{id}/cancel", ROUTE_KEY, post_cancel, "Cancel a run"},
    {"GET", "/mock/runs/{id}/wait", ROUTE_KEY, get_wait,
     "Answer when the run has ended, or after timeout_ms"},
    {0},
};
