/* What every SQLite file of this library shares: one process owns it, by a lock on a file beside
 * it, and small steps of opening one. What is in the file is the caller's. One thread a file. */
#ifndef MARLINE_IO_DATABASE_H
#define MARLINE_IO_DATABASE_H

#include <stdbool.h>

#include <sqlite3.h>

#include <marline/status.h>

/* Takes PATH.lock, made when it is not there; `what` names the kind of file in error texts. The
 * lock ends with close() of the descriptor, or with the process; a descriptor that a fork left in a
 * child is to be closed there. MARLINE_ESTATE: another process, or another part of this one, has
 * it. MARLINE_EIO: the lock file cannot be made. */
marline_status marline__database_lock(const char *what, const char *path, int *out_descriptor,
                                      marline_error *error);
/* Statements without results; false when one failed. */
bool marline__database_execute(sqlite3 *db, const char *sql);
/* The first column of the first row; -1 when there is none. */
sqlite3_int64 marline__database_number(sqlite3 *db, const char *sql);

#endif
