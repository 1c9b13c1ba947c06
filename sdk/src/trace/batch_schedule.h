/* When a batch of spans leaves, and how large it is (otel.md BSP-01 to BSP-06).
 * Only counts and times: no span, clock, thread or queue. The shell (batch_processor.c) tells what
 * was queued and what time it is, exports what take() says, one export at a time, and reports its
 * end.
 *
 * A batch leaves when no export runs and
 *   - batch_max spans wait: one full batch;
 *   - a tick came: all that waited then. Tick k is at init + k * interval, whatever happened
 * before, so that the ticks are predictable; ticks that passed during an export are one tick;
 *   - flush() was called: all that waited then.
 * Nothing waits: nothing leaves (BSP-04). */
#ifndef MARLINE_TRACE_BATCH_SCHEDULE_H
#define MARLINE_TRACE_BATCH_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch_schedule_config {
    size_t queue_max;
    size_t batch_max;
    uint64_t interval_ns;
};

struct batch_schedule {
    struct batch_schedule_config config;
    uint64_t next_tick_ns;
    uint64_t added; /* spans queued since init */
    uint64_t taken; /* of those, handed to an export */
    uint64_t done;  /* of those, whose export returned */
    uint64_t due;   /* queued up to here must leave without waiting for more */
};

/* queue_max, batch_max and interval_ns > 0; a batch_max above queue_max is lowered to it. */
void marline__batch_schedule_init(struct batch_schedule *s,
                                  const struct batch_schedule_config *config, uint64_t now_ns);
/* count spans arrived. Returns how many of them fit into the queue; the rest, the newest, are to be
 * dropped (BSP-03). */
size_t marline__batch_schedule_add(struct batch_schedule *s, size_t count);
/* How many spans to export now, oldest first; 0 = none. Non-zero: call done() afterwards. */
size_t marline__batch_schedule_take(struct batch_schedule *s, uint64_t now_ns);
/* The export returned. */
void marline__batch_schedule_done(struct batch_schedule *s);
/* All that waits is to leave. Returns a ticket for is_flushed. */
uint64_t marline__batch_schedule_flush(struct batch_schedule *s);
bool marline__batch_schedule_is_flushed(const struct batch_schedule *s, uint64_t ticket);
/* When take() may give something next although nothing is added. */
uint64_t marline__batch_schedule_deadline_ns(const struct batch_schedule *s);

static inline size_t marline__batch_schedule_waiting(const struct batch_schedule *s)
{
    return (size_t)(s->added - s->taken);
}

#endif
