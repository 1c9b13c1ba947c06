/* The world of a simulated run: virtual time, events in its order, one seeded source of chance, the
 * event log, the situations visited, and the first violation.
 *
 * Everything that happens is an event; everything random comes from the seed; nothing reads a real
 * clock. So a seed gives the same log, byte for byte, every time. One thread. */
#ifndef SIMULATION_WORLD_H
#define SIMULATION_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/random.h"
#include "simulation/mutants.h"

/* Situations that a set of runs must have seen: a green run that never met them proves nothing. */
#define SITUATIONS(X)                                                                              \
    X(RESULT_FIRST, "result before spans")                                                         \
    X(SPANS_FIRST, "spans before result")                                                          \
    X(BOTH_POINTS, "a trace linked at both points")                                                \
    X(SWEPT, "both points missed, then swept")                                                     \
    X(BATCH_MIXED, "spans of several tests and of none in one POST")                               \
    X(POST_REPEATED, "a POST delivered twice")                                                     \
    X(POST_LOST, "a POST or its answer lost")                                                      \
    X(POST_REFUSED, "a POST answered 500, for the store failed")                                   \
    X(RESULT_REPEATED, "a result sent again")                                                      \
    X(RESULT_ELSEWHERE, "a result accepted on another connection")                                 \
    X(RESULT_DUPLICATE, "a second result for a key")                                               \
    X(CUT, "a connection cut")                                                                     \
    X(HALF_OPEN, "a stale connection ended after the next one registered")                         \
    X(AGENT_CRASH, "the agent crashed")                                                            \
    X(INVOCATION_LOST, "an invocation ended by a crash, and reported as lost")                     \
    X(OUTBOX_RESTORED, "a result restored from the outbox")                                        \
    X(AGENT_STOP, "the agent was told to stop, and drained")                                       \
    X(STOP_CUT_SHORT, "the time to drain was over before the work was")                            \
    X(CLOCK_SKEWED, "an agent's clock was wrong by more than a minute")                            \
    X(BACKEND_CRASH, "the backend crashed")                                                        \
    X(CRASH_AFTER_COMMIT, "the backend crashed between commit and link")                           \
    X(STORE_FAILED, "the store failed a transaction")                                              \
    X(LINK_RETRIED, "a link attempt failed and was tried again")                                   \
    X(TEST_TIMED_OUT, "a test timed out at the backend")                                           \
    X(ATTEMPT_RETRIED, "an attempt that ended in Error was followed by the next")                  \
    X(ATTEMPTS_APART, "spans of two attempts, each linked to its own result")                      \
    X(RUN_RESUMED, "a restarted backend went on with a run")                                       \
    X(RESULT_AWAITED, "a result for an invocation of the backend's earlier life")                  \
    X(CALL_LOST, "an invocation lost on its way, as the agent's report showed")                    \
    X(STATUS_RETRIED, "the status of a run was stored at the second try")                          \
    X(TWO_BACKENDS, "two backends on one store")                                                   \
    X(STORED_ELSEWHERE, "spans stored by a backend that does not run their test")                  \
    X(POST_ELSEWHERE, "a POST delivered to both backends")                                         \
    X(CRASH_APART, "one of two backends crashed, the other was up")

enum situation {
#define SITUATION_VALUE(name, text) SITUATION_##name,
    SITUATIONS(SITUATION_VALUE)
#undef SITUATION_VALUE
        SITUATION_COUNT
};
const char *situation_text(enum situation situation);

/* How often things go wrong while they may; chances in a thousand. */
struct faults {
    unsigned post_loss;
    unsigned post_repeat;
    unsigned cuts; /* per message */
    unsigned store_failure;
    unsigned slow_store;
    unsigned agent_crash; /* per second; so for the next two */
    unsigned agent_stop;
    unsigned backend_crash;
    unsigned second_result;
    unsigned network_ms_max; /* the longest delay of a message */
    unsigned skew_s_max;     /* of an agent's clock, ahead or behind */
};

struct world;
/* `dead`: the owner has crashed since; only free what `user` owns. */
typedef void (*world_fn)(struct world *w, void *user, bool dead);

struct event_slot {
    uint64_t at_ns;
    uint64_t order;
    world_fn run;
    void *user;
    const uint64_t *life; /* of the owner; NULL: nobody's */
    uint64_t life_then;
};

struct world {
    uint64_t now_ns;
    struct random_seeded seeded;
    struct random_source random;
    struct faults faults;
    bool calm; /* nothing goes wrong any more */
    enum mutant mutant;
    struct event_slot *heap; /* owned */
    size_t count;
    size_t capacity;
    uint64_t orders;
    uint64_t visited; /* situations, one bit each */
    char violation[512];
    FILE *log; /* NULL: none; borrowed */
    uint64_t log_hash;
    uint64_t steps;
};

enum { WORLD_WALL_BASE_S = 1767225600 }; /* 2026-01-01 */

void world_init(struct world *w, uint64_t seed, enum mutant mutant, FILE *log);
/* Runs nothing: what is left is told that it is dead. */
void world_deinit(struct world *w);

void world_after(struct world *w, uint64_t delay_ns, world_fn run, void *user,
                 const uint64_t *life);
/* The next event; false when there is none before `until_ns`. */
bool world_step(struct world *w, uint64_t until_ns);
uint64_t world_wall_ns(const struct world *w);

uint64_t world_random(struct world *w);
/* Uniform in low … high. */
uint64_t world_between(struct world *w, uint64_t low, uint64_t high);
/* Chance in a thousand; never while calm. */
bool world_fault(struct world *w, unsigned per_mille);
bool world_is_mutant(const struct world *w, enum mutant mutant);

void world_visit(struct world *w, enum situation situation);
/* Keeps the first one. */
void world_violate(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_log(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
