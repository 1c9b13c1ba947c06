/* Connection, backend, agent and child are cut, frozen and killed at every named step of an
 * invocation, in seeded order, with real programs and sockets: whatever happens, each accepted
 * invocation has exactly one result, was executed at most once, and its span is linked.
 *     test_nothing_lost                       a few dozen seeds, always the same
 *     test_nothing_lost --seeds N [--from K]  N seeds from K on
 *     test_nothing_lost --seed K              one again, and what happened in it
 *     test_nothing_lost --minutes M           seeds until the time is up, under load */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "fault_stage.h"
#include "fault_verdict.h"

enum { SEEDS = 24, FAILURES_MAX = 5, SETTLE_MS = 40000, LOOK_MS = 10 };

struct totals {
    uint64_t seeds;
    uint64_t accepted;
    uint64_t failed;
};

static uint64_t now_ms(void)
{
    return marline__clock_monotonic_ns(marline__clock_system()) / NS_PER_MS;
}

/* Takes what was answered: a run, a list of them, or NULL; "" when there is no run in it. */
static void read_run_id(cJSON *answer, const char *member, char run_id[64])
{
    const cJSON *run = cJSON_IsArray(answer) ? cJSON_GetArrayItem(answer, 0) : answer;
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(run, member));
    (void)snprintf(run_id, 64, "%s", id ? id : "");
    cJSON_Delete(answer);
}

/* A fault may hit before the answer comes: then the run is there, and is to be found again. */
static bool find_run(struct fault_stage *s, const struct fault_plan *p, char run_id[64])
{
    uint64_t deadline = now_ms() + SETTLE_MS;
    char path[128];
    (void)snprintf(path, sizeof path, "/test_runs?$filter=name%%20eq%%20'seed-%" PRIu64 "'",
                   p->seed);
    while (!run_id[0] && now_ms() < deadline) {
        fault_stage_look(s);
        read_run_id(fault_stage_call(s, "GET", path, NULL), "id", run_id);
        if (!run_id[0]) {
            (void)poll(NULL, 0, LOOK_MS);
        }
    }
    return run_id[0] != '\0';
}

static bool start_run(struct fault_stage *s, const struct fault_plan *p, char run_id[64])
{
    char body[8192];
    int size = snprintf(body, sizeof body,
                        "{\"project_id\":\"%s\",\"name\":\"seed-%" PRIu64 "\","
                        "\"concurrency\":%" PRIu32 ",\"tests\":[",
                        fault_stage_project(s), p->seed, p->concurrency);
    for (uint32_t i = 0; i < p->tests; i++) {
        size += snprintf(body + size, sizeof body - (size_t)size,
                         "%s{\"function_name\":\"work\",\"inputs\":{},\"timeout_ms\":%" PRIu32 "}",
                         i ? "," : "", p->test_timeout_ms);
    }
    (void)snprintf(body + size, sizeof body - (size_t)size, "]}");
    read_run_id(fault_stage_call(s, "POST", "/mock/runs", body), "test_run_id", run_id);
    return run_id[0] || find_run(s, p, run_id);
}

static void wait_for_run(struct fault_stage *s, const char *run_id)
{
    uint64_t deadline = now_ms() + SETTLE_MS;
    char path[128];
    bool is_over = false;
    (void)snprintf(path, sizeof path, "/mock/runs/%s", run_id);
    while (!is_over && now_ms() < deadline) {
        fault_stage_look(s);
        cJSON *run = fault_stage_call(s, "GET", path, NULL);
        is_over = run && verdict_is_completed(run);
        cJSON_Delete(run);
        if (!is_over) {
            (void)poll(NULL, 0, LOOK_MS);
        }
    }
}

/* Once nothing goes wrong any more, everything falls into place; the agent's drain is part of it.
 */
static bool settles(struct fault_stage *s, const char *run_id, char why[VERDICT_TEXT_SIZE])
{
    fault_stage_look(s);
    if (!fault_stage_end(s)) {
        (void)snprintf(why, VERDICT_TEXT_SIZE, "the agent did not end well");
        return false;
    }
    uint64_t deadline = now_ms() + SETTLE_MS;
    while (!verdict_holds(s, run_id, why)) {
        if (now_ms() >= deadline) {
            return false;
        }
        fault_stage_look(s);
        (void)poll(NULL, 0, LOOK_MS);
    }
    return true;
}

static bool play(struct fault_stage *s, const struct fault_plan *plan, struct totals *totals)
{
    char run_id[64] = "";
    char why[VERDICT_TEXT_SIZE] = "the agent or the run did not start";
    bool ok = fault_stage_begin(s, plan) && start_run(s, plan, run_id);
    if (ok) {
        wait_for_run(s, run_id);
    }
    fault_stage_calm(s);
    ok = ok && settles(s, run_id, why);
    totals->seeds++;
    totals->accepted += verdict_accepted(s);
    if (!ok) {
        totals->failed++;
        (void)printf("FAILED, run %s: %s\n", run_id, why);
        fault_plan_print(plan, stdout);
        fault_stage_explain(s, stdout);
        (void)printf("again: test_nothing_lost --seed %" PRIu64 "\n", plan->seed);
    }
    return ok;
}

/* A step that nobody sees any more would make its faults vanish. */
static bool check_coverage(struct fault_stage *s)
{
    bool all = true;
    for (size_t i = 0; i < fault_step_count; i++) {
        if (fault_stage_reached(s, i) == 0) {
            (void)printf("FAILED: step \"%s\" was never seen\n", fault_steps[i]);
            all = false;
        }
    }
    return all;
}

static void print_totals(struct fault_stage *s, const struct totals *t)
{
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " accepted invocations, %" PRIu64 " seeds failed\n",
                 t->seeds, t->accepted, t->failed);
    for (int i = 0; i < FAULT_ACTIONS; i++) {
        (void)printf("%8" PRIu64 "  %s\n", fault_stage_done(s, (enum fault_action)i),
                     fault_action_names[i]);
    }
}

struct request {
    uint64_t from;
    uint64_t seeds;
    uint64_t minutes;
    bool is_explained; /* also when all is well */
};

static bool read_arguments(struct request *r, int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--seeds") == 0) {
            r->seeds = value;
        } else if (strcmp(argv[i], "--from") == 0) {
            r->from = value;
        } else if (strcmp(argv[i], "--seed") == 0) {
            *r = (struct request){value, 1, 0, true};
        } else if (strcmp(argv[i], "--minutes") == 0) {
            r->minutes = value;
        } else {
            return false;
        }
    }
    return argc % 2 == 1;
}

int main(int argc, char **argv)
{
    struct request r = {.from = 1, .seeds = SEEDS};
    struct totals totals = {0};
    if (!read_arguments(&r, argc, argv)) {
        (void)fprintf(stderr,
                      "usage: test_nothing_lost [--seeds N] [--from K] [--seed K] [--minutes M]\n");
        return 2;
    }
    struct fault_stage *s = fault_stage_create();
    if (!s) {
        return 1;
    }
    uint64_t end = now_ms() + r.minutes * 60000;
    for (uint64_t i = 0; r.minutes ? now_ms() < end : i < r.seeds; i++) {
        struct fault_plan plan = fault_plan_make(r.from + i);
        if (r.minutes) {
            fault_plan_add_load(&plan);
        }
        bool ok = play(s, &plan, &totals);
        if (ok && r.is_explained) {
            fault_plan_print(&plan, stdout);
            fault_stage_explain(s, stdout);
        }
        if (totals.failed == FAILURES_MAX) {
            (void)puts("too many failures: the rest is left out");
            break;
        }
    }
    bool is_covered = (r.seeds < SEEDS && !r.minutes) || check_coverage(s);
    print_totals(s, &totals);
    bool ended_well = fault_stage_destroy(s);
    return totals.failed == 0 && is_covered && ended_well ? 0 : 1;
}
