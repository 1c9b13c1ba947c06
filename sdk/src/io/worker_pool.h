/* A bounded queue served by a few threads, for work that may block: handlers, databases.
 *
 * Threads are started as they are needed, up to a limit. Jobs start in the order of submission. Any
 * thread may submit. A job is embedded in what it works on and belongs to the pool from submit to
 * its one call. */
#ifndef MARLINE_IO_WORKER_POOL_H
#define MARLINE_IO_WORKER_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include <marline/status.h>

struct worker_job {
    struct list node;
    /* Called exactly once. `canceled`: the pool stopped before the job began, and the call comes
     * from the thread that stops. May free the job. */
    void (*run)(struct worker_job *job, bool canceled);
};

struct worker_pool;

/* threads_max and queue_max are above 0. NULL when out of memory. */
struct worker_pool *marline__worker_pool_create(uint32_t threads_max, uint32_t queue_max);
/* MARLINE_EFULL: queue_max jobs wait. MARLINE_ESTATE: stopped. MARLINE_EIO: no thread could be
 * started. The job is untouched then. */
marline_status marline__worker_pool_submit(struct worker_pool *pool, struct worker_job *job);
/* Closes the intake, calls what waits with `canceled`, waits for running jobs, and frees the pool.
 * MARLINE_ETIMEDOUT: some job still runs; its thread goes on by itself, and the last one frees the
 * pool. NULL is allowed. Must not be called from a job. */
marline_status marline__worker_pool_stop(struct worker_pool *pool, uint64_t timeout_ms);

#endif
