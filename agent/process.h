/* Runs one program to its end: input to its stdin, its stdout kept, its stderr handed on by lines.
 *
 * No shell. The program leads a process group of its own, and the whole group is killed when it
 * overruns its time, is cancelled, writes too much, or has ended: nothing that it started outlives
 * the call (unless it left the group with setsid). It inherits three descriptors, no signal mask,
 * and no ignored signal. Every wait is bounded by the timeout plus PROCESS_TERM_GRACE_MS and
 * PROCESS_DRAIN_MS.
 *
 * Blocks the calling thread; any number of threads may run one each. The caller ignores SIGPIPE. */
#ifndef AGENT_PROCESS_H
#define AGENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/slice.h"

enum {
    PROCESS_TERM_GRACE_MS = 2000, /* from SIGTERM to SIGKILL: enough to write a last word */
    PROCESS_DRAIN_MS = 250,       /* after the end: what a pipe may still hold is read at once */
    PROCESS_LINE_MAX = 2000,      /* longer lines of stderr are cut into several */
    PROCESS_LAST_LINE_SIZE = 400, /* of the last line of stderr, with the NUL: fits an error text */
};

struct process_request {
    char *const *argv;        /* argv[0] without a slash is looked up in PATH */
    char *const *environment; /* NAME=value, NULL at the end */
    const char *folder;       /* NULL = the current one */
    struct slice input;
    uint64_t timeout_ms; /* 0 = none */
    size_t output_max;   /* bytes of stdout */
    /* Both optional, called on the calling thread. */
    bool (*is_canceled)(void *user);
    void (*on_error_line)(void *user, const char *line);
    void *user;
};

enum process_end {
    PROCESS_ANSWERED,    /* a long-lived one: it still runs, and `output` is its line */
    PROCESS_CHATTERED,   /* a long-lived one: more than one line */
    PROCESS_NOT_STARTED, /* `detail` is the errno */
    PROCESS_EXITED,      /* `detail` is the exit status */
    PROCESS_SIGNALED,    /* `detail` is the signal */
    PROCESS_TIMED_OUT,
    PROCESS_CANCELED,
    PROCESS_TOO_LOUD, /* stdout exceeded output_max */
    PROCESS_LOST,     /* waiting for it failed; `detail` is the errno */
};

struct process_outcome {
    enum process_end end;
    int detail;
    pid_t pid; /* 0 when not started */
    struct buffer output;
    char last_error_line[PROCESS_LAST_LINE_SIZE]; /* "" when it wrote none */
};

/* Fills `out`, whatever happens; the caller deinits out->output. */
void process_run(const struct process_request *request, struct process_outcome *out);

#endif
