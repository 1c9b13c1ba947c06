/* A marline-agent as a child process, ended with this one. What it writes goes to a file. One
 * thread, which must live as long as the agent. */
#ifndef RUN_AGENT_PROCESS_H
#define RUN_AGENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "programs/failure.h"

struct agent_process {
    pid_t pid;   /* 0 = none, or it was waited for */
    int process; /* a pidfd; -1 = none */
    int log;     /* what it wrote; -1 = none */
    int status;  /* as of waitpid, once it has ended */
};
#define AGENT_PROCESS_INIT ((struct agent_process){0, -1, -1, 0})

struct agent_process_options {
    const char *program; /* NULL: marline-agent beside this program, else in PATH */
    const char *config;
    const char *log; /* file; NULL = a temporary one */
    const char *base_url;
    const char *api_key;
    const char *project_id;
    const char *environment; /* NULL = as configured */
};

bool agent_process_start(struct agent_process *a, const struct agent_process_options *options,
                         struct failure *f);
/* True when it runs. */
bool agent_process_is_alive(struct agent_process *a);
/* Asks it to finish and deliver (SIGTERM), waits, and kills it when it takes longer. Fits one that
 * has ended, or never began. */
void agent_process_stop(struct agent_process *a, uint32_t timeout_ms);
/* "ended with exit code 3", "was killed by signal 9": of one that has ended. */
void agent_process_describe(const struct agent_process *a, char *out, size_t size);
/* Its last lines, indented, for a message. */
void agent_process_last_lines(const struct agent_process *a, struct buffer *out);
void agent_process_deinit(struct agent_process *a); /* kills it, if need be */

#endif
