/* What is done to the channels, or to their ends, while a scenario runs. Main thread. */
#ifndef AGENT_CHECK_DISTURBANCE_H
#define AGENT_CHECK_DISTURBANCE_H

#include "agent/check/backend_api.h"
#include "agent/check/own_backend.h"
#include "agent/check/scenario.h"
#include "agent/check/span_tap.h"

/* Who can be disturbed. */
struct disturbance_tools {
    struct backend_api *api;
    struct span_tap *tap;
    struct own_backend *backend; /* NULL = the backend is somebody else's */
    /* Ends the agent in good order, and starts it again. */
    bool (*restart_agent)(void *user, struct failure *f);
    void *user;
};

struct disturbance_state {
    struct fault_counts faults_before;
    uint64_t duplicates_before;
    uint64_t repeated_before;
};

/* NULL when it can be done; else the reason why not, to be read after "not judged: ". */
const char *disturbance_obstacle(const struct disturbance_tools *t, const struct scenario *s);
/* Before the run starts. */
bool disturbance_prepare(const struct disturbance_tools *t, enum disturbance d,
                         struct disturbance_state *state, struct failure *f);
/* Behind the results, before the spans leave. */
bool disturbance_strike(const struct disturbance_tools *t, enum disturbance d, struct facts *facts,
                        struct failure *f);
/* True when nothing more of it is to come: a repeat travels behind what it repeats. */
bool disturbance_is_over(const struct disturbance_tools *t, enum disturbance d,
                         const struct disturbance_state *state, const struct facts *facts);
/* After it all; reads what it came to. */
bool disturbance_finish(const struct disturbance_tools *t, enum disturbance d,
                        const struct disturbance_state *state, struct facts *facts,
                        struct failure *f);

#endif
