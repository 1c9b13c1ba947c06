/* The batch processor's decisions; see batch_schedule.h. */
#include "trace/batch_schedule.h"

#include <assert.h>

#include "base/clock.h"

void marline__batch_schedule_init(struct batch_schedule *s,
                                  const struct batch_schedule_config *config, uint64_t now_ns)
{
    assert(config->queue_max > 0 && config->batch_max > 0 && config->interval_ns > 0);
    *s = (struct batch_schedule){.config = *config, .next_tick_ns = now_ns + config->interval_ns};
    if (s->config.batch_max > s->config.queue_max) {
        s->config.batch_max = s->config.queue_max;
    }
}

static bool is_exporting(const struct batch_schedule *s)
{
    return s->taken != s->done;
}

size_t marline__batch_schedule_add(struct batch_schedule *s, size_t count)
{
    size_t room = s->config.queue_max - marline__batch_schedule_waiting(s);
    size_t accepted = count < room ? count : room;
    s->added += accepted;
    return accepted;
}

static void pass_ticks(struct batch_schedule *s, uint64_t now_ns)
{
    if (now_ns < s->next_tick_ns) {
        return;
    }
    uint64_t passed = (now_ns - s->next_tick_ns) / s->config.interval_ns + 1;
    s->next_tick_ns += passed * s->config.interval_ns;
    s->due = s->added;
}

size_t marline__batch_schedule_take(struct batch_schedule *s, uint64_t now_ns)
{
    if (is_exporting(s)) {
        return 0; /* a tick meanwhile is seen by the first take afterwards */
    }
    pass_ticks(s, now_ns);
    size_t count = marline__batch_schedule_waiting(s);
    if (count < s->config.batch_max) {
        count = s->due > s->taken ? (size_t)(s->due - s->taken) : 0;
    } else {
        count = s->config.batch_max;
    }
    s->taken += count;
    return count;
}

void marline__batch_schedule_done(struct batch_schedule *s)
{
    s->done = s->taken;
}

uint64_t marline__batch_schedule_flush(struct batch_schedule *s)
{
    s->due = s->added;
    return s->added;
}

bool marline__batch_schedule_is_flushed(const struct batch_schedule *s, uint64_t ticket)
{
    return s->done >= ticket;
}

uint64_t marline__batch_schedule_deadline_ns(const struct batch_schedule *s)
{
    return is_exporting(s) ? TIME_NEVER : s->next_tick_ns;
}
