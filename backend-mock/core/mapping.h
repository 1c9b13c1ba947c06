/* An endpoint's mappings (wire-protocol §2.3, §2.6): what of a request becomes the inputs of its
 * function, and what of the function's output becomes the answer. Pure.
 *
 * Of the platform's template language one form is understood, a value that is one placeholder:
 * "{{ name }}". Of its paths: "$", "$.a", "$.a.b". Anything else is passed on as it stands. */
#ifndef CORE_MAPPING_H
#define CORE_MAPPING_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/slice.h"

/* Appends the inputs, a JSON object. `mapping` is a raw object, or empty: then all members of the
 * request are inputs, but for organization_id, user_id, params and files_metadata. A placeholder
 * that the request does not know is left out; a text that is itself JSON becomes that value, so
 * "42" arrives as 42, as on the platform. */
void mapping_inputs(struct slice mapping, struct slice request, struct buffer *out);

/* Appends the members of the answer without braces, each followed by a comma. Without a mapping:
 * the members of an output that is an object, else {"output": …}. A path that leads nowhere gives
 * null.
 */
void mapping_answer(struct slice mapping, struct slice output, struct buffer *out);

/* Appends the JSON pointer of what becomes the answer's "output", as the text of a JSON string
 * without quotes. False, and nothing appended, when the mapping names no path for it. */
bool mapping_output_pointer(struct slice mapping, struct buffer *out);

/* The raw value of a top-level member; empty when absent or when the text is no object. */
struct slice mapping_member(struct slice object, const char *name);

#endif
