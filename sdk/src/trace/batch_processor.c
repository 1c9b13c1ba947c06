/* The thread shell of the batch processor; see batch_processor.h, batch_schedule.h.
 *
 * Ended spans wait in lanes (shard.h), one stack per thread, which this thread empties when it
 * wakes: on a tick, on a flush, or when a producer finds batch_max places taken. Places in the
 * queue are reserved by lanes in blocks, so that producers meet on the shared counter rarely.
 *
 * What calls the exporter is in batch_exports.c; the threads are described in batch_private.h. */
#include "trace/batch_private.h"

#include <assert.h>
#include <limits.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/signals.h"

enum {
    CREDITS_MAX = 32, /* places that a lane reserves at once */
    /* Blocks only while less than this part of the queue is taken, so that idle threads cannot sit
     * on more; beyond it places go out one by one. */
    HOARD_PART = 4,
    CANCEL_GRACE_MS = 200, /* for an exporter to notice its cancel */
};

void marline__batch_unref(struct batch_processor *b)
{
    if (atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (b->exporter.destroy) {
        b->exporter.destroy(b->exporter.user);
    }
    marline__outlet_deinit(&b->outlet);
    marline__monitor_deinit(&b->monitor);
    marline__memory_free(b->worker.records);
    marline__memory_free(b->worker.batch);
    marline_provider *provider = b->kept_provider;
    marline__memory_free(b);
    if (provider) {
        marline__provider_unref(provider);
    }
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
        struct span_record *next = *marline__batch_next(b, r);
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
        *marline__batch_next(b, r) = newest;
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
        struct span_record *next = *marline__batch_next(b, r);
        *marline__batch_next(b, r) = oldest;
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
        link = marline__batch_next(b, *from);
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
        *marline__batch_next(b, b->worker.newest) = arrived;
    } else {
        b->worker.oldest = arrived;
    }
    while (*marline__batch_next(b, arrived)) {
        arrived = *marline__batch_next(b, arrived);
    }
    b->worker.newest = arrived;
    size_t accepted = marline__batch_schedule_add(&b->worker.schedule, count);
    assert(accepted == count); /* each had a place */
    (void)accepted;
}

/* ---- the worker ---- */

static struct batch_wishes read_wishes(struct batch_processor *b)
{
    marline__monitor_lock(&b->monitor);
    struct batch_wishes w = {.stopping = b->shared.stopping,
                             .pressing = b->shared.flush_pressed > b->shared.flush_done,
                             .stop_deadline_ns = b->shared.stop_deadline_ns,
                             .flush_wanted = b->shared.flush_wanted,
                             .flush_deadline_ns = b->shared.flush_deadline_ns};
    marline__monitor_unlock(&b->monitor);
    return w;
}

static void note_flush(struct batch_processor *b, const struct batch_wishes *wishes)
{
    if (wishes->flush_wanted != b->worker.flush_seen) {
        b->worker.flush_seen = wishes->flush_wanted;
        b->worker.flush_target = marline__batch_schedule_flush(&b->worker.schedule);
    }
}

/* False when the processor was abandoned meanwhile. */
static bool finish_flush(struct batch_processor *b, const struct batch_wishes *wishes)
{
    marline_status status = MARLINE_OK;
    if (!marline__batch_schedule_is_flushed(&b->worker.schedule, b->worker.flush_target)) {
        return true;
    }
    if (!marline__batch_flush_exporter(b, wishes, &status)) {
        return false;
    }
    marline__monitor_lock(&b->monitor);
    if (b->shared.flush_done != b->worker.flush_seen) {
        b->shared.flush_done = b->worker.flush_seen;
        b->shared.flush_status = status;
        marline__monitor_notify(&b->monitor);
    }
    marline__monitor_unlock(&b->monitor);
    return true;
}

/* When there may be something to do although nobody says so. */
static uint64_t next_work_ns(const struct batch_processor *b)
{
    uint64_t now = marline__batch_now_ns(b);
    uint64_t export_ns = marline__outlet_holds(&b->outlet, false, now)
                             ? marline__breaker_retry_ns(&b->outlet.breaker)
                             : marline__batch_schedule_deadline_ns(&b->worker.schedule);
    uint64_t replay_ns = marline__outlet_replay_ns(&b->outlet);
    return export_ns < replay_ns ? export_ns : replay_ns;
}

static void wait_for_work(struct batch_processor *b)
{
    uint64_t deadline_ns = next_work_ns(b);
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
    if (b->worker.oldest && !marline__batch_give_up_queue(b)) {
        marline__monitor_lock(&b->monitor);
        b->shared.cut_short = true;
        marline__monitor_unlock(&b->monitor);
    }
}

enum step {
    STEP_EXPORTED, /* there may be more to do at once */
    STEP_IDLE,
    STEP_END,
};

/* How many spans to export now; 0 = none. */
static size_t take(struct batch_processor *b, const struct batch_wishes *wishes)
{
    uint64_t now = marline__batch_now_ns(b);
    bool pressing = wishes->stopping || wishes->pressing;
    return marline__outlet_holds(&b->outlet, pressing, now)
               ? 0
               : marline__batch_schedule_take(&b->worker.schedule, now);
}

/* One look at lanes, time and wishes. */
static enum step work_once(struct batch_processor *b)
{
    atomic_store_explicit(&b->wake_wanted, false, memory_order_release);
    struct batch_wishes wishes = read_wishes(b);
    drain(
        b); /* after the wishes were read: a flush covers all that ended before it was asked for */
    note_flush(b, &wishes);
    if (wishes.stopping && marline__batch_now_ns(b) >= wishes.stop_deadline_ns) {
        give_up(b);
        return STEP_END;
    }
    size_t count = take(b, &wishes);
    if (count > 0) {
        return marline__batch_export(b, count, &wishes) ? STEP_EXPORTED : STEP_END;
    }
    if (!finish_flush(b, &wishes)) {
        return STEP_END;
    }
    bool abandoned = false;
    if (!wishes.stopping && marline__batch_replay(b, &abandoned)) {
        return STEP_EXPORTED;
    }
    return wishes.stopping || abandoned ? STEP_END : STEP_IDLE;
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
    marline__batch_unref(b);
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
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed); /* it may be abandoned */
    b->pump_deadline_ns = deadline_ns;
    enum step step = STEP_EXPORTED;
    while (step == STEP_EXPORTED && !b->shared.finished) {
        step = work_once(b);
        if (marline__batch_now_ns(b) >= deadline_ns) {
            break;
        }
    }
    if (step == STEP_END) {
        finish(b);
    }
    *out_next_ns = step == STEP_END ? TIME_NEVER : next_work_ns(b);
    marline__monitor_lock(&b->monitor);
    atomic_store_explicit(&b->pumping, false, memory_order_release);
    marline__monitor_notify(&b->monitor); /* a flush or a shutdown takes over */
    marline__monitor_unlock(&b->monitor);
    marline__batch_unref(b);
    return true;
}

/* Locked, without a thread: does the work of a flush, or lets another pump do it, which may have
 * looked before the flush was asked for. */
static void flush_in_caller(struct batch_processor *b, uint64_t ticket, uint64_t deadline_ns)
{
    bool worked = false;
    while (!worked && b->shared.flush_done < ticket && !b->shared.finished) {
        if (atomic_load(&b->pumping)) {
            if (!marline__monitor_wait(&b->monitor, deadline_ns)) {
                return;
            }
            continue;
        }
        uint64_t next_ns;
        marline__monitor_unlock(&b->monitor);
        worked = pump_until(b, deadline_ns, &next_ns);
        marline__monitor_lock(&b->monitor);
    }
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
    b->shared.flush_pressed = ticket;
    if (deadline_ns > b->shared.flush_deadline_ns) {
        b->shared.flush_deadline_ns = deadline_ns;
    }
    marline__monitor_notify(&b->monitor);
    if (b->options.no_thread) {
        flush_in_caller(b, ticket, deadline_ns);
    }
    while (b->shared.flush_done < ticket && !b->shared.finished &&
           marline__monitor_wait(&b->monitor, deadline_ns)) {
    }
    bool done = b->shared.flush_done >= ticket || b->shared.finished;
    marline_status status = b->shared.flush_status;
    marline__monitor_unlock(&b->monitor);
    return done ? status : MARLINE_ETIMEDOUT;
}

static void sweep_all(struct batch_processor *b)
{
    struct lane *lane = atomic_load_explicit(&b->base.provider->lanes, memory_order_acquire);
    for (; lane; lane = lane->next_in_provider) {
        sweep_lane(b, lane);
    }
}

/* The exporter neither returned nor heeded its cancel. What it reads stays as it is, for good;
 * everything else is settled here, because the worker will touch nothing any more. True when
 * nothing was lost. */
static bool abandon(struct batch_processor *b)
{
    bool kept = marline__batch_give_up_export(b);
    drain(b);
    kept &= marline__batch_give_up_queue(b);
    sweep_all(b);
    return kept;
}

/* Locked; the exporter's cancel is called without the lock. */
static void cancel_export(struct batch_processor *b)
{
    if (!b->shared.finished && b->shared.exporting && b->exporter.cancel) {
        marline__monitor_unlock(&b->monitor);
        b->exporter.cancel(b->exporter.user);
        marline__monitor_lock(&b->monitor);
    }
}

/* Locked, after the deadline: true when the worker is at its end, false when it is stuck
 * in the exporter. Outside an export the worker does not block, so that wait needs no limit. */
static bool end_worker(struct batch_processor *b)
{
    cancel_export(b);
    if (!b->shared.finished && b->shared.exporting) {
        (void)wait_flag(b, &b->shared.finished,
                        marline__batch_now_ns(b) + CANCEL_GRACE_MS * NS_PER_MS);
    }
    while (!b->shared.finished && !b->shared.exporting) {
        (void)marline__monitor_wait(&b->monitor, TIME_NEVER);
    }
    return b->shared.finished;
}

/* One that is stuck in the exporter's cancel is left behind like the worker. */
static void end_watch(struct batch_processor *b, bool finished)
{
    if (b->has_watch && finished) {
        pthread_join(b->watch, NULL);
    } else if (b->has_watch) {
        pthread_detach(b->watch);
    }
    b->has_watch = false;
}

/* Locked: true when nobody pumps any more, false when one is stuck in the exporter beyond the
 * deadline. */
static bool end_pump(struct batch_processor *b, uint64_t deadline_ns)
{
    while (atomic_load(&b->pumping) && marline__monitor_wait(&b->monitor, deadline_ns)) {
    }
    if (atomic_load(&b->pumping)) {
        cancel_export(b);
    }
    uint64_t grace_ns = marline__batch_now_ns(b) + CANCEL_GRACE_MS * NS_PER_MS;
    while (atomic_load(&b->pumping) &&
           (!b->shared.exporting || marline__batch_now_ns(b) < grace_ns)) {
        (void)marline__monitor_wait(&b->monitor, b->shared.exporting ? grace_ns : TIME_NEVER);
    }
    return !atomic_load(&b->pumping);
}

/* Locked, without a thread: the caller does the work, once no pump is at it. */
static marline_status shutdown_in_caller(struct batch_processor *b, uint64_t deadline_ns)
{
    bool worked = false;
    bool is_free = true;
    uint64_t next_ns;
    marline__batch_watch_stop(b);
    while (!worked && (is_free = end_pump(b, deadline_ns))) {
        marline__monitor_unlock(&b->monitor);
        worked = pump_until(b, TIME_NEVER, &next_ns); /* work_once itself minds the deadline */
        marline__monitor_lock(&b->monitor);
    }
    b->shared.abandoned = !is_free;
    marline__monitor_notify(&b->monitor);
    bool complete = is_free && !b->shared.cut_short;
    marline__monitor_unlock(&b->monitor);
    if (!is_free) {
        complete = abandon(b);
    }
    end_watch(b, is_free);
    return complete ? MARLINE_OK : MARLINE_ETIMEDOUT;
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
        return shutdown_in_caller(b, deadline_ns);
    }
    (void)wait_flag(b, &b->shared.finished, deadline_ns);
    bool finished = end_worker(b);
    b->shared.abandoned = !finished;
    marline__monitor_notify(&b->monitor);
    bool complete = finished && !b->shared.cut_short;
    marline__monitor_unlock(&b->monitor);
    if (finished) {
        pthread_join(b->thread, NULL);
    } else {
        pthread_detach(b->thread);
        complete = abandon(b);
    }
    end_watch(b, finished);
    return complete ? MARLINE_OK : MARLINE_ETIMEDOUT;
}

static void destroy(struct processor *p)
{
    marline__batch_unref((struct batch_processor *)p);
}

/* ---- creation ---- */

static bool start(struct processor *p)
{
    struct batch_processor *b = (struct batch_processor *)p;
    if (!b->kept_provider) {
        b->kept_provider = p->provider;
        marline__provider_ref(p->provider);
    }
    if (b->options.no_thread) {
        return true;
    }
    if (!marline__batch_watch_start(b)) {
        return false;
    }
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    if (marline__thread_start(&b->thread, run, b) != 0) {
        atomic_fetch_sub_explicit(&b->references, 1, memory_order_relaxed);
        finish(b); /* ends the watch */
        end_watch(b, true);
        return false;
    }
    return true;
}

static void init_schedule(struct batch_processor *b)
{
    struct batch_schedule_config config = {b->options.queue_max, b->options.batch_max,
                                           b->options.interval_ms * NS_PER_MS};
    marline__batch_schedule_init(&b->worker.schedule, &config, marline__batch_now_ns(b));
}

/* The spool first: its lock is held over writes, and nobody waits for it under the monitor. */
static void before_fork(struct processor *p)
{
    struct batch_processor *b = (struct batch_processor *)p;
    marline__outlet_before_fork(&b->outlet);
    marline__monitor_lock(&b->monitor);
}

static void after_fork_in_parent(struct processor *p)
{
    struct batch_processor *b = (struct batch_processor *)p;
    marline__monitor_unlock(&b->monitor);
    marline__outlet_after_fork_in_parent(&b->outlet);
}

static void add_spool_state(const struct processor *p, marline_spool_state *out)
{
    marline__outlet_state(&((const struct batch_processor *)p)->outlet, out);
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
    b->shared.flush_wanted = b->shared.flush_done = b->shared.flush_pressed = 0;
    b->shared.exporting = b->shared.canceling = false;
    b->shared.export_deadline_ns = TIME_NEVER;
    b->has_watch = false;
    marline__outlet_after_fork_in_child(&b->outlet);
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
    .add_spool_state = add_spool_state,
    .before_fork = before_fork,
    .after_fork_in_parent = after_fork_in_parent,
    .after_fork_in_child = after_fork_in_child,
    .destroy = destroy,
};

static void discard_exporter(const marline_exporter *exporter)
{
    if (exporter->destroy) {
        exporter->destroy(exporter->user);
    }
}

static marline_status open_spool(const marline_batch_options *options, bool must_spool,
                                 struct spool **out, marline_error *error)
{
    marline_error cause = {0};
    const struct spool_options spool = {options->spool_path, options->spool_bytes_max};
    *out = NULL;
    if (!options->spool_path || !options->spool_path[0]) {
        return MARLINE_OK;
    }
    marline_status status = marline__spool_open(&spool, out, &cause);
    if (status != MARLINE_OK && !must_spool) {
        marline__log(LOG_WARN, "MARLINE_SPOOL: %s; spans are not spooled", cause.text);
        return MARLINE_OK;
    }
    if (status != MARLINE_OK && error) {
        *error = cause;
    }
    return status;
}

static struct batch_processor *allocate(const marline_batch_options *options)
{
    struct batch_processor *b = marline__memory_zeroed(sizeof *b);
    struct span_record **records = marline__memory_array(options->batch_max, sizeof(void *));
    marline_span_data *batch = marline__memory_array(options->batch_max, sizeof *batch);
    if (!b || !records || !batch || !marline__monitor_init(&b->monitor)) {
        marline__memory_free(b);
        marline__memory_free(records);
        marline__memory_free(batch);
        return NULL;
    }
    b->worker.records = records;
    b->worker.batch = batch;
    return b;
}

marline_status marline__batch_processor_create(const marline_exporter *exporter,
                                               const marline_batch_options *options,
                                               bool must_spool, struct processor **out,
                                               marline_error *error)
{
    struct spool *spool = NULL;
    marline_status status = open_spool(options, must_spool, &spool, error);
    struct batch_processor *b = status == MARLINE_OK ? allocate(options) : NULL;
    if (!b) {
        marline__spool_close(spool);
        discard_exporter(exporter);
        if (status == MARLINE_OK && error) {
            *error = (marline_error){MARLINE_ENOMEM, "out of memory for a batch processor"};
        }
        return status == MARLINE_OK ? MARLINE_ENOMEM : status;
    }
    b->base.functions = &functions;
    b->exporter = *exporter;
    b->options = *options;
    b->options.spool_path = NULL; /* was borrowed */
    b->clock = marline__clock_system();
    marline__outlet_init(&b->outlet, spool, options->spool_spans_per_s);
    b->shared.export_deadline_ns = TIME_NEVER;
    atomic_init(&b->references, 1);
    atomic_init(&b->free_places, (int)options->queue_max);
    init_schedule(b);
    *out = &b->base;
    return MARLINE_OK;
}
