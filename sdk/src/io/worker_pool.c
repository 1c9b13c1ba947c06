/* A pool is counted: one reference for its owner, one for each thread, so that a job that outlives
 * the deadline of stop never touches freed memory. Threads are detached for the same reason. */
#include "io/worker_pool.h"

#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/signals.h"

struct worker_pool {
    uint32_t threads_max;
    uint32_t queue_max;
    pthread_mutex_t lock;
    pthread_cond_t work;  /* a job waits, or the pool stops */
    pthread_cond_t ended; /* a thread is gone */
    struct list queue;
    uint32_t queued;
    uint32_t threads;
    uint32_t idle;
    bool stopping;
    bool owned; /* false once stop has returned */
};

static void free_pool(struct worker_pool *pool)
{
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    marline__memory_free(pool);
}

struct worker_pool *marline__worker_pool_create(uint32_t threads_max, uint32_t queue_max)
{
    struct worker_pool *pool = marline__memory_zeroed(sizeof *pool);
    if (!pool) {
        return NULL;
    }
    pool->threads_max = threads_max;
    pool->queue_max = queue_max;
    pool->owned = true;
    marline__list_init(&pool->queue);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, &monotonic);
    pthread_cond_init(&pool->ended, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return pool;
}

/* Waits for a job; NULL when the pool stops. With the lock held. */
static struct worker_job *take_job(struct worker_pool *pool)
{
    pool->idle++;
    while (!pool->stopping && marline__list_is_empty(&pool->queue)) {
        pthread_cond_wait(&pool->work, &pool->lock);
    }
    pool->idle--;
    struct list *node = pool->stopping ? NULL : marline__list_pop_front(&pool->queue);
    if (!node) {
        return NULL;
    }
    pool->queued--;
    return LIST_ENTRY(node, struct worker_job, node);
}

static void *serve(void *user)
{
    struct worker_pool *pool = user;
    pthread_mutex_lock(&pool->lock);
    struct worker_job *job;
    while ((job = take_job(pool)) != NULL) {
        pthread_mutex_unlock(&pool->lock);
        job->run(job, false);
        pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    bool last = pool->threads == 0 && !pool->owned;
    pthread_cond_broadcast(&pool->ended);
    pthread_mutex_unlock(&pool->lock);
    if (last) {
        free_pool(pool);
    }
    return NULL;
}

static bool start_thread(struct worker_pool *pool)
{
    pthread_t thread;
    bool started = marline__thread_start(&thread, serve, pool) == 0;
    if (started) {
        pthread_detach(thread);
    }
    return started;
}

marline_status marline__worker_pool_submit(struct worker_pool *pool, struct worker_job *job)
{
    marline_status status = MARLINE_OK;
    pthread_mutex_lock(&pool->lock);
    if (pool->stopping) {
        status = MARLINE_ESTATE;
    } else if (pool->queued >= pool->queue_max) {
        status = MARLINE_EFULL;
    } else if (pool->idle <= pool->queued && pool->threads < pool->threads_max) {
        if (start_thread(pool)) {
            pool->threads++;
        } else if (pool->threads == 0) {
            status = MARLINE_EIO;
        }
    }
    if (status == MARLINE_OK) {
        marline__list_push_back(&pool->queue, &job->node);
        pool->queued++;
        pthread_cond_signal(&pool->work);
    }
    pthread_mutex_unlock(&pool->lock);
    return status;
}

static struct timespec deadline_after(uint64_t timeout_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    const uint64_t year_ms = 366ull * 86400 * 1000;
    uint64_t bounded = timeout_ms < year_ms ? timeout_ms : year_ms;
    uint64_t ns = (uint64_t)at.tv_nsec + bounded % 1000 * NS_PER_MS;
    at.tv_sec += (time_t)(bounded / 1000 + ns / NS_PER_S);
    at.tv_nsec = (long)(ns % NS_PER_S);
    return at;
}

marline_status marline__worker_pool_stop(struct worker_pool *pool, uint64_t timeout_ms)
{
    if (!pool) {
        return MARLINE_OK;
    }
    struct timespec deadline = deadline_after(timeout_ms);
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    struct list *node;
    while ((node = marline__list_pop_front(&pool->queue)) != NULL) {
        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        struct worker_job *job = LIST_ENTRY(node, struct worker_job, node);
        job->run(job, true);
        pthread_mutex_lock(&pool->lock);
    }
    int waited = 0;
    while (pool->threads > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&pool->ended, &pool->lock, &deadline);
    }
    pool->owned = false;
    uint32_t left = pool->threads;
    pthread_mutex_unlock(&pool->lock);
    if (left > 0) {
        marline__log(LOG_WARN, "%u worker(s) still run after %llu ms; they are left to end alone",
                     left, (unsigned long long)timeout_ms);
        return MARLINE_ETIMEDOUT;
    }
    free_pool(pool);
    return MARLINE_OK;
}
