/* See ingest.h. */
#include "http/ingest.h"

#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "core/alloc.h"
#include "http/gunzip.h"
#include "hub/self_trace.h"
#include "wire/json_reader.h"
#include "wire/otlp.h"
#include "wire/platform_span_data.h"

enum { TRACE_ID_SIZE = 16 };

/* ---- rejected ---- */

struct rejection {
    struct commit commit;
    char post_id[UUID_TEXT_SIZE];
};

static void rejection_stored(struct commit *commit, void *user)
{
    if (commit->write.outcome.status != STORE_OK) {
        marline__log(LOG_WARN, "refused spans are not in the ledger: %s",
                     commit->write.outcome.text);
    }
    marline__memory_free(user);
}

void ingest_record_rejected(struct http_request *r, const struct auth_identity *identity,
                            size_t spans)
{
    if (spans == 0) {
        return;
    }
    struct server *server = http_request_server(r);
    server->ingest.rejected += spans;
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
    if (!commit_queue_submit(server->queue, &rejection->commit)) {
        marline__log(LOG_WARN, "refused spans are not in the ledger: too many writes wait");
        marline__memory_free(rejection);
    }
}

/* ---- project ---- */

struct project_check {
    struct uuid wanted;
    bool found;
};

static void check_project(void *user, const struct store_project *row)
{
    struct project_check *check = user;
    check->found = check->found || marline__uuid_equal(&check->wanted, &row->project_id);
}

static enum ingest_project find_project(struct http_request *r,
                                        const struct auth_identity *identity,
                                        const struct uuid *project, struct store_error *error)
{
    struct project_check check = {.wanted = *project};
    struct store_scope scope = {.organization_id = identity->organization_id,
                                .project_id = *project};
    if (store_list_projects(http_request_server(r)->store, &scope, check_project, &check, error) !=
        STORE_OK) {
        return INGEST_PROJECT_FAILED;
    }
    return check.found ? INGEST_PROJECT_OK : INGEST_PROJECT_FORBIDDEN;
}

enum ingest_project ingest_resolve_project(struct http_request *r,
                                           const struct auth_identity *identity, struct slice claim,
                                           struct uuid *out, struct store_error *error)
{
    bool bound = !marline__uuid_is_nil(&identity->project_id);
    if (claim.size && !marline__slice_is(claim, "unknown")) {
        if (!marline__uuid_parse(claim, out)) {
            return INGEST_PROJECT_INVALID;
        }
        if (!bound) {
            return find_project(r, identity, out, error);
        }
        return marline__uuid_equal(&identity->project_id, out) ? INGEST_PROJECT_OK
                                                               : INGEST_PROJECT_SCOPED;
    }
    *out = identity->project_id;
    if (bound) {
        return INGEST_PROJECT_OK;
    }
    /* An invalid or foreign header is as if it were not there. */
    if (!marline__uuid_parse(http_request_header(r, "X-Project-Id"), out)) {
        return INGEST_PROJECT_UNRESOLVED;
    }
    enum ingest_project found = find_project(r, identity, out, error);
    return found == INGEST_PROJECT_FORBIDDEN ? INGEST_PROJECT_UNRESOLVED : found;
}

/* ---- conversion ---- */

/* Appends the trace id of one link, if it is one. */
static void collect_link(struct json_reader *r, struct buffer *out)
{
    struct slice key;
    if (marline__json_peek(r) != JSON_OBJECT) {
        (void)marline__json_skip(r, NULL);
        return;
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &key)) {
        struct slice text;
        uint8_t id[TRACE_ID_SIZE];
        if (!marline__json_key_is(key, "trace_id") || marline__json_peek(r) != JSON_STRING) {
            (void)marline__json_skip(r, NULL);
        } else if (marline__json_read_raw_string(r, &text) &&
                   marline__hex_decode(text, id, sizeof(id))) {
            marline__buffer_append(out, id, sizeof(id));
        }
    }
}

/* Appends the trace ids that a span's links name; returns how many. */
static size_t collect_links(struct slice links, struct buffer *out)
{
    if (links.size <= 2) {
        return 0;
    }
    size_t before = out->size;
    struct json_reader r;
    marline__json_reader_init(&r, links, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_array(&r);
    while (marline__json_next_element(&r)) {
        collect_link(&r, out);
    }
    alloc_check_buffer(out);
    return (out->size - before) / TRACE_ID_SIZE;
}

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

static void convert_spans(struct ingest *in)
{
    size_t count = in->decoded.count;
    in->spans = alloc_array(count, sizeof(*in->spans));
    for (size_t i = 0; i < count; i++) {
        convert_span(&in->decoded.spans[i], &in->identity.organization_id, &in->spans[i]);
        in->spans[i].linked_trace_count =
            collect_links(in->decoded.spans[i].links, &in->linked_traces);
    }
    const uint8_t(*ids)[TRACE_ID_SIZE] = (const uint8_t(*)[TRACE_ID_SIZE])in->linked_traces.data;
    for (size_t i = 0; i < count; i++) {
        if (in->spans[i].linked_trace_count) {
            in->spans[i].linked_traces = ids;
            ids += in->spans[i].linked_trace_count;
        }
    }
}

/* ---- storing ---- */

/* On the loop. */
static void tell_linker(struct hub *hub, struct hub_job *job)
{
    struct ingest *in = LIST_ENTRY(job, struct ingest, job);
    hub_spans_committed(hub, in->keys, in->key_count);
    in->release(in);
}

/* Only now: a span without context may have inherited one while it was stored. */
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

/* While the request's text is there, which the spans borrow from: as they are to be forwarded. */
static void encode_for_forwarding(struct ingest *in)
{
    struct arena arena = ARENA_INIT;
    const marline_span_data *spans = in->span_data;
    if (!in->server->forwarder) {
        return;
    }
    if (!spans) {
        spans = marline__platform_to_span_data(&in->decoded, &arena);
    }
    if (spans) {
        marline__otlp_encode(OTLP_PROTOBUF, spans, in->decoded.count, &in->forward);
    }
    alloc_check_buffer(&in->forward);
    marline__arena_deinit(&arena);
}

/* On the commit queue's thread. */
static void spans_stored(struct commit *commit, void *user)
{
    struct ingest *in = user;
    struct ingest_counters *counters = &in->server->ingest;
    counters->posts++;
    self_trace_end_store(&in->store_span,
                         commit->write.outcome.status == STORE_OK ? NULL
                                                                  : commit->write.outcome.text,
                         commit->write.insert_spans.stored, commit->write.insert_spans.duplicates);
    if (commit->write.outcome.status != STORE_OK) {
        counters->failed++;
        in->answer(in);
        in->release(in);
        return;
    }
    counters->stored += commit->write.insert_spans.stored;
    counters->duplicates += commit->write.insert_spans.duplicates;
    collect_keys(in);
    marline_span request_span = *http_request_span(in->request);
    in->answer(in);
    enricher_wake(in->server->enricher, &request_span);
    if (commit->write.insert_spans.stored > 0) { /* a repeat was forwarded the first time */
        forwarder_send(in->server->forwarder, &in->forward, in->decoded.count);
    }
    in->job.run = tell_linker;
    hub_post(in->server->hub, &in->job);
}

void ingest_store(struct ingest *in)
{
    convert_spans(in);
    encode_for_forwarding(in);
    struct store_write *write = &in->commit.write;
    write->type = STORE_INSERT_SPANS;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->insert_spans.organization_id = in->identity.organization_id;
    write->insert_spans.project_id = in->project_id;
    write->insert_spans.post_id = marline__slice_text(http_request_id(in->request));
    write->insert_spans.spans = in->spans;
    write->insert_spans.count = in->decoded.count;
    self_trace_set_organization(http_request_span(in->request), &in->identity.organization_id);
    in->store_span = self_trace_start_store(in->server->tracer, http_request_span(in->request),
                                            in->decoded.count);
    in->commit.done = spans_stored;
    in->commit.user = in;
    if (!commit_queue_submit(in->server->queue, &in->commit)) {
        write->outcome.status = STORE_BUSY;
        (void)snprintf(write->outcome.text, sizeof(write->outcome.text), "too many writes wait");
        in->server->ingest.failed++;
        self_trace_end_store(&in->store_span, write->outcome.text, 0, 0);
        in->answer(in);
        in->release(in);
    }
}

void ingest_deinit(struct ingest *in)
{
    marline__platform_request_deinit(&in->decoded);
    marline__buffer_deinit(&in->linked_traces);
    marline__buffer_deinit(&in->forward);
    marline__memory_free(in->spans);
    marline__memory_free(in->keys);
}

/* ---- compression ---- */

unsigned ingest_decompress(struct http_request *r, const char **out_reason)
{
    struct slice encoding = http_request_header(r, "Content-Encoding");
    if (!encoding.size || (encoding.size == 8 && strncasecmp(encoding.data, "identity", 8) == 0)) {
        return 0;
    }
    if (encoding.size != 4 || strncasecmp(encoding.data, "gzip", 4) != 0) {
        *out_reason = "Content-Encoding must be gzip or identity";
        return 415;
    }
    struct buffer body = BUFFER_INIT;
    enum gunzip_result result = gunzip(http_request_body(r), http_request_body_max(r), &body);
    if (result == GUNZIP_OK) {
        http_request_replace_body(r, &body);
        return 0;
    }
    marline__buffer_deinit(&body);
    bool too_large = result == GUNZIP_TOO_LARGE;
    *out_reason = too_large ? "Request body too large" : "The body is no valid gzip";
    return too_large ? 413 : 400;
}
