/* The SQLite driver: a file in WAL mode, or memory.
 *
 * Durable: synchronous=FULL, so COMMIT returns after the log is on disk, and what was acknowledged
 * survives kill -9 and a power cut. Reader connections see a snapshot each and never wait for the
 * writer. In memory there is a single connection, and reads take turns with writes. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "core/alloc.h"
#include "store/open.h"
#include "store/store_sql.h"

enum { BUSY_TIMEOUT_MS = 2000 }; /* another process may hold the file that long */

struct sqlite_connection {
    struct sql_connection base;
    sqlite3 *db;
};

struct sqlite_statement {
    struct sql_statement base;
    sqlite3_stmt *handle;
};

static sqlite3_stmt *handle_of(struct sql_statement *s)
{
    return ((struct sqlite_statement *)s)->handle;
}

static sqlite3 *db_of(struct sql_connection *c)
{
    return ((struct sqlite_connection *)c)->db;
}

static enum store_status driver_failed(struct sql_connection *c, struct store_error *error)
{
    sqlite3 *db = db_of(c);
    const char *detail = sqlite3_errmsg(db);
    switch (sqlite3_errcode(db) & 0xff) {
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
                         detail, sqlite3_extended_errcode(db));
    default:
        return error_set(error, STORE_BROKEN, "%s: %s", c->name, detail);
    }
}

/* ---- statements ---- */

static struct sql_statement *driver_prepare(struct sql_connection *c, const char *text,
                                            enum sql_lifetime lifetime, struct store_error *error)
{
    unsigned flags = lifetime == SQL_KEPT ? SQLITE_PREPARE_PERSISTENT : 0;
    sqlite3_stmt *handle = NULL;
    if (sqlite3_prepare_v3(db_of(c), text, -1, flags, &handle, NULL) != SQLITE_OK) {
        (void)driver_failed(c, error);
        return NULL;
    }
    struct sqlite_statement *s = alloc_zeroed(sizeof *s);
    s->base.driver = c->driver;
    s->handle = handle;
    return &s->base;
}

static void driver_free_statement(struct sql_statement *s)
{
    (void)sqlite3_finalize(handle_of(s));
    marline__memory_free(s);
}

/* Binding can only fail for a wrong index, which is a bug that the contract suite finds. */
static void driver_bind_null(struct sql_statement *s, int at, enum sql_type type)
{
    (void)type;
    (void)sqlite3_bind_null(handle_of(s), at);
}

static void driver_bind_int(struct sql_statement *s, int at, int64_t value)
{
    (void)sqlite3_bind_int64(handle_of(s), at, value);
}

static void driver_bind_real(struct sql_statement *s, int at, double value)
{
    (void)sqlite3_bind_double(handle_of(s), at, value);
}

static void driver_bind_bytes(struct sql_statement *s, int at, enum sql_type type,
                              struct slice value)
{
    if (type == SQL_TEXT) {
        (void)sqlite3_bind_text64(handle_of(s), at, value.data, value.size, SQLITE_STATIC,
                                  SQLITE_UTF8);
    } else {
        (void)sqlite3_bind_blob64(handle_of(s), at, value.data, value.size, SQLITE_STATIC);
    }
}

static enum sql_step driver_step(struct sql_statement *s)
{
    int code = sqlite3_step(handle_of(s));
    return code == SQLITE_ROW ? SQL_ROW : code == SQLITE_DONE ? SQL_DONE : SQL_FAILED;
}

static void driver_reset(struct sql_statement *s)
{
    (void)sqlite3_reset(handle_of(s)); /* repeats the error of step */
}

static bool driver_is_null(struct sql_statement *s, int at)
{
    return sqlite3_column_type(handle_of(s), at) == SQLITE_NULL;
}

static int64_t driver_integer(struct sql_statement *s, int at)
{
    return sqlite3_column_int64(handle_of(s), at);
}

static double driver_real(struct sql_statement *s, int at)
{
    return sqlite3_column_double(handle_of(s), at);
}

/* Of a TEXT the blob is its UTF-8. An empty value is no NULL. */
static struct slice driver_bytes(struct sql_statement *s, int at)
{
    const char *data = sqlite3_column_blob(handle_of(s), at);
    return (struct slice){data ? data : "", (size_t)sqlite3_column_bytes(handle_of(s), at)};
}

static bool driver_is_retriable(struct sql_connection *c)
{
    (void)c; /* the busy timeout has waited for others already */
    return false;
}

static size_t driver_changes(struct sql_connection *c)
{
    return (size_t)sqlite3_changes64(db_of(c));
}

static bool driver_in_transaction(struct sql_connection *c)
{
    return !sqlite3_get_autocommit(db_of(c));
}

static enum store_status driver_execute(struct sql_connection *c, const char *script,
                                        struct store_error *error)
{
    return sqlite3_exec(db_of(c), script, NULL, NULL, NULL) == SQLITE_OK ? STORE_OK
                                                                         : driver_failed(c, error);
}

/* ---- connections ---- */

static void driver_close(struct sql_connection *c)
{
    (void)sqlite3_close(db_of(c));
    marline__memory_free(c);
}

static void driver_refresh(struct sql_connection *c)
{
    (void)c; /* a file is not lost */
}

static struct sql_connection *driver_open(const char *location, const char *name, bool read_only,
                                          struct store_error *error);

static const struct sql_driver sqlite_driver = {
    .dialect = SQL_SQLITE,
    .begin_write = "BEGIN IMMEDIATE",
    .begin_read = "BEGIN",
    .open = driver_open,
    .close = driver_close,
    .refresh = driver_refresh,
    .prepare = driver_prepare,
    .free_statement = driver_free_statement,
    .bind_null = driver_bind_null,
    .bind_int = driver_bind_int,
    .bind_real = driver_bind_real,
    .bind_bytes = driver_bind_bytes,
    .step = driver_step,
    .reset = driver_reset,
    .is_null = driver_is_null,
    .integer = driver_integer,
    .real = driver_real,
    .bytes = driver_bytes,
    .changes = driver_changes,
    .in_transaction = driver_in_transaction,
    .execute = driver_execute,
    .failed = driver_failed,
    .is_retriable = driver_is_retriable,
};

/* Readers look at the kernel's own copy of the file, up to 1 GiB of it. */
static const char reader_script[] = "PRAGMA mmap_size = 1073741824";

/* The journal is set after the owner of the file is known: another program's file stays as it is.
 */
static struct sql_connection *driver_open(const char *location, const char *name, bool read_only,
                                          struct store_error *error)
{
    int flags = SQLITE_OPEN_NOMUTEX |
                (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    struct sqlite_connection *c = alloc_zeroed(sizeof *c);
    c->base.driver = &sqlite_driver;
    c->base.name = name;
    if (sqlite3_open_v2(location, &c->db, flags, NULL) != SQLITE_OK) {
        (void)driver_failed(&c->base, error);
        driver_close(&c->base);
        return NULL;
    }
    (void)sqlite3_extended_result_codes(c->db, 1);
    (void)sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS);
    if (read_only && driver_execute(&c->base, reader_script, error) != STORE_OK) {
        driver_close(&c->base);
        return NULL;
    }
    return &c->base;
}

/* The cache (16 MiB) holds the inner pages of the indexes that random trace ids fall into; the log
 * is copied back every 16 MiB, so that a page which many transactions touch is copied but once;
 * with temp_store in memory the old pages that a savepoint keeps are not written to a file. */
static const char writer_script[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                    " PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4096;"
                                    " PRAGMA temp_store = MEMORY";

/* Nobody reads SQLite's count of its memory, which takes a lock at every allocation. Too late, and
 * of no effect, where the process has used SQLite before. */
static void configure(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct store *store_open_sqlite(const char *path, struct store_error *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, configure);
    struct store *store =
        sql_store_open(&sqlite_driver, path, path, strcmp(path, ":memory:") == 0, error);
    if (!store) {
        return NULL;
    }
    struct sql_connection *c = ((struct sql_store *)store)->writer.connection;
    if (driver_execute(c, writer_script, error) != STORE_OK) {
        store_close(store);
        return NULL;
    }
    return store;
}

void sqlite_store_limit_pages(struct store *base, unsigned pages)
{
    struct sql_store *store = (struct sql_store *)base;
    char sql[64];
    struct store_error ignored; /* a limit below the present size is raised to it */
    (void)snprintf(sql, sizeof sql, "PRAGMA max_page_count = %u", pages);
    (void)pthread_mutex_lock(&store->writer.mutex);
    (void)driver_execute(store->writer.connection, sql, &ignored);
    (void)pthread_mutex_unlock(&store->writer.mutex);
}
