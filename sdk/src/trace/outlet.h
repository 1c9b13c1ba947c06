/* An exporter together with what stands by for its outages: the circuit breaker, and the spool.
 *
 *   breaker closed         batches are exported; one that fails goes into the spool
 *   open, with a spool     batches go straight into the spool; when the pause is over, the next
 *                          batch, or the oldest of the spool, is the probe
 *   open, without a spool  batches stay in the queue until the pause is over, or until somebody
 *                          waits for them (flush, shutdown)
 *
 * A batch counts as failed when any span of it did. The spool then gets the spans that failed, or
 * all of it where the exporter does not know which those are; sending spans again is safe, ids make
 * it idempotent. The same holds for a batch of the spool.
 *
 * What waits in the spool is delivered when no newer batch is due, oldest first, at a bounded rate.
 * A batch that fails STUCK_MAX times while others get through is given up, so that it does not keep
 * the others back for ever.
 *
 * Thread: the processor's worker; where noted, others. Times are the caller's. */
#ifndef MARLINE_TRACE_OUTLET_H
#define MARLINE_TRACE_OUTLET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "trace/breaker.h"
#include "trace/spool.h"
#include "wire/otlp.h"
#include <marline/trace.h>

enum {
    OUTLET_STUCK_MAX = 3,
    OUTLET_REPLAY_RATE_DEFAULT = 1000, /* spans a second: a fifth of what one core takes in */
};

/* How often a process looks for what its children left. */
#define OUTLET_ADOPT_PAUSE_NS (60 * NS_PER_S)

struct outlet {
    struct breaker breaker;
    struct spool *spool; /* NULL = none */
    uint32_t replay_per_s;
    uint64_t next_replay_ns;
    uint64_t next_adopt_ns;
    /* The batch that is being delivered from the spool. */
    struct spool_batch oldest;
    struct otlp_request request; /* the spans in it */
    bool *flags;                 /* which spans of the running export failed */
    size_t flags_max;
    bool replaying;
    int64_t stuck_id;
    unsigned stuck_times;
    uint64_t stuck_successes;            /* of the breaker, at the last failure */
    struct buffer body;                  /* being written into the spool */
    uint64_t own_expected;               /* spans of this process that the spool should hold */
    atomic_uint_fast64_t recovered;      /* of earlier processes: delivered */
    atomic_uint_fast64_t recovered_lost; /* of earlier processes: refused, or given up */
};

enum outlet_way { OUTLET_EXPORT, OUTLET_SPOOL };

/* Takes the spool (may be NULL). */
void marline__outlet_init(struct outlet *o, struct spool *spool, uint32_t replay_per_s);
void marline__outlet_deinit(struct outlet *o);

/* True: batches stay in the queue, until retry_ns of the breaker. `pressing`: somebody waits for
 * what is queued. */
bool marline__outlet_holds(const struct outlet *o, bool pressing, uint64_t now_ns);
/* Where the next batch goes; ask when there is one. OUTLET_EXPORT: note() how that ended. */
enum outlet_way marline__outlet_way(struct outlet *o, bool pressing, uint64_t now_ns);
/* The attempt that was begun ended; `failed` spans were not delivered. */
void marline__outlet_note(struct outlet *o, size_t failed, uint64_t now_ns, uint64_t random);
/* For the is_failed of an export's result; NULL when out of memory: then nobody says which. */
bool *marline__outlet_flags(struct outlet *o, size_t count);
/* True: the flags tell which spans failed. */
bool marline__outlet_flags_tell(const struct outlet *o, size_t count, size_t failed);
/* Stores spans; false when there is no spool, or no room in it. Any thread while the worker is in
 * the exporter. */
bool marline__outlet_store(struct outlet *o, const marline_span_data *spans, size_t count);

/* What a replay changes in the balance of this process. */
struct outlet_settled {
    uint64_t exported;
    uint64_t rejected;
    uint64_t given_up;
};

/* When replay has something to do; 0 = now, TIME_NEVER = not until something changes. */
uint64_t marline__outlet_replay_ns(const struct outlet *o);
/* The oldest batch of the spool, if it is due: export it, and tell how that ended. Borrowed until
 * then. Returns how many spans; 0 = none. */
size_t marline__outlet_replay_begin(struct outlet *o, uint64_t now_ns,
                                    const marline_span_data **out_spans);
void marline__outlet_replay_end(struct outlet *o, const marline_export_result *result,
                                uint64_t now_ns, uint64_t random, struct outlet_settled *out);
/* Own spans that the spool lost to damage since the last call. */
uint64_t marline__outlet_take_losses(struct outlet *o);

/* Any thread. */
void marline__outlet_state(const struct outlet *o, marline_spool_state *out);

/* Around fork(); the child's spool is its own, see spool.h. */
void marline__outlet_before_fork(struct outlet *o);
void marline__outlet_after_fork_in_parent(struct outlet *o);
void marline__outlet_after_fork_in_child(struct outlet *o);

#endif
