/* A WebSocket agent made of raw bytes, for tests of a server: it sends whatever it is told, right
 * or wrong. Every wait has a deadline; what fails fails the test. */
#ifndef SUPPORT_WS_PEER_H
#define SUPPORT_WS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum { WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

struct ws_peer {
    int socket;
    struct buffer incoming; /* bytes not yet taken */
};

/* A connected TCP socket to a port of this machine. */
int tcp_connect(uint16_t port);
void tcp_send(int socket, const void *data, size_t size);
/* Reads until the peer closes; appends. */
void tcp_read_all(int socket, struct buffer *out);

/* Sends the upgrade request with the Authorization value (NULL = none) and returns the status of
 * the answer; 101 leaves the connection open. `head` (may be NULL) receives the answer's head. */
int ws_peer_connect(struct ws_peer *p, uint16_t port, const char *authorization,
                    struct buffer *head);
void ws_peer_deinit(struct ws_peer *p);

/* One masked frame. */
void ws_peer_send_frame(struct ws_peer *p, bool final, int opcode, const void *data, size_t size);
void ws_peer_send_text(struct ws_peer *p, const char *text);
/* The next frame's opcode and payload (replaced). -1 when the connection has ended. */
int ws_peer_receive(struct ws_peer *p, struct buffer *payload);
/* Receives frames until a text that holds `mark`; pings in between are passed over. */
void ws_peer_expect(struct ws_peer *p, const char *mark, struct buffer *payload);

#endif
