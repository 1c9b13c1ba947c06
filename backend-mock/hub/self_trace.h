/* The backend's own work as spans, for who wants to see inside it (`serve --trace-otlp`):
 *
 *   SERVER    one per HTTP request (http/request_trace.h)
 *   CLIENT    "store insert_spans": from the queue to the commit, within its request
 *   PRODUCER  "send execute_test": a call, as it goes out
 *   CONSUMER  "process test_result" and the like: an agent's message; linked to its call
 *   CLIENT    "notify webhook": a run has ended
 *   CONSUMER  "sweep": keys that wait although their result may be stored
 *   CONSUMER  "enrich traces", a round of them: linked to the requests that made it due
 *
 * Without a tracer every function does nothing. Any thread. */
#ifndef HUB_SELF_TRACE_H
#define HUB_SELF_TRACE_H

#include <marline/trace.h>

#include "base/uuid.h"
#include "core/agent_session.h"

/* Who asked, once it is known. */
void self_trace_set_organization(marline_span *span, const struct uuid *organization_id);

/* A child of `parent`, not current anywhere. */
marline_span self_trace_start_store(marline_tracer *tracer, const marline_span *parent,
                                    size_t spans);
void self_trace_end_store(marline_span *span, const char *failure, size_t stored,
                          size_t duplicates);

/* A call that was written to an agent: what its answer will link to. */
struct self_trace_call {
    struct slice invocation_id;
    struct slice function_name;
    struct slice environment;
    size_t size; /* of the message, bytes */
};
marline_span self_trace_call(marline_tracer *tracer, const struct self_trace_call *call);

/* A message of an agent, when all that it caused here was begun. */
struct self_trace_message {
    const char *type; /* "" = none that is known */
    size_t size;      /* bytes */
    struct uuid organization_id;
    struct agent_rate rate;
    marline_span call; /* whose answer it is; zero = none */
    uint64_t start_unix_ns;
};
void self_trace_message(marline_tracer *tracer, const struct self_trace_message *message);

/* A look for keys that wait, which found some or failed. */
void self_trace_sweep(marline_tracer *tracer, uint64_t start_unix_ns, const char *failure,
                      size_t keys);

/* Telling a webhook of the end of a run, with all its attempts. */
marline_span self_trace_start_notice(marline_tracer *tracer, const struct uuid *run_id);
/* `status` 0 = no answer; `failure` NULL = delivered. */
void self_trace_end_notice(marline_span *span, unsigned attempts, int status, const char *failure);

enum { SELF_TRACE_CAUSES_MAX = 16 };

/* `causes` are the spans that made it due. */
marline_span self_trace_start_enrichment(marline_tracer *tracer, const marline_span *causes,
                                         size_t count);

#endif
