/* One epoll set: the listening socket, an eventfd to stop, and the pending connections (edge
 * triggered, since peeking leaves the bytes where they are). */
#include "http/listener.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "core/alloc.h"

enum {
    BACKLOG = 1024,
    EVENTS_PER_WAIT = 64,
    /* Out of descriptors or memory: the connection stays in the backlog; look again later. */
    ACCEPT_PAUSE_MS = 100,
};

struct pending {
    struct list node; /* in order of arrival, which is the order of deadlines */
    int socket;
    uint64_t deadline_ns;
    struct sockaddr_storage address;
    socklen_t address_size;
};

struct listener {
    int listening;
    int stop_event;
    int epoll;
    bool started;
    bool paused; /* the listening socket is out of the epoll set */
    pthread_t thread;
    struct sockaddr_storage address;
    struct listener_targets targets;
    struct list pending;
    size_t pending_count;
};

/* ---- the choice ---- */

static const char websocket_path[] = "GET /connector/ws";

/* Looks for "Upgrade: …websocket" among the header lines. */
static bool has_upgrade_header(const char *head, size_t size)
{
    static const char name[] = "\nupgrade:";
    const char *end = head + size;
    for (const char *at = head; at + sizeof(name) - 1 < end; at++) {
        if (strncasecmp(at, name, sizeof(name) - 1) != 0) {
            continue;
        }
        static const char value[] = "websocket";
        for (at += sizeof(name) - 1; at + sizeof(value) - 1 <= end && *at != '\n'; at++) {
            if (strncasecmp(at, value, sizeof(value) - 1) == 0) {
                return true;
            }
        }
        return false;
    }
    return false;
}

static bool is_websocket_path(const char *head, size_t size)
{
    size_t n = sizeof(websocket_path) - 1;
    if (size <= n) {
        return false;
    }
    if (head[n] == '/') {
        n++;
    }
    return n < size && (head[n] == ' ' || head[n] == '?');
}

enum listener_choice listener_choose(const char *head, size_t size)
{
    size_t n = sizeof(websocket_path) - 1;
    if (size == 0) {
        return LISTENER_MORE;
    }
    if (memcmp(head, websocket_path, size < n ? size : n) != 0) {
        return LISTENER_HTTP;
    }
    if (memmem(head, size, "\r\n\r\n", 4)) {
        return is_websocket_path(head, size) && has_upgrade_header(head, size) ? LISTENER_WEBSOCKET
                                                                               : LISTENER_HTTP;
    }
    return size < LISTENER_PEEK_MAX ? LISTENER_MORE : LISTENER_HTTP;
}

/* ---- pending connections ---- */

static void forget(struct listener *l, struct pending *p)
{
    marline__list_remove(&p->node);
    l->pending_count--;
    marline__memory_free(p);
}

static void drop(struct listener *l, struct pending *p)
{
    (void)close(p->socket);
    forget(l, p);
}

static void hand_over(struct listener *l, struct pending *p, enum listener_choice choice)
{
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, p->socket, NULL);
    if (choice == LISTENER_WEBSOCKET) {
        l->targets.websocket(l->targets.user, p->socket);
    } else {
        l->targets.http(l->targets.user, p->socket, (const struct sockaddr *)&p->address,
                        p->address_size);
    }
    forget(l, p);
}

static void look_at(struct listener *l, struct pending *p)
{
    char head[LISTENER_PEEK_MAX];
    ssize_t n = recv(p->socket, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        drop(l, p);
        return;
    }
    enum listener_choice choice = listener_choose(head, (size_t)n);
    if (choice != LISTENER_MORE) {
        hand_over(l, p, choice);
    }
}

static struct pending *oldest(struct listener *l)
{
    return marline__list_is_empty(&l->pending) ? NULL
                                               : LIST_ENTRY(l->pending.next, struct pending, node);
}

static void drop_late(struct listener *l, uint64_t now_ns)
{
    for (struct pending *p; (p = oldest(l)) && p->deadline_ns <= now_ns;) {
        drop(l, p);
    }
}

/* ---- accepting ---- */

static void watch(struct listener *l, int fd, void *tag, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = tag};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        marline__log(LOG_ERROR, "listener: cannot watch a socket: errno %d", errno);
    }
}

static void pause_accepting(struct listener *l)
{
    (void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, l->listening, NULL);
    l->paused = true;
    marline__log(LOG_WARN, "listener: out of descriptors or memory (errno %d), connections wait",
                 errno);
}

static void resume_accepting(struct listener *l)
{
    if (l->paused) {
        l->paused = false;
        watch(l, l->listening, &l->listening, EPOLLIN);
    }
}

/* Out of descriptors: whoever has said nothing for longest goes first. False when nobody is left.
 */
static bool make_room(struct listener *l)
{
    if (l->pending_count == 0) {
        pause_accepting(l);
        return false;
    }
    drop(l, oldest(l));
    return true;
}

/* False when there is nothing more to accept now. */
static bool accept_one(struct listener *l, uint64_t now_ns)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    int fd =
        accept4(l->listening, (struct sockaddr *)&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return make_room(l);
        }
        return errno == ECONNABORTED || errno == EINTR;
    }
    if (l->pending_count >= LISTENER_PENDING_MAX) {
        drop(l, oldest(l));
    }
    struct pending *p = alloc_zeroed(sizeof(*p));
    p->socket = fd;
    p->address = address;
    p->address_size = size;
    p->deadline_ns = now_ns + LISTENER_HEAD_TIMEOUT_MS * NS_PER_MS;
    marline__list_push_back(&l->pending, &p->node);
    l->pending_count++;
    watch(l, fd, p, EPOLLIN | EPOLLRDHUP | EPOLLET);
    return true;
}

static int wait_ms(struct listener *l, uint64_t now_ns)
{
    const struct pending *p = oldest(l);
    int ms = l->paused ? ACCEPT_PAUSE_MS : -1;
    if (p) {
        uint64_t left = p->deadline_ns > now_ns ? (p->deadline_ns - now_ns) / NS_PER_MS + 1 : 0;
        if (ms < 0 || left < (uint64_t)ms) {
            ms = (int)left;
        }
    }
    return ms;
}

/* Pending connections first: accepting may drop one that a later event of the same wait names. */
static bool handle_events(struct listener *l, struct epoll_event *events, int count)
{
    bool acceptable = false;
    for (int i = 0; i < count; i++) {
        void *tag = events[i].data.ptr;
        if (tag == &l->stop_event) {
            return false;
        }
        if (tag == &l->listening) {
            acceptable = true;
        } else {
            look_at(l, tag);
        }
    }
    uint64_t now_ns = marline__clock_monotonic_ns(marline__clock_system());
    for (int i = 0; acceptable && i < BACKLOG && accept_one(l, now_ns); i++) {
    }
    drop_late(l, now_ns);
    return true;
}

static void *run(void *user)
{
    struct listener *l = user;
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        uint64_t now_ns = marline__clock_monotonic_ns(marline__clock_system());
        int n = epoll_wait(l->epoll, events, EVENTS_PER_WAIT, wait_ms(l, now_ns));
        if (n < 0 && errno != EINTR) {
            marline__log(LOG_ERROR, "listener: epoll_wait failed: errno %d", errno);
            return NULL;
        }
        resume_accepting(l);
        if (!handle_events(l, events, n)) {
            return NULL;
        }
    }
}

/* ---- opening ---- */

/* Splits "HOST:PORT" or "[HOST]:PORT"; false when it is neither. */
static bool split_address(const char *address, char host[256], char port[8])
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || strlen(colon + 1) == 0 || strlen(colon + 1) > 5) {
        return false;
    }
    const char *begin = address;
    const char *end = colon;
    if (*begin == '[') {
        begin++;
        end--;
        if (end <= begin || *end != ']') {
            return false;
        }
    } else if (memchr(begin, ':', (size_t)(end - begin))) {
        return false;
    }
    if (end - begin >= 256 || strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return false;
    }
    (void)snprintf(host, 256, "%.*s", (int)(end - begin), begin);
    (void)snprintf(port, 8, "%s", colon + 1);
    return true;
}

static void explain_bind_error(const char *address, char error[LISTENER_ERROR_SIZE])
{
    switch (errno) {
    case EADDRINUSE:
        (void)snprintf(error, LISTENER_ERROR_SIZE,
                       "%.100s is in use by another program: stop it, or choose another port "
                       "(--listen 127.0.0.1:0 takes a free one)",
                       address);
        break;
    case EACCES:
        (void)snprintf(error, LISTENER_ERROR_SIZE,
                       "no permission to listen on %.100s: choose a port above 1023", address);
        break;
    case EADDRNOTAVAIL:
        (void)snprintf(error, LISTENER_ERROR_SIZE,
                       "%.100s is no address of this machine: 127.0.0.1 is for this machine only, "
                       "0.0.0.0 for all",
                       address);
        break;
    default:
        (void)snprintf(error, LISTENER_ERROR_SIZE, "cannot listen on %.100s: %s", address,
                       strerrordesc_np(errno));
    }
}

static int bind_and_listen(const char *address, char error[LISTENER_ERROR_SIZE])
{
    char host[256];
    char port[8];
    if (!split_address(address, host, port) || strtoul(port, NULL, 10) > 65535) {
        (void)snprintf(error, LISTENER_ERROR_SIZE,
                       "'%.100s' is no address: write HOST:PORT, such as 127.0.0.1:8080", address);
        return -1;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        (void)snprintf(error, LISTENER_ERROR_SIZE, "cannot resolve '%.100s': %s", host,
                       gai_strerror(rc));
        return -1;
    }
    int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
    if (!ok) {
        explain_bind_error(address, error);
        if (fd >= 0) {
            (void)close(fd);
        }
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

struct listener *listener_open(const char *address, char error[LISTENER_ERROR_SIZE])
{
    int fd = bind_and_listen(address, error);
    if (fd < 0) {
        return NULL;
    }
    struct listener *l = alloc_zeroed(sizeof(*l));
    l->listening = fd;
    marline__list_init(&l->pending);
    socklen_t size = sizeof(l->address);
    l->stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->stop_event < 0 || l->epoll < 0 ||
        getsockname(fd, (struct sockaddr *)&l->address, &size) != 0) {
        (void)snprintf(error, LISTENER_ERROR_SIZE, "out of descriptors: raise 'ulimit -n'");
        listener_close(l);
        return NULL;
    }
    watch(l, l->stop_event, &l->stop_event, EPOLLIN);
    watch(l, l->listening, &l->listening, EPOLLIN);
    return l;
}

bool listener_start(struct listener *l, const struct listener_targets *targets)
{
    l->targets = *targets;
    l->started = pthread_create(&l->thread, NULL, run, l) == 0;
    return l->started;
}

void listener_stop(struct listener *l)
{
    if (!l->started) {
        return;
    }
    uint64_t one = 1;
    (void)!write(l->stop_event, &one, sizeof(one));
    (void)pthread_join(l->thread, NULL);
    l->started = false;
    LIST_EACH(&l->pending, node)
    {
        drop(l, LIST_ENTRY(node, struct pending, node));
    }
    (void)close(l->listening);
    l->listening = -1;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void listener_close(struct listener *l)
{
    if (!l) {
        return;
    }
    listener_stop(l);
    close_if_open(l->listening);
    close_if_open(l->stop_event);
    close_if_open(l->epoll);
    marline__memory_free(l);
}

uint16_t listener_port(const struct listener *l)
{
    return l->address.ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)&l->address)->sin6_port)
               : ntohs(((const struct sockaddr_in *)&l->address)->sin_port);
}

bool listener_is_loopback(const struct listener *l)
{
    if (l->address.ss_family == AF_INET6) {
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&l->address)->sin6_addr);
    }
    uint32_t ip = ntohl(((const struct sockaddr_in *)&l->address)->sin_addr.s_addr);
    return ip >> 24 == 127;
}
