/* Who the key is, and what the platform answers beside. */
#include <stdio.h>

#include "core/alloc.h"
#include "core/json_member.h"
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
    json_member_uuid_or_null(&w, "project_id", &identity->project_id);
    json_member_uuid(&w, "organization_id", &identity->organization_id);
    marline__json_member_text(&w, "user_email", "user@marline.local");
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- projects ---- */

static void write_project(struct json_writer *w, const struct store_project *row)
{
    marline__json_begin_object(w);
    json_member_uuid(w, "id", &row->project_id);
    marline__json_member_string(w, "name", row->name);
    json_member_uuid(w, "organization_id", &row->organization_id);
    marline__json_end_object(w);
}

struct project_list {
    struct json_writer w;
    size_t count;
};

static void add_project(void *user, const struct store_project *row)
{
    struct project_list *list = user;
    write_project(&list->w, row);
    list->count++;
}

/* The array of the projects in a scope, in `body`; false when it has answered. */
static bool list_projects(struct http_request *r, const struct store_scope *scope,
                          struct buffer *body, size_t *out_count)
{
    struct project_list list = {.count = 0};
    struct store_error error;
    marline__json_writer_init(&list.w, body);
    marline__json_begin_array(&list.w);
    if (store_list_projects(http_request_server(r)->store, scope, add_project, &list, &error) !=
        STORE_OK) {
        marline__buffer_deinit(body);
        routes_answer_store_error(r, &error, NULL);
        return false;
    }
    marline__json_end_array(&list.w);
    *out_count = list.count;
    return true;
}

static void get_projects(struct http_request *r)
{
    struct store_scope scope = routes_scope(r);
    struct buffer body = BUFFER_INIT;
    char total[24];
    size_t count = 0;
    if (list_projects(r, &scope, &body, &count)) {
        (void)snprintf(total, sizeof(total), "%zu", count);
        http_answer_header(r, "X-Total-Count", total);
        http_answer_json(r, 200, &body);
    }
}

static void get_project(struct http_request *r)
{
    struct store_scope scope = routes_scope(r);
    struct uuid bound = scope.project_id;
    struct buffer body = BUFFER_INIT;
    size_t count = 0;
    bool visible = marline__uuid_parse(http_request_parameter(r, 0), &scope.project_id) &&
                   (marline__uuid_is_nil(&bound) || marline__uuid_equal(&bound, &scope.project_id));
    if (visible && !list_projects(r, &scope, &body, &count)) {
        return;
    }
    if (count == 0) {
        marline__buffer_deinit(&body);
        http_answer_detail(r, 404, "Project not found");
        return;
    }
    /* The list of one, without its brackets. */
    struct buffer one = BUFFER_INIT;
    marline__buffer_append(&one, body.data + 1, body.size - 2);
    marline__buffer_deinit(&body);
    http_answer_json(r, 200, &one);
}

static void get_upgrade_only(struct http_request *r)
{
    http_answer_header(r, "Upgrade", "websocket");
    http_answer_detail(r, 426, "This path speaks WebSocket only");
}

const struct route routes_basic[] = {
    {"GET", "/health", ROUTE_OPEN, get_health, "The platform's health check"},
    {"GET", "/tokens/current", ROUTE_KEY, get_current_token, "What the key is bound to"},
    {"GET", "/projects", ROUTE_KEY, get_projects, "Projects that the key may see"},
    {"GET", "/projects/{id}", ROUTE_KEY, get_project, "One project"},
    {"GET", "/connector/ws", ROUTE_OPEN, get_upgrade_only,
     "The testing channel: a WebSocket upgrade with the key"},
    {0},
};
