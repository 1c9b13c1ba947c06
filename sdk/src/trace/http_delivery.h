/* Posting a body until it is delivered, refused, or given up: what the exporters over HTTP share.
 * One thread posts; cancel comes from any. */
#ifndef MARLINE_TRACE_HTTP_DELIVERY_H
#define MARLINE_TRACE_HTTP_DELIVERY_H

#include "io/http_client.h"
#include "trace/monitor.h"
#include "trace/retry.h"
#include <marline/status.h>

struct http_delivery {
    struct http_client *client;
    struct http_response response; /* the last answer */
    struct monitor monitor;
    bool canceled;
};

/* False when out of memory; then deinit is not called. */
bool marline__delivery_init(struct http_delivery *d, const struct http_client_options *options);
void marline__delivery_deinit(struct http_delivery *d);

/* Posts request (its timeout is set here), again where the policy says so. `reason` receives why
 * the last attempt failed. */
enum retry_verdict marline__delivery_post(struct http_delivery *d, struct http_request *request,
                                          const struct retry_policy *policy, uint64_t deadline_ns,
                                          char reason[MARLINE_ERROR_TEXT_SIZE]);
/* Before the posts of an export: an earlier cancel is over. */
void marline__delivery_begin(struct http_delivery *d);
/* Ends the running post, and all later ones until begin, soon. */
void marline__delivery_cancel(struct http_delivery *d);
void marline__delivery_after_fork(struct http_delivery *d);

#endif
