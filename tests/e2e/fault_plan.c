/* Seeds and plans. */
#include "fault_plan.h"

#include <inttypes.h>

#include "base/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

const char *const fault_steps[] = {
    "backend dispatching",
    "backend dispatched",
    "accepting",
    "accepted",
    "spawning",
    "spawned",
    "running",
    "reaped",
    "storing",
    "stored",
    "sending",
    "sent",
    "backend storing result",
    "backend stored result",
    "backend acknowledging",
    "backend acknowledged",
    "settling",
    "settled",
    "exporting",
    "backend storing spans",
    "backend stored spans",
    "exported",
    "backend linking",
    "backend linked",
};
const size_t fault_step_count = COUNT(fault_steps);

const char *const fault_action_names[FAULT_ACTIONS] = {
    "kill agent", "freeze agent", "cut connection", "freeze connection",
    "kill child", "freeze child", "freeze backend", "kill backend",
};

/* A prime beside the number of pairs, so that neighbours differ in both. */
enum { STRIDE = 71, MORE_OFTEN_MS = 20, ACTIONS_TRIED = FAULT_ACTIONS };

static uint32_t below(const struct random_source *r, uint32_t limit)
{
    return (uint32_t)marline__random_below(r, limit);
}

static struct fault make_fault(const struct random_source *r, uint64_t pair)
{
    return (struct fault){.step = (size_t)(pair / ACTIONS_TRIED % fault_step_count),
                          .action = (enum fault_action)(pair % ACTIONS_TRIED),
                          .occurrence = 1 + below(r, 2),
                          .pause_ms = MORE_OFTEN_MS << below(r, 4)};
}

struct fault_plan fault_plan_make(uint64_t seed)
{
    struct random_seeded state;
    const struct random_source source = marline__random_seeded(&state, seed);
    const struct random_source *r = &source;
    struct fault_plan p = {.seed = seed,
                           .tests = 2 + below(r, 5),
                           .concurrency = 1 + below(r, 3),
                           .test_timeout_ms = 3000,
                           .call_timeout_ms = below(r, 4) ? 20000 : 400,
                           .is_prompt = below(r, 3) == 0,
                           .is_long_lived = below(r, 3) == 0,
                           .with_reset = below(r, 2) == 0};
    /* now and then, or at the end of the run alone */
    p.export_interval_ms = below(r, 2) ? MORE_OFTEN_MS : 60000;
    p.fault_count = 1 + below(r, FAULTS_MAX);
    for (size_t i = 0; i < p.fault_count; i++) {
        p.faults[i] = make_fault(r, i == 0 ? seed * STRIDE : marline__random_u64(r));
    }
    return p;
}

void fault_plan_add_load(struct fault_plan *p)
{
    p->tests *= 10;
    p->concurrency *= 4;
    p->test_timeout_ms *= 4;
}

void fault_plan_print(const struct fault_plan *p, FILE *out)
{
    (void)fprintf(out,
                  "seed %" PRIu64 ": %" PRIu32 " tests, %" PRIu32 " at once, %s, spans %s, "
                  "exported every %" PRIu32 " ms, a call has %" PRIu32 " ms\n",
                  p->seed, p->tests, p->concurrency,
                  p->is_long_lived ? "one process for all" : "a process each",
                  p->is_prompt ? "first" : "in batches", p->export_interval_ms, p->call_timeout_ms);
    for (size_t i = 0; i < p->fault_count; i++) {
        const struct fault *f = &p->faults[i];
        (void)fprintf(out, "  %s at \"%s\", time %" PRIu32, fault_action_names[f->action],
                      fault_steps[f->step], f->occurrence);
        (void)fprintf(out,
                      f->action == FAULT_FREEZE_AGENT || f->action == FAULT_FREEZE_CHILD ||
                              f->action == FAULT_FREEZE_BACKEND ||
                              f->action == FAULT_FREEZE_CONNECTION
                          ? ", for %" PRIu32 " ms\n"
                          : "\n",
                      f->pause_ms);
    }
}
