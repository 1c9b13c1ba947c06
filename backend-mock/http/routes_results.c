/* POST /test_results: results that come over REST are linked like all others (wire-protocol §8.7;
 * the platform itself forgets them, flaw F6). */
#include "base/clock.h"
#include "core/alloc.h"
#include "http/body_faults.h"
#include "http/entity.h"
#include "http/routes.h"
#include "wire/json_reader.h"

enum { ATTEMPTS_MAX = 1000000 };

struct result_request {
    struct http_request *request;
    struct server *server;
    struct link_key key;
    uint32_t attempt;
    struct slice metrics; /* raw, borrowed from the body */
    struct slice output;
    double execution_time_s;
    enum result_status status;
    struct commit commit;
    struct hub_job job;
};

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

/* ---- what is wrong with it ---- */

static bool is_absent(const struct json_member *m)
{
    return m->type == JSON_ERROR || m->type == JSON_NULL;
}

static bool read_id(const struct json_member *m, const char *name, struct body_faults *faults,
                    struct slice *out)
{
    struct uuid id;
    if (is_absent(m)) {
        body_faults_add(faults, "missing", name, "Field required", NULL);
    } else if (m->type != JSON_STRING) {
        body_faults_add(faults, "uuid_type", name,
                        "UUID input should be a string, bytes or UUID object", NULL);
    } else {
        *out = (struct slice){m->raw.data + 1, m->raw.size - 2};
        if (marline__uuid_parse(*out, &id)) {
            return true;
        }
        body_faults_add(faults, "uuid_parsing", name, "Input should be a valid UUID", NULL);
    }
    return false;
}

static void read_attempt(struct result_request *q, const struct json_member *m,
                         struct body_faults *faults)
{
    struct json_reader r;
    int64_t value = 0;
    q->attempt = 1;
    if (is_absent(m)) {
        return;
    }
    marline__json_reader_init(&r, m->raw, JSON_TRUSTED);
    if (m->type != JSON_NUMBER || !marline__json_read_int64(&r, &value) || value < 1 ||
        value > ATTEMPTS_MAX) {
        body_faults_add(faults, "int_parsing", "attempt",
                        "Input should be a whole number from 1 to 1000000", NULL);
        return;
    }
    q->attempt = (uint32_t)value;
}

static void read_result(struct result_request *q, struct body_faults *faults)
{
    static const char *const names[] = {"test_run_id", "test_id",      "test_configuration_id",
                                        "attempt",     "test_metrics", "test_output"};
    const struct uuid *organization = &http_request_identity(q->request)->organization_id;
    struct json_member m[6];
    struct slice ids[3];
    size_t found = 0;
    q->status = RESULT_ERROR;
    marline__json_find_members(http_request_body(q->request), names, 6, m);
    for (size_t i = 0; i < 3; i++) {
        found += read_id(&m[i], names[i], faults, &ids[i]);
    }
    read_attempt(q, &m[3], faults);
    if (found == 3 && !link_key_parse(organization, ids[0], ids[1], ids[2], q->attempt, &q->key)) {
        body_faults_add(faults, "uuid_parsing", names[0], "Input should be a valid UUID", NULL);
    }
    for (size_t i = 4; i < 6; i++) {
        if (!is_absent(&m[i]) && m[i].type != JSON_OBJECT) {
            body_faults_add(faults, "dict_type", names[i], "Input should be a valid dictionary",
                            NULL);
        }
    }
    q->metrics = m[4].type == JSON_OBJECT ? m[4].raw : SLICE_EMPTY;
    q->output = m[5].type == JSON_OBJECT ? m[5].raw : SLICE_EMPTY;
    if (q->metrics.size) {
        read_metrics(q);
    }
}

struct owner {
    bool is_known;
    struct uuid project_id;
};

static void note_owner(void *user, const struct store_entity_row *row)
{
    *(struct owner *)user = (struct owner){true, row->project_id};
}

/* A run that nobody here knows may be one of a platform elsewhere; one of another project is not
 * to be written to. False when it has answered. */
static bool check_run(struct result_request *q)
{
    struct store_scope scope = routes_scope(q->request);
    const struct uuid bound = scope.project_id;
    const struct store_entity_query query = {.kind = ENTITY_TEST_RUN, .id = q->key.run, .limit = 1};
    struct owner owner = {.is_known = false};
    struct store_error error;
    scope.project_id = (struct uuid){{0}};
    if (store_list_entities(q->server->store, &scope, &query, NULL, note_owner, &owner, &error) !=
        STORE_OK) {
        routes_answer_store_error(q->request, &error, NULL);
        return false;
    }
    if (owner.is_known && !marline__uuid_is_nil(&bound) &&
        !marline__uuid_equal(&bound, &owner.project_id)) {
        entity_answer_not_found(q->request, ENTITY_TEST_RUN, &q->key.run);
        return false;
    }
    return true;
}

/* ---- storing ---- */

static void answer_result(struct result_request *q)
{
    const struct store_insert_result *stored = &q->commit.write.insert_result;
    const struct store_entity_row row = {
        .id = stored->result_id,
        .project_id = stored->project_id,
        .status = marline__slice_text(result_status_name(q->status)),
        .created_unix_ns = q->commit.write.at_unix_ns,
        .updated_unix_ns = q->commit.write.at_unix_ns,
        .run_id = q->key.run,
        .test_id = q->key.test,
        .configuration_id = q->key.configuration,
        .attempt = q->key.attempt,
        .output = q->output,
        .metrics = q->metrics,
        .duration_ms = stored->duration_ms,
        .duplicate_of = stored->is_duplicate ? stored->duplicate_of : (struct uuid){{0}},
    };
    entity_answer(q->request, ENTITY_TEST_RESULT, &row);
}

/* On the loop. */
static void link_result(struct hub *hub, struct hub_job *job)
{
    struct result_request *q = LIST_ENTRY(job, struct result_request, job);
    linker_on_result_committed(hub_linker(hub), &q->key);
    marline__memory_free(q);
}

/* On the commit queue's thread, or on the caller's when the queue is full. */
static void result_stored(struct commit *commit, void *user)
{
    struct result_request *q = user;
    if (commit->write.outcome.status != STORE_OK) {
        routes_answer_store_error(q->request, &commit->write.outcome, "Test Run not found");
        marline__memory_free(q);
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
    write->insert_result.metrics = q->metrics;
    write->insert_result.duration_ms = q->execution_time_s * 1000;
    write->insert_result.spare_id = marline__uuid_random(marline__random_system());
    q->commit.done = result_stored;
    q->commit.user = q;
    if (!commit_queue_submit(q->server->queue, &q->commit)) {
        write->outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        result_stored(&q->commit, q);
    }
}

static void post_result(struct http_request *r)
{
    if (!body_is_object(r)) {
        return;
    }
    struct result_request *q = alloc_zeroed(sizeof(*q));
    struct body_faults faults;
    q->request = r;
    q->server = http_request_server(r);
    body_faults_init(&faults);
    read_result(q, &faults);
    if (faults.count) {
        body_faults_answer(&faults, r);
        marline__memory_free(q);
    } else if (check_run(q)) {
        store_result(q);
    } else {
        marline__memory_free(q);
    }
    body_faults_deinit(&faults);
}

const struct route routes_results[] = {
    {"POST", "/test_results", ROUTE_KEY, post_result, "Store a result, and link its spans"},
    {0},
};
