/* One SERVER span per HTTP request, continuing the caller's trace, for who traces the backend
 * itself (hub/self_trace.h). Without a tracer every function does nothing. On the request's worker.
 */
#ifndef HTTP_REQUEST_TRACE_H
#define HTTP_REQUEST_TRACE_H

#include <marline/trace.h>

struct http_request;

/* Starts the request's span and makes it current on this thread until request_trace_leave; `route`
 * is the pattern. */
void request_trace_enter(struct http_request *r, const char *route, marline_scope *scope);
void request_trace_leave(marline_scope *scope);
/* The request was answered. */
void request_trace_answered(marline_span *span, unsigned status);

#endif
