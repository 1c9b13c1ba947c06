/* POST /endpoints/{id}/invoke: calls an endpoint and waits for its answer (wire-protocol §8.6).
 * What else there is about endpoints is in routes_entities.c. */
#include "core/alloc.h"
#include "core/mapping.h"
#include "http/endpoint_call.h"
#include "http/routes.h"
#include "wire/json_reader.h"

static void answer_failed(struct endpoint_call *call, const struct endpoint_failure *failure)
{
    static const char *const nulls[] = {"trace_id", "conversation_id", "metadata", "context"};
    struct buffer body = BUFFER_INIT;
    struct buffer text = BUFFER_INIT;
    struct json_writer w;
    marline__buffer_append_text(&text, failure->prefix);
    marline__buffer_append_slice(&text, failure->message);
    alloc_check_buffer(&text);
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_string(&w, "output", marline__buffer_slice(&text));
    marline__json_member_bool(&w, "error", true);
    marline__json_member_text(&w, "error_type", failure->type);
    marline__json_member_string(&w, "message", failure->message);
    marline__json_member_raw(&w, "request", marline__buffer_slice(&call->inputs));
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++) {
        marline__json_member_null(&w, nulls[i]);
    }
    marline__json_end_object(&w);
    marline__buffer_deinit(&text);
    http_answer_json(call->request, 200, &body);
}

static void invoked(struct endpoint_call *call, const struct hub_answer *answer)
{
    struct endpoint_failure failure;
    if (endpoint_call_failed(answer, &failure)) {
        answer_failed(call, &failure);
        return;
    }
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__buffer_append_byte(&body, '{');
    endpoint_call_write_output(call, answer, &body);
    marline__buffer_append_text(&body, "\"trace_id\":");
    marline__json_writer_init(&w, &body);
    if (answer->result->trace_id.data) {
        marline__json_string(&w, answer->result->trace_id);
    } else {
        marline__json_null(&w);
    }
    marline__buffer_append_byte(&body, '}');
    http_answer_json(call->request, 200, &body);
}

/* False when it has answered. */
static bool check_input(struct http_request *r)
{
    struct slice body = http_request_body(r);
    if (marline__json_is_valid(body, JSON_STRICT) && mapping_member(body, "input").size) {
        return true;
    }
    struct buffer answer = BUFFER_INIT;
    marline__buffer_append_text(&answer, "{\"detail\":{\"error\":\"missing_input\",\"message\":"
                                         "\"The body must be an object with 'input'\"}}");
    http_answer_json(r, 400, &answer);
    return false;
}

static void post_invoke(struct http_request *r)
{
    struct entity_copy endpoint;
    struct entity_target target;
    if (!check_input(r) || !entity_read_path(r, 0, ENTITY_ENDPOINT, &endpoint)) {
        return;
    }
    if (entity_target_of(&endpoint.row, &target)) {
        endpoint_call_begin(r, &target, http_request_body(r), invoked, NULL);
    } else {
        http_answer_detail(r, 400,
                           "Only endpoints of type SDK that name their function in "
                           "endpoint_metadata.sdk_connection can be called here");
    }
    entity_copy_deinit(&endpoint);
}

const struct route routes_endpoints[] = {
    {"POST", "/endpoints/{endpoint_id}/invoke", ROUTE_KEY, post_invoke,
     "Call an endpoint and wait for its answer"},
    {0},
};
