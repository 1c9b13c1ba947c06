/* The thread shell of the batch processor; see batch_processor.h, batch_schedule.h.
 *
 * Ended spans wait in lanes (shard.h), one stack per thread, which this thread empties when it
 * wakes: on a tick, on a flush, or when a producer finds batch_max places taken. Places in the
 * queue are reserved by lanes in blocks, so that producers meet on the shared counter rarely.
 *
 * Threads: on_end runs in any; the worker owns `worker`, the monitor guards `shared`. An exporter
 * that does not come back by the deadline of shutdown keeps the worker and what it reads; the
 * worker then frees the processor when it returns (`abandoned`). */
#include "trace/batch_processor.h"

#include <assert.h>
#include <limits.h>
#include <sched.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/signals.h"
#include "trace/batch_schedule.h"
#include "trace/environment.h"
#include "trace/monitor.h"
#include "trace/provider.h"

enum {
    CREDITS_MAX = 32, /* places that a lane reserves at once */
    /* Blocks only while less than this part of the queue is taken, so that idle threads cannot sit
     * on more; beyond it places go out one by one. */
    HOARD_PART = 4,
    CANCEL_GRACE_MS = 200, /* for an exporter to notice its cancel */
};

struct batch_processor {
    struct processor base;
    marline_exporter exporter;
    marline_batch_options options;
    const struct clock *clock; /* monotonic, of the condition variable */
    pthread_t thread;
    atomic_uint references; /* the provider's and the worker's */
    atomic_bool closed;
    char line_above[CACHE_LINE]; /* what producers only read is in no line that is written */
    atomic_int free_places;
    atomic_bool wake_wanted;
    atomic_bool prompt_wanted;
    atomic_bool pumping;  /* somebody does the work of the thread that there is not */
    atomic_bool orphaned; /* by a fork: the thread is the parent's */
    struct monitor monitor;
    struct {
        uint64_t flush_wanted; /* tickets: the last one asked for, the last one done */
        uint64_t flush_done;
        bool stopping;
        uint64_t stop_deadline_ns;
        bool exporting;
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

static uint64_t now_ns(const struct batch_processor *b)
{
    return marline__clock_monotonic_ns(b->clock);
}

static struct span_record **next_of(struct batch_processor *b, struct span_record *r)
{
    return &r->next[b->base.index];
}

static void unref(struct batch_processor *b)
{
    if (atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (b->exporter.destroy) {
        b->exporter.destroy(b->exporter.user);
    }
    marline__monitor_deinit(&b->monitor);
    marline__memory_free(b->worker.records);
    marline__memory_free(b->worker.batch);
    marline__memory_free(b);
}

/* ---- producers ---- */

static bool start(struct processor *p);

static void wake(struct batch_processor *b)
{
    if (atomic_exchange_explicit(&b->wake_wanted, true, memory_order_acq_rel)) {
        return; /* the worker was woken and has not looked yet */
    }
    marline__monitor_lock(&b->monitor);
    marline__monitor_notify(&b->monitor);
    marline__monitor_unlock(&b->monitor);
}

/* Reserves places for a lane; false when the queue is full. */
static bool reserve(struct batch_processor *b, struct lane_queue *queue)
{
    int queue_max = (int)b->options.queue_max;
    int free = atomic_load_explicit(&b->free_places, memory_order_relaxed);
    int wanted = queue_max / (2 * CREDITS_MAX);
    if (wanted > CREDITS_MAX) {
        wanted = CREDITS_MAX;
    }
    if (wanted < 1 || free <= queue_max - queue_max / HOARD_PART) {
        wanted = 1;
    }
    do {
        if (free < wanted) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&b->free_places, &free, free - wanted,
                                                    memory_order_acquire, memory_order_relaxed));
    queue->credits = (uint32_t)wanted;
    return true;
}

static bool batch_may_be_full(const struct batch_processor *b)
{
    int free = atomic_load_explicit(&b->free_places, memory_order_relaxed);
    return (int)b->options.queue_max - free >= (int)b->options.batch_max;
}

/* After the end of intake: what still came into a lane is dropped by whoever sees it. */
static void sweep_lane(struct batch_processor *b, struct lane *lane)
{
    struct lane_queue *queue = &lane->queues[b->base.index];
    struct span_record *r = atomic_exchange(&queue->newest, NULL);
    while (r) {
        struct span_record *next = *next_of(b, r);
        marline__provider_release(r, FATE_DROPPED + MARLINE_DROP_SHUTDOWN);
        r = next;
    }
}

static bool on_end(struct processor *p, struct lane *lane, struct span_record *r)
{
    struct batch_processor *b = (struct batch_processor *)p;
    struct lane_queue *queue = &lane->queues[p->index];
    if (!(r->data.flags & 1)) { /* recorded for others: PRC-08 */
        marline__provider_release(r, FATE_DROPPED + MARLINE_DROP_UNSAMPLED);
        return false;
    }
    if (atomic_load_explicit(&b->closed, memory_order_relaxed)) {
        marline__provider_release(r, FATE_DROPPED + MARLINE_DROP_SHUTDOWN);
        return false;
    }
    if (queue->credits == 0 && !reserve(b, queue)) {
        marline__provider_release(r, FATE_DROPPED + MARLINE_DROP_QUEUE_FULL);
        return true;
    }
    queue->credits--;
    bool is_prompt = b->options.prompt && (!r->data.has_parent || r->data.parent_is_remote);
    struct span_record *newest = atomic_load_explicit(&queue->newest, memory_order_relaxed);
    do {
        *next_of(b, r) = newest;
    } while (!atomic_compare_exchange_weak(&queue->newest, &newest, r));
    if (is_prompt) {
        atomic_store_explicit(&b->prompt_wanted, true, memory_order_relaxed);
    }
    /* Sequentially consistent with the push: either the last drain saw the span, or this does. */
    if (atomic_load(&b->closed)) {
        sweep_lane(b, lane);
        return false;
    }
    return is_prompt || (queue->credits == 0 && batch_may_be_full(b)) ||
           atomic_load_explicit(&b->orphaned, memory_order_relaxed);
}

/* Gives a forked child a worker of its own, when it first needs one. */
static void ensure_worker(struct batch_processor *b)
{
    if (atomic_load_explicit(&b->orphaned, memory_order_relaxed) &&
        atomic_exchange(&b->orphaned, false) && !start(&b->base)) {
        atomic_store(&b->orphaned, true);
        marline__log(LOG_ERROR, "the forked process has no thread to export spans with");
    }
}

static void prompt(struct processor *p)
{
    struct batch_processor *b = (struct batch_processor *)p;
    ensure_worker(b);
    marline__monitor_lock(&b->monitor);
    b->shared.flush_wanted++;
    marline__monitor_notify(&b->monitor);
    marline__monitor_unlock(&b->monitor);
}

static void after_end(struct processor *p, struct span_record *r)
{
    (void)r;
    struct batch_processor *b = (struct batch_processor *)p;
    ensure_worker(b);
    if (atomic_exchange_explicit(&b->prompt_wanted, false, memory_order_relaxed)) {
        prompt(p);
    } else {
        wake(b);
    }
}

/* ---- the worker's queue ---- */

static bool ended_later(const struct span_record *a, const struct span_record *b)
{
    return a->data.end_unix_ns > b->data.end_unix_ns;
}

/* Takes a lane's spans, oldest first. */
static struct span_record *take_lane(struct batch_processor *b, struct lane *lane, size_t *count)
{
    struct span_record *r = atomic_exchange(&lane->queues[b->base.index].newest, NULL);
    struct span_record *oldest = NULL;
    while (r) {
        struct span_record *next = *next_of(b, r);
        *next_of(b, r) = oldest;
        oldest = r;
        r = next;
        ++*count;
    }
    return oldest;
}

/* Merges two lists by time of ending, so that children leave before their parents although
 * different threads ended them. */
static struct span_record *merge(struct batch_processor *b, struct span_record *one,
                                 struct span_record *two)
{
    struct span_record *first = NULL;
    struct span_record **link = &first;
    while (one && two) {
        struct span_record **from = ended_later(one, two) ? &two : &one;
        *link = *from;
        link = next_of(b, *from);
        *from = *link;
    }
    *link = one ? one : two;
    return first;
}

static void drain(struct batch_processor *b)
{
    struct span_record *arrived = NULL;
    size_t count = 0;
    struct lane *lane = atomic_load_explicit(&b->base.provider->lanes, memory_order_acquire);
    for (; lane; lane = lane->next_in_provider) {
        arrived = merge(b, arrived, take_lane(b, lane, &count));
    }
    if (!arrived) {
        return;
    }
    if (b->worker.newest) {
        *next_of(b, b->worker.newest) = arrived;
    } else {
        b->worker.oldest = arrived;
    }
    while (*next_of(b, arrived)) {
        arrived = *next_of(b, arrived);
    }
    b->worker.newest = arrived;
    size_t accepted = marline__batch_schedule_add(&b->worker.schedule, count);
    assert(accepted == count); /* each had a place */
    (void)accepted;
}

static void pop_batch(struct batch_processor *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span_record *r = b->worker.oldest;
        b->worker.oldest = *next_of(b, r);
        b->worker.records[i] = r;
        b->worker.batch[i] = r->data;
    }
    if (!b->worker.oldest) {
        b->worker.newest = NULL;
    }
    b->worker.batch_count = count;
    atomic_fetch_add_explicit(&b->free_places, (int)count, memory_order_release);
}

/* ---- the worker ---- */

static void release_batch(struct batch_processor *b, const marline_export_result *result)
{
    size_t count = b->worker.batch_count;
    size_t exported = result->exported < count ? result->exported : count;
    size_t rejected = result->rejected < count - exported ? result->rejected : count - exported;
    for (size_t i = 0; i < count; i++) {
        unsigned fate = i < exported              ? (unsigned)FATE_EXPORTED
                        : i < exported + rejected ? FATE_DROPPED + MARLINE_DROP_REJECTED
                                                  : FATE_DROPPED + MARLINE_DROP_TIMEOUT;
        marline__provider_release(b->worker.records[i], fate);
    }
    b->worker.batch_count = 0;
    if (exported < count) {
        marline__log(LOG_WARN, "%zu of %zu spans were not exported: %s", count - exported, count,
                     result->reason[0] ? result->reason : "the exporter gave no reason");
    }
}

/* Of one export; 0 = no limit (ENV-04). */
static uint64_t export_timeout_ms(struct batch_processor *b, bool stopping, uint64_t deadline_ns)
{
    uint64_t limit = b->options.export_timeout_ms;
    if (!stopping) {
        return limit;
    }
    uint64_t now = now_ns(b);
    uint64_t left = now < deadline_ns ? (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 1;
    return limit == 0 || left < limit ? left : limit;
}

static void drop_all(struct batch_processor *b)
{
    while (b->worker.oldest) {
        struct span_record *r = b->worker.oldest;
        b->worker.oldest = *next_of(b, r);
        marline__provider_release(r, FATE_DROPPED + MARLINE_DROP_SHUTDOWN);
    }
    b->worker.newest = NULL;
}

struct wishes {
    bool stopping;
    uint64_t stop_deadline_ns;
    uint64_t flush_wanted;
};

static struct wishes read_wishes(struct batch_processor *b)
{
    marline__monitor_lock(&b->monitor);
    struct wishes w = {b->shared.stopping, b->shared.stop_deadline_ns, b->shared.flush_wanted};
    marline__monitor_unlock(&b->monitor);
    return w;
}

/* False when the processor was abandoned meanwhile: then nothing of it may be touched. */
static bool export_batch(struct batch_processor *b, size_t count, const struct wishes *wishes)
{
    pop_batch(b, count);
    marline_export_result result = {0};
    marline__monitor_lock(&b->monitor);
    b->shared.exporting = true;
    marline__monitor_unlock(&b->monitor);
    b->exporter.export_spans(b->exporter.user, b->worker.batch, count,
                             export_timeout_ms(b, wishes->stopping, wishes->stop_deadline_ns),
                             &result);
    marline__monitor_lock(&b->monitor);
    b->shared.exporting = false;
    b->shared.cut_short |= wishes->stopping && result.exported < count;
    bool abandoned = b->shared.abandoned;
    marline__monitor_notify(&b->monitor);
    marline__monitor_unlock(&b->monitor);
    if (!abandoned) {
        release_batch(b, &result);
        marline__batch_schedule_done(&b->worker.schedule);
    }
    return !abandoned;
}

static void note_flush(struct batch_processor *b, const struct wishes *wishes)
{
    if (wishes->flush_wanted != b->worker.flush_seen) {
        b->worker.flush_seen = wishes->flush_wanted;
        b->worker.flush_target = marline__batch_schedule_flush(&b->worker.schedule);
    }
}

static void finish_flush(struct batch_processor *b)
{
    if (!marline__batch_schedule_is_flushed(&b->worker.schedule, b->worker.flush_target)) {
        return;
    }
    marline__monitor_lock(&b->monitor);
    if (b->shared.flush_done != b->worker.flush_seen) {
        b->shared.flush_done = b->worker.flush_seen;
        marline__monitor_notify(&b->monitor);
    }
    marline__monitor_unlock(&b->monitor);
}

static void wait_for_work(struct batch_processor *b)
{
    uint64_t deadline_ns = marline__batch_schedule_deadline_ns(&b->worker.schedule);
    marline__monitor_lock(&b->monitor);
    while (!atomic_load_explicit(&b->wake_wanted, memory_order_acquire) && !b->shared.stopping &&
           b->shared.flush_wanted == b->worker.flush_seen) {
        if (!marline__monitor_wait(&b->monitor, deadline_ns)) {
            break;
        }
    }
    marline__monitor_unlock(&b->monitor);
}

static void give_up(struct batch_processor *b)
{
    if (b->worker.oldest) {
        marline__monitor_lock(&b->monitor);
        b->shared.cut_short = true;
        marline__monitor_unlock(&b->monitor);
        drop_all(b);
    }
}

enum step {
    STEP_EXPORTED, /* there may be more to do at once */
    STEP_IDLE,
    STEP_END,
};

/* One look at lanes, time and wishes. */
static enum step work_once(struct batch_processor *b)
{
    atomic_store_explicit(&b->wake_wanted, false, memory_order_release);
    struct wishes wishes = read_wishes(b);
    drain(
        b); /* after the wishes were read: a flush covers all that ended before it was asked for */
    note_flush(b, &wishes);
    if (wishes.stopping && now_ns(b) >= wishes.stop_deadline_ns) {
        give_up(b);
        return STEP_END;
    }
    size_t count = marline__batch_schedule_take(&b->worker.schedule, now_ns(b));
    if (count > 0) {
        return export_batch(b, count, &wishes) ? STEP_EXPORTED : STEP_END;
    }
    finish_flush(b);
    return wishes.stopping ? STEP_END : STEP_IDLE;
}

static void finish(struct batch_processor *b)
{
    marline__monitor_lock(&b->monitor);
    b->shared.finished = true;
    b->shared.flush_done = b->shared.flush_wanted;
    marline__monitor_notify(&b->monitor);
    marline__monitor_unlock(&b->monitor);
}

static void *run(void *user)
{
    struct batch_processor *b = user;
    enum step step;
    while ((step = work_once(b)) != STEP_END) {
        if (step == STEP_IDLE) {
            wait_for_work(b);
        }
    }
    finish(b);
    unref(b);
    return NULL;
}

/* ---- without a thread: the callers of pump, flush and shutdown do its work, one at a time ---- */

/* Works until nothing is due, or until the deadline. False when another thread is at it; else
 * out_next_ns is when there will be more to do. */
static bool pump_until(struct batch_processor *b, uint64_t deadline_ns, uint64_t *out_next_ns)
{
    if (atomic_exchange_explicit(&b->pumping, true, memory_order_acquire)) {
        return false;
    }
    enum step step = STEP_EXPORTED;
    while (step == STEP_EXPORTED && !b->shared.finished) {
        step = work_once(b);
        if (now_ns(b) >= deadline_ns) {
            break;
        }
    }
    if (step == STEP_END) {
        finish(b);
    }
    *out_next_ns = marline__batch_schedule_deadline_ns(&b->worker.schedule);
    atomic_store_explicit(&b->pumping, false, memory_order_release);
    return true;
}

static uint64_t pump(struct processor *p)
{
    struct batch_processor *b = (struct batch_processor *)p;
    uint64_t next_ns = TIME_NEVER;
    if (b->options.no_thread) {
        (void)pump_until(b, TIME_NEVER, &next_ns);
    }
    return next_ns;
}

/* ---- the provider's calls ---- */

/* Locked: waits until the flag is set; false at the deadline. */
static bool wait_flag(struct batch_processor *b, const bool *flag, uint64_t deadline_ns)
{
    while (!*flag && marline__monitor_wait(&b->monitor, deadline_ns)) {
    }
    return *flag;
}

static marline_status force_flush(struct processor *p, uint64_t deadline_ns)
{
    struct batch_processor *b = (struct batch_processor *)p;
    ensure_worker(b);
    marline__monitor_lock(&b->monitor);
    uint64_t ticket = ++b->shared.flush_wanted;
    marline__monitor_notify(&b->monitor);
    if (b->options.no_thread) {
        marline__monitor_unlock(&b->monitor);
        uint64_t next_ns;
        (void)pump_until(b, deadline_ns,
                         &next_ns); /* else the one who is at it will see the ticket */
        marline__monitor_lock(&b->monitor);
    }
    while (b->shared.flush_done < ticket && !b->shared.finished &&
           marline__monitor_wait(&b->monitor, deadline_ns)) {
    }
    bool done = b->shared.flush_done >= ticket || b->shared.finished;
    marline__monitor_unlock(&b->monitor);
    if (!done) {
        return MARLINE_ETIMEDOUT;
    }
    uint64_t now = now_ns(b);
    uint64_t left_ms = now < deadline_ns ? (deadline_ns - now) / NS_PER_MS : 0;
    return b->exporter.force_flush ? b->exporter.force_flush(b->exporter.user, left_ms)
                                   : MARLINE_OK;
}

static void sweep_all(struct batch_processor *b)
{
    struct lane *lane = atomic_load_explicit(&b->base.provider->lanes, memory_order_acquire);
    for (; lane; lane = lane->next_in_provider) {
        sweep_lane(b, lane);
    }
}

/* The exporter neither returned nor heeded its cancel. What it reads stays as it is, for good;
 * everything else is settled here, because the worker will touch nothing any more. */
static void abandon(struct batch_processor *b)
{
    marline__log(LOG_ERROR, "an exporter did not return: %zu spans of its batch are given up",
                 b->worker.batch_count);
    for (size_t i = 0; i < b->worker.batch_count; i++) {
        marline__provider_forfeit(b->worker.records[i], FATE_DROPPED + MARLINE_DROP_TIMEOUT);
    }
    drop_all(b);
    sweep_all(b);
}

/* Locked, after the deadline: true when the worker is at its end, false when it is stuck
 * in the exporter. Outside an export the worker does not block, so that wait needs no limit. */
static bool end_worker(struct batch_processor *b)
{
    if (!b->shared.finished && b->shared.exporting && b->exporter.cancel) {
        marline__monitor_unlock(&b->monitor);
        b->exporter.cancel(b->exporter.user);
        marline__monitor_lock(&b->monitor);
    }
    if (!b->shared.finished && b->shared.exporting) {
        (void)wait_flag(b, &b->shared.finished, now_ns(b) + CANCEL_GRACE_MS * NS_PER_MS);
    }
    while (!b->shared.finished && !b->shared.exporting) {
        (void)marline__monitor_wait(&b->monitor, TIME_NEVER);
    }
    return b->shared.finished;
}

static marline_status shutdown_processor(struct processor *p, uint64_t deadline_ns)
{
    struct batch_processor *b = (struct batch_processor *)p;
    ensure_worker(b);
    atomic_store(&b->closed, true);
    if (atomic_load(&b->orphaned)) {
        sweep_all(b);
        return MARLINE_ETIMEDOUT;
    }
    marline__monitor_lock(&b->monitor);
    b->shared.stopping = true;
    b->shared.stop_deadline_ns = deadline_ns;
    b->shared.flush_wanted++;
    marline__monitor_notify(&b->monitor);
    if (b->options.no_thread) {
        marline__monitor_unlock(&b->monitor);
        uint64_t next_ns;
        while (!pump_until(b, TIME_NEVER, &next_ns)) { /* work_once itself minds the deadline */
            (void)sched_yield();
        }
        return b->shared.cut_short ? MARLINE_ETIMEDOUT : MARLINE_OK;
    }
    (void)wait_flag(b, &b->shared.finished, deadline_ns);
    bool finished = end_worker(b);
    b->shared.abandoned = !finished;
    bool complete = finished && !b->shared.cut_short;
    marline__monitor_unlock(&b->monitor);
    if (finished) {
        pthread_join(b->thread, NULL);
    } else {
        pthread_detach(b->thread);
        abandon(b);
    }
    return complete ? MARLINE_OK : MARLINE_ETIMEDOUT;
}

static void destroy(struct processor *p)
{
    unref((struct batch_processor *)p);
}

/* ---- creation ---- */

static uint32_t option(uint32_t given, const char *variable, uint32_t minimum, uint32_t otherwise)
{
    return given ? given : marline__environment_number(variable, minimum, otherwise);
}

void marline__batch_options_complete(const marline_batch_options *options,
                                     marline_batch_options *out)
{
    static const marline_batch_options defaults = MARLINE_BATCH_OPTIONS_INIT;
    const marline_batch_options *o = options ? options : &defaults;
    *out = (marline_batch_options){
        .size = sizeof *out,
        .queue_max = option(o->queue_max, "OTEL_BSP_MAX_QUEUE_SIZE", 1, 2048),
        .batch_max = option(o->batch_max, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1, 512),
        .interval_ms = option(o->interval_ms, "OTEL_BSP_SCHEDULE_DELAY", 0, 5000),
        .export_timeout_ms = option(o->export_timeout_ms, "OTEL_BSP_EXPORT_TIMEOUT", 0, 30000)};
    if (out->queue_max > INT_MAX) {
        out->queue_max = INT_MAX;
    }
    if (out->batch_max > out->queue_max) {
        out->batch_max = out->queue_max;
    }
    out->prompt = o->prompt;
    out->no_thread = o->no_thread;
    if (out->interval_ms == 0) {
        out->interval_ms = 1; /* a delay of 0 means as soon as possible */
    }
}

static bool start(struct processor *p)
{
    struct batch_processor *b = (struct batch_processor *)p;
    if (b->options.no_thread) {
        return true;
    }
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    if (marline__thread_start(&b->thread, run, b) != 0) {
        atomic_fetch_sub_explicit(&b->references, 1, memory_order_relaxed);
        return false;
    }
    return true;
}

static void init_schedule(struct batch_processor *b)
{
    struct batch_schedule_config config = {b->options.queue_max, b->options.batch_max,
                                           b->options.interval_ms * NS_PER_MS};
    marline__batch_schedule_init(&b->worker.schedule, &config, now_ns(b));
}

static void before_fork(struct processor *p)
{
    marline__monitor_lock(&((struct batch_processor *)p)->monitor);
}

static void after_fork_in_parent(struct processor *p)
{
    marline__monitor_unlock(&((struct batch_processor *)p)->monitor);
}

/* The monitor is made anew, because the worker that waited on it is not here. Places and credits
 * of lanes are reset together with the shards. */
static void after_fork_in_child(struct processor *p)
{
    struct batch_processor *b = (struct batch_processor *)p;
    (void)marline__monitor_init(&b->monitor);
    b->worker.oldest = b->worker.newest = NULL;
    b->worker.batch_count = 0;
    b->worker.flush_seen = b->worker.flush_target = 0;
    b->shared.flush_wanted = b->shared.flush_done = 0;
    b->shared.exporting = false;
    init_schedule(b);
    atomic_store(&b->free_places, (int)b->options.queue_max);
    atomic_store(&b->wake_wanted, false);
    atomic_store(&b->prompt_wanted, false);
    atomic_store(&b->pumping, false);
    if (!b->shared.finished && !b->shared.abandoned && !b->options.no_thread) {
        atomic_store(&b->references, 1); /* the worker's is gone */
        atomic_store(&b->orphaned, true);
    }
    if (b->exporter.after_fork) {
        b->exporter.after_fork(b->exporter.user);
    }
}

static const struct processor_functions functions = {
    .start = start,
    .on_end = on_end,
    .after_end = after_end,
    .force_flush = force_flush,
    .shutdown = shutdown_processor,
    .prompt = prompt,
    .pump = pump,
    .before_fork = before_fork,
    .after_fork_in_parent = after_fork_in_parent,
    .after_fork_in_child = after_fork_in_child,
    .destroy = destroy,
};

struct processor *marline__batch_processor_create(const marline_exporter *exporter,
                                                  const marline_batch_options *options)
{
    struct batch_processor *b = marline__memory_zeroed(sizeof *b);
    struct span_record **records = marline__memory_array(options->batch_max, sizeof(void *));
    marline_span_data *batch = marline__memory_array(options->batch_max, sizeof *batch);
    if (!b || !records || !batch || !marline__monitor_init(&b->monitor)) {
        marline__memory_free(b);
        marline__memory_free(records);
        marline__memory_free(batch);
        if (exporter->destroy) {
            exporter->destroy(exporter->user);
        }
        return NULL;
    }
    b->base.functions = &functions;
    b->exporter = *exporter;
    b->options = *options;
    b->clock = marline__clock_system();
    b->worker.records = records;
    b->worker.batch = batch;
    atomic_init(&b->references, 1);
    atomic_init(&b->free_places, (int)options->queue_max);
    init_schedule(b);
    return &b->base;
}
