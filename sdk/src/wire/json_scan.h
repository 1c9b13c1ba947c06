/* What may stand in a JSON string as it is. Private to this layer. */
#ifndef MARLINE_WIRE_JSON_SCAN_H
#define MARLINE_WIRE_JSON_SCAN_H

#include "base/utf8.h"

/* True when one of eight bytes is not plain ASCII: a control character, a quote, a backslash, or
 * above 0x7f. The borrow of a subtraction can only spoil bytes behind one that is special itself.
 */
static inline bool json_any_special(const char *at)
{
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t tops = 0x8080808080808080u;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t quote = word ^ (ones * '"');
    uint64_t backslash = word ^ (ones * '\\');
    uint64_t special = (word - ones * 0x20) | (quote - ones) | (backslash - ones) | word;
    return (special & tops) != 0;
}

/* Size of the run at the start that needs no escape: whole, well-formed characters. */
static inline size_t json_plain_run(struct slice text)
{
    size_t at = 0;
    while (at < text.size) {
        while (text.size - at >= 8 && !json_any_special(text.data + at)) {
            at += 8;
        }
        if (at == text.size) {
            break;
        }
        unsigned char c = (unsigned char)text.data[at];
        if (c < 0x20 || c == '"' || c == '\\') {
            break;
        }
        size_t size = marline__utf8_sequence((struct slice){text.data + at, text.size - at});
        if (size == 0) {
            break;
        }
        at += size;
    }
    return at;
}

#endif
