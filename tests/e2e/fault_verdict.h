/* What must hold when a seed of test_nothing_lost is at rest: each test has exactly one result;
 * each invocation that the agent accepted was executed at most once, is settled in its outbox, and
 * has its span at the backend, linked to that result. */
#ifndef TESTS_E2E_FAULT_VERDICT_H
#define TESTS_E2E_FAULT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "fault_stage.h"

enum { VERDICT_TEXT_SIZE = 512 };

/* The run is completed, and all its tests have results. */
bool verdict_is_completed(const cJSON *run);
/* False, with the first thing that does not hold in `why`. */
bool verdict_holds(struct fault_stage *s, const char *run_id, char why[VERDICT_TEXT_SIZE]);

/* Invocations that this agent's outbox knows. */
size_t verdict_accepted(struct fault_stage *s);

#endif
