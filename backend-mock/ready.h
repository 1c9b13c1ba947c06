/* What a client needs to start: a ready-made organization, project and key, shown on stdout and in
 * the ready file. The ids are the same for every store, so that examples can name them. */
#ifndef BACKEND_READY_H
#define BACKEND_READY_H

#include <stdbool.h>

#include "programs/failure.h"
#include "store/store.h"

enum { READY_KEY_SIZE = 513, READY_URL_SIZE = 300 };

struct ready {
    char base_url[READY_URL_SIZE];
    char organization_id[UUID_TEXT_SIZE];
    char project_id[UUID_TEXT_SIZE];
    char api_key[READY_KEY_SIZE];
};

/* Makes sure that project and key exist. `api_key` NULL: the one beside the store at `location`,
 * else a new one. */
bool ready_prepare(struct store *store, const char *location, const char *api_key,
                   struct ready *out, struct failure *f);
void ready_print(const struct ready *ready, const char *store);
/* Whoever sees the file sees it whole. */
bool ready_write_file(const struct ready *ready, const char *path, struct failure *f);

#endif
