/* POST /telemetry/traces: the platform's own JSON, wire-protocol §5. OTLP bodies on the same path
 * go to the OTLP handler. */
#include <stdlib.h>

#include "core/alloc.h"
#include "http/ingest.h"
#include "http/routes_otlp.h"
#include "wire/json_reader.h"

static void release(struct ingest *in)
{
    ingest_deinit(in);
    marline__memory_free(in);
}

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

static void answer(struct ingest *in)
{
    const struct store_write *write = &in->commit.write;
    if (write->outcome.status != STORE_OK) {
        http_answer_failure(in->request, 500, write->outcome.text);
        return;
    }
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "status", "received");
    /* A repeat is acknowledged like the first time, or a client would send it for ever. */
    marline__json_member_int(
        &w, "span_count", (int64_t)(write->insert_spans.stored + write->insert_spans.duplicates));
    marline__json_member_text(&w, "trace_id", in->decoded.spans[0].trace_id);
    marline__json_end_object(&w);
    http_answer_json(in->request, 200, &body);
}

/* False when it has answered. */
static bool resolve_project(struct ingest *in)
{
    struct http_request *r = in->request;
    struct store_error error;
    char project[UUID_TEXT_SIZE];
    switch (ingest_resolve_project(r, &in->identity, in->decoded.spans[0].project_id,
                                   &in->project_id, &error)) {
    case INGEST_PROJECT_OK:
        return true;
    case INGEST_PROJECT_INVALID:
        http_answer_detail(r, 400, "Invalid project_id format");
        break;
    case INGEST_PROJECT_FORBIDDEN:
        marline__uuid_format(&in->project_id, project);
        http_answer_detail(r, 403, "User is not a member of project %s", project);
        break;
    case INGEST_PROJECT_SCOPED:
        http_answer_detail(r, 403, "Token is scoped to a different project");
        break;
    case INGEST_PROJECT_UNRESOLVED:
        http_answer_detail(r, 422,
                           "No project_id could be resolved. Use a project-scoped token, set "
                           "RHESIS_PROJECT_ID, or pass X-Project-Id header.");
        break;
    case INGEST_PROJECT_FAILED:
        http_answer_failure(r, 500, error.text);
        break;
    }
    return false;
}

/* `auth` decides whether what is refused counts for an organization. */
static void ingest_platform(struct http_request *r, enum auth_result auth,
                            const struct auth_identity *identity)
{
    struct slice body = http_request_body(r);
    struct buffer error = BUFFER_INIT;
    struct ingest *in = alloc_zeroed(sizeof(*in));
    in->request = r;
    in->server = http_request_server(r);
    in->identity = *identity;
    in->answer = answer;
    in->release = release;
    switch (marline__platform_decode(body, &in->decoded, &error)) {
    case PLATFORM_DECODE_OK:
        if (resolve_project(in)) {
            ingest_store(in);
        } else {
            release(in);
        }
        break;
    case PLATFORM_DECODE_REJECTED:
        if (auth == AUTH_OK) {
            ingest_record_rejected(r, identity, count_spans(body));
        }
        http_answer_json(r, 422, &error);
        release(in);
        break;
    case PLATFORM_DECODE_NO_MEMORY:
        abort();
    }
    marline__buffer_deinit(&error);
}

/* The reference reads the JSON before it looks at the key, so a caller without one learns first
 * that its body is malformed (§5.2). */
static void post_traces(struct http_request *r)
{
    struct auth_identity identity;
    const char *reason = NULL;
    enum auth_result auth =
        auth_check(http_request_server(r)->store, http_request_header(r, "Authorization"),
                   AUTH_SCHEME_ANY_CASE, &identity);
    if (auth == AUTH_OK) {
        http_request_set_identity(r, &identity);
    }
    /* Nobody without a key has anything inflated. */
    unsigned refused = auth == AUTH_OK ? ingest_decompress(r, &reason) : 0;
    if (refused) {
        http_answer_detail(r, refused, "%s", reason);
    } else if (auth != AUTH_OK && marline__json_is_valid(http_request_body(r), JSON_STRICT)) {
        routes_answer_unauthenticated(r, auth);
    } else if (auth != AUTH_OK || !routes_otlp_take(r, &identity)) {
        ingest_platform(r, auth, &identity);
    }
}

const struct route routes_ingest[] = {
    {"POST", "/telemetry/traces", ROUTE_OPEN, post_traces,
     "Spans in the platform's JSON, or OTLP"}, /* looks at the key itself */
    {0},
};
