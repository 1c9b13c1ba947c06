/* A relay that replaces a text. */
#include "lying_relay.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS_MAX = 64, CHUNK = 16384, TEXT_MAX = 128 };

struct pair {
    int client; /* -1 = no connection */
    int server;
    char held[TEXT_MAX]; /* the end of what the server said: it may be the beginning of the text */
    size_t held_size;
};

struct lying_relay {
    int listener;
    int stop;
    uint16_t server_port;
    const char *truth;
    const char *lie;
    atomic_uint lies;
    pthread_t thread;
    struct pair pairs[PAIRS_MAX];
};

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static bool send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

static void close_pair(struct pair *p)
{
    (void)close(p->client);
    (void)close(p->server);
    p->client = -1;
    p->held_size = 0;
}

static void accept_one(struct lying_relay *r)
{
    int on = 1;
    int client = accept(r->listener, NULL, NULL);
    for (size_t i = 0; client >= 0 && i < PAIRS_MAX; i++) {
        struct pair *p = &r->pairs[i];
        if (p->client >= 0) {
            continue;
        }
        struct sockaddr_in address = loopback(r->server_port);
        p->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        p->client = client;
        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        (void)setsockopt(p->server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (connect(p->server, (struct sockaddr *)&address, sizeof address) != 0) {
            close_pair(p);
        }
        return;
    }
    if (client >= 0) {
        (void)close(client);
    }
}

static bool pass_on(int from, int to)
{
    char data[CHUNK];
    ssize_t n = recv(from, data, sizeof data, 0);
    return n > 0 && send_all(to, data, (size_t)n);
}

/* The longest end of the data that may be the beginning of the text. */
static size_t doubtful_end(const char *data, size_t size, const char *text)
{
    size_t length = strlen(text);
    for (size_t n = length - 1; n > 0; n--) {
        if (n <= size && memcmp(data + size - n, text, n) == 0) {
            return n;
        }
    }
    return 0;
}

static bool pass_on_lying(struct lying_relay *r, struct pair *p)
{
    char data[TEXT_MAX + CHUNK];
    size_t length = strlen(r->truth);
    memcpy(data, p->held, p->held_size);
    ssize_t n = recv(p->server, data + p->held_size, CHUNK, 0);
    if (n <= 0) {
        return false;
    }
    size_t size = p->held_size + (size_t)n;
    for (char *at = data; (at = memmem(at, size - (size_t)(at - data), r->truth, length)) != NULL;
         at += length) {
        memcpy(at, r->lie, length);
        atomic_fetch_add(&r->lies, 1);
    }
    p->held_size = doubtful_end(data, size, r->truth);
    memcpy(p->held, data + size - p->held_size, p->held_size);
    return send_all(p->client, data, size - p->held_size);
}

static void *relay(void *user)
{
    struct lying_relay *r = user;
    for (;;) {
        struct pollfd fds[2 + 2 * PAIRS_MAX];
        fds[0] = (struct pollfd){r->stop, POLLIN, 0};
        fds[1] = (struct pollfd){r->listener, POLLIN, 0};
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            bool is_open = r->pairs[i].client >= 0;
            fds[2 + 2 * i] = (struct pollfd){is_open ? r->pairs[i].client : -1, POLLIN, 0};
            fds[3 + 2 * i] = (struct pollfd){is_open ? r->pairs[i].server : -1, POLLIN, 0};
        }
        if (poll(fds, 2 + 2 * PAIRS_MAX, -1) < 0 || fds[0].revents) {
            return NULL;
        }
        for (size_t i = 0; i < PAIRS_MAX; i++) {
            struct pair *p = &r->pairs[i];
            if ((fds[2 + 2 * i].revents && !pass_on(p->client, p->server)) ||
                (fds[3 + 2 * i].revents && !pass_on_lying(r, p))) {
                close_pair(p);
            }
        }
        if (fds[1].revents) {
            accept_one(r);
        }
    }
}

struct lying_relay *lying_relay_start(uint16_t server_port, const char *truth, const char *lie)
{
    assert(strlen(truth) == strlen(lie) && strlen(truth) < TEXT_MAX);
    struct lying_relay *r = calloc(1, sizeof *r);
    struct sockaddr_in any = loopback(0);
    if (!r) {
        abort();
    }
    r->server_port = server_port;
    r->truth = truth;
    r->lie = lie;
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        r->pairs[i].client = -1;
    }
    r->stop = eventfd(0, EFD_CLOEXEC);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(r->listener, (struct sockaddr *)&any, sizeof any) != 0 ||
        listen(r->listener, PAIRS_MAX) != 0 || pthread_create(&r->thread, NULL, relay, r) != 0) {
        abort();
    }
    return r;
}

uint16_t lying_relay_port(const struct lying_relay *relay)
{
    struct sockaddr_in a;
    socklen_t size = sizeof a;
    return getsockname(relay->listener, (struct sockaddr *)&a, &size) == 0 ? ntohs(a.sin_port) : 0;
}

unsigned lying_relay_lies(const struct lying_relay *relay)
{
    return atomic_load(&relay->lies);
}

void lying_relay_stop(struct lying_relay *relay)
{
    (void)eventfd_write(relay->stop, 1);
    (void)pthread_join(relay->thread, NULL);
    for (size_t i = 0; i < PAIRS_MAX; i++) {
        if (relay->pairs[i].client >= 0) {
            close_pair(&relay->pairs[i]);
        }
    }
    (void)close(relay->listener);
    (void)close(relay->stop);
    free(relay);
}
