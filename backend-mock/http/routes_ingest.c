/* POST /telemetry/traces: wire-protocol §5. A worker decodes and checks, the commit queue stores,
 * and the answer 200 follows the commit; only then the hub is told, which tries the links. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "core/alloc.h"
#include "http/routes.h"
#include "wire/json_reader.h"
#include "wire/platform_trace.h"

struct ingest {
    struct http_request *request;
    struct server *server;
    struct commit commit;
    struct platform_request decoded;
    struct store_span *spans;
    struct uuid project_id;
    /* The keys of the spans, for the linker: outlives the answer. */
    struct hub_job job;
    struct link_key *keys;
    size_t key_count;
};

static void free_ingest(struct ingest *in)
{
    marline__platform_request_deinit(&in->decoded);
    marline__memory_free(in->spans);
    marline__memory_free(in->keys);
    marline__memory_free(in);
}

/* ---- rejected ---- */

/* How many spans a refused body holds, as far as it can be read: the ledger counts them. */
static size_t count_spans(struct slice body)
{
    struct json_reader r;
    struct slice key;
    size_t count = 0;
    marline__json_reader_init(&r, body, JSON_STRICT);
    if (marline__json_peek(&r) != JSON_OBJECT || !marline__json_enter_object(&r)) {
        return 0;
    }
    while (marline__json_next_member(&r, &key)) {
        if (!marline__json_key_is(key, "spans") || marline__json_peek(&r) != JSON_ARRAY ||
            !marline__json_enter_array(&r)) {
            (void)marline__json_skip(&r, NULL);
            continue;
        }
        for (count = 0; marline__json_next_element(&r); count++) {
            (void)marline__json_skip(&r, NULL);
        }
    }
    return count;
}

struct rejection {
    struct commit commit;
    char post_id[UUID_TEXT_SIZE];
};

static void rejection_stored(struct commit *commit, void *user)
{
    if (commit->write.outcome.status != STORE_OK) {
        marline__log(LOG_WARN, "a refused request is not in the ledger: %s",
                     commit->write.outcome.text);
    }
    marline__memory_free(user);
}

static void record_rejection(struct http_request *r, const struct auth_identity *identity)
{
    size_t spans = count_spans(http_request_body(r));
    if (spans == 0) {
        return;
    }
    http_request_server(r)->ingest.rejected += spans;
    struct rejection *rejection = alloc_zeroed(sizeof(*rejection));
    (void)snprintf(rejection->post_id, sizeof(rejection->post_id), "%s", http_request_id(r));
    struct store_write *write = &rejection->commit.write;
    write->type = STORE_RECORD_REJECTED;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->record_rejected.organization_id = identity->organization_id;
    write->record_rejected.post_id = marline__slice_text(rejection->post_id);
    write->record_rejected.spans = spans;
    rejection->commit.done = rejection_stored;
    rejection->commit.user = rejection;
    if (!commit_queue_submit(http_request_server(r)->queue, &rejection->commit)) {
        marline__log(LOG_WARN, "a refused request is not in the ledger: too many writes wait");
        marline__memory_free(rejection);
    }
}

/* ---- project: §5.4 ---- */

struct project_check {
    struct uuid wanted;
    bool found;
};

static void check_project(void *user, const struct store_project *row)
{
    struct project_check *check = user;
    check->found = check->found || marline__uuid_equal(&check->wanted, &row->project_id);
}

/* False when it has answered. */
static bool may_use_project(struct http_request *r, const struct auth_identity *identity,
                            const struct uuid *project)
{
    char text[UUID_TEXT_SIZE];
    marline__uuid_format(project, text);
    if (!marline__uuid_is_nil(&identity->project_id) &&
        !marline__uuid_equal(&identity->project_id, project)) {
        http_answer_detail(r, 403, "Token is scoped to a different project");
        return false;
    }
    struct project_check check = {.wanted = *project};
    struct store_scope scope = {.organization_id = identity->organization_id,
                                .project_id = *project};
    struct store_error error;
    if (store_list_projects(http_request_server(r)->store, &scope, check_project, &check, &error) !=
        STORE_OK) {
        http_answer_failure(r, 500, error.text);
        return false;
    }
    if (!check.found) {
        http_answer_detail(r, 403, "User is not a member of project %s", text);
    }
    return check.found;
}

static bool is_own_project(struct http_request *r, const struct auth_identity *identity,
                           struct slice text, struct uuid *out)
{
    struct project_check check = {0};
    if (!text.size || !marline__uuid_parse(text, &check.wanted)) {
        return false;
    }
    struct store_scope scope = {.organization_id = identity->organization_id,
                                .project_id = check.wanted};
    struct store_error error;
    *out = check.wanted;
    return store_list_projects(http_request_server(r)->store, &scope, check_project, &check,
                               &error) == STORE_OK &&
           check.found;
}

/* The project of the first span decides for all; false when it has answered. */
static bool resolve_project(struct http_request *r, const struct auth_identity *identity,
                            struct slice claimed, struct uuid *out)
{
    if (claimed.size && !marline__slice_is(claimed, "unknown")) {
        if (!marline__uuid_parse(claimed, out)) {
            http_answer_detail(r, 400, "Invalid project_id format");
            return false;
        }
        return may_use_project(r, identity, out);
    }
    *out = identity->project_id;
    if (!marline__uuid_is_nil(out) ||
        is_own_project(r, identity, http_request_header(r, "X-Project-Id"), out)) {
        return true;
    }
    http_answer_detail(r, 422,
                       "No project_id could be resolved. Use a project-scoped token, set "
                       "RHESIS_PROJECT_ID, or pass X-Project-Id header.");
    return false;
}

/* ---- accepted ---- */

static void convert_span(const struct platform_span *from, const struct uuid *organization,
                         struct store_span *to)
{
    (void)marline__hex_decode(marline__slice_text(from->trace_id), to->trace_id, 16);
    (void)marline__hex_decode(marline__slice_text(from->span_id), to->span_id, 8);
    to->has_parent = from->parent_span_id[0] != '\0';
    if (to->has_parent) {
        (void)marline__hex_decode(marline__slice_text(from->parent_span_id), to->parent_span_id, 8);
    }
    to->kind = (uint8_t)from->kind;
    to->status = (uint8_t)from->status;
    to->start_unix_ns = from->start_unix_ns;
    to->end_unix_ns = from->end_unix_ns;
    to->name = from->name;
    to->environment = from->environment;
    to->conversation_id = from->conversation_id;
    to->status_message = from->status_message;
    to->attributes = from->attributes;
    to->events = from->events;
    to->links = from->links;
    to->resource = from->resource;
    to->has_key = link_key_parse(organization, from->test_run_id, from->test_id,
                                 from->test_configuration_id, from->attempt, &to->key);
}

static void convert_spans(struct ingest *in, const struct uuid *organization)
{
    size_t count = in->decoded.count;
    in->spans = alloc_array(count, sizeof(*in->spans));
    for (size_t i = 0; i < count; i++) {
        convert_span(&in->decoded.spans[i], organization, &in->spans[i]);
    }
}

/* After the insert, which lets spans inherit a key through their trace. */
static void collect_keys(struct ingest *in)
{
    in->keys = alloc_array(in->decoded.count, sizeof(*in->keys));
    for (size_t i = 0; i < in->decoded.count; i++) {
        if (in->spans[i].has_key) {
            in->keys[in->key_count++] = in->spans[i].key;
        }
    }
    in->key_count = link_keys_unique(in->keys, in->key_count);
}

static void answer_stored(const struct ingest *in)
{
    const struct store_insert_spans *write = &in->commit.write.insert_spans;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "status", "received");
    /* A repeat is acknowledged like the first time, or a client would send it for ever. */
    marline__json_member_int(&w, "span_count", (int64_t)(write->stored + write->duplicates));
    marline__json_member_text(&w, "trace_id", in->decoded.spans[0].trace_id);
    marline__json_end_object(&w);
    http_answer_json(in->request, 200, &body);
}

/* On the loop. */
static void tell_linker(struct hub *hub, struct hub_job *job)
{
    struct ingest *in = LIST_ENTRY(job, struct ingest, job);
    hub_spans_committed(hub, in->keys, in->key_count);
    free_ingest(in);
}

/* On the commit queue's thread. */
static void spans_stored(struct commit *commit, void *user)
{
    struct ingest *in = user;
    struct ingest_counters *counters = &in->server->ingest;
    counters->posts++;
    if (commit->write.outcome.status != STORE_OK) {
        counters->failed++;
        http_answer_failure(in->request, 500, commit->write.outcome.text);
        free_ingest(in);
        return;
    }
    counters->stored += commit->write.insert_spans.stored;
    counters->duplicates += commit->write.insert_spans.duplicates;
    answer_stored(in);
    collect_keys(in);
    in->job.run = tell_linker;
    hub_post(in->server->hub, &in->job);
}

static void store_spans(struct ingest *in, const struct auth_identity *identity)
{
    convert_spans(in, &identity->organization_id);
    struct store_write *write = &in->commit.write;
    write->type = STORE_INSERT_SPANS;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->insert_spans.organization_id = identity->organization_id;
    write->insert_spans.project_id = in->project_id;
    write->insert_spans.post_id = marline__slice_text(http_request_id(in->request));
    write->insert_spans.spans = in->spans;
    write->insert_spans.count = in->decoded.count;
    in->commit.done = spans_stored;
    in->commit.user = in;
    if (!commit_queue_submit(in->server->queue, &in->commit)) {
        http_answer_failure(in->request, 500, "too many writes wait");
        free_ingest(in);
    }
}

static void ingest_decoded(struct ingest *in, const struct auth_identity *identity)
{
    if (resolve_project(in->request, identity, in->decoded.spans[0].project_id, &in->project_id)) {
        store_spans(in, identity);
    } else {
        free_ingest(in);
    }
}

/* The reference reads the JSON before it looks at the key, so a caller without one learns first
 * that its body is malformed (§5.2). */
static void post_traces(struct http_request *r)
{
    struct slice body = http_request_body(r);
    struct auth_identity identity;
    enum auth_result auth =
        auth_check(http_request_server(r)->store, http_request_header(r, "Authorization"),
                   AUTH_SCHEME_ANY_CASE, &identity);
    if (auth != AUTH_OK && marline__json_is_valid(body, JSON_STRICT)) {
        routes_answer_unauthenticated(r, auth);
        return;
    }
    struct buffer error = BUFFER_INIT;
    struct ingest *in = alloc_zeroed(sizeof(*in));
    in->request = r;
    in->server = http_request_server(r);
    switch (marline__platform_decode(body, &in->decoded, &error)) {
    case PLATFORM_DECODE_OK:
        ingest_decoded(in, &identity);
        break;
    case PLATFORM_DECODE_REJECTED:
        if (auth == AUTH_OK) {
            record_rejection(r, &identity);
        }
        http_answer_json(r, 422, &error);
        free_ingest(in);
        break;
    case PLATFORM_DECODE_NO_MEMORY:
        abort();
    }
    marline__buffer_deinit(&error);
}

const struct route routes_ingest[] = {
    {"POST", "/telemetry/traces", ROUTE_OPEN, post_traces}, /* looks at the key itself */
    {0},
};
