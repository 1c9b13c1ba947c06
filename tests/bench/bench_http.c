/* See bench_http.h. */
#include "bench_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 65536 };

static void give_up(const char *what)
{
    perror(what);
    exit(1);
}

int bench_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        give_up("connect");
    }
    return fd;
}

size_t bench_http_answer_size(const struct buffer *in)
{
    static const char name[] = "\nContent-Length:";
    const char *end = in->size ? memmem(in->data, in->size, "\r\n\r\n", 4) : NULL;
    if (!end) {
        return 0;
    }
    for (const char *at = in->data; at < end; at++) {
        if (*at == '\n' && strncasecmp(at, name, sizeof name - 1) == 0) {
            return (size_t)(end - in->data) + 4 + strtoul(at + sizeof name - 1, NULL, 10);
        }
    }
    return (size_t)(end - in->data) + 4;
}

void bench_http_head(struct buffer *out, const char *method, const char *path, const char *key,
                     const char *content_type, size_t body_size)
{
    marline__buffer_append_format(out,
                                  "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                  "Authorization: Bearer %s\r\nContent-Type: %s\r\n"
                                  "Content-Length: %zu\r\n\r\n",
                                  method, path, key, content_type, body_size);
}

void bench_http_open(struct bench_http *h, uint16_t port, const char *key)
{
    *h = (struct bench_http){.socket = bench_connect(port), .answer = BUFFER_INIT};
    (void)snprintf(h->key, sizeof h->key, "%s", key);
}

void bench_http_close(struct bench_http *h)
{
    (void)close(h->socket);
    marline__buffer_deinit(&h->answer);
}

static void send_all(int socket, struct slice bytes)
{
    while (bytes.size > 0) {
        ssize_t n = send(socket, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (n <= 0) {
            give_up("send");
        }
        bytes.data += n;
        bytes.size -= (size_t)n;
    }
}

static void receive_some(struct bench_http *h)
{
    if (!marline__buffer_reserve(&h->answer, PIECE)) {
        abort();
    }
    ssize_t n = recv(h->socket, h->answer.data + h->answer.size, PIECE - 1, 0);
    if (n <= 0) {
        give_up("recv");
    }
    h->answer.size += (size_t)n;
    h->answer.data[h->answer.size] = '\0';
}

void bench_http_send(struct bench_http *h, const char *method, const char *path,
                     const char *content_type, struct slice body)
{
    struct buffer request = BUFFER_INIT;
    bench_http_head(&request, method, path, h->key, content_type, body.size);
    marline__buffer_append_slice(&request, body);
    send_all(h->socket, marline__buffer_slice(&request));
    marline__buffer_deinit(&request);
}

int bench_http_receive(struct bench_http *h, const char **out_body)
{
    size_t size = 0;
    marline__buffer_clear(&h->answer);
    while (size == 0 || h->answer.size < size) {
        receive_some(h);
        size = bench_http_answer_size(&h->answer);
    }
    if (out_body) {
        *out_body = strstr(h->answer.data, "\r\n\r\n") + 4;
    }
    return (int)strtol(h->answer.data + strlen("HTTP/1.1 "), NULL, 10);
}

int bench_http_perform(struct bench_http *h, const char *method, const char *path,
                       const char *content_type, struct slice body, const char **out_body)
{
    bench_http_send(h, method, path, content_type, body);
    return bench_http_receive(h, out_body);
}

int bench_http_get(struct bench_http *h, const char *path, const char **out_body)
{
    return bench_http_perform(h, "GET", path, "application/json", SLICE_EMPTY, out_body);
}

double bench_json_number(const char *json, const char *name)
{
    char member[64];
    (void)snprintf(member, sizeof member, "\"%s\":", name);
    const char *at = strstr(json, member);
    return at ? strtod(at + strlen(member), NULL) : -1;
}

bool bench_json_text(const char *json, const char *name, char *out, size_t size)
{
    char mark[40];
    (void)snprintf(mark, sizeof mark, "\"%s\":\"", name);
    const char *at = strstr(json, mark);
    if (!at) {
        return false;
    }
    at += strlen(mark);
    (void)snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
    return true;
}
