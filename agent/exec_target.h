/* What an exec endpoint runs. Plain data: filled while the configuration is read, then read only.
 */
#ifndef AGENT_EXEC_TARGET_H
#define AGENT_EXEC_TARGET_H

#include <stdbool.h>

#include "agent/words.h"
#include "programs/failure.h"

struct exec_target {
    struct words command;     /* argv */
    char *folder;             /* NULL = the agent's own */
    struct words environment; /* NAME=value */
    struct words pass;        /* names of variables taken over from the agent */
    bool is_long_lived;       /* one program for many calls, a line of JSON each */
};

void exec_target_deinit(struct exec_target *t);
/* A folder that does not exist, a program that cannot be found or run: a failure that names the
 * endpoint and the place of its definition. */
bool exec_target_check(const struct exec_target *t, const char *where, const char *name,
                       struct failure *f);

#endif
