/* The clock of a check. */
#include "agent/check/pace.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

void pace_init(struct pace *p, uint64_t start_ns, uint64_t interval_ns)
{
    *p = (struct pace){.start_ns = start_ns, .interval_ns = interval_ns};
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->stopped_changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

void pace_deinit(struct pace *p)
{
    (void)pthread_cond_destroy(&p->stopped_changed);
    (void)pthread_mutex_destroy(&p->mutex);
}

void pace_stop(struct pace *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    p->is_stopped = true;
    (void)pthread_cond_broadcast(&p->stopped_changed);
    (void)pthread_mutex_unlock(&p->mutex);
}

void pace_restart(struct pace *p, uint64_t start_ns)
{
    (void)pthread_mutex_lock(&p->mutex);
    p->start_ns = start_ns;
    p->is_stopped = false;
    (void)pthread_mutex_unlock(&p->mutex);
}

uint64_t pace_at(const struct pace *p, double position)
{
    return p->start_ns + (uint64_t)(position * (double)p->interval_ns);
}

double pace_now(const struct pace *p)
{
    uint64_t now = marline__clock_monotonic_ns(marline__clock_system());
    return (double)(now - p->start_ns) / (double)p->interval_ns;
}

bool pace_wait(struct pace *p, double position)
{
    uint64_t at = pace_at(p, position);
    struct timespec deadline = {(time_t)(at / NS_PER_S), (long)(at % NS_PER_S)};
    int error = 0;
    (void)pthread_mutex_lock(&p->mutex);
    while (!p->is_stopped && error != ETIMEDOUT) {
        error = pthread_cond_timedwait(&p->stopped_changed, &p->mutex, &deadline);
    }
    bool came = !p->is_stopped;
    (void)pthread_mutex_unlock(&p->mutex);
    return came;
}
