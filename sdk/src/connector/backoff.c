/* Full jitter; see backoff.h. */
#include "connector/backoff.h"

#include "base/clock.h"

uint64_t marline__backoff_next(struct backoff *b, uint64_t random)
{
    uint64_t bound = b->first_ns;
    for (uint32_t i = 0; i < b->failures && bound < b->max_ns; i++) {
        bound *= 2;
    }
    bound = bound < b->max_ns ? bound : b->max_ns;
    b->failures += b->failures < UINT32_MAX;
    return BACKOFF_FLOOR_MS * NS_PER_MS + (bound ? random % bound : 0);
}

void marline__backoff_reset(struct backoff *b)
{
    b->failures = 0;
}
