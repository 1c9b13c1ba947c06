/* The arrows of the circuit breaker; see breaker.h. */
#include "trace/breaker.h"

void marline__breaker_init(struct breaker *b)
{
    *b = (struct breaker){.state = BREAKER_CLOSED};
}

bool marline__breaker_begin(struct breaker *b, uint64_t now_ns)
{
    if (b->state == BREAKER_OPEN && now_ns >= b->retry_ns) {
        b->state = BREAKER_HALF_OPEN;
        return true;
    }
    return b->state == BREAKER_CLOSED;
}

void marline__breaker_force(struct breaker *b)
{
    if (b->state == BREAKER_OPEN) {
        b->state = BREAKER_HALF_OPEN;
    }
}

void marline__breaker_succeeded(struct breaker *b)
{
    b->state = BREAKER_CLOSED;
    b->failures = 0;
    b->pause_ns = 0;
    b->successes++;
}

static void open_for_longer(struct breaker *b, uint64_t now_ns, uint64_t random)
{
    uint64_t pause_ns = b->pause_ns ? 2 * b->pause_ns : BREAKER_PAUSE_FIRST_NS;
    b->pause_ns = pause_ns < BREAKER_PAUSE_MAX_NS ? pause_ns : BREAKER_PAUSE_MAX_NS;
    uint64_t half_ns = b->pause_ns / 2;
    b->retry_ns = now_ns + half_ns + random % (half_ns + 1);
    b->state = BREAKER_OPEN;
    b->failures = 0;
}

void marline__breaker_failed(struct breaker *b, uint64_t now_ns, uint64_t random)
{
    if (b->state == BREAKER_HALF_OPEN || ++b->failures >= BREAKER_FAILURES_MAX) {
        open_for_longer(b, now_ns, random);
    }
}

uint64_t marline__breaker_retry_ns(const struct breaker *b)
{
    switch (b->state) {
    case BREAKER_OPEN:
        return b->retry_ns;
    case BREAKER_HALF_OPEN:
        return TIME_NEVER;
    case BREAKER_CLOSED:
        break;
    }
    return 0;
}
