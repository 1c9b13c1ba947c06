/* A WebSocket server that says exactly what a test tells it to, byte for byte, and hears
 * everything. The test's own thread drives it: each call waits for the client, at most
 * FRAME_SERVER_WAIT_MS, and fails the test when nothing comes. One connection at a time. */
#ifndef MARLINE_TESTS_FRAME_SERVER_H
#define MARLINE_TESTS_FRAME_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

enum { FRAME_SERVER_WAIT_MS = 30000 };
enum {
    FRAME_TEXT = 0x1,
    FRAME_BINARY = 0x2,
    FRAME_CLOSE = 0x8,
    FRAME_PING = 0x9,
    FRAME_PONG = 0xA
};

struct frame_server {
    int listener;
    int socket; /* -1 when there is no connection */
    uint16_t port;
    char url[64];       /* "ws://127.0.0.1:PORT" */
    struct buffer head; /* of the last request */
};

void frame_server_start(struct frame_server *s);
void frame_server_stop(struct frame_server *s);

/* Accepts a connection (an earlier one is closed) and reads the request head. */
void frame_server_accept(struct frame_server *s);
/* accept, then 101 with the right answer to the key. */
void frame_server_accept_open(struct frame_server *s);
/* Sends bytes as they are. */
void frame_server_send_bytes(struct frame_server *s, const void *data, size_t size);
void frame_server_send_line(struct frame_server *s, const char *text);
/* One unmasked frame with FIN. */
void frame_server_send_frame(struct frame_server *s, int opcode, const void *data, size_t size);
void frame_server_send_text(struct frame_server *s, const char *text);
void frame_server_send_close(struct frame_server *s, uint16_t code);
/* Reads one frame, unmasked into `out` (cleared first); returns its opcode, -1 at the end of the
 * connection. A frame without mask or FIN fails the test. */
int frame_server_read_frame(struct frame_server *s, struct buffer *out);
/* Reads frames until a text comes; answers pings. Fails at the end of the connection. */
const char *frame_server_read_text(struct frame_server *s, struct buffer *out);
/* Reads frames until a Close comes; returns its code, 1005 for an empty one, 1006 without any. */
uint16_t frame_server_read_close(struct frame_server *s);
/* The value of a header of the last request, "" when absent; valid until the next call. */
const char *frame_server_header(struct frame_server *s, const char *name);
/* Ends the TCP connection without a Close. */
void frame_server_drop(struct frame_server *s);
/* Stops listening, so that the next attempt to connect is refused. */
void frame_server_refuse(struct frame_server *s);

#endif
