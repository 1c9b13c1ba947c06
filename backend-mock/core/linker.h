/* When a link is tried, and for which key. Sans I/O: events and the time go in, actions come out;
 * the store carries them out, and the outcome comes back in.
 *
 * The rule it keeps (design C): an attempt is asked for only after the commit of the insert has
 * returned, once for every key of it. What a crash, an error or a lost attempt leaves behind is
 * found by the sweeper: every interval it asks the store which keys could be linked and are not,
 * and tries those that it saw twice in a row, for the same span, and for which nothing is under
 * way. (Seen once, a key may simply be waiting for its own attempt; seen for another span, it has
 * been linked in between, perhaps by another backend on the same store. So in a run without faults
 * the sweeper links nothing.)
 *
 * An attempt: wanted -> [next_action] -> under way -> [attempt_done ok] -> forgotten
 *                                            | [attempt_done failed]
 *                                            v
 *                      wanted <- [tick] <- waiting (doubling delay; given up after `tries_max`,
 *                                                   which leaves the key to the sweeper)
 *
 * Not thread-safe: one loop owns it. Times are monotonic nanoseconds and never go back. */
#ifndef CORE_LINKER_H
#define CORE_LINKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/link_key.h"
#include "core/outcome.h"

struct linker;

/* What the linker is allowed to do. All points are on in production; tests and the demonstration
 * of what each point is for switch them off one by one. */
struct linker_policy {
    bool points[LINK_POINT_COUNT];
};

struct linker_options {
    struct linker_policy policy;
    uint32_t sweep_interval_ms;
    uint32_t retry_min_ms;
    uint32_t retry_max_ms;
    uint32_t tries_max;  /* of one attempt */
    size_t attempts_max; /* wanted, under way or waiting; beyond it the sweeper has to do */
};

/* Points all on; 1 s, 100 ms, 10 s, 8, 65536. */
struct linker_options linker_options_default(void);

enum linker_action_type {
    LINKER_TRY,   /* carry out STORE_LINK for key at point, then call linker_attempt_done */
    LINKER_SWEEP, /* read the store's waiting keys, at most LINKER_SWEEP_KEYS_MAX, then call
                     linker_sweep_done */
};

enum { LINKER_SWEEP_KEYS_MAX = 1000 }; /* per sweep; the oldest first, so none starves */

/* A key that could be linked and is not. */
struct link_sighting {
    struct link_key key;
    uint64_t span; /* the first that waits, by the store's number */
};

struct linker_action {
    enum linker_action_type type;
    uint64_t id; /* of the attempt */
    struct link_key key;
    enum link_point point;
};

struct linker *linker_create(const struct linker_options *options);
void linker_destroy(struct linker *linker);

/* Takes effect for events from now on; attempts that are wanted already stay. */
void linker_set_policy(struct linker *linker, const struct linker_policy *policy);
struct linker_policy linker_get_policy(const struct linker *linker);

/* The insert of a result with this key has been committed. */
void linker_on_result_committed(struct linker *linker, const struct link_key *key);
/* The spans of one POST have been committed; `keys` of all that have one, repeats allowed. Also
 * call it for spans that were there already: the repeat may be all that is left of a lost attempt.
 */
void linker_on_spans_committed(struct linker *linker, const struct link_key *keys, size_t count);

/* `action` as handed out. ok false: the store failed; it will be tried again. */
void linker_attempt_done(struct linker *linker, uint64_t now_ns, const struct linker_action *action,
                         bool ok);
/* `found` NULL and ok false when the store failed. */
void linker_sweep_done(struct linker *linker, uint64_t now_ns, const struct link_sighting *found,
                       size_t count, bool ok);

void linker_on_tick(struct linker *linker, uint64_t now_ns);
/* When on_tick has something to do next; TIME_NEVER when only an event can bring work. */
uint64_t linker_next_deadline(const struct linker *linker);
/* Call until false after every call above. In order of the events. */
bool linker_next_action(struct linker *linker, struct linker_action *out);

struct linker_counters {
    uint64_t tries;    /* actions handed out */
    uint64_t failures; /* attempts that failed */
    uint64_t given_up; /* left to the sweeper: tried too often, or too many at once */
    uint64_t sweeps;
};
struct linker_counters linker_counters(const struct linker *linker);

#endif
