/* Blocking sockets with a deadline; see frame_server.h. */
#include "frame_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

void frame_server_start(struct frame_server *s)
{
    memset(s, 0, sizeof *s);
    s->socket = -1;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(s->listener >= 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(s->listener, 8), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &size), 0);
    s->port = ntohs(address.sin_port);
    (void)snprintf(s->url, sizeof s->url, "ws://127.0.0.1:%u", s->port);
}

void frame_server_drop(struct frame_server *s)
{
    if (s->socket >= 0) {
        close(s->socket);
        s->socket = -1;
    }
}

void frame_server_refuse(struct frame_server *s)
{
    if (s->listener >= 0) {
        close(s->listener);
        s->listener = -1;
    }
}

void frame_server_stop(struct frame_server *s)
{
    frame_server_drop(s);
    frame_server_refuse(s);
    marline__buffer_deinit(&s->head);
}

static void wait_readable(int descriptor, const char *what)
{
    struct pollfd poller = {descriptor, POLLIN, 0};
    int ready = poll(&poller, 1, FRAME_SERVER_WAIT_MS);
    if (ready <= 0) {
        fail_msg("waited %d ms for %s", FRAME_SERVER_WAIT_MS, what);
    }
}

/* False at the end of the connection. */
static bool read_exact(struct frame_server *s, void *out, size_t size)
{
    for (size_t done = 0; done < size;) {
        wait_readable(s->socket, "bytes of the client");
        ssize_t n = recv(s->socket, (char *)out + done, size - done, 0);
        if (n <= 0) {
            return false;
        }
        done += (size_t)n;
    }
    return true;
}

void frame_server_accept(struct frame_server *s)
{
    frame_server_drop(s);
    wait_readable(s->listener, "a connection");
    s->socket = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(s->socket >= 0);
    int on = 1; /* what is said goes out, though it is said in pieces */
    assert_int_equal(setsockopt(s->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    marline__buffer_clear(&s->head);
    while (s->head.size < 4 || memcmp(s->head.data + s->head.size - 4, "\r\n\r\n", 4) != 0) {
        char byte;
        if (!read_exact(s, &byte, 1)) {
            fail_msg("the connection ended in the request head");
        }
        marline__buffer_append_byte(&s->head, byte);
    }
}

const char *frame_server_header(struct frame_server *s, const char *name)
{
    static char value[512];
    size_t n = strlen(name);
    value[0] = '\0';
    for (const char *line = strstr(s->head.data, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        const char *at = line + 2;
        if (strncasecmp(at, name, n) == 0 && at[n] == ':') {
            at += n + 1;
            at += strspn(at, " ");
            (void)snprintf(value, sizeof value, "%.*s", (int)strcspn(at, "\r"), at);
            break;
        }
    }
    return value;
}

void frame_server_accept_open(struct frame_server *s)
{
    frame_server_accept(s);
    char keyed[128];
    (void)snprintf(keyed, sizeof keyed, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                   frame_server_header(s, "Sec-WebSocket-Key"));
    unsigned char digest[20];
    lws_SHA1((unsigned char *)keyed, strlen(keyed), digest);
    char accepted[64];
    assert_true(lws_b64_encode_string((char *)digest, sizeof digest, accepted, sizeof accepted) >
                0);
    char answer[256];
    (void)snprintf(answer, sizeof answer,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                   accepted);
    frame_server_send_line(s, answer);
}

void frame_server_send_bytes(struct frame_server *s, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = send(s->socket, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (n < 0) {
            return; /* the client has gone: what the test asserts next will tell */
        }
        done += (size_t)n;
    }
}

void frame_server_send_line(struct frame_server *s, const char *text)
{
    frame_server_send_bytes(s, text, strlen(text));
}

void frame_server_send_frame(struct frame_server *s, int opcode, const void *data, size_t size)
{
    unsigned char head[10] = {(unsigned char)(0x80 | opcode)};
    size_t n = 2;
    if (size < 126) {
        head[1] = (unsigned char)size;
    } else {
        size_t bytes = size < 65536 ? 2 : 8;
        head[1] = bytes == 2 ? 126 : 127;
        for (size_t i = 0; i < bytes; i++) {
            head[2 + i] = (unsigned char)(size >> (8 * (bytes - 1 - i)));
        }
        n += bytes;
    }
    frame_server_send_bytes(s, head, n);
    frame_server_send_bytes(s, data, size);
}

void frame_server_send_text(struct frame_server *s, const char *text)
{
    frame_server_send_frame(s, FRAME_TEXT, text, strlen(text));
}

void frame_server_send_close(struct frame_server *s, uint16_t code)
{
    unsigned char payload[2] = {(unsigned char)(code >> 8), (unsigned char)code};
    frame_server_send_frame(s, FRAME_CLOSE, payload, sizeof payload);
}

static bool read_size(struct frame_server *s, unsigned char seven, uint64_t *out)
{
    *out = seven;
    size_t bytes = seven == 126 ? 2 : seven == 127 ? 8 : 0;
    unsigned char raw[8];
    if (bytes == 0) {
        return true;
    }
    if (!read_exact(s, raw, bytes)) {
        return false;
    }
    *out = 0;
    for (size_t i = 0; i < bytes; i++) {
        *out = *out << 8 | raw[i];
    }
    return true;
}

int frame_server_read_frame(struct frame_server *s, struct buffer *out)
{
    marline__buffer_clear(out);
    unsigned char head[2];
    if (s->socket < 0 || !read_exact(s, head, sizeof head)) {
        return -1;
    }
    if (!(head[1] & 0x80) || !(head[0] & 0x80)) {
        fail_msg("the client sent a frame without mask or FIN: %02x %02x", head[0], head[1]);
    }
    uint64_t size;
    unsigned char mask[4];
    if (!read_size(s, head[1] & 0x7f, &size) || !read_exact(s, mask, sizeof mask)) {
        return -1;
    }
    assert_true(marline__buffer_reserve(out, size));
    if (size > 0 && !read_exact(s, out->data, size)) {
        return -1;
    }
    for (uint64_t i = 0; i < size; i++) {
        out->data[i] = (char)((unsigned char)out->data[i] ^ mask[i % 4]);
    }
    out->size = size;
    out->data[size] = '\0';
    return head[0] & 0x0f;
}

const char *frame_server_read_text(struct frame_server *s, struct buffer *out)
{
    for (;;) {
        int opcode = frame_server_read_frame(s, out);
        if (opcode == FRAME_TEXT) {
            return out->data;
        }
        if (opcode == FRAME_PING) {
            frame_server_send_frame(s, FRAME_PONG, out->data, out->size);
        } else if (opcode == -1 || opcode == FRAME_CLOSE) {
            fail_msg("waited for a text, but the connection ended");
        }
    }
}

uint16_t frame_server_read_close(struct frame_server *s)
{
    struct buffer payload = BUFFER_INIT;
    int opcode;
    do {
        opcode = frame_server_read_frame(s, &payload);
    } while (opcode != -1 && opcode != FRAME_CLOSE);
    uint16_t code = 1006;
    if (opcode == FRAME_CLOSE) {
        const unsigned char *bytes = (const unsigned char *)payload.data;
        code = payload.size >= 2 ? (uint16_t)(bytes[0] << 8 | bytes[1]) : 1005;
    }
    marline__buffer_deinit(&payload);
    return code;
}
