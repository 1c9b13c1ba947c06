/* The store on SQLite files: one connection per party, one for reset, sweep and rest.
 *
 * SQLite does not wait here (no busy handler): SQLITE_BUSY is reported as blocked, and resume()
 * tries the same statement again. The files live in a temporary folder that close() removes. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "store.h"

enum { KEEPER = PARTY_MAX, CONNECTIONS = PARTY_MAX + 1, SQL_MAX = 512 };

struct sqlite_party {
    enum step pending;
    bool knows_result;
};

struct sqlite_store {
    struct race_store base;
    const struct design *design;
    sqlite3 *connections[CONNECTIONS];
    struct sqlite_party parties[PARTY_MAX];
    int key; /* a fresh one for every schedule */
    char folder[64];
    char description[64];
};

static struct sqlite_store *sqlite_of(struct race_store *s)
{
    return (struct sqlite_store *)s;
}

static enum outcome outcome_of(struct sqlite_store *s, int connection, int code)
{
    sqlite3 *db = s->connections[connection];
    if (code == SQLITE_OK)
        return OUTCOME_DONE;
    if (code == SQLITE_BUSY && sqlite3_extended_errcode(db) == SQLITE_BUSY_SNAPSHOT) {
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return OUTCOME_SERIALIZATION;
    }
    if (code == SQLITE_BUSY)
        return OUTCOME_BLOCKED;
    (void)snprintf(s->base.failure, sizeof s->base.failure, "%s", sqlite3_errmsg(db));
    return OUTCOME_STORE_FAILED;
}

static enum outcome execute(struct sqlite_store *s, int connection, const char *sql)
{
    return outcome_of(s, connection,
                      sqlite3_exec(s->connections[connection], sql, NULL, NULL, NULL));
}

/* Runs a SELECT of one number. */
static enum outcome query(struct sqlite_store *s, int connection, const char *sql, int *out_number)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(s->connections[connection], sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *out_number = sqlite3_column_int(statement, 0);
        code = SQLITE_OK;
    }
    enum outcome outcome = outcome_of(s, connection, code);
    (void)sqlite3_finalize(statement);
    return outcome;
}

/* ---- steps ---- */

static void insert_sql(const struct sqlite_store *s, int party, bool linked, char *out)
{
    if (party_is_result(party)) {
        (void)snprintf(out, SQL_MAX, "INSERT INTO result(id, k) VALUES (%d, %d)", s->key, s->key);
        return;
    }
    char link[16] = "NULL";
    if (linked)
        (void)snprintf(link, sizeof link, "%d", s->key);
    (void)snprintf(out, SQL_MAX, "INSERT INTO span(k, result_id) VALUES (%d, %s), (%d, %s)", s->key,
                   link, s->key, link);
}

static void link_sql(const struct sqlite_store *s, bool joined, char *out)
{
    if (joined)
        (void)snprintf(out, SQL_MAX,
                       "UPDATE span SET result_id = r.id FROM result r"
                       " WHERE span.k = %d AND r.k = span.k AND span.result_id IS NULL",
                       s->key);
    else
        (void)snprintf(out, SQL_MAX,
                       "UPDATE span SET result_id = %d WHERE k = %d AND result_id IS NULL", s->key,
                       s->key);
}

static enum outcome change(struct sqlite_store *s, int connection, const char *sql,
                           struct sight *sight)
{
    enum outcome outcome = execute(s, connection, sql);
    if (outcome == OUTCOME_DONE)
        sight->changed += sqlite3_changes(s->connections[connection]);
    return outcome;
}

static enum outcome check(struct sqlite_store *s, int party, struct sight *sight)
{
    char sql[SQL_MAX];
    int found = 0;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM result WHERE k = %d", s->key);
    enum outcome outcome = query(s, party, sql, &found);
    s->parties[party].knows_result = found > 0;
    sight->results = found;
    return outcome;
}

static enum outcome advance(struct sqlite_store *s, int party, struct sight *sight)
{
    char sql[SQL_MAX];
    switch (s->parties[party].pending) {
    case STEP_BEGIN:
        return execute(s, party, "BEGIN");
    case STEP_BEGIN_IMMEDIATE:
        return execute(s, party, "BEGIN IMMEDIATE");
    case STEP_COMMIT:
        return execute(s, party, "COMMIT");
    case STEP_INSERT:
        insert_sql(s, party, false, sql);
        return change(s, party, sql, sight);
    case STEP_INSERT_KNOWN:
        insert_sql(s, party, s->parties[party].knows_result, sql);
        return change(s, party, sql, sight);
    case STEP_LINK:
        link_sql(s, !party_is_result(party), sql);
        return change(s, party, sql, sight);
    case STEP_CHECK:
        return check(s, party, sight);
    case STEP_LOCK:
    case STEP_LINK_LOCKED:
    case STEP_UPSERT:
    case STEP_END:
        break;
    }
    (void)snprintf(s->base.failure, sizeof s->base.failure, "no such step on SQLite");
    return OUTCOME_STORE_FAILED;
}

static enum outcome run(struct race_store *store, int party, enum step step, struct sight *sight)
{
    struct sqlite_store *s = sqlite_of(store);
    s->parties[party].pending = step;
    return advance(s, party, sight);
}

static enum outcome resume(struct race_store *store, int party, struct sight *sight)
{
    return advance(sqlite_of(store), party, sight);
}

static enum outcome sweep(struct race_store *store, struct sight *sight)
{
    struct sqlite_store *s = sqlite_of(store);
    char sql[SQL_MAX];
    link_sql(s, true, sql);
    enum outcome outcome = change(s, KEEPER, sql, sight);
    return outcome == OUTCOME_BLOCKED ? OUTCOME_STORE_FAILED : outcome;
}

static bool look_at_rest(struct race_store *store, struct rest *out_rest)
{
    struct sqlite_store *s = sqlite_of(store);
    const char *unlinked = s->design->joins_at_read
                               ? "NOT EXISTS (SELECT 1 FROM result r WHERE r.k = span.k)"
                               : "result_id IS NULL";
    char sql[SQL_MAX];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM span WHERE k = %d", s->key);
    if (query(s, KEEPER, sql, &out_rest->spans) != OUTCOME_DONE)
        return false;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM span WHERE k = %d AND %s", s->key,
                   unlinked);
    return query(s, KEEPER, sql, &out_rest->unlinked) == OUTCOME_DONE;
}

static bool reset(struct race_store *store, const struct design *design)
{
    struct sqlite_store *s = sqlite_of(store);
    s->design = design;
    s->key++;
    for (int party = 0; party < PARTY_MAX; party++) {
        if (!sqlite3_get_autocommit(s->connections[party]) &&
            execute(s, party, "ROLLBACK") != OUTCOME_DONE)
            return false;
    }
    return true;
}

/* ---- open and close ---- */

static void remove_files(const struct sqlite_store *s)
{
    static const char *const names[] = {"races.db", "races.db-wal", "races.db-shm",
                                        "races.db-journal"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", s->folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(s->folder);
}

static void close_sqlite(struct race_store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    for (int i = 0; i < CONNECTIONS; i++)
        (void)sqlite3_close(s->connections[i]);
    if (s->folder[0])
        remove_files(s);
    marline__memory_free(s);
}

static const struct race_store_functions functions = {reset, run,          resume,
                                                      sweep, look_at_rest, close_sqlite};

static bool make_folder(struct sqlite_store *s)
{
    const char *parent = getenv("TMPDIR");
    char folder[sizeof s->folder];
    int n = snprintf(folder, sizeof folder, "%s/marline-races-XXXXXX", parent ? parent : "/tmp");
    if (n >= (int)sizeof folder || !mkdtemp(folder)) {
        (void)snprintf(s->base.failure, sizeof s->base.failure, "no temporary folder: %s",
                       strerror(n >= (int)sizeof folder ? ENAMETOOLONG : errno));
        return false;
    }
    memcpy(s->folder, folder, sizeof folder);
    return true;
}

static bool connect_all(struct sqlite_store *s, const char *journal_mode)
{
    char path[128], sql[SQL_MAX];
    (void)snprintf(path, sizeof path, "%s/races.db", s->folder);
    for (int i = 0; i < CONNECTIONS; i++) {
        if (sqlite3_open(path, &s->connections[i]) != SQLITE_OK) {
            (void)snprintf(s->base.failure, sizeof s->base.failure, "%s",
                           sqlite3_errmsg(s->connections[i]));
            return false;
        }
        (void)snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s; PRAGMA synchronous = OFF",
                       journal_mode);
        if (execute(s, i, sql) != OUTCOME_DONE)
            return false;
    }
    return execute(
               s, KEEPER,
               "CREATE TABLE result(id INTEGER PRIMARY KEY, k INTEGER NOT NULL);"
               "CREATE INDEX result_k ON result(k);"
               "CREATE TABLE span(id INTEGER PRIMARY KEY, k INTEGER NOT NULL, result_id INTEGER);"
               "CREATE INDEX span_k ON span(k)") == OUTCOME_DONE;
}

enum store_open store_sqlite_open(const char *journal_mode, struct race_store **out_store,
                                  char *out_why, size_t why_size)
{
    struct sqlite_store *s = marline__memory_zeroed(sizeof *s);
    if (!s)
        return STORE_OPEN_FAILED;
    s->base.functions = &functions;
    s->base.kind = STORE_SQLITE;
    s->base.describe = s->description;
    (void)snprintf(s->description, sizeof s->description, "SQLite %s, journal mode %s",
                   sqlite3_libversion(), journal_mode);
    if (!make_folder(s) || !connect_all(s, journal_mode)) {
        (void)snprintf(out_why, why_size, "SQLite: %s", s->base.failure);
        close_sqlite(&s->base);
        return STORE_OPEN_FAILED;
    }
    *out_store = &s->base;
    return STORE_OPEN_OK;
}
