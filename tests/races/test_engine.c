/* The transaction engine, one isolation rule at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine.h"

enum { K = 1, OTHER_KEY = 2, RESULT = 7, LATER_RESULT = 8 };

static struct engine e;

static int set_up(void **state)
{
    (void)state;
    engine_init(&e, false);
    return 0;
}

static int begin(enum isolation isolation)
{
    return engine_begin(&e, isolation);
}

static void insert(int txn, enum table table, int value)
{
    assert_int_equal(engine_insert(&e, txn, table, K, value, NULL), OUTCOME_DONE);
}

static void commit(int txn)
{
    assert_int_equal(engine_commit(&e, txn), OUTCOME_DONE);
}

static struct sight look(int txn)
{
    struct sight sight = {0};
    assert_int_equal(engine_look(&e, txn, K, &sight), OUTCOME_DONE);
    return sight;
}

static void committed_span(void)
{
    int txn = begin(READ_COMMITTED);
    insert(txn, TABLE_SPAN, NO_VALUE);
    commit(txn);
}

static void given_open_insert_when_another_looks_then_unseen(void **state)
{
    (void)state;
    int writer = begin(READ_COMMITTED), reader = begin(READ_COMMITTED);
    insert(writer, TABLE_SPAN, NO_VALUE);
    assert_int_equal(look(reader).spans, 0);
    assert_int_equal(look(writer).spans, 1);
}

static void given_read_committed_when_another_commits_then_next_statement_sees_it(void **state)
{
    (void)state;
    int reader = begin(READ_COMMITTED);
    assert_int_equal(look(reader).spans, 0);
    committed_span();
    assert_int_equal(look(reader).spans, 1);
}

static void given_repeatable_read_when_another_commits_then_first_snapshot_stays(void **state)
{
    (void)state;
    int reader = begin(REPEATABLE_READ);
    assert_int_equal(look(reader).spans, 0);
    committed_span();
    assert_int_equal(look(reader).spans, 0);
}

static void given_repeatable_read_when_begun_only_then_no_snapshot_yet(void **state)
{
    (void)state;
    int reader = begin(REPEATABLE_READ);
    committed_span();
    assert_int_equal(look(reader).spans, 1);
}

static void given_aborted_insert_when_looked_for_then_unseen(void **state)
{
    (void)state;
    int writer = begin(READ_COMMITTED);
    insert(writer, TABLE_SPAN, NO_VALUE);
    engine_abort(&e, writer);
    assert_int_equal(look(begin(READ_COMMITTED)).spans, 0);
}

static void given_row_in_update_when_another_updates_then_waits_and_rechecks(void **state)
{
    (void)state;
    committed_span();
    int first = begin(READ_COMMITTED), second = begin(READ_COMMITTED);
    struct sight sight = {0};
    assert_int_equal(engine_link(&e, first, K, RESULT, NULL), OUTCOME_DONE);
    assert_int_equal(engine_link(&e, second, K, LATER_RESULT, &sight), OUTCOME_BLOCKED);
    assert_true(sight.waited);
    assert_false(engine_may_resume(&e, second));
    commit(first);
    assert_true(engine_may_resume(&e, second));
    assert_int_equal(engine_link(&e, second, K, LATER_RESULT, &sight), OUTCOME_DONE);
    assert_true(sight.rechecked);
    assert_int_equal(sight.changed, 0);
    commit(second);
    assert_int_equal(engine_first_value(&e, TABLE_SPAN, K), RESULT);
}

static void given_wait_when_the_holder_aborts_then_the_update_is_ours(void **state)
{
    (void)state;
    committed_span();
    int first = begin(REPEATABLE_READ), second = begin(REPEATABLE_READ);
    struct sight sight = {0};
    assert_int_equal(engine_link(&e, first, K, RESULT, NULL), OUTCOME_DONE);
    assert_int_equal(engine_link(&e, second, K, LATER_RESULT, &sight), OUTCOME_BLOCKED);
    engine_abort(&e, first);
    assert_int_equal(engine_link(&e, second, K, LATER_RESULT, &sight), OUTCOME_DONE);
    commit(second);
    assert_int_equal(engine_first_value(&e, TABLE_SPAN, K), LATER_RESULT);
}

static void
given_repeatable_read_when_the_first_updater_commits_then_serialization_failure(void **state)
{
    (void)state;
    committed_span();
    int first = begin(REPEATABLE_READ), second = begin(REPEATABLE_READ);
    assert_int_equal(engine_link(&e, first, K, RESULT, NULL), OUTCOME_DONE);
    assert_int_equal(engine_link(&e, second, K, LATER_RESULT, NULL), OUTCOME_BLOCKED);
    commit(first);
    assert_int_equal(engine_link(&e, second, K, LATER_RESULT, NULL), OUTCOME_SERIALIZATION);
    assert_false(e.txns[second].active);
}

static void given_linked_span_when_linked_again_then_unchanged(void **state)
{
    (void)state;
    committed_span();
    int first = begin(READ_COMMITTED);
    assert_int_equal(engine_link(&e, first, K, RESULT, NULL), OUTCOME_DONE);
    commit(first);
    struct sight sight = {0};
    int second = begin(READ_COMMITTED);
    assert_int_equal(engine_link(&e, second, K, LATER_RESULT, &sight), OUTCOME_DONE);
    assert_int_equal(sight.changed, 0);
    assert_int_equal(engine_first_value(&e, TABLE_SPAN, K), RESULT);
}

static void given_result_of_another_key_when_joined_then_no_link(void **state)
{
    (void)state;
    int writer = begin(READ_COMMITTED);
    assert_int_equal(engine_insert(&e, writer, TABLE_RESULT, OTHER_KEY, RESULT, NULL),
                     OUTCOME_DONE);
    commit(writer);
    committed_span();
    struct sight sight = {0};
    assert_int_equal(engine_link_joined(&e, begin(READ_COMMITTED), K, &sight), OUTCOME_DONE);
    assert_int_equal(sight.changed, 0);
}

static void given_advisory_lock_when_taken_by_another_then_waits_until_its_end(void **state)
{
    (void)state;
    int first = begin(READ_COMMITTED), second = begin(READ_COMMITTED);
    assert_int_equal(engine_lock(&e, first, K), OUTCOME_DONE);
    assert_int_equal(engine_lock(&e, first, K), OUTCOME_DONE);
    assert_int_equal(engine_lock(&e, second, K), OUTCOME_BLOCKED);
    insert(first, TABLE_SPAN, NO_VALUE);
    commit(first);
    assert_int_equal(engine_lock(&e, second, K), OUTCOME_DONE);
    assert_int_equal(look(second).spans, 1);
}

static void
given_repeatable_read_when_the_lock_waits_then_it_wakes_with_its_old_snapshot(void **state)
{
    (void)state;
    int first = begin(REPEATABLE_READ), second = begin(REPEATABLE_READ);
    assert_int_equal(engine_lock(&e, first, K), OUTCOME_DONE);
    assert_int_equal(engine_lock(&e, second, K), OUTCOME_BLOCKED);
    insert(first, TABLE_SPAN, NO_VALUE);
    commit(first);
    assert_int_equal(engine_lock(&e, second, K), OUTCOME_DONE);
    assert_int_equal(look(second).spans, 0);
}

static void given_two_locks_when_taken_crosswise_then_deadlock(void **state)
{
    (void)state;
    int first = begin(READ_COMMITTED), second = begin(READ_COMMITTED);
    assert_int_equal(engine_lock(&e, first, K), OUTCOME_DONE);
    assert_int_equal(engine_lock(&e, second, OTHER_KEY), OUTCOME_DONE);
    assert_int_equal(engine_lock(&e, first, OTHER_KEY), OUTCOME_BLOCKED);
    assert_int_equal(engine_lock(&e, second, K), OUTCOME_DEADLOCK);
    assert_true(engine_may_resume(&e, first));
}

static void given_upsert_in_flight_when_another_upserts_then_waits_and_counts(void **state)
{
    (void)state;
    int first = begin(READ_COMMITTED), second = begin(READ_COMMITTED);
    assert_int_equal(engine_upsert(&e, first, TABLE_RENDEZVOUS, K, NULL), OUTCOME_DONE);
    assert_int_equal(engine_upsert(&e, second, TABLE_RENDEZVOUS, K, NULL), OUTCOME_BLOCKED);
    commit(first);
    assert_int_equal(engine_upsert(&e, second, TABLE_RENDEZVOUS, K, NULL), OUTCOME_DONE);
    commit(second);
    assert_int_equal(engine_first_value(&e, TABLE_RENDEZVOUS, K), 2);
}

static void given_upsert_aborted_when_another_upserts_then_it_inserts(void **state)
{
    (void)state;
    int first = begin(READ_COMMITTED), second = begin(READ_COMMITTED);
    assert_int_equal(engine_upsert(&e, first, TABLE_RENDEZVOUS, K, NULL), OUTCOME_DONE);
    assert_int_equal(engine_upsert(&e, second, TABLE_RENDEZVOUS, K, NULL), OUTCOME_BLOCKED);
    engine_abort(&e, first);
    assert_int_equal(engine_upsert(&e, second, TABLE_RENDEZVOUS, K, NULL), OUTCOME_DONE);
    commit(second);
    assert_int_equal(engine_first_value(&e, TABLE_RENDEZVOUS, K), 1);
}

static void skew(int result_side, int span_side)
{
    insert(result_side, TABLE_RESULT, RESULT);
    insert(span_side, TABLE_SPAN, NO_VALUE);
    assert_int_equal(engine_link(&e, result_side, K, RESULT, NULL), OUTCOME_DONE);
    assert_int_equal(engine_link_joined(&e, span_side, K, NULL), OUTCOME_DONE);
}

static void given_serializable_skew_when_one_commits_then_the_other_fails(void **state)
{
    (void)state;
    int result_side = begin(SERIALIZABLE), span_side = begin(SERIALIZABLE);
    skew(result_side, span_side);
    commit(span_side);
    assert_int_equal(engine_commit(&e, result_side), OUTCOME_SERIALIZATION);
}

static void given_repeatable_read_skew_when_both_commit_then_neither_fails(void **state)
{
    (void)state;
    int result_side = begin(REPEATABLE_READ), span_side = begin(REPEATABLE_READ);
    skew(result_side, span_side);
    commit(span_side);
    commit(result_side);
    assert_int_equal(engine_first_value(&e, TABLE_SPAN, K), NO_VALUE);
}

static void given_one_serializable_side_only_when_skewed_then_nothing_is_noticed(void **state)
{
    (void)state;
    int result_side = begin(SERIALIZABLE), span_side = begin(READ_COMMITTED);
    skew(result_side, span_side);
    commit(result_side);
    commit(span_side);
    assert_int_equal(engine_first_value(&e, TABLE_SPAN, K), NO_VALUE);
}

static void given_serializable_when_only_one_depends_on_the_other_then_both_commit(void **state)
{
    (void)state;
    int reader = begin(SERIALIZABLE), writer = begin(SERIALIZABLE);
    assert_int_equal(look(reader).spans, 0);
    insert(writer, TABLE_SPAN, NO_VALUE);
    commit(writer);
    commit(reader);
}

static void given_serializable_when_the_other_ended_before_then_no_conflict(void **state)
{
    (void)state;
    int first = begin(SERIALIZABLE);
    insert(first, TABLE_RESULT, RESULT);
    assert_int_equal(engine_link(&e, first, K, RESULT, NULL), OUTCOME_DONE);
    commit(first);
    int second = begin(SERIALIZABLE);
    insert(second, TABLE_SPAN, NO_VALUE);
    assert_int_equal(engine_link_joined(&e, second, K, NULL), OUTCOME_DONE);
    commit(second);
    assert_int_equal(engine_first_value(&e, TABLE_SPAN, K), RESULT);
}

static void given_single_writer_when_another_writes_then_waits_and_sees_the_commit(void **state)
{
    (void)state;
    engine_init(&e, true);
    int first = begin(READ_COMMITTED), second = begin(READ_COMMITTED);
    struct sight sight = {0};
    insert(first, TABLE_RESULT, RESULT);
    assert_int_equal(engine_insert(&e, second, TABLE_SPAN, K, NO_VALUE, &sight), OUTCOME_BLOCKED);
    assert_true(sight.waited);
    commit(first);
    insert(second, TABLE_SPAN, NO_VALUE);
    assert_int_equal(engine_link_joined(&e, second, K, NULL), OUTCOME_DONE);
    commit(second);
    assert_int_equal(engine_first_value(&e, TABLE_SPAN, K), RESULT);
}

static void given_single_writer_when_a_stale_reader_writes_then_refused(void **state)
{
    (void)state;
    engine_init(&e, true);
    int reader = begin(REPEATABLE_READ);
    assert_int_equal(look(reader).spans, 0);
    committed_span();
    assert_int_equal(engine_insert(&e, reader, TABLE_RESULT, K, RESULT, NULL),
                     OUTCOME_SERIALIZATION);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(given_open_insert_when_another_looks_then_unseen),
        TEST(given_read_committed_when_another_commits_then_next_statement_sees_it),
        TEST(given_repeatable_read_when_another_commits_then_first_snapshot_stays),
        TEST(given_repeatable_read_when_begun_only_then_no_snapshot_yet),
        TEST(given_aborted_insert_when_looked_for_then_unseen),
        TEST(given_row_in_update_when_another_updates_then_waits_and_rechecks),
        TEST(given_wait_when_the_holder_aborts_then_the_update_is_ours),
        TEST(given_repeatable_read_when_the_first_updater_commits_then_serialization_failure),
        TEST(given_linked_span_when_linked_again_then_unchanged),
        TEST(given_result_of_another_key_when_joined_then_no_link),
        TEST(given_advisory_lock_when_taken_by_another_then_waits_until_its_end),
        TEST(given_repeatable_read_when_the_lock_waits_then_it_wakes_with_its_old_snapshot),
        TEST(given_two_locks_when_taken_crosswise_then_deadlock),
        TEST(given_upsert_in_flight_when_another_upserts_then_waits_and_counts),
        TEST(given_upsert_aborted_when_another_upserts_then_it_inserts),
        TEST(given_serializable_skew_when_one_commits_then_the_other_fails),
        TEST(given_repeatable_read_skew_when_both_commit_then_neither_fails),
        TEST(given_one_serializable_side_only_when_skewed_then_nothing_is_noticed),
        TEST(given_serializable_when_only_one_depends_on_the_other_then_both_commit),
        TEST(given_serializable_when_the_other_ended_before_then_no_conflict),
        TEST(given_single_writer_when_another_writes_then_waits_and_sees_the_commit),
        TEST(given_single_writer_when_a_stale_reader_writes_then_refused),
    };
    return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
