/* HTTP/1.1 as a benchmark needs it: one request after the other over one connection of loopback,
 * without a library between the clock and the socket. What fails fails the run and ends it. */
#ifndef TESTS_BENCH_BENCH_HTTP_H
#define TESTS_BENCH_BENCH_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct bench_http {
    int socket;
    char key[128];
    struct buffer answer; /* head and body of the last one */
};

/* A connected socket, without delay of small packets. Ends the program when nobody listens. */
int bench_connect(uint16_t port);
/* Of the answer, or the request, that begins at data[0]: its whole size, once its head is there;
 * else 0. */
size_t bench_http_answer_size(const struct buffer *in);
/* Appends the head of a request. */
void bench_http_head(struct buffer *out, const char *method, const char *path, const char *key,
                     const char *content_type, size_t body_size);

void bench_http_open(struct bench_http *h, uint16_t port, const char *key);
void bench_http_close(struct bench_http *h);
/* Returns the status; the body is `*out_body` (may be NULL), a text valid until the next call. */
int bench_http_perform(struct bench_http *h, const char *method, const char *path,
                       const char *content_type, struct slice body, const char **out_body);
/* The two halves of it. */
void bench_http_send(struct bench_http *h, const char *method, const char *path,
                     const char *content_type, struct slice body);
int bench_http_receive(struct bench_http *h, const char **out_body);
int bench_http_get(struct bench_http *h, const char *path, const char **out_body);
/* The number after "name": in a JSON text; -1 when it is not there. */
double bench_json_number(const char *json, const char *name);
/* The text after "name":; false when it is not there. */
bool bench_json_text(const char *json, const char *name, char *out, size_t size);

#endif
