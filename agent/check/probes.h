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
#include "agent/check/span_tap.h"
#include "programs/failure.h"

struct probes;

/* Borrows pace and tap until destroy. `is_prompt`: spans are posted right before the result, so
 * close that either point may be the one that sees both. No point is expected then, but a span that
 * neither has linked is a failure as ever. */
struct probes *probes_create(struct pace *pace, struct span_tap *tap, bool is_prompt);
/* After the client is gone. */
void probes_destroy(struct probes *p);
bool probes_register(struct probes *p, marline_client *client, struct failure *f);

/* Ends the late spans whose time has come. Main thread, as the next. */
void probes_end_late(struct probes *p);
/* When the next late span ends; false when there is none. */
bool probes_next_late(struct probes *p, double *out_position);
/* What a handler does, without a call: the spans of a test that nobody has invoked, each ended at
 * once. The facts have the ids of run and test. */
void probes_make_orphans(struct probes *p, const struct facts *f);

/* The inputs that make a probe keep time with tick `base` of the exporter: JSON, owned. */
char *probes_inputs(size_t base);
/* The same as one line of text, for a backend that passes on no more than that: names the probe and
 * the test's place in the run. The endpoint PROBES_DISPATCHER understands it. Owned. */
char *probes_input_text(const struct probe *probe, size_t base, size_t test);
#define PROBES_DISPATCHER "marline_check"
/* Adds to the facts every span made so far for their run that they do not have yet, the
 * invocation's own included. A test whose id is not known yet gets it from the call that said which
 * one it is. */
void probes_collect(struct probes *p, struct facts *f);

#endif
