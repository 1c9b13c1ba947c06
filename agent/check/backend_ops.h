/* One kind of backend, as backend_api.h uses it: the functions of that header that differ. */
#ifndef AGENT_CHECK_BACKEND_OPS_H
#define AGENT_CHECK_BACKEND_OPS_H

#include "agent/check/backend_api.h"
#include "agent/check/rest.h"

struct backend_ops {
    bool (*start_run)(struct backend_api *api, struct facts *facts, size_t base, struct failure *f);
    bool (*read_run)(struct backend_api *api, struct facts *facts, struct failure *f);
    bool (*read_spans)(struct backend_api *api, struct facts *facts, struct failure *f);
    bool (*read_timeline)(struct backend_api *api, struct facts *facts, struct failure *f);
};

struct backend_api {
    struct rest *rest;
    const struct backend_ops *ops;  /* the mock's until it has been greeted */
    char endpoint_id[FACT_ID_SIZE]; /* of the dispatcher, once known; the platform's only */
};

extern const struct backend_ops backend_ops_mock;
extern const struct backend_ops backend_ops_platform;

/* Posts what starts a run; keeps the run's id. */
bool backend_post_run(struct backend_api *api, const char *path, struct slice body,
                      struct facts *facts, struct failure *f);
/* Which spans are stored, and what they are linked to, as GET /telemetry/traces lists the run's. A
 * row says which trace, not which span: spans of one trace are taken in their order. */
bool backend_list_spans(struct backend_api *api, struct facts *facts, struct failure *f);

#endif
