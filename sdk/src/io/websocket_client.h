/* One WebSocket connection at a time over libwebsockets, with its event loop (spec otel.md §9).
 *
 * It knows frames and sockets, and nothing of the messages. No extension is ever offered: 4.1.6
 * loops for ever on them (§9.2). Text only; a binary message ends the connection with 1003.
 *
 *   idle --connect--> dialling --> open --close or peer--> idle
 *                         \--refused--> idle
 *
 * Dialling never holds the loop: the name is looked up on a thread of its own, and its addresses
 * are tried in turn. Behind $http_proxy (libwebsockets' reading of it) the name is the proxy's to
 * look up; the proxy's own name is looked up on the loop's thread.
 *
 * All functions and events belong to the thread that calls marline__websocket_run; only
 * marline__websocket_wake may be called from others. */
#ifndef MARLINE_IO_WEBSOCKET_CLIENT_H
#define MARLINE_IO_WEBSOCKET_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "io/look_up.h"
#include <marline/status.h>

enum {
    WEBSOCKET_CLOSE_NORMAL = 1000,
    WEBSOCKET_CLOSE_GOING_AWAY = 1001,
    WEBSOCKET_CLOSE_PROTOCOL = 1002,
    WEBSOCKET_CLOSE_WRONG_TYPE = 1003,
    WEBSOCKET_CLOSE_NO_CODE = 1005,  /* reported only */
    WEBSOCKET_CLOSE_ABNORMAL = 1006, /* reported only: the connection ended without a Close */
    WEBSOCKET_CLOSE_POLICY = 1008,
    WEBSOCKET_CLOSE_TOO_BIG = 1009,
    WEBSOCKET_CLOSE_SERVER_ERROR = 1011,
};

struct websocket_header {
    const char *name; /* without colon */
    const char *value;
};

struct websocket_tls {
    const char *ca_file;   /* NULL = the system's */
    const char *cert_file; /* client certificate, PEM; NULL = none */
    const char *key_file;
};

enum { WEBSOCKET_HEADERS_MAX = 8 };

struct websocket_options {
    const char *url; /* ws, wss, http or https */
    const struct websocket_header *headers;
    size_t header_count;
    struct websocket_tls tls;
    size_t message_max;              /* bytes of an incoming message; beyond: close 1009 */
    uint32_t connect_timeout_s;      /* look-up, every address, handshake: all of it together */
    uint16_t ping_after_s;           /* protocol ping after so much silence */
    uint16_t hang_up_after_s;        /* no sign of life for so long: dropped; > ping_after_s */
    const struct name_source *names; /* NULL = the system's; copied; `user` outlives a look-up */
};

/* How an open connection ended. */
struct websocket_end {
    uint16_t code;
    bool by_peer;        /* the code came from the peer, rather than from us or from nowhere */
    struct slice reason; /* of the peer; valid during the call */
};

/* None of these may destroy the client. */
struct websocket_events {
    void (*opened)(void *user);
    /* The connection never opened. http_status is 0 when no HTTP answer came. May be called from
     * within marline__websocket_connect. */
    void (*refused)(void *user, int http_status, const char *reason);
    void (*text)(void *user, struct slice message);
    void (*closed)(void *user, const struct websocket_end *end);
    /* After want_write: at most one message may be written now. */
    void (*writable)(void *user);
    /* Optional: the peer answered a protocol ping. */
    void (*alive)(void *user);
    void (*woken)(void *user);
    void (*timer)(void *user);
    void *user;
};

struct websocket_client;

/* Copies the options. MARLINE_EINVAL names what is wrong with them. */
marline_status marline__websocket_create(const struct websocket_options *options,
                                         const struct websocket_events *events,
                                         struct websocket_client **out, marline_error *error);
/* Drops an open connection without a Close and without an event, and frees. NULL is allowed. */
void marline__websocket_destroy(struct websocket_client *ws);

/* Only when idle. The outcome comes as `opened` or `refused`. */
void marline__websocket_connect(struct websocket_client *ws);
void marline__websocket_want_write(struct websocket_client *ws);
/* Only in `writable`. Copies. MARLINE_EIO: the connection is broken and about to be closed. */
marline_status marline__websocket_write_text(struct websocket_client *ws, struct slice text);
/* Starts the closing handshake of an open connection; `closed` follows, at the latest after a few
 * seconds. The reason is cut to 123 bytes. In other states: nothing. */
void marline__websocket_close(struct websocket_client *ws, uint16_t code, const char *reason);

/* The next `timer` event, in nanoseconds from now; UINT64_MAX cancels. */
void marline__websocket_set_timer(struct websocket_client *ws, uint64_t after_ns);
/* Waits for the next events and delivers them. */
void marline__websocket_run(struct websocket_client *ws);
/* Any thread: makes `woken` come soon; several calls may give one event. */
void marline__websocket_wake(struct websocket_client *ws);

#endif
