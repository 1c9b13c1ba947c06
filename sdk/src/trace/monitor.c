/* Mutex and condition under the monotonic clock; see monitor.h. */
#include "trace/monitor.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

bool marline__monitor_init(struct monitor *m)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool ok = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(&m->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (ok && pthread_mutex_init(&m->mutex, NULL) != 0) {
        pthread_cond_destroy(&m->changed);
        ok = false;
    }
    return ok;
}

void marline__monitor_deinit(struct monitor *m)
{
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->mutex);
}

bool marline__monitor_wait(struct monitor *m, uint64_t deadline_ns)
{
    if (deadline_ns == TIME_NEVER) {
        pthread_cond_wait(&m->changed, &m->mutex);
        return true;
    }
    struct timespec until = {(time_t)(deadline_ns / NS_PER_S), (long)(deadline_ns % NS_PER_S)};
    return pthread_cond_timedwait(&m->changed, &m->mutex, &until) != ETIMEDOUT;
}
