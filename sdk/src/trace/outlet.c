/* Breaker and spool around an exporter; see outlet.h. */
#include "trace/outlet.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

void marline__outlet_init(struct outlet *o, struct spool *spool, uint32_t replay_per_s)
{
    *o = (struct outlet){.spool = spool, .replay_per_s = replay_per_s};
    marline__breaker_init(&o->breaker);
}

static void forget_request(struct outlet *o)
{
    marline__otlp_request_deinit(&o->request);
    o->replaying = false;
}

void marline__outlet_deinit(struct outlet *o)
{
    if (o->replaying) {
        forget_request(o);
    }
    marline__spool_close(o->spool);
    marline__buffer_deinit(&o->oldest.body);
    marline__buffer_deinit(&o->body);
    marline__memory_free(o->flags);
}

/* ---- which spans of an export failed ---- */

bool *marline__outlet_flags(struct outlet *o, size_t count)
{
    if (count > o->flags_max) {
        marline__memory_free(o->flags);
        o->flags = marline__memory_array(count, sizeof *o->flags);
        o->flags_max = o->flags ? count : 0;
    }
    if (o->flags) {
        memset(o->flags, 0, count * sizeof *o->flags);
    }
    return o->flags;
}

bool marline__outlet_flags_tell(const struct outlet *o, size_t count, size_t failed)
{
    size_t told = 0;
    for (size_t i = 0; o->flags && i < count; i++) {
        told += o->flags[i] ? 1 : 0;
    }
    return failed > 0 && told == failed;
}

/* ---- new batches ---- */

bool marline__outlet_holds(const struct outlet *o, bool pressing, uint64_t now_ns)
{
    return !o->spool && !pressing && marline__breaker_retry_ns(&o->breaker) > now_ns;
}

enum outlet_way marline__outlet_way(struct outlet *o, bool pressing, uint64_t now_ns)
{
    if (marline__breaker_begin(&o->breaker, now_ns)) {
        return OUTLET_EXPORT;
    }
    if (o->spool) {
        return OUTLET_SPOOL;
    }
    assert(pressing); /* else it is held */
    (void)pressing;
    marline__breaker_force(&o->breaker);
    return OUTLET_EXPORT;
}

void marline__outlet_note(struct outlet *o, size_t failed, uint64_t now_ns, uint64_t random)
{
    enum breaker_state before = o->breaker.state;
    if (failed == 0) {
        marline__breaker_succeeded(&o->breaker);
    } else {
        marline__breaker_failed(&o->breaker, now_ns, random);
    }
    if (before == BREAKER_CLOSED && o->breaker.state == BREAKER_OPEN) {
        marline__log(LOG_WARN, "spans cannot be delivered: %s, and tried again now and then",
                     o->spool ? "they are spooled" : "they wait in the queue");
    } else if (before == BREAKER_HALF_OPEN && o->breaker.state == BREAKER_CLOSED) {
        marline__log(LOG_INFO, "spans are delivered again");
    }
}

bool marline__outlet_store(struct outlet *o, const marline_span_data *spans, size_t count)
{
    if (!o->spool) {
        return false;
    }
    marline__buffer_clear(&o->body);
    marline__otlp_encode(OTLP_PROTOBUF, spans, count, &o->body);
    bool stored = !o->body.failed &&
                  marline__spool_put(o->spool, marline__buffer_slice(&o->body), (uint32_t)count);
    o->own_expected += stored ? count : 0;
    return stored;
}

/* ---- replay ---- */

uint64_t marline__outlet_replay_ns(const struct outlet *o)
{
    struct spool_counts counts = {0};
    if (o->spool) {
        marline__spool_count(o->spool, &counts);
    }
    if (counts.batches == 0) {
        return o->spool && marline__spool_has_forked(o->spool) ? o->next_adopt_ns : TIME_NEVER;
    }
    uint64_t retry_ns = marline__breaker_retry_ns(&o->breaker);
    return retry_ns > o->next_replay_ns ? retry_ns : o->next_replay_ns;
}

/* True: this batch keeps failing while others get through. */
static bool is_stuck(struct outlet *o)
{
    if (o->stuck_id != o->oldest.id) {
        o->stuck_id = o->oldest.id;
        o->stuck_times = 1;
    } else if (o->stuck_successes != o->breaker.successes) {
        o->stuck_times++;
    }
    o->stuck_successes = o->breaker.successes;
    return o->stuck_times >= OUTLET_STUCK_MAX;
}

/* What became of spans counts here, or for an earlier process. */
static void note_fate(struct outlet *o, const struct outlet_settled *fate,
                      struct outlet_settled *out)
{
    if (o->oldest.is_own) {
        o->own_expected -= fate->exported + fate->rejected + fate->given_up;
        *out = *fate;
        return;
    }
    atomic_fetch_add(&o->recovered, fate->exported);
    atomic_fetch_add(&o->recovered_lost, fate->rejected + fate->given_up);
}

/* Takes the batch out of the spool. */
static void settle(struct outlet *o, const struct outlet_settled *fate, struct outlet_settled *out)
{
    marline__spool_remove(o->spool, &o->oldest);
    note_fate(o, fate, out);
}

static struct outlet_settled fate_of(const struct outlet *o, const marline_export_result *result)
{
    uint64_t spans = o->oldest.spans;
    struct outlet_settled fate = {.exported = result->exported < spans ? result->exported : spans};
    fate.rejected = spans - fate.exported;
    return fate;
}

/* What of a batch got through is not sent again, nor given up with the rest. False: all of it
 * stays. */
static bool settle_in_part(struct outlet *o, const marline_export_result *result,
                           struct outlet_settled *out)
{
    size_t failed = 0;
    if (result->failed == o->request.count ||
        !marline__outlet_flags_tell(o, o->request.count, result->failed)) {
        return false;
    }
    for (size_t i = 0; i < o->request.count; i++) {
        if (o->flags[i]) {
            o->request.spans[failed++] = o->request.spans[i];
        }
    }
    marline__buffer_clear(&o->body);
    marline__otlp_encode(OTLP_PROTOBUF, o->request.spans, failed, &o->body);
    struct outlet_settled fate = {.exported = result->exported};
    fate.rejected = o->oldest.spans - failed - fate.exported;
    if (o->body.failed ||
        !marline__spool_replace(o->spool, &o->oldest, marline__buffer_slice(&o->body),
                                (uint32_t)failed)) {
        return false;
    }
    o->stuck_times = 0; /* it got further */
    note_fate(o, &fate, out);
    return true;
}

/* The pace: so many spans a second, and never a second attempt within a second of a failed one. */
static void pace(struct outlet *o, bool failed, uint64_t now_ns)
{
    uint64_t wait_ns = o->oldest.spans * NS_PER_S / o->replay_per_s;
    o->next_replay_ns = now_ns + (failed && wait_ns < NS_PER_S ? NS_PER_S : wait_ns);
}

/* A batch that cannot be read although its checksum is right is a fault of ours: it would be in the
 * way for ever. What it held is lost, see take_losses. */
static void discard(struct outlet *o)
{
    marline__log(LOG_ERROR, "%u spooled spans cannot be read: %s", o->oldest.spans,
                 o->request.reason);
    atomic_fetch_add(&o->recovered_lost, o->oldest.is_own ? 0 : o->oldest.spans);
    marline__spool_remove(o->spool, &o->oldest);
}

/* From children that ended since. */
static void adopt(struct outlet *o, uint64_t now_ns)
{
    if (o->spool && now_ns >= o->next_adopt_ns && marline__spool_has_forked(o->spool)) {
        o->next_adopt_ns = now_ns + OUTLET_ADOPT_PAUSE_NS;
        marline__spool_adopt(o->spool);
    }
}

size_t marline__outlet_replay_begin(struct outlet *o, uint64_t now_ns,
                                    const marline_span_data **out_spans)
{
    adopt(o, now_ns);
    if (marline__outlet_replay_ns(o) > now_ns) {
        return 0;
    }
    if (!marline__spool_oldest(o->spool, &o->oldest)) { /* memory or the disk fails: not at once */
        o->next_replay_ns = now_ns + NS_PER_S;
        return 0;
    }
    enum otlp_decode code =
        marline__otlp_decode_protobuf(marline__buffer_slice(&o->oldest.body), &o->request);
    o->replaying = true;
    if (code == OTLP_DECODE_OK && o->request.count > 0 &&
        marline__breaker_begin(&o->breaker, now_ns)) {
        *out_spans = o->request.spans;
        return o->request.count;
    }
    if (code == OTLP_DECODE_NO_MEMORY) {
        o->next_replay_ns = now_ns + NS_PER_S;
    } else {
        discard(o);
    }
    forget_request(o);
    return 0;
}

void marline__outlet_replay_end(struct outlet *o, const marline_export_result *result,
                                uint64_t now_ns, uint64_t random, struct outlet_settled *out)
{
    bool failed = result->failed > 0;
    *out = (struct outlet_settled){0};
    marline__outlet_note(o, result->failed, now_ns, random);
    pace(o, failed, now_ns);
    if (!failed) {
        const struct outlet_settled fate = fate_of(o, result);
        settle(o, &fate, out);
    } else if (!settle_in_part(o, result, out) && is_stuck(o)) {
        const struct outlet_settled fate = {.given_up = o->oldest.spans};
        marline__log(LOG_ERROR,
                     "%u spooled spans are given up: they failed again and again while others "
                     "got through: %s",
                     o->oldest.spans, result->reason);
        settle(o, &fate, out);
    }
    forget_request(o);
}

uint64_t marline__outlet_take_losses(struct outlet *o)
{
    struct spool_counts counts = {0};
    if (!o->spool || o->own_expected == 0) {
        return 0;
    }
    marline__spool_count(o->spool, &counts);
    uint64_t lost = o->own_expected > counts.own_spans ? o->own_expected - counts.own_spans : 0;
    o->own_expected -= lost;
    return lost;
}

void marline__outlet_state(const struct outlet *o, marline_spool_state *out)
{
    struct spool_counts counts = {0};
    if (o->spool) {
        marline__spool_count(o->spool, &counts);
    }
    out->waiting_spans += counts.spans;
    out->waiting_bytes += counts.bytes;
    out->damaged_files += counts.set_aside;
    out->recovered += atomic_load(&o->recovered);
    out->recovered_lost += atomic_load(&o->recovered_lost) + counts.lost_spans;
}

/* ---- fork ---- */

void marline__outlet_before_fork(struct outlet *o)
{
    if (o->spool) {
        marline__spool_before_fork(o->spool);
    }
}

void marline__outlet_after_fork_in_parent(struct outlet *o)
{
    if (o->spool) {
        marline__spool_after_fork_in_parent(o->spool);
    }
}

/* Buffers that the parent's worker was filling are lost to the child on purpose. */
void marline__outlet_after_fork_in_child(struct outlet *o)
{
    struct spool *spool = o->spool;
    uint32_t replay_per_s = o->replay_per_s;
    if (spool) {
        marline__spool_after_fork_in_child(spool);
    }
    marline__outlet_init(o, spool, replay_per_s);
}
