/* An HTTP/1.1 client over libcurl: one request at a time on a connection that is kept alive.
 * It knows nothing of retries, redirects (a 3xx is an answer like any other) or of what is sent.
 * Thread: one client is used by one thread at a time; marline__http_client_cancel by any. */
#ifndef MARLINE_IO_HTTP_CLIENT_H
#define MARLINE_IO_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include <marline/status.h>

enum {
    /* otel.md CLI-03: a response over 4 MiB, after decompression too, is refused. */
    HTTP_RESPONSE_MAX_DEFAULT = 4 * 1024 * 1024,
    HTTP_HEADER_VALUE_SIZE = 128, /* of the kept response headers; a longer value is cut */
};

struct http_client;

/* PEM files; NULL = none. Peer and host are always verified. */
struct http_tls_options {
    const char *ca_file; /* replaces the system's store */
    const char *certificate_file;
    const char *key_file;
};

struct http_client_options {
    const char *user_agent; /* NULL = "marline/<version>" */
    size_t response_max;    /* 0 = HTTP_RESPONSE_MAX_DEFAULT */
    struct http_tls_options tls;
};

struct http_request {
    const char *method;         /* NULL = GET without a body, POST with one */
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value", each; borrowed during the call */
    size_t header_count;
    struct slice body;   /* data NULL = none */
    uint64_t timeout_ms; /* from call to last byte of the answer; 0 = none */
    /* Optional: asked about ten times a second, on the calling thread; true ends the request with
     * MARLINE_ECANCELED. For callers that cannot call marline__http_client_cancel. */
    bool (*is_canceled)(void *user);
    void *user;
};

struct http_response {
    int status;
    struct buffer body;                        /* decompressed */
    char content_type[HTTP_HEADER_VALUE_SIZE]; /* "" = absent */
    char retry_after[HTTP_HEADER_VALUE_SIZE];
    char date[HTTP_HEADER_VALUE_SIZE];
};

#define HTTP_RESPONSE_INIT ((struct http_response){0, BUFFER_INIT, "", "", ""})

void marline__http_response_deinit(struct http_response *response);

/* options may be NULL; its texts are copied. Returns owned; NULL when out of memory. */
struct http_client *marline__http_client_create(const struct http_client_options *options);
void marline__http_client_destroy(struct http_client *client);

/* Performs one request. MARLINE_OK: an answer of any status is in `response` (initialised by the
 * caller; its buffer is reused). Else `error` (may be NULL) names the host and the cause:
 *   MARLINE_EINVAL     the URL is no http(s) URL
 *   MARLINE_EIO        no connection, or lost before the answer was whole: worth a retry
 *   MARLINE_ETIMEDOUT  timeout_ms passed
 *   MARLINE_ECANCELED  marline__http_client_cancel
 *   MARLINE_EAUTH      the peer's certificate or ours was refused, or a file of ours cannot be
 *                      used: a retry is pointless, and the text says what to mend
 *   MARLINE_EPROTO     the answer is no HTTP, or larger than response_max
 *   MARLINE_ENOMEM */
marline_status marline__http_client_perform(struct http_client *client,
                                            const struct http_request *request,
                                            struct http_response *response, marline_error *error);

/* Ends the running request, and every later one, with MARLINE_ECANCELED, at once. Any thread. */
void marline__http_client_cancel(struct http_client *client);
/* In the child of a fork: leaves connections and their TLS sessions to the parent, and starts over.
 */
void marline__http_client_after_fork(struct http_client *client);
/* Requests may run again. The using thread. */
void marline__http_client_resume(struct http_client *client);

#endif
