/* An endpoint served by a service over HTTP: the inputs fill a request, JSON pointers pick the
 * output from the answer. Any status but 2xx, no answer in time, and a pointer that finds nothing
 * are error results. Each request has a CLIENT span below the invocation's, whose context travels
 * in the traceparent header.
 *
 * The handler runs on the client's worker threads, several at once; connections are kept and
 * shared. */
#ifndef AGENT_HTTP_ENDPOINT_H
#define AGENT_HTTP_ENDPOINT_H

#include <pthread.h>
#include <stdint.h>

#include <marline/endpoint.h>

#include "agent/http_target.h"

struct http_client;

enum { HTTP_IDLE_MAX = 16 }; /* connections kept for reuse; more are closed after their request */

struct http_endpoint {
    const char *name;
    const struct http_target *target;
    uint64_t timeout_ms;
    uint64_t answer_max; /* bytes */
    bool is_metric;      /* what it answers is a score */
    struct {
        pthread_mutex_t mutex;
        struct http_client *idle[HTTP_IDLE_MAX];
        size_t idle_count;
    } shared;
};

void http_endpoint_init(struct http_endpoint *e);
/* After the client is gone. */
void http_endpoint_deinit(struct http_endpoint *e);
/* user is a struct http_endpoint. */
marline_status http_endpoint_handle(marline_call *call, void *user);

#endif
