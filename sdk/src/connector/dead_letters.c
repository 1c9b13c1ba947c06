/* Reads and prunes the dead letters of an outbox through a connection of its own: SQLite lets it do
 * so while the agent writes. */
#include <marline/dead_letters.h>

#include <sqlite3.h>
#include <unistd.h>

#include "connector/client_private.h"
#include "connector/outbox_keeper.h"
#include "io/refuse.h"

enum { BUSY_WAIT_MS = 2000 };

static marline_status open_existing(const char *path, const char *sql, sqlite3 **out_db,
                                    sqlite3_stmt **out_statement, marline_error *error)
{
    *out_db = NULL;
    *out_statement = NULL;
    if (!path || access(path, F_OK) != 0) {
        return marline__refuse(error, MARLINE_ENOTFOUND, "there is no outbox at '%s'",
                               path ? path : "");
    }
    if (sqlite3_open_v2(path, out_db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(*out_db, BUSY_WAIT_MS) != SQLITE_OK ||
        sqlite3_prepare_v2(*out_db, sql, -1, out_statement, NULL) != SQLITE_OK) {
        (void)marline__refuse(error, MARLINE_EIO, "outbox %s: %s", path,
                              *out_db ? sqlite3_errmsg(*out_db) : "out of memory");
        sqlite3_close(*out_db);
        return MARLINE_EIO;
    }
    return MARLINE_OK;
}

/* Blobs of the outbox are UTF-8 texts; as text SQLite gives them with a NUL behind. */
static const char *text_column(sqlite3_stmt *s, int at)
{
    return (const char *)sqlite3_column_text(s, at);
}

marline_status marline_dead_letters_list(const char *outbox_path, marline_dead_letter_fn visit,
                                         void *user, marline_error *error)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    marline_status status =
        open_existing(outbox_path,
                      "SELECT d.row,d.at_ns,s.name,d.id,d.reason,d.request,d.result,d.traceparent,"
                      "d.retry FROM dead_letter d"
                      " JOIN scope s ON s.id=d.scope ORDER BY d.row",
                      &db, &s, error);
    if (status != MARLINE_OK) {
        return status;
    }
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const marline_dead_letter letter = {
            .number = sqlite3_column_int64(s, 0),
            .at_unix_ns = (uint64_t)sqlite3_column_int64(s, 1),
            .scope = text_column(s, 2),
            .invocation_id = text_column(s, 3),
            .reason = text_column(s, 4),
            .request_json = text_column(s, 5),
            .result_json = text_column(s, 6),
            .traceparent = text_column(s, 7),
            .is_retry_asked = sqlite3_column_int(s, 8) != 0,
        };
        visit(user, &letter);
    }
    if (code != SQLITE_DONE) {
        status =
            marline__refuse(error, MARLINE_EIO, "outbox %s: %s", outbox_path, sqlite3_errmsg(db));
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return status;
}

/* Runs a statement over the letter ?1; it has to find one, unless `number` is 0. */
static marline_status change(const char *outbox_path, const char *sql, int64_t number,
                             marline_error *error)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    marline_status status = open_existing(outbox_path, sql, &db, &s, error);
    if (status != MARLINE_OK) {
        return status;
    }
    sqlite3_bind_int64(s, 1, number);
    if (sqlite3_step(s) != SQLITE_DONE) {
        status =
            marline__refuse(error, MARLINE_EIO, "outbox %s: %s", outbox_path, sqlite3_errmsg(db));
    } else if (number != 0 && sqlite3_changes(db) == 0) {
        status = marline__refuse(error, MARLINE_ENOTFOUND, "there is no dead letter %lld in %s",
                                 (long long)number, outbox_path);
    }
    sqlite3_finalize(s);
    sqlite3_close(db);
    return status;
}

marline_status marline_dead_letters_drop(const char *outbox_path, int64_t number,
                                         marline_error *error)
{
    return change(outbox_path, "DELETE FROM dead_letter WHERE row=?1 OR ?1=0", number, error);
}

marline_status marline_dead_letters_retry(const char *outbox_path, int64_t number,
                                          bool *out_is_served, marline_error *error)
{
    marline_status status =
        change(outbox_path, "UPDATE dead_letter SET retry=1 WHERE row=?1 OR ?1=0", number, error);
    bool is_served = status == MARLINE_OK && marline__outbox_keeper_touch(outbox_path);
    if (status == MARLINE_OK && out_is_served) {
        *out_is_served = is_served;
    }
    return status;
}
