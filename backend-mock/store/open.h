/* The databases that store_open chooses from. */
#ifndef STORE_OPEN_H
#define STORE_OPEN_H

#include "store/store.h"

/* `path`: a file, created when missing, or ":memory:". */
struct store *store_open_sqlite(const char *path, struct store_error *error);

/* `location`: a connection URI, "postgresql://…". */
struct store *store_open_postgres(const char *location, struct store_error *error);

/* For tests of a full disk: the file may grow to so many pages (of 4096 bytes). */
void sqlite_store_limit_pages(struct store *store, unsigned pages);

#endif
