/* The WebSocket side: a libwebsockets context without a socket of its own, fed by the listener, and
 * with it the event loop of the backend's state machines. It knows frames, sizes and sockets, and
 * nothing of the messages.
 *
 * All functions and events belong to the thread that calls ws_server_run; only ws_server_wake may
 * be called from others. No extension is ever accepted. */
#ifndef HUB_WS_SERVER_H
#define HUB_WS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    WS_FRAME_MAX = 16 * 1024 * 1024,    /* beyond: close 1009, as the reference's server */
    WS_OUTGOING_MAX = 64 * 1024 * 1024, /* waiting for one slow reader; beyond: the socket is cut */
    WS_PING_AFTER_S = 20,               /* without a sign of life; the same again: given up */
};

enum { WS_CLOSE_NORMAL = 1000, WS_CLOSE_GOING_AWAY = 1001, WS_CLOSE_TOO_BIG = 1009 };

struct ws_server;
struct ws_connection;

struct ws_events {
    /* Decides on an upgrade: false answers 403 with an empty body. What *out_user is set to belongs
     * to the connection: `opened` or `closed` follows. */
    bool (*admit)(void *user, struct slice authorization, void **out_connection_user);
    void (*opened)(void *user, struct ws_connection *c);
    void (*text)(void *user, struct ws_connection *c, struct slice text);
    void (*binary)(void *user, struct ws_connection *c);
    /* A message over `keep_max` bytes, which was thrown away. */
    void (*oversize)(void *user, struct ws_connection *c);
    /* The last event of a connection; also of one that was admitted and never opened. */
    void (*closed)(void *user, void *connection_user);
    void (*woken)(void *user);
    void (*timer)(void *user);
};

struct ws_server_options {
    const struct ws_events *events;
    void *user;
    size_t keep_max; /* bytes of a message that are kept; surely too large beyond */
};

/* NULL when libwebsockets cannot start. */
struct ws_server *ws_server_create(const struct ws_server_options *options);
void ws_server_destroy(struct ws_server *s);

/* Serves until ws_server_stop. */
void ws_server_run(struct ws_server *s);
void ws_server_stop(struct ws_server *s);
/* Any thread: `woken` follows soon. */
void ws_server_wake(struct ws_server *s);
/* Takes the socket, its first request still unread. */
void ws_server_adopt(struct ws_server *s, int socket);
/* The one timer; TIME_NEVER stops it. Monotonic. */
void ws_server_set_timer(struct ws_server *s, uint64_t deadline_ns, uint64_t now_ns);

void *ws_connection_user(const struct ws_connection *c);
/* Copies one text message. */
void ws_connection_send(struct ws_connection *c, struct slice text);
/* After what waits has been sent. Copies the reason, cut to 123 bytes. */
void ws_connection_close(struct ws_connection *c, uint16_t code, const char *reason);

#endif
