/* POST /v1/traces: OTLP over HTTP in protobuf and JSON (otel.md §3.2; the SRV rules are named where
 * they are kept). Errors are google.rpc.Status in the request's own type. */
#include "http/routes_otlp.h"

#include <stdlib.h>

#include "core/alloc.h"
#include "http/ingest.h"
#include "wire/json_reader.h"
#include "wire/otlp.h"

/* Codes of google.rpc.Status. */
enum {
    RPC_INVALID_ARGUMENT = 3,
    RPC_NOT_FOUND = 5,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_UNIMPLEMENTED = 12,
    RPC_UNAVAILABLE = 14,
    RPC_UNAUTHENTICATED = 16,
};

/* ---- answers ---- */

static int rpc_code(unsigned status)
{
    switch (status) {
    case 401:
        return RPC_UNAUTHENTICATED;
    case 403:
        return RPC_PERMISSION_DENIED;
    case 404:
        return RPC_NOT_FOUND;
    case 405:
    case 415:
        return RPC_UNIMPLEMENTED;
    case 413:
        return RPC_RESOURCE_EXHAUSTED;
    case 503:
        return RPC_UNAVAILABLE;
    default:
        return RPC_INVALID_ARGUMENT;
    }
}

/* SRV-15; a type that is neither (SRV-12) is answered in JSON. */
static enum otlp_format format_of(const struct http_request *r)
{
    enum otlp_format format = OTLP_JSON;
    (void)marline__otlp_format_of(http_request_header(r, "Content-Type"), &format);
    return format;
}

const char *routes_otlp_write_error(const struct http_request *r, unsigned status, const char *text,
                                    struct buffer *out)
{
    enum otlp_format format = format_of(r);
    struct slice message = marline__slice_text(text);
    marline__otlp_encode_status(format, rpc_code(status), message,
                                status == 400 ? message : SLICE_EMPTY, out);
    return marline__otlp_content_type(format);
}

static void answer_error(struct http_request *r, unsigned status, const char *text)
{
    struct buffer body = BUFFER_INIT;
    const char *type = routes_otlp_write_error(r, status, text, &body);
    if (status == 503) {
        http_answer_header(r, "Retry-After", "1");
    }
    http_answer(r, status, type, &body);
}

static void answer_accepted(struct http_request *r, enum otlp_format format, size_t rejected,
                            const char *reason)
{
    struct buffer body = BUFFER_INIT;
    marline__otlp_encode_response(format, rejected, marline__slice_text(reason), &body);
    http_answer(r, 200, marline__otlp_content_type(format), &body);
}

/* ---- ingest ---- */

struct otlp_ingest {
    struct ingest base;
    struct otlp_request request;
    enum otlp_format format;
};

static void release(struct ingest *in)
{
    struct otlp_ingest *o = LIST_ENTRY(in, struct otlp_ingest, base);
    ingest_deinit(in);
    marline__otlp_request_deinit(&o->request);
    marline__memory_free(o);
}

/* SRV-08: a store that is down is passing trouble, never 500. */
static void answer(struct ingest *in)
{
    struct otlp_ingest *o = LIST_ENTRY(in, struct otlp_ingest, base);
    if (in->commit.write.outcome.status != STORE_OK) {
        answer_error(in->request, 503, "The store is not available");
    } else {
        answer_accepted(in->request, o->format, o->request.rejected, o->request.reason);
    }
}

/* False when it has answered. */
static bool resolve_project(struct ingest *in)
{
    struct store_error error;
    switch (
        ingest_resolve_project(in->request, &in->identity, SLICE_EMPTY, &in->project_id, &error)) {
    case INGEST_PROJECT_OK:
        return true;
    case INGEST_PROJECT_FAILED:
        answer_error(in->request, 503, "The store is not available");
        return false;
    default:
        answer_error(in->request, 400,
                     "No project: use a project-scoped key or the header X-Project-Id");
        return false;
    }
}

static void store_decoded(struct otlp_ingest *o)
{
    struct ingest *in = &o->base;
    ingest_record_rejected(in->request, &in->identity, o->request.rejected);
    if (o->request.count == 0) { /* SRV-02 */
        answer_accepted(in->request, o->format, o->request.rejected, o->request.reason);
        release(in);
        return;
    }
    if (!resolve_project(in)) {
        release(in);
        return;
    }
    if (!marline__otlp_flatten(o->request.spans, o->request.count, &in->decoded)) {
        abort();
    }
    in->span_data = o->request.spans;
    ingest_store(in);
}

static void decode(struct http_request *r, enum otlp_format format,
                   const struct auth_identity *identity)
{
    struct otlp_ingest *o = alloc_zeroed(sizeof(*o));
    o->format = format;
    o->base.request = r;
    o->base.server = http_request_server(r);
    o->base.identity = *identity;
    o->base.answer = answer;
    o->base.release = release;
    switch (marline__otlp_decode(format, http_request_body(r), &o->request)) {
    case OTLP_DECODE_OK:
        store_decoded(o);
        break;
    case OTLP_DECODE_INVALID:
        answer_error(r, 400, o->request.reason);
        release(&o->base);
        break;
    case OTLP_DECODE_NO_MEMORY:
        abort();
    }
}

/* Who sends: the key's owner, or nobody where that is allowed. */
static enum auth_result authenticate(struct http_request *r, struct auth_identity *out)
{
    const struct server *server = http_request_server(r);
    struct slice authorization = http_request_header(r, "Authorization");
    if (!authorization.data && server->has_otlp_anonymous) {
        *out = server->otlp_anonymous;
        return AUTH_OK;
    }
    return auth_check(server->store, authorization, AUTH_SCHEME_ANY_CASE, out);
}

static void post_otlp(struct http_request *r)
{
    struct auth_identity identity;
    enum otlp_format format;
    const char *reason = NULL;
    switch (authenticate(r, &identity)) {
    case AUTH_DENIED:
        http_answer_header(r, "WWW-Authenticate", "Bearer");
        answer_error(r, 401, "Not authenticated");
        return;
    case AUTH_UNAVAILABLE:
        answer_error(r, 503, "The store is not available");
        return;
    case AUTH_OK:
        http_request_set_identity(r, &identity);
        break;
    }
    if (!marline__otlp_format_of(http_request_header(r, "Content-Type"), &format)) {
        answer_error(r, 415, "Content-Type must be application/x-protobuf or application/json");
        return;
    }
    unsigned refused = ingest_decompress(r, &reason); /* SRV-05, SRV-06, SRV-13 */
    if (refused) {
        answer_error(r, refused, reason);
    } else {
        decode(r, format, &identity);
    }
}

/* ---- the same bodies on the platform's path ---- */

/* True for JSON whose first known member is OTLP's. */
static bool is_otlp_json(struct slice body)
{
    struct json_reader r;
    struct slice key;
    marline__json_reader_init(&r, body, JSON_STRICT);
    if (marline__json_peek(&r) != JSON_OBJECT || !marline__json_enter_object(&r)) {
        return false;
    }
    while (marline__json_next_member(&r, &key)) {
        if (marline__json_key_is(key, "resourceSpans")) {
            return true;
        }
        if (marline__json_key_is(key, "spans") || !marline__json_skip(&r, NULL)) {
            return false;
        }
    }
    return false;
}

bool routes_otlp_take(struct http_request *r, const struct auth_identity *identity)
{
    enum otlp_format format = OTLP_JSON;
    bool known = marline__otlp_format_of(http_request_header(r, "Content-Type"), &format);
    if (!(known && format == OTLP_PROTOBUF) && !is_otlp_json(http_request_body(r))) {
        return false;
    }
    decode(r, format, identity);
    return true;
}

bool routes_otlp_is_path(const char *path)
{
    return strncmp(path, "/v1/", 4) == 0;
}

const struct route routes_otlp[] = {
    {"POST", "/v1/traces", ROUTE_OPEN, post_otlp,
     "Spans in OTLP, protobuf or JSON"}, /* looks at the key itself */
    {0},
};
