/* Who the key is, and what the platform answers beside. */
#include "core/alloc.h"
#include "http/routes.h"

static void get_health(struct http_request *r)
{
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_text(&body, "{\"status\":\"ok\"}");
    http_answer_json(r, 200, &body);
}

/* wire-protocol §8.7, §9. */
static void get_current_token(struct http_request *r)
{
    const struct auth_identity *identity = http_request_identity(r);
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    routes_json_uuid_or_null(&w, "project_id", &identity->project_id);
    routes_json_uuid(&w, "organization_id", &identity->organization_id);
    marline__json_member_text(&w, "user_email", "user@marline.local");
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

static void get_upgrade_only(struct http_request *r)
{
    http_answer_header(r, "Upgrade", "websocket");
    http_answer_detail(r, 426, "This path speaks WebSocket only");
}

const struct route routes_basic[] = {
    {"GET", "/health", ROUTE_OPEN, get_health},
    {"GET", "/tokens/current", ROUTE_KEY, get_current_token},
    {"GET", "/connector/ws", ROUTE_OPEN, get_upgrade_only},
    {0},
};
