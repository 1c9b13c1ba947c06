/* The worker pool: each job once, bounded, in order, and a stop that never waits for ever. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/worker_pool.h"

enum { LONG_MS = 10000 };

/* Jobs that wait at a gate. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int started;
    int done;
    int canceled;
    int order[16];
};

struct gated_job {
    struct worker_job job;
    struct gate *gate;
    int number;
};

static void run_gated(struct worker_job *job, bool canceled)
{
    struct gated_job *j = LIST_ENTRY(&job->node, struct gated_job, job.node);
    struct gate *gate = j->gate;
    pthread_mutex_lock(&gate->lock);
    if (canceled) {
        gate->canceled++;
    } else {
        gate->order[gate->started++] = j->number;
        pthread_cond_broadcast(&gate->changed);
        while (!gate->open) {
            pthread_cond_wait(&gate->changed, &gate->lock);
        }
        gate->done++;
        pthread_cond_broadcast(&gate->changed);
    }
    pthread_mutex_unlock(&gate->lock);
}

static void gate_open(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void gate_wait(struct gate *gate, const int *counter, int value)
{
    pthread_mutex_lock(&gate->lock);
    while (*counter < value) {
        pthread_cond_wait(&gate->changed, &gate->lock);
    }
    pthread_mutex_unlock(&gate->lock);
}

static int set_up(void **state)
{
    struct gate *gate = calloc(1, sizeof *gate);
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
    *state = gate;
    return 0;
}

static int tear_down(void **state)
{
    struct gate *gate = *state;
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
    free(gate);
    return 0;
}

static void given_four_threads_when_four_jobs_then_all_run_at_once(void **state)
{
    struct gate *gate = *state;
    struct worker_pool *pool = marline__worker_pool_create(4, 4);
    struct gated_job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct gated_job){.job.run = run_gated, .gate = gate, .number = i};
        assert_int_equal(marline__worker_pool_submit(pool, &jobs[i].job), MARLINE_OK);
    }
    gate_wait(gate, &gate->started, 4);
    gate_open(gate);
    gate_wait(gate, &gate->done, 4);
    assert_int_equal(marline__worker_pool_stop(pool, LONG_MS), MARLINE_OK);
}

static void given_one_thread_when_several_jobs_then_in_order(void **state)
{
    struct gate *gate = *state;
    gate->open = true;
    struct worker_pool *pool = marline__worker_pool_create(1, 16);
    struct gated_job jobs[16];
    for (int i = 0; i < 16; i++) {
        jobs[i] = (struct gated_job){.job.run = run_gated, .gate = gate, .number = i};
        assert_int_equal(marline__worker_pool_submit(pool, &jobs[i].job), MARLINE_OK);
    }
    gate_wait(gate, &gate->done, 16);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(gate->order[i], i);
    }
    assert_int_equal(marline__worker_pool_stop(pool, LONG_MS), MARLINE_OK);
}

static void given_full_queue_when_submit_then_refused_untouched(void **state)
{
    struct gate *gate = *state;
    struct worker_pool *pool = marline__worker_pool_create(1, 2);
    struct gated_job jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = (struct gated_job){.job.run = run_gated, .gate = gate, .number = i};
    }
    assert_int_equal(marline__worker_pool_submit(pool, &jobs[0].job), MARLINE_OK);
    gate_wait(gate, &gate->started, 1);
    assert_int_equal(marline__worker_pool_submit(pool, &jobs[1].job), MARLINE_OK);
    assert_int_equal(marline__worker_pool_submit(pool, &jobs[2].job), MARLINE_OK);
    assert_int_equal(marline__worker_pool_submit(pool, &jobs[3].job), MARLINE_EFULL);
    gate_open(gate);
    gate_wait(gate, &gate->done, 3);
    assert_int_equal(marline__worker_pool_stop(pool, LONG_MS), MARLINE_OK);
    assert_int_equal(gate->started, 3);
}

static void given_waiting_jobs_when_stop_then_each_is_called_canceled(void **state)
{
    struct gate *gate = *state;
    struct worker_pool *pool = marline__worker_pool_create(1, 4);
    struct gated_job jobs[3];
    for (int i = 0; i < 3; i++) {
        jobs[i] = (struct gated_job){.job.run = run_gated, .gate = gate, .number = i};
        assert_int_equal(marline__worker_pool_submit(pool, &jobs[i].job), MARLINE_OK);
    }
    gate_wait(gate, &gate->started, 1);
    assert_int_equal(marline__worker_pool_stop(pool, 0), MARLINE_ETIMEDOUT);
    assert_int_equal(gate->canceled, 2);
    gate_open(gate); /* the abandoned thread ends, and frees the pool */
    gate_wait(gate, &gate->done, 1);
}

static void given_idle_pool_when_stop_then_ok(void **state)
{
    (void)state;
    assert_int_equal(marline__worker_pool_stop(marline__worker_pool_create(3, 3), 0), MARLINE_OK);
    assert_int_equal(marline__worker_pool_stop(NULL, 0), MARLINE_OK);
}

#define GATED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATED(given_four_threads_when_four_jobs_then_all_run_at_once),
        GATED(given_one_thread_when_several_jobs_then_in_order),
        GATED(given_full_queue_when_submit_then_refused_untouched),
        GATED(given_waiting_jobs_when_stop_then_each_is_called_canceled),
        cmocka_unit_test(given_idle_pool_when_stop_then_ok),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
