/* The agent's own HTTP port: /healthz, /readyz and /metrics. Requests are answered on a thread of
 * the server; what they show is read through atomics, so nothing waits for anything. */
#ifndef AGENT_HEALTH_H
#define AGENT_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <marline/client.h>
#include <marline/trace.h>

#include "programs/failure.h"

/* An agent that has been away from its backend for longer is not healthy: something has to be done
 * about it, by whoever reads this. */
enum { HEALTH_AWAY_MAX_S = 60 };

struct health_facts {
    atomic_int state;            /* marline_client_state */
    atomic_ullong away_since_ns; /* monotonic; 0 while registered */
    atomic_ullong invocations;
    atomic_ullong invocations_failed;
    atomic_ullong invocations_running;
    atomic_ullong results_sent;
    atomic_ullong connections; /* registrations after a connect */
    marline_provider *provider;
    const marline_client *client;
};

struct health;

/* `address` is HOST:PORT; port 0 takes a free one. Borrows the facts until stop. Not for the open
 * network: nobody is asked for a key. */
struct health *health_start(const char *address, const struct health_facts *facts,
                            struct failure *f);
/* NULL is allowed. */
void health_stop(struct health *h);
unsigned health_port(const struct health *h);

/* Each is the body of an answer; the first two return its status. Pure but for the clock's `now`.
 */
struct buffer;
int health_write_life(const struct health_facts *facts, uint64_t now_ns, struct buffer *out);
int health_write_readiness(const struct health_facts *facts, struct buffer *out);
void health_write_metrics(const struct health_facts *facts, const marline_delivery *spans,
                          struct buffer *out);
void health_write_client_metrics(const marline_client_statistics *client, struct buffer *out);

#endif
