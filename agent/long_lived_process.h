/* A program that stays: one line of JSON in, one line of JSON out, again and again. It saves the
 * start of the program for each call; in exchange the program must keep to the lines.
 *
 * One call at a time, one thread at a time. A call that ends otherwise than with a line (the
 * program ended, was too slow, too loud, or cancelled) has also ended the program, with its group:
 * the next call starts another. */
#ifndef AGENT_LONG_LIVED_PROCESS_H
#define AGENT_LONG_LIVED_PROCESS_H

#include "agent/process.h"

struct long_lived_process;

/* Starts nothing yet. Never NULL. */
struct long_lived_process *long_lived_process_create(void);
/* Closes the program's stdin, which asks it to end. No call may follow. */
void long_lived_process_hang_up(struct long_lived_process *p);
/* Hangs up, waits, and kills the group where that did not help. NULL is allowed. */
void long_lived_process_destroy(struct long_lived_process *p, uint64_t timeout_ms);

/* Sends request->input and a newline, waits for one line. PROCESS_ANSWERED: it is in out->output,
 * without its newline. The request is as for process_run; argv, environment and folder count only
 * when a program has to be started. */
void long_lived_process_call(struct long_lived_process *p, const struct process_request *request,
                             struct process_outcome *out);

#endif
