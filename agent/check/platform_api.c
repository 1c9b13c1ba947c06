/* Any backend of the platform, through the platform's own API: a run is a test set that is executed
 * at the dispatcher, links are read from the list of traces.
 *
 * What that API does not show is left open: which point linked a span, when, and which span of a
 * trace a row of the list is. A result's status says nothing either: the platform derives it from
 * metrics, of which a probe has none. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/check/backend_ops.h"
#include "agent/check/probes.h"
#include "programs/must.h"
#include "wire/json_writer.h"

enum { LIST_LIMIT = 100, PATH_SIZE = 3 * FACT_ID_SIZE + 64 };

/* A name, or an object that has one. */
static void read_name_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "name")) {
        answer_text(r, user, FACT_ID_SIZE);
    } else {
        answer_skip(r);
    }
}

static void read_name(struct json_reader *r, char out[FACT_ID_SIZE])
{
    if (marline__json_peek(r) == JSON_OBJECT) {
        answer_each_member(r, read_name_member, out);
    } else {
        answer_text(r, out, FACT_ID_SIZE);
    }
}

static void read_id_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "id")) {
        answer_text(r, user, FACT_ID_SIZE);
    } else {
        answer_skip(r);
    }
}

/* ---- the endpoint ---- */

struct endpoint_row {
    char id[FACT_ID_SIZE];
    char function_name[FACT_ID_SIZE];
    char project_id[FACT_ID_SIZE];
    char environment[FACT_ID_SIZE];
};

struct endpoint_search {
    const struct connection *connection;
    char *out_id;
};

static void read_connection_member(struct json_reader *r, struct slice key, void *user)
{
    struct endpoint_row *e = user;
    if (marline__json_key_is(key, "function_name")) {
        answer_text(r, e->function_name, sizeof e->function_name);
    } else if (marline__json_key_is(key, "project_id")) {
        answer_text(r, e->project_id, sizeof e->project_id);
    } else if (marline__json_key_is(key, "environment")) {
        answer_text(r, e->environment, sizeof e->environment);
    } else {
        answer_skip(r);
    }
}

static void read_metadata_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "sdk_connection")) {
        answer_each_member(r, read_connection_member, user);
    } else {
        answer_skip(r);
    }
}

static void read_endpoint_member(struct json_reader *r, struct slice key, void *user)
{
    struct endpoint_row *e = user;
    if (marline__json_key_is(key, "id")) {
        answer_text(r, e->id, sizeof e->id);
    } else if (marline__json_key_is(key, "endpoint_metadata")) {
        answer_each_member(r, read_metadata_member, e);
    } else {
        answer_skip(r);
    }
}

static void read_endpoint(struct json_reader *r, void *user)
{
    const struct endpoint_search *search = user;
    struct endpoint_row e = {0};
    answer_each_member(r, read_endpoint_member, &e);
    if (strcmp(e.function_name, PROBES_DISPATCHER) == 0 &&
        strcasecmp(e.project_id, search->connection->project_id) == 0 &&
        strcasecmp(e.environment, search->connection->environment) == 0) {
        memcpy(search->out_id, e.id, sizeof e.id);
    }
}

/* Registered by this agent a moment ago, so the backend has it. */
static bool find_endpoint(struct backend_api *api, struct failure *f)
{
    struct endpoint_search search = {rest_connection(api->rest), api->endpoint_id};
    char path[PATH_SIZE];
    for (int skip = 0; !*api->endpoint_id && skip < 10 * LIST_LIMIT; skip += LIST_LIMIT) {
        (void)snprintf(path, sizeof path, "/endpoints?skip=%d&limit=%d&sort_order=desc", skip,
                       LIST_LIMIT);
        if (!rest_ask(api->rest, "GET", path, SLICE_EMPTY, f) ||
            !rest_read_list(api->rest, read_endpoint, &search, f)) {
            return false;
        }
    }
    return *api->endpoint_id ||
           failure_set(f, EXIT_CODE_UNREACHABLE,
                       "the backend has registered this agent, but lists no endpoint '%s'",
                       PROBES_DISPATCHER);
}

/* ---- runs ---- */

static void write_test(struct json_writer *w, const struct facts *facts, size_t base, size_t test)
{
    char *input = probes_input_text(facts->tests[test].probe, base, test);
    marline__json_begin_object(w);
    marline__json_key(w, "prompt");
    marline__json_begin_object(w);
    marline__json_member_text(w, "content", input);
    marline__json_end_object(w);
    marline__json_member_text(w, "requirement", "linking");
    marline__json_member_text(w, "category", "marline-agent check");
    marline__json_member_text(w, "topic", facts->scenario->name);
    marline__json_member_text(w, "test_type", "Single-Turn");
    marline__json_end_object(w);
    marline__memory_free(input);
}

static bool create_test_set(struct backend_api *api, const struct facts *facts, size_t base,
                            char out_id[FACT_ID_SIZE], struct failure *f)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "name", "marline-agent check");
    marline__json_member_text(&w, "test_set_type", "Single-Turn");
    marline__json_key(&w, "tests");
    marline__json_begin_array(&w);
    for (size_t i = 0; i < facts->scenario->test_count; i++) {
        write_test(&w, facts, base, i);
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    must_buffer(&body);
    bool ok = rest_ask(api->rest, "POST", "/test_sets/bulk", marline__buffer_slice(&body), f) &&
              rest_read(api->rest, read_id_member, out_id, f);
    marline__buffer_deinit(&body);
    return ok;
}

static bool start_run(struct backend_api *api, struct facts *facts, size_t base, struct failure *f)
{
    char set_id[FACT_ID_SIZE] = "";
    char path[PATH_SIZE];
    struct slice options = SLICE("{\"execution_options\":{\"execution_mode\":\"Parallel\"}}");
    facts->is_blind_to_points = true;
    if (!find_endpoint(api, f) || !create_test_set(api, facts, base, set_id, f)) {
        return false;
    }
    (void)snprintf(path, sizeof path, "/test_sets/%s/execute/%s", set_id, api->endpoint_id);
    return backend_post_run(api, path, options, facts, f);
}

static void read_status_member(struct json_reader *r, struct slice key, void *user)
{
    char *status = user;
    if (marline__json_key_is(key, "status")) {
        read_name(r, status);
    } else {
        answer_skip(r);
    }
}

struct result_row {
    char id[FACT_ID_SIZE];
    char test_id[FACT_ID_SIZE];
    char configuration_id[FACT_ID_SIZE];
};

static void read_result_member(struct json_reader *r, struct slice key, void *user)
{
    struct result_row *row = user;
    if (marline__json_key_is(key, "id")) {
        answer_text(r, row->id, sizeof row->id);
    } else if (marline__json_key_is(key, "test_id")) {
        answer_text(r, row->test_id, sizeof row->test_id);
    } else if (marline__json_key_is(key, "test_configuration_id")) {
        answer_text(r, row->configuration_id, sizeof row->configuration_id);
    } else {
        answer_skip(r);
    }
}

static void read_result(struct json_reader *r, void *user)
{
    struct facts *facts = user;
    struct result_row row = {0};
    answer_each_member(r, read_result_member, &row);
    int test = facts_find_test(facts, row.test_id, row.configuration_id);
    if (test != NO_TEST) {
        memcpy(facts->tests[test].result_id, row.id, sizeof row.id);
        (void)snprintf(facts->tests[test].status, FACT_ID_SIZE, "Pass");
    }
}

static bool read_run(struct backend_api *api, struct facts *facts, struct failure *f)
{
    static const char *const ends[] = {"completed", "partial", "failed"};
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "/test_runs/%s", facts->run_id);
    if (!rest_get(api->rest, path, read_status_member, facts->run_status, f)) {
        return false;
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (strcasecmp(facts->run_status, ends[i]) == 0) {
            (void)snprintf(facts->run_status, sizeof facts->run_status, "completed");
        }
    }
    (void)snprintf(path, sizeof path, "/test_results?limit=%d&$filter=test_run_id%%20eq%%20'%s'",
                   LIST_LIMIT, facts->run_id);
    return rest_ask(api->rest, "GET", path, SLICE_EMPTY, f) &&
           rest_read_list(api->rest, read_result, facts, f);
}

static bool read_timeline(struct backend_api *api, struct facts *facts, struct failure *f)
{
    (void)api;
    (void)f;
    facts->event_count = 0;
    return true;
}

const struct backend_ops backend_ops_platform = {
    .start_run = start_run,
    .read_run = read_run,
    .read_spans = backend_list_spans,
    .read_timeline = read_timeline,
};
