/* Tells webhooks that runs have ended: one POST of a summary each, tried again when the receiver is
 * down, a bounded number of times. What became of it is kept with the run (its "notice"); a run
 * without it is told of at the next start. So a receiver is told at least once, and knows a repeat
 * by the run's id. Redirects are not followed.
 *
 *     [told] waiting -> [due, its receiver is free, so is a thread] -> under way
 *            under way -> [taken, refused, tried often enough] -> storing -> [stored] gone
 *                      -> [down] waiting, until the pause is over
 *                      -> [stop] gone, and untold in the store
 *
 * A few threads off the hub's loop, of which one receiver has at most one: whoever does not answer
 * makes nobody else wait. The store is the queue: what does not fit here is read from there when
 * there is room. */
#ifndef HUB_NOTIFIER_H
#define HUB_NOTIFIER_H

#include "store/commit_queue.h"
#include "store/store.h"
#include <marline/trace.h>

enum {
    NOTICE_THREADS = 4,      /* receivers that may be slow at the same time */
    NOTICE_ATTEMPTS_MAX = 4, /* at once, and after 1, 2 and 4 s */
    NOTICE_TIMEOUT_MS = 5000,
    NOTICE_WAITING_MAX = 1000, /* runs in memory; more wait in the store */
};

struct notifier;

/* Store, queue, tracer (NULL = none) and the backend's name (NULL = "") are borrowed until stop.
 * NULL when no thread can be started. */
struct notifier *notifier_start(struct store *store, struct commit_queue *queue,
                                marline_tracer *tracer, const char *name);
/* Cuts short what is under way, and frees. The queue must still be open. Accepts NULL. */
void notifier_stop(struct notifier *n);

/* The run has ended, and that is stored. Copies. Any thread. Accepts NULL. */
void notifier_tell(struct notifier *n, const struct store_untold_run *run);
/* Tells of the runs that an earlier life left untold. Any thread. Accepts NULL. */
void notifier_take_up(struct notifier *n);

#endif
