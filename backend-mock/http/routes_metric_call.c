/* POST /mock/metrics: asks an agent for one metric and answers with what it says (wire-protocol
 * §2.10). The platform does this inside its workers only; here it is a call of its own. */
#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "http/json_body.h"
#include "http/routes.h"

enum { METRIC_NAME_MAX = 255 };

struct metric_request {
    struct hub_job job;
    struct hub_call call;
    struct http_request *request;
    char *name;
    struct slice inputs;
};

static void free_metric_request(struct metric_request *q)
{
    marline__memory_free(q->name);
    marline__memory_free(q);
}

static void write_metric_result(struct json_writer *w, const struct message_metric_result *metric)
{
    marline__json_member_text(w, "status", metric->success ? "success" : "error");
    marline__json_member_raw(w, "score", metric->score);
    marline__json_member_raw(w, "details", metric->details.size ? metric->details : SLICE("{}"));
    if (metric->error.data) {
        marline__json_member_string(w, "error", metric->error);
    } else {
        marline__json_member_null(w, "error");
    }
    marline__json_member_double(w, "duration_ms", metric->duration_ms);
}

static void metric_answered(struct hub *hub, struct hub_call *call, const struct hub_answer *answer)
{
    (void)hub;
    struct metric_request *q = LIST_ENTRY(call, struct metric_request, call);
    if (!answer->metric) {
        http_answer_detail(q->request, 504, "Metric %s did not answer: %s", q->name,
                           answer->failure ? answer->failure : "another kind of result came");
    } else {
        struct buffer body = BUFFER_INIT;
        struct json_writer w;
        marline__json_writer_init(&w, &body);
        marline__json_begin_object(&w);
        marline__json_member_text(&w, "metric_run_id", call->id);
        marline__json_member_text(&w, "metric_name", q->name);
        write_metric_result(&w, answer->metric);
        marline__json_end_object(&w);
        http_answer_json(q->request, 200, &body);
    }
    free_metric_request(q);
}

/* On the loop. */
static void ask_for_metric(struct hub *hub, struct hub_job *job)
{
    struct metric_request *q = LIST_ENTRY(job, struct metric_request, job);
    char organization[UUID_TEXT_SIZE];
    uint64_t random = marline__random_u64(marline__random_system());
    marline__uuid_format(&http_request_identity(q->request)->organization_id, organization);
    (void)snprintf(q->call.id, sizeof(q->call.id), "metric_%012llx",
                   (unsigned long long)(random & 0xffffffffffffull));
    q->call.done = metric_answered;
    struct hub_metric_call metric = {
        .organization = marline__slice_text(organization),
        .metric_name = marline__slice_text(q->name),
        .inputs = q->inputs,
        .deadline_ns = hub_now_ns(hub) + HUB_METRIC_TIMEOUT_MS * NS_PER_MS,
    };
    if (!hub_metric_send(hub, &metric, &q->call)) {
        http_answer_detail(q->request, 404, "No agent has registered metric %s", q->name);
        free_metric_request(q);
    }
}

static void post_metric(struct http_request *r)
{
    struct metric_request *q = alloc_zeroed(sizeof(*q));
    struct json_body b;
    struct slice key;
    q->request = r;
    q->inputs = SLICE("{}");
    if (json_body_begin(&b, http_request_body(r))) {
        while (json_body_next(&b, &key)) {
            if (marline__json_key_is(key, "metric_name")) {
                json_body_text(&b, "metric_name", &q->name);
            } else if (marline__json_key_is(key, "inputs")) {
                json_body_object(&b, "inputs", &q->inputs);
            } else {
                json_body_skip(&b);
            }
        }
        if (!q->name || !q->name[0] || strlen(q->name) > METRIC_NAME_MAX) {
            json_body_fail(&b, "metric_name", "is required (up to 255 bytes)");
        }
    }
    if (b.error[0]) {
        http_answer_detail(r, 400, "%s", b.error);
        free_metric_request(q);
        return;
    }
    q->job.run = ask_for_metric;
    hub_post(http_request_server(r)->hub, &q->job);
}

const struct route routes_metric_call[] = {
    {"POST", "/mock/metrics", ROUTE_KEY, post_metric, "Ask an agent for one metric"},
    {0},
};
