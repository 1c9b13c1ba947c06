/* The test's end of step_shim.c: hears of each step that a program reaches, and lets its thread go
 * on, now or later. A thread of its own calls the two functions; they must not wait. */
#ifndef TESTS_SUPPORT_STEP_SERVER_H
#define TESTS_SUPPORT_STEP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct step_server;

struct step_events {
    /* A thread of the process waits at the step. True: it may go on; false: it is held. */
    bool (*reached)(void *user, pid_t process, const char *step);
    /* Now and then, and when the time that it returned is over (milliseconds, -1 = none). */
    int (*tick)(void *user);
    void *user;
};

/* Ends the program when it cannot be made. */
struct step_server *step_server_start(const char *path, const struct step_events *events);
void step_server_stop(struct step_server *s);
/* Lets all held threads go on. From `reached` or `tick` only. */
void step_server_release(struct step_server *s);
/* Calls `tick` soon. Any thread. */
void step_server_wake(struct step_server *s);

/* For a program that knows its steps itself: reports one, and waits until it may go on. */
void step_reach(const char *path, const char *step);

#endif
