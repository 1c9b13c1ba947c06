/* Verdicts on hand-made facts: what a good run looks like, and who is at fault in a bad one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/check/verdict.h"

/* The backend's clock, in ms: the run starts at 1000, ticks come at 5000, 10000 and 15000. */
struct fixture {
    struct facts facts;
    struct verdict verdict;
};

static void set_id(char out[FACT_ID_SIZE], const char *format, size_t n)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%zu", n);
    (void)snprintf(out, FACT_ID_SIZE, "%s%s", format, text);
}

static void add_result(struct facts *f, size_t test, double at_ms)
{
    set_id(f->tests[test].test_id, "test-", test);
    set_id(f->tests[test].result_id, "result-", test);
    (void)snprintf(f->tests[test].status, FACT_ID_SIZE, "Pass");
    struct event_fact *e = facts_add_event(f);
    e->type = EVENT_RESULT_STORED;
    e->test = (int)test;
    e->at_ms = at_ms;
}

/* The stored span `index` of a test (the last is the root), linked as it should be. */
static void add_span(struct facts *f, size_t test, const char *name, enum link_point expected,
                     double stored_at_ms)
{
    struct span_fact *s = facts_add_span(f);
    set_id(s->trace_id, "trace-", test);
    set_id(s->span_id, "span-", f->span_count);
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    s->test = test;
    s->expected = expected;
    s->is_made = s->is_stored = true;
    s->stored_at_ms = stored_at_ms;
    set_id(s->post_id, "post-", (size_t)stored_at_ms);
    set_id(s->result_id, "result-", test);
    s->linked_by = expected == LINK_NONE ? LINK_INGEST : expected;
}

static void add_fast(struct facts *f, size_t test)
{
    add_result(f, test, 2500);
    add_span(f, test, "function.check.lookup", LINK_INGEST, 5000);
    add_span(f, test, "function.marline_check_fast", LINK_INGEST, 5000);
}

static void add_slow(struct facts *f, size_t test)
{
    add_result(f, test, 12500);
    add_span(f, test, "function.check.plan", LINK_RESULT, 5000);
    add_span(f, test, "function.check.search", LINK_RESULT, 10000);
    add_span(f, test, "function.marline_check_slow", LINK_INGEST, 15000);
}

/* Two attempts, each with a result and a span of its own. */
static void add_retried(struct facts *f)
{
    struct test_fact *t = &f->tests[0];
    add_result(f, 0, 2500);
    add_result(f, 0, 3500);
    t->attempt_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        set_id(t->attempts[i].result_id, "result-attempt-", i);
        (void)snprintf(t->attempts[i].status, FACT_ID_SIZE, "%s", i ? "Pass" : "Error");
        add_span(f, 0, "function.check.try", LINK_NONE, 5000);
        struct span_fact *s = &f->spans[f->span_count - 1];
        s->attempt = i + 1;
        s->is_root = true;
        memcpy(s->result_id, t->attempts[i].result_id, sizeof s->result_id);
    }
    memcpy(t->result_id, t->attempts[1].result_id, sizeof t->result_id);
}

static void add_brief(struct facts *f, size_t test)
{
    add_result(f, test, 2500);
    add_span(f, test, "function.marline_check_brief", LINK_NONE, 5000);
    f->spans[f->span_count - 1].is_root = true;
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){0};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    facts_deinit(&f->facts);
    verdict_deinit(&f->verdict);
    return 0;
}

static void make(struct fixture *f, const char *scenario)
{
    facts_init(&f->facts, scenario_find(scenario), 5000);
    if (strcmp(scenario, "fast") == 0) {
        add_fast(&f->facts, 0);
    } else if (strcmp(scenario, "slow") == 0) {
        add_slow(&f->facts, 0);
    } else if (strcmp(scenario, "mixed") == 0) {
        add_fast(&f->facts, 0);
        add_slow(&f->facts, 1);
        add_fast(&f->facts, 2);
        add_slow(&f->facts, 3);
        f->facts.stray_is_stored = true;
    } else if (strcmp(scenario, "retried") == 0) {
        add_retried(&f->facts);
    } else {
        for (size_t i = 0; i < f->facts.scenario->test_count; i++) {
            add_brief(&f->facts, i);
        }
    }
}

static void unlink_span(struct span_fact *s)
{
    s->result_id[0] = '\0';
    s->linked_by = LINK_NONE;
}

static void assert_only_failure(struct fixture *f, const char *text)
{
    verdict_judge(&f->facts, &f->verdict);
    assert_int_equal(f->verdict.failures.count, 1);
    assert_string_equal(f->verdict.failures.items[0], text);
    assert_false(verdict_is_pass(&f->verdict));
}

static void given_all_linked_as_planned_when_judged_then_pass_and_counts(void **state)
{
    struct fixture *f = *state;
    make(f, "mixed");
    verdict_judge(&f->facts, &f->verdict);
    assert_true(verdict_is_pass(&f->verdict));
    assert_int_equal(f->verdict.spans, 10);
    assert_int_equal(f->verdict.linked, 10);
    assert_int_equal(f->verdict.by_point[LINK_RESULT], 4);
    assert_int_equal(f->verdict.by_point[LINK_INGEST], 6);
    assert_int_equal(f->verdict.by_point[LINK_SWEEP], 0);
    assert_true(facts_are_settled(&f->facts));
}

static void given_early_span_unlinked_when_judged_then_point_1_at_fault(void **state)
{
    struct fixture *f = *state;
    make(f, "slow");
    unlink_span(&f->facts.spans[0]);
    assert_only_failure(f,
                        "slow: span function.check.plan (span-1) of test 1 was stored before the "
                        "result, and is linked to none; point 1 (result stored) is at fault");
    assert_false(facts_are_settled(&f->facts));
    assert_true(facts_are_stored(&f->facts));
}

static void given_early_span_linked_late_when_judged_then_point_1_at_fault(void **state)
{
    struct fixture *f = *state;
    make(f, "slow");
    f->facts.spans[1].linked_by = LINK_INGEST;
    assert_only_failure(f, "slow: span function.check.search (span-2) of test 1 was stored before "
                           "the result, but was linked by point 2 (spans stored); point 1 (result "
                           "stored) is at fault");
}

static void add_attempt(struct facts *f, enum link_point point, uint64_t linked, double at_ms)
{
    struct event_fact *e = facts_add_event(f);
    e->type = EVENT_LINK_ATTEMPT;
    e->test = 0;
    e->point = point;
    e->result_found = true;
    e->linked = linked;
    e->at_ms = at_ms;
}

static void
given_early_span_linked_with_a_later_post_when_judged_then_point_1_at_fault(void **state)
{
    struct fixture *f = *state;
    make(f, "slow");
    f->facts.spans[1].linked_by = LINK_INGEST;
    add_attempt(&f->facts, LINK_INGEST, 2, 15001);
    assert_only_failure(f, "slow: span function.check.search (span-2) of test 1 was stored before "
                           "the result, but was linked by point 2 (spans stored); point 1 (result "
                           "stored) is at fault");
}

static void given_point_that_looked_first_in_vain_when_judged_then_at_fault(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    f->facts.spans[0].linked_by = LINK_RESULT;
    add_attempt(&f->facts, LINK_INGEST, 1, 5001);
    add_attempt(&f->facts, LINK_RESULT, 1, 5002);
    assert_only_failure(f, "fast: span function.check.lookup (span-1) of test 1 was stored after "
                           "the result, but was linked by point 1 (result stored); point 2 (spans "
                           "stored) is at fault");
}

static void assert_disturbed(struct fixture *f, const char *text)
{
    verdict_judge(&f->facts, &f->verdict);
    assert_int_equal(f->verdict.failures.count, 0);
    assert_int_equal(f->verdict.disturbances.count, 1);
    assert_string_equal(f->verdict.disturbances.items[0], text);
    assert_false(verdict_is_pass(&f->verdict));
}

/* Point 1 looks a while after the commit of the result, and the spans came in that while. */
static void given_point_1_that_looks_late_when_judged_then_disturbed_not_failed(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    f->facts.spans[0].linked_by = LINK_RESULT;
    add_attempt(&f->facts, LINK_RESULT, 1, 5001);
    add_attempt(&f->facts, LINK_INGEST, 1, 5002);
    assert_disturbed(f, "fast: point 1 (result stored) came to span function.check.lookup of test "
                        "1 before point 2 (spans stored), which is not what this scenario needs");
}

static void given_point_2_that_looks_late_when_judged_then_disturbed_not_failed(void **state)
{
    struct fixture *f = *state;
    make(f, "slow");
    f->facts.spans[1].linked_by = LINK_INGEST;
    add_attempt(&f->facts, LINK_INGEST, 1, 12501);
    assert_disturbed(f, "slow: point 2 (spans stored) came to span function.check.search of test 1 "
                        "before point 1 (result stored), which is not what this scenario needs");
}

static void given_late_span_unlinked_when_judged_then_point_2_at_fault(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    unlink_span(&f->facts.spans[0]);
    assert_only_failure(f,
                        "fast: span function.check.lookup (span-1) of test 1 was stored after the "
                        "result, and is linked to none; point 2 (spans stored) is at fault");
}

static void given_span_left_to_the_sweeper_when_judged_then_the_point_is_named(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    f->facts.spans[1].linked_by = LINK_SWEEP;
    assert_only_failure(f, "fast: span function.marline_check_fast (span-2) of test 1 was stored "
                           "after the result, and was left to the sweeper; point 2 (spans stored) "
                           "is at fault");
    assert_int_equal(f->verdict.by_point[LINK_SWEEP], 1);
}

static void given_swept_span_of_a_boundary_when_judged_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    f->facts.spans[1].expected = LINK_NONE;
    f->facts.spans[1].linked_by = LINK_SWEEP;
    verdict_judge(&f->facts, &f->verdict);
    assert_int_equal(f->verdict.failures.count, 1);
}

static void given_result_of_another_test_when_judged_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "mixed");
    (void)snprintf(f->facts.spans[0].result_id, FACT_ID_SIZE, "result-1");
    assert_only_failure(f, "mixed: span function.check.lookup (span-1) of test 1 carries result "
                           "result-1, but its test has result result-0; point 2 (spans stored) is "
                           "at fault");
    assert_int_equal(f->verdict.linked, 9);
}

static void given_span_that_never_came_when_judged_then_tracing_channel_at_fault(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    unlink_span(&f->facts.spans[0]);
    f->facts.spans[0].is_stored = false;
    assert_only_failure(f, "fast: span function.check.lookup (span-1) of test 1 never reached the "
                           "backend; the tracing channel is at fault, no linking point");
    assert_false(facts_are_stored(&f->facts));
}

static void given_no_result_when_judged_then_testing_channel_at_fault(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    f->facts.tests[0].result_id[0] = '\0';
    (void)snprintf(f->facts.tests[0].error, FACT_TEXT_SIZE, "timeout");
    unlink_span(&f->facts.spans[0]);
    unlink_span(&f->facts.spans[1]);
    assert_only_failure(f, "fast: test 1 (marline_check_fast) has no result at the backend; the "
                           "testing channel is at fault: timeout");
}

static void given_error_result_when_judged_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    (void)snprintf(f->facts.tests[0].status, FACT_ID_SIZE, "Error");
    assert_only_failure(f, "fast: test 1 (marline_check_fast) has status Error instead of Pass");
}

static void given_span_that_no_probe_made_when_judged_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    add_span(&f->facts, 0, "function.alien", LINK_NONE, 5000);
    f->facts.spans[2].is_made = false;
    assert_only_failure(f, "fast: the backend has a span function.alien (span-3) that no probe "
                           "made");
    assert_int_equal(f->verdict.spans, 2);
}

static void given_failed_attempt_when_judged_then_point_and_error_named(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    struct event_fact *e = facts_add_event(&f->facts);
    e->type = EVENT_LINK_ATTEMPT;
    e->point = LINK_RESULT;
    (void)snprintf(e->text, sizeof e->text, "disk full");
    assert_only_failure(f, "fast: point 1 (result stored) failed: disk full");
}

static void given_stray_span_missing_when_judged_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "mixed");
    f->facts.stray_is_stored = false;
    assert_only_failure(f,
                        "mixed: the span outside any test is not stored unlinked at the backend");
}

/* A busy machine: what should have come after the result came before it, and point 1 linked it. */
static void given_span_out_of_time_when_judged_then_disturbed_not_failed(void **state)
{
    struct fixture *f = *state;
    make(f, "fast");
    f->facts.spans[0].stored_at_ms = 2000;
    f->facts.spans[0].linked_by = LINK_RESULT;
    verdict_judge(&f->facts, &f->verdict);
    assert_int_equal(f->verdict.failures.count, 0);
    assert_int_equal(f->verdict.disturbances.count, 1);
    assert_false(verdict_is_pass(&f->verdict));
}

static void given_no_shared_post_when_judged_then_disturbed(void **state)
{
    struct fixture *f = *state;
    make(f, "mixed");
    for (size_t i = 0; i < f->facts.span_count; i++) {
        set_id(f->facts.spans[i].post_id, "own-", f->facts.spans[i].test);
    }
    verdict_judge(&f->facts, &f->verdict);
    assert_int_equal(f->verdict.failures.count, 0);
    assert_string_equal(f->verdict.disturbances.items[0],
                        "mixed: no POST held spans of more than one test");
}

static void given_no_spans_when_asked_then_not_settled(void **state)
{
    struct fixture *f = *state;
    facts_init(&f->facts, scenario_find("fast"), 5000);
    assert_false(facts_are_settled(&f->facts));
}

/* ---- what was broken on purpose ---- */

static void assert_rule(const struct fixture *f, const char *rule, enum clue_place place)
{
    assert_int_equal(f->verdict.clue_count, 1);
    assert_string_equal(f->verdict.clues[0].rule, rule);
    assert_int_equal(f->verdict.clues[0].place, place);
}

static void given_two_attempts_when_judged_then_each_span_needs_its_own_result(void **state)
{
    struct fixture *f = *state;
    make(f, "retried");
    verdict_judge(&f->facts, &f->verdict);
    assert_true(verdict_is_pass(&f->verdict));
    verdict_deinit(&f->verdict);
    memcpy(f->facts.spans[0].result_id, f->facts.tests[0].result_id, FACT_ID_SIZE);
    assert_only_failure(f, "retried: span function.check.try (span-1) of test 1 carries result "
                           "result-attempt-1, but its attempt has result result-attempt-0; point 2 "
                           "(spans stored) is at fault");
    assert_rule(f, "I2", PLACE_LINKING);
}

static void given_one_attempt_when_two_are_due_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "retried");
    f->facts.tests[0].attempt_count = 1;
    f->facts.span_count = 1;
    f->facts.event_count = 1;
    assert_only_failure(f, "retried: test 1 has 1 attempts instead of 2");
}

static void given_second_result_when_judged_then_the_repeat_has_changed_something(void **state)
{
    struct fixture *f = *state;
    make(f, "result-twice");
    f->facts.disturbance.strikes = 1;
    add_result(&f->facts, 0, 2600);
    f->facts.events[1].is_duplicate = true;
    verdict_judge(&f->facts, &f->verdict);
    assert_true(verdict_is_pass(&f->verdict));
    verdict_deinit(&f->verdict);
    f->facts.events[1].is_duplicate = false;
    assert_only_failure(f, "result-twice: test 1 has 2 results for 1 attempt; a result that comes "
                           "again must change nothing");
    assert_rule(f, "I4", PLACE_LINKING);
}

static void given_two_root_spans_when_judged_then_executed_twice(void **state)
{
    struct fixture *f = *state;
    make(f, "cut");
    f->facts.disturbance.strikes = 2;
    add_span(&f->facts, 0, "function.marline_check_brief", LINK_NONE, 5000);
    f->facts.spans[f->facts.span_count - 1].is_root = true;
    assert_only_failure(f, "cut: test 1 was executed 2 times in 1 attempt; an invocation must run "
                           "once");
    assert_rule(f, "I7", PLACE_TESTING);
}

static void given_nothing_struck_when_judged_then_disturbed_not_passed(void **state)
{
    struct fixture *f = *state;
    make(f, "store-fails");
    verdict_judge(&f->facts, &f->verdict);
    assert_int_equal(f->verdict.failures.count, 0);
    assert_int_equal(f->verdict.disturbances.count, 1);
}

static void given_refused_repeat_when_judged_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "export-twice");
    f->facts.disturbance.repeats = 2;
    f->facts.disturbance.duplicates = 2;
    verdict_judge(&f->facts, &f->verdict);
    assert_true(verdict_is_pass(&f->verdict));
    verdict_deinit(&f->verdict);
    (void)snprintf(f->facts.disturbance.refusal, FACT_TEXT_SIZE, "HTTP 409");
    assert_only_failure(f, "export-twice: a POST that repeats stored spans was refused (HTTP 409); "
                           "a client repeats what it got no answer for, so a repeat must be "
                           "acknowledged");
    assert_rule(f, "I4", PLACE_LINKING);
}

static void given_repeats_stored_twice_when_judged_then_failure(void **state)
{
    struct fixture *f = *state;
    make(f, "export-twice");
    f->facts.disturbance.repeats = 2;
    f->facts.disturbance.duplicates = 1;
    assert_only_failure(f, "export-twice: 2 spans were posted again, but the backend counts 1 "
                           "duplicates: it has stored some twice");
}

static void given_orphan_with_a_result_when_judged_then_wrong_link(void **state)
{
    struct fixture *f = *state;
    make(f, "no-result");
    unlink_span(&f->facts.spans[0]);
    (void)snprintf(f->facts.verdict, FACT_ID_SIZE, "no_result");
    verdict_judge(&f->facts, &f->verdict);
    assert_true(verdict_is_pass(&f->verdict));
    verdict_deinit(&f->verdict);
    set_id(f->facts.spans[0].result_id, "result-", 9);
    assert_only_failure(f, "no-result: span function.marline_check_brief (span-1) carries result "
                           "result-9, but its test has none: it was linked by ids that are not its "
                           "own");
    assert_rule(f, "I2", PLACE_LINKING);
}

static void given_dropped_spans_when_judged_then_not_missed(void **state)
{
    struct fixture *f = *state;
    make(f, "no-spans");
    unlink_span(&f->facts.spans[0]);
    f->facts.spans[0].is_stored = false;
    f->facts.spans[0].is_dropped = true;
    assert_true(facts_show_absence(&f->facts));
    verdict_judge(&f->facts, &f->verdict);
    assert_true(verdict_is_pass(&f->verdict));
}

static void given_backend_that_forgot_when_judged_then_only_that_is_told(void **state)
{
    struct fixture *f = *state;
    make(f, "backend-restart");
    f->facts.is_forgotten = true;
    unlink_span(&f->facts.spans[0]);
    assert_only_failure(f, "backend-restart: the backend does not know the run any more; what it "
                           "had acknowledged before it was killed was not on disk");
    assert_rule(f, "I6", PLACE_TRACING);
}

static void given_restart_between_when_linked_by_point_1_then_disturbed(void **state)
{
    struct fixture *f = *state;
    make(f, "backend-restart");
    f->facts.disturbance.strikes = 1;
    f->facts.spans[0].stored_at_ms = 2000;
    f->facts.spans[0].linked_by = LINK_RESULT;
    verdict_judge(&f->facts, &f->verdict);
    assert_int_equal(f->verdict.failures.count, 0);
    assert_int_equal(f->verdict.disturbances.count, 1);
}

/* The platform's API tells of no point: no claim is made then, but a missing link is one. */
static void given_backend_blind_to_points_when_judged_then_only_links_count(void **state)
{
    struct fixture *f = *state;
    make(f, "mixed");
    f->facts.is_blind_to_points = true;
    for (size_t i = 0; i < f->facts.span_count; i++) {
        f->facts.spans[i].linked_by = LINK_NONE;
        f->facts.spans[i].post_id[0] = '\0';
    }
    verdict_judge(&f->facts, &f->verdict);
    assert_true(verdict_is_pass(&f->verdict));
    verdict_deinit(&f->verdict);
    unlink_span(&f->facts.spans[0]);
    assert_only_failure(f, "mixed: a span of test 1 (trace trace-0) is stored, and linked to none; "
                           "which point is at fault the platform's API does not show");
}

/* The table itself: what a scenario claims must be possible. */
static void given_scenarios_when_read_then_spans_fit_their_tests(void **state)
{
    (void)state;
    for (size_t i = 0; i < probe_count(); i++) {
        const struct probe *p = probe_at(i);
        for (size_t j = 0; j < p->span_count; j++) {
            const struct probe_span *s = &p->spans[j];
            assert_true(s->start < s->end && s->start <= p->end);
            assert_true(s->is_late == (s->end > p->end));
            assert_true(strncmp(s->name, "function.", 9) == 0);
            double exported_at = (double)((int)s->end + 1);
            if (s->expected != LINK_NONE) {
                assert_int_equal(s->expected, exported_at < p->end ? LINK_RESULT : LINK_INGEST);
            }
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_all_linked_as_planned_when_judged_then_pass_and_counts),
        TEST(given_early_span_unlinked_when_judged_then_point_1_at_fault),
        TEST(given_early_span_linked_late_when_judged_then_point_1_at_fault),
        TEST(given_early_span_linked_with_a_later_post_when_judged_then_point_1_at_fault),
        TEST(given_point_that_looked_first_in_vain_when_judged_then_at_fault),
        TEST(given_point_1_that_looks_late_when_judged_then_disturbed_not_failed),
        TEST(given_point_2_that_looks_late_when_judged_then_disturbed_not_failed),
        TEST(given_late_span_unlinked_when_judged_then_point_2_at_fault),
        TEST(given_span_left_to_the_sweeper_when_judged_then_the_point_is_named),
        TEST(given_swept_span_of_a_boundary_when_judged_then_failure),
        TEST(given_result_of_another_test_when_judged_then_failure),
        TEST(given_span_that_never_came_when_judged_then_tracing_channel_at_fault),
        TEST(given_no_result_when_judged_then_testing_channel_at_fault),
        TEST(given_error_result_when_judged_then_failure),
        TEST(given_span_that_no_probe_made_when_judged_then_failure),
        TEST(given_failed_attempt_when_judged_then_point_and_error_named),
        TEST(given_stray_span_missing_when_judged_then_failure),
        TEST(given_span_out_of_time_when_judged_then_disturbed_not_failed),
        TEST(given_no_shared_post_when_judged_then_disturbed),
        TEST(given_no_spans_when_asked_then_not_settled),
        TEST(given_two_attempts_when_judged_then_each_span_needs_its_own_result),
        TEST(given_one_attempt_when_two_are_due_then_failure),
        TEST(given_second_result_when_judged_then_the_repeat_has_changed_something),
        TEST(given_two_root_spans_when_judged_then_executed_twice),
        TEST(given_nothing_struck_when_judged_then_disturbed_not_passed),
        TEST(given_refused_repeat_when_judged_then_failure),
        TEST(given_repeats_stored_twice_when_judged_then_failure),
        TEST(given_orphan_with_a_result_when_judged_then_wrong_link),
        TEST(given_dropped_spans_when_judged_then_not_missed),
        TEST(given_backend_that_forgot_when_judged_then_only_that_is_told),
        TEST(given_restart_between_when_linked_by_point_1_then_disturbed),
        TEST(given_backend_blind_to_points_when_judged_then_only_links_count),
        TEST(given_scenarios_when_read_then_spans_fit_their_tests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
