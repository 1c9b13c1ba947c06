/* The environment that an exec endpoint's program gets: a short list from the agent's own, what the
 * configuration adds, the trace context, and the ids of the test. Nothing else, so that no secret
 * of the agent leaks. Pure: the agent's environment is handed in. */
#ifndef AGENT_CHILD_ENVIRONMENT_H
#define AGENT_CHILD_ENVIRONMENT_H

#include <marline/context.h>

#include "agent/words.h"

struct child_environment {
    char *const *inherited;    /* the agent's own environment */
    const struct words *pass;  /* names to take over beyond the usual ones; may be NULL */
    const struct words *fixed; /* NAME=value, stronger than what is inherited; may be NULL */
    const char *project_id;    /* each of these may be NULL: left out */
    const char *environment;
    const char *invocation_id;
    const marline_test_context *test;
    char *const *carrier; /* the trace context as variables, NULL at the end; may be NULL */
};

/* Each name once; the stronger source wins: trace context and ids, then fixed, then inherited
 * (otel.md EV-05 to EV-07). `out` is given back with words_deinit. */
void child_environment_build(const struct child_environment *e, struct words *out);

#endif
