/* POST /endpoints/{id}/invoke as one turn of a conversation (wire-protocol §4.4, §8.6): the agent
 * is told the trace that the turns before it have, and what was asked and answered is stored before
 * the caller gets its answer. Nothing is kept in memory from one turn to the next. */
#ifndef HTTP_TURN_H
#define HTTP_TURN_H

#include "http/entity.h"

/* Answers the request; its body is an object with "input". Takes the endpoint, which has a target
 * (entity_target_of), of that project. */
void turn_begin(struct http_request *r, struct entity_copy *endpoint,
                const struct uuid *project_id);

#endif
