/* The common path of spans, whatever encoding they came in: resolve the project, store, answer
 * after the commit, then tell linker and enricher. */
#ifndef HTTP_INGEST_H
#define HTTP_INGEST_H

#include "http/http_request.h"
#include "http/server.h"
#include "wire/platform_trace.h"

/* One request. Embedded in what its encoding needs beside. */
struct ingest {
    struct http_request *request;
    struct server *server;
    struct auth_identity identity;
    struct uuid project_id;
    struct platform_request decoded;    /* owned; what it borrows from lives until `release` */
    const marline_span_data *span_data; /* of the same spans; NULL unless they came in OTLP */
    struct commit commit;
    marline_span store_span;
    struct store_span *spans;
    struct buffer linked_traces;
    struct buffer forward; /* the OTLP request that goes on, once all is stored */
    struct hub_job job;
    struct link_key *keys;
    size_t key_count;
    /* Answers the request; commit.write.outcome and .insert_spans say how it went. On the commit
     * queue's thread, or on the worker's when the queue is full. */
    void (*answer)(struct ingest *in);
    /* Frees the whole. */
    void (*release)(struct ingest *in);
};

enum ingest_project {
    INGEST_PROJECT_OK,
    INGEST_PROJECT_INVALID,    /* the claim is no UUID */
    INGEST_PROJECT_FORBIDDEN,  /* not a member */
    INGEST_PROJECT_SCOPED,     /* the key belongs to another one */
    INGEST_PROJECT_UNRESOLVED, /* nobody names one */
    INGEST_PROJECT_FAILED,     /* the store cannot say: *error */
};
/* wire-protocol §5.4: the claim of the first span, else the key's project, else the header's. */
enum ingest_project ingest_resolve_project(struct http_request *r,
                                           const struct auth_identity *identity, struct slice claim,
                                           struct uuid *out, struct store_error *error);

/* Stores the decoded spans (at least one); `answer` and, later, `release` follow. */
void ingest_store(struct ingest *in);
/* Frees the members. For `release`. */
void ingest_deinit(struct ingest *in);

/* Counts spans that were refused, in the ledger too. */
void ingest_record_rejected(struct http_request *r, const struct auth_identity *identity,
                            size_t spans);

/* Decompresses the body where Content-Encoding says gzip. On failure the status of the answer that
 * is due, and a text for it; 0 = all is well. */
unsigned ingest_decompress(struct http_request *r, const char **out_reason);

#endif
