/* A scripted HTTP server on loopback: the n-th request gets the n-th answer, the last one repeats.
 * It keeps what it received. One thread of its own, one connection at a time. */
#ifndef TESTS_SUPPORT_HTTP_PEER_H
#define TESTS_SUPPORT_HTTP_PEER_H

#include <stdbool.h>
#include <stddef.h>

enum http_peer_action {
    HTTP_PEER_ANSWER,
    HTTP_PEER_CLOSE, /* reads the request, closes without an answer */
    HTTP_PEER_HANG,  /* reads the request, answers nothing until the peer is stopped */
    HTTP_PEER_RAW,   /* sends `body` as it is, and closes */
    /* sends the head, then `body` byte by byte, with a pause after each; without a body, spaces
     * until the client goes away or the peer is stopped */
    HTTP_PEER_TRICKLE,
};

struct http_peer_step {
    enum http_peer_action action;
    int status;
    const char *headers; /* "Name: value\r\n"..., or NULL */
    const char *body;    /* or NULL */
};

struct http_peer;

/* Borrows the script until stop. Fails the test when it cannot listen. */
struct http_peer *http_peer_start(const struct http_peer_step *script, size_t count);
void http_peer_stop(struct http_peer *peer);
/* http://127.0.0.1:PORT */
const char *http_peer_url(const struct http_peer *peer);

/* Waits until `count` requests were read; false after 20 s. */
bool http_peer_wait(struct http_peer *peer, size_t count);
size_t http_peer_request_count(struct http_peer *peer);
size_t http_peer_connection_count(struct http_peer *peer);
/* Head ("POST /x HTTP/1.1\r\n...", without the empty line) and body of the index-th request, each
 * NUL-terminated and valid until stop. */
const char *http_peer_head(struct http_peer *peer, size_t index);
const char *http_peer_body(struct http_peer *peer, size_t index);
size_t http_peer_body_size(struct http_peer *peer, size_t index);

#endif
