/* Signals and a library's threads: signals belong to the program that uses the library.
 *
 * A thread of ours never runs a handler of the program's, and a write to a peer that is gone never
 * ends the program. OpenSSL writes to sockets without MSG_NOSIGNAL, so around calls that may end up
 * there SIGPIPE is held back for the calling thread; the disposition, which the whole process
 * shares, is left alone. */
#ifndef MARLINE_BASE_SIGNALS_H
#define MARLINE_BASE_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

/* pthread_create with every signal blocked in the new thread. 0, or an errno value. */
int marline__thread_start(pthread_t *thread, void *(*run)(void *), void *user);

struct sigpipe_hold {
    sigset_t mask_before;
    bool was_pending;
};

/* Blocks SIGPIPE in the calling thread. Holds nest. */
void marline__sigpipe_hold(struct sigpipe_hold *hold);

/* Discards a SIGPIPE that arrived since the hold, and puts the mask back. Keeps errno. */
void marline__sigpipe_release(const struct sigpipe_hold *hold);

#endif
