/* Runs the scenarios side by side, each aligned with the exporter's ticks, and gathers the facts.
 * Those that disturb something come after the others, one by one.
 *
 * One state machine per scenario, all stepped by the calling thread:
 *     QUEUED    until its turn has come                                          -> WAITING
 *     WAITING   for the tick it starts behind                                    -> RUNNING (start)
 *     RUNNING   the backend runs its tests; ends when the run is completed       -> SETTLING
 *     SETTLING  until every span is stored and linked, or time is up             -> DONE (finish)
 *     DONE      judged, or not to be judged here; one that was disturbed goes back to WAITING, up
 * to CHECK_ATTEMPTS_MAX times
 */
#ifndef AGENT_CHECK_ORCHESTRATOR_H
#define AGENT_CHECK_ORCHESTRATOR_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/check/backend_api.h"
#include "agent/check/disturbance.h"
#include "agent/check/facts.h"
#include "agent/check/pace.h"
#include "agent/check/probes.h"
#include "agent/check/verdict.h"
#include "programs/failure.h"

enum {
    CHECK_SCENARIOS_MAX = 24,
    CHECK_ATTEMPTS_MAX = 5,        /* a machine that disturbs it more often is too busy */
    CHECK_LINK_PATIENCE_MS = 2000, /* from the last span stored to the last span linked */
};

enum check_state { CHECK_QUEUED, CHECK_WAITING, CHECK_RUNNING, CHECK_SETTLING, CHECK_DONE };

struct check_run {
    const struct scenario *scenario;
    enum check_state state;
    unsigned attempts;
    size_t base;           /* tick that it counts from */
    double deadline;       /* of the state; a position */
    double link_deadline;  /* 0 until every span is stored */
    double cache_deadline; /* 0 until every span is linked */
    bool stray_is_made;
    char stray_trace_id[FACT_ID_SIZE];
    const char *obstacle; /* why it cannot be judged here; NULL = it can */
    struct disturbance_state disturbance;
    uint64_t started_ns; /* of the first start; monotonic */
    uint64_t ended_ns;
    struct facts facts;
    struct verdict verdict;
};

struct check {
    struct pace *pace; /* borrowed, as the next three */
    struct probes *probes;
    struct backend_api *api;
    marline_client *const *client; /* where the present one is: a restart brings another */
    struct disturbance_tools tools;
    struct check_run runs[CHECK_SCENARIOS_MAX];
    size_t run_count;
    uint64_t started_ns;
    uint64_t posts;       /* exports of spans, all scenarios together */
    bool is_prompt;       /* spans are posted before the result */
    double patience_ms;   /* beyond the planned end of a run, and of the next export */
    bool knows_points;    /* the backend tells which point linked a span */
    const char *schedule; /* NULL = none; else the one run is played by the conductor */
    bool shows_progress;
};

/* Ignored when there are CHECK_SCENARIOS_MAX. */
void check_add(struct check *c, const struct scenario *scenario);
void check_deinit(struct check *c);
/* Returns when all are done; false when the backend or the agent stopped working. */
bool check_run_all(struct check *c, struct failure *f);
bool check_is_pass(const struct check *c);
/* Scenarios that have come to a verdict. */
size_t check_count_judged(const struct check *c);
bool check_run_is_pass(const struct check_run *r);

#endif
