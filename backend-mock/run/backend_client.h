/* What `run` asks of a backend over REST. One thread. Every failure names the URL and the cause,
 * and has the exit code that fits. */
#ifndef RUN_BACKEND_CLIENT_H
#define RUN_BACKEND_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/uuid.h"
#include "programs/failure.h"

struct backend_client;

struct backend_client_options {
    const char *base_url; /* http(s):// */
    const char *api_key;
    bool (*is_canceled)(void *user); /* ends a request under way; asked about ten times a second */
    void *user;
};

/* Copies the texts. Never NULL. */
struct backend_client *backend_client_create(const struct backend_client_options *options);
void backend_client_destroy(struct backend_client *c); /* accepts NULL */

/* Reached, and the key accepted. The project that the key is bound to; "" = none. */
bool backend_client_greet(struct backend_client *c, char out_project[UUID_TEXT_SIZE],
                          struct failure *f);
/* JSON: an array of objects with the name of each function that is served; "[]" = nobody is
 * connected. Borrowed until the next call. */
bool backend_client_functions(struct backend_client *c, const char *project_id,
                              const char *environment, struct slice *out, struct failure *f);
/* Starts a run; `body` as of POST /mock/runs. */
bool backend_client_start(struct backend_client *c, struct slice body, char out_run[UUID_TEXT_SIZE],
                          struct failure *f);
/* Waits for the end of the run, up to the timeout. */
bool backend_client_wait(struct backend_client *c, const char *run, uint32_t timeout_ms,
                         bool *out_finished, struct failure *f);
/* A run that has ended meanwhile is no failure. */
bool backend_client_cancel(struct backend_client *c, const char *run, struct failure *f);
/* The bodies of GET /mock/runs/{run}, …/progress and …/junit. Borrowed until the next call. */
bool backend_client_read(struct backend_client *c, const char *run, const char *what,
                         struct slice *out, struct failure *f);

#endif
