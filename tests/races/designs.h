/* The designs: how the result side and the span side of one key bring their rows and the link into
 * a database, as tables of steps. Nothing here runs anything. */
#ifndef RACES_DESIGNS_H
#define RACES_DESIGNS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

/* Between BEGIN and COMMIT a step belongs to that transaction; outside it commits by itself. */
enum step {
    STEP_END,
    STEP_BEGIN,
    STEP_BEGIN_IMMEDIATE,
    STEP_INSERT,
    STEP_LINK,
    STEP_COMMIT,
    STEP_LOCK,         /* advisory transaction lock on the key */
    STEP_LINK_LOCKED,  /* link, with that lock in a CTE: taken only when a row reaches it */
    STEP_UPSERT,       /* the rendezvous row of the key */
    STEP_CHECK,        /* looks whether the other side is there */
    STEP_INSERT_KNOWN, /* insert, with the link that the check found */
};

/* Parties of a schedule: R the result, S the spans, T a second batch of spans. */
enum { PARTY_MAX = 3, STEP_MAX = 8, SPANS_PER_BATCH = 2 };

enum store_kind {
    STORE_MODEL = 1,
    STORE_SQLITE = 2,
    STORE_POSTGRES = 4,
};

/* What every run of a design must count, where it was measured or follows from the rules. */
struct golden {
    int schedules;
    int missed;
    int repaired;
    int waited;
    int aborted;
};

struct design {
    const char *id;
    const char *what;
    const char *isolation_name;
    int party_count;
    enum isolation isolation[PARTY_MAX];
    enum step steps[PARTY_MAX][STEP_MAX];
    bool sweeps;        /* one sweep when all are done */
    bool joins_at_read; /* no link column: a reader joins on the key */
    unsigned stores;    /* where it can run */
    struct golden golden;
    struct golden golden_sqlite;
    const char *anomaly; /* of a losing schedule; NULL when it holds */
    const char *why;
    const char *rule; /* what would have saved a losing schedule */
};

/* The table ends with a NULL id. */
extern const struct design designs[];

/* Accepts typewriter quotes for primes and any case: "b'" finds B′. NULL when there is none. */
const struct design *design_find(const char *id);
/* The id that resembles `id` most. */
const char *design_nearest(const char *id);

int design_length(const struct design *d, int party);
int design_total_length(const struct design *d);
char party_letter(int party);
bool party_is_result(int party);
const char *step_name(enum step step);

#endif
