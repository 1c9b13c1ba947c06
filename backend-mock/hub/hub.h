/* The loop that owns the state machines: agent sessions, the router, runs and the linker. It turns
 * frames, answers of the store and the time into their inputs, and carries out what they ask for.
 * It never waits: writes go through the commit queue, reads and decoding to workers, and their
 * outcomes come back through the mailbox.
 *
 * Threads: functions marked [any] may be called from any thread; all others run on the loop, that
 * is inside a job or one of the callbacks below. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/agent_session.h"
#include "core/linker.h"
#include "core/run.h"
#include "hub/faults.h"
#include "hub/journal.h"
#include "hub/self_trace.h"
#include "io/worker_pool.h"
#include "store/commit_queue.h"
#include "store/store.h"

enum { HUB_RESUME_WAIT_MS = 60 * 1000 }; /* agents connect again within; then nobody serves a run */
/* Of calls that name none (wire-protocol §1.6). */
enum { HUB_FUNCTION_TIMEOUT_MS = 120 * 1000, HUB_METRIC_TIMEOUT_MS = 30 * 1000 };

struct hub;

struct hub_options {
    struct store *store; /* borrowed, as the next four, until destroy */
    struct commit_queue *queue;
    struct worker_pool *workers;
    struct faults *faults;
    struct journal *journal;
    struct notifier *notifier; /* borrowed until the loop has ended; NULL: no webhook is called */
    struct agent_limits agent_limits;
    struct linker_options linker;
    marline_tracer *tracer; /* borrowed; NULL = none */
    /* NULL = marline__thread_start: for tests of what happens when there is none. */
    int (*start_thread)(pthread_t *thread, void *(*run)(void *), void *user);
    bool leaves_runs; /* at the end, to the next life of the store; else they are cancelled */
    const char *name; /* borrowed: whose runs it takes up; NULL = "" */
};

/* Takes up the runs that an earlier life left, then starts the thread. NULL when libwebsockets or
 * the thread cannot start, or the store cannot be read; that is logged. */
struct hub *hub_start(const struct hub_options *options);
/* [any] The backend will stop: from now on nobody's waiting is served, whoever waits for a run or a
 * claim is answered with what is. */
void hub_wind_down(struct hub *hub);
bool hub_is_winding_down(const struct hub *hub);
/* [any] Leaves the runs as they are, or cancels them and stores what they came to, closes every
 * agent's connection with 1001, ends the loop; all that within `timeout_ms`. Jobs posted later wait
 * for hub_destroy. */
void hub_stop(struct hub *hub, unsigned timeout_ms);
/* Carries out the jobs that are left; workers and commit queue must have stopped. Accepts NULL. */
void hub_destroy(struct hub *hub);

/* [any] Takes the socket of an upgrade request that is still unread. */
void hub_adopt(struct hub *hub, int socket);

/* Work for the loop, embedded in what it is about; `run` may free it. */
struct hub_job {
    struct list node;
    uint64_t deadline_ns; /* not before; 0 = at once */
    void (*run)(struct hub *hub, struct hub_job *job);
};
/* [any] Jobs run in order of posting, those with a deadline in no order. */
void hub_post(struct hub *hub, struct hub_job *job);

/* ---- store ---- */

/* A write whose outcome comes back to the loop. Embedded; fill `commit.write`. */
struct hub_commit {
    struct commit commit;
    struct hub_job job;
    struct hub *hub;
    void (*done)(struct hub *hub, struct hub_commit *commit); /* may free it */
};
/* A full queue is an outcome too (STORE_BUSY). */
void hub_submit(struct hub *hub, struct hub_commit *commit);

/* Spans with these keys are stored and committed. */
void hub_spans_committed(struct hub *hub, const struct link_key *keys, size_t count);
struct linker *hub_linker(struct hub *hub);

/* ---- agents ---- */

/* False when nobody serves it. out_functions: raw JSON array, borrowed during the job. */
bool hub_find_functions(struct hub *hub, struct slice project, struct slice environment,
                        struct slice *out_functions);

/* How a call ended. */
struct hub_answer {
    const struct message_test_result *result; /* one of these two, or neither */
    const struct message_metric_result *metric;
    const char *failure; /* then why: a fixed text, for whoever expected the other kind too */
    uint64_t session;    /* that brought the result */
};

struct hub_call {
    char id[INVOCATION_ID_SIZE]; /* set before sending */
    marline_span sent;           /* the hub's, when the backend traces itself */
    /* Exactly once after a successful send, unless withdrawn. May free the call. */
    void (*done)(struct hub *hub, struct hub_call *call, const struct hub_answer *answer);
};

struct hub_invocation {
    struct slice project;
    struct slice environment;
    struct slice function_name;
    struct slice inputs;                                     /* raw object */
    const struct message_test_context *test;                 /* NULL: inputs go out unchanged */
    const struct message_conversation_context *conversation; /* beside `test`; NULL = none */
    uint32_t timeout_ms;                                     /* for the agent; 0 = none told */
    uint64_t deadline_ns; /* for the call; TIME_NEVER = the caller withdraws it */
};
/* False when nobody serves it: then the call is not begun. */
bool hub_call_send(struct hub *hub, const struct hub_invocation *invocation, struct hub_call *call);
/* What the agent that serves it calls itself, borrowed during the job; empty: nothing. */
struct slice hub_agent_id(struct hub *hub, struct slice project, struct slice environment);
/* A call that was sent in an earlier life: its answer is taken when its agent brings it. */
struct hub_restored_call {
    struct uuid organization_id;
    struct slice project;
    struct slice environment;
    struct slice agent_id; /* empty: any that serves the project there */
};
void hub_call_restore(struct hub *hub, const struct hub_restored_call *from, struct hub_call *call);
/* As hub_call_send, for a metric that an agent of the organization registered; the last one wins.
 */
struct hub_metric_call {
    struct slice organization;
    struct slice metric_name;
    struct slice inputs; /* raw object */
    uint64_t deadline_ns;
};
bool hub_metric_send(struct hub *hub, const struct hub_metric_call *metric, struct hub_call *call);
/* `done` does not come any more; the agent is told, where it understands. */
void hub_call_withdraw(struct hub *hub, struct hub_call *call);
/* The result of a call is stored, and may be forgotten by the agent. */
void hub_acknowledge(struct hub *hub, uint64_t session, struct slice invocation_id);
uint64_t hub_now_ns(const struct hub *hub);

/* ---- runs ---- */

struct hub_run_options {
    struct uuid organization_id;
    struct uuid project_id;
    struct uuid run_id;
    struct slice environment;
    uint32_t concurrency;
    const struct run_test *tests;
    size_t test_count;
    struct slice webhook; /* to be told of the end; NULL data = none */
};
/* A test as the store knows it, as a run wants it; borrows from there. */
struct run_test hub_run_test(const struct store_run_test *from);
/* The run is in the store. Copies. */
void hub_run_start(struct hub *hub, const struct hub_run_options *options);
/* False when it is not under way. */
bool hub_run_cancel(struct hub *hub, const struct uuid *organization_id, const struct uuid *run_id);

/* Calls back, on the loop, when the run has ended or the deadline has passed. */
struct hub_waiter {
    struct list node;
    uint64_t deadline_ns;
    void (*done)(struct hub *hub, struct hub_waiter *waiter, bool finished);
};
/* False, and no callback, when the run is not under way. */
bool hub_run_wait(struct hub *hub, const struct uuid *organization_id, const struct uuid *run_id,
                  struct hub_waiter *waiter);

/* A consistent look at the counters. */
struct hub_counters {
    uint64_t links[LINK_POINT_COUNT]; /* spans linked since the start */
    uint64_t link_attempts[LINK_POINT_COUNT];
    struct agent_session_counters messages; /* of all connections */
    size_t agents;
    size_t runs;
    uint64_t results_accepted;
    uint64_t results_accepted_elsewhere;
    uint64_t results_repeated;
    uint64_t results_foreign;
    uint64_t results_unknown;
    uint64_t calls_expired;
    uint64_t calls_lost;
    struct linker_counters linker;
};
struct hub_counters hub_counters(const struct hub *hub);

#endif
