/* Plays one order of the four steps of linking on a real backend, through its gates: results and
 * spans come over their own channels as ever, and wait at the backend until their step is called.
 *
 * A schedule has four letters. R: the next step of the result side; S: the next of the span side.
 * Each side first stores (and commits), then tries to link. So RRSS is the fast test, SSRR the slow
 * one, and RSRS and its like are the orders in between, which need luck at full speed. */
#ifndef AGENT_CHECK_CONDUCTOR_H
#define AGENT_CHECK_CONDUCTOR_H

#include "agent/check/backend_api.h"
#include "agent/check/pace.h"
#include "programs/failure.h"

enum { SCHEDULE_LENGTH = 4, CONDUCTOR_STEP_TIMEOUT_MS = 10000 };

/* False, with a text, when it is not one of the six orders. Letters of either case. */
bool schedule_check(const char *letters, struct failure *f);
/* The point that comes first when both sides are stored: it has to link everything. */
enum link_point schedule_links_at(const char *letters);

/* Before the run starts. */
bool conductor_shut(struct backend_api *api, struct failure *f);
/* Calls the steps one by one, each when the one before it is committed, then opens the gates, after
 * a failure too. Blocks, at most CONDUCTOR_STEP_TIMEOUT_MS a step. */
bool conductor_play(struct backend_api *api, struct pace *pace, const char *letters,
                    struct failure *f);

#endif
