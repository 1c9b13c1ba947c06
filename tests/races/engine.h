/* A small transaction engine: just enough of PostgreSQL to lose a link the way PostgreSQL does.
 *
 * Versions per row, snapshots per statement or per transaction, row locks that wait, the recheck
 * after a wait (READ COMMITTED), first-updater-wins (REPEATABLE READ), serializable snapshot
 * isolation, advisory transaction locks. `single_writer` turns it into SQLite: one writer at a time
 * for the whole database.
 *
 * It has no durability, no constraint but the upsert's key, no index and no planner. It is a plain
 * value: copying the struct copies the database. One thread.
 *
 * A statement that must wait returns OUTCOME_BLOCKED and leaves its transaction waiting; call the
 * same function again with the same arguments once engine_may_resume() says so: it goes on with the
 * snapshot that it took before it waited. A failed statement aborts its transaction. */
#ifndef RACES_ENGINE_H
#define RACES_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

enum isolation {
    READ_COMMITTED,
    REPEATABLE_READ,
    SERIALIZABLE,
};

enum outcome {
    OUTCOME_DONE,
    OUTCOME_BLOCKED,
    OUTCOME_SERIALIZATION, /* 40001, or SQLITE_BUSY_SNAPSHOT: aborted, the client may retry */
    OUTCOME_DEADLOCK,      /* 40P01: aborted */
    OUTCOME_STORE_FAILED,  /* the store died; nothing can be said. The engine never returns it */
};

enum table {
    TABLE_RESULT,
    TABLE_SPAN,
    TABLE_RENDEZVOUS,
    TABLE_COUNT,
};

/* Limits of one schedule; the largest design stays far below them. Going beyond is an assert. */
enum { ENGINE_TXN_MAX = 32, ENGINE_ROW_MAX = 16, ENGINE_VERSION_MAX = 8, ENGINE_KEY_MAX = 4 };

enum { NO_TXN = -1, NO_VALUE = 0 };

/* A set of transactions, one bit each. */
typedef uint32_t txn_set;

struct version {
    int value; /* NO_VALUE is SQL's NULL */
    int made_by;
    int ended_by; /* NO_TXN, or who replaced it: also the row's lock while that one is active */
};

struct row {
    enum table table;
    int key;
    int version_count;
    struct version versions[ENGINE_VERSION_MAX];
};

struct txn {
    enum isolation isolation;
    bool active;
    bool committed;
    bool has_snapshot;
    bool resuming;    /* inside a statement that waited: its snapshot stays */
    bool doomed;      /* another's commit made it the victim: fails at its next call */
    txn_set snapshot; /* who had committed when it was taken */
    int waits_for;
    int commit_order;
    uint32_t reads;   /* SERIALIZABLE: the (table, key) pairs read, one bit each */
    txn_set read_by;  /* rw-dependencies: they read around what this one writes */
    txn_set reads_of; /* rw-dependencies: this one read around what they write */
};

struct engine {
    bool single_writer;
    int writer; /* who holds SQLite's write lock */
    txn_set committed;
    int commits;
    int txn_count;
    int row_count;
    int advisory[ENGINE_KEY_MAX]; /* the holder */
    struct txn txns[ENGINE_TXN_MAX];
    struct row rows[ENGINE_ROW_MAX];
};

/* What a statement saw; for the reader of a replay. */
struct sight {
    int spans;    /* spans of the key that its snapshot shows */
    int unlinked; /* of them, those without a link */
    int results;  /* results of the key that its snapshot shows */
    int changed;  /* rows inserted or updated */
    bool waited;
    bool rechecked; /* a row changed while it waited, and its condition was tried again */
};

void engine_init(struct engine *e, bool single_writer);

/* Returns the new transaction. */
int engine_begin(struct engine *e, enum isolation isolation);
enum outcome engine_commit(struct engine *e, int txn);
void engine_abort(struct engine *e, int txn);
/* Whether a blocked transaction's obstacle is gone. */
bool engine_may_resume(const struct engine *e, int txn);

enum outcome engine_insert(struct engine *e, int txn, enum table table, int key, int value,
                           struct sight *sight);
/* INSERT … ON CONFLICT DO UPDATE: waits for whoever has the row of `key` in hand. */
enum outcome engine_upsert(struct engine *e, int txn, enum table table, int key,
                           struct sight *sight);
/* UPDATE span SET link = value WHERE key AND link IS NULL. */
enum outcome engine_link(struct engine *e, int txn, int key, int value, struct sight *sight);
/* The same UPDATE, joined with a result of the key, whose value becomes the link. */
enum outcome engine_link_joined(struct engine *e, int txn, int key, struct sight *sight);
/* SELECT of the results and spans of `key`. */
enum outcome engine_look(struct engine *e, int txn, int key, struct sight *sight);
/* pg_advisory_xact_lock: as any statement, takes its snapshot first and waits then. */
enum outcome engine_lock(struct engine *e, int txn, int key);
/* BEGIN IMMEDIATE's second half: the write lock of a single-writer engine. */
enum outcome engine_lock_writer(struct engine *e, int txn);

/* The first value of `key` in `table` that a fresh snapshot shows; NO_VALUE when there is none. */
int engine_first_value(const struct engine *e, enum table table, int key);

#endif
