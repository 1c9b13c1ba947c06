/* See designs.h. The golden numbers were measured on PostgreSQL 15.20 and SQLite 3.40. */
#include "designs.h"

#include <ctype.h>
#include <string.h>

/* clang-format off */
#define EVERYWHERE (STORE_MODEL | STORE_SQLITE | STORE_POSTGRES)
#define SERVERS    (STORE_MODEL | STORE_POSTGRES)

#define ONE_TRANSACTION  {STEP_BEGIN, STEP_INSERT, STEP_LINK, STEP_COMMIT}
#define TWO_TRANSACTIONS {STEP_BEGIN, STEP_INSERT, STEP_COMMIT, STEP_BEGIN, STEP_LINK, STEP_COMMIT}
#define LOCK_FIRST       {STEP_BEGIN, STEP_LOCK, STEP_INSERT, STEP_LINK, STEP_COMMIT}
#define DIES_UNLINKED    {STEP_BEGIN, STEP_INSERT, STEP_COMMIT}

#define WRITE_SKEW "write skew: each side's link ran while the other's row was not yet committed"
#define STALE      "stale snapshot: the link read a snapshot older than the other side's commit"
#define COMMIT_RULE "commit first, then link in a new transaction, on both sides (design C)"

const struct design designs[] = {
    {.id = "A", .what = "one transaction per side", .isolation_name = "READ COMMITTED",
     .party_count = 2, .steps = {ONE_TRANSACTION, ONE_TRANSACTION}, .stores = EVERYWHERE,
     .golden = {70, 40, 0, 0, 0}, .golden_sqlite = {70, 0, 0, 60, 0},
     .anomaly = WRITE_SKEW, .rule = COMMIT_RULE,
     .why = "both link before either commits: neither sees the other's row, nothing waits"},
    {.id = "B", .what = "spans commit first; result and link in one transaction",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {ONE_TRANSACTION, TWO_TRANSACTIONS}, .stores = EVERYWHERE,
     .golden = {210, 20, 0, 0, 0}, .golden_sqlite = {210, 0, 0, 181, 0},
     .anomaly = WRITE_SKEW, .rule = COMMIT_RULE,
     .why = "R links before S commits, S links before R commits: half a fix is none"},
    {.id = "B′", .what = "result commits first; spans and link in one transaction",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {TWO_TRANSACTIONS, ONE_TRANSACTION}, .stores = EVERYWHERE,
     .golden = {210, 20, 0, 0, 0}, .golden_sqlite = {210, 0, 0, 181, 0},
     .anomaly = WRITE_SKEW, .rule = COMMIT_RULE, .why = "the mirror of B, and the same hole"},
    {.id = "C", .what = "both commit their insert, then link in a new transaction",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {TWO_TRANSACTIONS, TWO_TRANSACTIONS}, .stores = EVERYWHERE,
     .golden = {924, 0, 0, 420, 0}, .golden_sqlite = {924, 0, 0, 774, 0},
     .why = "whichever side commits second sees the other"},
    {.id = "C2", .what = "autocommit insert, autocommit link",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {{STEP_INSERT, STEP_LINK}, {STEP_INSERT, STEP_LINK}}, .stores = EVERYWHERE,
     .golden = {6, 0, 0, 0, 0}, .golden_sqlite = {6, 0, 0, 0, 0}, .why = "as C, with less to type"},
    {.id = "C3", .what = "as C", .isolation_name = "REPEATABLE READ", .party_count = 2,
     .isolation = {REPEATABLE_READ, REPEATABLE_READ},
     .steps = {TWO_TRANSACTIONS, TWO_TRANSACTIONS}, .stores = SERVERS,
     .golden = {924, 0, 0, 420, 420},
     .why = "as C, but two links that meet end in 40001: whoever forgets to retry forgets a link"},
    {.id = "D", .what = "one transaction per side", .isolation_name = "REPEATABLE READ",
     .party_count = 2, .isolation = {REPEATABLE_READ, REPEATABLE_READ},
     .steps = {ONE_TRANSACTION, ONE_TRANSACTION}, .stores = SERVERS,
     .golden = {70, 60, 0, 0, 0}, .anomaly = STALE, .rule = COMMIT_RULE,
     .why = "the insert takes the snapshot: whoever overlaps at all never sees the other"},
    {.id = "E", .what = "one transaction per side, retried whole", .isolation_name = "SERIALIZABLE",
     .party_count = 2, .isolation = {SERIALIZABLE, SERIALIZABLE},
     .steps = {ONE_TRANSACTION, ONE_TRANSACTION}, .stores = SERVERS,
     .golden = {70, 0, 0, 0, 60},
     .why = "every overlap aborts one side (40001); right only with a retry, and dear"},
    {.id = "E″", .what = "one transaction per side, only R serializable",
     .isolation_name = "SERIALIZABLE + READ COMMITTED", .party_count = 2,
     .isolation = {SERIALIZABLE, READ_COMMITTED}, .steps = {ONE_TRANSACTION, ONE_TRANSACTION},
     .stores = SERVERS, .golden = {70, 50, 0, 0, 0}, .anomaly = STALE,
     .rule = "SERIALIZABLE on both sides with a retry (design E); better: design C",
     .why = "conflicts are tracked between serializable transactions only"},
    {.id = "F", .what = "advisory lock on the key first", .isolation_name = "READ COMMITTED",
     .party_count = 2, .steps = {LOCK_FIRST, LOCK_FIRST}, .stores = SERVERS,
     .golden = {252, 0, 0, 240, 0}, .why = "one side waits, and its next statement sees the commit"},
    {.id = "F′", .what = "advisory lock on the key first", .isolation_name = "REPEATABLE READ",
     .party_count = 2, .isolation = {REPEATABLE_READ, REPEATABLE_READ},
     .steps = {LOCK_FIRST, LOCK_FIRST}, .stores = SERVERS,
     .golden = {252, 240, 0, 240, 0}, .anomaly = STALE,
     .rule = "take the lock before the snapshot: READ COMMITTED (design F), or a session lock",
     .why = "the lock statement takes the snapshot and waits then: it wakes up in the past"},
    {.id = "F‴", .what = "the lock in a CTE of the link's UPDATE", .isolation_name = "READ COMMITTED",
     .party_count = 2,
     .steps = {{STEP_BEGIN, STEP_INSERT, STEP_LINK_LOCKED, STEP_COMMIT},
               {STEP_BEGIN, STEP_INSERT, STEP_LINK_LOCKED, STEP_COMMIT}},
     .stores = SERVERS, .golden = {70, 40, 0, 0, 0}, .anomaly = WRITE_SKEW,
     .rule = "take the lock in a statement of its own, first (design F); better: design C",
     .why = "with no row to link the CTE is never read, and the lock never taken"},
    {.id = "G", .what = "rendezvous row of the key upserted first",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {{STEP_BEGIN, STEP_UPSERT, STEP_INSERT, STEP_LINK, STEP_COMMIT},
               {STEP_BEGIN, STEP_UPSERT, STEP_INSERT, STEP_LINK, STEP_COMMIT}},
     .stores = SERVERS, .golden = {252, 0, 0, 240, 0},
     .why = "as F, with a row for a lock: one more write per key, and both sides in a queue"},
    {.id = "I", .what = "no link column, join on the key when reading",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {DIES_UNLINKED, DIES_UNLINKED}, .joins_at_read = true, .stores = EVERYWHERE,
     .golden = {20, 0, 0, 0, 0}, .golden_sqlite = {20, 0, 0, 12, 0},
     .why = "nothing to miss; every reader pays, and a second result makes the answer change"},
    {.id = "J", .what = "as A, then one sweep", .isolation_name = "READ COMMITTED",
     .party_count = 2, .steps = {ONE_TRANSACTION, ONE_TRANSACTION}, .sweeps = true,
     .stores = EVERYWHERE, .golden = {70, 0, 40, 0, 0}, .golden_sqlite = {70, 0, 0, 60, 0},
     .why = "the sweep repairs what both points missed, a sweep interval late"},
    {.id = "B×3", .what = "as B, with a second batch of spans", .isolation_name = "READ COMMITTED",
     .party_count = 3, .steps = {ONE_TRANSACTION, TWO_TRANSACTIONS, TWO_TRANSACTIONS},
     .stores = EVERYWHERE, .golden = {1681680, 192640, 0, 136780, 0},
     .golden_sqlite = {1681680, 0, 0, 0, 0}, .anomaly = WRITE_SKEW, .rule = COMMIT_RULE,
     .why = "one of two batches may be linked, the other not: the trace looks half there"},
    {.id = "C×3", .what = "as C, with a second batch of spans", .isolation_name = "READ COMMITTED",
     .party_count = 3, .steps = {TWO_TRANSACTIONS, TWO_TRANSACTIONS, TWO_TRANSACTIONS},
     .stores = EVERYWHERE, .golden = {17153136, 0, 0, 11899104, 0},
     .golden_sqlite = {17153136, 0, 0, 0, 0}, .why = "as C: the last to commit sees all the others"},
    {.id = "crash-R", .what = "as C; the result side dies between commit and link",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {DIES_UNLINKED, TWO_TRANSACTIONS}, .stores = EVERYWHERE,
     .golden = {84, 49, 0, 0, 0}, .golden_sqlite = {84, 19, 0, 60, 0},
     .anomaly = "orphan: the side that should have linked died between its commit and its link",
     .rule = "a sweeper that tries again whatever is not linked (the project's own design)",
     .why = "two points are one too few when one of them never happens"},
    {.id = "crash-S", .what = "as C; the span side dies between commit and link",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {TWO_TRANSACTIONS, DIES_UNLINKED}, .stores = EVERYWHERE,
     .golden = {84, 49, 0, 0, 0}, .golden_sqlite = {84, 19, 0, 60, 0},
     .anomaly = "orphan: the side that should have linked died between its commit and its link",
     .rule = "a sweeper that tries again whatever is not linked (the project's own design)",
     .why = "the mirror of crash-R"},
    {.id = "own", .what = "C + idempotent UPDATE by key + sweeper: the project's own",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {TWO_TRANSACTIONS, TWO_TRANSACTIONS}, .sweeps = true, .stores = EVERYWHERE,
     .golden = {924, 0, 0, 420, 0}, .golden_sqlite = {924, 0, 0, 774, 0},
     .why = "links at two points; without faults the sweeper finds nothing left to do"},
    {.id = "own-crash-R", .what = "own; the result side dies between commit and link",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {DIES_UNLINKED, TWO_TRANSACTIONS}, .sweeps = true, .stores = EVERYWHERE,
     .golden = {84, 0, 49, 0, 0}, .golden_sqlite = {84, 0, 19, 60, 0},
     .why = "the sweeper repairs what the crash left"},
    {.id = "own-crash-S", .what = "own; the span side dies between commit and link",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {TWO_TRANSACTIONS, DIES_UNLINKED}, .sweeps = true, .stores = EVERYWHERE,
     .golden = {84, 0, 49, 0, 0}, .golden_sqlite = {84, 0, 19, 60, 0},
     .why = "the mirror of own-crash-R"},
    {.id = "own-crash", .what = "own; both sides die between commit and link",
     .isolation_name = "READ COMMITTED", .party_count = 2,
     .steps = {DIES_UNLINKED, DIES_UNLINKED}, .sweeps = true, .stores = EVERYWHERE,
     .golden = {20, 0, 20, 0, 0}, .golden_sqlite = {20, 0, 20, 12, 0},
     .why = "no point left at all: the sweeper links everything"},
    {.id = "check-first", .what = "S looks for the result by autocommit, then inserts what it knows",
     .isolation_name = "autocommit", .party_count = 2,
     .steps = {{STEP_INSERT, STEP_LINK}, {STEP_CHECK, STEP_INSERT_KNOWN}}, .stores = EVERYWHERE,
     .golden = {6, 1, 0, 0, 0}, .golden_sqlite = {6, 1, 0, 0, 0},
     .anomaly = "check then act: what the check saw was out of date when the insert used it",
     .rule = "insert first, then look (design C2): the order of the two is the whole difference",
     .why = "the one race of this family that SQLite has too"},
    {.id = "immediate", .what = "one transaction per side, BEGIN IMMEDIATE",
     .isolation_name = "SQLite", .party_count = 2,
     .steps = {{STEP_BEGIN_IMMEDIATE, STEP_INSERT, STEP_LINK, STEP_COMMIT},
               {STEP_BEGIN_IMMEDIATE, STEP_INSERT, STEP_LINK, STEP_COMMIT}},
     .stores = STORE_SQLITE, .golden_sqlite = {70, 0, 0, 68, 0},
     .why = "the write lock is held from BEGIN to COMMIT: the sides run one after the other"},
    {.id = NULL},
};
/* clang-format on */

/* Primes and the times sign as one types them; lower case. */
static void fold(const char *id, char *out, size_t size)
{
    static const struct {
        const char *mark, *plain;
    } marks[] = {{"′", "'"}, {"″", "''"}, {"‴", "'''"}, {"×", "x"}, {"\"", "''"}};
    size_t n = 0;
    while (*id && n + 4 < size) {
        size_t m = 0;
        while (m < sizeof marks / sizeof marks[0] &&
               strncmp(id, marks[m].mark, strlen(marks[m].mark)) != 0)
            m++;
        if (m == sizeof marks / sizeof marks[0]) {
            out[n++] = (char)tolower((unsigned char)*id++);
            continue;
        }
        size_t length = strlen(marks[m].plain);
        memcpy(out + n, marks[m].plain, length);
        n += length;
        id += strlen(marks[m].mark);
    }
    out[n] = '\0';
}

enum { ID_SIZE = 32 };

const struct design *design_find(const char *id)
{
    char wanted[ID_SIZE] = "", known[ID_SIZE] = "";
    fold(id, wanted, sizeof wanted);
    for (const struct design *d = designs; d->id; d++) {
        fold(d->id, known, sizeof known);
        if (strcmp(wanted, known) == 0)
            return d;
    }
    return NULL;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Levenshtein: how many letters to change, add or drop. */
static int distance(const char *a, const char *b)
{
    int row[ID_SIZE + 1];
    int length = (int)strlen(b);
    for (int j = 0; j <= length; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= length; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smaller(change, smaller(row[j], row[j - 1]) + 1);
        }
    }
    return row[length];
}

const char *design_nearest(const char *id)
{
    char wanted[ID_SIZE] = "", known[ID_SIZE] = "";
    fold(id, wanted, sizeof wanted);
    const char *best = designs[0].id;
    int best_distance = 2 * ID_SIZE;
    for (const struct design *d = designs; d->id; d++) {
        fold(d->id, known, sizeof known);
        int n = distance(wanted, known);
        if (n < best_distance) {
            best_distance = n;
            best = d->id;
        }
    }
    return best;
}

int design_length(const struct design *d, int party)
{
    int n = 0;
    while (n < STEP_MAX && d->steps[party][n] != STEP_END)
        n++;
    return n;
}

int design_total_length(const struct design *d)
{
    int n = 0;
    for (int party = 0; party < d->party_count; party++)
        n += design_length(d, party);
    return n;
}

char party_letter(int party)
{
    return "RST"[party];
}

bool party_is_result(int party)
{
    return party == 0;
}

const char *step_name(enum step step)
{
    static const char *const names[] = {
        [STEP_END] = "end",
        [STEP_BEGIN] = "begin",
        [STEP_BEGIN_IMMEDIATE] = "begin immediate",
        [STEP_INSERT] = "insert",
        [STEP_LINK] = "link",
        [STEP_COMMIT] = "commit",
        [STEP_LOCK] = "lock",
        [STEP_LINK_LOCKED] = "link, lock in its CTE",
        [STEP_UPSERT] = "upsert rendezvous",
        [STEP_CHECK] = "check",
        [STEP_INSERT_KNOWN] = "insert what is known",
    };
    return names[step];
}
