/* POST /test_results: results that come over REST are linked like all others (wire-protocol §8.7;
 * the platform itself forgets them, flaw F6). */
#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "http/json_body.h"
#include "http/routes.h"

enum { ATTEMPTS_MAX = 1000000 };

struct result_request {
    struct http_request *request;
    struct server *server;
    struct link_key key;
    char *run;
    char *test;
    char *configuration;
    uint32_t attempt;
    struct slice metrics; /* raw, borrowed from the body */
    struct slice output;
    double execution_time_s;
    enum result_status status;
    struct commit commit;
    struct hub_job job;
};

static void free_result_request(struct result_request *q)
{
    marline__memory_free(q->run);
    marline__memory_free(q->test);
    marline__memory_free(q->configuration);
    marline__memory_free(q);
}

/* ---- the body ---- */

/* One metric: {"is_successful": bool, …}. */
static bool metric_passes(struct json_reader *r)
{
    struct slice key;
    bool passes = false;
    if (marline__json_peek(r) != JSON_OBJECT) {
        (void)marline__json_skip(r, NULL);
        return false;
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &key)) {
        if (marline__json_key_is(key, "is_successful") && marline__json_peek(r) == JSON_BOOL) {
            (void)marline__json_read_bool(r, &passes);
        } else {
            (void)marline__json_skip(r, NULL);
        }
    }
    return passes;
}

/* Pass when there are metrics and all succeed, Fail when one does not, Error without any. */
static enum result_status judge_metrics(struct json_reader *r)
{
    struct slice key;
    enum result_status status = RESULT_ERROR;
    if (marline__json_peek(r) != JSON_OBJECT) {
        (void)marline__json_skip(r, NULL);
        return status;
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &key)) {
        bool passes = metric_passes(r);
        if (!passes) {
            status = RESULT_FAIL;
        } else if (status == RESULT_ERROR) {
            status = RESULT_PASS;
        }
    }
    return status;
}

/* {"execution_time": seconds, "metrics": {…}} */
static void read_metrics(struct result_request *q)
{
    struct json_reader r;
    struct slice key;
    marline__json_reader_init(&r, q->metrics, JSON_STRICT);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key)) {
        if (marline__json_key_is(key, "metrics")) {
            q->status = judge_metrics(&r);
        } else if (marline__json_key_is(key, "execution_time") &&
                   marline__json_peek(&r) == JSON_NUMBER) {
            (void)marline__json_read_double(&r, &q->execution_time_s);
        } else {
            (void)marline__json_skip(&r, NULL);
        }
    }
}

static void read_member(struct result_request *q, struct json_body *b, struct slice key)
{
    if (marline__json_key_is(key, "test_run_id")) {
        json_body_text(b, "test_run_id", &q->run);
    } else if (marline__json_key_is(key, "test_id")) {
        json_body_text(b, "test_id", &q->test);
    } else if (marline__json_key_is(key, "test_configuration_id")) {
        json_body_text(b, "test_configuration_id", &q->configuration);
    } else if (marline__json_key_is(key, "attempt")) {
        json_body_unsigned(b, "attempt", 1, ATTEMPTS_MAX, &q->attempt);
    } else if (marline__json_key_is(key, "test_metrics")) {
        json_body_object(b, "test_metrics", &q->metrics);
    } else if (marline__json_key_is(key, "test_output")) {
        (void)marline__json_skip(&b->reader, &q->output);
    } else {
        json_body_skip(b);
    }
}

static void read_result(struct result_request *q, struct json_body *b)
{
    struct slice key;
    const struct uuid *organization = &http_request_identity(q->request)->organization_id;
    q->attempt = 1;
    q->status = RESULT_ERROR;
    if (!json_body_begin(b, http_request_body(q->request))) {
        return;
    }
    while (json_body_next(b, &key)) {
        read_member(q, b, key);
    }
    if (!b->error[0] &&
        !link_key_parse(organization, marline__slice_text(q->run), marline__slice_text(q->test),
                        marline__slice_text(q->configuration), q->attempt, &q->key)) {
        json_body_fail(b, "test_run_id, test_id and test_configuration_id",
                       "are required and must be UUIDs");
    }
    if (q->metrics.size) {
        read_metrics(q);
    }
}

/* ---- storing ---- */

static void answer_result(struct result_request *q)
{
    const struct store_insert_result *stored = &q->commit.write.insert_result;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    routes_json_uuid(&w, "id", &stored->result_id);
    routes_json_uuid_or_null(&w, "project_id", &stored->project_id);
    routes_json_uuid(&w, "test_run_id", &q->key.run);
    routes_json_uuid(&w, "test_id", &q->key.test);
    routes_json_uuid(&w, "test_configuration_id", &q->key.configuration);
    marline__json_member_int(&w, "attempt", q->key.attempt);
    marline__json_member_text(&w, "status", result_status_name(q->status));
    marline__json_member_raw(&w, "test_metrics", q->metrics);
    marline__json_member_raw(&w, "test_output", q->output);
    if (stored->is_duplicate) {
        routes_json_uuid(&w, "duplicate_of", &stored->duplicate_of);
    } else {
        marline__json_member_null(&w, "duplicate_of");
    }
    marline__json_end_object(&w);
    http_answer_json(q->request, 200, &body);
}

/* On the loop. */
static void link_result(struct hub *hub, struct hub_job *job)
{
    struct result_request *q = LIST_ENTRY(job, struct result_request, job);
    linker_on_result_committed(hub_linker(hub), &q->key);
    free_result_request(q);
}

/* On the commit queue's thread. */
static void result_stored(struct commit *commit, void *user)
{
    struct result_request *q = user;
    if (commit->write.outcome.status != STORE_OK) {
        routes_answer_store_error(q->request, &commit->write.outcome, "Test Run not found");
        free_result_request(q);
        return;
    }
    answer_result(q);
    q->job.run = link_result;
    hub_post(q->server->hub, &q->job);
}

static void store_result(struct result_request *q)
{
    struct store_write *write = &q->commit.write;
    write->type = STORE_INSERT_RESULT;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->insert_result.project_id = http_request_identity(q->request)->project_id;
    write->insert_result.key = q->key;
    write->insert_result.status = q->status;
    write->insert_result.function_name = SLICE("");
    write->insert_result.output = q->output;
    write->insert_result.duration_ms = q->execution_time_s * 1000;
    q->commit.done = result_stored;
    q->commit.user = q;
    if (!commit_queue_submit(q->server->queue, &q->commit)) {
        http_answer_failure(q->request, 503, "too many writes wait");
        free_result_request(q);
    }
}

static void post_result(struct http_request *r)
{
    struct result_request *q = alloc_zeroed(sizeof(*q));
    struct json_body b;
    q->request = r;
    q->server = http_request_server(r);
    read_result(q, &b);
    if (b.error[0]) {
        http_answer_detail(r, 422, "%s", b.error);
        free_result_request(q);
    } else {
        store_result(q);
    }
}

const struct route routes_results[] = {
    {"POST", "/test_results", ROUTE_KEY, post_result, "Store a result, and link its spans"},
    {0},
};
