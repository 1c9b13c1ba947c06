/* Rules that the machines keep, as switches: a test turns one off and shows that it would notice.
 * Every rule is kept unless such a test says otherwise; nothing but the machines themselves and
 * tests may include this header (scripts/lint).
 *
 * A machine's rules are set right after it was made. */
#ifndef CORE_RULES_H
#define CORE_RULES_H

#include <stdbool.h>

struct linker;
struct router;
struct run;

struct linker_rules {
    bool every_key; /* of a POST is tried, not only that of its first span */
    bool same_span; /* a key that was linked between two sweeps has not been seen twice */
};

struct router_rules {
    bool
        compare_and_delete; /* the end of a connection removes only routes that are still its own */
    bool agents_not_sessions; /* a call is bound to its agent, not to the connection */
    bool remember_completed;  /* so that a repeat is known for one */
};

struct run_rules {
    bool retry_results;   /* a result that could not be stored is stored later */
    bool retry_status;    /* the run's status likewise */
    bool number_attempts; /* each attempt has a key of its own */
    bool await_restored;  /* what was sent in an earlier life is still owed */
    bool go_on;           /* after a restart a run does not stay as it was */
};

#define LINKER_RULES_KEPT ((struct linker_rules){true, true})
#define ROUTER_RULES_KEPT ((struct router_rules){true, true, true})
#define RUN_RULES_KEPT    ((struct run_rules){true, true, true, true, true})

void linker_set_rules(struct linker *linker, const struct linker_rules *rules);
void router_set_rules(struct router *router, const struct router_rules *rules);
void run_set_rules(struct run *run, const struct run_rules *rules);

#endif
