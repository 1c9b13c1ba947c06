/* Takes signals on a thread of its own, so that they are heard while the main thread is busy
 * ending the program. */
#ifndef PROGRAMS_SIGNAL_WATCH_H
#define PROGRAMS_SIGNAL_WATCH_H

#include <pthread.h>
#include <signal.h>

#include "programs/failure.h"

struct signal_watch {
    sigset_t signals;
    int signal_fd;
    int stop_fd;
    pthread_t thread;
    void (*on_signal)(void *user, int signal_number); /* on the watch's thread */
    void *user;
};

/* Blocks SIGTERM, SIGINT and SIGHUP, for the calling thread and all that it starts later. Call it
 * before any other thread exists. */
void signal_watch_block(struct signal_watch *w);
bool signal_watch_start(struct signal_watch *w, void (*on_signal)(void *user, int signal_number),
                        void *user, struct failure *f);
/* Joins the thread, and gives the signals their default course again. Fits one that was only
 * blocked. */
void signal_watch_stop(struct signal_watch *w);

#endif
