/* JSON Pointer (RFC 6901): finds one value in a JSON text. Pure. */
#ifndef MARLINE_WIRE_JSON_POINTER_H
#define MARLINE_WIRE_JSON_POINTER_H

#include <stdbool.h>

#include "base/slice.h"

enum { JSON_POINTER_TOKEN_MAX = 512 }; /* bytes between two slashes */

/* "" or "/a/b~1c/0". Only such a pointer may be followed. */
bool marline__json_pointer_is_valid(const char *pointer);
/* The exact text of the value. False when there is none, or the document is malformed before it. */
bool marline__json_pointer_find(struct slice document, const char *pointer, struct slice *out);

#endif
