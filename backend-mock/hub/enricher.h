/* Keeps the enrichment of traces and the full-text index up to date, off the path on which spans
 * are acknowledged (wire-protocol §7). One thread: it looks for traces whose enrichment is missing
 * or not current when it is woken, and every few seconds, so that a lost wake-up or a restart loses
 * nothing. A span that cannot be read is skipped, the rest of its trace is enriched. */
#ifndef HUB_ENRICHER_H
#define HUB_ENRICHER_H

#include "base/buffer.h"
#include "core/price_table.h"
#include "store/commit_queue.h"
#include "store/store.h"
#include <marline/trace.h>

struct enricher;

/* Borrows the store until destroy, the queue until stop; takes the prices, NULL = the built-in
 * ones. NULL when the thread cannot be started. */
struct enricher *enricher_start(struct store *store, struct commit_queue *queue,
                                struct price_table *prices, marline_tracer *tracer);
/* Ends the thread. What was started before may still wake the enricher, in vain, and compute with
 * it. Accepts NULL. */
void enricher_stop(struct enricher *e);
/* Frees a stopped one, when nobody can call it any more. Accepts NULL. */
void enricher_destroy(struct enricher *e);
/* Any thread: spans have been stored, by the request with this span of ours. */
void enricher_wake(struct enricher *e, const marline_span *cause);

struct enricher_counters {
    uint64_t enriched; /* traces, each time */
    bool is_behind;    /* spans are there that are not enriched or not in the index */
};
/* Any thread. */
struct enricher_counters enricher_counters(struct enricher *e);

/* What is computed from a trace. */
struct enriched {
    struct buffer data; /* JSON object; the caller's to free */
    size_t spans;       /* it was computed from */
    double cost_usd;
    double cost_eur;
};
/* Any thread: computes it at once, for a reader who finds none. Reads the store; writes nothing. */
enum store_status enricher_compute(struct enricher *e, const struct uuid *organization_id,
                                   const uint8_t trace_id[16], struct enriched *out,
                                   struct store_error *error);

#endif
