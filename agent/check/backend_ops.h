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

/* Visits the rows of GET /telemetry/traces for the run: one per stored span. */
bool backend_visit_span_rows(struct backend_api *api, const char *run_id,
                             void (*read)(struct json_reader *r, void *user), void *user,
                             struct failure *f);

#endif
