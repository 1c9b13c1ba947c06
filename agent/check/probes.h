/* The endpoints that `check` registers, and their memory: which spans they made, for which test.
 * Handlers run on the client's workers; the record is read by the main thread at any time. */
#ifndef AGENT_CHECK_PROBES_H
#define AGENT_CHECK_PROBES_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <marline/client.h>

#include "agent/check/facts.h"
#include "agent/check/pace.h"
#include "programs/failure.h"

struct probes;

/* Borrows the pace until destroy. `is_prompt`: spans are posted right before the result, so close
 * that either point may be the one that sees both. No point is expected then, but a span that
 * neither has linked is a failure as ever. */
struct probes *probes_create(struct pace *pace, bool is_prompt);
/* After the client is gone. */
void probes_destroy(struct probes *p);
bool probes_register(struct probes *p, marline_client *client, struct failure *f);

/* The inputs that make a probe keep time with tick `base` of the exporter: JSON, owned. */
char *probes_inputs(size_t base);
/* Adds to the facts every span made so far for their run that they do not have yet, the
 * invocation's own included. The tests must be known by id. */
void probes_collect(struct probes *p, struct facts *f);

#endif
