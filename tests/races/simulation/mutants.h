/* Deliberate bugs, for the proof that a run would find them: one rule each that a machine of
 * production, its SQL or a shell of the simulation no longer keeps. */
#ifndef SIMULATION_MUTANTS_H
#define SIMULATION_MUTANTS_H

#include <stdbool.h>

enum mutant {
    MUTANT_NONE,
    /* rules of core/rules.h and connector/session_rules.h, and points of the linker */
    MUTANT_NO_RESULT_POINT,
    MUTANT_NO_INGEST_POINT,
    MUTANT_NO_SWEEPER,
    MUTANT_FIRST_SPAN_ONLY,
    MUTANT_KEYS_SEEN_TWICE,
    MUTANT_STALE_CLOSE,
    MUTANT_CALLS_BOUND_TO_CONNECTION,
    MUTANT_COMPLETED_FORGOTTEN,
    MUTANT_RESULT_STORED_ONCE,
    MUTANT_STATUS_STORED_ONCE,
    MUTANT_ATTEMPTS_UNNUMBERED,
    MUTANT_SENT_FORGOTTEN,
    MUTANT_NOTHING_RESUMED,
    MUTANT_OUTBOX_FORGETS,
    MUTANT_RESULTS_UNREPORTED,
    /* of the shells */
    MUTANT_RESULT_LINK_EARLY,
    MUTANT_SPAN_LINK_EARLY,
    MUTANT_POST_ACKED_EARLY,
    MUTANT_RESULT_ACKED_EARLY,
    /* of the store of production (edited_store.h) */
    MUTANT_LINK_MOVES,
    MUTANT_LAST_RESULT_WINS,
    MUTANT_KEY_WITHOUT_CONFIGURATION,
    MUTANT_KEY_WITHOUT_TEST,
    MUTANT_SPANS_STORED_TWICE,
    MUTANT_RECEIPT_UNCOUNTED,
    MUTANT_ALL_RUNS_RESUMED,
    MUTANT_COUNT
};

const char *mutant_id(enum mutant mutant);
const char *mutant_text(enum mutant mutant);
const char *mutant_place(enum mutant mutant); /* where the rule is: "core/router" … */
bool mutant_is_of_store(enum mutant mutant);

struct linker;
struct linker_policy;
struct router;
struct run;
struct session;

/* To be called on each machine that is made; what the mutant is not about stays as it is. */
void mutant_points(enum mutant mutant, struct linker_policy *policy);
void mutant_linker(enum mutant mutant, struct linker *linker);
void mutant_router(enum mutant mutant, struct router *router);
void mutant_run(enum mutant mutant, struct run *run);
void mutant_session(enum mutant mutant, struct session *session);

#endif
