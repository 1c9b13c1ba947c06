/* One poll loop over a listener and its connections. */
#include "step_server.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CONNECTIONS = 1024, STEP_SIZE = 64 };

struct step_server {
    struct step_events events;
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int listener;
    int wake;
    atomic_bool stop;
    pthread_t thread;
    struct connection {
        int socket;
        pid_t process;
        bool is_held;
    } connections[CONNECTIONS];
    size_t count;
};

static void must_be(bool condition, const char *what)
{
    if (!condition) {
        perror(what);
        abort();
    }
}

static void let_go(struct connection *c)
{
    c->is_held = false;
    (void)send(c->socket, "", 1, MSG_NOSIGNAL); /* the process may be dead */
}

void step_server_release(struct step_server *s)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->connections[i].is_held) {
            let_go(&s->connections[i]);
        }
    }
}

static void accept_one(struct step_server *s)
{
    int socket = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    if (socket < 0) {
        return;
    }
    (void)getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    must_be(s->count < CONNECTIONS, "too many threads at steps");
    s->connections[s->count++] = (struct connection){socket, peer.pid, false};
}

/* False: the thread or its process is gone. */
static bool read_one(struct step_server *s, struct connection *c)
{
    char step[STEP_SIZE];
    ssize_t size = recv(c->socket, step, sizeof step - 1, MSG_DONTWAIT);
    if (size <= 0) {
        return false;
    }
    step[size] = '\0';
    c->is_held = true;
    if (s->events.reached(s->events.user, c->process, step)) {
        let_go(c);
    }
    return true;
}

static void *serve(void *user)
{
    struct step_server *s = user;
    while (!atomic_load(&s->stop)) {
        struct pollfd sources[CONNECTIONS + 2];
        size_t count = s->count;
        sources[0] = (struct pollfd){s->listener, POLLIN, 0};
        sources[1] = (struct pollfd){s->wake, POLLIN, 0};
        for (size_t i = 0; i < count; i++) {
            sources[i + 2] = (struct pollfd){s->connections[i].socket, POLLIN, 0};
        }
        (void)poll(sources, count + 2, s->events.tick(s->events.user));
        eventfd_t ignored;
        (void)eventfd_read(s->wake, &ignored);
        for (size_t i = count; i-- > 0;) {
            if (sources[i + 2].revents && !read_one(s, &s->connections[i])) {
                (void)close(s->connections[i].socket);
                s->connections[i] = s->connections[--s->count];
            }
        }
        if (sources[0].revents) {
            accept_one(s);
        }
    }
    return NULL;
}

struct step_server *step_server_start(const char *path, const struct step_events *events)
{
    struct step_server *s = calloc(1, sizeof *s);
    must_be(s != NULL, "step server");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    s->events = *events;
    (void)snprintf(s->path, sizeof s->path, "%s", path);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    must_be(s->listener >= 0 && s->wake >= 0 &&
                bind(s->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                listen(s->listener, CONNECTIONS) == 0,
            path);
    must_be(pthread_create(&s->thread, NULL, serve, s) == 0, "thread");
    return s;
}

void step_server_wake(struct step_server *s)
{
    (void)eventfd_write(s->wake, 1);
}

void step_server_stop(struct step_server *s)
{
    if (!s) {
        return;
    }
    atomic_store(&s->stop, true);
    step_server_wake(s);
    (void)pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->count; i++) {
        (void)close(s->connections[i].socket);
    }
    (void)close(s->listener);
    (void)close(s->wake);
    (void)unlink(s->path);
    free(s);
}

void step_reach(const char *path, const char *step)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char go;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (s >= 0 && connect(s, (struct sockaddr *)&address, sizeof address) == 0 &&
        send(s, step, strlen(step), MSG_NOSIGNAL) > 0) {
        (void)recv(s, &go, 1, 0);
    }
    if (s >= 0) {
        (void)close(s);
    }
}
