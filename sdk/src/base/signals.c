/* See signals.h. */
#include "signals.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

int marline__thread_start(pthread_t *thread, void *(*run)(void *), void *user)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(thread, NULL, run, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

static bool sigpipe_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void only_sigpipe(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

void marline__sigpipe_hold(struct sigpipe_hold *hold)
{
    sigset_t set;
    only_sigpipe(&set);
    hold->was_pending = sigpipe_pending();
    pthread_sigmask(SIG_BLOCK, &set, &hold->mask_before);
}

void marline__sigpipe_release(const struct sigpipe_hold *hold)
{
    int kept = errno;
    if (!hold->was_pending && sigpipe_pending()) {
        const struct timespec at_once = {0, 0};
        sigset_t set;
        only_sigpipe(&set);
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &hold->mask_before, NULL);
    errno = kept;
}
