/* The table of tables, matching and authentication. */
#include "http/routes.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/alloc.h"
#include "http/request_trace.h"
#include "http/routes_otlp.h"
#include "hub/self_trace.h"

static const struct route *const groups[] = {
    routes_ingest,      routes_otlp,      routes_connector, routes_traces,  routes_mock,
    routes_run_create,  routes_runs,      routes_results,   routes_openapi, routes_endpoints,
    routes_entities,    routes_test_sets, routes_execute,   routes_faults,  routes_journal,
    routes_metric_call, routes_gates,     routes_health,    routes_basic};

enum { GROUP_COUNT = sizeof(groups) / sizeof(groups[0]) };

const struct route *routes_next(const struct route *after)
{
    if (after && after[1].method) {
        return after + 1;
    }
    size_t next = 0;
    for (size_t g = 0; after && g < GROUP_COUNT; g++) {
        for (const struct route *route = groups[g]; route->method; route++) {
            next = route == after ? g + 1 : next;
        }
    }
    return next < GROUP_COUNT ? groups[next] : NULL;
}

/* Takes the next segment off a path that begins with '/'. */
static struct slice next_segment(struct slice *path)
{
    struct slice rest = {path->data + 1, path->size - 1};
    const char *slash = memchr(rest.data, '/', rest.size);
    size_t size = slash ? (size_t)(slash - rest.data) : rest.size;
    *path = (struct slice){rest.data + size, rest.size - size};
    return (struct slice){rest.data, size};
}

static bool match(const char *pattern, struct slice path,
                  struct slice parameters[HTTP_PATH_PARAMETERS_MAX])
{
    struct slice expected = marline__slice_text(pattern);
    size_t count = 0;
    while (expected.size && path.size) {
        struct slice want = next_segment(&expected);
        struct slice have = next_segment(&path);
        if (want.size && want.data[0] == '{') {
            if (have.size == 0 || count == HTTP_PATH_PARAMETERS_MAX) {
                return false;
            }
            parameters[count++] = have;
        } else if (!marline__slice_equal(want, have)) {
            return false;
        }
    }
    return expected.size == 0 && path.size == 0;
}

enum { ALLOW_SIZE = 64 };

/* NULL when no route serves it; then out_allow names the methods that would be served. */
static const struct route *find_route(struct http_request *r, struct slice path,
                                      char out_allow[ALLOW_SIZE])
{
    size_t used = 0;
    out_allow[0] = '\0';
    for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
        for (const struct route *route = groups[g]; route->method; route++) {
            struct slice parameters[HTTP_PATH_PARAMETERS_MAX] = {SLICE_EMPTY};
            if (!match(route->pattern, path, parameters)) {
                continue;
            }
            int n = snprintf(out_allow + used, ALLOW_SIZE - used, "%s%s", used ? ", " : "",
                             route->method);
            used += n > 0 && used + (size_t)n < ALLOW_SIZE ? (size_t)n : 0;
            if (strcmp(route->method, http_request_method(r)) == 0) {
                for (size_t i = 0; i < HTTP_PATH_PARAMETERS_MAX; i++) {
                    http_request_set_parameter(r, i, parameters[i]);
                }
                return route;
            }
        }
    }
    return NULL;
}

const char *routes_write_refusal(const struct http_request *r, unsigned status, const char *text,
                                 struct buffer *out)
{
    if (routes_otlp_is_path(http_request_path(r))) {
        return routes_otlp_write_error(r, status, text, out);
    }
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "detail", text);
    marline__json_end_object(&w);
    return "application/json";
}

static void answer_no_route(struct http_request *r, const char *allow)
{
    struct buffer body = BUFFER_INIT;
    unsigned status = allow[0] ? 405 : 404;
    if (allow[0]) {
        http_answer_header(r, "Allow", allow);
    }
    const char *type =
        routes_write_refusal(r, status, allow[0] ? "Method Not Allowed" : "Not Found", &body);
    http_answer(r, status, type, &body);
}

/* Of a known organization, tests may verify what it asked for, but not the verifying. */
void routes_answered(struct http_request *r, unsigned status)
{
    const struct uuid *organization = &http_request_identity(r)->organization_id;
    struct slice path = marline__slice_text(http_request_path(r));
    request_trace_answered(http_request_span(r), status);
    if (!marline__uuid_is_nil(organization) && !marline__slice_starts(path, "/mock/")) {
        journal_note(http_request_server(r)->journal, organization, FAULT_HTTP, path, status);
    }
}

/* A request that waits, as a fault wants it. */
struct delayed_request {
    struct hub_job job;
    struct http_request *request;
};

static void go_on(struct hub *hub, struct hub_job *job)
{
    (void)hub;
    struct delayed_request *d = LIST_ENTRY(job, struct delayed_request, job);
    http_request_handle_again(d->request);
    marline__memory_free(d);
}

static void delay_request(struct http_request *r, uint32_t delay_ms)
{
    struct hub *hub = http_request_server(r)->hub;
    struct delayed_request *d = alloc_zeroed(sizeof(*d));
    d->request = r;
    d->job.run = go_on;
    d->job.deadline_ns = hub_now_ns(hub) + delay_ms * NS_PER_MS;
    hub_post(hub, &d->job);
}

/* True when a fault has taken the request. */
static bool apply_fault(struct http_request *r, struct slice path)
{
    struct server *server = http_request_server(r);
    struct auth_identity identity;
    if (http_request_is_repeated(r) || !faults_any(server->faults) ||
        auth_check(server->store, http_request_header(r, "Authorization"), AUTH_SCHEME_ANY_CASE,
                   &identity) != AUTH_OK) {
        return false;
    }
    struct fault_rule fault =
        faults_match(server->faults, &identity.organization_id, FAULT_HTTP, path);
    switch (fault.action) {
    case FAULT_STATUS:
        http_answer_detail(r, fault.code, "A fault was asked for");
        return true;
    case FAULT_CUT:
        http_answer_cut(r);
        return true;
    case FAULT_DELAY:
        delay_request(r, fault.delay_ms);
        return true;
    case FAULT_AFTER:
        http_request_override_status(r, fault.code);
        return false;
    default:
        return false;
    }
}

/* False when it has answered: the control routes change what others see and need no account. */
static bool allow_control(struct http_request *r)
{
    enum mock_api allowed = http_request_server(r)->mock_api;
    if (allowed == MOCK_API_ANY || (allowed == MOCK_API_LOOPBACK && http_request_is_local(r))) {
        return true;
    }
    if (allowed == MOCK_API_OFF) {
        answer_no_route(r, "");
    } else {
        http_answer_detail(r, 403,
                           "Routes under /mock/ answer callers on this machine only; "
                           "'--mock-api any' opens them to all");
    }
    return false;
}

/* Looks at the key where the route wants one, and calls the handler. */
static void serve(struct http_request *r, const struct route *route)
{
    if (route->auth == ROUTE_KEY) {
        struct auth_identity identity;
        enum auth_result auth =
            auth_check(http_request_server(r)->store, http_request_header(r, "Authorization"),
                       AUTH_SCHEME_ANY_CASE, &identity);
        if (auth != AUTH_OK) {
            routes_answer_unauthenticated(r, auth);
            return;
        }
        http_request_set_identity(r, &identity);
        self_trace_set_organization(http_request_span(r), &identity.organization_id);
    }
    route->handle(r);
}

void routes_handle(struct http_request *r)
{
    struct slice path = marline__slice_text(http_request_path(r));
    if (path.size > 1 && path.data[path.size - 1] == '/') {
        path.size--;
    }
    bool control = marline__slice_starts(path, "/mock/");
    if (control ? !allow_control(r) : apply_fault(r, path)) {
        return;
    }
    char allow[ALLOW_SIZE] = "";
    const struct route *route =
        path.size && path.data[0] == '/' ? find_route(r, path, allow) : NULL;
    if (!route) {
        answer_no_route(r, allow);
        return;
    }
    marline_scope scope = {0};
    request_trace_enter(r, route->pattern, &scope);
    serve(r, route);
    request_trace_leave(&scope);
}

void routes_answer_unauthenticated(struct http_request *r, enum auth_result auth)
{
    if (auth == AUTH_DENIED) {
        http_answer_header(r, "WWW-Authenticate", "Bearer");
        http_answer_detail(r, 401, "Not authenticated");
    } else {
        http_answer_failure(r, 503, "the store cannot look up keys");
    }
}

struct store_scope routes_scope(const struct http_request *r)
{
    const struct auth_identity *identity = http_request_identity(r);
    return (struct store_scope){.organization_id = identity->organization_id,
                                .project_id = identity->project_id};
}

static void note_any(void *user, const struct store_project *row)
{
    (void)row;
    *(bool *)user = true;
}

/* The scope of a query that may name a project: the query's, else the header's, else the key's,
 * else only rows without one. `use_query`: false for those routes whose project_id is not looked
 * at. */
static bool read_scope(struct http_request *r, bool use_query, struct store_scope *out)
{
    const struct auth_identity *identity = http_request_identity(r);
    struct slice named = use_query ? http_request_query(r, "project_id") : SLICE_EMPTY;
    *out = routes_scope(r);
    if (named.size) {
        if (!marline__uuid_parse(named, &out->project_id)) {
            http_answer_detail(r, 400, "Invalid project_id format");
            return false;
        }
    } else if (!marline__uuid_parse(http_request_header(r, "X-Project-Id"), &out->project_id)) {
        out->project_id = identity->project_id;
    }
    if (marline__uuid_is_nil(&out->project_id)) {
        out->only_without_project = true;
        return true;
    }
    bool found = false;
    struct store_error error;
    bool foreign = !marline__uuid_is_nil(&identity->project_id) &&
                   !marline__uuid_equal(&identity->project_id, &out->project_id);
    if (!foreign && store_list_projects(http_request_server(r)->store, out, note_any, &found,
                                        &error) != STORE_OK) {
        http_answer_failure(r, 500, error.text);
        return false;
    }
    if (!found) {
        char project[UUID_TEXT_SIZE];
        marline__uuid_format(&out->project_id, project);
        http_answer_detail(r, 403, "User is not a member of project %s", project);
    }
    return found;
}

bool routes_read_scope(struct http_request *r, struct store_scope *out)
{
    return read_scope(r, false, out);
}

bool routes_read_scope_of_query(struct http_request *r, struct store_scope *out)
{
    return read_scope(r, true, out);
}

void routes_answer_total(struct http_request *r, uint64_t total)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, total);
    http_answer_header(r, "X-Total-Count", text);
}

void routes_answer_store_error(struct http_request *r, const struct store_error *error,
                               const char *not_found)
{
    if (error->status == STORE_NOT_FOUND && not_found) {
        http_answer_detail(r, 404, "%s", not_found);
    } else {
        http_answer_failure(r, error->status == STORE_BUSY ? 503 : 500, error->text);
    }
}

/* FastAPI's 422 form for one query parameter. */
static void answer_query_fault(struct http_request *r, const char *name, const char *type,
                               const char *message)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_key(&w, "detail");
    marline__json_begin_array(&w);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "type", type);
    marline__json_key(&w, "loc");
    marline__json_begin_array(&w);
    marline__json_text(&w, "query");
    marline__json_text(&w, name);
    marline__json_end_array(&w);
    marline__json_member_text(&w, "msg", message);
    marline__json_end_object(&w);
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 422, &body);
}

void routes_answer_missing_query(struct http_request *r, const char *name)
{
    answer_query_fault(r, name, "missing", "Field required");
}

bool routes_query_unsigned(struct http_request *r, const char *name, uint32_t minimum,
                           uint32_t maximum, uint32_t *value)
{
    struct slice text = http_request_query(r, name);
    if (!text.data) {
        return true;
    }
    uint64_t number = 0;
    bool ok = text.size > 0 && text.size <= 10;
    for (size_t i = 0; ok && i < text.size; i++) {
        ok = text.data[i] >= '0' && text.data[i] <= '9';
        number = number * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (!ok || number < minimum || number > maximum) {
        char message[96];
        (void)snprintf(message, sizeof(message), "Input should be a whole number from %u to %u",
                       minimum, maximum);
        answer_query_fault(r, name, "int_parsing", message);
        return false;
    }
    *value = (uint32_t)number;
    return true;
}
