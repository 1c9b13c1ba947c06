/* Contract: whatever transaction fails, and whether or not it was stored all the same, linker and
 * store come to rest with every span on the canonical result of its key. */
#include <string.h>

#include "base/clock.h"
#include "core/linker.h"
#include "failing_store.h"
#include "store_contract.h"

enum { TESTS = 3 };

/* The linker's shell, one action at a time, under a clock moved by hand. */
struct shell {
    struct fixture *f;
    struct store *store;
    struct linker *linker;
    uint64_t now_ns;
};

static enum store_status write_now(struct shell *shell, struct store_write *write)
{
    write->at_unix_ns = shell->f->now += 1000;
    return store_write_one(shell->store, write);
}

static void sweep(struct shell *shell)
{
    struct key_list list = {.count = 0};
    read_waiting(shell->f, 64, &list);
    struct link_sighting found[64];
    for (size_t i = 0; i < list.count; i++)
        found[i] = (struct link_sighting){list.keys[i], list.spans[i]};
    linker_sweep_done(shell->linker, shell->now_ns, found, list.count, true);
}

static void run_actions(struct shell *shell)
{
    struct linker_action action;
    while (linker_next_action(shell->linker, &action)) {
        if (action.type == LINKER_SWEEP) {
            sweep(shell);
            continue;
        }
        struct store_write write = {.type = STORE_LINK,
                                    .link = {.key = action.key, .point = action.point}};
        bool ok = write_now(shell, &write) == STORE_OK;
        linker_attempt_done(shell->linker, shell->now_ns, &action, ok);
    }
}

static void pass_time(struct shell *shell, uint64_t ms)
{
    shell->now_ns += ms * NS_PER_MS;
    linker_on_tick(shell->linker, shell->now_ns);
    run_actions(shell);
}

/* What a peer does: again until it is told that all is stored. */
static void post_spans(struct shell *shell, const struct link_key *keys, size_t count)
{
    struct store_span spans[8];
    for (size_t i = 0; i < count; i++) {
        spans[i] = make_span(shell->f, &keys[i], keys[i].test.bytes[3]);
    }
    struct store_write write = {.type = STORE_INSERT_SPANS,
                                .insert_spans = {shell->f->organization, shell->f->project,
                                                 SLICE("p"), spans, count, 0, 0}};
    while (write_now(shell, &write) != STORE_OK) {
        pass_time(shell, 50);
    }
    linker_on_spans_committed(shell->linker, keys, count);
    run_actions(shell);
}

static void post_result(struct shell *shell, const struct link_key *key)
{
    struct store_write write = {.type = STORE_INSERT_RESULT,
                                .insert_result = {.project_id = shell->f->project, .key = *key}};
    write.insert_result.spare_id = id_of(0xd0000000 + (uint32_t)(shell->f->now & 0xffffff));
    while (write_now(shell, &write) != STORE_OK) {
        pass_time(shell, 50);
    }
    linker_on_result_committed(shell->linker, key);
    run_actions(shell);
}

static void play(struct shell *shell)
{
    struct link_key keys[TESTS];
    for (uint32_t i = 0; i < TESTS; i++) {
        keys[i] = key_of(shell->f, i + 1, 1);
    }
    post_spans(shell, &keys[0], 1); /* slow: its children come first */
    post_result(shell, &keys[1]);   /* fast */
    post_spans(shell, keys, TESTS); /* mixed */
    post_result(shell, &keys[0]);
    post_result(shell, &keys[2]);
    post_spans(shell, &keys[0], 1); /* the root of the slow one */
    for (int i = 0; i < 120; i++) { /* a minute: retries double up to ten seconds */
        pass_time(shell, 500);
    }
}

static void check_all_linked(struct fixture *f, size_t expected)
{
    struct span_list list;
    read_spans(f, &list);
    assert_int_equal(list.count, expected);
    for (size_t i = 0; i < list.count; i++) {
        struct link_key key = {f->organization, id_of(1), list.rows[i].test_id,
                               list.rows[i].configuration_id, 1};
        assert_true(list.rows[i].has_result);
        assert_uuid_equal(list.rows[i].result_id, link_key_result_id(&key));
    }
}

/* Returns the number of transactions that the play took. */
static size_t play_with_failures(struct fixture *f, enum failure_kind kind, size_t first,
                                 size_t count)
{
    struct linker_options options = linker_options_default();
    struct shell shell = {.f = f,
                          .store = failing_store_create(f->store, kind, first, count),
                          .linker = linker_create(&options)};
    play(&shell);
    size_t transactions = failing_store_transactions(shell.store);
    linker_destroy(shell.linker);
    store_close(shell.store);
    check_all_linked(f, 5);
    return transactions;
}

static void given_no_failure_when_played_then_sweeper_links_nothing(void **state)
{
    struct fixture *f = *state;
    create_run(f, TESTS);
    (void)play_with_failures(f, FAIL_BEFORE, 0, 0);
    struct store_ledger ledger = read_ledger(f);
    assert_int_equal(ledger.linked, 5);
    assert_int_equal(ledger.links_by_source[LINK_POINT_SWEEP], 0);
}

static void fail_each(void **state, enum failure_kind kind, size_t count)
{
    size_t transactions = 1;
    for (size_t first = 1; first <= transactions; first++) {
        create_run(*state, TESTS);
        transactions = play_with_failures(*state, kind, first, count);
        assert_true(transactions < 64);
        (void)fixture_teardown(state);
        (void)fixture_setup(state);
    }
}

static void given_any_transaction_fails_when_played_then_all_linked(void **state)
{
    fail_each(state, FAIL_BEFORE, 1);
}

static void given_any_answer_is_lost_when_played_then_all_linked_once(void **state)
{
    fail_each(state, FAIL_AFTER, 1);
}

static void given_store_fails_for_a_while_when_played_then_all_linked(void **state)
{
    fail_each(state, FAIL_BEFORE, 12);
}

int run_failure_contract(const struct store_kind *kind)
{
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_no_failure_when_played_then_sweeper_links_nothing),
        CONTRACT_TEST(given_any_transaction_fails_when_played_then_all_linked),
        CONTRACT_TEST(given_any_answer_is_lost_when_played_then_all_linked_once),
        CONTRACT_TEST(given_store_fails_for_a_while_when_played_then_all_linked),
    };
    fixture_use(kind);
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
