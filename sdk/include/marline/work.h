/* A few threads for the program's own work, which take the context along: what a job traces belongs
 * to the span and the test that were current when it was submitted. Any thread. */
#ifndef MARLINE_WORK_H
#define MARLINE_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include <marline/status.h>

MARLINE_BEGIN_DECLS

/* A pool of threads. */
typedef struct marline_pool marline_pool;

/* Called exactly once per submitted job, under the submitter's context. `canceled`: the pool
 * stopped before the job began, and the call comes from the thread that stops. */
typedef void (*marline_work_fn)(void *user, bool canceled);

/* Returns owned. threads and queue_max (jobs that wait) are at least 1. NULL: out of memory, or 0.
 */
MARLINE_API marline_pool *marline_pool_create(uint32_t threads, uint32_t queue_max);
/* MARLINE_EFULL: queue_max jobs wait. MARLINE_ENOMEM, MARLINE_EIO: no memory, no thread. On failure
 * the function is not called. */
MARLINE_API marline_status marline_pool_submit(marline_pool *pool, marline_work_fn function,
                                               void *user);
/* Cancels what waits, waits for what runs, and frees. MARLINE_ETIMEDOUT: a job still runs; its
 * thread goes on by itself. NULL is allowed. Not to be called from a job. */
MARLINE_API marline_status marline_pool_destroy(marline_pool *pool, uint64_t timeout_ms);

MARLINE_END_DECLS
#endif
