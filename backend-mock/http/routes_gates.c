/* /mock/gates: holds the steps of linking and releases them one by one, so that any order of result
 * and spans can be played at will (store/commit_gates.h). */
#include "core/alloc.h"
#include "http/json_body.h"
#include "http/routes.h"

enum { RELEASE_MAX = 1000000 };

static void answer_gates(struct http_request *r)
{
    struct commit_gate gates[STEP_COUNT];
    commit_gates_read(http_request_server(r)->gates, &http_request_identity(r)->organization_id,
                      gates);
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    for (int i = 0; i < STEP_COUNT; i++) {
        marline__json_key(&w, commit_step_name((enum commit_step)i));
        marline__json_begin_object(&w);
        marline__json_member_bool(&w, "shut", gates[i].is_shut);
        marline__json_member_int(&w, "waiting", (int64_t)gates[i].waiting);
        marline__json_member_int(&w, "committed", (int64_t)gates[i].committed);
        marline__json_end_object(&w);
    }
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- PUT: true shuts a gate, false opens it ---- */

struct gates_request {
    bool given[STEP_COUNT];
    bool is_shut[STEP_COUNT];
};

static void read_gates(struct gates_request *q, struct json_body *b, struct slice text)
{
    struct slice key;
    if (!json_body_begin(b, text)) {
        return;
    }
    while (json_body_next(b, &key)) {
        enum commit_step step;
        if (!commit_step_parse(key, &step)) {
            json_body_fail(b, "The body",
                           "may hold result.store, result.link, spans.store and spans.link only");
            return;
        }
        q->given[step] = true;
        json_body_bool(b, commit_step_name(step), &q->is_shut[step]);
    }
}

static void put_gates(struct http_request *r)
{
    struct server *server = http_request_server(r);
    struct gates_request q = {0};
    struct json_body body;
    read_gates(&q, &body, http_request_body(r));
    if (body.error[0]) {
        http_answer_detail(r, 400, "%s", body.error);
        return;
    }
    bool ok = true;
    for (int i = 0; i < STEP_COUNT; i++) {
        ok = ok && (!q.given[i] || commit_gates_set(server->gates, server->queue,
                                                    &http_request_identity(r)->organization_id,
                                                    (enum commit_step)i, q.is_shut[i]));
    }
    if (ok) {
        answer_gates(r);
    } else {
        http_answer_detail(r, 503, "Gates cannot be shut: too many organizations have some");
    }
}

/* ---- POST /mock/gates/release ---- */

static void read_release(struct json_body *b, struct slice text, char **step, uint32_t *count)
{
    struct slice key;
    if (!json_body_begin(b, text)) {
        return;
    }
    while (json_body_next(b, &key)) {
        if (marline__json_key_is(key, "step")) {
            json_body_text(b, "step", step);
        } else if (marline__json_key_is(key, "count")) {
            json_body_unsigned(b, "count", 1, RELEASE_MAX, count);
        } else {
            json_body_fail(b, "The body", "may hold step and count only");
        }
    }
}

static void post_release(struct http_request *r)
{
    struct server *server = http_request_server(r);
    char *name = NULL;
    uint32_t count = 1;
    enum commit_step step;
    struct json_body body;
    read_release(&body, http_request_body(r), &name, &count);
    if (body.error[0]) {
        http_answer_detail(r, 400, "%s", body.error);
    } else if (!commit_step_parse(marline__slice_text(name), &step)) {
        http_answer_detail(r, 400,
                           "step must be result.store, result.link, spans.store or spans.link");
    } else {
        (void)commit_gates_release(server->gates, server->queue,
                                   &http_request_identity(r)->organization_id, step, count);
        answer_gates(r);
    }
    marline__memory_free(name);
}

const struct route routes_gates[] = {
    {"GET", "/mock/gates", ROUTE_KEY, answer_gates, "Gates, and what they hold"},
    {"PUT", "/mock/gates", ROUTE_KEY, put_gates, "Set gates that hold steps of linking"},
    {"POST", "/mock/gates/release", ROUTE_KEY, post_release, "Release what a gate holds"},
    {0},
};
