/* Ends TLS in front of a plain server on loopback, with a certificate authority of its own: for
 * tests of what a client verifies. One thread; connections one after the other. */
#ifndef MARLINE_TESTS_TLS_RELAY_H
#define MARLINE_TESTS_TLS_RELAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct tls_relay {
    uint16_t port;
    char ca_file[64];          /* PEM, in the current folder */
    char client_cert_file[64]; /* signed by the same authority */
    char client_key_file[64];
    /* private */
    int listener;
    uint16_t backend_port;
    void *context; /* SSL_CTX */
    pthread_t thread;
    int wake[2]; /* closed to end the thread */
};

/* The server's certificate is for `host`. */
void tls_relay_start(struct tls_relay *relay, uint16_t backend_port, const char *host,
                     bool wants_client_certificate);
void tls_relay_stop(struct tls_relay *relay);

#endif
