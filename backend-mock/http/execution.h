/* The tests of a set against an endpoint, as a run: read from the store, with the inputs that the
 * endpoint's request mapping makes of them, and launched. The run goes on by itself; whoever asked
 * is answered when it is stored. */
#ifndef HTTP_EXECUTION_H
#define HTTP_EXECUTION_H

#include "http/entity.h"
#include "http/run_launch.h"

struct execution;

/* What one request of either kind names. */
struct execution_request {
    struct http_request *request;
    const struct store_entity_row *set;
    const struct store_entity_row *endpoint;
    struct uuid configuration_id;
    uint32_t concurrency;
    struct slice attributes; /* of the run: raw JSON object, or empty */
};

/* Copies. NULL when it has answered: no tests, or an endpoint that cannot be called. */
struct execution *execution_create(const struct execution_request *what,
                                   const struct store_scope *scope);
/* Launches the run and answers. Any thread. */
void execution_begin(struct execution *e);
void execution_destroy(struct execution *e); /* of one that was not begun */

/* What a test asks: an object with "input", the prompt of the test or the goal of its conversation.
 * Appends. */
void execution_write_input(const struct store_entity_row *test, struct buffer *out);

#endif
