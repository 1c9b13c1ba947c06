/* Runs the scenarios side by side. */
#include "agent/check/orchestrator.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <marline/trace.h>

#include "agent/check/conductor.h"
#include "agent/service.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/uuid.h"
#include "programs/must.h"
#include "programs/wrap.h"

enum {
    POLL_MIN_MS = 25,
    POLL_MAX_MS = 250,
    SENTENCE_SIZE = 700,
    CHECK_CACHE_MS =
        500, /* an enrichment is cached this soon, or shown as computed for the reader */
    CHECK_EXPORT_MS = 500, /* an export takes this long at most, where nothing is wrong */
};

/* A run may start this much behind its time: its spans keep to their own times anyway. */
static const double start_slack = 0.1;
/* The backend gives a test up before the check gives the backend up, so that it can say so. */
static const double test_share_of_patience = 0.6;
/* The stray span ends well before the next tick, so that it travels with the others. */
static const double stray_offset = 0.3;

static uint64_t now_ns(void)
{
    return marline__clock_monotonic_ns(marline__clock_system());
}

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
        if (!check_run_is_pass(&c->runs[i])) {
            return false;
        }
    }
    return true;
}

size_t check_count_judged(const struct check *c)
{
    size_t judged = 0;
    for (size_t i = 0; i < c->run_count; i++) {
        judged += c->runs[i].state == CHECK_DONE && !c->runs[i].obstacle;
    }
    return judged;
}

bool check_run_is_pass(const struct check_run *r)
{
    return r->state == CHECK_DONE && verdict_is_pass(&r->verdict);
}

/* ---- the states ---- */

static void enter_waiting(struct check *c, struct check_run *r)
{
    double earliest = pace_now(c->pace) - r->scenario->start - start_slack;
    r->base = earliest > 0 ? (size_t)ceil(earliest) : 0;
    r->state = CHECK_WAITING;
    facts_deinit(&r->facts);
    verdict_deinit(&r->verdict);
    facts_init(&r->facts, r->scenario, (double)c->pace->interval_ns / (double)NS_PER_MS);
    r->facts.disturbance.is_prompt = c->is_prompt;
    r->facts.test_timeout_ms =
        scenario_end(r->scenario) * r->facts.interval_ms + c->patience_ms * test_share_of_patience;
    r->facts.scheduled_point = c->schedule ? schedule_links_at(c->schedule) : LINK_NONE;
    r->stray_is_made = false;
    r->link_deadline = 0;
    r->cache_deadline = 0;
}

static void enter_settling(struct check *c, struct check_run *r)
{
    r->state = CHECK_SETTLING;
    r->deadline = pace_now(c->pace) + 2 + in_intervals(c, c->patience_ms);
}

static void random_id(char out[FACT_ID_SIZE])
{
    struct uuid u = marline__uuid_random(marline__random_system());
    marline__uuid_format(&u, out);
}

/* No backend knows these ids. */
static void start_orphans(struct check *c, struct check_run *r)
{
    random_id(r->facts.run_id);
    random_id(r->facts.tests[0].test_id);
    random_id(r->facts.tests[0].configuration_id);
    r->facts.is_blind_to_points = true; /* there is nothing to link, hence no timeline */
    probes_make_orphans(c->probes, &r->facts);
    enter_settling(c, r);
}

static bool start(struct check *c, struct check_run *r, struct failure *f)
{
    if (r->attempts++ == 0) {
        r->started_ns = now_ns();
    }
    if (r->scenario->has_no_result) {
        start_orphans(c, r);
        return true;
    }
    bool ok = disturbance_prepare(&c->tools, r->scenario->disturbance, &r->disturbance, f) &&
              (!c->schedule || conductor_shut(c->api, f)) &&
              backend_api_start_run(c->api, &r->facts, r->base, f);
    r->state = CHECK_RUNNING;
    ok = ok && (!c->schedule || conductor_play(c->api, c->pace, c->schedule, f));
    r->deadline = (double)r->base + scenario_end(r->scenario) + in_intervals(c, c->patience_ms);
    return ok;
}

/* On this thread there is no test: the span belongs to none. */
static void make_stray(struct check_run *r)
{
    MARLINE_OBSERVE(stray, "function.check.stray");
    marline_span_set_text(&stray.span, "marline.check.scenario", r->scenario->name);
    marline_span_trace_id_text(&stray.span, r->facts.stray_trace_id);
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
    if (!has_ended && now <= r->deadline) {
        return true;
    }
    bool ok = !has_ended || disturbance_strike(&c->tools, r->scenario->disturbance, &r->facts, f);
    enter_settling(c, r);
    return ok;
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

/* The backend's timeline does not have it: it is put where it belongs in time. */
static void add_enrichment(struct facts *f)
{
    if (f->enriched_at_ms <= 0 || f->event_count == 0) {
        return;
    }
    struct event_fact e = *facts_add_event(f);
    e.type = EVENT_ENRICHED;
    (void)snprintf(e.type_text, sizeof e.type_text, "enriched");
    e.at_ms = f->enriched_at_ms;
    size_t at = f->event_count - 1;
    while (at > 0 && f->events[at - 1].at_ms > e.at_ms) {
        f->events[at] = f->events[at - 1];
        at--;
    }
    f->events[at] = e;
}

static bool finish(struct check *c, struct check_run *r, struct failure *f)
{
    bool has_timeline = !r->scenario->has_no_result && !r->facts.is_forgotten;
    if (has_timeline && !backend_api_read_timeline(c->api, &r->facts, f)) {
        return false;
    }
    if (!disturbance_finish(&c->tools, r->scenario->disturbance, &r->disturbance, &r->facts, f) ||
        (r->facts.query_ms <= 0 && !backend_api_query_trace(c->api, &r->facts, f))) {
        return false;
    }
    add_enrichment(&r->facts);
    verdict_judge(&r->facts, &r->verdict);
    bool is_disturbed = r->verdict.failures.count == 0 && r->verdict.disturbances.count > 0;
    if (is_disturbed && r->attempts < CHECK_ATTEMPTS_MAX) {
        enter_waiting(c, r);
        return true;
    }
    if (is_disturbed) {
        disturb(&r->verdict);
    }
    r->ended_ns = now_ns();
    r->state = CHECK_DONE;
    return true;
}

static bool look(struct check *c, struct check_run *r, struct failure *f)
{
    if (r->scenario->has_no_result) {
        probes_collect(c->probes, &r->facts);
        return backend_api_read_orphans(c->api, &r->facts, f);
    }
    if (!backend_api_read_run(c->api, &r->facts, f)) {
        return false;
    }
    if (r->facts.is_forgotten) {
        return true;
    }
    probes_collect(c->probes, &r->facts);
    return backend_api_read_spans(c->api, &r->facts, f) &&
           (!r->scenario->has_stray || backend_api_read_stray(c->api, &r->facts, f));
}

/* How long a link may still come; where none may come, how long is looked for it: past the next
 * export. */
static double link_patience(const struct check *c, const struct check_run *r)
{
    double patience = in_intervals(c, CHECK_LINK_PATIENCE_MS);
    double past_export = 1 + start_slack + in_intervals(c, CHECK_EXPORT_MS);
    return facts_show_absence(&r->facts) && patience < past_export ? past_export : patience;
}

/* Enrichment is queued when spans are stored, and cached soon after: worth a look, not a wait. */
static bool await_cache(struct check *c, struct check_run *r, double now, bool *out_is_ready,
                        struct failure *f)
{
    r->cache_deadline =
        r->cache_deadline > 0 ? r->cache_deadline : now + in_intervals(c, CHECK_CACHE_MS);
    bool ok = backend_api_query_trace(c->api, &r->facts, f);
    bool is_cached = r->facts.enriched_at_ms > 0 || !r->facts.is_enriched;
    *out_is_ready = is_cached || now > r->cache_deadline;
    return ok;
}

static bool settle(struct check *c, struct check_run *r, struct failure *f)
{
    if (!look(c, r, f)) {
        return false;
    }
    double now = pace_now(c->pace);
    if (r->link_deadline <= 0 && facts_are_stored(&r->facts)) {
        r->link_deadline = now + link_patience(c, r);
    }
    bool is_settled =
        facts_are_settled(&r->facts) &&
        disturbance_is_over(&c->tools, r->scenario->disturbance, &r->disturbance, &r->facts);
    bool is_time_up = now > r->deadline || r->facts.is_forgotten ||
                      (r->link_deadline > 0 && now > r->link_deadline);
    bool is_ready = is_time_up;
    if (is_settled && !is_time_up && !await_cache(c, r, now, &is_ready, f)) {
        return false;
    }
    return !is_ready || finish(c, r, f);
}

/* The calm ones at once; one that disturbs when all before it are done. */
static bool has_turn(const struct check *c, const struct check_run *r)
{
    for (size_t i = 0; i < c->run_count; i++) {
        const struct check_run *other = &c->runs[i];
        bool is_before = other < r || other->scenario->disturbance == DISTURB_NOTHING;
        if (r->scenario->disturbance != DISTURB_NOTHING && other != r && is_before &&
            other->state != CHECK_DONE) {
            return false;
        }
    }
    return true;
}

static bool leave_queue(struct check *c, struct check_run *r)
{
    r->obstacle = disturbance_obstacle(&c->tools, r->scenario);
    if (r->obstacle) {
        facts_init(&r->facts, r->scenario, 0);
        r->state = CHECK_DONE;
    } else if (has_turn(c, r)) {
        enter_waiting(c, r);
    }
    return true;
}

static bool step(struct check *c, struct check_run *r, struct failure *f)
{
    switch (r->state) {
    case CHECK_QUEUED:
        return leave_queue(c, r);
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

/* One line, rewritten: what is done, what failed, and who is at it. */
static void show_progress(const struct check *c)
{
    size_t done = 0;
    size_t failed = 0;
    int room = WRAP_COLUMNS;
    if (!c->shows_progress) {
        return;
    }
    for (size_t i = 0; i < c->run_count; i++) {
        bool is_done = c->runs[i].state == CHECK_DONE;
        done += is_done;
        failed += is_done && !check_run_is_pass(&c->runs[i]);
    }
    room -= fprintf(stderr, "\r\033[K%6.1f s  %zu of %zu done%s ",
                    (double)(now_ns() - c->started_ns) / (double)NS_PER_S, done, c->run_count,
                    failed ? ", some FAILED;" : ";");
    for (size_t i = 0; i < c->run_count; i++) {
        const struct check_run *r = &c->runs[i];
        bool is_active = r->state == CHECK_RUNNING || r->state == CHECK_SETTLING;
        int width = (int)strlen(r->scenario->name) + 1;
        if (is_active && width < room) {
            room -= fprintf(stderr, " %s", r->scenario->name);
        }
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
    if (marline_client_current_state(*c->client) != MARLINE_CLIENT_FAILED) {
        return true;
    }
    return failure_set(f, EXIT_CODE_REFUSED,
                       "the backend refused the testing channel while the check was running");
}

/* The next moment at which anything has to be done. */
static double next_position(const struct check *c)
{
    double next = pace_now(c->pace) + poll_period(c);
    double late = 0;
    if (probes_next_late(c->probes, &late) && late < next) {
        next = late;
    }
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
    bool ok = true;
    c->started_ns = now_ns();
    while (ok && !all_are_done(c)) {
        ok = pace_wait(c->pace, next_position(c)) && check_client(c, f);
        probes_end_late(c->probes);
        for (size_t i = 0; ok && i < c->run_count; i++) {
            ok = step(c, &c->runs[i], f);
        }
        show_progress(c);
    }
    end_progress(c);
    return ok;
}
