/* What the two files of the batch processor share: batch_processor.c, with the queue and the
 * thread, and batch_exports.c, with what calls the exporter.
 *
 * Threads: on_end runs in any; the worker owns `worker`, the monitor guards `shared`. An exporter
 * that does not come back by the deadline of shutdown keeps the worker and what it reads; the
 * worker then frees the processor when it returns (`abandoned`). */
#ifndef MARLINE_TRACE_BATCH_PRIVATE_H
#define MARLINE_TRACE_BATCH_PRIVATE_H

#include "trace/batch_processor.h"
#include "trace/batch_schedule.h"
#include "trace/monitor.h"
#include "trace/outlet.h"
#include "trace/provider.h"

struct batch_processor {
    struct processor base;
    marline_exporter exporter;
    marline_batch_options options;
    const struct clock *clock; /* monotonic, of the condition variable */
    struct outlet outlet;      /* worker, but for what outlet.h says otherwise */
    pthread_t thread;
    pthread_t watch; /* cancels exports that last too long; see batch_exports.c */
    bool has_watch;
    atomic_uint references;          /* the provider's, the worker's and the watch's */
    marline_provider *kept_provider; /* referenced: an exporter reads its scopes and resource */
    atomic_bool closed;
    char line_above[CACHE_LINE]; /* what producers only read is in no line that is written */
    atomic_int free_places;
    atomic_bool wake_wanted;
    atomic_bool prompt_wanted;
    atomic_bool pumping;       /* somebody does the work of the thread that there is not */
    uint64_t pump_deadline_ns; /* whoever does: until when */
    atomic_bool orphaned;      /* by a fork: the thread is the parent's */
    struct monitor monitor;
    struct {
        uint64_t flush_wanted; /* tickets: the last one asked for, the last one done */
        uint64_t flush_done;
        bool stopping;
        uint64_t stop_deadline_ns;
        uint64_t flush_pressed;      /* the last ticket that somebody waits for */
        uint64_t flush_deadline_ns;  /* of those, the latest */
        marline_status flush_status; /* of the exporter's own flush */
        bool exporting;              /* the worker is in the exporter */
        uint64_t export_deadline_ns;
        bool canceling; /* the watch is in the exporter's cancel */
        bool cut_short; /* the stop lost spans */
        bool finished;
        bool abandoned;
    } shared;
    struct {
        struct batch_schedule schedule;
        struct span_record *oldest; /* queued, in order of ending */
        struct span_record *newest;
        uint64_t flush_seen;
        uint64_t flush_target;
        struct span_record **records; /* of the running export */
        marline_span_data *batch;
        size_t batch_count;
    } worker;
};

static inline uint64_t marline__batch_now_ns(const struct batch_processor *b)
{
    return marline__clock_monotonic_ns(b->clock);
}

static inline struct span_record **marline__batch_next(const struct batch_processor *b,
                                                       struct span_record *r)
{
    return &r->next[b->base.index];
}

/* What other threads ask for, as of one moment. */
struct batch_wishes {
    bool stopping;
    bool pressing; /* somebody waits for what is queued */
    uint64_t stop_deadline_ns;
    uint64_t flush_wanted;
    uint64_t flush_deadline_ns;
};

/* ---- batch_exports.c ---- */

/* Takes a batch of `count` from the queue and exports it, or puts it into the spool. False when the
 * processor was abandoned meanwhile: then nothing of it may be touched. */
bool marline__batch_export(struct batch_processor *b, size_t count,
                           const struct batch_wishes *wishes);
/* Delivers one batch of the spool, if one is due. False, as above. */
bool marline__batch_replay(struct batch_processor *b, bool *out_abandoned);
/* The exporter's own flush. False when abandoned. */
bool marline__batch_flush_exporter(struct batch_processor *b, const struct batch_wishes *wishes,
                                   marline_status *out);
/* What is queued goes into the spool, else it is dropped. True when nothing was lost. */
bool marline__batch_give_up_queue(struct batch_processor *b);
/* The batch of an exporter that does not return. */
bool marline__batch_give_up_export(struct batch_processor *b);
/* Starts the thread that cancels exports, where one is needed. False: it cannot be started. */
bool marline__batch_watch_start(struct batch_processor *b);
/* Locked: as above, for the shutdown of a processor without a thread of its own. */
void marline__batch_watch_stop(struct batch_processor *b);

void marline__batch_unref(struct batch_processor *b);

#endif
