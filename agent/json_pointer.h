/* JSON Pointer (RFC 6901): finds one value in a JSON text. Pure. */
#ifndef AGENT_JSON_POINTER_H
#define AGENT_JSON_POINTER_H

#include <stdbool.h>

#include "base/slice.h"

/* "" or "/a/b~1c/0". */
bool json_pointer_is_valid(const char *pointer);
/* The exact text of the value. False when there is none, or the document is malformed before it. */
bool json_pointer_find(struct slice document, const char *pointer, struct slice *out);

#endif
