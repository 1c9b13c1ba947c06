/* The worker pool with contexts; see marline/work.h. The threads are io/worker_pool.h's. */
#include <marline/work.h>

#include "base/memory.h"
#include "io/worker_pool.h"
#include <marline/context.h>

struct marline_pool {
    struct worker_pool *workers;
};

struct context_job {
    struct worker_job job; /* first: the pool hands it back */
    marline_work_fn function;
    void *user;
    marline_context *context; /* counted */
};

static void run(struct worker_job *job, bool canceled)
{
    struct context_job *c = (struct context_job *)job;
    marline_scope scope;
    marline_scope_enter(&scope, c->context);
    c->function(c->user, canceled);
    marline_scope_leave(&scope);
    marline_context_unref(c->context);
    marline__memory_free(c);
}

marline_pool *marline_pool_create(uint32_t threads, uint32_t queue_max)
{
    if (threads == 0 || queue_max == 0) {
        return NULL;
    }
    marline_pool *pool = marline__memory_zeroed(sizeof *pool);
    if (!pool) {
        return NULL;
    }
    pool->workers = marline__worker_pool_create(threads, queue_max);
    if (!pool->workers) {
        marline__memory_free(pool);
        return NULL;
    }
    return pool;
}

marline_status marline_pool_submit(marline_pool *pool, marline_work_fn function, void *user)
{
    if (!pool || !function) {
        return MARLINE_EINVAL;
    }
    struct context_job *c = marline__memory_zeroed(sizeof *c);
    if (!c) {
        return MARLINE_ENOMEM;
    }
    c->job.run = run;
    c->function = function;
    c->user = user;
    c->context = marline_context_current();
    marline_status status = marline__worker_pool_submit(pool->workers, &c->job);
    if (status != MARLINE_OK) {
        marline_context_unref(c->context);
        marline__memory_free(c);
    }
    return status;
}

marline_status marline_pool_destroy(marline_pool *pool, uint64_t timeout_ms)
{
    if (!pool) {
        return MARLINE_OK;
    }
    marline_status status = marline__worker_pool_stop(pool->workers, timeout_ms);
    marline__memory_free(pool);
    return status;
}
