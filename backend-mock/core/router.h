/* Which agent serves what, and which calls are in flight.
 *
 * A route ties (project, environment) to the session that registered it last; an earlier session
 * stays open and gets no more calls. The end of a session removes only routes that still point to
 * it (compare and delete), so a stale connection cannot take the live route with it.
 *
 * A call (one execute_test or execute_metric) is bound to the agent that it was sent to, not to the
 * connection: its result is accepted on the agent's next connection, once. A result that nobody
 * waits for is dropped; one that repeats a completed call is told apart, so that it can be
 * acknowledged again.
 *
 * No I/O, no clock, no thread: the caller passes `now` (monotonic). Sessions are numbers. */
#ifndef CORE_ROUTER_H
#define CORE_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Completed ids that are remembered, the oldest forgotten first. The reference keeps 5000 to 10000.
 */
enum { ROUTER_COMPLETED_MAX = 10000 };

struct router;

struct router *router_create(void);
void router_destroy(struct router *r); /* calls in flight are dropped without a word */

/* ---- sessions and routes ---- */

/* `credential` names who authenticated (the token); `agent_id` is empty until told. Copies. */
void router_session_opened(struct router *r, uint64_t session, struct slice credential);
void router_session_identified(struct router *r, uint64_t session, struct slice agent_id);
void router_session_closed(struct router *r, uint64_t session);

/* The last registration wins. */
void router_register(struct router *r, uint64_t session, struct slice project,
                     struct slice environment);
/* 0 = nobody. */
uint64_t router_find(const struct router *r, struct slice project, struct slice environment);

/* ---- calls ---- */

/* A call sent to `session`, which is open. The id is new. Copies id; `user` comes back once, from
 * router_complete or router_expire. */
void router_call_begin(struct router *r, struct slice id, uint64_t session, struct slice project,
                       struct slice environment, uint64_t deadline_ns, void *user);

enum router_verdict {
    ROUTER_ACCEPTED,  /* the call is over; out_user is set */
    ROUTER_COMPLETED, /* over before: a repeat, or later than its deadline */
    ROUTER_FOREIGN,   /* another agent's call; it stays in flight */
    ROUTER_UNKNOWN,   /* no such call */
};
enum router_verdict router_complete(struct router *r, struct slice id, uint64_t session,
                                    void **out_user);
/* Ends a call that the caller itself gives up. Its user, NULL when there is no such call. */
void *router_cancel(struct router *r, struct slice id);
/* One call whose deadline has passed, now ended: its user; NULL when there is none. Call until
 * NULL. */
void *router_expire(struct router *r, uint64_t now_ns);
/* No call expires before; TIME_NEVER without calls. */
uint64_t router_next_deadline(const struct router *r);
/* The session a call was sent to, 0 when the call is not in flight. */
uint64_t router_call_session(const struct router *r, struct slice id);

struct router_counters {
    uint64_t accepted;
    uint64_t repeated;
    uint64_t foreign;
    uint64_t unknown;
    uint64_t expired;
    uint64_t accepted_elsewhere; /* on another connection than the call's own */
};
const struct router_counters *router_counters(const struct router *r);

#endif
