/* The executor of one run: which test is invoked when, and what its result is. Sans I/O: events
 * and the time go in, actions come out.
 *
 * A test:  queued -> [a slot is free] -> invoked -> [answer, failure, timeout, cancel] -> judged
 *          -> [result_stored ok] -> done      (a store that fails is asked again, with a delay)
 *          invoked -> [answer, and the test has criteria] -> judging -> [verdict, cancel] -> judged
 *                               -> retrying -> [its delay is over, a slot is free] -> invoked
 *          queued -> [cancel] -> skipped (it was never accepted, so it has no result)
 * The run: queued -> [start] -> running -> [all tests done] -> completed
 *                 -> [cancel] -> cancelling -> [all tests done or skipped] -> cancelled
 *
 * An attempt is one invocation, with an id and a result of its own. One that ended in Error is
 * followed by the next while the test has retries left; Pass and Fail are verdicts, and stand. The
 * test came to what its last attempt came to.
 *
 * Every attempt that was invoked ends in exactly one result; whatever comes after the first answer,
 * the timeout or the cancellation is ignored. That holds over a restart too: an invocation is
 * recorded before it is sent, so a run is taken up again from what is stored, and an attempt
 * without result is still owed by the agent that has it. It is never sent a second time. One loop
 * owns it. Times are monotonic nanoseconds. */
#ifndef CORE_RUN_H
#define CORE_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "core/link_key.h"
#include "core/outcome.h"

struct run;

enum { RUN_RETRIES_MAX = 10 }; /* as many as anybody waits for; the store looks at 64 attempts */

struct run_test {
    struct uuid test_id;
    struct uuid configuration_id;
    struct slice function_name;
    struct slice inputs;   /* JSON object */
    uint32_t timeout_ms;   /* of each attempt; 0 = none */
    uint32_t retries;      /* attempts after the first, up to RUN_RETRIES_MAX */
    struct slice criteria; /* NULL data: an answer that succeeded passes; else see RUN_JUDGE */
};

/* What an agent answered. Borrowed during the call. */
struct run_answer {
    bool success;
    struct slice output; /* JSON; empty = null */
    struct slice error;  /* NULL data = none */
    double duration_ms;
    struct slice trace_id; /* NULL data = none */
    uint32_t span_count;
    struct slice metrics; /* JSON, of a verdict; NULL data = none */
};

/* What an answer came to by the criteria of its test. Borrowed during the call. */
struct run_verdict {
    enum result_status status;
    struct slice metrics; /* JSON: how that came about */
    struct slice error;   /* of RESULT_ERROR, when the answer has none itself */
};

struct run_options {
    struct uuid organization_id;
    struct uuid run_id;
    uint32_t concurrency;  /* 0 counts as 1 */
    uint32_t retry_min_ms; /* 0 = RUN_RETRY_MIN_MS */
};
/* The delay before a result is stored again, and before the next attempt; doubled each time. */
enum { RUN_RETRY_MIN_MS = 100, RUN_RETRY_MAX_MS = 10000 };

enum run_action_type {
    RUN_SET_STATUS, /* store it, then call run_on_status_stored */
    RUN_INVOKE,     /* record the invocation, then send it; if it cannot be sent: run_on_failed */
    RUN_AWAIT,      /* was sent in an earlier life: take its answer, or call run_on_failed */
    RUN_JUDGE,      /* look at `result` by `criteria`, then call run_on_judged */
    RUN_WITHDRAW,   /* nobody waits for this invocation, or verdict, any more: tell router, agent */
    RUN_STORE_RESULT, /* then call run_on_result_stored */
};

enum { INVOCATION_ID_SIZE = 48 }; /* with the NUL */

/* Slices borrow from the run: `inputs`, `criteria` and texts stay valid until the run is destroyed,
 * `result` until run_on_judged, or until run_on_result_stored says ok. */
struct run_action {
    enum run_action_type type;
    enum run_status status; /* RUN_SET_STATUS */
    size_t test;            /* index; all but RUN_SET_STATUS, as the rest */
    struct link_key key;
    char invocation_id[INVOCATION_ID_SIZE];
    struct slice function_name;
    struct slice inputs;
    uint32_t timeout_ms;
    struct slice criteria;            /* RUN_JUDGE */
    enum result_status result_status; /* RUN_STORE_RESULT */
    struct run_answer result;         /* RUN_STORE_RESULT, RUN_JUDGE */
};

/* Copies the tests. Nothing happens before run_start. */
struct run *run_create(const struct run_options *options, const struct run_test *tests,
                       size_t count);
void run_destroy(struct run *run);

void run_start(struct run *run, uint64_t now_ns);

/* What is known of an attempt from an earlier life. */
struct run_restored {
    uint32_t attempt;
    bool has_result;
    enum result_status status; /* of the result */
};
/* Between run_create and run_resume, by attempt; the last one of a test counts. */
void run_restore(struct run *run, size_t test, const struct run_restored *from);
/* Instead of run_start: goes on from there. `status` is the one stored. The time that an agent has
 * for what it owes begins anew; new invocations wait for run_release, or until `hold_ns` is over.
 */
void run_resume(struct run *run, uint64_t now_ns, enum run_status status, uint64_t hold_ns);
/* An agent that serves the run is there (again). */
void run_release(struct run *run, uint64_t now_ns);

/* An answer for an invocation. False: not (or no longer) waited for; nothing happens. */
bool run_on_answer(struct run *run, uint64_t now_ns, struct slice invocation_id,
                   const struct run_answer *answer);
/* The invocation could not be sent, or its agent is gone for good; `reason` becomes the error. */
bool run_on_failed(struct run *run, uint64_t now_ns, struct slice invocation_id,
                   struct slice reason);
/* False: no verdict is waited for, or no longer; nothing happens. */
bool run_on_judged(struct run *run, uint64_t now_ns, size_t test,
                   const struct run_verdict *verdict);
/* ok false: the store failed and is asked again later; so for the next. */
void run_on_result_stored(struct run *run, uint64_t now_ns, size_t test, bool ok);
void run_on_status_stored(struct run *run, uint64_t now_ns, bool ok);
/* Skips what is queued, withdraws what is invoked (its result: Error, "cancelled"). */
void run_cancel(struct run *run, uint64_t now_ns);

void run_on_tick(struct run *run, uint64_t now_ns);
uint64_t run_next_deadline(const struct run *run);
/* Call until false after every call above. */
bool run_next_action(struct run *run, struct run_action *out);

enum run_status run_get_status(const struct run *run);
/* Completed or cancelled, and that and every result is stored: the run may be destroyed. */
bool run_is_finished(const struct run *run);

#endif
