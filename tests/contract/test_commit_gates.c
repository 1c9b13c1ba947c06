/* Gates in front of the commit queue, over a store that only says yes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/commit_gates.h"

static enum store_status agree(struct store *store, struct store_write *const *writes, size_t count,
                               struct store_error *error)
{
    (void)store;
    *error = (struct store_error){STORE_OK, ""};
    for (size_t i = 0; i < count; i++) {
        writes[i]->outcome = *error;
    }
    return STORE_OK;
}

static const struct store_ops agreeing = {.write_all = agree};

struct fixture;

struct write {
    struct commit commit;
    struct fixture *fixture;
    size_t place; /* in the order of completion, from 1; 0 = not yet */
};

struct fixture {
    struct write writes[3]; /* here, not in a test: teardown lets through what still waits */
    struct store store;
    struct commit_gates *gates;
    struct commit_queue *queue;
    struct uuid organization;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    size_t done;
};

static void on_done(struct commit *commit, void *user)
{
    (void)commit;
    struct write *w = user;
    (void)pthread_mutex_lock(&w->fixture->mutex);
    w->place = ++w->fixture->done;
    (void)pthread_cond_broadcast(&w->fixture->changed);
    (void)pthread_mutex_unlock(&w->fixture->mutex);
}

static void submit(struct fixture *f, struct write *w, enum store_write_type type,
                   enum link_point point)
{
    *w = (struct write){.fixture = f};
    w->commit.write.type = type;
    w->commit.write.at_unix_ns = 1;
    if (type == STORE_LINK) {
        w->commit.write.link.point = point;
        w->commit.write.link.key.organization = f->organization;
    } else if (type == STORE_INSERT_RESULT) {
        w->commit.write.insert_result.key.organization = f->organization;
    } else if (type == STORE_INSERT_SPANS) {
        w->commit.write.insert_spans.organization_id = f->organization;
    }
    w->commit.done = on_done;
    w->commit.user = w;
    assert_true(commit_queue_submit(f->queue, &w->commit));
}

static void wait_done(struct fixture *f, size_t count)
{
    (void)pthread_mutex_lock(&f->mutex);
    while (f->done < count) {
        (void)pthread_cond_wait(&f->changed, &f->mutex);
    }
    (void)pthread_mutex_unlock(&f->mutex);
}

static struct commit_gate read_gate(struct fixture *f, enum commit_step step)
{
    struct commit_gate gates[STEP_COUNT];
    commit_gates_read(f->gates, &f->organization, gates);
    return gates[step];
}

static int setup(void **state)
{
    static struct fixture f;
    f = (struct fixture){.store = {&agreeing}, .organization = {{7}}};
    (void)pthread_mutex_init(&f.mutex, NULL);
    (void)pthread_cond_init(&f.changed, NULL);
    f.gates = commit_gates_create();
    struct commit_queue_options options = {.hold = commit_gates_hold, .hold_user = f.gates};
    f.queue = commit_queue_create(&f.store, &options);
    *state = &f;
    return f.queue ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    commit_gates_open_all(f->gates, f->queue);
    commit_queue_destroy(f->queue);
    commit_gates_destroy(f->gates);
    (void)pthread_mutex_destroy(&f->mutex);
    (void)pthread_cond_destroy(&f->changed);
    return 0;
}

static bool shut(struct fixture *f, enum commit_step step)
{
    return commit_gates_set(f->gates, f->queue, &f->organization, step, true);
}

static void given_shut_gate_when_steps_come_then_only_its_own_waits(void **state)
{
    struct fixture *f = *state;
    assert_true(shut(f, STEP_SPANS_STORE));
    struct write *spans = &f->writes[0];
    struct write *result = &f->writes[1];
    submit(f, spans, STORE_INSERT_SPANS, LINK_POINT_RESULT);
    submit(f, result, STORE_INSERT_RESULT, LINK_POINT_RESULT);
    wait_done(f, 1);
    assert_int_equal(result->place, 1);
    assert_int_equal(read_gate(f, STEP_SPANS_STORE).waiting, 1);
    assert_int_equal(
        commit_gates_release(f->gates, f->queue, &f->organization, STEP_SPANS_STORE, 5), 1);
    wait_done(f, 2);
    assert_int_equal(spans->place, 2);
    assert_true(spans->commit.write.at_unix_ns > 1); /* the time of its release */
}

static void given_points_when_gated_then_told_apart_and_the_sweeper_is_free(void **state)
{
    struct fixture *f = *state;
    assert_true(shut(f, STEP_RESULT_LINK));
    struct write *at_result = &f->writes[0];
    struct write *at_ingest = &f->writes[1];
    struct write *at_sweep = &f->writes[2];
    submit(f, at_result, STORE_LINK, LINK_POINT_RESULT);
    submit(f, at_ingest, STORE_LINK, LINK_POINT_INGEST);
    submit(f, at_sweep, STORE_LINK, LINK_POINT_SWEEP);
    wait_done(f, 2);
    assert_int_equal(at_result->place, 0);
    assert_int_equal(read_gate(f, STEP_RESULT_LINK).waiting, 1);
}

static void given_two_that_wait_when_one_is_released_then_the_older(void **state)
{
    struct fixture *f = *state;
    assert_true(shut(f, STEP_RESULT_STORE));
    struct write *first = &f->writes[0];
    struct write *second = &f->writes[1];
    submit(f, first, STORE_INSERT_RESULT, LINK_POINT_RESULT);
    submit(f, second, STORE_INSERT_RESULT, LINK_POINT_RESULT);
    assert_int_equal(
        commit_gates_release(f->gates, f->queue, &f->organization, STEP_RESULT_STORE, 1), 1);
    wait_done(f, 1);
    assert_int_equal(first->place, 1);
    assert_int_equal(second->place, 0);
}

static void given_shut_gate_when_opened_then_all_go_on_in_order(void **state)
{
    struct fixture *f = *state;
    assert_true(shut(f, STEP_RESULT_STORE));
    for (size_t i = 0; i < 3; i++) {
        submit(f, &f->writes[i], STORE_INSERT_RESULT, LINK_POINT_RESULT);
    }
    assert_true(commit_gates_set(f->gates, f->queue, &f->organization, STEP_RESULT_STORE, false));
    wait_done(f, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(f->writes[i].place, i + 1);
    }
    assert_int_equal(read_gate(f, STEP_RESULT_STORE).waiting, 0);
}

static void given_gate_of_another_organization_when_steps_come_then_not_held(void **state)
{
    struct fixture *f = *state;
    struct uuid other = {{9}};
    assert_true(commit_gates_set(f->gates, f->queue, &other, STEP_RESULT_STORE, true));
    struct write *result = &f->writes[0];
    submit(f, result, STORE_INSERT_RESULT, LINK_POINT_RESULT);
    wait_done(f, 1);
    assert_int_equal(result->place, 1);
}

static void given_gates_opened_for_good_when_shut_again_then_refused(void **state)
{
    struct fixture *f = *state;
    assert_true(shut(f, STEP_SPANS_LINK));
    struct write *link = &f->writes[0];
    submit(f, link, STORE_LINK, LINK_POINT_INGEST);
    commit_gates_open_all(f->gates, f->queue);
    wait_done(f, 1);
    assert_false(shut(f, STEP_SPANS_LINK));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_shut_gate_when_steps_come_then_only_its_own_waits),
        TEST(given_points_when_gated_then_told_apart_and_the_sweeper_is_free),
        TEST(given_two_that_wait_when_one_is_released_then_the_older),
        TEST(given_shut_gate_when_opened_then_all_go_on_in_order),
        TEST(given_gate_of_another_organization_when_steps_come_then_not_held),
        TEST(given_gates_opened_for_good_when_shut_again_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
