/* The operating system's clocks. */
#include "base/clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t system_monotonic(void *user)
{
    (void)user;
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t system_wall(void *user)
{
    (void)user;
    return read_clock(CLOCK_REALTIME);
}

const struct clock *marline__clock_system(void)
{
    static const struct clock system = {system_monotonic, system_wall, NULL};
    return &system;
}
