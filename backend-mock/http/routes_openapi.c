/* GET /openapi.json: the routes as an OpenAPI 3.1 document, written from the very tables that serve
 * them, so that it cannot tell anything else. */
#include <string.h>

#include "core/alloc.h"
#include "http/routes.h"

static void write_path_parameters(struct json_writer *w, const char *pattern)
{
    marline__json_key(w, "parameters");
    marline__json_begin_array(w);
    for (const char *at = pattern; (at = strchr(at, '{')); at++) {
        marline__json_begin_object(w);
        marline__json_member_string(w, "name", (struct slice){at + 1, strcspn(at + 1, "}")});
        marline__json_member_text(w, "in", "path");
        marline__json_member_bool(w, "required", true);
        marline__json_key(w, "schema");
        marline__json_begin_object(w);
        marline__json_member_text(w, "type", "string");
        marline__json_end_object(w);
        marline__json_end_object(w);
    }
    marline__json_end_array(w);
}

static void write_operation(struct json_writer *w, const struct route *route)
{
    static const char *const methods[][2] = {
        {"GET", "get"}, {"POST", "post"}, {"PUT", "put"}, {"DELETE", "delete"}};
    const char *name = "x-other";
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        name = strcmp(methods[i][0], route->method) == 0 ? methods[i][1] : name;
    }
    marline__json_key(w, name);
    marline__json_begin_object(w);
    marline__json_member_text(w, "summary", route->summary);
    write_path_parameters(w, route->pattern);
    if (route->auth == ROUTE_OPEN) {
        marline__json_key(w, "security");
        marline__json_begin_array(w);
        marline__json_end_array(w);
    }
    marline__json_member_raw(w, "responses",
                             SLICE("{\"default\":{\"description\":\"See docs/backend-mock.md\"}}"));
    marline__json_end_object(w);
}

/* True when an earlier route has the same path: its operations were written together. */
static bool is_repeated(const struct route *route)
{
    for (const struct route *r = routes_next(NULL); r != route; r = routes_next(r)) {
        if (strcmp(r->pattern, route->pattern) == 0) {
            return true;
        }
    }
    return false;
}

static void write_paths(struct json_writer *w)
{
    for (const struct route *route = routes_next(NULL); route; route = routes_next(route)) {
        if (is_repeated(route)) {
            continue;
        }
        marline__json_key(w, route->pattern);
        marline__json_begin_object(w);
        for (const struct route *r = route; r; r = routes_next(r)) {
            if (strcmp(r->pattern, route->pattern) == 0) {
                write_operation(w, r);
            }
        }
        marline__json_end_object(w);
    }
}

static void get_openapi(struct http_request *r)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "openapi", "3.1.0");
    marline__json_member_raw(&w, "info",
                             SLICE("{\"title\":\"Marline backend-mock\",\"version\":\"1\"}"));
    marline__json_member_raw(&w, "components",
                             SLICE("{\"securitySchemes\":{\"key\":{\"type\":\"http\","
                                   "\"scheme\":\"bearer\"}}}"));
    marline__json_member_raw(&w, "security", SLICE("[{\"key\":[]}]"));
    marline__json_key(&w, "paths");
    marline__json_begin_object(&w);
    write_paths(&w);
    marline__json_end_object(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

const struct route routes_openapi[] = {
    {"GET", "/openapi.json", ROUTE_OPEN, get_openapi, "This document"},
    {0},
};
