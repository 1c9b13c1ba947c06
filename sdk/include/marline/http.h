/* An HTTP/1.1 client whose requests are traced: a CLIENT span with the stable http attributes, the
 * trace context in the headers, failures by status. One client is used by one thread at a time; its
 * connection is kept alive. Redirects are not followed. */
#ifndef MARLINE_HTTP_H
#define MARLINE_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include <marline/trace.h>

MARLINE_BEGIN_DECLS

/* A client with a connection of its own. */
typedef struct marline_http_client marline_http_client;

/* All borrowed during the call. Start from MARLINE_HTTP_REQUEST_INIT. */
typedef struct marline_http_request {
    size_t size;           /* sizeof(marline_http_request) */
    const char *url;       /* required: http:// or https:// */
    const char *method;    /* optional: NULL = GET, or POST with a body */
    const char *span_name; /* optional: NULL = function.http.METHOD, which the platform takes */
    const char *const *headers; /* optional: "Name: value" */
    size_t header_count;
    const void *body; /* optional */
    size_t body_size;
    uint64_t timeout_ms; /* optional: 0 = none */
} marline_http_request;

/* Everything left out. */
#define MARLINE_HTTP_REQUEST_INIT                                                                  \
    {                                                                                              \
        sizeof(marline_http_request), NULL, NULL, NULL, NULL, 0, NULL, 0, 0                        \
    }

/* Borrowed from the client until its next request. */
typedef struct marline_http_response {
    int status;
    marline_string body;
    marline_string content_type;
} marline_http_response;

/* tracer: borrowed; NULL = the global provider's. Returns owned, NULL when out of memory. */
MARLINE_API marline_http_client *marline_http_client_create(marline_tracer *tracer);
/* Closes the connection and frees. NULL is allowed. */
MARLINE_API void marline_http_client_destroy(marline_http_client *client);

/* Sends a request under the thread's current context. MARLINE_OK: an answer of any status came; one
 * of 400 and above makes the span's status ERROR and its error.type the number. Else the error
 * names host and cause, and error.type is the status' name: EIO, ETIMEDOUT, EAUTH, EPROTO, EINVAL,
 * ENOMEM.
 */
MARLINE_API marline_status marline_http_send(marline_http_client *client,
                                             const marline_http_request *request,
                                             marline_http_response *response, marline_error *error);

MARLINE_END_DECLS
#endif
