/* Locking and opening SQLite files; see database.h. */
#include "io/database.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buffer.h"
#include "io/refuse.h"

marline_status marline__database_lock(const char *what, const char *path, int *out_descriptor,
                                      marline_error *error)
{
    struct buffer name = BUFFER_INIT;
    marline__buffer_append_format(&name, "%s.lock", path);
    if (name.failed) {
        return marline__refuse(error, MARLINE_ENOMEM, "%s %s: out of memory", what, path);
    }
    int descriptor = open(name.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int cause = errno;
    marline__buffer_deinit(&name);
    if (descriptor < 0) {
        return marline__refuse(
            error, MARLINE_EIO,
            "%s %s: its lock file cannot be made: %s; does its folder exist, and may "
            "this user write there?",
            what, path, strerror(cause));
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        close(descriptor);
        return marline__refuse(
            error, MARLINE_ESTATE,
            "%s %s is in use by another process: stop that one, or give this one a file "
            "of its own",
            what, path);
    }
    *out_descriptor = descriptor;
    return MARLINE_OK;
}

bool marline__database_execute(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

sqlite3_int64 marline__database_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    sqlite3_int64 value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        value = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return value;
}
