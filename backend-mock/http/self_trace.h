/* The backend's own work as spans, for who wants to see inside it (`serve --trace-otlp`):
 *
 *   SERVER    one per HTTP request, continuing the caller's trace; ends with the answer
 *   CLIENT    "store insert_spans": from the queue to the commit, within its request
 *   CONSUMER  "enrich traces", a round of them: linked to the requests that made it due
 *
 * Without a tracer every function does nothing. Any thread. */
#ifndef HTTP_SELF_TRACE_H
#define HTTP_SELF_TRACE_H

#include <marline/trace.h>

#include "base/uuid.h"

struct http_request;

/* Starts the request's span and makes it current on this thread until self_trace_leave; `route` is
 * the pattern. */
void self_trace_enter(struct http_request *r, const char *route, marline_scope *scope);
void self_trace_leave(marline_scope *scope);
/* The request was answered. */
void self_trace_answered(marline_span *span, unsigned status);

/* Who asked, once it is known. */
void self_trace_set_organization(marline_span *span, const struct uuid *organization_id);

/* A child of `parent`, not current anywhere. */
marline_span self_trace_start_store(marline_tracer *tracer, const marline_span *parent,
                                    size_t spans);
void self_trace_end_store(marline_span *span, const char *failure, size_t stored,
                          size_t duplicates);

enum { SELF_TRACE_CAUSES_MAX = 16 };

/* `causes` are the spans that made it due. */
marline_span self_trace_start_enrichment(marline_tracer *tracer, const marline_span *causes,
                                         size_t count);

#endif
