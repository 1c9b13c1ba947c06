/* What one seed of test_nothing_lost does: the load, and which faults come at which steps. The same
 * seed gives the same plan. */
#ifndef TESTS_E2E_FAULT_PLAN_H
#define TESTS_E2E_FAULT_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* In the order of an invocation; names as step_shim.c and step_handler.c report them. */
extern const char *const fault_steps[];
extern const size_t fault_step_count;

enum fault_action {
    FAULT_KILL_AGENT,
    FAULT_FREEZE_AGENT,
    FAULT_CUT,               /* the connections of both channels */
    FAULT_FREEZE_CONNECTION, /* nothing arrives on either side */
    FAULT_KILL_CHILD,
    FAULT_FREEZE_CHILD,
    FAULT_FREEZE_BACKEND,
    FAULT_KILL_BACKEND,
    FAULT_ACTIONS,
};
extern const char *const fault_action_names[FAULT_ACTIONS];

struct fault {
    size_t step;
    uint32_t occurrence; /* the n-th time that it is reached */
    enum fault_action action;
    uint32_t pause_ms; /* of a freeze */
};

enum { FAULTS_MAX = 3 };

struct fault_plan {
    uint64_t seed;
    uint32_t tests;
    uint32_t concurrency;
    uint32_t test_timeout_ms; /* at the backend */
    uint32_t call_timeout_ms; /* at the agent */
    uint32_t export_interval_ms;
    bool is_prompt;     /* spans first */
    bool is_long_lived; /* one process for all calls */
    bool with_reset;    /* how connections are cut */
    struct fault faults[FAULTS_MAX];
    size_t fault_count;
};

/* Consecutive seeds go through all pairs of step and action. */
struct fault_plan fault_plan_make(uint64_t seed);
/* The same faults under load. */
void fault_plan_add_load(struct fault_plan *p);
void fault_plan_print(const struct fault_plan *p, FILE *out);

#endif
