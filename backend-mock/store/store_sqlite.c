/* The store on SQLite: a file in WAL mode, or memory.
 *
 * Durable: synchronous=FULL, so COMMIT returns after the log is on disk, and what was acknowledged
 * survives kill -9 and a power cut. One writer connection under a mutex, a few reader connections
 * beside it; each reads a snapshot and never waits for the writer. In memory there is a single
 * connection, and reads take turns with writes. This file: opening, connections, statements,
 * errors. The SQL is in the files beside it. */
#include "store/store_sqlite.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "store/open.h"

/* ---- errors ---- */

enum store_status error_set(struct store_error *error, enum store_status status, const char *format,
                            ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return status;
}

enum store_status connection_failed(struct connection *c, struct store_error *error)
{
    const char *detail = sqlite3_errmsg(c->db);
    switch (sqlite3_errcode(c->db) & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, STORE_BUSY, "%s is locked by another process", c->name);
    case SQLITE_FULL:
        return error_set(error, STORE_FULL, "no space left for %s: free some, it goes on by itself",
                         c->name);
    case SQLITE_CONSTRAINT:
        return error_set(error, STORE_CONFLICT, "%s", detail);
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
        return error_set(error, STORE_INVALID, "%s", detail);
    case SQLITE_NOTADB:
        return error_set(error, STORE_BROKEN, "%s is not an SQLite database; name another file",
                         c->name);
    case SQLITE_CORRUPT:
        return error_set(error, STORE_BROKEN, "%s is damaged (%s); restore a copy or move it away",
                         c->name, detail);
    case SQLITE_CANTOPEN:
        return error_set(error, STORE_BROKEN,
                         "cannot open %s: does its folder exist, and may this user write there?",
                         c->name);
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return error_set(error, STORE_BROKEN, "%s is not writable for this user", c->name);
    case SQLITE_IOERR:
        return error_set(error, STORE_BUSY, "reading or writing %s failed (%s, code %d)", c->name,
                         detail, sqlite3_extended_errcode(c->db));
    default:
        return error_set(error, STORE_BROKEN, "%s: %s", c->name, detail);
    }
}

/* ---- statements ---- */

static size_t slot_of(const char *text)
{
    return ((uintptr_t)text >> 3) % SQLITE_STATEMENTS_MAX;
}

sqlite3_stmt *connection_statement(struct connection *c, const char *text,
                                   struct store_error *error)
{
    size_t at = slot_of(text);
    while (c->statements[at].text && c->statements[at].text != text) {
        at = (at + 1) % SQLITE_STATEMENTS_MAX;
        assert(at != slot_of(text)); /* more statements than SQLITE_STATEMENTS_MAX */
    }
    if (!c->statements[at].text) {
        sqlite3_stmt *statement = NULL;
        if (sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
            SQLITE_OK) {
            connection_failed(c, error);
            return NULL;
        }
        c->statements[at].text = text;
        c->statements[at].statement = statement;
    }
    return c->statements[at].statement;
}

enum store_status connection_execute(struct connection *c, const char *script,
                                     struct store_error *error)
{
    return sqlite3_exec(c->db, script, NULL, NULL, NULL) == SQLITE_OK ? STORE_OK
                                                                      : connection_failed(c, error);
}

enum store_status statement_run(struct connection *c, sqlite3_stmt *s, struct store_error *error)
{
    int code = SQLITE_ROW;
    while (code == SQLITE_ROW) {
        code = sqlite3_step(s);
    }
    enum store_status status = code == SQLITE_DONE ? STORE_OK : connection_failed(c, error);
    (void)sqlite3_reset(s); /* repeats the error of step */
    return status;
}

bool statement_row(struct connection *c, sqlite3_stmt *s, enum store_status *out_status,
                   struct store_error *error)
{
    int code = sqlite3_step(s);
    *out_status = STORE_OK;
    if (code == SQLITE_ROW) {
        return true;
    }
    if (code != SQLITE_DONE) {
        *out_status = connection_failed(c, error);
    }
    (void)sqlite3_reset(s);
    return false;
}

void bind_uuid(sqlite3_stmt *s, int at, const struct uuid *u)
{
    (void)sqlite3_bind_blob(s, at, u->bytes, sizeof u->bytes, SQLITE_STATIC);
}

void bind_uuid_or_null(sqlite3_stmt *s, int at, const struct uuid *u)
{
    if (marline__uuid_is_nil(u)) {
        (void)sqlite3_bind_null(s, at);
    } else {
        bind_uuid(s, at, u);
    }
}

void bind_text(sqlite3_stmt *s, int at, struct slice text)
{
    if (text.data) {
        (void)sqlite3_bind_text64(s, at, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
    } else {
        (void)sqlite3_bind_null(s, at);
    }
}

void bind_int(sqlite3_stmt *s, int at, uint64_t value)
{
    (void)sqlite3_bind_int64(s, at, (int64_t)value);
}

void bind_ref(sqlite3_stmt *s, int at, int64_t ref)
{
    if (ref) {
        (void)sqlite3_bind_int64(s, at, ref);
    } else {
        (void)sqlite3_bind_null(s, at);
    }
}

struct uuid column_uuid(sqlite3_stmt *s, int at)
{
    struct uuid u = {{0}};
    const void *blob = sqlite3_column_blob(s, at);
    if (blob && sqlite3_column_bytes(s, at) == (int)sizeof u.bytes) {
        memcpy(u.bytes, blob, sizeof u.bytes);
    }
    return u;
}

struct slice column_text(sqlite3_stmt *s, int at)
{
    const char *text = (const char *)sqlite3_column_text(s, at);
    return (struct slice){text, text ? (size_t)sqlite3_column_bytes(s, at) : 0};
}

uint64_t column_int(sqlite3_stmt *s, int at)
{
    return (uint64_t)sqlite3_column_int64(s, at);
}

/* ---- connections ---- */

static enum store_status connection_open(struct connection *c, const char *path, bool read_only,
                                         struct store_error *error)
{
    int flags = SQLITE_OPEN_NOMUTEX |
                (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    c->name = path;
    if (sqlite3_open_v2(path, &c->db, flags, NULL) != SQLITE_OK) {
        return connection_failed(c, error);
    }
    (void)sqlite3_extended_result_codes(c->db, 1);
    (void)sqlite3_busy_timeout(c->db, SQLITE_BUSY_TIMEOUT_MS);
    return STORE_OK;
}

static void connection_close(struct connection *c)
{
    for (size_t i = 0; i < SQLITE_STATEMENTS_MAX; i++) {
        (void)sqlite3_finalize(c->statements[i].statement);
    }
    (void)sqlite3_close(c->db);
    memset(c, 0, sizeof *c);
}

static struct connection *reader_open(struct sqlite_store *store, struct store_error *error)
{
    struct connection *c = alloc_zeroed(sizeof *c);
    if (connection_open(c, store->path, true, error) != STORE_OK) {
        connection_close(c);
        marline__memory_free(c);
        return NULL;
    }
    return c;
}

struct connection *sqlite_reader_take(struct sqlite_store *store, struct store_error *error)
{
    if (store->in_memory) {
        (void)pthread_mutex_lock(&store->writer.mutex);
        return &store->writer.connection;
    }
    struct connection *c = NULL;
    (void)pthread_mutex_lock(&store->readers.mutex);
    while (store->readers.idle_count == 0 && store->readers.open_count == SQLITE_READERS_MAX) {
        (void)pthread_cond_wait(&store->readers.returned, &store->readers.mutex);
    }
    if (store->readers.idle_count > 0) {
        c = store->readers.idle[--store->readers.idle_count];
    } else {
        store->readers.open_count++;
    }
    (void)pthread_mutex_unlock(&store->readers.mutex);
    if (c) {
        return c;
    }
    c = reader_open(store, error);
    if (!c) {
        (void)pthread_mutex_lock(&store->readers.mutex);
        store->readers.open_count--;
        (void)pthread_cond_signal(&store->readers.returned);
        (void)pthread_mutex_unlock(&store->readers.mutex);
    }
    return c;
}

void sqlite_reader_return(struct sqlite_store *store, struct connection *c)
{
    if (store->in_memory) {
        (void)pthread_mutex_unlock(&store->writer.mutex);
        return;
    }
    (void)pthread_mutex_lock(&store->readers.mutex);
    store->readers.idle[store->readers.idle_count++] = c;
    (void)pthread_cond_signal(&store->readers.returned);
    (void)pthread_mutex_unlock(&store->readers.mutex);
}

/* ---- opening and closing ---- */

static void sqlite_close(struct store *base)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    for (size_t i = 0; i < store->readers.idle_count; i++) {
        connection_close(store->readers.idle[i]);
        marline__memory_free(store->readers.idle[i]);
    }
    connection_close(&store->writer.connection);
    intern_clear(&store->writer.intern);
    (void)pthread_mutex_destroy(&store->writer.mutex);
    (void)pthread_mutex_destroy(&store->readers.mutex);
    (void)pthread_cond_destroy(&store->readers.returned);
    marline__memory_free(store->path);
    marline__memory_free(store);
}

static enum store_status prepare_writer(struct sqlite_store *store, struct store_error *error)
{
    struct connection *c = &store->writer.connection;
    enum store_status status = connection_open(c, store->path, false, error);
    if (status == STORE_OK) {
        status = sqlite_migrate(c, error);
    }
    if (status == STORE_OK) {
        status =
            connection_execute(c, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL", error);
    }
    return status;
}

static const struct store_ops sqlite_ops = {
    .close = sqlite_close,
    .write_all = sqlite_write_all,
    .find_token = sqlite_find_token,
    .list_projects = sqlite_list_projects,
    .read_run = sqlite_read_run,
    .read_timeline = sqlite_read_timeline,
    .read_run_spans = sqlite_read_run_spans,
    .read_ledger = sqlite_read_ledger,
    .waiting_keys = sqlite_waiting_keys,
    .list_traces = sqlite_list_traces,
    .read_trace = sqlite_read_trace,
    .read_metrics = sqlite_read_metrics,
    .explain_link = sqlite_explain_link,
    .stale_traces = sqlite_stale_traces,
};

struct store *store_open_sqlite(const char *path, struct store_error *error)
{
    struct sqlite_store *store = alloc_zeroed(sizeof *store);
    store->base.ops = &sqlite_ops;
    store->path = alloc_slice(marline__slice_text(path));
    store->in_memory = strcmp(path, ":memory:") == 0;
    (void)pthread_mutex_init(&store->writer.mutex, NULL);
    (void)pthread_mutex_init(&store->readers.mutex, NULL);
    (void)pthread_cond_init(&store->readers.returned, NULL);
    if (prepare_writer(store, error) != STORE_OK) {
        sqlite_close(&store->base);
        return NULL;
    }
    return &store->base;
}

void sqlite_store_limit_pages(struct store *base, unsigned pages)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    char sql[64];
    struct store_error ignored; /* a limit below the present size is raised to it */
    (void)snprintf(sql, sizeof sql, "PRAGMA max_page_count = %u", pages);
    (void)pthread_mutex_lock(&store->writer.mutex);
    (void)connection_execute(&store->writer.connection, sql, &ignored);
    (void)pthread_mutex_unlock(&store->writer.mutex);
}
