/* Which agent serves what, and which calls are in flight.
 *
 * A route ties (project, environment) to the session that registered it last; an earlier session
 * stays open and gets no more calls. The end of a session removes only routes that still point to
 * it (compare and delete), so a stale connection cannot take the live route with it.
 *
 * A call (one execute_test or execute_metric) is bound to the agent that it was sent to, not to the
 * connection: its result is accepted on the agent's next connection, once; a restored call's, on
 * the next connection after a restart. A result that nobody waits for is dropped; one that repeats
 * a completed call is told apart, so that it can be acknowledged again.
 *
 * An agent may report, when it registers, which invocations it has. A test that it was sent over an
 * earlier connection and does not report is lost, and need not be waited for.
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

/* `credential` names who authenticated (the token), of which organization; `agent_id` is empty
 * until told. Copies. */
void router_session_opened(struct router *r, uint64_t session, struct slice organization,
                           struct slice credential);
void router_session_identified(struct router *r, uint64_t session, struct slice agent_id);
void router_session_closed(struct router *r, uint64_t session);

/* The last registration wins. */
void router_register(struct router *r, uint64_t session, struct slice project,
                     struct slice environment);
/* 0 = nobody. */
uint64_t router_find(const struct router *r, struct slice project, struct slice environment);
/* What the agent of a session calls itself, borrowed until the next call; empty: it said nothing.
 */
struct slice router_agent_id(const struct router *r, uint64_t session);

/* ---- calls ---- */

/* A call; texts are copied, the id is new. */
struct router_call {
    struct slice id;
    uint64_t
        session; /* it was sent to, which is open; 0: restored, then the next two say to whom */
    struct slice organization;
    struct slice agent_id;
    bool is_test; /* agents report tests only */
    struct slice project;
    struct slice environment;
    uint64_t deadline_ns;
    void *user; /* comes back once, from router_complete, _cancel, _expire or _next_lost */
};
void router_call_begin(struct router *r, const struct router_call *call);
/* A call of an earlier life that is over. Copies. */
void router_remember_completed(struct router *r, struct slice id);

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
/* The agent of this session has named what it has. Calls that went to it earlier, and for which
 * `has` is false, are lost. */
void router_reported(struct router *r, uint64_t session,
                     bool (*has)(const void *reported, struct slice id), const void *reported);
/* A lost call, now ended: its user; NULL when there is none. Call until NULL. */
void *router_next_lost(struct router *r);
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
    uint64_t lost;
};
const struct router_counters *router_counters(const struct router *r);

#endif
