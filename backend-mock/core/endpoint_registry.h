/* The endpoints that agents have registered: one per (organization, project, environment,
 * function). A registration carries the complete list of its project and environment; what is not
 * in it any more becomes inactive (wire-protocol §2.3, §2.4). Ids are derived, so an endpoint has
 * the same one in every process; the registry itself lives as long as its process. One owner, no
 * thread safety. */
#ifndef CORE_ENDPOINT_REGISTRY_H
#define CORE_ENDPOINT_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/slice.h"
#include "base/uuid.h"

struct endpoint {
    struct list node;
    struct uuid id;
    struct uuid organization_id;
    struct uuid project_id;
    char *environment;
    char *function_name;
    char *metadata; /* raw object, or "" */
    bool active;
    bool listed; /* by the registration under way */
};

struct endpoint_registry;

struct endpoint_registry *endpoint_registry_create(void);
void endpoint_registry_destroy(struct endpoint_registry *r);

struct endpoint_owner {
    struct uuid organization_id;
    struct uuid project_id;
    struct slice environment;
};
struct endpoint_sync {
    size_t created;
    size_t updated;
    size_t marked_inactive;
};
/* `functions`: the raw array of `register`; malformed entries end it. Copies. */
struct endpoint_sync endpoint_registry_sync(struct endpoint_registry *r,
                                            const struct endpoint_owner *owner,
                                            struct slice functions);
/* NULL when the organization has no such endpoint. */
const struct endpoint *endpoint_registry_find(const struct endpoint_registry *r,
                                              const struct uuid *organization_id,
                                              const struct uuid *id);
/* In order of registration; `after` NULL = the first. */
const struct endpoint *endpoint_registry_next(const struct endpoint_registry *r,
                                              const struct endpoint *after);

#endif
