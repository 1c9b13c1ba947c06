/* Base64 (RFC 4648). */
#ifndef MARLINE_WIRE_BASE64_H
#define MARLINE_WIRE_BASE64_H

#include <stdbool.h>

#include "base/buffer.h"

/* Standard alphabet with padding. */
void marline__base64_encode(struct slice bytes, struct buffer *out);
/* Accepts the URL-safe alphabet too, with or without padding; false on any other text, which may
 * leave some bytes appended. */
bool marline__base64_decode(struct slice text, struct buffer *out);

#endif
