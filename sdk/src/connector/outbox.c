/* Prepared statements over one connection; a transaction opens with the first change. */
#include "connector/outbox.h"

#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/uuid.h"
#include "connector/outbox_keeper.h"
#include "io/database.h"
#include "io/refuse.h"

enum {
    SCHEMA_VERSION = 3,
    BUSY_WAIT_MS = 2000,
    PRUNE_EVERY = 512,
};

static const char schema[] =
    "CREATE TABLE scope(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    /* Rows count up: `last_row` gives them out. AUTOINCREMENT would write one more page a time. */
    "CREATE TABLE invocation("
    " row INTEGER PRIMARY KEY," /* in the order they were accepted */
    " scope INTEGER NOT NULL, id BLOB NOT NULL, is_metric INTEGER NOT NULL,"
    " state INTEGER NOT NULL, accepted_ns INTEGER NOT NULL,"
    " request BLOB, result BLOB, span_count INTEGER NOT NULL DEFAULT 0,"
    /* of the execution's span, while it may be lost: then the request is kept, too */
    " stored_ns INTEGER NOT NULL DEFAULT 0, span_start_ns INTEGER, traceparent TEXT);"
    "CREATE TABLE dead_letter("
    " row INTEGER PRIMARY KEY AUTOINCREMENT,"
    " scope INTEGER NOT NULL, id BLOB NOT NULL, at_ns INTEGER NOT NULL,"
    " reason TEXT NOT NULL, traceparent TEXT NOT NULL, request BLOB, result BLOB,"
    " retry INTEGER NOT NULL DEFAULT 0);" /* 1 = somebody asked for it */
    "CREATE TABLE agent(id TEXT NOT NULL);"
    "PRAGMA user_version=3;";

/* [n]: from version n to n + 1. */
static const char *const migrations[SCHEMA_VERSION] = {
    [1] = "ALTER TABLE dead_letter ADD COLUMN retry INTEGER NOT NULL DEFAULT 0;"
          "PRAGMA user_version=2;",
    [2] = "ALTER TABLE invocation ADD COLUMN stored_ns INTEGER NOT NULL DEFAULT 0;"
          "ALTER TABLE invocation ADD COLUMN span_start_ns INTEGER;"
          "ALTER TABLE invocation ADD COLUMN traceparent TEXT;"
          "PRAGMA user_version=3;",
};

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    ACCEPT,
    STORE,
    REPLACE,
    SETTLE,
    PRUNE,
    FORGET_SPANS,
    LAST,
    LOAD,
    BURY,
    UNBURY,
    PRUNE_DEAD,
    ASKED,
    REFUSE_RETRY,
    STATEMENTS
};

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [ACCEPT] = "INSERT INTO invocation(scope,is_metric,id,state,accepted_ns,request,row)"
               " VALUES(?1,?2,?3,1,?4,?5,?6)",
    [STORE] = "INSERT INTO invocation(scope,is_metric,id,state,accepted_ns,result,span_count,"
              "stored_ns,row) VALUES(?1,?2,?3,2,?4,?5,?6,?7,?8)",
    [REPLACE] = "UPDATE invocation SET state=2,result=?2,span_count=?3,stored_ns=?4,"
                "span_start_ns=?5,traceparent=?6,"
                "request=CASE WHEN ?6 IS NULL THEN NULL ELSE request END WHERE row=?1",
    [SETTLE] = "UPDATE invocation SET state=3 WHERE row=?1",
    [PRUNE] = "DELETE FROM invocation WHERE row<=?1 AND state=3",
    [FORGET_SPANS] = "UPDATE invocation SET request=NULL,traceparent=NULL"
                     " WHERE traceparent IS NOT NULL AND state=3 AND stored_ns<?1",
    /* The newest, not the highest: the clock may have been set back. */
    [LAST] = "SELECT stored_ns FROM invocation WHERE scope=?1 AND stored_ns>0"
             " ORDER BY row DESC LIMIT 1",
    [LOAD] = "SELECT row,id,is_metric,state,accepted_ns,request,result,span_count,"
             "span_start_ns,traceparent,stored_ns FROM invocation WHERE scope=?1 ORDER BY row",
    [BURY] = "INSERT INTO dead_letter(scope,id,at_ns,reason,request,result,traceparent)"
             " VALUES(?1,?2,?3,?4,?5,?6,?7)",
    [UNBURY] = "DELETE FROM dead_letter WHERE row=?1",
    [PRUNE_DEAD] = "DELETE FROM dead_letter WHERE row<=?1",
    [ASKED] = "SELECT row,request,result,traceparent FROM dead_letter"
              " WHERE scope=?1 AND retry=1 AND row>?2 ORDER BY row LIMIT 1",
    [REFUSE_RETRY] = "UPDATE dead_letter SET retry=0,reason=?2 WHERE row=?1",
};

struct outbox {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
    int lock; /* of the lock file, -1 = none */
    sqlite3_int64 scope;
    char agent_id[UUID_TEXT_SIZE];
    bool in_transaction;
    bool urgent;
    sqlite3_int64 last_row; /* given out, also to what a failed commit took back: never again */
    uint32_t settled;       /* since the last pruning */
    uint64_t last_stored_ns;
    uint64_t failures;
    struct outbox_keeper *keeper;
};

/* ---- statements ---- */

static void bind_slice(sqlite3_stmt *s, int at, struct slice value)
{
    if (value.data) {
        sqlite3_bind_blob64(s, at, value.data, value.size, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(s, at);
    }
}

static void bind_key(const struct outbox *o, sqlite3_stmt *s, struct slice id, bool is_metric)
{
    sqlite3_bind_int64(s, 1, o->scope);
    sqlite3_bind_int(s, 2, is_metric);
    bind_slice(s, 3, id);
}

static bool step(struct outbox *o, enum statement which)
{
    sqlite3_stmt *s = o->statements[which];
    int code = sqlite3_step(s);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    if (code == SQLITE_DONE) {
        return true;
    }
    o->failures++;
    marline__log(LOG_ERROR, "outbox: %s; what happens now is kept in memory only",
                 sqlite3_errmsg(o->db));
    return false;
}

/* A full disk may end the transaction behind our back. */
static void note_transaction(struct outbox *o)
{
    o->in_transaction = sqlite3_get_autocommit(o->db) == 0;
}

static bool begin(struct outbox *o)
{
    if (!o->in_transaction) {
        o->in_transaction = step(o, BEGIN);
    }
    return o->in_transaction;
}

/* ---- opening ---- */

/* Makes the tables of a new file, or brings those of an older version up to this one. */
static bool make_schema(sqlite3 *db, sqlite3_int64 version)
{
    bool good = marline__database_execute(db, "BEGIN IMMEDIATE") &&
                (version > 0 || marline__database_execute(db, schema));
    for (; good && version > 0 && version < SCHEMA_VERSION; version++) {
        good = marline__database_execute(db, migrations[version]);
    }
    return good && marline__database_execute(db, "COMMIT");
}

static bool read_agent_id(struct outbox *o)
{
    sqlite3_stmt *s = NULL;
    struct uuid id = marline__uuid_random(marline__random_system());
    marline__uuid_format(&id, o->agent_id);
    bool found = false;
    if (sqlite3_prepare_v2(o->db, "SELECT id FROM agent", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) {
        struct slice text = {(const char *)sqlite3_column_text(s, 0),
                             (size_t)sqlite3_column_bytes(s, 0)};
        found = marline__uuid_parse(text, &id);
        marline__uuid_format(&id, o->agent_id);
    }
    sqlite3_finalize(s);
    if (found) {
        return true;
    }
    if (sqlite3_prepare_v2(o->db, "INSERT INTO agent(id) VALUES(?1)", -1, &s, NULL) != SQLITE_OK) {
        return false;
    }
    sqlite3_bind_text(s, 1, o->agent_id, -1, SQLITE_STATIC);
    bool made = sqlite3_step(s) == SQLITE_DONE;
    sqlite3_finalize(s);
    return made;
}

static bool find_scope(struct outbox *o, const char *name)
{
    static const char *const steps[] = {"INSERT INTO scope(name) VALUES(?1) ON CONFLICT DO NOTHING",
                                        "SELECT id FROM scope WHERE name=?1"};
    for (size_t i = 0; i < 2; i++) {
        sqlite3_stmt *s = NULL;
        if (sqlite3_prepare_v2(o->db, steps[i], -1, &s, NULL) != SQLITE_OK) {
            return false;
        }
        sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
        if (sqlite3_step(s) == SQLITE_ROW) {
            o->scope = sqlite3_column_int64(s, 0);
        }
        sqlite3_finalize(s);
    }
    return o->scope > 0;
}

static bool prepare(struct outbox *o)
{
    for (int i = 0; i < STATEMENTS; i++) {
        if (sqlite3_prepare_v3(o->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &o->statements[i],
                               NULL) != SQLITE_OK) {
            return false;
        }
    }
    return true;
}

static marline_status open_database(struct outbox *o, const struct outbox_options *options,
                                    marline_error *error)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    bool good = sqlite3_open_v2(options->path, &o->db, flags, NULL) == SQLITE_OK;
    if (good) {
        sqlite3_busy_timeout(o->db, BUSY_WAIT_MS);
        good = marline__database_execute(o->db, "PRAGMA journal_mode=WAL") &&
               marline__database_execute(o->db, options->durable ? "PRAGMA synchronous=FULL"
                                                                 : "PRAGMA synchronous=NORMAL");
    }
    if (good) {
        sqlite3_int64 version = marline__database_number(o->db, "PRAGMA user_version");
        if (version > SCHEMA_VERSION) {
            return marline__refuse(error, MARLINE_EIO, "outbox %s was written by a newer version",
                                   options->path);
        }
        good = version == SCHEMA_VERSION || make_schema(o->db, version);
    }
    if (good) {
        o->last_row = marline__database_number(o->db, "SELECT ifnull(max(row),0) FROM invocation");
    }
    if (!good || o->last_row < 0 || !prepare(o) || !read_agent_id(o) ||
        !find_scope(o, options->scope)) {
        return marline__refuse(error, MARLINE_EIO, "outbox %s cannot be opened: %s", options->path,
                               o->db ? sqlite3_errmsg(o->db) : "out of memory");
    }
    return MARLINE_OK;
}

static int note_log_size(void *user, sqlite3 *db, const char *name, int pages)
{
    const struct outbox *o = user;
    (void)db;
    (void)name;
    marline__outbox_keeper_log_size(o->keeper, pages);
    return SQLITE_OK;
}

static marline_status start_keeper(struct outbox *o, const struct outbox_options *options,
                                   marline_error *error)
{
    o->keeper = marline__outbox_keeper_start(options->path, options->on_asked, options->user);
    if (!o->keeper) {
        return marline__refuse(error, MARLINE_ENOMEM, "outbox %s: its thread cannot be started",
                               options->path);
    }
    sqlite3_wal_hook(o->db, note_log_size, o);
    return MARLINE_OK;
}

marline_status marline__outbox_open(const struct outbox_options *options, struct outbox **out,
                                    marline_error *error)
{
    struct outbox *o = marline__memory_zeroed(sizeof *o);
    if (!o) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory");
    }
    o->lock = -1;
    marline_status status = marline__database_lock("outbox", options->path, &o->lock, error);
    if (status == MARLINE_OK) {
        status = open_database(o, options, error);
    }
    if (status == MARLINE_OK) {
        status = start_keeper(o, options, error);
    }
    if (status != MARLINE_OK) {
        marline__outbox_close(o);
        return status;
    }
    *out = o;
    return MARLINE_OK;
}

void marline__outbox_close(struct outbox *o)
{
    if (!o) {
        return;
    }
    (void)marline__outbox_commit(o);
    marline__outbox_keeper_stop(o->keeper);
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(o->statements[i]);
    }
    sqlite3_close(o->db);
    if (o->lock >= 0) {
        close(o->lock);
    }
    marline__memory_free(o);
}

const char *marline__outbox_agent_id(const struct outbox *o)
{
    return o->agent_id;
}

/* ---- reading ---- */

static struct slice column(sqlite3_stmt *s, int at)
{
    return (struct slice){sqlite3_column_blob(s, at), (size_t)sqlite3_column_bytes(s, at)};
}

/* When the last result was stored. */
static uint64_t last_sign_of_life(struct outbox *o)
{
    sqlite3_stmt *s = o->statements[LAST];
    sqlite3_bind_int64(s, 1, o->scope);
    uint64_t last = sqlite3_step(s) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    return last;
}

/* A span whose result is not even settled is always in doubt. */
static struct trace_ids span_in_doubt(sqlite3_stmt *s, enum outbox_state state, uint64_t last)
{
    struct trace_ids span = {.flags = 0};
    uint64_t stored = (uint64_t)sqlite3_column_int64(s, 10);
    const char *text = (const char *)sqlite3_column_text(s, 9);
    bool doubtful = state == OUTBOX_STORED || stored + OUTBOX_SPAN_DOUBT_MS * NS_PER_MS >= last;
    if (!text || !doubtful || !marline__traceparent_parse(marline__slice_text(text), &span)) {
        span = (struct trace_ids){.flags = 0};
    }
    return span;
}

marline_status marline__outbox_load(struct outbox *o, outbox_visit_fn visit, void *user)
{
    sqlite3_stmt *s = o->statements[LOAD];
    uint64_t last = last_sign_of_life(o);
    sqlite3_bind_int64(s, 1, o->scope);
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const struct outbox_record record = {
            .row = (uint64_t)sqlite3_column_int64(s, 0),
            .id = column(s, 1),
            .is_metric = sqlite3_column_int(s, 2) != 0,
            .state = (enum outbox_state)sqlite3_column_int(s, 3),
            .accepted_unix_ns = (uint64_t)sqlite3_column_int64(s, 4),
            .request = column(s, 5),
            .result = column(s, 6),
            .span_count = (uint32_t)sqlite3_column_int64(s, 7),
            .span = span_in_doubt(s, (enum outbox_state)sqlite3_column_int(s, 3), last),
            .span_start_unix_ns = (uint64_t)sqlite3_column_int64(s, 8),
            .stored_unix_ns = (uint64_t)sqlite3_column_int64(s, 10),
        };
        if (!visit(user, &record)) {
            code = SQLITE_DONE;
            break;
        }
    }
    sqlite3_reset(s);
    return code == SQLITE_DONE ? MARLINE_OK : MARLINE_EIO;
}

/* ---- writing ---- */

/* The row of an insert that was made. */
static uint64_t inserted(struct outbox *o, enum statement which)
{
    bool done = step(o, which);
    o->urgent |= done;
    return done ? (uint64_t)sqlite3_last_insert_rowid(o->db) : 0;
}

uint64_t marline__outbox_accepted(struct outbox *o, struct slice id, bool is_metric,
                                  struct slice request, uint64_t now_unix_ns)
{
    uint64_t row = 0;
    if (begin(o)) {
        sqlite3_stmt *s = o->statements[ACCEPT];
        bind_key(o, s, id, is_metric);
        sqlite3_bind_int64(s, 4, (sqlite3_int64)now_unix_ns);
        bind_slice(s, 5, request);
        sqlite3_bind_int64(s, 6, ++o->last_row);
        row = inserted(o, ACCEPT);
    }
    note_transaction(o);
    return row;
}

static uint64_t store(struct outbox *o, const struct outbox_record *record)
{
    sqlite3_stmt *s = o->statements[STORE];
    bind_key(o, s, record->id, record->is_metric);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)record->accepted_unix_ns);
    bind_slice(s, 5, record->result);
    sqlite3_bind_int64(s, 6, record->span_count);
    sqlite3_bind_int64(s, 7, (sqlite3_int64)record->stored_unix_ns);
    sqlite3_bind_int64(s, 8, ++o->last_row);
    return inserted(o, STORE);
}

/* Where the row went with a commit that failed, the result gets one of its own. */
static uint64_t replace(struct outbox *o, const struct outbox_record *record)
{
    sqlite3_stmt *s = o->statements[REPLACE];
    char traceparent[TRACEPARENT_SIZE];
    sqlite3_bind_int64(s, 1, (sqlite3_int64)record->row);
    bind_slice(s, 2, record->result);
    sqlite3_bind_int64(s, 3, record->span_count);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)record->stored_unix_ns);
    if (marline__trace_id_is_valid(record->span.trace_id)) {
        marline__traceparent_format(&record->span, traceparent);
        sqlite3_bind_int64(s, 5, (sqlite3_int64)record->span_start_unix_ns);
        sqlite3_bind_text(s, 6, traceparent, -1, SQLITE_STATIC);
    }
    bool done = step(o, REPLACE);
    o->urgent |= done;
    return done && sqlite3_changes(o->db) == 0 ? store(o, record) : record->row;
}

uint64_t marline__outbox_stored(struct outbox *o, const struct outbox_record *record)
{
    uint64_t row = record->row;
    o->last_stored_ns = record->stored_unix_ns;
    if (begin(o)) {
        row = record->row != 0 ? replace(o, record) : store(o, record);
    }
    note_transaction(o);
    return row;
}

static void forget_spans(struct outbox *o, uint64_t before_unix_ns)
{
    sqlite3_bind_int64(o->statements[FORGET_SPANS], 1, (sqlite3_int64)before_unix_ns);
    (void)step(o, FORGET_SPANS);
}

void marline__outbox_settled(struct outbox *o, uint64_t row)
{
    if (row == 0) {
        return;
    }
    if (begin(o)) {
        sqlite3_bind_int64(o->statements[SETTLE], 1, (sqlite3_int64)row);
        (void)step(o, SETTLE);
        if (++o->settled >= PRUNE_EVERY) {
            o->settled = 0;
            sqlite3_bind_int64(o->statements[PRUNE], 1, (sqlite3_int64)row - OUTBOX_SETTLED_MAX);
            (void)step(o, PRUNE);
            forget_spans(o, o->last_stored_ns - OUTBOX_SPAN_DOUBT_MS * NS_PER_MS);
        }
    }
    note_transaction(o);
}

void marline__outbox_forget_spans(struct outbox *o)
{
    if (begin(o)) {
        forget_spans(o, INT64_MAX);
    }
    note_transaction(o);
}

void marline__outbox_bury(struct outbox *o, const struct outbox_letter *letter)
{
    if (begin(o)) {
        sqlite3_stmt *s = o->statements[BURY];
        sqlite3_bind_int64(s, 1, o->scope);
        bind_slice(s, 2, letter->id);
        sqlite3_bind_int64(s, 3, (sqlite3_int64)letter->at_unix_ns);
        sqlite3_bind_text(s, 4, letter->reason, -1, SQLITE_STATIC);
        bind_slice(s, 5, letter->request.size > 0 ? letter->request : SLICE_EMPTY);
        bind_slice(s, 6, letter->result.size > 0 ? letter->result : SLICE_EMPTY);
        sqlite3_bind_text(s, 7, letter->traceparent, -1, SQLITE_STATIC);
        uint64_t row = inserted(o, BURY);
        sqlite3_bind_int64(o->statements[PRUNE_DEAD], 1,
                           (sqlite3_int64)row - OUTBOX_DEAD_LETTERS_MAX);
        (void)step(o, PRUNE_DEAD);
    }
    note_transaction(o);
}

void marline__outbox_unbury(struct outbox *o, int64_t number)
{
    if (begin(o)) {
        sqlite3_bind_int64(o->statements[UNBURY], 1, number);
        o->urgent |= step(o, UNBURY); /* whoever asked for it waits for this */
    }
    note_transaction(o);
}

bool marline__outbox_next_asked(struct outbox *o, int64_t after, struct outbox_asked *out)
{
    sqlite3_stmt *s = o->statements[ASKED];
    sqlite3_bind_int64(s, 1, o->scope);
    sqlite3_bind_int64(s, 2, after);
    bool found = sqlite3_step(s) == SQLITE_ROW;
    if (found) {
        out->number = sqlite3_column_int64(s, 0);
        marline__buffer_clear(&out->request);
        marline__buffer_clear(&out->result);
        marline__buffer_append_slice(&out->request, column(s, 1));
        marline__buffer_append_slice(&out->result, column(s, 2));
        (void)snprintf(out->traceparent, sizeof out->traceparent, "%s",
                       (const char *)sqlite3_column_text(s, 3));
    }
    sqlite3_reset(s);
    return found;
}

void marline__outbox_refuse_retry(struct outbox *o, int64_t number, const char *reason)
{
    if (begin(o)) {
        sqlite3_bind_int64(o->statements[REFUSE_RETRY], 1, number);
        sqlite3_bind_text(o->statements[REFUSE_RETRY], 2, reason, -1, SQLITE_STATIC);
        o->urgent |= step(o, REFUSE_RETRY);
    }
    note_transaction(o);
}

bool marline__outbox_is_pending(const struct outbox *o, bool *out_urgent)
{
    *out_urgent = o->in_transaction && o->urgent;
    return o->in_transaction;
}

marline_status marline__outbox_commit(struct outbox *o)
{
    if (!o->in_transaction) {
        return MARLINE_OK;
    }
    bool done = step(o, COMMIT);
    if (!done && sqlite3_get_autocommit(o->db) == 0) {
        (void)step(o, ROLLBACK);
    }
    o->urgent = false;
    note_transaction(o);
    return done ? MARLINE_OK : MARLINE_EIO;
}

uint64_t marline__outbox_failures(const struct outbox *o)
{
    return o->failures;
}
