/* Which handler serves which path, and who may call it. Handlers are grouped in routes_*.c. Each
 * path is served with and without a slash at its end. */
#ifndef HTTP_ROUTES_H
#define HTTP_ROUTES_H

#include "http/http_request.h"
#include "http/server.h"
#include "wire/json_writer.h"

enum route_auth {
    ROUTE_OPEN, /* asks for no key */
    ROUTE_KEY,  /* 401 without a known key */
};

struct route {
    const char *method;
    const char *pattern; /* "/mock/runs/{id}/spans": a placeholder takes one segment */
    enum route_auth auth;
    void (*handle)(struct http_request *request);
    const char *summary; /* one line, for the OpenAPI document */
};

/* Finds the route and calls its handler, or answers 404, 405 or 401. On a worker. */
void routes_handle(struct http_request *request);

/* A request is being answered: its span ends, the journal notes it. */
void routes_answered(struct http_request *request, unsigned status);

/* The body of a refusal of the HTTP server itself; returns its content type. */
const char *routes_write_refusal(const struct http_request *request, unsigned status,
                                 const char *text, struct buffer *out);

/* Visits every route, in order of the groups: NULL first, then what the last call returned; NULL at
 * the end. */
const struct route *routes_next(const struct route *after);

/* The groups, each ended by an entry without method. */
extern const struct route routes_basic[];
extern const struct route routes_connector[];
extern const struct route routes_ingest[];
extern const struct route routes_endpoints[];
extern const struct route routes_entities[];
extern const struct route routes_execute[];
extern const struct route routes_faults[];
extern const struct route routes_gates[];
extern const struct route routes_health[];
extern const struct route routes_journal[];
extern const struct route routes_metric_call[];
extern const struct route routes_mock[];
extern const struct route routes_openapi[];
extern const struct route routes_otlp[];
extern const struct route routes_results[];
extern const struct route routes_run_create[];
extern const struct route routes_runs[];
extern const struct route routes_test_sets[];
extern const struct route routes_traces[];

/* ---- for handlers ---- */

/* The run in the path; false when it has answered 404. */
bool routes_parse_run_id(struct http_request *request, struct uuid *out);
/* 401, or 503 while the store cannot say. `auth` is not AUTH_OK. */
void routes_answer_unauthenticated(struct http_request *request, enum auth_result auth);
/* What the caller's key may see. */
struct store_scope routes_scope(const struct http_request *request);
/* The scope of a request by §8.1: the project of the header X-Project-Id, else the key's, else only
 * rows without one; routes_read_scope_of_query lets the parameter project_id come first. False when
 * it has answered 400 or 403. */
bool routes_read_scope(struct http_request *r, struct store_scope *out);
bool routes_read_scope_of_query(struct http_request *r, struct store_scope *out);
/* X-Total-Count */
void routes_answer_total(struct http_request *r, uint64_t total);
/* Answers for a store that failed: 404 with `not_found` for STORE_NOT_FOUND, else a masked 5xx. */
void routes_answer_store_error(struct http_request *request, const struct store_error *error,
                               const char *not_found);
/* FastAPI's 422 for a required parameter that is not there. */
void routes_answer_missing_query(struct http_request *request, const char *name);
/* Reads a whole number of the query, which keeps its value when absent; false when it has answered
 * 422. */
bool routes_query_unsigned(struct http_request *request, const char *name, uint32_t minimum,
                           uint32_t maximum, uint32_t *value);

#endif
