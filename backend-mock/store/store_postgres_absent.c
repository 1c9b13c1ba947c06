/* In place of store_postgres.c where libpq was not there at build time. */
#include <stdio.h>

#include "store/open.h"

struct store *store_open_postgres(const char *location, struct store_error *error)
{
    (void)location;
    error->status = STORE_INVALID;
    (void)snprintf(error->text, sizeof error->text,
                   "built without PostgreSQL; install libpq-dev and build again, or use sqlite:");
    return NULL;
}
