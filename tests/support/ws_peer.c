/* See ws_peer.h. */
#include "support/ws_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, PIECE = 65536 };

int tcp_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* The peer may have closed already: what it thinks of the rest is seen by reading. */
void tcp_send(int socket, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t n = send(socket, at, size, MSG_NOSIGNAL);
        if (n < 0) {
            assert_true(errno == EPIPE || errno == ECONNRESET);
            return;
        }
        at += n;
        size -= (size_t)n;
    }
}

/* False at the end of the stream. */
static bool read_more(int socket, struct buffer *out)
{
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    assert_true(marline__buffer_reserve(out, PIECE));
    ssize_t n = recv(socket, out->data + out->size, PIECE, 0);
    if (n <= 0) {
        assert_true(n == 0 || errno == ECONNRESET);
        return false;
    }
    out->size += (size_t)n;
    return true;
}

void tcp_read_all(int socket, struct buffer *out)
{
    while (read_more(socket, out)) {
    }
    marline__buffer_append_byte(out, '\0');
    out->size--;
}

int ws_peer_connect(struct ws_peer *p, uint16_t port, const char *authorization,
                    struct buffer *head)
{
    *p = (struct ws_peer){.socket = tcp_connect(port), .incoming = BUFFER_INIT};
    struct buffer request = BUFFER_INIT;
    marline__buffer_append_text(&request, "GET /connector/ws HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                          "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                          "Sec-WebSocket-Version: 13\r\n");
    if (authorization) {
        marline__buffer_append_format(&request, "Authorization: %s\r\n", authorization);
    }
    marline__buffer_append_text(&request, "\r\n");
    tcp_send(p->socket, request.data, request.size);
    marline__buffer_deinit(&request);
    char *end = NULL;
    while (!end && read_more(p->socket, &p->incoming)) {
        end = memmem(p->incoming.data, p->incoming.size, "\r\n\r\n", 4);
    }
    assert_non_null(end);
    size_t size = (size_t)(end - p->incoming.data) + 4;
    int status = (int)strtol(p->incoming.data + strlen("HTTP/1.1 "), NULL, 10);
    if (head) {
        marline__buffer_append(head, p->incoming.data, size);
    }
    marline__buffer_consume(&p->incoming, size);
    return status;
}

void ws_peer_deinit(struct ws_peer *p)
{
    (void)close(p->socket);
    marline__buffer_deinit(&p->incoming);
}

void ws_peer_send_frame(struct ws_peer *p, bool final, int opcode, const void *data, size_t size)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    struct buffer frame = BUFFER_INIT;
    marline__buffer_append_byte(&frame, (char)((final ? 0x80 : 0) | opcode));
    if (size < 126) {
        marline__buffer_append_byte(&frame, (char)(0x80 | size));
    } else if (size < 65536) {
        marline__buffer_append_byte(&frame, (char)(0x80 | 126));
        marline__buffer_append_byte(&frame, (char)(size >> 8));
        marline__buffer_append_byte(&frame, (char)size);
    } else {
        marline__buffer_append_byte(&frame, (char)(0x80 | 127));
        for (int shift = 56; shift >= 0; shift -= 8) {
            marline__buffer_append_byte(&frame, (char)((uint64_t)size >> shift));
        }
    }
    marline__buffer_append(&frame, mask, sizeof(mask));
    size_t at = frame.size;
    marline__buffer_append(&frame, data, size);
    assert_false(frame.failed);
    for (size_t i = 0; i < size; i++) {
        frame.data[at + i] = (char)(frame.data[at + i] ^ mask[i % 4]);
    }
    tcp_send(p->socket, frame.data, frame.size);
    marline__buffer_deinit(&frame);
}

void ws_peer_send_text(struct ws_peer *p, const char *text)
{
    ws_peer_send_frame(p, true, WS_TEXT, text, strlen(text));
}

static bool need(struct ws_peer *p, size_t size)
{
    while (p->incoming.size < size) {
        if (!read_more(p->socket, &p->incoming)) {
            return false;
        }
    }
    return true;
}

int ws_peer_receive(struct ws_peer *p, struct buffer *payload)
{
    if (!need(p, 2)) {
        return -1;
    }
    const uint8_t *b = (const uint8_t *)p->incoming.data;
    int opcode = b[0] & 0x0f;
    size_t size = b[1] & 0x7f;
    size_t head = size < 126 ? 2 : size == 126 ? 4 : 10;
    assert_int_equal(b[0] & 0x80, 0x80);
    assert_int_equal(b[1] & 0x80, 0);
    if (!need(p, head)) {
        return -1;
    }
    b = (const uint8_t *)p->incoming.data;
    if (head > 2) {
        size = 0;
        for (size_t i = 2; i < head; i++) {
            size = size << 8 | b[i];
        }
    }
    if (!need(p, head + size)) {
        return -1;
    }
    marline__buffer_clear(payload);
    marline__buffer_append(payload, p->incoming.data + head, size);
    marline__buffer_consume(&p->incoming, head + size);
    return opcode;
}

void ws_peer_expect(struct ws_peer *p, const char *mark, struct buffer *payload)
{
    for (;;) {
        int opcode = ws_peer_receive(p, payload);
        if (opcode < 0 || opcode == WS_CLOSE) {
            fail_msg("the connection ended before %s came", mark);
        }
        if (opcode == WS_TEXT && payload->data && strstr(payload->data, mark)) {
            return;
        }
    }
}
