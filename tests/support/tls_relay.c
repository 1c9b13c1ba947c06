/* OpenSSL and poll; see tls_relay.h. */
#include "tls_relay.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/signals.h"

enum { DAY_S = 86400, CHUNK = 4096 };

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "tls_relay: %s failed\n", what);
        abort();
    }
}

/* ---- certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
};

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    require(extension && X509_add_ext(certificate, extension, -1) == 1, "extension");
    X509_EXTENSION_free(extension);
}

/* issuer NULL: an authority that signs itself. */
static struct identity make_identity(const char *name, const struct identity *issuer, long serial)
{
    struct identity id = {EVP_EC_gen("P-256"), X509_new()};
    require(id.key && id.certificate, "key");
    const struct identity *signer = issuer ? issuer : &id;
    X509_set_version(id.certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(id.certificate), -DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(id.certificate), DAY_S);
    X509_set_pubkey(id.certificate, id.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id.certificate, X509_get_subject_name(signer->certificate));
    if (issuer) {
        char san[128];
        (void)snprintf(san, sizeof san, "DNS:%s", name);
        add_extension(id.certificate, signer->certificate, NID_subject_alt_name, san);
    } else {
        add_extension(id.certificate, id.certificate, NID_basic_constraints, "critical,CA:TRUE");
    }
    require(X509_sign(id.certificate, signer->key, EVP_sha256()) > 0, "signing");
    return id;
}

static void free_identity(struct identity *id)
{
    X509_free(id->certificate);
    EVP_PKEY_free(id->key);
}

static void write_pem(char *name, size_t size, const char *kind, X509 *certificate, EVP_PKEY *key)
{
    static unsigned count; /* two relays of a test have a file each */
    (void)snprintf(name, size, "tls-%s-%d-%u.pem", kind, (int)getpid(), count++);
    FILE *file = fopen(name, "w");
    require(file != NULL, "PEM file");
    require(certificate ? PEM_write_X509(file, certificate) == 1
                        : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1,
            "PEM text");
    (void)fclose(file);
}

static void set_up_context(struct tls_relay *relay, const char *host, bool wants_client)
{
    struct identity authority = make_identity("Test Authority", NULL, 1);
    struct identity server = make_identity(host, &authority, 2);
    struct identity client = make_identity("agent", &authority, 3);
    write_pem(relay->ca_file, sizeof relay->ca_file, "ca", authority.certificate, NULL);
    write_pem(relay->client_cert_file, sizeof relay->client_cert_file, "cert", client.certificate,
              NULL);
    write_pem(relay->client_key_file, sizeof relay->client_key_file, "key", NULL, client.key);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    require(context && SSL_CTX_use_certificate(context, server.certificate) == 1 &&
                SSL_CTX_use_PrivateKey(context, server.key) == 1,
            "context");
    if (wants_client) {
        require(SSL_CTX_load_verify_locations(context, relay->ca_file, NULL) == 1, "authority");
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    relay->context = context;
    free_identity(&authority);
    free_identity(&server);
    free_identity(&client);
}

/* ---- relaying ---- */

static int connect_backend(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0, "socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool begins(const char *chunk, int size, const char *text)
{
    size_t length = strlen(text);
    return (size_t)size >= length && memcmp(chunk, text, length) == 0;
}

/* A client writes the head of a request in one piece, and a piece is one TLS record. */
static void count_request(struct tls_relay *relay, const char *chunk, int size)
{
    if (begins(chunk, size, "GET /connector/ws")) {
        atomic_fetch_add(&relay->upgrades, 1);
    } else if (begins(chunk, size, "POST ")) {
        atomic_fetch_add(&relay->posts, 1);
    }
}

static bool to_backend(struct tls_relay *relay, SSL *ssl, int backend)
{
    char chunk[CHUNK];
    do {
        int n = SSL_read(ssl, chunk, sizeof chunk);
        if (n <= 0) {
            return false;
        }
        count_request(relay, chunk, n);
        if (send(backend, chunk, (size_t)n, MSG_NOSIGNAL) != n) {
            return false;
        }
    } while (SSL_pending(ssl) > 0);
    return true;
}

static bool to_client(SSL *ssl, int backend)
{
    char chunk[CHUNK];
    ssize_t n = recv(backend, chunk, sizeof chunk, 0);
    return n > 0 && SSL_write(ssl, chunk, (int)n) == n;
}

static void relay_bytes(struct tls_relay *relay, SSL *ssl, int client, int backend)
{
    struct pollfd fds[] = {{client, POLLIN, 0}, {backend, POLLIN, 0}, {relay->wake[0], POLLIN, 0}};
    bool open = true;
    while (open && poll(fds, 3, -1) > 0) {
        if (fds[2].revents) {
            open = false;
        } else if (fds[0].revents) {
            open = to_backend(relay, ssl, backend);
        } else if (fds[1].revents) {
            open = to_client(ssl, backend);
        }
    }
}

/* Reads until the client has closed too. With unread bytes a close would be a reset, which can
 * overtake what the client has still to read: the alert that says why it is refused. */
static void let_read(const struct tls_relay *relay, int client)
{
    struct pollfd fds[] = {{client, POLLIN, 0}, {relay->wake[0], POLLIN, 0}};
    char chunk[CHUNK];
    (void)shutdown(client, SHUT_WR);
    while (poll(fds, 2, -1) > 0 && !fds[1].revents && recv(client, chunk, sizeof chunk, 0) > 0) {
    }
}

static void *serve_connection(void *user)
{
    struct tls_connection *c = user;
    SSL *ssl = SSL_new(c->relay->context);
    require(ssl && SSL_set_fd(ssl, c->client) == 1, "connection");
    if (SSL_accept(ssl) == 1) {
        int backend = connect_backend(c->relay->backend_port);
        if (backend >= 0) {
            relay_bytes(c->relay, ssl, c->client, backend);
            close(backend);
        }
    } else {
        atomic_fetch_add(&c->relay->refusals, 1);
    }
    SSL_free(ssl);
    let_read(c->relay, c->client);
    (void)shutdown(c->client, SHUT_RDWR);
    atomic_store(&c->is_over, true);
    return NULL;
}

/* ---- connections; the accepting thread's, then tls_relay_stop's ---- */

static void end_connection(struct tls_connection *c)
{
    (void)pthread_join(c->thread, NULL);
    close(c->client);
    c->is_used = false;
}

/* Returns a free place, or NULL. */
static struct tls_connection *find_place(struct tls_relay *relay)
{
    for (size_t i = 0; i < TLS_RELAY_CONNECTIONS; i++) {
        struct tls_connection *c = &relay->connections[i];
        if (c->is_used && atomic_load(&c->is_over)) {
            end_connection(c);
        }
        if (!c->is_used) {
            return c;
        }
    }
    return NULL;
}

static void accept_one(struct tls_relay *relay)
{
    int client = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
    struct tls_connection *c = client >= 0 ? find_place(relay) : NULL;
    if (!c) {
        close(client);
        return;
    }
    c->relay = relay;
    c->client = client;
    c->is_used = true;
    atomic_store(&c->is_over, false);
    /* a client that left shows as an error of SSL_write, not as SIGPIPE */
    require(marline__thread_start(&c->thread, serve_connection, c) == 0, "thread");
}

static void *serve(void *user)
{
    struct tls_relay *relay = user;
    struct pollfd fds[] = {{relay->listener, POLLIN, 0}, {relay->wake[0], POLLIN, 0}};
    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        accept_one(relay);
    }
    return NULL;
}

void tls_relay_start(struct tls_relay *relay, uint16_t backend_port, const char *host,
                     bool wants_client_certificate)
{
    memset(relay, 0, sizeof *relay);
    relay->backend_port = backend_port;
    set_up_context(relay, host, wants_client_certificate);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    relay->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(relay->listener >= 0 && bind(relay->listener, (struct sockaddr *)&address, size) == 0 &&
                listen(relay->listener, TLS_RELAY_CONNECTIONS) == 0 &&
                getsockname(relay->listener, (struct sockaddr *)&address, &size) == 0 &&
                pipe2(relay->wake, O_CLOEXEC) == 0,
            "listener");
    relay->port = ntohs(address.sin_port);
    require(marline__thread_start(&relay->thread, serve, relay) == 0, "thread");
}

void tls_relay_stop(struct tls_relay *relay)
{
    close(relay->wake[1]);
    pthread_join(relay->thread, NULL);
    for (size_t i = 0; i < TLS_RELAY_CONNECTIONS; i++) {
        struct tls_connection *c = &relay->connections[i];
        if (c->is_used) {
            (void)shutdown(c->client, SHUT_RDWR); /* it may be in the middle of a handshake */
            end_connection(c);
        }
    }
    close(relay->wake[0]);
    close(relay->listener);
    SSL_CTX_free(relay->context);
    (void)unlink(relay->ca_file);
    (void)unlink(relay->client_cert_file);
    (void)unlink(relay->client_key_file);
}
