/* A hub that cannot start, or cannot take up what an earlier life left: it touches nothing. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/uuid.h"
#include "hub/hub.h"

enum { RUNS = 2 };

static int refuse_thread(pthread_t *thread, void *(*run)(void *), void *user)
{
    (void)thread;
    (void)run;
    (void)user;
    return EAGAIN;
}

static const struct uuid us = {{1}};
static const struct uuid project = {{2}};

/* Passes on what a restoring hub asks; some attempts cannot be read. */
struct broken_store {
    struct store base;
    struct store *inner;
    size_t failing_read; /* of attempts; 0 = none */
    size_t reads;
    size_t writes;
};

static enum store_status write_all(struct store *base, struct store_write *const *writes,
                                   size_t count, struct store_error *error)
{
    struct broken_store *s = (struct broken_store *)base;
    s->writes += count;
    return store_write_all(s->inner, writes, count, error);
}

static enum store_status answered_invocations(struct store *base, size_t limit,
                                              store_invocation_fn visit, void *user,
                                              struct store_error *error)
{
    return store_answered_invocations(((struct broken_store *)base)->inner, limit, visit, user,
                                      error);
}

static enum store_status unfinished_runs(struct store *base, struct slice backend,
                                         store_run_fn visit, void *user, struct store_error *error)
{
    return store_unfinished_runs(((struct broken_store *)base)->inner, backend, visit, user, error);
}

static enum store_status read_run(struct store *base, const struct store_scope *scope,
                                  const struct uuid *run_id, struct store_run *out,
                                  store_run_row_fn visit, void *user, struct store_error *error)
{
    return store_read_run(((struct broken_store *)base)->inner, scope, run_id, out, visit, user,
                          error);
}

static enum store_status read_attempts(struct store *base, const struct store_scope *scope,
                                       const struct uuid *run_id, store_attempt_fn visit,
                                       void *user, struct store_error *error)
{
    struct broken_store *s = (struct broken_store *)base;
    if (++s->reads == s->failing_read) {
        *error = (struct store_error){STORE_BROKEN, "cannot be read"};
        return STORE_BROKEN;
    }
    return store_read_attempts(s->inner, scope, run_id, visit, user, error);
}

static const struct store_ops broken_ops = {.write_all = write_all,
                                            .answered_invocations = answered_invocations,
                                            .unfinished_runs = unfinished_runs,
                                            .read_run = read_run,
                                            .read_attempts = read_attempts};

static void create_run(struct store *store, uint8_t number)
{
    const struct store_run_test test = {.test_id = {{3}},
                                        .configuration_id = {{4}},
                                        .function_name = SLICE("f"),
                                        .inputs = SLICE("{}"),
                                        .timeout_ms = 1000};
    struct store_write write = {.type = STORE_CREATE_RUN,
                                .at_unix_ns = number,
                                .create_run = {.organization_id = us,
                                               .project_id = project,
                                               .run_id = {{5, number}},
                                               .environment = SLICE("development"),
                                               .concurrency = 1,
                                               .tests = &test,
                                               .test_count = 1}};
    assert_int_equal(store_write_one(store, &write), STORE_OK);
}

static struct store *open_with_runs(void)
{
    struct store_error error;
    struct store *store = store_open("sqlite::memory:", &error);
    struct store_write write = {
        .type = STORE_CREATE_PROJECT, .at_unix_ns = 1, .create_project = {us, project, SLICE("p")}};
    assert_non_null(store);
    assert_int_equal(store_write_one(store, &write), STORE_OK);
    for (unsigned i = 1; i <= RUNS; i++) {
        create_run(store, (uint8_t)i);
    }
    return store;
}

static void given_run_that_cannot_be_read_when_started_then_no_other_goes_on(void **state)
{
    (void)state;
    struct broken_store store = {
        .base.ops = &broken_ops, .inner = open_with_runs(), .failing_read = RUNS};
    struct commit_queue *queue = commit_queue_create(&store.base, NULL);
    const struct hub_options options = {.store = &store.base, .queue = queue};
    assert_null(hub_start(&options));
    commit_queue_destroy(queue); /* writes under way would report to a hub that is gone */
    assert_int_equal(store.reads, RUNS);
    assert_int_equal(store.writes, 0);
    store_close(store.inner);
}

static void given_no_thread_when_started_then_no_run_goes_on(void **state)
{
    (void)state;
    struct broken_store store = {.base.ops = &broken_ops, .inner = open_with_runs()};
    struct commit_queue *queue = commit_queue_create(&store.base, NULL);
    const struct hub_options options = {
        .store = &store.base, .queue = queue, .start_thread = refuse_thread};
    assert_null(hub_start(&options));
    commit_queue_destroy(queue);
    assert_int_equal(store.reads, RUNS);
    assert_int_equal(store.writes, 0);
    store_close(store.inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_no_thread_when_started_then_no_run_goes_on),
        cmocka_unit_test(given_run_that_cannot_be_read_when_started_then_no_other_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
