/* The end of the enricher: writes may still call it when its thread is gone. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/enricher.h"

/* A write that was stored before the enricher stopped, and says so after. */
struct late_write {
    struct commit commit;
    struct enricher *enricher;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool may_wake;
    bool has_woken;
};

/* On the queue's thread. */
static void wake_late(struct commit *commit, void *user)
{
    (void)commit;
    struct late_write *write = user;
    (void)pthread_mutex_lock(&write->mutex);
    while (!write->may_wake) {
        (void)pthread_cond_wait(&write->changed, &write->mutex);
    }
    (void)pthread_mutex_unlock(&write->mutex);
    enricher_wake(write->enricher, NULL);
    write->has_woken = true;
}

static void let_wake(struct late_write *write)
{
    (void)pthread_mutex_lock(&write->mutex);
    write->may_wake = true;
    (void)pthread_cond_signal(&write->changed);
    (void)pthread_mutex_unlock(&write->mutex);
}

static void
given_stored_spans_when_they_wake_a_stopped_enricher_then_it_is_still_there(void **state)
{
    (void)state;
    struct store_error error;
    struct store *store = store_open("sqlite::memory:", &error);
    assert_non_null(store);
    /* Two queues: the enricher's own writes do not wait behind the late one. */
    struct commit_queue *own = commit_queue_create(store, NULL);
    struct commit_queue *other = commit_queue_create(store, NULL);
    struct late_write late = {.commit = {.write.type = STORE_INDEX_TEXT, .done = wake_late},
                              .enricher = enricher_start(store, own, NULL, NULL),
                              .mutex = PTHREAD_MUTEX_INITIALIZER,
                              .changed = PTHREAD_COND_INITIALIZER};
    late.commit.user = &late;
    assert_non_null(late.enricher);
    assert_true(commit_queue_submit(other, &late.commit));
    enricher_stop(late.enricher);
    let_wake(&late);
    commit_queue_destroy(other);
    assert_true(late.has_woken);
    commit_queue_destroy(own);
    enricher_destroy(late.enricher);
    store_close(store);
}

static void given_stopped_enricher_when_asked_for_a_trace_then_it_reads_the_store(void **state)
{
    (void)state;
    struct store_error error;
    struct store *store = store_open("sqlite::memory:", &error);
    assert_non_null(store);
    struct commit_queue *queue = commit_queue_create(store, NULL);
    struct enricher *enricher = enricher_start(store, queue, NULL, NULL);
    assert_non_null(enricher);
    enricher_stop(enricher);
    commit_queue_destroy(queue);
    const struct uuid nobody = {{0}};
    const uint8_t unknown[16] = {1};
    struct enriched enriched;
    assert_int_equal(enricher_compute(enricher, &nobody, unknown, &enriched, &error),
                     STORE_NOT_FOUND);
    enricher_destroy(enricher);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            given_stored_spans_when_they_wake_a_stopped_enricher_then_it_is_still_there),
        cmocka_unit_test(given_stopped_enricher_when_asked_for_a_trace_then_it_reads_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
