/* One HTTP request as a handler sees it, and its answer.
 *
 * Handlers run on a worker, with the whole body at hand. Every request is answered exactly once, by
 * any thread: at once, or later by whoever completes the work. From the handler's call to the
 * answer the request and all slices taken from it stay valid; after the answer they must not be
 * touched. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/buffer.h"
#include "base/uuid.h"
#include "hub/auth.h"
#include <marline/trace.h>

struct http_request;
struct server;

enum { HTTP_PATH_PARAMETERS_MAX = 3, HTTP_CLIENT_ADDRESS_SIZE = 64 };

const char *http_request_method(const struct http_request *r);
/* Decoded, without the query. */
const char *http_request_path(const struct http_request *r);
struct slice http_request_body(const struct http_request *r);
size_t http_request_body_max(const struct http_request *r);
/* Takes the buffer's memory (and empties it): the body after decompression. */
void http_request_replace_body(struct http_request *r, struct buffer *body);
/* NULL data when absent. Header names in any case. */
struct slice http_request_header(const struct http_request *r, const char *name);
struct slice http_request_query(const struct http_request *r, const char *name);
/* The n-th {placeholder} of the route's pattern. */
struct slice http_request_parameter(const struct http_request *r, size_t n);
/* The caller is on this machine. */
bool http_request_is_local(const struct http_request *r);
/* Its address without the port; "" when it cannot be known. */
void http_request_client_address(const struct http_request *r, char out[HTTP_CLIENT_ADDRESS_SIZE]);
/* Our own span of it, which ends with the answer; not recording unless the backend traces itself.
 */
marline_span *http_request_span(struct http_request *r);
/* Canonical UUID text; also sent back as X-Request-ID. */
const char *http_request_id(const struct http_request *r);
/* Who asks; zero for routes that ask for no key. */
const struct auth_identity *http_request_identity(const struct http_request *r);
struct server *http_request_server(const struct http_request *r);

/* ---- for faults ---- */

/* Ends the connection instead of answering. */
void http_answer_cut(struct http_request *r);
/* Whatever the answer will be, this status goes out. */
void http_request_override_status(struct http_request *r, unsigned status);
/* Hands the request to its handler once more, on a worker; any thread. */
void http_request_handle_again(struct http_request *r);
bool http_request_is_repeated(const struct http_request *r);

/* ---- answers ---- */

/* Adds a header to the answer; `name` is borrowed for good (a literal), `value` copied. */
void http_answer_header(struct http_request *r, const char *name, const char *value);
/* Takes the buffer's memory (and empties it). */
void http_answer(struct http_request *r, unsigned status, const char *content_type,
                 struct buffer *body);
void http_answer_json(struct http_request *r, unsigned status, struct buffer *body);
/* {"detail":"…"} */
void http_answer_detail(struct http_request *r, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The platform's masked 5xx: {"detail":"An unexpected error occurred.","error_id":"…"}. The cause
 * goes to the log. */
void http_answer_failure(struct http_request *r, unsigned status, const char *cause);

#endif
