/* Reads JSON answers of a backend: each member of an object goes to a function. A value of a wrong
 * type is left out, as if it were absent, so that a backend may add and change what is not needed
 * here. Pure. */
#ifndef AGENT_CHECK_ANSWER_H
#define AGENT_CHECK_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "wire/json_reader.h"

/* Has to read or skip the member's value. */
typedef void (*answer_member_fn)(struct json_reader *r, struct slice key, void *user);

void answer_each_member(struct json_reader *r, answer_member_fn read, void *user);
/* Of an array: each element goes to `read`, which has to read or skip it. */
void answer_each_object(struct json_reader *r, void (*read)(struct json_reader *r, void *user),
                        void *user);

void answer_skip(struct json_reader *r);
/* A text, or a number as it is written; "" for anything else. */
void answer_text(struct json_reader *r, char *out, size_t size);
void answer_number(struct json_reader *r, double *out);
void answer_count(struct json_reader *r, uint64_t *out);
void answer_flag(struct json_reader *r, bool *out);

#endif
