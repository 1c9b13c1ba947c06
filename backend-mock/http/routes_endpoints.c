/* /endpoints: what agents have registered, and calling one of them and waiting for its answer
 * (wire-protocol §8.6, §8.7). */
#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "core/mapping.h"
#include "http/routes.h"
#include "wire/json_reader.h"

struct endpoint_request {
    struct hub_job job;
    struct hub_call call;
    struct http_request *request;
    struct uuid organization_id;
    struct uuid project_id; /* nil = all the key may see */
    struct uuid id;
    struct buffer inputs;
    char *response_mapping;
};

static void free_endpoint_request(struct endpoint_request *q)
{
    marline__buffer_deinit(&q->inputs);
    marline__memory_free(q->response_mapping);
    marline__memory_free(q);
}

static void hand_to_loop(struct http_request *r, void (*run)(struct hub *, struct hub_job *),
                         const struct uuid *id)
{
    struct endpoint_request *q = alloc_zeroed(sizeof(*q));
    q->request = r;
    q->organization_id = http_request_identity(r)->organization_id;
    q->project_id = http_request_identity(r)->project_id;
    q->id = id ? *id : (struct uuid){{0}};
    q->job.run = run;
    hub_post(http_request_server(r)->hub, &q->job);
}

static bool is_visible(const struct endpoint_request *q, const struct endpoint *e)
{
    return marline__uuid_equal(&q->organization_id, &e->organization_id) &&
           (marline__uuid_is_nil(&q->project_id) ||
            marline__uuid_equal(&q->project_id, &e->project_id));
}

/* NULL when it has answered, and freed the request. */
static const struct endpoint *find_or_answer(struct hub *hub, struct endpoint_request *q)
{
    const struct endpoint *e =
        endpoint_registry_find(hub_endpoints(hub), &q->organization_id, &q->id);
    if (e && is_visible(q, e)) {
        return e;
    }
    http_answer_detail(q->request, 404, "Endpoint not found");
    free_endpoint_request(q);
    return NULL;
}

/* ---- reading ---- */

static void write_mapping(struct json_writer *w, const char *name, const struct endpoint *e)
{
    marline__json_member_raw(w, name, mapping_member(marline__slice_text(e->metadata), name));
}

static void write_endpoint(struct json_writer *w, const struct endpoint *e)
{
    marline__json_begin_object(w);
    routes_json_uuid(w, "id", &e->id);
    marline__json_member_text(w, "name", e->function_name);
    routes_json_uuid(w, "project_id", &e->project_id);
    marline__json_member_text(w, "connection_type", "SDK");
    marline__json_member_text(w, "environment", e->environment);
    marline__json_member_text(w, "status", e->active ? "Active" : "Inactive");
    write_mapping(w, "description", e);
    write_mapping(w, "request_mapping", e);
    write_mapping(w, "response_mapping", e);
    marline__json_key(w, "endpoint_metadata");
    marline__json_begin_object(w);
    marline__json_key(w, "sdk_connection");
    marline__json_begin_object(w);
    routes_json_uuid(w, "project_id", &e->project_id);
    marline__json_member_text(w, "environment", e->environment);
    marline__json_member_text(w, "function_name", e->function_name);
    marline__json_end_object(w);
    marline__json_end_object(w);
    marline__json_end_object(w);
}

/* On the loop, as the next. */
static void tell_endpoints(struct hub *hub, struct hub_job *job)
{
    struct endpoint_request *q = LIST_ENTRY(job, struct endpoint_request, job);
    const struct endpoint *e = NULL;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    char total[24];
    size_t count = 0;
    marline__json_writer_init(&w, &body);
    marline__json_begin_array(&w);
    while ((e = endpoint_registry_next(hub_endpoints(hub), e))) {
        if (is_visible(q, e)) {
            write_endpoint(&w, e);
            count++;
        }
    }
    marline__json_end_array(&w);
    (void)snprintf(total, sizeof(total), "%zu", count);
    http_answer_header(q->request, "X-Total-Count", total);
    http_answer_json(q->request, 200, &body);
    free_endpoint_request(q);
}

static void tell_endpoint(struct hub *hub, struct hub_job *job)
{
    struct endpoint_request *q = LIST_ENTRY(job, struct endpoint_request, job);
    const struct endpoint *e = find_or_answer(hub, q);
    if (!e) {
        return;
    }
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    write_endpoint(&w, e);
    http_answer_json(q->request, 200, &body);
    free_endpoint_request(q);
}

static void get_endpoints(struct http_request *r)
{
    hand_to_loop(r, tell_endpoints, NULL);
}

/* False when it has answered. */
static bool parse_endpoint_id(struct http_request *r, struct uuid *out)
{
    if (!marline__uuid_parse(http_request_parameter(r, 0), out)) {
        http_answer_detail(r, 404, "Endpoint not found");
        return false;
    }
    return true;
}

static void get_endpoint(struct http_request *r)
{
    struct uuid id;
    if (parse_endpoint_id(r, &id)) {
        hand_to_loop(r, tell_endpoint, &id);
    }
}

/* ---- invoking ---- */

static void answer_failed(struct endpoint_request *q, const char *type, const char *prefix,
                          struct slice message)
{
    struct buffer body = BUFFER_INIT;
    struct buffer text = BUFFER_INIT;
    struct json_writer w;
    marline__buffer_append_text(&text, prefix);
    marline__buffer_append_slice(&text, message);
    alloc_check_buffer(&text);
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_string(&w, "output", marline__buffer_slice(&text));
    marline__json_member_bool(&w, "error", true);
    marline__json_member_text(&w, "error_type", type);
    marline__json_member_string(&w, "message", message);
    marline__json_member_raw(&w, "request", marline__buffer_slice(&q->inputs));
    marline__json_member_null(&w, "trace_id");
    marline__json_member_null(&w, "conversation_id");
    marline__json_end_object(&w);
    marline__buffer_deinit(&text);
    http_answer_json(q->request, 200, &body);
}

static void answer_success(struct endpoint_request *q, const struct message_test_result *result)
{
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_byte(&body, '{');
    mapping_answer(marline__slice_text(q->response_mapping), result->output, &body);
    struct json_writer w;
    marline__buffer_append_text(&body, "\"trace_id\":");
    marline__json_writer_init(&w, &body);
    if (result->trace_id.data) {
        marline__json_string(&w, result->trace_id);
    } else {
        marline__json_null(&w);
    }
    marline__buffer_append_byte(&body, '}');
    http_answer_json(q->request, 200, &body);
}

static void answered(struct hub *hub, struct hub_call *call, const struct hub_answer *answer)
{
    struct endpoint_request *q = LIST_ENTRY(call, struct endpoint_request, call);
    if (!answer->result) {
        answer_failed(q, "sdk_timeout",
                      "SDK function timed out: ", marline__slice_text(answer->failure));
    } else if (!answer->result->success) {
        answer_failed(q, "sdk_function_error", "SDK function error: ", answer->result->error);
    } else {
        answer_success(q, answer->result);
    }
    hub_acknowledge(hub, answer->session, marline__slice_text(call->id));
    free_endpoint_request(q);
}

static void prepare(struct endpoint_request *q, const struct endpoint *e)
{
    struct slice metadata = marline__slice_text(e->metadata);
    uint64_t random = marline__random_u64(marline__random_system());
    mapping_inputs(mapping_member(metadata, "request_mapping"), http_request_body(q->request),
                   &q->inputs);
    q->response_mapping = alloc_slice(mapping_member(metadata, "response_mapping"));
    (void)snprintf(q->call.id, sizeof(q->call.id), "invoke_%012llx",
                   (unsigned long long)(random & 0xffffffffffffull));
    q->call.done = answered;
}

static void invoke(struct hub *hub, struct hub_job *job)
{
    struct endpoint_request *q = LIST_ENTRY(job, struct endpoint_request, job);
    const struct endpoint *e = find_or_answer(hub, q);
    if (!e) {
        return;
    }
    char project[UUID_TEXT_SIZE];
    marline__uuid_format(&e->project_id, project);
    prepare(q, e);
    struct message_test_context none = {0}; /* takes reserved keys of users out (§2.6) */
    struct hub_invocation invocation = {
        .project = marline__slice_text(project),
        .environment = marline__slice_text(e->environment),
        .function_name = marline__slice_text(e->function_name),
        .inputs = marline__buffer_slice(&q->inputs),
        .test = &none,
        .timeout_ms = HUB_FUNCTION_TIMEOUT_MS,
        .deadline_ns = hub_now_ns(hub) + HUB_FUNCTION_TIMEOUT_MS * NS_PER_MS,
    };
    if (!hub_call_send(hub, &invocation, &q->call)) {
        answer_failed(q, "sdk_not_connected",
                      "SDK client not connected: ", SLICE("no agent serves this endpoint now"));
        free_endpoint_request(q);
    }
}

static void post_invoke(struct http_request *r)
{
    struct uuid id;
    struct slice body = http_request_body(r);
    if (!parse_endpoint_id(r, &id)) {
        return;
    }
    if (!marline__json_is_valid(body, JSON_STRICT) || !mapping_member(body, "input").size) {
        struct buffer answer = BUFFER_INIT;
        marline__buffer_append_text(&answer, "{\"detail\":{\"error\":\"missing_input\",\"message\":"
                                             "\"The body must be an object with 'input'\"}}");
        http_answer_json(r, 400, &answer);
        return;
    }
    hand_to_loop(r, invoke, &id);
}

const struct route routes_endpoints[] = {
    {"GET", "/endpoints", ROUTE_KEY, get_endpoints, "Endpoints that agents have registered"},
    {"GET", "/endpoints/{id}", ROUTE_KEY, get_endpoint, "One endpoint"},
    {"POST", "/endpoints/{id}/invoke", ROUTE_KEY, post_invoke,
     "Call an endpoint and wait for its answer"},
    {0},
};
