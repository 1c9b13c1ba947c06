/* See execution.h. */
#include "http/execution.h"

#include <stdio.h>

#include "core/alloc.h"
#include "core/json_member.h"
#include "core/mapping.h"
#include "core/stored_criteria.h"
#include "http/routes.h"

enum { EXECUTION_TESTS_MAX = 100000 };

/* Owned texts behind a test of the run. */
struct execution_texts {
    char *inputs;
    char *criteria; /* NULL = an answer that succeeded passes */
};

struct execution {
    struct run_launch launch;
    struct http_request *request;
    struct uuid set_id;
    struct uuid endpoint_id;
    char *set_name;
    char *endpoint_name;
    char *environment;
    char *function_name;
    char *request_mapping;
    char *response_mapping;
    char *attributes;
    char *run_name;
    struct store_run_test *tests;
    struct execution_texts *texts;
    size_t count;
    size_t capacity;
};

void execution_destroy(struct execution *e)
{
    for (size_t i = 0; i < e->count; i++) {
        marline__memory_free(e->texts[i].inputs);
        marline__memory_free(e->texts[i].criteria);
    }
    marline__memory_free(e->texts);
    marline__memory_free(e->tests);
    marline__memory_free(e->set_name);
    marline__memory_free(e->endpoint_name);
    marline__memory_free(e->environment);
    marline__memory_free(e->function_name);
    marline__memory_free(e->request_mapping);
    marline__memory_free(e->response_mapping);
    marline__memory_free(e->attributes);
    marline__memory_free(e->run_name);
    marline__memory_free(e);
}

/* ---- tests ---- */

void execution_write_input(const struct store_entity_row *test, struct buffer *out)
{
    struct slice input = mapping_member(mapping_member(test->body, "prompt"), "content");
    if (!input.size) {
        input = mapping_member(mapping_member(test->body, "test_configuration"), "goal");
    }
    marline__buffer_append_text(out, "{\"input\":");
    marline__buffer_append_slice(out, input.size ? input : SLICE("\"\""));
    marline__buffer_append_text(out, "}");
    alloc_check_buffer(out);
}

/* A function without request mapping is given the ids too (§2.6). */
static char *make_inputs(const struct execution *e, const struct store_entity_row *test)
{
    char ids[3][UUID_TEXT_SIZE];
    struct buffer request = BUFFER_INIT;
    struct buffer inputs = BUFFER_INIT;
    marline__uuid_format(&test->id, ids[0]);
    marline__uuid_format(&e->launch.run.run_id, ids[1]);
    marline__uuid_format(&e->launch.run.configuration_id, ids[2]);
    execution_write_input(test, &request);
    request.size--; /* the brace */
    marline__buffer_append_format(
        &request, ",\"test_id\":\"%s\",\"test_run_id\":\"%s\",\"test_configuration_id\":\"%s\"}",
        ids[0], ids[1], ids[2]);
    alloc_check_buffer(&request);
    mapping_inputs(marline__slice_text(e->request_mapping), marline__buffer_slice(&request),
                   &inputs);
    marline__buffer_deinit(&request);
    return marline__buffer_take(&inputs);
}

static char *make_criteria(const struct execution *e, const struct store_entity_row *test)
{
    struct buffer text = BUFFER_INIT;
    bool any = stored_criteria_write(test->body, marline__slice_text(e->response_mapping), &text);
    return any ? marline__buffer_take(&text) : NULL;
}

static void add_test(void *user, const struct store_entity_row *row)
{
    struct execution *e = user;
    if (e->count == e->capacity) {
        e->capacity = e->capacity ? 2 * e->capacity : 16;
        e->tests = alloc_resize(e->tests, e->capacity * sizeof(*e->tests));
        e->texts = alloc_resize(e->texts, e->capacity * sizeof(*e->texts));
    }
    struct execution_texts *texts = &e->texts[e->count];
    texts->inputs = make_inputs(e, row);
    texts->criteria = make_criteria(e, row);
    e->tests[e->count] = (struct store_run_test){
        .test_id = row->id,
        .configuration_id = e->launch.run.configuration_id,
        .function_name = marline__slice_text(e->function_name),
        .inputs = marline__slice_text(texts->inputs),
        .criteria = marline__slice_text(texts->criteria),
        .timeout_ms = HUB_FUNCTION_TIMEOUT_MS,
    };
    e->count++;
}

/* False when it has answered. */
static bool read_tests(struct execution *e, const struct store_scope *scope)
{
    const struct store_entity_query query = {
        .kind = ENTITY_TEST, .set_id = e->set_id, .limit = EXECUTION_TESTS_MAX};
    struct store_error error;
    if (store_list_entities(http_request_server(e->request)->store, scope, &query, NULL, add_test,
                            e, &error) != STORE_OK) {
        routes_answer_store_error(e->request, &error, NULL);
        return false;
    }
    if (e->count == 0) {
        http_answer_detail(e->request, 400, "Test set %s has no tests", e->set_name);
    }
    return e->count > 0;
}

/* ---- the run ---- */

static char *make_run_name(struct slice set, const struct uuid *run_id)
{
    char id[UUID_TEXT_SIZE];
    struct buffer name = BUFFER_INIT;
    marline__uuid_format(run_id, id);
    marline__buffer_append_slice(&name, set);
    marline__buffer_append_format(&name, " %.8s", id);
    alloc_check_buffer(&name);
    return marline__buffer_take(&name);
}

static void fill(struct execution *e, const struct execution_request *what,
                 const struct entity_target *target)
{
    struct store_create_run *run = &e->launch.run;
    e->request = what->request;
    e->set_id = what->set->id;
    e->endpoint_id = what->endpoint->id;
    e->set_name = alloc_slice(what->set->name);
    e->endpoint_name = alloc_slice(what->endpoint->name);
    e->environment = alloc_slice(target->environment);
    e->function_name = alloc_slice(target->function_name);
    e->request_mapping = alloc_slice(target->request_mapping);
    e->response_mapping = alloc_slice(target->response_mapping);
    run->organization_id = http_request_identity(what->request)->organization_id;
    run->project_id = target->project_id;
    run->run_id = marline__uuid_random(marline__random_system());
    run->configuration_id = what->configuration_id;
    run->environment = marline__slice_text(e->environment);
    run->concurrency = what->concurrency;
    e->run_name = make_run_name(what->set->name, &run->run_id);
    run->name = marline__slice_text(e->run_name);
    if (what->attributes.size) {
        e->attributes = alloc_slice(what->attributes);
        run->attributes = marline__slice_text(e->attributes);
    }
}

struct execution *execution_create(const struct execution_request *what,
                                   const struct store_scope *scope)
{
    struct entity_target target;
    if (!entity_target_of(what->endpoint, &target) || marline__uuid_is_nil(&target.project_id)) {
        http_answer_detail(what->request, 400,
                           "Only endpoints of type SDK, of a project, that name their function in "
                           "endpoint_metadata.sdk_connection can be called here");
        return NULL;
    }
    struct execution *e = alloc_zeroed(sizeof(*e));
    fill(e, what, &target);
    if (!read_tests(e, scope)) {
        execution_destroy(e);
        return NULL;
    }
    e->launch.run.tests = e->tests;
    e->launch.run.test_count = e->count;
    return e;
}

/* ---- the answer ---- */

static void answer(struct execution *e)
{
    const struct store_create_run *run = &e->launch.run;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    char message[64];
    (void)snprintf(message, sizeof(message), "%zu tests submitted", e->count);
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "status", "submitted");
    marline__json_member_text(&w, "message", message);
    json_member_uuid(&w, "test_set_id", &e->set_id);
    marline__json_member_text(&w, "test_set_name", e->set_name);
    json_member_uuid(&w, "endpoint_id", &e->endpoint_id);
    marline__json_member_text(&w, "endpoint_name", e->endpoint_name);
    json_member_uuid(&w, "test_configuration_id", &run->configuration_id);
    json_member_uuid(&w, "test_run_id", &run->run_id);
    json_member_uuid(&w, "task_id", &run->run_id); /* the run is its own task */
    marline__json_end_object(&w);
    http_answer_json(e->request, 200, &body);
}

static void stored(struct run_launch *launch, const struct store_error *outcome)
{
    struct execution *e = LIST_ENTRY(launch, struct execution, launch);
    if (outcome->status == STORE_OK) {
        answer(e);
    } else {
        routes_answer_store_error(e->request, outcome, "Project not found");
    }
}

static void release(struct run_launch *launch)
{
    execution_destroy(LIST_ENTRY(launch, struct execution, launch));
}

void execution_begin(struct execution *e)
{
    e->launch.server = http_request_server(e->request);
    e->launch.stored = stored;
    e->launch.release = release;
    run_launch_begin(&e->launch);
}
