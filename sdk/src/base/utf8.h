/* UTF-8 (RFC 3629): no overlong forms, no surrogates, up to U+10FFFF. */
#ifndef MARLINE_BASE_UTF8_H
#define MARLINE_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

bool marline__utf8_is_valid(struct slice text);
/* Size of the well-formed sequence that a non-empty text starts with, 0 when it is none. */
size_t marline__utf8_sequence(struct slice text);
/* Size of what one U+FFFD stands for where marline__utf8_sequence says 0: the longest start of a
 * well-formed sequence, at least one byte (Unicode 15, section 3.9). */
size_t marline__utf8_malformed(struct slice text);
/* Characters (code points) of a well-formed text. */
size_t marline__utf8_length(struct slice text);
/* Writes the bytes of a code point (no surrogate, up to U+10FFFF); returns how many. */
size_t marline__utf8_encode(uint32_t code, char out[4]);
/* Appends the text with every malformed part replaced by U+FFFD. */
void marline__utf8_append_repaired(struct buffer *out, struct slice text);

#define UTF8_REPLACEMENT SLICE("\xef\xbf\xbd")

#endif
