/* The simulation itself: that it repeats, that it holds, that it would notice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simulate.h"
#include "simulation/memory_store.h"

enum { FEW_RUNS = 40, SQLITE_RUNS = 10, COVERING_RUNS = 200 };

static char *logged_run(uint64_t seed, uint64_t *out_hash)
{
    char *text = NULL;
    size_t size = 0;
    FILE *log = open_memstream(&text, &size);
    const struct simulation_options options = {.seed = seed, .log = log};
    struct simulation_outcome outcome;
    struct store *store = memory_store_open();
    simulation_run(&options, store, &outcome);
    store_close(store);
    assert_int_equal(fclose(log), 0);
    *out_hash = outcome.log_hash;
    return text;
}

static void given_a_seed_when_run_again_then_the_same_log_byte_for_byte(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= FEW_RUNS; seed++) {
        uint64_t first_hash = 0, second_hash = 0;
        char *first = logged_run(seed, &first_hash);
        char *second = logged_run(seed, &second_hash);
        assert_true(strlen(first) > 1000);
        assert_string_equal(first, second);
        assert_true(first_hash == second_hash);
        free(first);
        free(second);
    }
}

static void given_two_seeds_when_run_then_different_logs(void **state)
{
    (void)state;
    uint64_t first_hash = 0, second_hash = 0;
    free(logged_run(1, &first_hash));
    free(logged_run(2, &second_hash));
    assert_true(first_hash != second_hash);
}

static void assert_green(const struct simulate_tally *t, uint64_t runs)
{
    if (t->violation[0])
        fail_msg("seed %llu: %s", (unsigned long long)t->violating_seed, t->violation);
    assert_int_equal(t->runs, runs);
}

static void given_the_design_when_simulated_then_no_violation_and_every_situation(void **state)
{
    (void)state;
    const struct simulate_options options = {.seed = 1, .runs = COVERING_RUNS};
    struct simulate_tally t;
    simulate_runs(&options, &t);
    assert_green(&t, COVERING_RUNS);
    for (int i = 0; i < SITUATION_COUNT; i++) {
        if (t.visits[i] == 0)
            fail_msg("never visited: %s", situation_text((enum situation)i));
    }
}

static void given_sqlite_when_simulated_then_no_violation(void **state)
{
    (void)state;
    const struct simulate_options options = {
        .seed = 1, .runs = SQLITE_RUNS, .location = "sqlite::memory:"};
    struct simulate_tally t;
    simulate_runs(&options, &t);
    assert_green(&t, SQLITE_RUNS);
}

static void given_no_faults_when_simulated_then_the_sweeper_has_nothing_to_do(void **state)
{
    (void)state;
    struct simulate_options options = {.seed = 1, .runs = FEW_RUNS};
    struct simulate_tally t;
    assert_true(simulate_faults_known("none", &options.faults));
    simulate_runs(&options, &t);
    assert_green(&t, FEW_RUNS);
    assert_int_equal(t.visits[SITUATION_SWEPT], 0);
    assert_int_equal(t.visits[SITUATION_BACKEND_CRASH], 0);
}

/* Found by the simulation: a restarted backend neither took up its runs again nor acknowledged
 * results of calls that it forgot: tests without results, results that no repetition delivered. */
static void given_backend_crashes_when_restarted_then_it_goes_on_with_its_runs(void **state)
{
    (void)state;
    static const struct faults crashes = {.backend_crash = 60, .network_ms_max = 10};
    const struct simulate_options options = {.seed = 1, .runs = FEW_RUNS, .faults = &crashes};
    struct simulate_tally t;
    simulate_runs(&options, &t);
    assert_green(&t, FEW_RUNS);
    assert_true(t.visits[SITUATION_BACKEND_CRASH] > 0);
    assert_true(t.visits[SITUATION_RUN_RESUMED] > 0);
    assert_true(t.visits[SITUATION_RESULT_AWAITED] > 0);
}

/* Found by the simulation: the status of a run was stored once; when the store failed just then,
 * the run was over and said to be running for ever. */
static void given_failing_store_when_a_run_ends_then_its_status_is_stored_again(void **state)
{
    (void)state;
    static const struct faults failures = {.store_failure = 200, .network_ms_max = 10};
    const struct simulate_options options = {.seed = 1, .runs = FEW_RUNS, .faults = &failures};
    struct simulate_tally t;
    simulate_runs(&options, &t);
    assert_green(&t, FEW_RUNS);
    assert_true(t.visits[SITUATION_STATUS_RETRIED] > 0);
}

static struct linker_action next_action(struct linker *linker, enum linker_action_type type)
{
    struct linker_action action;
    assert_true(linker_next_action(linker, &action));
    assert_int_equal(action.type, type);
    return action;
}

/* Found by the simulation: a key that two sweeps in a row see need not have waited all the time. It
 * was linked in between, here or by another backend, and what the second sweep sees has been stored
 * just now, for its own point to link. */
static void given_key_linked_between_sweeps_when_seen_again_then_the_sweeper_waits(void **state)
{
    (void)state;
    const struct linker_options options = linker_options_default();
    const uint64_t interval_ns = options.sweep_interval_ms * NS_PER_MS;
    const struct link_sighting first = {.key = {.attempt = 1}, .span = 1};
    const struct link_sighting second = {.key = {.attempt = 1}, .span = 2};
    struct linker *linker = linker_create(&options);
    linker_on_tick(linker, interval_ns);
    (void)next_action(linker, LINKER_SWEEP);
    linker_sweep_done(linker, interval_ns, &first, 1, true);
    linker_on_tick(linker, 2 * interval_ns);
    (void)next_action(linker, LINKER_SWEEP);
    linker_sweep_done(linker, 2 * interval_ns, &second, 1, true);
    struct linker_action none;
    assert_false(linker_next_action(linker, &none));
    linker_destroy(linker);
}

static void given_each_mutant_when_simulated_then_it_is_found(void **state)
{
    (void)state;
    for (int m = MUTANT_NONE + 1; m < MUTANT_COUNT; m++) {
        const struct simulate_options options = {
            .seed = 1, .runs = SIMULATE_MUTANT_RUNS, .mutant = (enum mutant)m};
        struct simulate_tally t;
        simulate_runs(&options, &t);
        if (!t.violated)
            fail_msg("%s is not found", mutant_id((enum mutant)m));
    }
}

/* A store that dies at its n-th write. */
static struct store *mortal_inner;
static int mortal_left;

static enum store_status mortal_write(struct store *store, struct store_write *const *writes,
                                      size_t count, struct store_error *error)
{
    (void)store;
    if (mortal_left-- <= 0) {
        error->status = STORE_BROKEN;
        (void)snprintf(error->text, sizeof error->text, "the disk is gone");
        return STORE_BROKEN;
    }
    return mortal_inner->ops->write_all(mortal_inner, writes, count, error);
}

static enum store_status mortal_run_spans(struct store *store, const struct store_scope *scope,
                                          const struct uuid *run, store_span_row_fn visit,
                                          void *user, struct store_error *error)
{
    (void)store;
    return mortal_inner->ops->read_run_spans(mortal_inner, scope, run, visit, user, error);
}

static enum store_status mortal_ledger(struct store *store, const struct store_scope *scope,
                                       struct store_ledger *out, struct store_error *error)
{
    (void)store;
    return mortal_inner->ops->read_ledger(mortal_inner, scope, out, error);
}

static enum store_status mortal_waiting(struct store *store, size_t limit, store_key_fn visit,
                                        void *user, struct store_error *error)
{
    (void)store;
    return mortal_inner->ops->waiting_keys(mortal_inner, limit, visit, user, error);
}

static enum store_status mortal_unfinished(struct store *store, struct slice backend,
                                           store_run_fn visit, void *user,
                                           struct store_error *error)
{
    (void)store;
    return mortal_inner->ops->unfinished_runs(mortal_inner, backend, visit, user, error);
}

static enum store_status mortal_answered(struct store *store, size_t limit,
                                         store_invocation_fn visit, void *user,
                                         struct store_error *error)
{
    (void)store;
    return mortal_inner->ops->answered_invocations(mortal_inner, limit, visit, user, error);
}

static void given_a_store_that_dies_when_simulated_then_that_is_said_and_no_violation(void **state)
{
    (void)state;
    static const struct store_ops ops = {.write_all = mortal_write,
                                         .read_run_spans = mortal_run_spans,
                                         .read_ledger = mortal_ledger,
                                         .waiting_keys = mortal_waiting,
                                         .unfinished_runs = mortal_unfinished,
                                         .answered_invocations = mortal_answered};
    static const struct faults none = {.network_ms_max = 10};
    struct store mortal = {.ops = &ops};
    for (int writes = 0; writes < 20; writes++) {
        const struct simulation_options options = {.seed = 1, .faults = &none};
        struct simulation_outcome outcome;
        mortal_inner = memory_store_open();
        mortal_left = writes;
        simulation_run(&options, &mortal, &outcome);
        store_close(mortal_inner);
        assert_true(outcome.store_died);
        assert_string_equal(outcome.violation, "the store failed: the disk is gone");
    }
}

static void given_a_store_that_cannot_be_opened_when_simulated_then_said(void **state)
{
    (void)state;
    const struct simulate_options options = {
        .seed = 1, .runs = 1, .location = "sqlite:/nonexistent/folder/file.db"};
    struct simulate_tally t;
    simulate_runs(&options, &t);
    assert_true(t.store_failed);
    assert_false(t.violated);
    assert_non_null(strstr(t.violation, "/nonexistent/folder/file.db"));
}

static void given_names_when_looked_up_then_known_or_refused(void **state)
{
    (void)state;
    enum mutant mutant = MUTANT_NONE;
    const struct faults *faults = NULL;
    assert_true(simulate_mutant_known("no-sweeper", &mutant));
    assert_int_equal(mutant, MUTANT_NO_SWEEPER);
    assert_false(simulate_mutant_known("no-such", &mutant));
    assert_true(simulate_faults_known("mix", &faults));
    assert_null(faults);
    assert_false(simulate_faults_known("some", &faults));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_a_seed_when_run_again_then_the_same_log_byte_for_byte),
        cmocka_unit_test(given_two_seeds_when_run_then_different_logs),
        cmocka_unit_test(given_the_design_when_simulated_then_no_violation_and_every_situation),
        cmocka_unit_test(given_sqlite_when_simulated_then_no_violation),
        cmocka_unit_test(given_no_faults_when_simulated_then_the_sweeper_has_nothing_to_do),
        cmocka_unit_test(given_backend_crashes_when_restarted_then_it_goes_on_with_its_runs),
        cmocka_unit_test(given_failing_store_when_a_run_ends_then_its_status_is_stored_again),
        cmocka_unit_test(given_key_linked_between_sweeps_when_seen_again_then_the_sweeper_waits),
        cmocka_unit_test(given_each_mutant_when_simulated_then_it_is_found),
        cmocka_unit_test(given_a_store_that_dies_when_simulated_then_that_is_said_and_no_violation),
        cmocka_unit_test(given_a_store_that_cannot_be_opened_when_simulated_then_said),
        cmocka_unit_test(given_names_when_looked_up_then_known_or_refused),
    };
    return cmocka_run_group_tests_name("simulation", tests, NULL, NULL);
}
