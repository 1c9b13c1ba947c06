/* See mutants.h. */
#include "mutants.h"

#include <stddef.h>

#include "connector/session_rules.h"
#include "core/linker.h"
#include "core/rules.h"

enum place { NOWHERE, POINTS, LINKER, ROUTER, RUN, SESSION, SHELL, STORE };

/* The policy table: which switch of which machine each bug is. */
static const struct {
    const char *id;
    const char *text;
    enum place place;
    size_t rule; /* offset of its switch; of a point, its number */
} mutants[MUTANT_COUNT] = {
    [MUTANT_NONE] = {"none", "no mutant", NOWHERE, 0},
    [MUTANT_NO_RESULT_POINT] = {"no-result-point", "point 1 is never tried", POINTS,
                                LINK_POINT_RESULT},
    [MUTANT_NO_INGEST_POINT] = {"no-ingest-point", "point 2 is never tried", POINTS,
                                LINK_POINT_INGEST},
    [MUTANT_NO_SWEEPER] = {"no-sweeper", "what both points left stays", POINTS, LINK_POINT_SWEEP},
    [MUTANT_FIRST_SPAN_ONLY] = {"first-span-only", "the first span of a POST decides for all",
                                LINKER, offsetof(struct linker_rules, every_key)},
    [MUTANT_KEYS_SEEN_TWICE] = {"keys-seen-twice",
                                "the sweeper takes a key that waits again for one that waits still",
                                LINKER, offsetof(struct linker_rules, same_span)},
    [MUTANT_STALE_CLOSE] = {"stale-close", "the end of a stale connection removes the live route",
                            ROUTER, offsetof(struct router_rules, compare_and_delete)},
    [MUTANT_CALLS_BOUND_TO_CONNECTION] = {"calls-bound-to-connection",
                                          "a result on the agent's next connection is refused",
                                          ROUTER,
                                          offsetof(struct router_rules, agents_not_sessions)},
    [MUTANT_COMPLETED_FORGOTTEN] = {"completed-forgotten", "a repeated result is of no known call",
                                    ROUTER, offsetof(struct router_rules, remember_completed)},
    [MUTANT_RESULT_STORED_ONCE] = {"result-stored-once",
                                   "a result that the store refused is given up", RUN,
                                   offsetof(struct run_rules, retry_results)},
    [MUTANT_STATUS_STORED_ONCE] = {"status-stored-once",
                                   "a status that the store refused is given up", RUN,
                                   offsetof(struct run_rules, retry_status)},
    [MUTANT_ATTEMPTS_UNNUMBERED] = {"attempts-unnumbered", "all attempts have the key of the first",
                                    RUN, offsetof(struct run_rules, number_attempts)},
    [MUTANT_SENT_FORGOTTEN] = {"sent-forgotten",
                               "after a restart nobody waits for what was sent before", RUN,
                               offsetof(struct run_rules, await_restored)},
    [MUTANT_NOTHING_RESUMED] = {"nothing-resumed", "after a restart a run stays as it was", RUN,
                                offsetof(struct run_rules, go_on)},
    [MUTANT_OUTBOX_FORGETS] = {"outbox-forgets", "a result is settled once it is written", SESSION,
                               offsetof(struct session_rules, keep_until_acknowledged)},
    [MUTANT_RESULTS_UNREPORTED] = {"results-unreported",
                                   "in_flight leaves out results that wait to be sent", SESSION,
                                   offsetof(struct session_rules, report_results)},
    [MUTANT_RESULT_LINK_EARLY] = {"result-link-early", "point 1 is tried before its commit", SHELL,
                                  0},
    [MUTANT_SPAN_LINK_EARLY] = {"span-link-early", "point 2 is tried before its commit", SHELL, 0},
    [MUTANT_POST_ACKED_EARLY] = {"post-acked-early", "200 is answered before the commit", SHELL, 0},
    [MUTANT_RESULT_ACKED_EARLY] = {"result-acked-early",
                                   "a result is acknowledged before its commit", SHELL, 0},
    [MUTANT_LINK_MOVES] = {"link-moves", "the UPDATE has no IS NULL", STORE, 0},
    [MUTANT_LAST_RESULT_WINS] = {"last-result-wins", "a later result becomes the canonical one",
                                 STORE, 0},
    [MUTANT_KEY_WITHOUT_CONFIGURATION] = {"key-without-configuration",
                                          "the link ignores the configuration", STORE, 0},
    [MUTANT_KEY_WITHOUT_TEST] = {"key-without-test", "the link ignores the test", STORE, 0},
    [MUTANT_SPANS_STORED_TWICE] = {"spans-stored-twice", "a repeated POST is stored again", STORE,
                                   0},
    [MUTANT_RECEIPT_UNCOUNTED] = {"receipt-uncounted", "duplicates are missing from the ledger",
                                  STORE, 0},
    [MUTANT_ALL_RUNS_RESUMED] = {"all-runs-resumed",
                                 "a backend that starts takes up the runs of all", STORE, 0},
};

const char *mutant_id(enum mutant mutant)
{
    return mutants[mutant].id;
}

const char *mutant_text(enum mutant mutant)
{
    return mutants[mutant].text;
}

const char *mutant_place(enum mutant mutant)
{
    static const char *const names[] = {
        [NOWHERE] = "",           [POINTS] = "core/linker",    [LINKER] = "core/linker",
        [ROUTER] = "core/router", [RUN] = "core/run",          [SESSION] = "connector/session",
        [SHELL] = "shell",        [STORE] = "store/store_sql",
    };
    return names[mutants[mutant].place];
}

bool mutant_is_of_store(enum mutant mutant)
{
    return mutants[mutant].place == STORE;
}

/* Turns the switch off, when the mutant's is one of these rules. */
static void switch_off(enum mutant mutant, enum place place, void *rules)
{
    if (mutants[mutant].place == place) {
        *(bool *)((char *)rules + mutants[mutant].rule) = false;
    }
}

void mutant_points(enum mutant mutant, struct linker_policy *policy)
{
    if (mutants[mutant].place == POINTS) {
        policy->points[mutants[mutant].rule] = false;
    }
}

void mutant_linker(enum mutant mutant, struct linker *linker)
{
    struct linker_rules rules = LINKER_RULES_KEPT;
    switch_off(mutant, LINKER, &rules);
    linker_set_rules(linker, &rules);
}

void mutant_router(enum mutant mutant, struct router *router)
{
    struct router_rules rules = ROUTER_RULES_KEPT;
    switch_off(mutant, ROUTER, &rules);
    router_set_rules(router, &rules);
}

void mutant_run(enum mutant mutant, struct run *run)
{
    struct run_rules rules = RUN_RULES_KEPT;
    switch_off(mutant, RUN, &rules);
    run_set_rules(run, &rules);
}

void mutant_session(enum mutant mutant, struct session *session)
{
    struct session_rules rules = SESSION_RULES_KEPT;
    switch_off(mutant, SESSION, &rules);
    marline__session_set_rules(session, &rules);
}
