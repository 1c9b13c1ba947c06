/* A mutex with a condition whose deadlines are monotonic times. */
#ifndef MARLINE_TRACE_MONITOR_H
#define MARLINE_TRACE_MONITOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct monitor {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

/* False: the system has no more of them. */
bool marline__monitor_init(struct monitor *m);
void marline__monitor_deinit(struct monitor *m);

static inline void marline__monitor_lock(struct monitor *m)
{
    pthread_mutex_lock(&m->mutex);
}

static inline void marline__monitor_unlock(struct monitor *m)
{
    pthread_mutex_unlock(&m->mutex);
}

/* Wakes all waiters. */
static inline void marline__monitor_notify(struct monitor *m)
{
    pthread_cond_broadcast(&m->changed);
}

/* Locked: waits for a notify, a spurious one included; false when the deadline has passed.
 * TIME_NEVER waits without one. */
bool marline__monitor_wait(struct monitor *m, uint64_t deadline_ns);

#endif
