/* One call of an endpoint through the agent that serves it, outside any test: no test context goes
 * out, but that of a conversation may (wire-protocol §8.6). */
#ifndef HTTP_ENDPOINT_CALL_H
#define HTTP_ENDPOINT_CALL_H

#include "http/entity.h"
#include "hub/hub.h"

struct endpoint_call {
    struct http_request *request;
    struct buffer inputs; /* as they went out */
    char *response_mapping;
    /* On the loop, exactly once; must answer the request. The call is freed afterwards. */
    void (*done)(struct endpoint_call *call, const struct hub_answer *answer);
    void *user;                                       /* of `done` */
    struct message_conversation_context conversation; /* borrowed until `done` */
    /* private */
    struct hub_job job;
    struct hub_call call;
    char project[UUID_TEXT_SIZE];
    char *environment;
    char *function_name;
};

/* `input` is what the endpoint's request mapping is applied to: an object with "input". Copies, but
 * for `conversation` (NULL: none), whose texts must live until `done`. */
void endpoint_call_begin(struct http_request *r, const struct entity_target *target,
                         struct slice input,
                         const struct message_conversation_context *conversation,
                         void (*done)(struct endpoint_call *call, const struct hub_answer *answer),
                         void *user);

/* Appends the members of the answer without braces, each followed by a comma. */
void endpoint_call_write_output(const struct endpoint_call *call,
                                const struct message_test_result *result, struct buffer *out);

/* Why there is no output. */
struct endpoint_failure {
    const char *type;   /* "sdk_timeout" */
    const char *prefix; /* "SDK function timed out: " */
    struct slice message;
};
/* False when the function succeeded. `answer` NULL: nobody serves the endpoint. */
bool endpoint_call_failed(const struct hub_answer *answer, struct endpoint_failure *out);

#endif
