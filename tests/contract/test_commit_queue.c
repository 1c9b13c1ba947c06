/* Group commit. The store under it is a stand-in whose transactions wait at a gate, so that the
 * test decides what is committed together. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/commit_queue.h"
#include "store_fixture.h"

enum { LOG_MAX = 64 };

struct gated_store {
    struct store base;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    bool fails;
    size_t entered; /* transactions that reached the gate */
    size_t sizes[LOG_MAX];
    uint64_t times[LOG_MAX];
};

static enum store_status gated_write_all(struct store *base, struct store_write *const *writes,
                                         size_t count, struct store_error *error)
{
    struct gated_store *store = (struct gated_store *)base;
    (void)pthread_mutex_lock(&store->mutex);
    store->sizes[store->entered] = count;
    store->times[store->entered++] = writes[0]->at_unix_ns;
    (void)pthread_cond_broadcast(&store->changed);
    while (!store->open) {
        (void)pthread_cond_wait(&store->changed, &store->mutex);
    }
    *error = (struct store_error){store->fails ? STORE_FULL : STORE_OK, ""};
    (void)pthread_mutex_unlock(&store->mutex);
    for (size_t i = 0; i < count; i++) {
        writes[i]->outcome = *error;
    }
    return error->status;
}

static void wait_entered(struct gated_store *store, size_t count)
{
    (void)pthread_mutex_lock(&store->mutex);
    while (store->entered < count) {
        (void)pthread_cond_wait(&store->changed, &store->mutex);
    }
    (void)pthread_mutex_unlock(&store->mutex);
}

static void open_gate(struct gated_store *store)
{
    (void)pthread_mutex_lock(&store->mutex);
    store->open = true;
    (void)pthread_cond_broadcast(&store->changed);
    (void)pthread_mutex_unlock(&store->mutex);
}

static int setup(void **state)
{
    static const struct store_ops ops = {.write_all = gated_write_all};
    struct gated_store *store = calloc(1, sizeof *store);
    store->base.ops = &ops;
    (void)pthread_mutex_init(&store->mutex, NULL);
    (void)pthread_cond_init(&store->changed, NULL);
    *state = store;
    return 0;
}

static int teardown(void **state)
{
    struct gated_store *store = *state;
    (void)pthread_mutex_destroy(&store->mutex);
    (void)pthread_cond_destroy(&store->changed);
    free(store);
    return 0;
}

/* Written by the writer thread, read after the queue is destroyed. */
struct log {
    struct commit commits[LOG_MAX];
    size_t done[LOG_MAX];
    size_t count;
};

static void note(struct commit *commit, void *user)
{
    struct log *log = user;
    log->done[log->count++] = (size_t)(commit - log->commits);
}

static bool submit(struct commit_queue *queue, struct log *log, size_t index)
{
    struct commit *commit = &log->commits[index];
    commit->write.type = STORE_LINK;
    commit->done = note;
    commit->user = log;
    return commit_queue_submit(queue, commit);
}

static void given_writes_that_wait_when_writer_is_free_then_one_transaction(void **state)
{
    struct gated_store *store = *state;
    struct log log = {.count = 0};
    struct commit_queue *queue = commit_queue_create(&store->base, NULL);
    assert_true(submit(queue, &log, 0));
    wait_entered(store, 1);
    for (size_t i = 1; i < 6; i++) {
        assert_true(submit(queue, &log, i));
    }
    open_gate(store);
    commit_queue_destroy(queue);
    assert_int_equal(store->entered, 2);
    assert_int_equal(store->sizes[0], 1);
    assert_int_equal(store->sizes[1], 5);
    assert_int_equal(log.count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(log.done[i], i); /* in the order of submission */
        assert_int_equal(log.commits[i].write.outcome.status, STORE_OK);
    }
}

static void given_full_batch_when_more_wait_then_next_transaction(void **state)
{
    struct gated_store *store = *state;
    struct log log = {.count = 0};
    const struct commit_queue_options options = {.batch_max = 2};
    struct commit_queue *queue = commit_queue_create(&store->base, &options);
    assert_true(submit(queue, &log, 0));
    wait_entered(store, 1);
    for (size_t i = 1; i < 4; i++) {
        assert_true(submit(queue, &log, i));
    }
    open_gate(store);
    commit_queue_destroy(queue);
    assert_int_equal(store->entered, 3);
    assert_int_equal(store->sizes[1], 2);
    assert_int_equal(store->sizes[2], 1);
}

static void given_full_queue_when_submitted_then_refused_without_callback(void **state)
{
    struct gated_store *store = *state;
    struct log log = {.count = 0};
    const struct commit_queue_options options = {.writes_max = 2};
    struct commit_queue *queue = commit_queue_create(&store->base, &options);
    assert_true(submit(queue, &log, 0));
    wait_entered(store, 1);
    assert_true(submit(queue, &log, 1));
    assert_true(submit(queue, &log, 2));
    assert_false(submit(queue, &log, 3));
    struct commit_queue_counters counters = commit_queue_counters(queue);
    assert_int_equal(counters.refused, 1);
    assert_int_equal(counters.waiting, 2);
    open_gate(store);
    commit_queue_destroy(queue);
    assert_int_equal(log.count, 3);
}

static void given_failing_store_when_committed_then_every_write_is_told(void **state)
{
    struct gated_store *store = *state;
    struct log log = {.count = 0};
    store->fails = true;
    store->open = true;
    struct commit_queue *queue = commit_queue_create(&store->base, NULL);
    assert_true(submit(queue, &log, 0));
    assert_true(submit(queue, &log, 1));
    commit_queue_destroy(queue);
    assert_int_equal(log.count, 2);
    assert_int_equal(log.commits[0].write.outcome.status, STORE_FULL);
    assert_int_equal(log.commits[1].write.outcome.status, STORE_FULL);
}

static uint64_t fixed_wall(void *user)
{
    (void)user;
    return 42;
}

static void given_write_without_time_when_taken_then_stamped(void **state)
{
    struct gated_store *store = *state;
    struct log log = {.count = 0};
    const struct clock clock = {.wall_ns = fixed_wall};
    const struct commit_queue_options options = {.clock = &clock};
    store->open = true;
    struct commit_queue *queue = commit_queue_create(&store->base, &options);
    log.commits[0].write.at_unix_ns = 7;
    assert_true(submit(queue, &log, 0));
    wait_entered(store, 1);
    assert_true(submit(queue, &log, 1));
    commit_queue_destroy(queue);
    assert_int_equal(store->times[0], 7);
    assert_int_equal(store->times[1], 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            given_writes_that_wait_when_writer_is_free_then_one_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(given_full_batch_when_more_wait_then_next_transaction,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            given_full_queue_when_submitted_then_refused_without_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(given_failing_store_when_committed_then_every_write_is_told,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(given_write_without_time_when_taken_then_stamped, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
