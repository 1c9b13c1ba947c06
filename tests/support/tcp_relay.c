/* Pairs of sockets, and two buffers each. */
#include "tcp_relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 32, CHUNK = 64 * 1024 };

enum cut { CUT_NOTHING, CUT_ORDERLY, CUT_RESET };

struct stream {
    char data[CHUNK];
    size_t start;
    size_t end;
};

struct pair {
    int ends[2];              /* the client's, the server's */
    struct stream streams[2]; /* [i]: read from ends[i] */
};

struct tcp_relay {
    int listener;
    int wake;
    pthread_t thread;
    atomic_bool stop;
    atomic_bool is_frozen;
    atomic_uint target;
    atomic_int cut;
    struct pair *pairs[PAIRS];
    size_t count;
};

static void must_be(bool condition, const char *what)
{
    if (!condition) {
        perror(what);
        abort();
    }
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void end_pair(struct tcp_relay *r, size_t index, bool with_reset)
{
    struct pair *p = r->pairs[index];
    const struct linger hard = {1, 0};
    for (int i = 0; i < 2; i++) {
        if (with_reset) {
            (void)setsockopt(p->ends[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        (void)close(p->ends[i]);
    }
    free(p);
    r->pairs[index] = r->pairs[--r->count];
}

static void accept_one(struct tcp_relay *r)
{
    int client = accept4(r->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    uint16_t port = (uint16_t)atomic_load(&r->target);
    struct sockaddr_in address = loopback(port);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_usable = client >= 0 && server >= 0 && port != 0 && r->count < PAIRS &&
                     connect(server, (struct sockaddr *)&address, sizeof address) == 0;
    struct pair *p = is_usable ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        (void)close(client);
        (void)close(server);
        return;
    }
    p->ends[0] = client;
    p->ends[1] = server;
    r->pairs[r->count++] = p;
}

static bool would_block(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Moves what it can from one end to the other; false: the connection is over. */
static bool pump(struct pair *p, int from, bool may_read, bool may_write)
{
    struct stream *s = &p->streams[from];
    if (may_read && s->start == s->end) {
        ssize_t n = recv(p->ends[from], s->data, CHUNK, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && !would_block(n))) {
            return false;
        }
        s->start = 0;
        s->end = n > 0 ? (size_t)n : 0;
        may_write = true;
    }
    if (may_write && s->start < s->end) {
        ssize_t n = send(p->ends[!from], s->data + s->start, s->end - s->start,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && !would_block(n)) {
            return false;
        }
        s->start += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static short wanted(const struct pair *p, int end)
{
    bool reads = p->streams[end].start == p->streams[end].end;
    bool writes = p->streams[!end].start < p->streams[!end].end;
    return (short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));
}

static void turn(struct tcp_relay *r)
{
    struct pollfd sources[2 + 2 * PAIRS] = {{r->wake, POLLIN, 0}, {r->listener, POLLIN, 0}};
    size_t count = atomic_load(&r->is_frozen) ? 0 : r->count;
    for (size_t i = 0; i < 2 * count; i++) {
        const struct pair *p = r->pairs[i / 2];
        sources[2 + i] = (struct pollfd){p->ends[i % 2], wanted(p, (int)(i % 2)), 0};
    }
    (void)poll(sources, atomic_load(&r->is_frozen) ? 1 : 2 + 2 * count, -1);
    eventfd_t ignored;
    (void)eventfd_read(r->wake, &ignored);
    enum cut cut = (enum cut)atomic_exchange(&r->cut, CUT_NOTHING);
    while (cut != CUT_NOTHING && r->count > 0) {
        end_pair(r, 0, cut == CUT_RESET);
    }
    if (cut != CUT_NOTHING || atomic_load(&r->is_frozen)) {
        return;
    }
    for (size_t i = count; i-- > 0;) {
        short client = sources[2 + 2 * i].revents;
        short server = sources[3 + 2 * i].revents;
        bool ok = pump(r->pairs[i], 0, client & ~POLLOUT, server & POLLOUT) &&
                  pump(r->pairs[i], 1, server & ~POLLOUT, client & POLLOUT);
        if (!ok) {
            end_pair(r, i, false);
        }
    }
    if (sources[1].revents) {
        accept_one(r);
    }
}

static void *serve(void *user)
{
    struct tcp_relay *r = user;
    while (!atomic_load(&r->stop)) {
        turn(r);
    }
    return NULL;
}

struct tcp_relay *tcp_relay_start(uint16_t *out_port)
{
    struct tcp_relay *r = calloc(1, sizeof *r);
    must_be(r != NULL, "relay");
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    must_be(r->wake >= 0 && r->listener >= 0 &&
                bind(r->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
                listen(r->listener, PAIRS) == 0 &&
                getsockname(r->listener, (struct sockaddr *)&address, &size) == 0 &&
                pthread_create(&r->thread, NULL, serve, r) == 0,
            "relay");
    *out_port = ntohs(address.sin_port);
    return r;
}

static void wake(struct tcp_relay *r)
{
    (void)eventfd_write(r->wake, 1);
}

void tcp_relay_stop(struct tcp_relay *r)
{
    if (!r) {
        return;
    }
    atomic_store(&r->stop, true);
    wake(r);
    (void)pthread_join(r->thread, NULL);
    while (r->count > 0) {
        end_pair(r, 0, false);
    }
    (void)close(r->listener);
    (void)close(r->wake);
    free(r);
}

void tcp_relay_set_target(struct tcp_relay *r, uint16_t port)
{
    atomic_store(&r->target, port);
}

void tcp_relay_cut(struct tcp_relay *r, bool with_reset)
{
    atomic_store(&r->cut, with_reset ? CUT_RESET : CUT_ORDERLY);
    wake(r);
}

void tcp_relay_freeze(struct tcp_relay *r, bool is_frozen)
{
    atomic_store(&r->is_frozen, is_frozen);
    wake(r);
}
