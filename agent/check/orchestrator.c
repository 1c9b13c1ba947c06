/* Runs the scenarios side by side. */
#include "agent/check/orchestrator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <marline/trace.h>

#include "agent/check/conductor.h"
#include "agent/service.h"
#include "base/clock.h"
#include "programs/must.h"

enum { POLL_MIN_MS = 25, POLL_MAX_MS = 250, SENTENCE_SIZE = 700 };

/* A run may start this much behind its time: its spans keep to their own times anyway. */
static const double start_slack = 0.1;
/* The stray span ends well before the next tick, so that it travels with the others. */
static const double stray_offset = 0.3;

static double in_intervals(const struct check *c, double ms)
{
    return ms * (double)NS_PER_MS / (double)c->pace->interval_ns;
}

static double poll_period(const struct check *c)
{
    double ms = (double)c->pace->interval_ns / (double)NS_PER_MS / 20;
    ms = ms < POLL_MIN_MS ? POLL_MIN_MS : ms;
    return in_intervals(c, ms > POLL_MAX_MS ? POLL_MAX_MS : ms);
}

void check_add(struct check *c, const struct scenario *scenario)
{
    if (c->run_count < CHECK_SCENARIOS_MAX) {
        c->runs[c->run_count++] = (struct check_run){.scenario = scenario};
    }
}

void check_deinit(struct check *c)
{
    for (size_t i = 0; i < c->run_count; i++) {
        facts_deinit(&c->runs[i].facts);
        verdict_deinit(&c->runs[i].verdict);
    }
    c->run_count = 0;
}

bool check_is_pass(const struct check *c)
{
    for (size_t i = 0; i < c->run_count; i++) {
        if (c->runs[i].state != CHECK_DONE || !verdict_is_pass(&c->runs[i].verdict)) {
            return false;
        }
    }
    return true;
}

/* ---- the states ---- */

static void enter_waiting(struct check *c, struct check_run *r)
{
    double earliest = pace_now(c->pace) - r->scenario->start - start_slack;
    r->base = earliest > 0 ? (size_t)ceil(earliest) : 0;
    r->state = CHECK_WAITING;
    facts_deinit(&r->facts);
    verdict_deinit(&r->verdict);
    r->facts.scenario = r->scenario;
    r->facts.interval_ms = (double)c->pace->interval_ns / (double)NS_PER_MS;
    for (size_t i = 0; i < r->scenario->test_count; i++) {
        r->facts.tests[i].probe = r->scenario->tests[i];
    }
    r->facts.scheduled_point = c->schedule ? schedule_links_at(c->schedule) : LINK_NONE;
    r->stray_is_made = false;
    r->link_deadline = 0;
}

static bool start(struct check *c, struct check_run *r, struct failure *f)
{
    if (r->scenario->has_stray && !backend_api_count_stray(c->api, &r->stray_before, f)) {
        return false;
    }
    char *inputs = probes_inputs(r->base);
    bool ok = (!c->schedule || conductor_shut(c->api, f)) &&
              backend_api_start_run(c->api, &r->facts, inputs, f);
    marline__memory_free(inputs);
    if (r->attempts++ == 0) {
        r->started_at = pace_now(c->pace);
    }
    r->state = CHECK_RUNNING;
    ok = ok && (!c->schedule || conductor_play(c->api, c->pace, c->schedule, f));
    r->deadline = (double)r->base + scenario_end(r->scenario) + in_intervals(c, CHECK_PATIENCE_MS);
    return ok;
}

/* On this thread there is no test: the span belongs to none. */
static void make_stray(struct check_run *r)
{
    MARLINE_OBSERVE(stray, "function.check.stray");
    marline_span_set_text(&stray.span, "marline.check.scenario", r->scenario->name);
    r->stray_is_made = true;
}

static bool watch_run(struct check *c, struct check_run *r, struct failure *f)
{
    double now = pace_now(c->pace);
    if (r->scenario->has_stray && !r->stray_is_made && now >= (double)r->base + stray_offset) {
        make_stray(r);
    }
    if (!backend_api_read_run(c->api, &r->facts, f)) {
        return false;
    }
    bool has_ended = strcmp(r->facts.run_status, "completed") == 0 ||
                     strcmp(r->facts.run_status, "cancelled") == 0;
    if (has_ended || now > r->deadline) {
        r->state = CHECK_SETTLING;
        r->deadline = now + 2 + in_intervals(c, CHECK_PATIENCE_MS);
    }
    return true;
}

static void disturb(struct verdict *v)
{
    for (size_t i = 0; i < v->disturbances.count; i++) {
        char text[SENTENCE_SIZE];
        (void)snprintf(text, sizeof text,
                       "%s (%d attempts); the machine is too busy for this interval: use a longer "
                       "--export-interval-ms",
                       v->disturbances.items[i], CHECK_ATTEMPTS_MAX);
        words_add(&v->failures, text);
    }
}

static bool finish(struct check *c, struct check_run *r, struct failure *f)
{
    if (!backend_api_read_timeline(c->api, &r->facts, f)) {
        return false;
    }
    verdict_judge(&r->facts, &r->verdict);
    bool is_disturbed = r->verdict.failures.count == 0 && r->verdict.disturbances.count > 0;
    if (is_disturbed && r->attempts < CHECK_ATTEMPTS_MAX) {
        enter_waiting(c, r);
        return true;
    }
    if (is_disturbed) {
        disturb(&r->verdict);
    }
    r->ended_at = pace_now(c->pace);
    r->state = CHECK_DONE;
    return true;
}

static bool watch_stray(struct check *c, struct check_run *r, struct failure *f)
{
    int64_t count = 0;
    if (!r->scenario->has_stray) {
        return true;
    }
    if (!backend_api_count_stray(c->api, &count, f)) {
        return false;
    }
    r->facts.stray_is_stored = count > r->stray_before;
    return true;
}

static bool settle(struct check *c, struct check_run *r, struct failure *f)
{
    if (!backend_api_read_run(c->api, &r->facts, f)) {
        return false;
    }
    probes_collect(c->probes, &r->facts);
    if (!backend_api_read_spans(c->api, &r->facts, f) || !watch_stray(c, r, f)) {
        return false;
    }
    double now = pace_now(c->pace);
    if (r->link_deadline <= 0 && facts_are_stored(&r->facts)) {
        r->link_deadline = now + in_intervals(c, CHECK_LINK_PATIENCE_MS);
    }
    bool is_time_up = now > r->deadline || (r->link_deadline > 0 && now > r->link_deadline);
    return facts_are_settled(&r->facts) || is_time_up ? finish(c, r, f) : true;
}

static bool step(struct check *c, struct check_run *r, struct failure *f)
{
    switch (r->state) {
    case CHECK_WAITING:
        return pace_now(c->pace) < (double)r->base + r->scenario->start || start(c, r, f);
    case CHECK_RUNNING:
        return watch_run(c, r, f);
    case CHECK_SETTLING:
        return settle(c, r, f);
    case CHECK_DONE:
        break;
    }
    return true;
}

/* ---- all of them ---- */

static void show_progress(const struct check *c)
{
    static const char *const states[] = {"waiting", "running", "settling", "done"};
    if (!c->shows_progress) {
        return;
    }
    (void)fprintf(stderr, "\r\033[K%6.1f s ",
                  pace_now(c->pace) * (double)c->pace->interval_ns / (double)NS_PER_S);
    for (size_t i = 0; i < c->run_count; i++) {
        const struct check_run *r = &c->runs[i];
        const char *state = states[r->state];
        if (r->state == CHECK_DONE) {
            state = verdict_is_pass(&r->verdict) ? "passed" : "FAILED";
        }
        (void)fprintf(stderr, "  %s %s", r->scenario->name, state);
    }
    (void)fflush(stderr);
}

static void end_progress(const struct check *c)
{
    if (c->shows_progress) {
        (void)fputs("\r\033[K", stderr);
    }
}

static bool check_client(const struct check *c, struct failure *f)
{
    if (marline_client_current_state(c->client) != MARLINE_CLIENT_FAILED) {
        return true;
    }
    return failure_set(f, EXIT_CODE_REFUSED,
                       "the backend refused the testing channel while the check was running");
}

/* The next moment at which anything has to be done. */
static double next_position(const struct check *c)
{
    double next = pace_now(c->pace) + poll_period(c);
    for (size_t i = 0; i < c->run_count; i++) {
        const struct check_run *r = &c->runs[i];
        double start_at = (double)r->base + r->scenario->start;
        if (r->state == CHECK_WAITING && start_at < next) {
            next = start_at;
        }
    }
    return next;
}

static bool all_are_done(const struct check *c)
{
    for (size_t i = 0; i < c->run_count; i++) {
        if (c->runs[i].state != CHECK_DONE) {
            return false;
        }
    }
    return true;
}

bool check_run_all(struct check *c, struct failure *f)
{
    for (size_t i = 0; i < c->run_count; i++) {
        enter_waiting(c, &c->runs[i]);
    }
    bool ok = true;
    while (ok && !all_are_done(c)) {
        ok = pace_wait(c->pace, next_position(c)) && check_client(c, f);
        for (size_t i = 0; ok && i < c->run_count; i++) {
            ok = step(c, &c->runs[i], f);
        }
        show_progress(c);
    }
    end_progress(c);
    return ok;
}
