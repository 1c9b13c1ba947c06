/* A ring of send times; see pacer.h. */
#include "connector/pacer.h"

#include <string.h>

#include "base/clock.h"

void marline__pacer_limit(struct pacer *p, uint32_t per_second)
{
    memset(p, 0, sizeof *p);
    if (per_second == 0) {
        return;
    }
    uint64_t allowed_times_5 = (uint64_t)per_second * 4; /* 80 % */
    uint64_t burst = allowed_times_5 / 5;
    burst = burst < 1 ? 1 : burst;
    p->burst = burst < PACER_BURST_MAX ? (uint32_t)burst : PACER_BURST_MAX;
    p->window_ns = p->burst * NS_PER_S * 5 / allowed_times_5;
}

void marline__pacer_space(struct pacer *p, uint64_t gap_ns)
{
    memset(p, 0, sizeof *p);
    p->burst = 1;
    p->window_ns = gap_ns;
}

uint64_t marline__pacer_ready_ns(const struct pacer *p)
{
    if (p->burst == 0 || p->count < p->burst) {
        return 0;
    }
    return p->sent_ns[p->next] + p->window_ns; /* `next` is the oldest of a full ring */
}

void marline__pacer_sent(struct pacer *p, uint64_t now_ns)
{
    if (p->burst == 0) {
        return;
    }
    p->sent_ns[p->next] = now_ns;
    p->next = (p->next + 1) % p->burst;
    p->count += p->count < p->burst;
}
