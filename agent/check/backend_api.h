/* What `check` asks of the backend over REST. One thread. Every failure names the URL and the
 * cause, and has the exit code that fits. */
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

/* Reached, the key accepted, and able to run tests. */
bool backend_api_greet(struct backend_api *api, struct failure *f);
/* Starts all tests of the scenario at once; `inputs` is a JSON object. Sets the run's id. */
bool backend_api_start_run(struct backend_api *api, struct facts *facts, const char *inputs,
                           struct failure *f);
/* Refreshes the run's status and the tests' ids and results. */
bool backend_api_read_run(struct backend_api *api, struct facts *facts, struct failure *f);
/* Refreshes what is stored of the spans; one that no probe made is added as such. */
bool backend_api_read_spans(struct backend_api *api, struct facts *facts, struct failure *f);
/* Replaces the events. */
bool backend_api_read_timeline(struct backend_api *api, struct facts *facts, struct failure *f);
/* How many spans without a test the backend has stored. */
bool backend_api_count_stray(struct backend_api *api, int64_t *out, struct failure *f);

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
