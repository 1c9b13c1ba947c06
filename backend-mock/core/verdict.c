/* See verdict.h. */
#include "core/verdict.h"

#include <stdio.h>

#include "core/alloc.h"
#include "wire/json_pointer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- reasons ---- */

/* A value for a person, cut between characters. */
static void append_shown(struct buffer *out, struct slice value)
{
    size_t size = value.size;
    if (size > VERDICT_SHOWN_MAX) {
        size = VERDICT_SHOWN_MAX;
        while (size > 0 && ((unsigned char)value.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    marline__buffer_append_slice(out, (struct slice){value.data, size});
    if (size < value.size) {
        marline__buffer_append_format(out, "… (%zu bytes)", value.size);
    }
}

static void append_node(struct buffer *out, const struct json_node *node)
{
    if (node) {
        append_shown(out, node->raw);
    } else {
        marline__buffer_append_text(out, "nothing");
    }
}

/* Each appends to the reason when it returns false. */
static bool check_equals(const struct json_node *expected, const struct json_node *value,
                         struct buffer *reason)
{
    struct json_difference d;
    if (json_tree_equal(expected, value, &d)) {
        marline__buffer_deinit(&d.pointer);
        return true;
    }
    if (d.pointer.size > 0) {
        marline__buffer_append_format(reason, "at %s within it: ", d.pointer.data);
    }
    marline__buffer_append_text(reason, "expected ");
    append_node(reason, d.expected);
    marline__buffer_append_text(reason, ", found ");
    append_node(reason, d.found);
    marline__buffer_deinit(&d.pointer);
    return false;
}

static bool check_contains(const struct json_node *part, const struct json_node *value,
                           struct buffer *reason)
{
    if (json_tree_contains(value, part)) {
        return true;
    }
    marline__buffer_append_text(reason, "expected to contain ");
    append_node(reason, part);
    marline__buffer_append_text(reason, ", found ");
    append_node(reason, value);
    return false;
}

static bool check_bounds(const struct condition *c, const struct json_node *value,
                         struct buffer *reason)
{
    double number = 0;
    double bound = 0;
    bool is_number = json_tree_number(value, &number);
    const struct json_node *broken = NULL;
    if (c->min && (!is_number || (json_tree_number(c->min, &bound) && number < bound))) {
        broken = c->min;
    } else if (c->max && (!is_number || (json_tree_number(c->max, &bound) && number > bound))) {
        broken = c->max;
    }
    if (!broken) {
        return true;
    }
    marline__buffer_append_text(reason, is_number ? "expected " : "expected a number, ");
    marline__buffer_append_text(reason, broken == c->min ? "at least " : "at most ");
    append_node(reason, broken);
    marline__buffer_append_text(reason, ", found ");
    append_node(reason, value);
    return false;
}

/* What should have been there. */
static bool miss(const struct condition *c, struct buffer *reason)
{
    const struct json_node *wanted = c->equals ? c->equals : c->contains;
    marline__buffer_append_text(reason, "nothing there; expected ");
    marline__buffer_append_text(reason, !c->equals && c->contains ? "something with " : "");
    if (wanted) {
        append_node(reason, wanted);
    } else {
        marline__buffer_append_text(reason, c->min || c->max ? "a number" : "a value");
    }
    return false;
}

/* `value` NULL: there is none. */
static bool check_condition(const struct condition *c, const struct json_node *value,
                            struct buffer *reason)
{
    if (c->has_exists && !c->exists) {
        if (!value) {
            return true;
        }
        marline__buffer_append_text(reason, "expected nothing, found ");
        append_node(reason, value);
        return false;
    }
    if (!value) {
        return miss(c, reason);
    }
    return (!c->equals || check_equals(c->equals, value, reason)) &&
           (!c->contains || check_contains(c->contains, value, reason)) &&
           check_bounds(c, value, reason);
}

/* ---- judging ---- */

/* The first reason is told in full, of the others their number. */
static void worsen(struct verdict *v, enum result_status status, const char *what,
                   const struct buffer *reason)
{
    if (v->status == RESULT_PASS || (v->status == RESULT_FAIL && status == RESULT_ERROR)) {
        v->more_reasons += v->status == RESULT_FAIL;
        v->status = status;
        marline__buffer_clear(&v->reason);
        marline__buffer_append_format(&v->reason, "%s: %s", what, reason->data ? reason->data : "");
    } else {
        v->more_reasons++;
    }
}

static void write_outcome(struct verdict *v, bool passes, const struct buffer *reason)
{
    struct json_writer *w = &v->writer;
    marline__json_member_bool(w, "is_successful", passes);
    if (!passes) {
        marline__json_member_string(w, "reason", marline__buffer_slice(reason));
    }
}

static void write_condition(struct json_writer *w, const struct condition *c)
{
    const struct {
        const char *name;
        const struct json_node *node;
    } parts[] = {
        {"equals", c->equals}, {"contains", c->contains}, {"min", c->min}, {"max", c->max}};
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (parts[i].node) {
            marline__json_member_raw(w, parts[i].name, parts[i].node->raw);
        }
    }
    if (c->has_exists) {
        marline__json_member_bool(w, "exists", c->exists);
    }
}

/* A function that answers a text may put it into a member "output". `output` is not empty. */
static struct slice text_of(struct slice output)
{
    struct slice text = SLICE_EMPTY;
    bool inside = marline__json_pointer_find(output, "/output", &text) && text.data[0] == '"';
    return inside ? text : output;
}

/* The value that an expectation is about; empty = there is none. */
static struct slice subject_of(const struct expectation *e, const struct verdict_answer *answer,
                               struct buffer *scratch)
{
    struct json_writer w;
    struct slice found = SLICE_EMPTY;
    struct slice output = answer->output.size ? answer->output : SLICE("null");
    marline__json_writer_init(&w, scratch);
    switch (e->of) {
    case OF_OUTPUT:
        if (!marline__json_pointer_find(output, e->pointer ? e->pointer : "", &found)) {
            found = SLICE_EMPTY;
        }
        return found;
    case OF_TEXT:
        return text_of(output);
    case OF_ERROR:
        if (answer->success) {
            return SLICE_EMPTY;
        }
        marline__json_string(&w, answer->error.data ? answer->error : SLICE(""));
        break;
    case OF_DURATION:
        marline__json_double(&w, answer->duration_ms);
        break;
    }
    alloc_check_buffer(scratch);
    return marline__buffer_slice(scratch);
}

static void name_subject(const struct expectation *e, struct buffer *out)
{
    if (e->of == OF_OUTPUT && e->pointer && e->pointer[0]) {
        marline__buffer_append_text(out, e->pointer);
    } else {
        marline__buffer_append_text(out, subject_names[e->of]);
    }
    alloc_check_buffer(out);
}

static void judge_expectation(struct verdict *v, size_t index, const struct expectation *e,
                              const struct verdict_answer *answer)
{
    struct arena arena = ARENA_INIT;
    struct buffer scratch = BUFFER_INIT;
    struct buffer subject = BUFFER_INIT;
    struct buffer reason = BUFFER_INIT;
    struct json_node value;
    char name[32];
    struct slice raw = subject_of(e, answer, &scratch);
    bool exists = raw.size > 0 && json_tree_parse(raw, &arena, &value);
    bool passes = check_condition(&e->condition, exists ? &value : NULL, &reason);
    if (!passes && !exists && e->of == OF_OUTPUT) {
        marline__buffer_append_text(&reason, "; the output is ");
        append_shown(&reason, answer->output.size ? answer->output : SLICE("null"));
    }
    alloc_check_buffer(&reason);
    name_subject(e, &subject);
    (void)snprintf(name, sizeof(name), "expect[%zu]", index);
    marline__json_key(&v->writer, name);
    marline__json_begin_object(&v->writer);
    marline__json_member_string(&v->writer, "of", marline__buffer_slice(&subject));
    write_condition(&v->writer, &e->condition);
    marline__json_member_raw(&v->writer, "actual", exists ? raw : SLICE_EMPTY);
    write_outcome(v, passes, &reason);
    marline__json_end_object(&v->writer);
    if (!passes) {
        worsen(v, RESULT_FAIL, subject.data, &reason);
    }
    marline__buffer_deinit(&scratch);
    marline__buffer_deinit(&subject);
    marline__buffer_deinit(&reason);
    marline__arena_deinit(&arena);
}

static bool expects_error(const struct criteria *c)
{
    for (size_t i = 0; c && i < c->expectation_count; i++) {
        const struct expectation *e = &c->expectations[i];
        if (e->of == OF_ERROR && !(e->condition.has_exists && !e->condition.exists)) {
            return true;
        }
    }
    return false;
}

void verdict_begin(struct verdict *v, const struct criteria *criteria,
                   const struct verdict_answer *answer)
{
    *v = (struct verdict){.criteria = criteria, .status = RESULT_PASS};
    marline__json_writer_init(&v->writer, &v->metrics);
    marline__json_begin_object(&v->writer);
    marline__json_member_double(&v->writer, "execution_time", answer->duration_ms / 1000);
    marline__json_key(&v->writer, "metrics");
    marline__json_begin_object(&v->writer);
    if (!answer->success && !expects_error(criteria)) {
        v->status = RESULT_ERROR;
        v->next_metric = criteria ? criteria->metric_count : 0;
        marline__buffer_append_slice(&v->reason, answer->error.data ? answer->error : SLICE(""));
        return;
    }
    for (size_t i = 0; criteria && i < criteria->expectation_count; i++) {
        judge_expectation(v, i, &criteria->expectations[i], answer);
    }
}

const char *verdict_metric(const struct verdict *v)
{
    return v->criteria && v->next_metric < v->criteria->metric_count
               ? v->criteria->metrics[v->next_metric].name
               : NULL;
}

void verdict_metric_inputs(const struct verdict *v, struct slice inputs, struct slice output,
                           struct buffer *out)
{
    const struct metric_criterion *m = &v->criteria->metrics[v->next_metric];
    struct slice text = SLICE_EMPTY;
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    /* A metric is about texts: the text in {"input": …} and {"output": …} where there is one. */
    bool has_input = marline__json_pointer_find(inputs, "/input", &text) && text.data[0] == '"';
    marline__json_member_raw(&w, "input", has_input ? text : inputs);
    output = output.size ? output : SLICE("null");
    marline__json_member_raw(&w, "output", text_of(output));
    const struct json_node *expected =
        m->expected_output ? m->expected_output : v->criteria->expected_output;
    if (expected) {
        marline__json_member_raw(&w, "expected_output", expected->raw);
    }
    if (m->context) {
        marline__json_member_raw(&w, "context", m->context->raw);
    }
    marline__json_end_object(&w);
    alloc_check_buffer(out);
}

/* Without a condition the metric itself says whether it is content. */
static enum result_status judge_score(const struct metric_criterion *m,
                                      const struct verdict_score *score, struct buffer *reason)
{
    struct arena arena = ARENA_INIT;
    struct json_node value;
    struct slice own = SLICE_EMPTY;
    enum result_status status = RESULT_PASS;
    if (!score->success || !json_tree_parse(score->score, &arena, &value)) {
        marline__buffer_append_text(reason, "not computed: ");
        append_shown(reason, score->error.data ? score->error : SLICE("it has no score"));
        status = RESULT_ERROR;
    } else if (condition_is_set(&m->condition)) {
        status = check_condition(&m->condition, &value, reason) ? RESULT_PASS : RESULT_FAIL;
    } else {
        bool told = marline__json_pointer_find(score->details, "/is_successful", &own);
        own = told ? own : value.raw;
        if (!marline__slice_is(own, "true")) {
            bool is_verdict = marline__slice_is(own, "false");
            status = is_verdict ? RESULT_FAIL : RESULT_ERROR;
            marline__buffer_append_text(reason, is_verdict ? "failed, score " : "score ");
            append_node(reason, &value);
            marline__buffer_append_text(
                reason, is_verdict ? "" : " is no verdict: give min, max, equals or contains");
        }
    }
    marline__arena_deinit(&arena);
    return status;
}

/* The name again for a metric that is asked for twice, made unique. */
static void write_metric_key(struct verdict *v, const struct metric_criterion *m)
{
    size_t same = 0;
    for (const struct metric_criterion *i = v->criteria->metrics; i < m; i++) {
        same += strcmp(i->name, m->name) == 0;
    }
    struct buffer key = BUFFER_INIT;
    marline__buffer_append_text(&key, m->name);
    if (same > 0) {
        marline__buffer_append_format(&key, " (%zu)", same + 1);
    }
    alloc_check_buffer(&key);
    marline__json_key(&v->writer, key.data);
    marline__buffer_deinit(&key);
}

void verdict_add_score(struct verdict *v, const struct verdict_score *score)
{
    const struct metric_criterion *m = &v->criteria->metrics[v->next_metric++];
    struct json_writer *w = &v->writer;
    struct buffer reason = BUFFER_INIT;
    enum result_status status = judge_score(m, score, &reason);
    alloc_check_buffer(&reason);
    write_metric_key(v, m);
    marline__json_begin_object(w);
    marline__json_member_raw(w, "score", score->success ? score->score : SLICE_EMPTY);
    if (m->condition.min) {
        marline__json_member_raw(w, "threshold", m->condition.min->raw);
    }
    write_condition(w, &m->condition);
    marline__json_member_double(w, "duration_ms", score->duration_ms);
    marline__json_member_raw(w, "details", score->details.size ? score->details : SLICE("{}"));
    write_outcome(v, status == RESULT_PASS, &reason);
    marline__json_end_object(w);
    if (status != RESULT_PASS) {
        struct buffer what = BUFFER_INIT;
        marline__buffer_append_format(&what, "metric %s", m->name);
        alloc_check_buffer(&what);
        worsen(v, status, what.data, &reason);
        marline__buffer_deinit(&what);
    }
    marline__buffer_deinit(&reason);
}

void verdict_end(struct verdict *v)
{
    marline__json_end_object(&v->writer);
    if (v->more_reasons > 0) {
        marline__buffer_append_format(&v->reason, " (and %zu more)", v->more_reasons);
    }
    marline__json_key(&v->writer, "reason");
    if (v->status == RESULT_PASS) {
        marline__json_null(&v->writer);
    } else {
        marline__json_string(&v->writer, marline__buffer_slice(&v->reason));
    }
    marline__json_end_object(&v->writer);
    alloc_check_buffer(&v->reason);
    alloc_check_buffer(&v->metrics);
}

void verdict_deinit(struct verdict *v)
{
    marline__buffer_deinit(&v->reason);
    marline__buffer_deinit(&v->metrics);
}
