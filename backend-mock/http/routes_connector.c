/* /connector: who is connected, and single calls (wire-protocol §8.5). */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/alloc.h"
#include "http/json_body.h"
#include "http/routes.h"

enum { TEXT_LIMIT = 255 }; /* of names; the platform's database limit */

/* One request that needs the loop. */
struct connector_request {
    struct hub_job job;
    struct http_request *request;
    struct uuid project_id;
    char project[UUID_TEXT_SIZE];
    char *project_text; /* as sent */
    char *environment;
    char *function_name;
    struct slice inputs;
};

static void free_connector_request(struct connector_request *c)
{
    marline__memory_free(c->project_text);
    marline__memory_free(c->environment);
    marline__memory_free(c->function_name);
    marline__memory_free(c);
}

struct membership {
    const struct uuid *project_id;
    bool found;
};

static void note_membership(void *user, const struct store_project *row)
{
    struct membership *m = user;
    m->found = m->found || marline__uuid_equal(m->project_id, &row->project_id);
}

/* False when it has answered. */
static bool check_project(struct connector_request *c)
{
    struct http_request *r = c->request;
    if (!marline__uuid_parse(marline__slice_text(c->project_text), &c->project_id)) {
        http_answer_detail(r, 400, "Invalid project_id: must be a UUID");
        return false;
    }
    marline__uuid_format(&c->project_id, c->project);
    struct store_scope scope = routes_scope(r);
    struct membership membership = {.project_id = &c->project_id};
    struct store_error error;
    if (store_list_projects(http_request_server(r)->store, &scope, note_membership, &membership,
                            &error) != STORE_OK) {
        http_answer_failure(r, 500, error.text);
        return false;
    }
    if (!membership.found) {
        http_answer_detail(r, 403, "User is not a member of project %s", c->project);
    }
    return membership.found;
}

static void hand_to_loop(struct connector_request *c, void (*run)(struct hub *, struct hub_job *))
{
    c->job.run = run;
    hub_post(http_request_server(c->request)->hub, &c->job);
}

/* ---- trigger ---- */

static void log_result(struct hub *hub, struct hub_call *call, const struct hub_answer *answer)
{
    (void)hub;
    marline__log(LOG_INFO, "result of %s: %s", call->id,
                 !answer->result           ? answer->failure
                 : answer->result->success ? "success"
                                           : "error");
    hub_acknowledge(hub, answer->session, marline__slice_text(call->id));
    marline__memory_free(call);
}

static void answer_triggered(struct connector_request *c, const char *id)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    char message[TEXT_LIMIT + 64];
    (void)snprintf(message, sizeof(message), "Test execution requested for %s", c->function_name);
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_bool(&w, "success", true);
    marline__json_member_text(&w, "test_run_id", id);
    marline__json_member_text(&w, "message", message);
    marline__json_end_object(&w);
    http_answer_json(c->request, 200, &body);
}

/* On the loop. */
static void trigger(struct hub *hub, struct hub_job *job)
{
    struct connector_request *c = LIST_ENTRY(job, struct connector_request, job);
    struct hub_call *call = alloc_zeroed(sizeof(*call));
    uint64_t random = marline__random_u64(marline__random_system());
    (void)snprintf(call->id, sizeof(call->id), "test_%012llx",
                   (unsigned long long)(random & 0xffffffffffffull));
    call->done = log_result;
    struct hub_invocation invocation = {
        .project = marline__slice_text(c->project),
        .environment = marline__slice_text(c->environment),
        .function_name = marline__slice_text(c->function_name),
        .inputs = c->inputs,
        .timeout_ms = HUB_FUNCTION_TIMEOUT_MS,
        .deadline_ns = hub_now_ns(hub) + HUB_FUNCTION_TIMEOUT_MS * NS_PER_MS,
    };
    if (hub_call_send(hub, &invocation, call)) {
        answer_triggered(c, call->id);
    } else {
        http_answer_detail(c->request, 404, "Project %s (%s) not connected", c->project,
                           c->environment);
        marline__memory_free(call);
    }
    free_connector_request(c);
}

static bool is_name(const char *text)
{
    return text && text[0] && strlen(text) <= TEXT_LIMIT;
}

static void read_trigger(struct connector_request *c, struct json_body *b)
{
    struct slice key;
    if (!json_body_begin(b, http_request_body(c->request))) {
        return;
    }
    while (json_body_next(b, &key)) {
        if (marline__json_key_is(key, "project_id")) {
            json_body_text(b, "project_id", &c->project_text);
        } else if (marline__json_key_is(key, "environment")) {
            json_body_text(b, "environment", &c->environment);
        } else if (marline__json_key_is(key, "function_name")) {
            json_body_text(b, "function_name", &c->function_name);
        } else if (marline__json_key_is(key, "inputs")) {
            json_body_object(b, "inputs", &c->inputs);
        } else {
            json_body_skip(b);
        }
    }
    if (!c->project_text) {
        json_body_fail(b, "project_id", "is required");
    }
    if (!is_name(c->function_name)) {
        json_body_fail(b, "function_name", "is required (up to 255 bytes)");
    }
    if (c->environment && strlen(c->environment) > TEXT_LIMIT) {
        json_body_fail(b, "environment", "is too long");
    }
}

static void post_trigger(struct http_request *r)
{
    struct connector_request *c = alloc_zeroed(sizeof(*c));
    c->request = r;
    c->inputs = SLICE("{}");
    struct json_body body;
    read_trigger(c, &body);
    if (!c->environment) {
        c->environment = alloc_slice(SLICE("development"));
    }
    if (body.error[0]) {
        http_answer_detail(r, 422, "%s", body.error);
    } else if (check_project(c)) {
        hand_to_loop(c, trigger);
        return;
    }
    free_connector_request(c);
}

/* ---- status ---- */

/* On the loop. */
static void tell_status(struct hub *hub, struct hub_job *job)
{
    struct connector_request *c = LIST_ENTRY(job, struct connector_request, job);
    struct slice functions = SLICE("[]");
    bool connected = hub_find_functions(hub, marline__slice_text(c->project),
                                        marline__slice_text(c->environment), &functions);
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "project_id", c->project);
    marline__json_member_text(&w, "environment", c->environment);
    marline__json_member_bool(&w, "connected", connected);
    marline__json_member_raw(&w, "functions", functions);
    marline__json_end_object(&w);
    http_answer_json(c->request, 200, &body);
    free_connector_request(c);
}

static void get_status(struct http_request *r)
{
    struct connector_request *c = alloc_zeroed(sizeof(*c));
    c->request = r;
    c->project_text = alloc_slice(http_request_parameter(r, 0));
    struct slice environment = http_request_query(r, "environment");
    c->environment = alloc_slice(environment.size ? environment : SLICE("development"));
    if (strlen(c->environment) > TEXT_LIMIT) {
        http_answer_detail(r, 422, "environment is too long");
    } else if (check_project(c)) {
        hand_to_loop(c, tell_status);
        return;
    }
    free_connector_request(c);
}

/* A leftover of the platform from before OpenTelemetry: logged, nothing else. */
static void post_trace(struct http_request *r)
{
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_text(&body, "{\"status\":\"received\"}");
    http_answer_json(r, 200, &body);
}

const struct route routes_connector[] = {
    {"POST", "/connector/trigger", ROUTE_KEY, post_trigger, "Call a function once, without a test"},
    {"GET", "/connector/status/{project_id}", ROUTE_KEY, get_status,
     "Who serves what in a project and environment"},
    {"POST", "/connector/trace", ROUTE_KEY, post_trace,
     "A leftover of the platform: acknowledged, nothing else"},
    {0},
};
