/* Takes signals on a thread of its own. */
#include "programs/signal_watch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "programs/logger.h"

void signal_watch_block(struct signal_watch *w)
{
    *w = (struct signal_watch){.signal_fd = -1, .stop_fd = -1};
    (void)sigemptyset(&w->signals);
    (void)sigaddset(&w->signals, SIGTERM);
    (void)sigaddset(&w->signals, SIGINT);
    (void)sigaddset(&w->signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &w->signals, NULL);
}

static void *watch(void *argument)
{
    struct signal_watch *w = argument;
    struct pollfd ends[] = {{w->signal_fd, POLLIN, 0}, {w->stop_fd, POLLIN, 0}};
    while (!ends[1].revents) {
        struct signalfd_siginfo info;
        if (poll(ends, 2, -1) > 0 && ends[0].revents &&
            read(w->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
            w->on_signal(w->user, (int)info.ssi_signo);
        }
    }
    return NULL;
}

bool signal_watch_start(struct signal_watch *w, void (*on_signal)(void *user, int signal_number),
                        void *user, struct failure *f)
{
    w->on_signal = on_signal;
    w->user = user;
    w->signal_fd = signalfd(-1, &w->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int error = w->signal_fd < 0 || w->stop_fd < 0 ? errno : 0;
    error = error ? error : pthread_create(&w->thread, NULL, watch, w);
    if (error) {
        int fds[] = {w->signal_fd, w->stop_fd};
        for (size_t i = 0; i < 2; i++) {
            if (fds[i] >= 0) {
                (void)close(fds[i]);
            }
        }
        w->signal_fd = w->stop_fd = -1;
        return failure_set(f, EXIT_CODE_INTERNAL, "cannot watch for signals: %s", strerror(error));
    }
    return true;
}

void signal_watch_stop(struct signal_watch *w)
{
    if (w->stop_fd >= 0) {
        if (eventfd_write(w->stop_fd, 1)) {
            logger_write(LOG_ERROR, "cannot stop the signal watch: %s", strerror(errno));
        }
        (void)pthread_join(w->thread, NULL);
        (void)close(w->stop_fd);
        (void)close(w->signal_fd);
        w->stop_fd = w->signal_fd = -1;
    }
    (void)pthread_sigmask(SIG_UNBLOCK, &w->signals, NULL);
}
