/* What `check` asks of the backend over REST. Two kinds of it are known: the backend-mock, which
 * tells all (backend_ops_mock), and any other backend of the platform, asked through the platform's
 * own API (backend_ops_platform). One thread. Every failure names the URL and the cause, and has
 * the exit code that fits. */
#ifndef AGENT_CHECK_BACKEND_API_H
#define AGENT_CHECK_BACKEND_API_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/check/facts.h"
#include "agent/connection.h"
#include "programs/failure.h"

struct backend_api;

/* Borrows the connection. Never NULL. */
struct backend_api *backend_api_create(const struct connection *connection);
void backend_api_destroy(struct backend_api *api);

/* Reached, the key accepted, and able to run tests. Finds out which kind it is. */
bool backend_api_greet(struct backend_api *api, struct failure *f);
/* True when it has the control routes of the backend-mock: timelines, points, faults, gates. */
bool backend_api_is_mock(const struct backend_api *api);

/* Starts all tests of the scenario at once, aligned with tick `base`. Sets the run's id. */
bool backend_api_start_run(struct backend_api *api, struct facts *facts, size_t base,
                           struct failure *f);
/* Refreshes the run's status and the tests' ids and results. */
bool backend_api_read_run(struct backend_api *api, struct facts *facts, struct failure *f);
/* Refreshes what is stored of the spans; one that no probe made is added as such. */
bool backend_api_read_spans(struct backend_api *api, struct facts *facts, struct failure *f);
/* Replaces the events. */
bool backend_api_read_timeline(struct backend_api *api, struct facts *facts, struct failure *f);
/* Whether the span of no test is stored, and linked to nothing. */
bool backend_api_read_stray(struct backend_api *api, struct facts *facts, struct failure *f);
/* Spans whose test has no result: which of them are stored, what they are linked to, and what the
 * backend says about it. */
bool backend_api_read_orphans(struct backend_api *api, struct facts *facts, struct failure *f);
/* Reads the first span's trace whole, and how long that took. */
bool backend_api_query_trace(struct backend_api *api, struct facts *facts, struct failure *f);

/* ---- the backend-mock only ---- */

/* Spans that it got more than once, since its start. */
bool backend_api_count_duplicates(struct backend_api *api, uint64_t *out, struct failure *f);
/* `rule` is the body of POST /mock/faults. */
bool backend_api_add_fault(struct backend_api *api, const char *rule, struct failure *f);
struct fault_counts {
    uint64_t rules;
    uint64_t hits; /* of all rules together */
};
bool backend_api_count_faults(struct backend_api *api, struct fault_counts *out, struct failure *f);
/* Takes back all rules of the key's organization: there is room for so many. */
bool backend_api_clear_faults(struct backend_api *api, struct failure *f);

/* A gate of the backend-mock: writes that wait before it, and that it let through since its start.
 */
struct gate_state {
    uint64_t waiting;
    uint64_t committed;
};
/* All four at once. They hold whatever the backend does, so it should serve nobody else meanwhile.
 */
bool backend_api_set_gates(struct backend_api *api, bool are_shut, struct failure *f);
bool backend_api_read_gate(struct backend_api *api, const char *step, struct gate_state *out,
                           struct failure *f);
/* Lets one write through. */
bool backend_api_release(struct backend_api *api, const char *step, struct failure *f);

#endif
