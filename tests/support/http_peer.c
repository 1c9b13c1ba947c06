#include "http_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUESTS_MAX = 1024,
    WAIT_S = 20,
    CHUNK = 16384,
    TRICKLE_MS = 2,
    TRICKLE_ENDLESS = 1000000000
};

struct request {
    char *head;
    char *body;
    size_t body_size;
};

struct http_peer {
    const struct http_peer_step *script;
    size_t step_count;
    int listener;
    int stop_event;
    char url[64];
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct request requests[REQUESTS_MAX];
    size_t request_count;
    size_t connection_count;
};

static void must(bool condition, const char *what)
{
    if (!condition) {
        perror(what);
        abort();
    }
}

/* False when stopped. */
static bool wait_readable(const struct http_peer *peer, int fd)
{
    struct pollfd polls[] = {{peer->stop_event, POLLIN, 0}, {fd, POLLIN, 0}};
    while (poll(polls, 2, -1) < 0) {
        must(errno == EINTR, "poll");
    }
    return polls[0].revents == 0;
}

struct incoming {
    char *data;
    size_t size;
    size_t capacity;
};

static bool read_more(const struct http_peer *peer, int fd, struct incoming *in)
{
    if (!wait_readable(peer, fd)) {
        return false;
    }
    if (in->capacity - in->size < CHUNK) {
        in->capacity = 2 * in->capacity + 2 * CHUNK;
        in->data = realloc(in->data, in->capacity);
        must(in->data, "realloc");
    }
    ssize_t n = read(fd, in->data + in->size, CHUNK - 1);
    if (n <= 0) {
        in->data[in->size] = '\0';
        return false;
    }
    in->size += (size_t)n;
    in->data[in->size] = '\0';
    return true;
}

static size_t content_length(const char *head)
{
    const char *line = strcasestr(head, "\r\nContent-Length:");
    return line ? strtoul(line + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

static void keep(struct http_peer *peer, char *head, char *body, size_t body_size)
{
    pthread_mutex_lock(&peer->mutex);
    must(peer->request_count < REQUESTS_MAX, "too many requests for http_peer");
    peer->requests[peer->request_count++] = (struct request){head, body, body_size};
    pthread_cond_broadcast(&peer->changed);
    pthread_mutex_unlock(&peer->mutex);
}

/* Reads one request and keeps it; what follows it stays in `in`. */
static bool read_request(struct http_peer *peer, int fd, struct incoming *in)
{
    char *end = NULL;
    while (!in->data || !(end = strstr(in->data, "\r\n\r\n"))) {
        if (!read_more(peer, fd, in)) {
            return false;
        }
    }
    size_t head_size = (size_t)(end - in->data);
    char *head = strndup(in->data, head_size);
    must(head, "strndup");
    size_t body_size = content_length(head);
    size_t total = head_size + 4 + body_size;
    while (in->size < total) {
        if (!read_more(peer, fd, in)) {
            free(head);
            return false;
        }
    }
    char *body = malloc(body_size + 1);
    must(body, "malloc");
    memcpy(body, in->data + head_size + 4, body_size);
    body[body_size] = '\0';
    memmove(in->data, in->data + total, in->size - total + 1);
    in->size -= total;
    keep(peer, head, body, body_size);
    return true;
}

static void send_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the client went away: its own test notices */
        }
        data += n;
        size -= (size_t)n;
    }
}

static void answer(int fd, const struct http_peer_step *step)
{
    const char *body = step->body ? step->body : "";
    char *text = NULL;
    int size = asprintf(&text, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n%s\r\n%s",
                        step->status, strlen(body), step->headers ? step->headers : "", body);
    must(size > 0, "asprintf");
    send_all(fd, text, (size_t)size);
    free(text);
}

/* True when stopped. */
static bool pause_a_little(const struct http_peer *peer)
{
    struct pollfd stop = {peer->stop_event, POLLIN, 0};
    return poll(&stop, 1, TRICKLE_MS) > 0;
}

static void trickle(const struct http_peer *peer, int fd, const struct http_peer_step *step)
{
    size_t size = step->body ? strlen(step->body) : TRICKLE_ENDLESS;
    char head[256];
    int head_size =
        snprintf(head, sizeof head, "HTTP/1.1 %d Scripted\r\nContent-Length: %zu\r\n%s\r\n",
                 step->status, size, step->headers ? step->headers : "");
    must(head_size > 0 && (size_t)head_size < sizeof head, "head");
    send_all(fd, head, (size_t)head_size);
    for (size_t i = 0; i < size && !pause_a_little(peer); i++) {
        if (send(fd, step->body ? &step->body[i] : " ", 1, MSG_NOSIGNAL) != 1) {
            return;
        }
    }
}

static void serve(struct http_peer *peer, int fd)
{
    struct incoming in = {NULL, 0, 0};
    while (read_request(peer, fd, &in)) {
        size_t index = peer->request_count - 1; /* only this thread writes it */
        const struct http_peer_step *step =
            &peer->script[index < peer->step_count ? index : peer->step_count - 1];
        if (step->action == HTTP_PEER_ANSWER) {
            answer(fd, step);
            continue;
        }
        if (step->action == HTTP_PEER_TRICKLE) {
            trickle(peer, fd, step);
            continue;
        }
        if (step->action == HTTP_PEER_RAW) {
            send_all(fd, step->body, strlen(step->body));
        }
        if (step->action == HTTP_PEER_HANG) {
            while (read_more(peer, fd, &in)) {
            }
        }
        break;
    }
    free(in.data);
}

static void *run(void *user)
{
    struct http_peer *peer = user;
    while (wait_readable(peer, peer->listener)) {
        int fd = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            continue;
        }
        pthread_mutex_lock(&peer->mutex);
        peer->connection_count++;
        pthread_mutex_unlock(&peer->mutex);
        serve(peer, fd);
        close(fd);
    }
    return NULL;
}

struct http_peer *http_peer_start(const struct http_peer_step *script, size_t count)
{
    struct http_peer *peer = calloc(1, sizeof *peer);
    must(peer && count > 0, "http_peer");
    peer->script = script;
    peer->step_count = count;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    peer->stop_event = eventfd(0, EFD_CLOEXEC);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    must(peer->listener >= 0 && peer->stop_event >= 0, "socket");
    must(bind(peer->listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(peer->listener, 16) == 0, "listen");
    must(getsockname(peer->listener, (struct sockaddr *)&address, &size) == 0, "getsockname");
    (void)snprintf(peer->url, sizeof peer->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    pthread_mutex_init(&peer->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&peer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    must(pthread_create(&peer->thread, NULL, run, peer) == 0, "pthread_create");
    return peer;
}

void http_peer_stop(struct http_peer *peer)
{
    uint64_t one = 1;
    must(write(peer->stop_event, &one, sizeof one) == sizeof one, "eventfd");
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    close(peer->stop_event);
    for (size_t i = 0; i < peer->request_count; i++) {
        free(peer->requests[i].head);
        free(peer->requests[i].body);
    }
    pthread_cond_destroy(&peer->changed);
    pthread_mutex_destroy(&peer->mutex);
    free(peer);
}

const char *http_peer_url(const struct http_peer *peer)
{
    return peer->url;
}

bool http_peer_wait(struct http_peer *peer, size_t count)
{
    struct timespec deadline;
    must(clock_gettime(CLOCK_MONOTONIC, &deadline) == 0, "clock");
    deadline.tv_sec += WAIT_S;
    int code = 0;
    pthread_mutex_lock(&peer->mutex);
    while (peer->request_count < count && code == 0) {
        code = pthread_cond_timedwait(&peer->changed, &peer->mutex, &deadline);
    }
    bool reached = peer->request_count >= count;
    pthread_mutex_unlock(&peer->mutex);
    return reached;
}

size_t http_peer_request_count(struct http_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    size_t count = peer->request_count;
    pthread_mutex_unlock(&peer->mutex);
    return count;
}

size_t http_peer_connection_count(struct http_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    size_t count = peer->connection_count;
    pthread_mutex_unlock(&peer->mutex);
    return count;
}

const char *http_peer_head(struct http_peer *peer, size_t index)
{
    pthread_mutex_lock(&peer->mutex);
    const char *head = index < peer->request_count ? peer->requests[index].head : "";
    pthread_mutex_unlock(&peer->mutex);
    return head;
}

const char *http_peer_body(struct http_peer *peer, size_t index)
{
    pthread_mutex_lock(&peer->mutex);
    const char *body = index < peer->request_count ? peer->requests[index].body : "";
    pthread_mutex_unlock(&peer->mutex);
    return body;
}

size_t http_peer_body_size(struct http_peer *peer, size_t index)
{
    pthread_mutex_lock(&peer->mutex);
    size_t size = index < peer->request_count ? peer->requests[index].body_size : 0;
    pthread_mutex_unlock(&peer->mutex);
    return size;
}
