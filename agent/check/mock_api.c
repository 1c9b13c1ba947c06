/* The backend-mock: runs, spans and timelines through its control routes. */
#include <stdio.h>
#include <string.h>

#include "agent/check/backend_ops.h"
#include "agent/check/probes.h"
#include "programs/must.h"
#include "wire/json_writer.h"

static enum link_point parse_point(const char *text)
{
    for (int p = LINK_RESULT; p <= LINK_SWEEP; p++) {
        if (strcmp(link_point_name((enum link_point)p), text) == 0) {
            return (enum link_point)p;
        }
    }
    return LINK_NONE;
}

static void read_point(struct json_reader *r, enum link_point *out)
{
    char text[FACT_ID_SIZE] = "";
    answer_text(r, text, sizeof text);
    *out = parse_point(text);
}

/* ---- runs ---- */

static void write_run(struct backend_api *api, const struct facts *facts, const char *inputs,
                      struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "project_id", rest_connection(api->rest)->project_id);
    marline__json_member_text(&w, "environment", rest_connection(api->rest)->environment);
    marline__json_member_int(&w, "concurrency", (int64_t)facts->scenario->test_count);
    if (facts->scenario->retries) {
        marline__json_member_int(&w, "retries", facts->scenario->retries);
    }
    marline__json_key(&w, "tests");
    marline__json_begin_array(&w);
    for (size_t i = 0; i < facts->scenario->test_count; i++) {
        marline__json_begin_object(&w);
        marline__json_member_text(&w, "function_name", facts->tests[i].probe->endpoint);
        marline__json_member_raw(&w, "inputs", marline__slice_text(inputs));
        marline__json_member_int(&w, "timeout_ms", (int64_t)facts->test_timeout_ms);
        marline__json_end_object(&w);
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    must_buffer(out);
}

static bool start_run(struct backend_api *api, struct facts *facts, size_t base, struct failure *f)
{
    struct buffer body = BUFFER_INIT;
    char *inputs = probes_inputs(base);
    write_run(api, facts, inputs, &body);
    marline__memory_free(inputs);
    bool ok = backend_post_run(api, "/mock/runs", marline__buffer_slice(&body), facts, f);
    marline__buffer_deinit(&body);
    return ok;
}

struct run_reader {
    struct facts *facts;
    size_t next; /* results come in the order of the tests */
};

static void read_attempt_member(struct json_reader *r, struct slice key, void *user)
{
    struct attempt_fact *a = user;
    if (marline__json_key_is(key, "test_result_id")) {
        answer_text(r, a->result_id, sizeof a->result_id);
    } else if (marline__json_key_is(key, "status")) {
        answer_text(r, a->status, sizeof a->status);
    } else {
        answer_skip(r);
    }
}

static void read_attempt(struct json_reader *r, void *user)
{
    struct test_fact *t = user;
    struct attempt_fact ignored;
    bool fits = t->attempt_count < ATTEMPTS_MAX;
    struct attempt_fact *a = fits ? &t->attempts[t->attempt_count++] : &ignored;
    *a = (struct attempt_fact){0};
    answer_each_member(r, read_attempt_member, a);
}

static void read_result_member(struct json_reader *r, struct slice key, void *user)
{
    struct test_fact *t = user;
    if (marline__json_key_is(key, "test_id")) {
        answer_text(r, t->test_id, sizeof t->test_id);
    } else if (marline__json_key_is(key, "test_configuration_id")) {
        answer_text(r, t->configuration_id, sizeof t->configuration_id);
    } else if (marline__json_key_is(key, "test_result_id")) {
        answer_text(r, t->result_id, sizeof t->result_id);
    } else if (marline__json_key_is(key, "status")) {
        answer_text(r, t->status, sizeof t->status);
    } else if (marline__json_key_is(key, "error")) {
        answer_text(r, t->error, sizeof t->error);
    } else if (marline__json_key_is(key, "attempts")) {
        t->attempt_count = 0;
        answer_each_object(r, read_attempt, t);
    } else {
        answer_skip(r);
    }
}

static void read_result(struct json_reader *r, void *user)
{
    struct run_reader *reader = user;
    if (reader->next < reader->facts->scenario->test_count) {
        answer_each_member(r, read_result_member, &reader->facts->tests[reader->next++]);
    } else {
        answer_skip(r);
    }
}

static void read_run_member(struct json_reader *r, struct slice key, void *user)
{
    struct run_reader *reader = user;
    if (marline__json_key_is(key, "status")) {
        answer_text(r, reader->facts->run_status, sizeof reader->facts->run_status);
    } else if (marline__json_key_is(key, "results")) {
        answer_each_object(r, read_result, reader);
    } else {
        answer_skip(r);
    }
}

static bool ask_about_run(struct backend_api *api, const struct facts *facts, const char *suffix,
                          struct failure *f)
{
    char path[FACT_ID_SIZE + 64];
    (void)snprintf(path, sizeof path, "/mock/runs/%s%s", facts->run_id, suffix);
    return rest_ask(api->rest, "GET", path, SLICE_EMPTY, f);
}

static bool read_run(struct backend_api *api, struct facts *facts, struct failure *f)
{
    struct run_reader reader = {facts, 0};
    char path[FACT_ID_SIZE + 64];
    (void)snprintf(path, sizeof path, "/mock/runs/%s", facts->run_id);
    int status = rest_try(api->rest, "GET", path, SLICE_EMPTY, f);
    if (status == 404 && facts->disturbance.strikes > 0) {
        facts->is_forgotten = true;
        return true;
    }
    return status && (status == 200 ? rest_read(api->rest, read_run_member, &reader, f)
                                    : rest_refuse(api->rest, f));
}

/* ---- spans ---- */

struct stored_span {
    struct span_fact fact;
    char test_id[FACT_ID_SIZE];
    char configuration_id[FACT_ID_SIZE];
};

static void read_span_member(struct json_reader *r, struct slice key, void *user)
{
    struct stored_span *s = user;
    if (marline__json_key_is(key, "trace_id")) {
        answer_text(r, s->fact.trace_id, sizeof s->fact.trace_id);
    } else if (marline__json_key_is(key, "span_id")) {
        answer_text(r, s->fact.span_id, sizeof s->fact.span_id);
    } else if (marline__json_key_is(key, "span_name")) {
        answer_text(r, s->fact.name, sizeof s->fact.name);
    } else if (marline__json_key_is(key, "test_id")) {
        answer_text(r, s->test_id, sizeof s->test_id);
    } else if (marline__json_key_is(key, "test_configuration_id")) {
        answer_text(r, s->configuration_id, sizeof s->configuration_id);
    } else if (marline__json_key_is(key, "test_result_id")) {
        answer_text(r, s->fact.result_id, sizeof s->fact.result_id);
    } else if (marline__json_key_is(key, "link_source")) {
        read_point(r, &s->fact.linked_by);
    } else if (marline__json_key_is(key, "stored_at_ms")) {
        answer_number(r, &s->fact.stored_at_ms);
    } else if (marline__json_key_is(key, "post_id")) {
        answer_text(r, s->fact.post_id, sizeof s->fact.post_id);
    } else {
        answer_skip(r);
    }
}

static void read_span(struct json_reader *r, void *user)
{
    struct facts *facts = user;
    struct stored_span stored = {0};
    answer_each_member(r, read_span_member, &stored);
    struct span_fact *s = facts_find_span(facts, stored.fact.trace_id, stored.fact.span_id);
    int test = facts_find_test(facts, stored.test_id, stored.configuration_id);
    if (!s) {
        s = facts_add_span(facts);
        *s = stored.fact;
        s->test = test == NO_TEST ? 0 : (size_t)test;
    }
    s->is_stored = true;
    s->linked_by = stored.fact.linked_by;
    s->stored_at_ms = stored.fact.stored_at_ms;
    memcpy(s->result_id, stored.fact.result_id, sizeof s->result_id);
    memcpy(s->post_id, stored.fact.post_id, sizeof s->post_id);
}

static void read_spans_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "spans")) {
        answer_each_object(r, read_span, user);
    } else {
        answer_skip(r);
    }
}

static bool read_spans(struct backend_api *api, struct facts *facts, struct failure *f)
{
    return ask_about_run(api, facts, "/spans", f) &&
           rest_read(api->rest, read_spans_member, facts, f);
}

/* ---- timeline ---- */

static enum event_type parse_event_type(const char *text)
{
    static const char *const names[] = {"run_started",   "invoked",      "result_received",
                                        "result_stored", "spans_stored", "link_attempt",
                                        "run_finished"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum event_type)i;
        }
    }
    return EVENT_OTHER;
}

struct read_event {
    struct event_fact fact;
    char test_id[FACT_ID_SIZE];
};

static void read_count_member(struct json_reader *r, struct slice key, struct event_fact *e)
{
    if (marline__json_key_is(key, "spans_found")) {
        answer_count(r, &e->spans_found);
    } else if (marline__json_key_is(key, "linked")) {
        answer_count(r, &e->linked);
    } else if (marline__json_key_is(key, "spans")) {
        answer_count(r, &e->spans);
    } else if (marline__json_key_is(key, "post_spans")) {
        answer_count(r, &e->post_spans);
    } else {
        answer_skip(r);
    }
}

static void read_event_member(struct json_reader *r, struct slice key, void *user)
{
    struct read_event *e = user;
    if (marline__json_key_is(key, "at_ms")) {
        answer_number(r, &e->fact.at_ms);
    } else if (marline__json_key_is(key, "type")) {
        answer_text(r, e->fact.type_text, sizeof e->fact.type_text);
    } else if (marline__json_key_is(key, "test_id")) {
        answer_text(r, e->test_id, sizeof e->test_id);
    } else if (marline__json_key_is(key, "point")) {
        read_point(r, &e->fact.point);
    } else if (marline__json_key_is(key, "attempt")) {
        uint64_t attempt = 0;
        answer_count(r, &attempt);
        e->fact.attempt = (unsigned)attempt;
    } else if (marline__json_key_is(key, "duplicate")) {
        answer_flag(r, &e->fact.is_duplicate);
    } else if (marline__json_key_is(key, "result_found")) {
        answer_flag(r, &e->fact.result_found);
    } else if (marline__json_key_is(key, "post_id")) {
        answer_text(r, e->fact.post_id, sizeof e->fact.post_id);
    } else if (marline__json_key_is(key, "status") || marline__json_key_is(key, "error")) {
        answer_text(r, e->fact.text, sizeof e->fact.text);
    } else {
        read_count_member(r, key, &e->fact);
    }
}

static void read_event(struct json_reader *r, void *user)
{
    struct facts *facts = user;
    struct read_event e = {0};
    answer_each_member(r, read_event_member, &e);
    e.fact.type = parse_event_type(e.fact.type_text);
    e.fact.test = facts_find_test(facts, e.test_id, NULL);
    *facts_add_event(facts) = e.fact;
}

static void read_timeline_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "events")) {
        answer_each_object(r, read_event, user);
    } else {
        answer_skip(r);
    }
}

static bool read_timeline(struct backend_api *api, struct facts *facts, struct failure *f)
{
    facts->event_count = 0;
    return ask_about_run(api, facts, "/timeline", f) &&
           rest_read(api->rest, read_timeline_member, facts, f);
}

const struct backend_ops backend_ops_mock = {
    .start_run = start_run,
    .read_run = read_run,
    .read_spans = read_spans,
    .read_timeline = read_timeline,
};
