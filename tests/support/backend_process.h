/* A marline-backend-mock of a test's own: the real program on a free port, ended with the fixture.
 * Every wait has a deadline. */
#ifndef SUPPORT_BACKEND_PROCESS_H
#define SUPPORT_BACKEND_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buffer.h"

enum { BACKEND_WAIT_MS = 20000, BACKEND_TEXT_SIZE = 128 };

struct backend_process {
    pid_t pid;
    int output; /* its stdout */
    uint16_t port;
    char base_url[BACKEND_TEXT_SIZE];
    char organization_id[BACKEND_TEXT_SIZE];
    char project_id[BACKEND_TEXT_SIZE];
    char api_key[BACKEND_TEXT_SIZE];
};

/* Starts `serve --listen 127.0.0.1:0` with the further arguments (ended by NULL) and waits until it
 * accepts connections. Fails the test when it does not come up. */
void backend_process_start(struct backend_process *b, const char *const *arguments);
/* SIGTERM; returns the exit code, 128 + n for signal n. Fails the test when it does not end. */
int backend_process_stop(struct backend_process *b);
/* SIGKILL, and waits for the end. */
void backend_process_kill(struct backend_process *b);

/* Runs the program to its end; returns its exit code, its stderr in `error_text`. */
int backend_process_run(const char *const *arguments, struct buffer *error_text);

struct backend_answer {
    int status;
    struct buffer body;
};

/* One request; `body` NULL = none. With the key unless `key` says otherwise ("" = no header). */
void backend_request(const struct backend_process *b, const char *method, const char *path,
                     const char *key, const char *body, struct backend_answer *out);
/* The same with one more header, "Name: value" (NULL = none). */
void backend_request_with(const struct backend_process *b, const char *method, const char *path,
                          const char *key, const char *header, const char *body,
                          struct backend_answer *out);
void backend_answer_deinit(struct backend_answer *a);

/* Waits until GET path answers a body that holds `text`, polling; fails the test after the
 * deadline. */
void backend_wait_for(const struct backend_process *b, const char *path, const char *text,
                      struct backend_answer *out);
/* The same with another key. */
void backend_wait_for_as(const struct backend_process *b, const char *key, const char *path,
                         const char *text, struct backend_answer *out);

#endif
