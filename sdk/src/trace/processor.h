/* What a provider hands ended spans to: one table for the batch processor, the simple one, and the
 * user's own (otel.md PRC-*). */
#ifndef MARLINE_TRACE_PROCESSOR_H
#define MARLINE_TRACE_PROCESSOR_H

#include <stdint.h>

#include "trace/shard.h"
#include "trace/span_record.h"

struct processor {
    const struct processor_functions *functions;
    marline_provider *provider; /* set when added; outlives the processor */
    unsigned index;             /* in the provider: which queue and which link are its */
};

struct processor_functions {
    /* Once provider and index are set, before the first span. False: it cannot run. Optional. */
    bool (*start)(struct processor *p);
    /* From the starter's thread, before it has the handle (PRC-01). Optional. */
    void (*on_start)(struct processor *p, const marline_span *span, marline_context *parent);
    /* From the thread that ends the span, before any on_end: the end time is fixed, the span may
     * still be changed (PRC-02). Optional. */
    void (*on_ending)(struct processor *p, const marline_span *span);
    /* From the thread that ends the span, under the record's lock: a few pointer moves. The
     * processor holds the record until it calls marline__provider_release. `lane` is the ending
     * thread's. True: call after_end as soon as the lock is released. */
    bool (*on_end)(struct processor *p, struct lane *lane, struct span_record *r);
    /* The same thread, without a lock. Touches `r` only when on_end kept it. */
    void (*after_end)(struct processor *p, struct span_record *r);
    /* deadline_ns: monotonic */
    marline_status (*force_flush)(struct processor *p, uint64_t deadline_ns);
    /* Once. Returns by the deadline, whatever the exporter does; every span is released by then. */
    marline_status (*shutdown)(struct processor *p, uint64_t deadline_ns);
    /* Asks to hurry the spans that have ended so far out; returns at once. Optional. */
    void (*prompt)(struct processor *p);
    /* Does what is due, for a processor without a thread. Returns when it wants to be called again
     * (monotonic), TIME_NEVER for any time. Optional. */
    uint64_t (*pump)(struct processor *p);
    /* Adds what its spool holds and did. Any thread. Optional. */
    void (*add_spool_state)(const struct processor *p, marline_spool_state *out);
    /* Around fork(), all optional: before takes the processor's lock, after gives it back; in the
     * child the processor is empty and has no thread. */
    void (*before_fork)(struct processor *p);
    void (*after_fork_in_parent)(struct processor *p);
    void (*after_fork_in_child)(struct processor *p);
    /* After shutdown. */
    void (*destroy)(struct processor *p);
};

#endif
