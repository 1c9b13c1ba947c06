/* The endpoints, or the metrics, of one client: looked up by name, and written into the
 * registration. Any thread. */
#ifndef MARLINE_CONNECTOR_REGISTRY_H
#define MARLINE_CONNECTOR_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/slice.h"
#include <marline/endpoint.h>

/* Immutable once registered. Counted: an invocation holds its endpoint while it runs. */
struct endpoint {
    atomic_uint references;
    uint64_t key; /* unique in the process's life of the registry */
    char *name;
    marline_handler_fn handler;
    void *user;
    uint32_t timeout_ms;
    uint32_t concurrency;
    marline_trace_mode trace_mode;
    marline_flush_mode flush;
    char **required; /* names of the parameters without a default */
    size_t required_count;
    struct buffer registration; /* its entry of `functions` */
};

struct registry {
    pthread_mutex_t lock;
    struct endpoint **items; /* in the order of their names' first registration */
    size_t count;
    size_t capacity;
    uint64_t next_key;
};

void marline__registry_init(struct registry *registry);
void marline__registry_deinit(struct registry *registry);

/* Copies all texts. MARLINE_EINVAL names what is wrong: a bad or taken name, mapping or parameter.
 */
marline_status marline__registry_add(struct registry *registry, const marline_endpoint *endpoint,
                                     marline_error *error);
marline_status marline__registry_add_metric(struct registry *registry, const marline_metric *metric,
                                            marline_error *error);
/* MARLINE_ENOTFOUND. Running invocations of it go on. */
marline_status marline__registry_remove(struct registry *registry, struct slice name);
/* Returns a reference; NULL when there is none. */
struct endpoint *marline__registry_find(struct registry *registry, struct slice name);
void marline__endpoint_unref(struct endpoint *endpoint);
/* Appends the JSON array `functions` or `metrics` of wire-protocol §2.3. */
void marline__registry_write(struct registry *registry, struct buffer *out);

#endif
