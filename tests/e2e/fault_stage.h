/* The stage of test_nothing_lost: a real backend and a real agent with every step of theirs held
 * for a moment (step_shim.c), a relay between them, and the faults of a plan. */
#ifndef TESTS_E2E_FAULT_STAGE_H
#define TESTS_E2E_FAULT_STAGE_H

#include <stdbool.h>

#include <cjson/cJSON.h>

#include "fault_plan.h"

struct fault_stage;

/* A backend in a temporary folder. NULL, with the reason on stderr, when it does not start. */
struct fault_stage *fault_stage_create(void);
/* False: the backend did not end well, as when a sanitizer found something. NULL is allowed. */
bool fault_stage_destroy(struct fault_stage *s);

/* A new agent with an empty outbox, and the plan's faults armed. Waits until it is registered. */
bool fault_stage_begin(struct fault_stage *s, const struct fault_plan *plan);
/* Brings back what a fault has killed. To be called while waiting. */
void fault_stage_look(struct fault_stage *s);
/* No fault comes any more, and nothing is frozen. */
void fault_stage_calm(struct fault_stage *s);
/* Drains the agent; false when it does not end well. */
bool fault_stage_end(struct fault_stage *s);

/* A REST call to the backend; NULL when it failed, as it may while the backend is away. */
cJSON *fault_stage_call(struct fault_stage *s, const char *method, const char *path,
                        const char *body);
const char *fault_stage_project(const struct fault_stage *s);
/* Of the running agent: its outbox, and the file that the handler writes to. */
const char *fault_stage_outbox(const struct fault_stage *s);
const char *fault_stage_executions(const struct fault_stage *s);

/* How often each step was reached, and each fault done, since the stage was made. */
uint64_t fault_stage_reached(struct fault_stage *s, size_t step);
uint64_t fault_stage_done(struct fault_stage *s, enum fault_action action);
/* What happened since begin: steps, faults, and the end of the programs' logs. */
void fault_stage_explain(struct fault_stage *s, FILE *out);

#endif
