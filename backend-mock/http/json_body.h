/* Reads the members of a small JSON request body, naming what is wrong. Built on the strict reader,
 * so that values which are passed on stay exactly as they came. One thread at a time. */
#ifndef HTTP_JSON_BODY_H
#define HTTP_JSON_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "wire/json_reader.h"

enum { BODY_ERROR_SIZE = 200 };

/* One object, member by member. The first error stays. */
struct json_body {
    struct json_reader reader;
    const char *where;           /* prefix of error texts, such as "tests[3]."; "" at the top */
    char error[BODY_ERROR_SIZE]; /* "" while all is well */
};

/* False, with an error, when the text is no object. */
bool json_body_begin(struct json_body *b, struct slice text);
/* False at the end or on an error. */
bool json_body_next(struct json_body *b, struct slice *out_key);

/* Each reads the member that json_body_next named; a wrong type is the error of the body.
 * json_body_text: an owned text, "" for null; the caller frees what *out held before. */
void json_body_text(struct json_body *b, const char *name, char **out);
void json_body_unsigned(struct json_body *b, const char *name, uint32_t minimum, uint32_t maximum,
                        uint32_t *out);
void json_body_bool(struct json_body *b, const char *name, bool *out);
/* The raw text of an object (or array). */
void json_body_object(struct json_body *b, const char *name, struct slice *out);
void json_body_array(struct json_body *b, const char *name, struct slice *out);
void json_body_skip(struct json_body *b);

/* Notes an error unless there is one; `what` follows the name. */
void json_body_fail(struct json_body *b, const char *name, const char *what);

#endif
