/* The store on a private PostgreSQL: one connection per party, one more to reset, watch and sweep.
 *
 * A party's statement is sent without waiting. It is blocked when pg_locks shows its backend
 * waiting for a lock: the server's own word, not a guess from the clock. PostgreSQL releases the
 * locks of a transaction before it answers the COMMIT, so that a statement which the commit freed
 * is never taken for blocked afterwards. */
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "postgres_server.h"
#include "store.h"

enum {
    KEEPER = PARTY_MAX,
    CONNECTIONS = PARTY_MAX + 1,
    SQL_MAX = 512,
    LOOK_EVERY_MS = 1,        /* at pg_locks, while a statement is out */
    STATEMENT_MAX_MS = 20000, /* a step is a millisecond's work: beyond this the server is lost */
    SERVER_START_MAX_MS = 30000,
    SERVER_START_POLL_MS = 20,
};

struct postgres_party {
    enum step pending;
    bool knows_result;
};

struct postgres_store {
    struct race_store base;
    const struct design *design;
    struct postgres_server server;
    PGconn *connections[CONNECTIONS];
    struct postgres_party parties[PARTY_MAX];
    int key; /* a fresh one for every schedule */
    char description[64];
};

static struct postgres_store *postgres_of(struct race_store *s)
{
    return (struct postgres_store *)s;
}

static uint64_t now_ms(void)
{
    return marline__clock_monotonic_ns(marline__clock_system()) / NS_PER_MS;
}

static void note_failure(struct postgres_store *s, const char *what)
{
    (void)snprintf(s->base.failure, sizeof s->base.failure, "%s", what);
    size_t length = strlen(s->base.failure);
    if (length > 0 && s->base.failure[length - 1] == '\n')
        s->base.failure[length - 1] = '\0';
}

/* ---- the keeper's statements: these never wait for a party ---- */

static bool keep(struct postgres_store *s, const char *sql, int *out_number)
{
    PGresult *result = PQexec(s->connections[KEEPER], sql);
    ExecStatusType status = PQresultStatus(result);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!good)
        note_failure(s, PQerrorMessage(s->connections[KEEPER]));
    else if (out_number && status == PGRES_TUPLES_OK)
        *out_number = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
    else if (out_number)
        *out_number = (int)strtol(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return good;
}

/* ---- the parties' statements ---- */

static bool waits_for_lock(struct postgres_store *s, int party, bool *out_waits)
{
    char sql[SQL_MAX];
    int count = 0;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid = %d",
                   PQbackendPID(s->connections[party]));
    if (!keep(s, sql, &count))
        return false;
    *out_waits = count > 0;
    return true;
}

/* Reads the end of the pending statement, which is there. */
static enum outcome collect(struct postgres_store *s, int party, struct sight *sight)
{
    PGconn *connection = s->connections[party];
    enum outcome outcome = OUTCOME_DONE;
    PGresult *result = NULL;
    while ((result = PQgetResult(connection))) {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1)
            sight->results = (int)strtol(PQgetvalue(result, 0, 0), NULL, 10);
        else if (PQresultStatus(result) == PGRES_COMMAND_OK)
            sight->changed += (int)strtol(PQcmdTuples(result), NULL, 10);
        else if (state && strcmp(state, "40001") == 0)
            outcome = OUTCOME_SERIALIZATION;
        else if (state && strcmp(state, "40P01") == 0)
            outcome = OUTCOME_DEADLOCK;
        else if (state || PQresultStatus(result) == PGRES_FATAL_ERROR) {
            note_failure(s, PQresultErrorMessage(result));
            outcome = OUTCOME_STORE_FAILED;
        }
        PQclear(result);
    }
    if (outcome == OUTCOME_SERIALIZATION || outcome == OUTCOME_DEADLOCK)
        PQclear(PQexec(connection, "ROLLBACK"));
    return outcome;
}

static enum outcome fail(struct postgres_store *s, const char *what)
{
    note_failure(s, what);
    return OUTCOME_STORE_FAILED;
}

/* Waits until the pending statement ended, or is seen to wait for a lock. */
static enum outcome await(struct postgres_store *s, int party, struct sight *sight)
{
    PGconn *connection = s->connections[party];
    uint64_t give_up_ms = now_ms() + STATEMENT_MAX_MS;
    while (PQconsumeInput(connection)) {
        bool waits = false;
        if (!PQisBusy(connection)) {
            enum outcome outcome = collect(s, party, sight);
            if (s->parties[party].pending == STEP_CHECK)
                s->parties[party].knows_result = sight->results > 0;
            return outcome;
        }
        struct pollfd ready = {.fd = PQsocket(connection), .events = POLLIN};
        if (poll(&ready, 1, LOOK_EVERY_MS) > 0)
            continue;
        if (!waits_for_lock(s, party, &waits))
            return OUTCOME_STORE_FAILED;
        if (waits) {
            sight->waited = true;
            return OUTCOME_BLOCKED;
        }
        if (now_ms() > give_up_ms)
            return fail(s, "a statement neither ended nor waited for a lock");
    }
    return fail(s, PQerrorMessage(connection));
}

static void begin_sql(const struct postgres_store *s, int party, char *out)
{
    static const char *const levels[] = {[READ_COMMITTED] = "READ COMMITTED",
                                         [REPEATABLE_READ] = "REPEATABLE READ",
                                         [SERIALIZABLE] = "SERIALIZABLE"};
    (void)snprintf(out, SQL_MAX, "BEGIN ISOLATION LEVEL %s", levels[s->design->isolation[party]]);
}

static void insert_sql(const struct postgres_store *s, int party, bool linked, char *out)
{
    char link[16] = "NULL";
    if (linked)
        (void)snprintf(link, sizeof link, "%d", s->key);
    if (party_is_result(party))
        (void)snprintf(out, SQL_MAX, "INSERT INTO result(id, k) VALUES (%d, %d)", s->key, s->key);
    else
        (void)snprintf(out, SQL_MAX, "INSERT INTO span(k, result_id) VALUES (%d, %s), (%d, %s)",
                       s->key, link, s->key, link);
}

static void link_sql(const struct postgres_store *s, bool joined, bool locked, char *out)
{
    char lock[128] = "";
    if (locked)
        (void)snprintf(lock, sizeof lock,
                       "WITH l AS MATERIALIZED (SELECT pg_advisory_xact_lock(%d)) ", s->key);
    const char *from = joined && locked ? "FROM result r, l " : joined ? "FROM result r " : "";
    if (!joined && locked)
        from = "FROM l ";
    (void)snprintf(out, SQL_MAX, "%sUPDATE span SET result_id = %s %sWHERE span.k = %d %s AND %s",
                   lock, joined ? "r.id" : "span.k", from, s->key, joined ? "AND r.k = span.k" : "",
                   "span.result_id IS NULL");
}

static void step_sql(const struct postgres_store *s, int party, enum step step, char *out)
{
    bool joined = !party_is_result(party);
    out[0] = '\0';
    switch (step) {
    case STEP_BEGIN:
        begin_sql(s, party, out);
        return;
    case STEP_COMMIT:
        (void)snprintf(out, SQL_MAX, "COMMIT");
        return;
    case STEP_INSERT:
        insert_sql(s, party, false, out);
        return;
    case STEP_INSERT_KNOWN:
        insert_sql(s, party, s->parties[party].knows_result, out);
        return;
    case STEP_LINK:
    case STEP_LINK_LOCKED:
        link_sql(s, joined, step == STEP_LINK_LOCKED, out);
        return;
    case STEP_LOCK:
        (void)snprintf(out, SQL_MAX, "SELECT pg_advisory_xact_lock(%d)", s->key);
        return;
    case STEP_UPSERT:
        (void)snprintf(out, SQL_MAX,
                       "INSERT INTO rendezvous(k, n) VALUES (%d, 1)"
                       " ON CONFLICT (k) DO UPDATE SET n = rendezvous.n + 1",
                       s->key);
        return;
    case STEP_CHECK:
        (void)snprintf(out, SQL_MAX, "SELECT count(*) FROM result WHERE k = %d", s->key);
        return;
    case STEP_BEGIN_IMMEDIATE:
    case STEP_END:
        return;
    }
}

static enum outcome run(struct race_store *store, int party, enum step step, struct sight *sight)
{
    struct postgres_store *s = postgres_of(store);
    char sql[SQL_MAX];
    step_sql(s, party, step, sql);
    if (!*sql)
        return fail(s, "no such step on PostgreSQL");
    s->parties[party].pending = step;
    if (!PQsendQuery(s->connections[party], sql))
        return fail(s, PQerrorMessage(s->connections[party]));
    return await(s, party, sight);
}

static enum outcome resume(struct race_store *store, int party, struct sight *sight)
{
    return await(postgres_of(store), party, sight);
}

static enum outcome sweep(struct race_store *store, struct sight *sight)
{
    struct postgres_store *s = postgres_of(store);
    char sql[SQL_MAX];
    link_sql(s, true, false, sql);
    return keep(s, sql, &sight->changed) ? OUTCOME_DONE : OUTCOME_STORE_FAILED;
}

static bool look_at_rest(struct race_store *store, struct rest *out_rest)
{
    struct postgres_store *s = postgres_of(store);
    const char *unlinked = s->design->joins_at_read
                               ? "NOT EXISTS (SELECT 1 FROM result r WHERE r.k = span.k)"
                               : "result_id IS NULL";
    char sql[SQL_MAX];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM span WHERE k = %d", s->key);
    if (!keep(s, sql, &out_rest->spans))
        return false;
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM span WHERE k = %d AND %s", s->key,
                   unlinked);
    return keep(s, sql, &out_rest->unlinked);
}

static bool reset(struct race_store *store, const struct design *design)
{
    struct postgres_store *s = postgres_of(store);
    s->design = design;
    s->key++;
    if (postgres_server_is_interrupted())
        note_failure(s, "interrupted");
    return !postgres_server_is_interrupted();
}

/* ---- open and close ---- */

static void close_postgres(struct race_store *store)
{
    struct postgres_store *s = postgres_of(store);
    for (int i = 0; i < CONNECTIONS; i++)
        PQfinish(s->connections[i]);
    postgres_server_stop(&s->server);
    marline__memory_free(s);
}

static const struct race_store_functions functions = {reset, run,          resume,
                                                      sweep, look_at_rest, close_postgres};

static bool await_server(struct postgres_store *s, const char *address)
{
    uint64_t give_up_ms = now_ms() + SERVER_START_MAX_MS;
    while (PQping(address) != PQPING_OK) {
        if (!postgres_server_lives(&s->server) || postgres_server_is_interrupted() ||
            now_ms() > give_up_ms)
            return false;
        (void)poll(NULL, 0, SERVER_START_POLL_MS);
    }
    return true;
}

/* Small tables would be read whole, and page locks of SERIALIZABLE would then cover all keys. */
static const char schema[] =
    "CREATE TABLE result(id int PRIMARY KEY, k int NOT NULL); CREATE INDEX ON result(k);"
    "CREATE TABLE span(id serial PRIMARY KEY, k int NOT NULL, result_id int);"
    "CREATE INDEX ON span(k);"
    "CREATE TABLE rendezvous(k int PRIMARY KEY, n int NOT NULL);"
    "ALTER ROLE races SET enable_seqscan = off;"
    "ALTER ROLE races SET client_min_messages = error";

static bool connect_all(struct postgres_store *s)
{
    char address[192];
    postgres_server_address(&s->server, address, sizeof address);
    if (!await_server(s, address)) {
        note_failure(s, "the server did not start");
        return false;
    }
    for (int i = KEEPER; i >= 0; i--) {
        s->connections[i] = PQconnectdb(address);
        if (PQstatus(s->connections[i]) != CONNECTION_OK) {
            note_failure(s, PQerrorMessage(s->connections[i]));
            return false;
        }
        if (i == KEEPER && !keep(s, schema, NULL))
            return false;
    }
    return true;
}

static void describe(struct postgres_store *s)
{
    int version = PQserverVersion(s->connections[KEEPER]);
    s->base.describe = s->description;
    (void)snprintf(s->description, sizeof s->description, "PostgreSQL %d.%d", version / 10000,
                   version % 10000);
}

enum store_open store_postgres_open(const char *programs, struct race_store **out_store,
                                    char *out_why, size_t why_size)
{
    struct postgres_store *s = marline__memory_zeroed(sizeof *s);
    if (!s)
        return STORE_OPEN_FAILED;
    s->base.functions = &functions;
    s->base.kind = STORE_POSTGRES;
    enum postgres_start started = postgres_server_start(&s->server, programs, out_why, why_size);
    if (started == POSTGRES_STARTED && connect_all(s)) {
        describe(s);
        *out_store = &s->base;
        return STORE_OPEN_OK;
    }
    if (started == POSTGRES_STARTED)
        (void)snprintf(out_why, why_size, "PostgreSQL: %s", s->base.failure);
    close_postgres(&s->base);
    return started == POSTGRES_MISSING ? STORE_OPEN_MISSING : STORE_OPEN_FAILED;
}
