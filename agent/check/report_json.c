/* The outcome of a check for a program. */
#include "agent/check/report.h"

#include "programs/must.h"
#include "wire/json_writer.h"

static void write_unlinked(struct json_writer *w, const struct facts *f)
{
    marline__json_key(w, "unlinked");
    marline__json_begin_array(w);
    for (size_t i = 0; i < f->span_count; i++) {
        const struct span_fact *s = &f->spans[i];
        if (s->is_made && !span_is_linked_right(f, s)) {
            marline__json_begin_object(w);
            marline__json_member_text(w, "trace_id", s->trace_id);
            marline__json_member_text(w, "span_id", s->span_id);
            marline__json_member_text(w, "span_name", s->name);
            marline__json_member_text(w, "test_id", f->tests[s->test].test_id);
            marline__json_member_bool(w, "stored", s->is_stored);
            marline__json_end_object(w);
        }
    }
    marline__json_end_array(w);
}

static void write_event(struct json_writer *w, const struct facts *f, const struct event_fact *e)
{
    marline__json_begin_object(w);
    marline__json_member_double(w, "at_ms", e->at_ms);
    marline__json_member_text(w, "type", e->type_text);
    if (e->test != NO_TEST) {
        marline__json_member_text(w, "test_id", f->tests[e->test].test_id);
    }
    if (e->attempt) {
        marline__json_member_int(w, "attempt", e->attempt);
    }
    if (e->type == EVENT_SPANS_STORED) {
        marline__json_member_int(w, "spans", (int64_t)e->spans);
        marline__json_member_text(w, "post_id", e->post_id);
        marline__json_member_int(w, "post_spans", (int64_t)e->post_spans);
    } else if (e->type == EVENT_LINK_ATTEMPT) {
        marline__json_member_text(w, "point", link_point_name(e->point));
        marline__json_member_bool(w, "result_found", e->result_found);
        marline__json_member_int(w, "spans_found", (int64_t)e->spans_found);
        marline__json_member_int(w, "linked", (int64_t)e->linked);
        marline__json_member_text(w, "error", *e->text ? e->text : NULL);
    } else if (*e->text) {
        marline__json_member_text(w, "status", e->text);
    }
    marline__json_end_object(w);
}

static void write_failures(struct json_writer *w, const struct verdict *v)
{
    marline__json_key(w, "failures");
    marline__json_begin_array(w);
    for (size_t i = 0; i < v->failures.count; i++) {
        marline__json_begin_object(w);
        marline__json_member_text(w, "text", v->failures.items[i]);
        if (i < v->clue_count) {
            marline__json_member_text(w, "rule", v->clues[i].rule);
            marline__json_member_text(w, "see", clue_place_title(v->clues[i].place));
        }
        marline__json_end_object(w);
    }
    marline__json_end_array(w);
}

static void write_run(struct json_writer *w, const struct check_run *r)
{
    const struct verdict *v = &r->verdict;
    marline__json_begin_object(w);
    marline__json_member_text(w, "name", r->scenario->name);
    marline__json_member_int(w, "tests", (int64_t)r->scenario->test_count);
    marline__json_member_text(w, "rule", r->scenario->rule);
    marline__json_member_text(w, "skipped", r->obstacle);
    write_failures(w, v);
    marline__json_member_int(w, "spans", (int64_t)v->spans);
    marline__json_member_int(w, "linked", (int64_t)v->linked);
    marline__json_key(w, "linked_by");
    marline__json_begin_object(w);
    for (int p = LINK_RESULT; p <= LINK_SWEEP; p++) {
        marline__json_member_int(w, link_point_name((enum link_point)p), (int64_t)v->by_point[p]);
    }
    marline__json_end_object(w);
    write_unlinked(w, &r->facts);
    marline__json_key(w, "events");
    marline__json_begin_array(w);
    for (size_t i = 0; i < r->facts.event_count; i++) {
        write_event(w, &r->facts, &r->facts.events[i]);
    }
    marline__json_end_array(w);
    marline__json_end_object(w);
}

static void write_check(struct json_writer *w, const struct check *c)
{
    marline__json_member_bool(w, "ok", check_is_pass(c));
    marline__json_member_text(w, "flush", c->is_prompt ? "prompt" : "batch");
    marline__json_member_int(w, "posts", (int64_t)c->posts);
    marline__json_key(w, "scenarios");
    marline__json_begin_array(w);
    for (size_t i = 0; i < c->run_count; i++) {
        write_run(w, &c->runs[i]);
    }
    marline__json_end_array(w);
}

void report_json(const struct check *const *checks, size_t count, FILE *out)
{
    struct buffer b = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &b);
    marline__json_begin_object(&w);
    write_check(&w, checks[0]);
    if (count > 1) {
        marline__json_key(&w, "prompt");
        marline__json_begin_object(&w);
        write_check(&w, checks[1]);
        marline__json_end_object(&w);
    }
    marline__json_end_object(&w);
    must_buffer(&b);
    (void)fprintf(out, "%s\n", b.data);
    marline__buffer_deinit(&b);
}
