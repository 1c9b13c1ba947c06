/* The executor of one run. A test's state says which arrow comes next; actions are found by going
 * over the tests, so nothing has to be queued and nothing can be lost. */
#include "core/run.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "core/rules.h"

enum test_state {
    TEST_QUEUED,
    TEST_INVOKE,  /* a slot is taken; the action is not handed out yet */
    TEST_INVOKED, /* waiting for the answer, until due_ns */
    TEST_JUDGE,   /* the answer is there; the action is not handed out yet */
    TEST_JUDGING, /* waiting for the verdict */
    TEST_JUDGED,  /* the result is to be stored, from due_ns on */
    TEST_STORING,
    TEST_RETRYING, /* the attempt's result is stored; the next one waits until due_ns, for a slot */
    TEST_DONE,
    TEST_SKIPPED,
};

struct test {
    enum test_state state;
    struct run_test spec;
    char *function_name; /* owned, as all texts here; spec and answer point to them */
    char *inputs;
    char *output;
    char *error;
    char *trace_id;
    char *criteria;
    char *metrics;
    bool withdraw; /* to be told: nobody waits any more */
    bool await;    /* to be told: sent in an earlier life */
    uint32_t attempt;
    uint64_t due_ns;
    uint32_t store_tries;
    enum result_status result_status;
    struct run_answer answer;
    char invocation_id[INVOCATION_ID_SIZE];
};

struct run {
    struct run_options options;
    struct run_rules rules;
    enum run_status status;
    bool cancelled;
    uint64_t now_ns;        /* of the last event */
    uint64_t held_until_ns; /* no new invocations before; 0 = not held */
    struct {
        enum { REPORT_NONE, REPORT_DUE, REPORT_STORING } state;
        bool changed; /* meanwhile: to be stored again */
        uint64_t due_ns;
        uint32_t tries;
    } report;          /* of the status to the store */
    size_t active;     /* invoked or about to be */
    size_t retrying;   /* tests in that state */
    size_t finished;   /* done or skipped */
    size_t first_open; /* no test before it can have an action any more */
    size_t first_queued;
    size_t count;
    struct test tests[];
};

/* ---- creation ---- */

/* Its id is known to the run alone, unique over runs and attempts, and the same in every replay. */
static void begin_attempt(const struct run *run, struct test *test, uint32_t attempt)
{
    char name[40];
    int size = snprintf(name, sizeof name, "%zu|%" PRIu32, (size_t)(test - run->tests), attempt);
    struct uuid id =
        marline__uuid_derived(&run->options.run_id, (struct slice){name, (size_t)size});
    char text[UUID_TEXT_SIZE];
    marline__uuid_format(&id, text);
    (void)snprintf(test->invocation_id, sizeof test->invocation_id, "run_%s", text);
    test->attempt = attempt;
    test->store_tries = 0;
}

static struct slice keep_text(char **owner, struct slice text)
{
    *owner = text.data ? alloc_slice(text) : NULL;
    return (struct slice){*owner, text.size};
}

static void free_text(char **owner)
{
    marline__memory_free(*owner);
    *owner = NULL;
}

struct run *run_create(const struct run_options *options, const struct run_test *tests,
                       size_t count)
{
    struct run *run = alloc_zeroed(sizeof *run + count * sizeof run->tests[0]);
    run->options = *options;
    run->options.concurrency = options->concurrency ? options->concurrency : 1;
    run->options.retry_min_ms = options->retry_min_ms ? options->retry_min_ms : RUN_RETRY_MIN_MS;
    run->rules = RUN_RULES_KEPT;
    run->count = count;
    for (size_t i = 0; i < count; i++) {
        struct test *test = &run->tests[i];
        test->spec = tests[i];
        test->spec.function_name = keep_text(&test->function_name, tests[i].function_name);
        test->spec.inputs = keep_text(&test->inputs, tests[i].inputs);
        test->spec.criteria = keep_text(&test->criteria, tests[i].criteria);
        begin_attempt(run, test, 1);
    }
    return run;
}

void run_set_rules(struct run *run, const struct run_rules *rules)
{
    run->rules = *rules;
}

static void free_answer(struct test *test)
{
    free_text(&test->output);
    free_text(&test->error);
    free_text(&test->trace_id);
    free_text(&test->metrics);
    test->answer = (struct run_answer){.success = false};
}

void run_destroy(struct run *run)
{
    if (!run) {
        return;
    }
    for (size_t i = 0; i < run->count; i++) {
        free_text(&run->tests[i].function_name);
        free_text(&run->tests[i].inputs);
        free_text(&run->tests[i].criteria);
        free_answer(&run->tests[i]);
    }
    marline__memory_free(run);
}

/* ---- steps ---- */

static uint64_t delay_ns(const struct run *run, uint32_t tries)
{
    uint64_t delay_ms = (uint64_t)run->options.retry_min_ms << (tries < 16 ? tries : 16);
    return (delay_ms < RUN_RETRY_MAX_MS ? delay_ms : RUN_RETRY_MAX_MS) * NS_PER_MS;
}

static uint64_t invocation_due(const struct run *run, const struct test *test)
{
    return test->spec.timeout_ms ? run->now_ns + test->spec.timeout_ms * NS_PER_MS : TIME_NEVER;
}

/* The test whose attempt is next: one that is tried again, else a new one; NULL: none yet. */
static struct test *next_for_slot(struct run *run)
{
    for (size_t i = run->first_open; run->retrying > 0 && i < run->first_queued; i++) {
        struct test *test = &run->tests[i];
        if (test->state == TEST_RETRYING && test->due_ns <= run->now_ns) {
            run->retrying--;
            return test;
        }
    }
    return run->first_queued < run->count ? &run->tests[run->first_queued++] : NULL;
}

static void fill_slots(struct run *run)
{
    if (run->now_ns < run->held_until_ns) {
        return;
    }
    run->held_until_ns = 0;
    if (run->status != RUN_RUNNING || run->cancelled) {
        return;
    }
    while (run->active < run->options.concurrency) {
        struct test *test = next_for_slot(run);
        if (!test) {
            return;
        }
        test->state = TEST_INVOKE;
        run->active++;
    }
}

static void set_status(struct run *run, enum run_status status)
{
    run->status = status;
    if (run->report.state == REPORT_STORING) {
        run->report.changed = true;
    } else {
        run->report.state = REPORT_DUE;
        run->report.due_ns = run->now_ns;
    }
}

static void finish_if_all_done(struct run *run)
{
    bool under_way = run->status == RUN_RUNNING || run->status == RUN_CANCELLING;
    if (under_way && run->finished == run->count) {
        set_status(run, run->cancelled ? RUN_CANCELLED : RUN_COMPLETED);
    }
}

static void keep_answer(struct test *test, const struct run_answer *answer)
{
    test->answer = *answer;
    test->answer.output = keep_text(&test->output, answer->output);
    test->answer.error = keep_text(&test->error, answer->error);
    test->answer.trace_id = keep_text(&test->trace_id, answer->trace_id);
    test->answer.metrics = keep_text(&test->metrics, answer->metrics);
}

/* The one arrow to judged; the answer is kept already. */
static void judge(struct run *run, struct test *test, enum result_status status)
{
    assert(test->state == TEST_INVOKED || test->state == TEST_JUDGE || test->state == TEST_JUDGING);
    test->state = TEST_JUDGED;
    test->result_status = status;
    test->due_ns = run->now_ns;
    run->active--;
    fill_slots(run);
}

static void judge_error(struct run *run, struct test *test, struct slice text)
{
    const struct run_answer answer = {.error = text};
    keep_answer(test, &answer);
    judge(run, test, RESULT_ERROR);
}

/* The answer stays; an error of its own is more than ours. */
static void set_error(struct test *test, struct slice text)
{
    if (!test->answer.error.data) {
        test->answer.error = keep_text(&test->error, text);
    }
}

static struct test *find_invoked(struct run *run, struct slice invocation_id)
{
    for (size_t i = run->first_open; i < run->first_queued; i++) {
        struct test *test = &run->tests[i];
        if (test->state == TEST_INVOKED && marline__slice_is(invocation_id, test->invocation_id)) {
            return test;
        }
    }
    return NULL;
}

/* ---- events ---- */

void run_start(struct run *run, uint64_t now_ns)
{
    run->now_ns = now_ns;
    if (run->status != RUN_QUEUED) {
        return;
    }
    set_status(run, RUN_RUNNING);
    fill_slots(run);
    finish_if_all_done(run); /* a run without tests */
}

bool run_on_answer(struct run *run, uint64_t now_ns, struct slice invocation_id,
                   const struct run_answer *answer)
{
    run->now_ns = now_ns;
    struct test *test = find_invoked(run, invocation_id);
    if (!test) {
        return false;
    }
    keep_answer(test, answer);
    if (test->spec.criteria.data) {
        test->state = TEST_JUDGE;
    } else {
        judge(run, test, answer->success ? RESULT_PASS : RESULT_ERROR);
    }
    return true;
}

bool run_on_judged(struct run *run, uint64_t now_ns, size_t index,
                   const struct run_verdict *verdict)
{
    run->now_ns = now_ns;
    struct test *test = &run->tests[index];
    if (test->state != TEST_JUDGING) {
        return false;
    }
    test->answer.metrics = keep_text(&test->metrics, verdict->metrics);
    if (verdict->status == RESULT_ERROR) {
        set_error(test, verdict->error);
    }
    judge(run, test, verdict->status);
    return true;
}

bool run_on_failed(struct run *run, uint64_t now_ns, struct slice invocation_id,
                   struct slice reason)
{
    run->now_ns = now_ns;
    struct test *test = find_invoked(run, invocation_id);
    if (!test) {
        return false;
    }
    judge_error(run, test, reason);
    return true;
}

/* The result of an attempt is stored: the test is done, or tried again. */
static void end_attempt(struct run *run, struct test *test)
{
    free_answer(test);
    bool again = test->result_status == RESULT_ERROR && test->attempt <= test->spec.retries;
    if (again && !run->cancelled) {
        test->state = TEST_RETRYING;
        test->due_ns = run->now_ns + delay_ns(run, test->attempt - 1);
        begin_attempt(run, test, test->attempt + 1);
        run->retrying++;
        return;
    }
    test->state = TEST_DONE;
    run->finished++;
    finish_if_all_done(run);
}

void run_on_result_stored(struct run *run, uint64_t now_ns, size_t index, bool ok)
{
    run->now_ns = now_ns;
    struct test *test = &run->tests[index];
    if (test->state != TEST_STORING) {
        return;
    }
    if (ok || !run->rules.retry_results) {
        end_attempt(run, test);
    } else {
        test->state = TEST_JUDGED;
        test->due_ns = now_ns + delay_ns(run, test->store_tries++);
    }
}

void run_on_status_stored(struct run *run, uint64_t now_ns, bool ok)
{
    run->now_ns = now_ns;
    if (run->report.state != REPORT_STORING) {
        return;
    }
    ok |= !run->rules.retry_status;
    run->report.state = ok && !run->report.changed ? REPORT_NONE : REPORT_DUE;
    run->report.due_ns = ok ? now_ns : now_ns + delay_ns(run, run->report.tries);
    run->report.tries = ok ? 0 : run->report.tries + 1;
    run->report.changed = false;
}

static void cancel_test(struct run *run, struct test *test)
{
    switch (test->state) {
    case TEST_INVOKED:
        test->withdraw = true;
        judge_error(run, test, SLICE("cancelled"));
        break;
    case TEST_JUDGE:
    case TEST_JUDGING:
        test->withdraw = test->state == TEST_JUDGING;
        set_error(test, SLICE("cancelled"));
        judge(run, test, RESULT_ERROR);
        break;
    case TEST_RETRYING: /* its result is that of the attempt before */
        run->retrying--;
        run->finished++;
        test->state = TEST_DONE;
        break;
    case TEST_INVOKE:
        run->active--;
        run->finished++;
        test->state = TEST_SKIPPED;
        break;
    case TEST_QUEUED:
        run->finished++;
        test->state = TEST_SKIPPED;
        break;
    case TEST_JUDGED:
    case TEST_STORING:
    case TEST_DONE:
    case TEST_SKIPPED:
        break;
    }
}

static void cancel_tests(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        cancel_test(run, &run->tests[i]);
    }
    run->first_queued = run->count;
    finish_if_all_done(run);
}

void run_cancel(struct run *run, uint64_t now_ns)
{
    run->now_ns = now_ns;
    if (run->cancelled || run->status == RUN_COMPLETED) {
        return;
    }
    run->cancelled = true;
    set_status(run, RUN_CANCELLING); /* before anybody is told: it must not be forgotten */
    cancel_tests(run);
}

static void time_out(struct run *run, struct test *test)
{
    char text[64];
    int size =
        snprintf(text, sizeof text, "no answer within %" PRIu32 " ms", test->spec.timeout_ms);
    test->withdraw = true;
    judge_error(run, test, (struct slice){text, (size_t)size});
}

void run_on_tick(struct run *run, uint64_t now_ns)
{
    run->now_ns = now_ns;
    for (size_t i = run->first_open; i < run->first_queued; i++) {
        if (run->tests[i].state == TEST_INVOKED && run->tests[i].due_ns <= now_ns) {
            time_out(run, &run->tests[i]);
        }
    }
    fill_slots(run);
}

uint64_t run_next_deadline(const struct run *run)
{
    uint64_t deadline = run->held_until_ns ? run->held_until_ns : TIME_NEVER;
    bool has_slot = run->active < run->options.concurrency && run->held_until_ns == 0;
    for (size_t i = run->first_open; i < run->first_queued; i++) {
        const struct test *test = &run->tests[i];
        bool waits = test->state == TEST_INVOKED || test->state == TEST_JUDGED ||
                     (test->state == TEST_RETRYING && has_slot);
        deadline = waits && test->due_ns < deadline ? test->due_ns : deadline;
    }
    if (run->report.state == REPORT_DUE && run->report.due_ns < deadline) {
        deadline = run->report.due_ns;
    }
    return deadline;
}

/* ---- an earlier life ---- */

void run_restore(struct run *run, size_t index, const struct run_restored *from)
{
    struct test *test = &run->tests[index];
    begin_attempt(run, test, from->attempt);
    bool is_owed = !from->has_result && run->rules.await_restored;
    test->state = is_owed ? TEST_INVOKED : TEST_DONE;
    test->result_status = from->status;
}

/* From what run_restore left to the state in which its next event finds it. */
static void resume_test(struct run *run, struct test *test)
{
    switch (test->state) {
    case TEST_INVOKED:
        test->await = true;
        test->due_ns = invocation_due(run, test);
        run->active++;
        break;
    case TEST_DONE:
        end_attempt(run, test);
        break;
    default: /* the attempt before those of later tests was never recorded */
        test->state = TEST_RETRYING;
        test->due_ns = run->now_ns;
        run->retrying++;
        break;
    }
}

void run_resume(struct run *run, uint64_t now_ns, enum run_status status, uint64_t hold_ns)
{
    run->now_ns = now_ns;
    if (!run->rules.go_on) {
        return;
    }
    run->held_until_ns = now_ns + hold_ns;
    if (status == RUN_QUEUED) {
        set_status(run, RUN_RUNNING);
    }
    run->cancelled = status == RUN_CANCELLING;
    run->status = run->cancelled ? RUN_CANCELLING : RUN_RUNNING;
    run->first_queued = run->count;
    while (run->first_queued > 0 && run->tests[run->first_queued - 1].state == TEST_QUEUED) {
        run->first_queued--;
    }
    for (size_t i = 0; i < run->first_queued; i++) {
        resume_test(run, &run->tests[i]);
    }
    if (run->cancelled) {
        cancel_tests(run);
    }
    fill_slots(run);
    finish_if_all_done(run); /* a run without tests */
}

void run_release(struct run *run, uint64_t now_ns)
{
    run->now_ns = now_ns;
    run->held_until_ns = 0;
    fill_slots(run);
}

/* ---- actions ---- */

static void describe(const struct run *run, const struct test *test, enum run_action_type type,
                     struct run_action *out)
{
    *out = (struct run_action){
        .type = type,
        .test = (size_t)(test - run->tests),
        .key = {run->options.organization_id, run->options.run_id, test->spec.test_id,
                test->spec.configuration_id, run->rules.number_attempts ? test->attempt : 1},
        .function_name = test->spec.function_name,
        .inputs = test->spec.inputs,
        .timeout_ms = test->spec.timeout_ms,
        .criteria = test->spec.criteria,
        .result_status = test->result_status,
        .result = test->answer,
    };
    memcpy(out->invocation_id, test->invocation_id, sizeof out->invocation_id);
}

static bool test_action(struct run *run, struct test *test, struct run_action *out)
{
    if (test->await) {
        test->await = false;
        describe(run, test, RUN_AWAIT, out);
        return true;
    }
    if (test->withdraw) {
        test->withdraw = false;
        describe(run, test, RUN_WITHDRAW, out);
        return true;
    }
    if (test->state == TEST_INVOKE) {
        test->state = TEST_INVOKED;
        test->due_ns = invocation_due(run, test);
        describe(run, test, RUN_INVOKE, out);
        return true;
    }
    if (test->state == TEST_JUDGE) {
        test->state = TEST_JUDGING;
        describe(run, test, RUN_JUDGE, out);
        return true;
    }
    if (test->state == TEST_JUDGED && test->due_ns <= run->now_ns) {
        test->state = TEST_STORING;
        describe(run, test, RUN_STORE_RESULT, out);
        return true;
    }
    return false;
}

static bool is_closed(const struct test *test)
{
    return (test->state == TEST_DONE || test->state == TEST_SKIPPED) && !test->withdraw;
}

static bool report_action(struct run *run, struct run_action *out)
{
    if (run->report.state != REPORT_DUE || run->report.due_ns > run->now_ns) {
        return false;
    }
    run->report.state = REPORT_STORING;
    *out = (struct run_action){.type = RUN_SET_STATUS, .status = run->status};
    return true;
}

bool run_next_action(struct run *run, struct run_action *out)
{
    if (report_action(run, out)) {
        return true;
    }
    while (run->first_open < run->count && is_closed(&run->tests[run->first_open])) {
        run->first_open++;
    }
    for (size_t i = run->first_open; i < run->first_queued; i++) {
        if (test_action(run, &run->tests[i], out)) {
            return true;
        }
    }
    return false;
}

enum run_status run_get_status(const struct run *run)
{
    return run->status;
}

bool run_is_finished(const struct run *run)
{
    bool over = run->status == RUN_COMPLETED || run->status == RUN_CANCELLED;
    return over && run->report.state == REPORT_NONE;
}
