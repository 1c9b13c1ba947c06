/* Judges the facts of one scenario. */
#include "agent/check/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "programs/must.h"

enum { SENTENCE_SIZE = 600 };

static const struct clue tracing_fault = {"I6", PLACE_TRACING};
static const struct clue linking_fault = {"I1", PLACE_LINKING};
static const struct clue wrong_link = {"I2", PLACE_LINKING};
static const struct clue left_to_sweeper = {"I8", PLACE_LINKING};
static const struct clue repeat_fault = {"I4", PLACE_LINKING};
static const struct clue testing_fault = {"I7", PLACE_TESTING};

const char *clue_place_title(enum clue_place place)
{
    static const char *const titles[] = {"Traces do not appear", "Traces are there, but not linked",
                                         "A result does not arrive"};
    return titles[place];
}

static void format_sentence(const struct facts *f, const char *format, va_list arguments,
                            char text[SENTENCE_SIZE])
{
    int used = snprintf(text, SENTENCE_SIZE, "%s: ", f->scenario->name);
    if (used >= 0) {
        (void)vsnprintf(text + used, SENTENCE_SIZE - (size_t)used, format, arguments);
    }
}

static void __attribute__((format(printf, 4, 5)))
fail(struct verdict *v, const struct clue *clue, const struct facts *f, const char *format, ...)
{
    char text[SENTENCE_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    format_sentence(f, format, arguments, text);
    va_end(arguments);
    v->clues = must_grow(v->clues, v->clue_count, &v->clue_capacity, sizeof *v->clues);
    v->clues[v->clue_count++] = *clue;
    words_add(&v->failures, text);
}

static void __attribute__((format(printf, 3, 4)))
disturb(struct verdict *v, const struct facts *f, const char *format, ...)
{
    char text[SENTENCE_SIZE] = "";
    va_list arguments;
    va_start(arguments, format);
    format_sentence(f, format, arguments, text);
    va_end(arguments);
    words_add(&v->disturbances, text);
}

/* ---- what is asked of the facts while they come in ---- */

const char *span_expected_result(const struct facts *f, const struct span_fact *s)
{
    const struct test_fact *t = &f->tests[s->test];
    bool is_numbered = s->attempt > 0 && s->attempt <= t->attempt_count;
    return is_numbered ? t->attempts[s->attempt - 1].result_id : t->result_id;
}

bool span_is_linked_right(const struct facts *f, const struct span_fact *s)
{
    const char *expected = span_expected_result(f, s);
    return *expected && strcasecmp(s->result_id, expected) == 0;
}

static bool is_same_attempt(unsigned a, unsigned b)
{
    return a == b || a == 0 || b == 0;
}

double facts_result_stored_at(const struct facts *f, const struct span_fact *s)
{
    for (size_t i = 0; i < f->event_count; i++) {
        const struct event_fact *e = &f->events[i];
        if (e->type == EVENT_RESULT_STORED && e->test == (int)s->test &&
            is_same_attempt(e->attempt, s->attempt)) {
            return e->at_ms;
        }
    }
    return 0;
}

bool facts_show_absence(const struct facts *f)
{
    size_t dropped = 0;
    for (size_t i = 0; i < f->span_count; i++) {
        dropped += f->spans[i].is_dropped;
    }
    return f->scenario->has_no_result || (dropped > 0 && dropped == f->span_count);
}

bool facts_are_stored(const struct facts *f)
{
    for (size_t i = 0; i < f->span_count; i++) {
        if (!f->spans[i].is_stored && !f->spans[i].is_dropped) {
            return false;
        }
    }
    for (size_t i = 0; i < f->scenario->test_count && !f->scenario->has_no_result; i++) {
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

/* ---- spans ---- */

/* The point that had the span and the result before it, and did not link: the one at fault. */
static enum link_point point_at_fault(const struct facts *f, const struct span_fact *s)
{
    double result_at = facts_result_stored_at(f, s);
    return result_at > 0 && s->stored_at_ms < result_at ? LINK_RESULT : LINK_INGEST;
}

static const char *when_stored(enum link_point fault)
{
    return fault == LINK_RESULT ? "was stored before the result" : "was stored after the result";
}

static void judge_unlinked(const struct facts *f, const struct span_fact *s, struct verdict *v)
{
    if (!s->is_stored) {
        fail(v, &tracing_fault, f,
             "span %s (%s) of test %zu never reached the backend; the tracing channel is at "
             "fault, no linking point",
             s->name, s->span_id, s->test + 1);
    } else if (*s->result_id) {
        fail(v, &wrong_link, f,
             "span %s (%s) of test %zu carries result %s, but its %s has result %s; %s is at "
             "fault",
             s->name, s->span_id, s->test + 1, s->result_id,
             f->tests[s->test].attempt_count > 1 ? "attempt" : "test", span_expected_result(f, s),
             link_point_title(s->linked_by));
    } else if (f->is_blind_to_points && *f->tests[s->test].result_id) {
        fail(v, &linking_fault, f,
             "a span of test %zu (trace %s) is stored, and linked to none; which point is at fault "
             "the platform's API does not show",
             s->test + 1, s->trace_id);
    } else if (*f->tests[s->test].result_id) {
        enum link_point fault = point_at_fault(f, s);
        fail(v, &linking_fault, f,
             "span %s (%s) of test %zu %s, and is linked to none; %s is at fault", s->name,
             s->span_id, s->test + 1, when_stored(fault), link_point_title(fault));
    }
}

/* A restart lies between result and spans: point 2 has to link them, whatever the probe says. */
static enum link_point expected_point(const struct facts *f, const struct span_fact *s)
{
    bool is_restart =
        f->scenario->disturbance == DISTURB_BACKEND || f->scenario->disturbance == DISTURB_AGENT;
    return is_restart && !f->disturbance.is_prompt ? LINK_INGEST : s->expected;
}

/* The timing that the expectation rests on. */
static bool came_as_planned(const struct facts *f, const struct span_fact *s,
                            enum link_point expected)
{
    double result_at = facts_result_stored_at(f, s);
    return expected == LINK_RESULT ? s->stored_at_ms < result_at : s->stored_at_ms > result_at;
}

/* When the point first looked for the span's test since then; 0 = it did not, or the backend does
 * not tell. `linking` asks for an attempt that linked something. */
static double attempted_at(const struct facts *f, const struct span_fact *s, enum link_point point,
                           double since_ms, bool linking)
{
    for (size_t i = 0; i < f->event_count; i++) {
        const struct event_fact *e = &f->events[i];
        if (e->type == EVENT_LINK_ATTEMPT && e->point == point && e->test == (int)s->test &&
            is_same_attempt(e->attempt, s->attempt) && e->at_ms >= since_ms &&
            (e->linked > 0 || !linking)) {
            return e->at_ms;
        }
    }
    return 0;
}

/* Spans of the test that were stored later make point 2 look again. */
static bool has_later_spans(const struct facts *f, const struct span_fact *s, double after_ms,
                            double until_ms)
{
    for (size_t i = 0; i < f->span_count; i++) {
        const struct span_fact *other = &f->spans[i];
        if (other->test == s->test && is_same_attempt(other->attempt, s->attempt) &&
            other->stored_at_ms > after_ms && other->stored_at_ms <= until_ms) {
            return true;
        }
    }
    return false;
}

/* The expected point left the span to the other: it looked first, or not at all. Else the two have
 * overtaken each other, which is nobody's fault: an attempt follows its commit after a while. */
static bool was_passed_over(const struct facts *f, const struct span_fact *s,
                            enum link_point expected)
{
    double result_at = facts_result_stored_at(f, s);
    double both_at = result_at > s->stored_at_ms ? result_at : s->stored_at_ms;
    double linked_at = attempted_at(f, s, s->linked_by, both_at, true);
    double tried_at = attempted_at(f, s, expected, both_at, false);
    if (linked_at <= 0 || tried_at > 0) {
        return linked_at <= 0 || tried_at < linked_at;
    }
    return expected == LINK_RESULT && has_later_spans(f, s, both_at, linked_at);
}

static void judge_point(const struct facts *f, const struct span_fact *s, struct verdict *v)
{
    enum link_point expected = expected_point(f, s);
    if (s->linked_by == LINK_SWEEP) {
        enum link_point fault = point_at_fault(f, s);
        fail(v, &left_to_sweeper, f,
             "span %s (%s) of test %zu %s, and was left to the sweeper; %s is at fault", s->name,
             s->span_id, s->test + 1, when_stored(fault), link_point_title(fault));
    } else if (f->scheduled_point != LINK_NONE && s->linked_by != f->scheduled_point) {
        fail(v, &linking_fault, f,
             "span %s (%s) was linked by %s, although the schedule let %s go first", s->name,
             s->span_id, link_point_title(s->linked_by), link_point_title(f->scheduled_point));
    } else if (expected == LINK_NONE || s->linked_by == expected || f->is_blind_to_points) {
        return;
    } else if (!came_as_planned(f, s, expected)) {
        disturb(v, f,
                "span %s of test %zu was stored %s the result, which is not what this "
                "scenario needs",
                s->name, s->test + 1, expected == LINK_RESULT ? "after" : "before");
    } else if (was_passed_over(f, s, expected)) {
        fail(v, &linking_fault, f,
             "span %s (%s) of test %zu %s, but was linked by %s; %s is at fault", s->name,
             s->span_id, s->test + 1, when_stored(expected), link_point_title(s->linked_by),
             link_point_title(expected));
    } else {
        disturb(v, f,
                "%s came to span %s of test %zu before %s, which is not what this scenario needs",
                link_point_title(s->linked_by), s->name, s->test + 1, link_point_title(expected));
    }
}

/* A test without a result: whatever the span is linked to is wrong. */
static void judge_orphan(const struct facts *f, const struct span_fact *s, struct verdict *v)
{
    if (!s->is_stored) {
        judge_unlinked(f, s, v);
    } else if (*s->result_id) {
        fail(v, &wrong_link, f,
             "span %s (%s) carries result %s, but its test has none: it was linked by ids that are "
             "not its own",
             s->name, s->span_id, s->result_id);
    }
}

static void judge_span(const struct facts *f, const struct span_fact *s, struct verdict *v)
{
    if (s->is_dropped && !s->is_stored) {
        return;
    }
    if (!s->is_made) {
        fail(v, &repeat_fault, f, "the backend has a span %s (%s) that no probe made", s->name,
             s->span_id);
        return;
    }
    v->spans++;
    if (f->scenario->has_no_result) {
        judge_orphan(f, s, v);
        return;
    }
    if (!span_is_linked_right(f, s)) {
        judge_unlinked(f, s, v);
        return;
    }
    v->linked++;
    v->by_point[s->linked_by]++;
    judge_point(f, s, v);
}

/* ---- tests ---- */

static void judge_status(const struct facts *f, size_t test, struct verdict *v)
{
    const struct test_fact *t = &f->tests[test];
    if (!*t->result_id) {
        fail(v, &testing_fault, f,
             "test %zu (%s) has no result at the backend; the testing channel is at fault%s%s",
             test + 1, t->probe->endpoint, *t->error ? ": " : "", t->error);
    } else if (strcmp(t->status, "Pass") != 0) {
        fail(v, &testing_fault, f, "test %zu (%s) has status %s instead of Pass%s%s", test + 1,
             t->probe->endpoint, *t->status ? t->status : "none", *t->error ? ": " : "", t->error);
    }
}

/* One attempt, one result, however often it was sent. */
static void judge_results(const struct facts *f, size_t test, struct verdict *v)
{
    size_t attempts = f->tests[test].attempt_count ? f->tests[test].attempt_count : 1;
    size_t stored = 0;
    for (size_t i = 0; i < f->event_count; i++) {
        const struct event_fact *e = &f->events[i];
        stored += e->type == EVENT_RESULT_STORED && e->test == (int)test && !e->is_duplicate;
    }
    if (stored > attempts) {
        fail(v, &repeat_fault, f,
             "test %zu has %zu results for %zu attempt%s; a result that comes again must change "
             "nothing",
             test + 1, stored, attempts, attempts == 1 ? "" : "s");
    }
}

/* The probe leaves one root span per call. */
static void judge_executions(const struct facts *f, size_t test, struct verdict *v)
{
    size_t attempts = f->tests[test].attempt_count ? f->tests[test].attempt_count : 1;
    size_t calls = 0;
    for (size_t i = 0; i < f->span_count; i++) {
        calls += f->spans[i].is_root && f->spans[i].is_made && f->spans[i].test == test;
    }
    if (calls > attempts) {
        fail(v, &testing_fault, f,
             "test %zu was executed %zu times in %zu attempt%s; an invocation must run once",
             test + 1, calls, attempts, attempts == 1 ? "" : "s");
    }
}

static void judge_attempts_of(const struct facts *f, size_t test, struct verdict *v)
{
    const struct test_fact *t = &f->tests[test];
    if (t->attempt_count != f->scenario->retries + 1) {
        fail(v, &testing_fault, f, "test %zu has %zu attempts instead of %u", test + 1,
             t->attempt_count, f->scenario->retries + 1);
    } else if (strcmp(t->attempts[0].status, "Error") != 0) {
        fail(v, &testing_fault, f, "attempt 1 of test %zu has status %s instead of Error", test + 1,
             *t->attempts[0].status ? t->attempts[0].status : "none");
    } else if (strcasecmp(t->attempts[0].result_id, t->attempts[1].result_id) == 0) {
        fail(v, &wrong_link, f, "both attempts of test %zu have the result %s", test + 1,
             t->attempts[0].result_id);
    }
}

static void judge_tests(const struct facts *f, struct verdict *v)
{
    for (size_t i = 0; i < f->scenario->test_count; i++) {
        judge_status(f, i, v);
        judge_results(f, i, v);
        judge_executions(f, i, v);
        if (f->scenario->retries) {
            judge_attempts_of(f, i, v);
        }
    }
}

/* ---- the scenario as a whole ---- */

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
            fail(v, &linking_fault, f, "%s failed: %s", link_point_title(e->point), e->text);
        }
    }
}

static void judge_repeats(const struct facts *f, struct verdict *v)
{
    const struct disturbance_facts *d = &f->disturbance;
    if (*d->refusal) {
        fail(v, &repeat_fault, f,
             "a POST that repeats stored spans was refused (%s); a client repeats what it got no "
             "answer for, so a repeat must be acknowledged",
             d->refusal);
    } else if (d->repeats == 0) {
        disturb(v, f, "nothing was exported while every export was to be repeated");
    } else if (!f->is_blind_to_points && d->duplicates < d->repeats) {
        fail(v, &repeat_fault, f,
             "%llu spans were posted again, but the backend counts %llu duplicates: it has stored "
             "some twice",
             (unsigned long long)d->repeats, (unsigned long long)d->duplicates);
    }
}

static void judge_disturbance(const struct facts *f, struct verdict *v)
{
    if (f->scenario->disturbance == DISTURB_EXPORT_TWICE) {
        judge_repeats(f, v);
    } else if (f->scenario->disturbance != DISTURB_NOTHING && f->disturbance.strikes == 0) {
        disturb(v, f, "what was to be disturbed was over before it could be");
    }
}

static void judge_absence(const struct facts *f, struct verdict *v)
{
    if (f->scenario->has_no_result && *f->verdict && strcmp(f->verdict, "no_result") != 0) {
        fail(v, &wrong_link, f,
             "the backend calls spans of a test without a result '%s' instead of no_result",
             f->verdict);
    }
    if (f->scenario->has_stray && !f->stray_is_stored) {
        fail(v, &wrong_link, f, "the span outside any test is not stored unlinked at the backend");
    }
}

void verdict_judge(const struct facts *f, struct verdict *out)
{
    *out = (struct verdict){0};
    if (f->is_forgotten) {
        fail(out, &tracing_fault, f,
             "the backend does not know the run any more; what it had acknowledged before it was "
             "killed was not on disk");
        return;
    }
    if (!f->scenario->has_no_result) {
        judge_tests(f, out);
    }
    for (size_t i = 0; i < f->span_count; i++) {
        judge_span(f, &f->spans[i], out);
    }
    judge_attempts(f, out);
    judge_disturbance(f, out);
    judge_absence(f, out);
    if (f->scenario->shares_a_post && out->failures.count == 0 && !f->is_blind_to_points &&
        !has_shared_post(f)) {
        disturb(out, f, "no POST held spans of more than one test");
    }
}

void verdict_deinit(struct verdict *v)
{
    words_deinit(&v->failures);
    words_deinit(&v->disturbances);
    marline__memory_free(v->clues);
    v->clues = NULL;
    v->clue_count = 0;
    v->clue_capacity = 0;
}
