/* /mock: what linking did with a run, and the switches that show what it is for. */
#include <stdio.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/time_text.h"
#include "core/alloc.h"
#include "core/json_member.h"
#include "http/json_body.h"
#include "http/routes.h"

/* ---- timeline ---- */

static void write_link_attempt(struct json_writer *w, const struct store_event *e)
{
    marline__json_member_text(w, "point", link_point_name(e->point));
    marline__json_member_bool(w, "result_found", e->result_found);
    marline__json_member_int(w, "spans_found", (int64_t)e->spans_found);
    marline__json_member_int(w, "linked", (int64_t)e->linked);
    json_member_text_or_null(w, "error", e->error);
}

static void write_event_detail(struct json_writer *w, const struct store_event *e)
{
    switch (e->type) {
    case EVENT_RUN_STARTED:
    case EVENT_RUN_FINISHED:
        break;
    case EVENT_INVOKED:
        marline__json_member_string(w, "invocation_id", e->invocation_id);
        break;
    case EVENT_RESULT_RECEIVED:
        marline__json_member_text(w, "status", result_status_name(e->status));
        break;
    case EVENT_RESULT_STORED:
        marline__json_member_text(w, "status", result_status_name(e->status));
        json_member_uuid(w, "test_result_id", &e->result_id);
        marline__json_member_bool(w, "duplicate", e->is_duplicate);
        break;
    case EVENT_SPANS_STORED:
        marline__json_member_int(w, "spans", (int64_t)e->spans);
        marline__json_member_string(w, "post_id", e->post_id);
        marline__json_member_int(w, "post_spans", (int64_t)e->post_spans);
        break;
    case EVENT_LINK_ATTEMPT:
        write_link_attempt(w, e);
        break;
    }
}

static double unix_ms(uint64_t unix_ns)
{
    uint64_t us = unix_ns / 1000; /* more digits do not fit into a double */
    return (double)us / 1000.0;
}

static void write_event(void *user, const struct store_event *e)
{
    struct json_writer *w = user;
    marline__json_begin_object(w);
    json_member_time(w, "at", e->at_unix_ns);
    marline__json_member_double(w, "at_ms", unix_ms(e->at_unix_ns));
    marline__json_member_text(w, "type", store_event_type_name(e->type));
    if (e->has_test) {
        json_member_uuid(w, "test_id", &e->test_id);
        if (e->attempt) {
            marline__json_member_int(w, "attempt", e->attempt);
        }
    } else {
        marline__json_member_null(w, "test_id");
    }
    write_event_detail(w, e);
    marline__json_end_object(w);
}

static void get_timeline(struct http_request *r)
{
    struct uuid id;
    if (!routes_parse_run_id(r, &id)) {
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    json_member_uuid(&w, "test_run_id", &id);
    marline__json_key(&w, "events");
    marline__json_begin_array(&w);
    if (store_read_timeline(http_request_server(r)->store, &scope, &id, write_event, &w, &error) !=
        STORE_OK) {
        marline__buffer_deinit(&body);
        routes_answer_store_error(r, &error, "Test Run not found");
        return;
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- spans ---- */

static void json_hex(struct json_writer *w, const char *key, const uint8_t *bytes, size_t size)
{
    char text[32];
    marline__hex_encode(bytes, size, text);
    marline__json_member_string(w, key, (struct slice){text, 2 * size});
}

static void write_span_row(void *user, const struct store_span_row *row)
{
    struct json_writer *w = user;
    marline__json_begin_object(w);
    json_hex(w, "trace_id", row->trace_id, sizeof(row->trace_id));
    json_hex(w, "span_id", row->span_id, sizeof(row->span_id));
    if (row->has_parent) {
        json_hex(w, "parent_span_id", row->parent_span_id, sizeof(row->parent_span_id));
    } else {
        marline__json_member_null(w, "parent_span_id");
    }
    marline__json_member_string(w, "span_name", row->name);
    json_member_uuid(w, "test_id", &row->test_id);
    json_member_uuid(w, "test_configuration_id", &row->configuration_id);
    if (row->has_result) {
        json_member_uuid(w, "test_result_id", &row->result_id);
        marline__json_member_text(w, "link_source", link_point_name(row->link_source));
    } else {
        marline__json_member_null(w, "test_result_id");
        marline__json_member_null(w, "link_source");
    }
    marline__json_member_double(w, "stored_at_ms", unix_ms(row->stored_unix_ns));
    marline__json_member_string(w, "post_id", row->post_id);
    marline__json_end_object(w);
}

static void get_spans(struct http_request *r)
{
    struct uuid id;
    if (!routes_parse_run_id(r, &id)) {
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_key(&w, "spans");
    marline__json_begin_array(&w);
    if (store_read_run_spans(http_request_server(r)->store, &scope, &id, write_span_row, &w,
                             &error) != STORE_OK) {
        marline__buffer_deinit(&body);
        routes_answer_store_error(r, &error, "Test Run not found");
        return;
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- ledger ---- */

static void get_ledger(struct http_request *r)
{
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct store_ledger ledger;
    if (store_read_ledger(http_request_server(r)->store, &scope, &ledger, &error) != STORE_OK) {
        routes_answer_store_error(r, &error, NULL);
        return;
    }
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_int(&w, "received", (int64_t)ledger.received);
    marline__json_member_int(&w, "stored", (int64_t)ledger.stored);
    marline__json_member_int(&w, "rejected", (int64_t)ledger.rejected);
    marline__json_member_int(&w, "duplicate", (int64_t)ledger.duplicate);
    marline__json_member_int(&w, "linked", (int64_t)ledger.linked);
    marline__json_member_int(&w, "waiting", (int64_t)ledger.waiting);
    marline__json_member_int(&w, "without_context", (int64_t)ledger.without_context);
    marline__json_key(&w, "links_by_source");
    marline__json_begin_object(&w);
    for (int point = 0; point < LINK_POINT_COUNT; point++) {
        marline__json_member_int(&w, link_point_name((enum link_point)point),
                                 (int64_t)ledger.links_by_source[point]);
    }
    marline__json_end_object(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

/* ---- link points ---- */

struct points_request {
    struct hub_job job;
    struct http_request *request;
    bool given[LINK_POINT_COUNT];
    bool value[LINK_POINT_COUNT];
};

/* On the loop. */
static void set_points(struct hub *hub, struct hub_job *job)
{
    struct points_request *q = LIST_ENTRY(job, struct points_request, job);
    struct linker_policy policy = linker_get_policy(hub_linker(hub));
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    for (int point = 0; point < LINK_POINT_COUNT; point++) {
        if (q->given[point]) {
            policy.points[point] = q->value[point];
        }
        marline__json_member_bool(&w, link_point_name((enum link_point)point),
                                  policy.points[point]);
    }
    marline__json_end_object(&w);
    linker_set_policy(hub_linker(hub), &policy);
    http_answer_json(q->request, 200, &body);
    marline__memory_free(q);
}

static void read_points(struct points_request *q, struct json_body *b)
{
    struct slice key;
    if (!json_body_begin(b, http_request_body(q->request))) {
        return;
    }
    while (json_body_next(b, &key)) {
        int point = 0;
        while (point < LINK_POINT_COUNT &&
               !marline__json_key_is(key, link_point_name((enum link_point)point))) {
            point++;
        }
        if (point == LINK_POINT_COUNT) {
            json_body_fail(b, "The body", "may hold result, ingest and sweep only");
            return;
        }
        q->given[point] = true;
        json_body_bool(b, link_point_name((enum link_point)point), &q->value[point]);
    }
}

static void put_link_points(struct http_request *r)
{
    struct points_request *q = alloc_zeroed(sizeof(*q));
    struct json_body body;
    q->request = r;
    read_points(q, &body);
    if (body.error[0]) {
        http_answer_detail(r, 400, "%s", body.error);
        marline__memory_free(q);
        return;
    }
    q->job.run = set_points;
    hub_post(http_request_server(r)->hub, &q->job);
}

const struct route routes_mock[] = {
    {"GET", "/mock/runs/{id}/timeline", ROUTE_KEY, get_timeline,
     "Every event and linking attempt of a run"},
    {"GET", "/mock/runs/{id}/spans", ROUTE_KEY, get_spans, "Spans of a run and who linked them"},
    {"GET", "/mock/ledger", ROUTE_KEY, get_ledger, "Conservation of spans"},
    {"PUT", "/mock/link-points", ROUTE_KEY, put_link_points, "Switch linking points on and off"},
    {0},
};
