/* Ends TLS in front of a plain server on loopback, with a certificate authority of its own: for
 * tests of what a client verifies. One thread accepts; each connection has another. */
#ifndef MARLINE_TESTS_TLS_RELAY_H
#define MARLINE_TESTS_TLS_RELAY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TLS_RELAY_CONNECTIONS = 16 }; /* at once; an agent and a doctor have about five */

struct tls_relay;

struct tls_connection {
    struct tls_relay *relay;
    pthread_t thread;
    int client; /* closed only when the thread has been joined */
    bool is_used;
    atomic_bool is_over; /* the thread is about to end */
};

struct tls_relay {
    uint16_t port;
    char ca_file[64];          /* PEM, in the current folder */
    char client_cert_file[64]; /* signed by the same authority */
    char client_key_file[64];
    /* What has come through so far; from any thread. */
    atomic_uint upgrades; /* requests for a WebSocket */
    atomic_uint posts;
    atomic_uint refusals; /* handshakes that failed */
    /* private */
    int listener;
    uint16_t backend_port;
    void *context; /* SSL_CTX */
    pthread_t thread;
    int wake[2]; /* closed to end the threads */
    struct tls_connection connections[TLS_RELAY_CONNECTIONS];
};

/* The server's certificate is for `host`. */
void tls_relay_start(struct tls_relay *relay, uint16_t backend_port, const char *host,
                     bool wants_client_certificate);
void tls_relay_stop(struct tls_relay *relay);

#endif
