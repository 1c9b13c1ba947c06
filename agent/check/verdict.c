/* Judges the facts of one scenario. */
#include "agent/check/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { SENTENCE_SIZE = 600 };

static void __attribute__((format(printf, 3, 4)))
add_sentence(struct words *list, const struct facts *f, const char *format, ...)
{
    char text[SENTENCE_SIZE];
    int used = snprintf(text, sizeof text, "%s: ", f->scenario->name);
    if (used < 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text + used, sizeof text - (size_t)used, format, arguments);
    va_end(arguments);
    words_add(list, text);
}

bool span_is_linked_right(const struct facts *f, const struct span_fact *s)
{
    const char *expected = f->tests[s->test].result_id;
    return *expected && strcasecmp(s->result_id, expected) == 0;
}

double facts_result_stored_at(const struct facts *f, size_t test)
{
    for (size_t i = 0; i < f->event_count; i++) {
        if (f->events[i].type == EVENT_RESULT_STORED && f->events[i].test == (int)test) {
            return f->events[i].at_ms;
        }
    }
    return 0;
}

bool facts_are_stored(const struct facts *f)
{
    for (size_t i = 0; i < f->span_count; i++) {
        if (!f->spans[i].is_stored) {
            return false;
        }
    }
    for (size_t i = 0; i < f->scenario->test_count; i++) {
        if (!*f->tests[i].result_id) {
            return false;
        }
    }
    return f->span_count > 0 && (!f->scenario->has_stray || f->stray_is_stored);
}

bool facts_are_settled(const struct facts *f)
{
    for (size_t i = 0; i < f->span_count; i++) {
        if (!span_is_linked_right(f, &f->spans[i])) {
            return false;
        }
    }
    return facts_are_stored(f);
}

/* The point that had the span and the result before it, and did not link: the one at fault. */
static enum link_point point_at_fault(const struct facts *f, const struct span_fact *s)
{
    double result_at = facts_result_stored_at(f, s->test);
    return result_at > 0 && s->stored_at_ms < result_at ? LINK_RESULT : LINK_INGEST;
}

static const char *when_stored(enum link_point fault)
{
    return fault == LINK_RESULT ? "was stored before the result" : "was stored after the result";
}

static void judge_unlinked(const struct facts *f, const struct span_fact *s, struct verdict *v)
{
    if (!s->is_stored) {
        add_sentence(
            &v->failures, f,
            "span %s (%s) of test %zu never reached the backend; the tracing channel is at "
            "fault, no linking point",
            s->name, s->span_id, s->test + 1);
    } else if (*s->result_id) {
        add_sentence(
            &v->failures, f,
            "span %s (%s) of test %zu carries result %s, but its test has result %s; %s is "
            "at fault",
            s->name, s->span_id, s->test + 1, s->result_id, f->tests[s->test].result_id,
            link_point_title(s->linked_by));
    } else if (*f->tests[s->test].result_id) {
        enum link_point fault = point_at_fault(f, s);
        add_sentence(&v->failures, f,
                     "span %s (%s) of test %zu %s, and is linked to none; %s is at fault", s->name,
                     s->span_id, s->test + 1, when_stored(fault), link_point_title(fault));
    }
}

/* The timing that the expectation rests on. */
static bool came_as_planned(const struct facts *f, const struct span_fact *s)
{
    double result_at = facts_result_stored_at(f, s->test);
    return s->expected == LINK_RESULT ? s->stored_at_ms < result_at : s->stored_at_ms > result_at;
}

static void judge_point(const struct facts *f, const struct span_fact *s, struct verdict *v)
{
    if (s->linked_by == LINK_SWEEP) {
        enum link_point fault = point_at_fault(f, s);
        add_sentence(&v->failures, f,
                     "span %s (%s) of test %zu %s, and was left to the sweeper; %s is at fault",
                     s->name, s->span_id, s->test + 1, when_stored(fault), link_point_title(fault));
    } else if (f->scheduled_point != LINK_NONE && s->linked_by != f->scheduled_point) {
        add_sentence(&v->failures, f,
                     "span %s (%s) was linked by %s, although the schedule let %s go first",
                     s->name, s->span_id, link_point_title(s->linked_by),
                     link_point_title(f->scheduled_point));
    } else if (s->expected == LINK_NONE || s->linked_by == s->expected) {
        return;
    } else if (came_as_planned(f, s)) {
        add_sentence(&v->failures, f,
                     "span %s (%s) of test %zu %s, but was linked by %s; %s is at fault", s->name,
                     s->span_id, s->test + 1, when_stored(s->expected),
                     link_point_title(s->linked_by), link_point_title(s->expected));
    } else {
        add_sentence(&v->disturbances, f,
                     "span %s of test %zu was stored %s the result, which is not what this "
                     "scenario needs",
                     s->name, s->test + 1, s->expected == LINK_RESULT ? "after" : "before");
    }
}

static void judge_span(const struct facts *f, const struct span_fact *s, struct verdict *v)
{
    if (!s->is_made) {
        add_sentence(&v->failures, f, "the backend has a span %s (%s) that no probe made", s->name,
                     s->span_id);
        return;
    }
    v->spans++;
    if (!span_is_linked_right(f, s)) {
        judge_unlinked(f, s, v);
        return;
    }
    v->linked++;
    v->by_point[s->linked_by]++;
    judge_point(f, s, v);
}

static void judge_tests(const struct facts *f, struct verdict *v)
{
    for (size_t i = 0; i < f->scenario->test_count; i++) {
        const struct test_fact *t = &f->tests[i];
        if (!*t->result_id) {
            add_sentence(&v->failures, f,
                         "test %zu (%s) has no result at the backend; the testing channel is at "
                         "fault%s%s",
                         i + 1, t->probe->endpoint, *t->error ? ": " : "", t->error);
        } else if (strcmp(t->status, "Pass") != 0) {
            add_sentence(&v->failures, f, "test %zu (%s) has status %s instead of Pass%s%s", i + 1,
                         t->probe->endpoint, *t->status ? t->status : "none", *t->error ? ": " : "",
                         t->error);
        }
    }
}

/* Two tests in one POST: without it a backend that looks at the first span alone would pass. */
static bool has_shared_post(const struct facts *f)
{
    for (size_t i = 0; i < f->span_count; i++) {
        for (size_t j = i + 1; j < f->span_count; j++) {
            if (f->spans[i].test != f->spans[j].test && *f->spans[i].post_id &&
                strcmp(f->spans[i].post_id, f->spans[j].post_id) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* A point that tells of an error of its own is at fault, whatever became of the spans. */
static void judge_attempts(const struct facts *f, struct verdict *v)
{
    for (size_t i = 0; i < f->event_count; i++) {
        const struct event_fact *e = &f->events[i];
        if (e->type == EVENT_LINK_ATTEMPT && *e->text) {
            add_sentence(&v->failures, f, "%s failed: %s", link_point_title(e->point), e->text);
        }
    }
}

void verdict_judge(const struct facts *f, struct verdict *out)
{
    *out = (struct verdict){0};
    judge_tests(f, out);
    for (size_t i = 0; i < f->span_count; i++) {
        judge_span(f, &f->spans[i], out);
    }
    judge_attempts(f, out);
    if (f->scenario->has_stray && !f->stray_is_stored) {
        add_sentence(&out->failures, f,
                     "the span outside any test is not stored unlinked at the backend");
    }
    if (f->scenario->shares_a_post && out->failures.count == 0 && !has_shared_post(f)) {
        add_sentence(&out->disturbances, f, "no POST held spans of more than one test");
    }
}

void verdict_deinit(struct verdict *v)
{
    words_deinit(&v->failures);
    words_deinit(&v->disturbances);
}
