/* Stands in for store_postgres.c where libpq was missing at build time. */
#include <stdio.h>

#include "store.h"

enum store_open store_postgres_open(const char *programs, struct race_store **out_store,
                                    char *out_why, size_t why_size)
{
    (void)programs;
    (void)out_store;
    (void)snprintf(out_why, why_size,
                   "built without PostgreSQL; install libpq-dev and postgresql, and build again");
    return STORE_OPEN_MISSING;
}
