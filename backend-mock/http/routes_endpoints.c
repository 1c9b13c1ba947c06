/* POST /endpoints/{id}/invoke: calls an endpoint and waits for its answer (wire-protocol §8.6).
 * What else there is about endpoints is in routes_entities.c. */
#include "core/mapping.h"
#include "http/routes.h"
#include "http/turn.h"
#include "wire/json_reader.h"

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
        turn_begin(r, &endpoint, &target.project_id);
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
