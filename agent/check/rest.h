/* REST calls of `check`, one at a time. Every failure names the URL and the cause, and has the exit
 * code that fits. One thread. */
#ifndef AGENT_CHECK_REST_H
#define AGENT_CHECK_REST_H

#include <stdbool.h>

#include "agent/check/answer.h"
#include "agent/connection.h"
#include "programs/failure.h"

struct rest;

/* Borrows the connection. Never NULL. */
struct rest *rest_create(const struct connection *connection);
void rest_destroy(struct rest *rest);
const struct connection *rest_connection(const struct rest *rest);

/* Returns the status of the answer; 0, and a failure, when there is none. */
int rest_try(struct rest *rest, const char *method, const char *path, struct slice body,
             struct failure *f);
/* As above; any status but 2xx is a failure. */
bool rest_ask(struct rest *rest, const char *method, const char *path, struct slice body,
              struct failure *f);
/* A failure for the last answer. False. */
bool rest_refuse(struct rest *rest, struct failure *f);
/* The members of the last answer; a failure when it is no JSON. */
bool rest_read(struct rest *rest, answer_member_fn read, void *user, struct failure *f);
/* The same for an answer that is an array. */
bool rest_read_list(struct rest *rest, void (*read)(struct json_reader *r, void *user), void *user,
                    struct failure *f);
/* rest_ask, then rest_read. */
bool rest_get(struct rest *rest, const char *path, answer_member_fn read, void *user,
              struct failure *f);
/* How long the last call took. */
double rest_duration_ms(const struct rest *rest);

#endif
