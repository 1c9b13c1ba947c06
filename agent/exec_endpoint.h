/* An endpoint served by a program in any language, in one of two ways.
 *
 * One program per call: inputs as JSON on stdin, result on stdout. A JSON object on stdout is the
 * output as it is. Any other JSON value, and any other text, becomes {"output": …}, which the
 * default response mapping reads. Nothing on stdout, an exit status other than 0, a signal, too
 * much output, or too much time is an error result that names it, with the last line of stderr.
 *
 * Long-lived: a line {"id","inputs","traceparent","test"} per call on stdin, a line {"id","output"}
 * or {"id","error"} on stdout. As many programs run as calls do at once.
 *
 * Each run has a span of its own below the invocation's. The handler runs on the client's worker
 * threads, several at once. */
#ifndef AGENT_EXEC_ENDPOINT_H
#define AGENT_EXEC_ENDPOINT_H

#include <pthread.h>
#include <stdint.h>

#include <marline/endpoint.h>

#include "agent/exec_target.h"

struct long_lived_process;

enum { EXEC_IDLE_MAX = 64 }; /* programs kept for the next call; more are ended after theirs */

struct exec_endpoint {
    const char *name;
    const struct exec_target *target;
    uint64_t timeout_ms;
    uint64_t output_max;    /* bytes */
    bool is_metric;         /* what it answers is a score */
    const char *project_id; /* may be NULL, as the next one */
    const char *environment;
    struct words lasting; /* the environment of long-lived programs: nothing of a call is in it */
    struct {
        pthread_mutex_t mutex;
        struct long_lived_process *idle[EXEC_IDLE_MAX];
        size_t idle_count;
    } shared;
};

/* Borrows what the members point to. */
void exec_endpoint_init(struct exec_endpoint *e);
/* After the client is gone. Ends the long-lived programs. */
void exec_endpoint_deinit(struct exec_endpoint *e);

/* user is a struct exec_endpoint, borrowed for the life of the client. */
marline_status exec_endpoint_handle(marline_call *call, void *user);

#endif
