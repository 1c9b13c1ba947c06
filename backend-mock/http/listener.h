/* Accepts connections on one port and hands each to the server that speaks its protocol: upgrades
 * of /connector/ws to the WebSocket server, everything else to the HTTP server. It looks at the
 * first request head without taking it (MSG_PEEK) and parses nothing beyond what that choice needs.
 *
 * One thread of its own. A connection that says nothing is closed after a deadline; their number is
 * bounded, the oldest goes first. */
#ifndef HTTP_LISTENER_H
#define HTTP_LISTENER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    LISTENER_PENDING_MAX = 4096,     /* connections that have not shown their first request */
    LISTENER_HEAD_TIMEOUT_MS = 5000, /* as long as an honest client may dawdle */
    LISTENER_PEEK_MAX = 8192,        /* a longer head goes to the HTTP server */
    LISTENER_ERROR_SIZE = 256,
};

struct listener;

/* Each takes the socket (non-blocking, close-on-exec). Called on the listener's thread. */
struct listener_targets {
    void (*websocket)(void *user, int socket);
    void (*http)(void *user, int socket, const struct sockaddr *address, socklen_t address_size);
    void *user;
};

/* Binds HOST:PORT ([v6]:PORT, a name, or an address; port 0 = a free one) and listens; nothing is
 * accepted yet. NULL and a sentence in `error` otherwise. */
struct listener *listener_open(const char *address, char error[LISTENER_ERROR_SIZE]);
/* False when its thread cannot be started. */
bool listener_start(struct listener *l, const struct listener_targets *targets);
/* Accepts no more, closes what is pending, joins. Idempotent. */
void listener_stop(struct listener *l);
void listener_close(struct listener *l); /* stops; accepts NULL */

uint16_t listener_port(const struct listener *l);
/* True when only this machine can reach it. */
bool listener_is_loopback(const struct listener *l);

/* What the first bytes of a connection ask for; `more` = cannot be told yet. For tests. */
enum listener_choice { LISTENER_MORE, LISTENER_HTTP, LISTENER_WEBSOCKET };
enum listener_choice listener_choose(const char *head, size_t size);

#endif
