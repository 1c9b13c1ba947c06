/* /mock/faults, /mock/sessions, /mock/reset: what tests of agents and SDKs need of a backend. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/alloc.h"
#include "core/json_member.h"
#include "http/json_body.h"
#include "http/routes.h"

enum { DELAY_MAX_MS = 600000, COUNT_MAX = 1000000000 };

/* ---- faults ---- */

struct fault_request {
    char *target;
    char *match;
    char *action;
    uint32_t code;
    struct fault_rule rule;
};

static void read_fault_member(struct fault_request *q, struct json_body *b, struct slice key)
{
    if (marline__json_key_is(key, "on")) {
        json_body_text(b, "on", &q->target);
    } else if (marline__json_key_is(key, "match")) {
        json_body_text(b, "match", &q->match);
    } else if (marline__json_key_is(key, "action")) {
        json_body_text(b, "action", &q->action);
    } else if (marline__json_key_is(key, "code")) {
        json_body_unsigned(b, "code", 100, 4999, &q->code);
    } else if (marline__json_key_is(key, "delay_ms")) {
        json_body_unsigned(b, "delay_ms", 0, DELAY_MAX_MS, &q->rule.delay_ms);
    } else if (marline__json_key_is(key, "from")) {
        json_body_unsigned(b, "from", 1, COUNT_MAX, &q->rule.from);
    } else if (marline__json_key_is(key, "times")) {
        json_body_unsigned(b, "times", 0, COUNT_MAX, &q->rule.times);
    } else {
        json_body_fail(b, "The body", "may hold on, match, action, code, delay_ms, from and times");
    }
}

/* Each action goes with some targets and needs a code of some range. */
static bool is_possible(const struct fault_rule *rule)
{
    bool http = rule->target == FAULT_HTTP;
    bool message = rule->target == FAULT_SENT || rule->target == FAULT_RECEIVED;
    switch (rule->action) {
    case FAULT_STATUS:
    case FAULT_AFTER:
        return http && rule->code >= 200 && rule->code <= 599;
    case FAULT_CUT:
        return http;
    case FAULT_DELAY:
        return http || rule->target == FAULT_SENT;
    case FAULT_CLOSE:
        return message && rule->code >= 1000;
    case FAULT_WITHHOLD:
    case FAULT_DUPLICATE:
        return message;
    case FAULT_FAIL:
        return rule->target == FAULT_STORE;
    case FAULT_NONE:
        break;
    }
    return false;
}

static void check_fault(struct fault_request *q, struct json_body *b)
{
    if (!q->target || !fault_target_parse(q->target, &q->rule.target)) {
        json_body_fail(b, "on", "is required: http, sent, received or store");
    }
    if (!q->action || !fault_action_parse(q->action, &q->rule.action)) {
        json_body_fail(
            b, "action",
            "is required: status, after, delay, cut, close, withhold, duplicate or fail");
    }
    if (!q->match || !q->match[0] || strlen(q->match) >= FAULT_NAME_SIZE) {
        json_body_fail(b, "match",
                       "is required: a path, the type of a message, or a step of linking");
    }
    q->rule.code = (uint16_t)q->code;
    if (!b->error[0] && !is_possible(&q->rule)) {
        json_body_fail(b, "action", "does not go with this 'on', or with this 'code'");
    }
}

static void read_fault(struct http_request *r, struct fault_request *q, struct json_body *b)
{
    struct slice key;
    q->rule.from = 1;
    q->rule.times = 1;
    q->rule.organization_id = http_request_identity(r)->organization_id;
    if (json_body_begin(b, http_request_body(r))) {
        while (json_body_next(b, &key)) {
            read_fault_member(q, b, key);
        }
    }
    if (!b->error[0]) {
        check_fault(q, b);
    }
    if (!b->error[0]) {
        (void)snprintf(q->rule.match, sizeof(q->rule.match), "%s", q->match);
    }
    marline__memory_free(q->target);
    marline__memory_free(q->match);
    marline__memory_free(q->action);
}

static void answer_faults(struct http_request *r, unsigned status)
{
    const struct uuid *organization = &http_request_identity(r)->organization_id;
    struct fault_rule *rules = alloc_array(FAULT_RULES_MAX, sizeof(*rules));
    size_t count =
        faults_list(http_request_server(r)->faults, organization, rules, FAULT_RULES_MAX);
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_key(&w, "faults");
    marline__json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        marline__json_begin_object(&w);
        marline__json_member_text(&w, "on", fault_target_name(rules[i].target));
        marline__json_member_text(&w, "match", rules[i].match);
        marline__json_member_text(&w, "action", fault_action_name(rules[i].action));
        marline__json_member_int(&w, "code", rules[i].code);
        marline__json_member_int(&w, "delay_ms", rules[i].delay_ms);
        marline__json_member_int(&w, "from", rules[i].from);
        marline__json_member_int(&w, "times", rules[i].times);
        marline__json_member_int(&w, "seen", rules[i].seen);
        marline__json_member_int(&w, "hits", rules[i].hits);
        marline__json_end_object(&w);
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    marline__memory_free(rules);
    http_answer_json(r, status, &body);
}

static void get_faults(struct http_request *r)
{
    answer_faults(r, 200);
}

static void post_fault(struct http_request *r)
{
    struct fault_request q = {0};
    struct json_body b;
    read_fault(r, &q, &b);
    if (b.error[0]) {
        http_answer_detail(r, 400, "%s", b.error);
    } else if (!faults_add(http_request_server(r)->faults, &q.rule)) {
        http_answer_detail(r, 409, "There are %d faults already", FAULT_RULES_MAX);
    } else {
        answer_faults(r, 201);
    }
}

static void delete_faults(struct http_request *r)
{
    faults_clear(http_request_server(r)->faults, &http_request_identity(r)->organization_id);
    answer_faults(r, 200);
}

/* ---- reset ---- */

struct reset_request {
    struct hub_job job;
    struct http_request *request;
};

/* On the loop. */
static void reset_points(struct hub *hub, struct hub_job *job)
{
    struct reset_request *q = LIST_ENTRY(job, struct reset_request, job);
    struct linker_policy all_on = linker_options_default().policy;
    linker_set_policy(hub_linker(hub), &all_on);
    answer_faults(q->request, 200);
    marline__memory_free(q);
}

/* No faults, all linking points on. What is stored stays: a session of one's own starts empty. */
static void post_reset(struct http_request *r)
{
    struct reset_request *q = alloc_zeroed(sizeof(*q));
    q->request = r;
    q->job.run = reset_points;
    faults_clear(http_request_server(r)->faults, &http_request_identity(r)->organization_id);
    journal_clear(http_request_server(r)->journal, &http_request_identity(r)->organization_id);
    hub_post(http_request_server(r)->hub, &q->job);
}

/* ---- sessions ---- */

/* Two commits, one after the other: the project, then its key. */
struct session_request {
    struct http_request *request;
    struct server *server;
    struct commit commit;
    struct uuid organization_id;
    struct uuid project_id;
    bool shares_organization; /* with whoever asks */
    bool is_unbound;          /* the key is for all projects of the organization */
    char key[64];
};

static void answer_session(struct session_request *q)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    json_member_uuid(&w, "organization_id", &q->organization_id);
    json_member_uuid(&w, "project_id", &q->project_id);
    marline__json_member_text(&w, "api_key", q->key);
    marline__json_end_object(&w);
    http_answer_json(q->request, 201, &body);
}

static void submit(struct session_request *q, void (*done)(struct commit *, void *))
{
    q->commit.done = done;
    q->commit.user = q;
    q->commit.write.at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    if (!commit_queue_submit(q->server->queue, &q->commit)) {
        http_answer_failure(q->request, 503, "too many writes wait");
        marline__memory_free(q);
    }
}

/* On the commit queue's thread, as the next. */
static void token_created(struct commit *commit, void *user)
{
    struct session_request *q = user;
    if (commit->write.outcome.status == STORE_OK) {
        answer_session(q);
    } else {
        routes_answer_store_error(q->request, &commit->write.outcome, NULL);
    }
    marline__memory_free(q);
}

static void project_created(struct commit *commit, void *user)
{
    struct session_request *q = user;
    if (commit->write.outcome.status != STORE_OK) {
        routes_answer_store_error(q->request, &commit->write.outcome, NULL);
        marline__memory_free(q);
        return;
    }
    q->commit.write = (struct store_write){.type = STORE_CREATE_TOKEN};
    struct store_create_token *token = &q->commit.write.create_token;
    token->organization_id = q->organization_id;
    token->project_id = q->is_unbound ? (struct uuid){{0}} : q->project_id;
    token->user_id = marline__uuid_random(marline__random_system());
    token->name = SLICE("session");
    auth_hash_key(marline__slice_text(q->key), token->key_sha256);
    submit(q, token_created);
}

/* An empty body asks for nothing special. */
static void read_session(struct session_request *q, struct json_body *b)
{
    struct slice key;
    b->error[0] = '\0';
    if (http_request_body(q->request).size == 0 ||
        !json_body_begin(b, http_request_body(q->request))) {
        return;
    }
    while (json_body_next(b, &key)) {
        if (marline__json_key_is(key, "same_organization")) {
            json_body_bool(b, "same_organization", &q->shares_organization);
        } else if (marline__json_key_is(key, "unbound_key")) {
            json_body_bool(b, "unbound_key", &q->is_unbound);
        } else {
            json_body_fail(b, "The body", "may hold same_organization and unbound_key only");
        }
    }
}

/* An organization, a project and a key of one's own, in which nothing is yet. */
static void post_session(struct http_request *r)
{
    struct session_request *q = alloc_zeroed(sizeof(*q));
    struct uuid a = marline__uuid_random(marline__random_system());
    struct json_body b;
    q->request = r;
    q->server = http_request_server(r);
    read_session(q, &b);
    if (b.error[0]) {
        http_answer_detail(r, 400, "%s", b.error);
        marline__memory_free(q);
        return;
    }
    q->organization_id = q->shares_organization ? http_request_identity(r)->organization_id
                                                : marline__uuid_random(marline__random_system());
    q->project_id = marline__uuid_random(marline__random_system());
    char text[UUID_TEXT_SIZE];
    marline__uuid_format(&a, text);
    (void)snprintf(q->key, sizeof(q->key), "rh-session_%s", text);
    q->commit.write.type = STORE_CREATE_PROJECT;
    q->commit.write.create_project.organization_id = q->organization_id;
    q->commit.write.create_project.project_id = q->project_id;
    q->commit.write.create_project.name = SLICE("session");
    submit(q, project_created);
}

const struct route routes_faults[] = {
    {"GET", "/mock/faults", ROUTE_KEY, get_faults, "Faults in force, with their hits"},
    {"POST", "/mock/faults", ROUTE_KEY, post_fault, "Ask for a fault"},
    {"DELETE", "/mock/faults", ROUTE_KEY, delete_faults, "Take back all faults"},
    {"POST", "/mock/reset", ROUTE_KEY, post_reset,
     "No faults, all linking points on, an empty journal"},
    {"POST", "/mock/sessions", ROUTE_KEY, post_session,
     "An organization, a project and a key of one's own"},
    {0},
};
