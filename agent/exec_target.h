/* What an exec endpoint runs. Plain data: filled while the configuration is read, then read only.
 */
#ifndef AGENT_EXEC_TARGET_H
#define AGENT_EXEC_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/failure.h"
#include "agent/words.h"

enum {
    EXEC_TIMEOUT_DEFAULT_MS = 120000, /* what the platform waits for a function */
    EXEC_OUTPUT_DEFAULT = 900 * 1024, /* a result message may have 1 MiB (wire-protocol §1.6) */
};

struct exec_target {
    struct words command;     /* argv */
    char *folder;             /* NULL = the agent's own */
    struct words environment; /* NAME=value */
    struct words pass;        /* names of variables taken over from the agent */
    uint64_t output_max;
};

void exec_target_deinit(struct exec_target *t);
/* A folder that does not exist, a program that cannot be found or run: a failure that names the
 * endpoint and the place of its definition. */
bool exec_target_check(const struct exec_target *t, const char *where, const char *name,
                       struct failure *f);

#endif
