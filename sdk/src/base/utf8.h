/* UTF-8 (RFC 3629): no overlong forms, no surrogates, up to U+10FFFF. */
#ifndef MARLINE_BASE_UTF8_H
#define MARLINE_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/slice.h"

/* A word at a time; the last one may overlap the one before. */
static inline bool marline__utf8_is_ascii(struct slice text)
{
    const uint64_t high_bits = 0x8080808080808080;
    uint64_t word = 0;
    uint64_t all = 0;
    if (text.size < sizeof word) {
        for (size_t i = 0; i < text.size; i++) {
            all |= (unsigned char)text.data[i];
        }
        return (all & high_bits) == 0;
    }
    for (size_t i = 0; i + sizeof word < text.size; i += sizeof word) {
        memcpy(&word, text.data + i, sizeof word);
        all |= word;
    }
    memcpy(&word, text.data + text.size - sizeof word, sizeof word);
    return ((all | word) & high_bits) == 0;
}

bool marline__utf8_is_valid_slow(struct slice text);

static inline bool marline__utf8_is_valid(struct slice text)
{
    return marline__utf8_is_ascii(text) || marline__utf8_is_valid_slow(text);
}

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
