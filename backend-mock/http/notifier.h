/* Tells webhooks that runs have ended: one POST of a summary each, tried again when the receiver is
 * down, a bounded number of times. What became of it is kept with the run (its "notice"). Redirects
 * are not followed. A notice that the end of the process cuts short is not sent later.
 *
 * One thread, one request at a time, off the hub's loop. */
#ifndef HTTP_NOTIFIER_H
#define HTTP_NOTIFIER_H

#include "store/commit_queue.h"
#include "store/store.h"
#include <marline/trace.h>

enum {
    NOTICE_ATTEMPTS_MAX = 4, /* at once, and after 1, 2 and 4 s */
    NOTICE_TIMEOUT_MS = 5000,
    NOTICE_WAITING_MAX = 1000, /* runs; further ones are not told of, which is logged */
    NOTICE_URL_MAX = 2048,     /* bytes */
};

struct notifier;

/* Store, queue and tracer (NULL = none) are borrowed until stop. NULL when no thread can be
 * started.
 */
struct notifier *notifier_start(struct store *store, struct commit_queue *queue,
                                marline_tracer *tracer);
/* Ends what is under way, and frees. The queue must still be open. Accepts NULL. */
void notifier_stop(struct notifier *n);

/* The run has ended, and that is stored. Any thread. Accepts NULL. */
void notifier_tell(struct notifier *n, const struct uuid *organization_id,
                   const struct uuid *run_id);

/* Why a text cannot be the URL of a webhook; NULL = it can. */
const char *notifier_refuse_url(const char *url);

#endif
