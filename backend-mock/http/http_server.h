/* The HTTP side: a libmicrohttpd daemon without a socket of its own, fed by the listener. It
 * collects whole requests, suspends them, and gives them to the worker pool; the answer resumes
 * them. What a request means is the business of the handler given here. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "http/http_request.h"
#include "io/worker_pool.h"

enum {
    HTTP_BODY_MAX = 64 * 1024 * 1024,    /* as OTLP's receivers (otel.md §3) */
    HTTP_BODIES_MAX = 512 * 1024 * 1024, /* all bodies in memory at once */
    HTTP_CONNECTIONS_MAX = 1000,         /* below the usual limit of 1024 descriptors */
    HTTP_IDLE_TIMEOUT_S = 60,            /* of a connection between or within requests */
};

struct http_server;

struct http_server_options {
    struct server *server; /* handed to handlers */
    struct worker_pool *workers;
    /* Called on a worker once per request. */
    void (*handle)(struct http_request *request);
    /* Called with each answer of a handler, before it goes out, by whoever gives it. */
    void (*answered)(struct http_request *request, unsigned status);
    /* Appends the body of an answer that this server gives by itself (too large, too many, shutting
     * down); returns its content type, a literal. */
    const char *(*write_refusal)(const struct http_request *request, unsigned status,
                                 const char *text, struct buffer *out);
    size_t body_max; /* 0 = HTTP_BODY_MAX */
};

/* NULL when the daemon cannot be started. Borrows the pool. */
struct http_server *http_server_start(const struct http_server_options *options);
/* Takes the socket; any thread. */
void http_server_adopt(struct http_server *s, int socket, const struct sockaddr *address,
                       socklen_t address_size);
/* New requests are refused with 503 from now on; waits up to `timeout_ms` for those under way. True
 * when none is left. Afterwards nothing is given to the workers: the pool may be stopped. */
bool http_server_drain(struct http_server *s, unsigned timeout_ms);
/* Every request has been answered (by the drain, or by whoever owned it). Accepts NULL. */
void http_server_stop(struct http_server *s);

struct http_server_counters {
    uint64_t requests;
    uint64_t refused; /* too large, too many bodies, shutting down */
    size_t under_way;
};
struct http_server_counters http_server_counters(struct http_server *s);

/* ---- for the router of requests ---- */

void http_request_set_parameter(struct http_request *r, size_t n, struct slice value);
void http_request_set_identity(struct http_request *r, const struct auth_identity *identity);

#endif
