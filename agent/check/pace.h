/* The clock of a check: positions are export intervals, counted from the exporter's first tick. Any
 * thread may wait; stop ends every wait. */
#ifndef AGENT_CHECK_PACE_H
#define AGENT_CHECK_PACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t start_ns; /* tick 0, on the monotonic clock */
    uint64_t interval_ns;
    pthread_mutex_t mutex;
    pthread_cond_t stopped_changed;
    bool is_stopped; /* under the mutex */
};

void pace_init(struct pace *p, uint64_t start_ns, uint64_t interval_ns);
void pace_deinit(struct pace *p);
/* Ends every wait, now and later. */
void pace_stop(struct pace *p);

/* Tick 0 is at another time from now on: the exporter was started again. Nobody may be waiting. */
void pace_restart(struct pace *p, uint64_t start_ns);

/* On the monotonic clock. */
uint64_t pace_at(const struct pace *p, double position);
double pace_now(const struct pace *p);
/* False when stopped before the time came. */
bool pace_wait(struct pace *p, double position);

#endif
