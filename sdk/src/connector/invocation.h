/* One execution of a handler with its span: on a worker from run to its end, else the loop
 * thread's. The span ends on every path: return, error, timeout, cancellation. */
#ifndef MARLINE_CONNECTOR_INVOCATION_H
#define MARLINE_CONNECTOR_INVOCATION_H

#include <stdatomic.h>

#include "base/list.h"
#include "connector/call.h"
#include "connector/registry.h"
#include "connector/session.h"
#include "io/worker_pool.h"
#include <marline/trace.h>

struct invocation {
    struct worker_job job; /* the worker pool's */
    struct list running;   /* the loop thread's list */
    struct list done;      /* the mailbox of the loop thread */
    void *owner;           /* who started it */

    struct session_job *request;
    struct endpoint *endpoint;
    char *id;
    char *test_texts[4]; /* owned, of the test context */
    marline_test_context test;
    bool has_test;

    atomic_bool canceled;
    _Atomic(const char *) abandoned; /* why its result was made without it; fixed text, or NULL */
    atomic_bool traced;              /* span and group may be read */
    atomic_bool returned;            /* the handler did */
    uint64_t start_unix_ns;          /* of the span; set before `traced` */
    marline_span span;
    marline_span_group *group;
    struct buffer link_state; /* the trace state of the span that is linked to */

    /* the worker's, then, once done, the loop thread's */
    struct marline_call call;
    double duration_ms;
};

/* Takes the request and the reference to the endpoint, on failure too. NULL when out of memory. */
struct invocation *marline__invocation_create(struct session_job *request,
                                              struct endpoint *endpoint);
void marline__invocation_destroy(struct invocation *i);

/* On the worker. Without a tracer nothing is recorded. */
void marline__invocation_run(struct invocation *i, marline_tracer *tracer);
/* Instead of run: the work never began. */
void marline__invocation_skip(struct invocation *i);
/* After run or skip. Borrows from the invocation. */
void marline__invocation_result(struct invocation *i, struct session_trace *trace,
                                struct message_test_result *out);

void marline__invocation_metric_result(const struct invocation *i,
                                       struct message_metric_result *out);

struct invocation_failure {
    uint64_t start_unix_ns; /* of the span, 0 = now */
    const char *type;       /* of the error */
    const char *text;
};

/* Makes the failed span of an invocation that was not executed, or that nobody saw end. Takes the
 * request. out_traceparent may be NULL; it is left alone when nothing is traced. */
void marline__invocation_report_failure(struct session_job *request, marline_tracer *tracer,
                                        const struct invocation_failure *failure,
                                        struct session_trace *out,
                                        char out_traceparent[TRACEPARENT_SIZE]);

/* An execution of an earlier process, as its journal tells it. */
struct invocation_replay {
    struct trace_ids span;
    uint64_t start_unix_ns;
    struct slice result; /* its test_result */
};

/* Records the span of an execution once more, under its old ids: the process may have died with it.
 * Takes the request. */
void marline__invocation_replay(struct session_job *request, marline_tracer *tracer,
                                const struct invocation_replay *replay);

/* Any thread, also while it runs. `abandon`: nobody wants the result any more, so the span ends
 * now, with this reason (a fixed text). */
void marline__invocation_cancel(struct invocation *i, const char *why, bool abandon);
void marline__invocation_describe(const struct invocation *i, struct session_trace *out);

#endif
