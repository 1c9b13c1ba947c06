/* Texts and JSON documents with {{ name }} in them, filled from the inputs of a call. Pure.
 *
 * `name` is a parameter, or a JSON pointer into the inputs ({{ /user/name }}). In a text a string
 * stands for itself, every other value for its JSON. In a JSON document a string that is nothing
 * but
 * {{ name }} becomes the value itself, whatever its type; elsewhere in a string it is text. */
#ifndef AGENT_TEMPLATE_H
#define AGENT_TEMPLATE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/slice.h"

enum template_escape { TEMPLATE_PLAIN, TEMPLATE_URL };

/* On failure `missing` names the input that is not there. */
bool template_fill_text(const char *text, struct slice inputs, enum template_escape escape,
                        struct buffer *out, struct buffer *missing);
/* `document` is JSON and known to be valid. */
bool template_fill_json(struct slice document, struct slice inputs, struct buffer *out,
                        struct buffer *missing);

#endif
