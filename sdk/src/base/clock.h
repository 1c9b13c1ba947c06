/* Time as a dependency. State machines take `now` as an argument; shells read it here.
 * Monotonic time orders events and runs timers; wall time (UTC, Unix epoch) goes into records. */
#ifndef MARLINE_BASE_CLOCK_H
#define MARLINE_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull
/* A deadline that never comes. */
#define TIME_NEVER UINT64_MAX

struct clock {
    uint64_t (*monotonic_ns)(void *user);
    uint64_t (*wall_ns)(void *user);
    void *user;
};

/* The operating system's clocks. Any thread. */
const struct clock *marline__clock_system(void);

static inline uint64_t marline__clock_monotonic_ns(const struct clock *c)
{
    return c->monotonic_ns(c->user);
}

static inline uint64_t marline__clock_wall_ns(const struct clock *c)
{
    return c->wall_ns(c->user);
}

#endif
