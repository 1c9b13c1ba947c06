/* One invocation as its handler sees it: inputs, output, error. One thread. */
#ifndef MARLINE_CONNECTOR_CALL_H
#define MARLINE_CONNECTOR_CALL_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "base/list.h"
#include "connector/registry.h"
#include <marline/endpoint.h>

struct marline_call {
    const char *invocation_id;        /* borrowed */
    struct buffer inputs;             /* the object without reserved keys */
    struct slice parameters;          /* borrowed; the raw object, or empty */
    struct list texts;                /* what input functions returned; freed with the call */
    char *score;                      /* JSON, of a metric */
    char *details;                    /* JSON object, of a metric; NULL = {} */
    char *output;                     /* JSON, NULL = null */
    char *error;                      /* NULL = none yet; the first one counts */
    bool failed;                      /* true also when the error's text had no memory */
    const char *error_type;           /* fixed text for the span */
    marline_context *context;         /* borrowed */
    const marline_test_context *test; /* borrowed, NULL = none */
    const atomic_bool *canceled;      /* borrowed */
};

void marline__call_init(struct marline_call *call);
void marline__call_deinit(struct marline_call *call);
/* Fails the call once; later texts are ignored. */
void marline__call_fail(struct marline_call *call, const char *type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Calls the handler, after checking that each required parameter is there. */
void marline__call_run(struct marline_call *call, const struct endpoint *endpoint);

#endif
