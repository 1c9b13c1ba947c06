/* The functions of a registration as endpoints to be stored (wire-protocol §2.3, §2.4). Ids are
 * derived, so an endpoint has the same one in every process and store. */
#ifndef HUB_ENDPOINT_SYNC_H
#define HUB_ENDPOINT_SYNC_H

#include "store/store.h"

struct endpoint_owner {
    struct uuid organization_id;
    struct uuid project_id;
    struct slice project_name;
    struct slice environment;
};

struct endpoint_sync;

/* `functions`: the raw array of `register`; a name given twice counts once, its last entry. Copies.
 * Any thread. */
struct endpoint_sync *endpoint_sync_create(const struct endpoint_owner *owner,
                                           struct slice functions);
void endpoint_sync_destroy(struct endpoint_sync *sync); /* accepts NULL */
/* The write, which borrows from the sync. */
void endpoint_sync_fill(const struct endpoint_sync *sync, struct store_sync_endpoints *out);

#endif
