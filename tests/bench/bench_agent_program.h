/* marline-agent itself, as a program: beside what it starts, and against the real backend-mock. */
#ifndef TESTS_BENCH_BENCH_AGENT_PROGRAM_H
#define TESTS_BENCH_BENCH_AGENT_PROGRAM_H

#include <sys/types.h>

/* What an exec endpoint does, spans included, against posix_spawn and wait of the same program; and
 * a long-lived one against a round trip over the pipes of the same program. The whole invocations,
 * with channel and outbox, beside them. */
void bench_agent_exec(void);
/* From exec to "ready for tests", and the wake-ups of an agent that nobody asks for anything. */
void bench_agent_idle(void);
/* Invocations of a handler that does nothing, pipelined through the real backend-mock. `agent` runs
 * one that exports to it, in a child process, and never returns. */
void bench_agent_real(void (*agent)(const char *base_url, const char *key, const char *project,
                                    const char *outbox));

#endif
