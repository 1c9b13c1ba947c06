/* Everything of the batch processor that calls the exporter: exports, the watch over them, replays
 * of the spool, and what became of each span. See batch_private.h.
 *
 * The watch (BSP-05): an exporter that can be cancelled, and does not say that it keeps its
 * timeout, has a thread that cancels an export which lasts longer than that and a grace. Thread:
 * the worker, where nothing else is said. */
#include "trace/batch_private.h"

#include <stdio.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/signals.h"

enum { WATCH_GRACE_MS = 250 }; /* an exporter that keeps its timeout is not cancelled for a hair */

static uint64_t random_bits(void)
{
    return marline__random_u64(marline__random_system());
}

/* ---- calling the exporter ---- */

static uint64_t min_time(uint64_t one, uint64_t two)
{
    return one < two ? one : two;
}

static uint64_t left_ms(const struct batch_processor *b, uint64_t deadline_ns)
{
    uint64_t now = marline__batch_now_ns(b);
    return now < deadline_ns ? (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS : 1;
}

/* Of one export; 0 = no limit (ENV-04). */
static uint64_t export_timeout_ms(const struct batch_processor *b,
                                  const struct batch_wishes *wishes)
{
    uint64_t limit = b->options.export_timeout_ms;
    uint64_t deadline_ns = wishes && wishes->stopping ? wishes->stop_deadline_ns : TIME_NEVER;
    if (b->options.no_thread) { /* whose thread it is has no more time than that */
        deadline_ns = min_time(deadline_ns, b->pump_deadline_ns);
    }
    if (deadline_ns == TIME_NEVER) {
        return limit;
    }
    uint64_t left = left_ms(b, deadline_ns);
    return limit == 0 ? left : min_time(left, limit);
}

static void enter_exporter(struct batch_processor *b, uint64_t timeout_ms)
{
    marline__monitor_lock(&b->monitor);
    b->shared.exporting = true;
    b->shared.export_deadline_ns =
        timeout_ms ? marline__batch_now_ns(b) + (timeout_ms + WATCH_GRACE_MS) * NS_PER_MS
                   : TIME_NEVER;
    if (b->has_watch || b->shared.stopping) {
        marline__monitor_notify(&b->monitor);
    }
    marline__monitor_unlock(&b->monitor);
}

/* False when abandoned. A cancel that is under way is waited for: it is meant for this export. */
static bool leave_exporter(struct batch_processor *b)
{
    marline__monitor_lock(&b->monitor);
    while (b->shared.canceling) {
        (void)marline__monitor_wait(&b->monitor, TIME_NEVER);
    }
    b->shared.exporting = false;
    b->shared.export_deadline_ns = TIME_NEVER;
    bool abandoned = b->shared.abandoned;
    marline__monitor_notify(&b->monitor);
    marline__monitor_unlock(&b->monitor);
    return !abandoned;
}

static bool call_export(struct batch_processor *b, const marline_span_data *spans, size_t count,
                        const struct batch_wishes *wishes, marline_export_result *out)
{
    uint64_t timeout_ms = export_timeout_ms(b, wishes);
    out->is_failed = marline__outlet_flags(&b->outlet, count);
    enter_exporter(b, timeout_ms);
    b->exporter.export_spans(b->exporter.user, spans, count, timeout_ms, out);
    return leave_exporter(b);
}

bool marline__batch_flush_exporter(struct batch_processor *b, const struct batch_wishes *wishes,
                                   marline_status *out)
{
    *out = MARLINE_OK;
    if (!b->exporter.force_flush || !wishes->pressing) {
        return true;
    }
    uint64_t deadline_ns = wishes->stopping ? wishes->stop_deadline_ns : wishes->flush_deadline_ns;
    uint64_t timeout_ms = left_ms(b, deadline_ns);
    enter_exporter(b, timeout_ms);
    *out = b->exporter.force_flush(b->exporter.user, timeout_ms);
    return leave_exporter(b);
}

static void *watch(void *user)
{
    struct batch_processor *b = user;
    marline__monitor_lock(&b->monitor);
    while (!b->shared.finished && !b->shared.abandoned) {
        uint64_t deadline_ns = b->shared.exporting ? b->shared.export_deadline_ns : TIME_NEVER;
        (void)marline__monitor_wait(&b->monitor, deadline_ns);
        if (b->shared.exporting && marline__batch_now_ns(b) >= b->shared.export_deadline_ns) {
            b->shared.export_deadline_ns = TIME_NEVER; /* once for an export */
            b->shared.canceling = true;
            marline__monitor_unlock(&b->monitor);
            marline__log(LOG_WARN, "an export exceeds its timeout and is cancelled");
            b->exporter.cancel(b->exporter.user);
            marline__monitor_lock(&b->monitor);
            b->shared.canceling = false;
            marline__monitor_notify(&b->monitor);
        }
    }
    marline__monitor_unlock(&b->monitor);
    marline__batch_unref(b);
    return NULL;
}

/* False: it cannot be started. */
static bool start_watch(struct batch_processor *b)
{
    if (!b->exporter.cancel || b->exporter.keeps_timeout) {
        return true;
    }
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
    b->has_watch = marline__thread_start(&b->watch, watch, b) == 0;
    if (!b->has_watch) {
        atomic_fetch_sub_explicit(&b->references, 1, memory_order_relaxed);
    }
    return b->has_watch;
}

bool marline__batch_watch_start(struct batch_processor *b)
{
    b->has_watch = false;
    return b->options.no_thread || b->options.export_timeout_ms == 0 || start_watch(b);
}

void marline__batch_watch_stop(struct batch_processor *b)
{
    if (!start_watch(b)) {
        marline__log(LOG_WARN, "no thread for a shutdown: it lasts as long as the exporter does");
    }
}

/* ---- what became of spans ---- */

static void pop_batch(struct batch_processor *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct span_record *r = b->worker.oldest;
        b->worker.oldest = *marline__batch_next(b, r);
        b->worker.records[i] = r;
        b->worker.batch[i] = r->data;
    }
    if (!b->worker.oldest) {
        b->worker.newest = NULL;
    }
    b->worker.batch_count = count;
    atomic_fetch_add_explicit(&b->free_places, (int)count, memory_order_release);
}

/* What the spool has lost to damage is not spooled any more. */
static void note_losses(struct batch_processor *b)
{
    uint64_t lost = marline__outlet_take_losses(&b->outlet);
    if (lost > 0) {
        marline__provider_unspool(b->base.provider, lost, FATE_DROPPED + MARLINE_DROP_TIMEOUT);
    }
}

/* Brings the spans that failed to the front of the batch, and their records with them. Returns how
 * many there are to spool: all of them when the exporter did not say which. */
static size_t put_failed_first(struct batch_processor *b, size_t count, size_t failed)
{
    if (!marline__outlet_flags_tell(&b->outlet, count, failed)) {
        return failed > 0 ? count : 0;
    }
    size_t front = 0;
    for (size_t i = 0; i < count; i++) {
        if (b->outlet.flags[i]) {
            struct span_record *record = b->worker.records[i];
            b->worker.records[i] = b->worker.records[front];
            b->worker.records[front] = record;
            b->worker.batch[front] = record->data;
            front++;
        }
    }
    return front;
}

static void release_batch(struct batch_processor *b, const marline_export_result *result)
{
    size_t count = b->worker.batch_count;
    size_t exported = min_time(result->exported, count);
    size_t rejected = min_time(result->rejected, count - exported);
    size_t failed = count - exported - rejected;
    size_t kept = put_failed_first(b, count, failed);
    bool spooled = kept > 0 && marline__outlet_store(&b->outlet, b->worker.batch, kept);
    unsigned failure = b->outlet.spool ? MARLINE_DROP_SPOOL_FULL : MARLINE_DROP_TIMEOUT;
    for (size_t i = 0; i < count; i++) {
        unsigned fate = spooled && i < kept     ? (unsigned)FATE_SPOOLED
                        : i < failed            ? FATE_DROPPED + failure
                        : i < failed + exported ? (unsigned)FATE_EXPORTED
                                                : FATE_DROPPED + MARLINE_DROP_REJECTED;
        marline__provider_release(b->worker.records[i], fate);
    }
    b->worker.batch_count = 0;
    note_losses(b);
    if (spooled) {
        marline__log(LOG_INFO, "%zu spans are spooled: %s", kept, result->reason);
    }
    size_t lost = !spooled ? count - exported : kept < count ? rejected : 0;
    if (lost > 0) {
        marline__log(LOG_WARN, "%zu of %zu spans were not exported: %s", lost, count,
                     result->reason[0] ? result->reason : "the exporter gave no reason");
        marline__monitor_lock(&b->monitor);
        b->shared.cut_short |= b->shared.stopping;
        marline__monitor_unlock(&b->monitor);
    }
}

bool marline__batch_export(struct batch_processor *b, size_t count,
                           const struct batch_wishes *wishes)
{
    marline_export_result result = {0};
    bool pressing = wishes->stopping || wishes->pressing;
    pop_batch(b, count);
    if (marline__outlet_way(&b->outlet, pressing, marline__batch_now_ns(b)) == OUTLET_EXPORT) {
        if (!call_export(b, b->worker.batch, count, wishes, &result)) {
            return false;
        }
        size_t settled = result.exported + result.rejected;
        marline__outlet_note(&b->outlet, settled < count ? count - settled : 0,
                             marline__batch_now_ns(b), random_bits());
    } else {
        (void)snprintf(result.reason, sizeof result.reason, "the receiver is being left alone");
    }
    release_batch(b, &result);
    marline__batch_schedule_done(&b->worker.schedule);
    return true;
}

/* ---- the spool ---- */

bool marline__batch_replay(struct batch_processor *b, bool *out_abandoned)
{
    const marline_span_data *spans = NULL;
    marline_export_result result = {0};
    *out_abandoned = false;
    size_t count = marline__outlet_replay_begin(&b->outlet, marline__batch_now_ns(b), &spans);
    note_losses(b);
    if (count == 0) {
        return false;
    }
    if (!call_export(b, spans, count, NULL, &result)) {
        *out_abandoned = true;
        return false;
    }
    size_t settled = result.exported + result.rejected;
    result.failed = settled < count ? count - settled : 0;
    struct outlet_settled fate;
    marline__outlet_replay_end(&b->outlet, &result, marline__batch_now_ns(b), random_bits(), &fate);
    marline__provider_unspool(b->base.provider, fate.exported, FATE_EXPORTED);
    marline__provider_unspool(b->base.provider, fate.rejected,
                              FATE_DROPPED + MARLINE_DROP_REJECTED);
    marline__provider_unspool(b->base.provider, fate.given_up, FATE_DROPPED + MARLINE_DROP_TIMEOUT);
    return true;
}

/* Moves up to batch_max queued spans into the spool; `batch` may be NULL, then they are dropped. */
static bool give_up_some(struct batch_processor *b, marline_span_data *batch)
{
    struct span_record *first = b->worker.oldest;
    struct span_record *r = first;
    size_t count = 0;
    for (; r && count < b->options.batch_max; r = *marline__batch_next(b, r), count++) {
        if (batch) {
            batch[count] = r->data;
        }
    }
    b->worker.oldest = r;
    bool stored = batch && marline__outlet_store(&b->outlet, batch, count);
    unsigned fate = stored            ? (unsigned)FATE_SPOOLED
                    : b->outlet.spool ? FATE_DROPPED + MARLINE_DROP_SPOOL_FULL
                                      : FATE_DROPPED + MARLINE_DROP_SHUTDOWN;
    for (r = first; count > 0; count--) {
        struct span_record *next = *marline__batch_next(b, r);
        marline__provider_release(r, fate);
        r = next;
    }
    return stored;
}

bool marline__batch_give_up_queue(struct batch_processor *b)
{
    bool kept = true;
    /* Its own, because an exporter that does not return reads the worker's. */
    marline_span_data *batch = b->outlet.spool && b->worker.oldest
                                   ? marline__memory_array(b->options.batch_max, sizeof *batch)
                                   : NULL;
    while (b->worker.oldest) {
        kept &= give_up_some(b, batch);
    }
    b->worker.newest = NULL;
    marline__memory_free(batch);
    note_losses(b);
    return kept;
}

bool marline__batch_give_up_export(struct batch_processor *b)
{
    size_t count = b->worker.batch_count;
    bool stored = count > 0 && marline__outlet_store(&b->outlet, b->worker.batch, count);
    for (size_t i = 0; i < count; i++) {
        marline__provider_forfeit(b->worker.records[i], stored
                                                            ? (unsigned)FATE_SPOOLED
                                                            : FATE_DROPPED + MARLINE_DROP_TIMEOUT);
    }
    marline__log(LOG_ERROR, "an exporter did not return: %zu spans of its batch are %s", count,
                 stored ? "spooled" : "given up");
    /* Without a batch it is stuck in a replay, which loses nothing, or in its own flush. */
    return stored || (count == 0 && b->outlet.replaying);
}
