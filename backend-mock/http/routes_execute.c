/* Executing entities: a test configuration or a test set as a run of its own, a test in place; runs
 * that come over REST, and cancelling (wire-protocol §8.7). */
#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "core/json_member.h"
#include "core/mapping.h"
#include "core/stored_criteria.h"
#include "http/endpoint_call.h"
#include "http/entity_save.h"
#include "http/execution.h"
#include "hub/hub_judge.h"
#include "wire/json_reader.h"

enum { CONCURRENCY_PARALLEL = 10 };

/* ---- options of both kinds of execution ---- */

struct execute_options {
    uint32_t concurrency;
    struct slice attributes; /* the raw "execution_options", as the run's attributes */
};

/* "execution_options": {"execution_mode": "Parallel" or "Sequential"}; an empty body is one without
 * options. False when it has answered. */
static bool read_options(struct http_request *r, struct execute_options *out)
{
    struct body_faults faults;
    const char *name = "execution_options";
    struct json_member m = {.type = JSON_ERROR};
    *out = (struct execute_options){.concurrency = CONCURRENCY_PARALLEL};
    if (http_request_body(r).size == 0) {
        return true;
    }
    if (!body_is_object(r)) {
        return false;
    }
    marline__json_find_members(http_request_body(r), &name, 1, &m);
    body_faults_init(&faults);
    struct slice mode = mapping_member(m.raw, "execution_mode");
    if (m.type != JSON_ERROR && m.type != JSON_NULL && m.type != JSON_OBJECT) {
        body_faults_add(&faults, "dict_type", name, "Input should be a valid dictionary", NULL);
    } else if (marline__slice_is(mode, "\"Sequential\"")) {
        out->concurrency = 1;
    } else if (mode.size && !marline__slice_is(mode, "\"Parallel\"")) {
        body_faults_add(&faults, "enum", "execution_options.execution_mode",
                        "Input should be 'Parallel' or 'Sequential'",
                        "{\"expected\":\"'Parallel' or 'Sequential'\"}");
    }
    out->attributes = m.type == JSON_OBJECT ? m.raw : SLICE_EMPTY;
    bool ok = faults.count == 0;
    if (!ok) {
        body_faults_answer(&faults, r);
    }
    body_faults_deinit(&faults);
    return ok;
}

/* ---- POST /test_configurations/{id}/execute ---- */

struct execute_parts {
    struct store_scope scope;
    struct entity_copy configuration; /* empty for a test set */
    struct entity_copy set;
    struct entity_copy endpoint;
};

static void free_parts(struct execute_parts *parts)
{
    entity_copy_deinit(&parts->configuration);
    entity_copy_deinit(&parts->set);
    entity_copy_deinit(&parts->endpoint);
}

static struct execution *make_execution(struct http_request *r, const struct execute_parts *parts,
                                        const struct execute_options *options,
                                        const struct uuid *configuration_id)
{
    const struct execution_request what = {
        .request = r,
        .set = &parts->set.row,
        .endpoint = &parts->endpoint.row,
        .configuration_id = *configuration_id,
        .concurrency = options->concurrency,
        .attributes = options->attributes,
    };
    return execution_create(&what, &parts->scope);
}

static bool read_configuration(struct http_request *r, struct execute_parts *parts)
{
    const struct store_entity_row *row = &parts->configuration.row;
    if (!routes_read_scope(r, &parts->scope) ||
        !entity_read_path(r, 0, ENTITY_TEST_CONFIGURATION, &parts->configuration)) {
        return false;
    }
    if (marline__uuid_is_nil(&row->test_set_id)) {
        http_answer_detail(r, 400, "The test configuration names no test set");
        return false;
    }
    return entity_read(r, &parts->scope, ENTITY_TEST_SET, &row->test_set_id, &parts->set) &&
           entity_read(r, &parts->scope, ENTITY_ENDPOINT, &row->endpoint_id, &parts->endpoint);
}

static void post_execute_configuration(struct http_request *r)
{
    struct execute_options options;
    struct execute_parts parts = {0};
    if (read_options(r, &options) && read_configuration(r, &parts)) {
        struct execution *e = make_execution(r, &parts, &options, &parts.configuration.row.id);
        if (e) {
            execution_begin(e);
        }
    }
    free_parts(&parts);
}

/* ---- POST /test_sets/{id}/execute/{endpoint_id} ---- */

/* On the commit queue's thread: the configuration is stored. */
static void configuration_saved(struct entity_save *save, bool ok)
{
    struct execution *e = save->user;
    entity_save_free(save);
    if (ok) {
        execution_begin(e);
    } else {
        execution_destroy(e);
    }
}

static bool read_set_and_endpoint(struct http_request *r, struct execute_parts *parts)
{
    struct uuid endpoint_id;
    return body_path_uuid(r, 1, "endpoint_id", &endpoint_id) &&
           routes_read_scope(r, &parts->scope) &&
           entity_read_path(r, 0, ENTITY_TEST_SET, &parts->set) &&
           entity_read(r, &parts->scope, ENTITY_ENDPOINT, &endpoint_id, &parts->endpoint);
}

/* A configuration of its own for each execution, as on the platform. */
static struct entity_save *make_configuration(struct http_request *r,
                                              const struct execute_parts *parts,
                                              const struct execute_options *options)
{
    struct entity_save *save = entity_save_create(r, 1);
    struct entity_draft *draft = &save->drafts[0];
    marline__buffer_append_text(&draft->body, "{\"attributes\":");
    marline__buffer_append_slice(&draft->body,
                                 options->attributes.size ? options->attributes : SLICE("{}"));
    marline__buffer_append_text(&draft->body, "}");
    alloc_check_buffer(&draft->body);
    draft->entity = (struct store_entity){.kind = ENTITY_TEST_CONFIGURATION,
                                          .id = marline__uuid_random(marline__random_system()),
                                          .project_id = parts->set.row.project_id,
                                          .name = SLICE(""),
                                          .body = marline__buffer_slice(&draft->body),
                                          .endpoint_id = parts->endpoint.row.id,
                                          .test_set_id = parts->set.row.id};
    save->done = configuration_saved;
    return save;
}

static void post_execute_set(struct http_request *r)
{
    struct execute_options options;
    struct execute_parts parts = {0};
    if (read_options(r, &options) && read_set_and_endpoint(r, &parts)) {
        struct entity_save *save = make_configuration(r, &parts, &options);
        struct execution *e = make_execution(r, &parts, &options, &save->drafts[0].entity.id);
        if (e) {
            save->user = e;
            entity_save_begin(save);
        } else {
            entity_save_free(save);
        }
    }
    free_parts(&parts);
}

/* ---- POST /tests/execute ---- */

/* One call, and the judgement of its answer. */
struct execute_test {
    struct http_request *request;
    struct uuid test_id;
    struct uuid endpoint_id;
    uint64_t begun_ns;
    struct buffer criteria;
    struct buffer inputs; /* as they went out; kept for metrics, as the next */
    struct buffer output; /* the function's */
    struct buffer shown;  /* test_output */
};

static void free_test(struct execute_test *t)
{
    marline__buffer_deinit(&t->criteria);
    marline__buffer_deinit(&t->inputs);
    marline__buffer_deinit(&t->output);
    marline__buffer_deinit(&t->shown);
    marline__memory_free(t);
}

static void show_failure(struct execute_test *t, const struct endpoint_failure *failure)
{
    struct json_writer w;
    marline__json_writer_init(&w, &t->shown);
    marline__json_begin_object(&w);
    marline__json_member_bool(&w, "error", true);
    marline__json_member_text(&w, "error_type", failure->type);
    marline__json_member_string(&w, "message", failure->message);
    marline__json_end_object(&w);
    alloc_check_buffer(&t->shown);
}

static void show_output(struct execute_test *t, const struct endpoint_call *call,
                        const struct message_test_result *result)
{
    marline__buffer_append_slice(&t->output, result->output);
    marline__buffer_append_byte(&t->shown, '{');
    endpoint_call_write_output(call, result, &t->shown);
    t->shown.size -= t->shown.data[t->shown.size - 1] == ',';
    marline__buffer_append_byte(&t->shown, '}');
    alloc_check_buffer(&t->output);
    alloc_check_buffer(&t->shown);
}

/* On the loop. */
static void test_judged(struct hub *hub, void *user, const struct run_verdict *verdict)
{
    struct execute_test *t = user;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    json_member_uuid(&w, "test_id", &t->test_id);
    json_member_uuid(&w, "endpoint_id", &t->endpoint_id);
    marline__json_member_double(&w, "execution_time",
                                (double)(hub_now_ns(hub) - t->begun_ns) / NS_PER_MS);
    marline__json_member_raw(&w, "test_output", marline__buffer_slice(&t->shown));
    marline__json_member_text(&w, "status", result_status_name(verdict->status));
    marline__json_member_raw(&w, "test_metrics", verdict->metrics);
    marline__json_end_object(&w);
    http_answer_json(t->request, 200, &body);
    free_test(t);
}

/* On the loop. */
static void test_executed(struct endpoint_call *call, const struct hub_answer *answer)
{
    struct execute_test *t = call->user;
    struct endpoint_failure failure;
    struct run_answer judged = {.success = true};
    t->request = call->request;
    t->inputs = call->inputs;
    call->inputs = BUFFER_INIT;
    if (endpoint_call_failed(answer, &failure)) {
        show_failure(t, &failure);
        judged = (struct run_answer){.error = failure.message};
    } else {
        show_output(t, call, answer->result);
        judged.output = marline__buffer_slice(&t->output);
        judged.duration_ms = answer->result->duration_ms;
    }
    const struct hub_judge_options options = {
        .organization_id = http_request_identity(t->request)->organization_id,
        .criteria = t->criteria.size ? marline__buffer_slice(&t->criteria) : SLICE("{}"),
        .inputs = marline__buffer_slice(&t->inputs),
        .answer = &judged,
        .done = test_judged,
        .user = t};
    hub_judge(http_request_server(t->request)->hub, &options);
}

/* False when it has answered. */
static bool read_ids(struct http_request *r, struct execute_test *out)
{
    static const char *const names[] = {"test_id", "endpoint_id"};
    struct uuid *const ids[] = {&out->test_id, &out->endpoint_id};
    struct json_member m[2];
    struct body_faults faults;
    if (!body_is_object(r)) {
        return false;
    }
    marline__json_find_members(http_request_body(r), names, 2, m);
    body_faults_init(&faults);
    for (size_t i = 0; i < 2; i++) {
        if (m[i].type == JSON_ERROR) {
            body_faults_add(&faults, "missing", names[i], "Field required", NULL);
        } else if (m[i].type != JSON_STRING ||
                   !marline__uuid_parse((struct slice){m[i].raw.data + 1, m[i].raw.size - 2},
                                        ids[i])) {
            body_faults_add(&faults, "uuid_parsing", names[i], "Input should be a valid UUID",
                            NULL);
        }
    }
    bool ok = faults.count == 0;
    if (!ok) {
        body_faults_answer(&faults, r);
    }
    body_faults_deinit(&faults);
    return ok;
}

/* Nothing is stored, and no test context goes out. */
static void begin_test(struct http_request *r, const struct execute_parts *parts,
                       const struct store_entity_row *test)
{
    struct entity_target target;
    struct buffer input = BUFFER_INIT;
    if (!entity_target_of(&parts->endpoint.row, &target)) {
        http_answer_detail(r, 400,
                           "Only endpoints of type SDK that name their function in "
                           "endpoint_metadata.sdk_connection can be called here");
        return;
    }
    struct execute_test *t = alloc_zeroed(sizeof(*t));
    t->test_id = test->id;
    t->endpoint_id = parts->endpoint.row.id;
    t->begun_ns = marline__clock_monotonic_ns(marline__clock_system());
    (void)stored_criteria_write(test->body, target.response_mapping, &t->criteria);
    execution_write_input(test, &input);
    endpoint_call_begin(r, &target, marline__buffer_slice(&input), NULL, test_executed, t);
    marline__buffer_deinit(&input);
}

static void post_execute_test(struct http_request *r)
{
    struct execute_test ids;
    struct execute_parts parts = {0};
    struct entity_copy test = {0};
    if (read_ids(r, &ids) && routes_read_scope(r, &parts.scope) &&
        entity_read(r, &parts.scope, ENTITY_TEST, &ids.test_id, &test) &&
        entity_read(r, &parts.scope, ENTITY_ENDPOINT, &ids.endpoint_id, &parts.endpoint)) {
        begin_test(r, &parts, &test.row);
    }
    entity_copy_deinit(&test);
    free_parts(&parts);
}

/* ---- POST /test_runs ---- */

struct run_creation {
    struct http_request *request;
    struct buffer name;
    struct commit commit;
};

/* On the commit queue's thread, or on the caller's when the queue is full. */
static void run_created(struct commit *commit, void *user)
{
    struct run_creation *q = user;
    const struct store_create_run *run = &commit->write.create_run;
    if (commit->write.outcome.status == STORE_OK) {
        const struct store_entity_row row = {.id = run->run_id,
                                             .project_id = run->project_id,
                                             .name = run->name.data ? run->name : SLICE(""),
                                             .environment = run->environment,
                                             .created_unix_ns = commit->write.at_unix_ns,
                                             .updated_unix_ns = commit->write.at_unix_ns,
                                             .body = run->attributes,
                                             .configuration_id = run->configuration_id};
        entity_answer(q->request, ENTITY_TEST_RUN, &row);
    } else {
        routes_answer_store_error(q->request, &commit->write.outcome,
                                  "A test run needs a test configuration that has a project");
    }
    marline__buffer_deinit(&q->name);
    marline__memory_free(q);
}

/* Fills id, name and attributes from the body; false when it has answered. */
static bool read_run(struct run_creation *q, struct uuid *out_configuration)
{
    static const char *const names[] = {"test_configuration_id", "name", "attributes"};
    struct store_create_run *run = &q->commit.write.create_run;
    struct json_member m[3];
    struct body_faults faults;
    if (!body_is_object(q->request)) {
        return false;
    }
    marline__json_find_members(http_request_body(q->request), names, 3, m);
    body_faults_init(&faults);
    if (m[0].type == JSON_ERROR) {
        body_faults_add(&faults, "missing", names[0], "Field required", NULL);
    } else if (m[0].type != JSON_STRING ||
               !marline__uuid_parse((struct slice){m[0].raw.data + 1, m[0].raw.size - 2},
                                    out_configuration)) {
        body_faults_add(&faults, "uuid_parsing", names[0], "Input should be a valid UUID", NULL);
    }
    if (m[1].type == JSON_STRING) {
        marline__json_unescape((struct slice){m[1].raw.data + 1, m[1].raw.size - 2}, &q->name);
        alloc_check_buffer(&q->name);
    }
    if ((m[1].type != JSON_ERROR && m[1].type != JSON_NULL && m[1].type != JSON_STRING) ||
        (q->name.size && memchr(q->name.data, '\0', q->name.size))) {
        body_faults_add(&faults, "string_type", names[1], "Input should be a valid string", NULL);
    } else if (q->name.size > ENTITY_TEXT_MAX) {
        body_faults_add(&faults, "string_too_long", names[1],
                        "String should have at most 255 characters", "{\"max_length\":\"255\"}");
    }
    if (m[2].type != JSON_ERROR && m[2].type != JSON_NULL && m[2].type != JSON_OBJECT) {
        body_faults_add(&faults, "dict_type", names[2], "Input should be a valid dictionary", NULL);
    }
    run->name = q->name.size ? marline__buffer_slice(&q->name) : SLICE_EMPTY;
    run->attributes = m[2].type == JSON_OBJECT ? m[2].raw : SLICE_EMPTY;
    bool ok = faults.count == 0;
    if (!ok) {
        body_faults_answer(&faults, q->request);
    }
    body_faults_deinit(&faults);
    return ok;
}

static void store_run(struct run_creation *q, const struct store_entity_row *configuration)
{
    struct store_write *write = &q->commit.write;
    struct store_create_run *run = &write->create_run;
    write->type = STORE_CREATE_RUN;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    run->organization_id = http_request_identity(q->request)->organization_id;
    run->project_id = configuration->project_id;
    run->run_id = marline__uuid_random(marline__random_system());
    run->environment = SLICE("development");
    run->concurrency = 1;
    run->configuration_id = configuration->id;
    q->commit.done = run_created;
    q->commit.user = q;
    if (!commit_queue_submit(http_request_server(q->request)->queue, &q->commit)) {
        write->outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        run_created(&q->commit, q);
    }
}

/* A run whose tests are executed elsewhere: results come over REST. */
static void post_run(struct http_request *r)
{
    struct run_creation *q = alloc_zeroed(sizeof(*q));
    struct entity_copy configuration = {0};
    struct store_scope scope;
    struct uuid id = {{0}};
    q->request = r;
    if (read_run(q, &id) && routes_read_scope(r, &scope) &&
        entity_read(r, &scope, ENTITY_TEST_CONFIGURATION, &id, &configuration)) {
        store_run(q, &configuration.row);
    } else {
        marline__buffer_deinit(&q->name);
        marline__memory_free(q);
    }
    entity_copy_deinit(&configuration);
}

/* ---- POST /test_runs/{id}/cancel ---- */

struct run_cancellation {
    struct hub_job job;
    struct http_request *request;
    struct uuid organization_id;
    struct uuid run_id;
    char status[16]; /* as stored; "" = none */
};

/* On the loop. */
static void cancel_run(struct hub *hub, struct hub_job *job)
{
    struct run_cancellation *c = LIST_ENTRY(job, struct run_cancellation, job);
    if (hub_run_cancel(hub, &c->organization_id, &c->run_id)) {
        struct buffer body = BUFFER_INIT;
        struct json_writer w;
        marline__json_writer_init(&w, &body);
        marline__json_begin_object(&w);
        json_member_uuid(&w, "id", &c->run_id);
        json_member_uuid(&w, "test_run_id", &c->run_id);
        marline__json_member_text(&w, "status", "Cancelled");
        marline__json_member_text(&w, "message", "Test run cancelled");
        marline__json_end_object(&w);
        http_answer_json(c->request, 200, &body);
    } else {
        http_answer_detail(c->request, 409,
                           "Only a test run that is Queued or in Progress can be "
                           "cancelled; this one is %s",
                           c->status[0] ? c->status : "not executed here");
    }
    marline__memory_free(c);
}

static void post_cancel(struct http_request *r)
{
    struct entity_copy run;
    if (!entity_read_path(r, 0, ENTITY_TEST_RUN, &run)) {
        return;
    }
    struct run_cancellation *c = alloc_zeroed(sizeof(*c));
    c->request = r;
    c->organization_id = http_request_identity(r)->organization_id;
    c->run_id = run.row.id;
    (void)snprintf(c->status, sizeof(c->status), "%.*s", SLICE_ARG(run.row.status));
    c->job.run = cancel_run;
    entity_copy_deinit(&run);
    hub_post(http_request_server(r)->hub, &c->job);
}

const struct route routes_execute[] = {
    {"POST", "/test_configurations/{test_configuration_id}/execute", ROUTE_KEY,
     post_execute_configuration, "Run the tests of the configuration's set"},
    {"POST", "/test_sets/{test_set_id}/execute/{endpoint_id}", ROUTE_KEY, post_execute_set,
     "Run the tests of a set against an endpoint"},
    {"POST", "/tests/execute", ROUTE_KEY, post_execute_test,
     "Call an endpoint with a test, without storing anything"},
    {"POST", "/test_runs", ROUTE_KEY, post_run, "Create a run whose results come over REST"},
    {"POST", "/test_runs/{test_run_id}/cancel", ROUTE_KEY, post_cancel, "Cancel a run"},
    {0},
};
