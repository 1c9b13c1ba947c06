/* UTF-8; see utf8.h. */
#include "base/utf8.h"

/* How many bytes of the sequence at the start are as they should be, and how many it should have;
 * the table of RFC 3629, section 4. */
static size_t matched(struct slice text, size_t *out_size)
{
    const unsigned char *at = (const unsigned char *)text.data;
    unsigned char lead = at[0];
    *out_size = lead < 0x80 ? 1 : (lead >= 0xf0 ? 4 : (lead >= 0xe0 ? 3 : 2));
    if (lead >= 0x80 && (lead < 0xc2 || lead > 0xf4)) {
        return 0;
    }
    unsigned char low = lead == 0xe0 ? 0xa0 : (lead == 0xf0 ? 0x90 : 0x80);
    unsigned char high = lead == 0xed ? 0x9f : (lead == 0xf4 ? 0x8f : 0xbf);
    size_t count = 1;
    while (count < *out_size && count < text.size && at[count] >= low && at[count] <= high) {
        low = 0x80;
        high = 0xbf;
        count++;
    }
    return count;
}

size_t marline__utf8_sequence(struct slice text)
{
    size_t size;
    if ((unsigned char)text.data[0] < 0x80) {
        return 1;
    }
    return matched(text, &size) == size ? size : 0;
}

size_t marline__utf8_malformed(struct slice text)
{
    size_t size;
    size_t count = matched(text, &size);
    return count > 0 ? count : 1;
}

bool marline__utf8_is_valid_slow(struct slice text)
{
    while (text.size > 0) {
        size_t size = marline__utf8_sequence(text);
        if (size == 0) {
            return false;
        }
        text = (struct slice){text.data + size, text.size - size};
    }
    return true;
}

size_t marline__utf8_length(struct slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }
    return count;
}

size_t marline__utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

void marline__utf8_append_repaired(struct buffer *out, struct slice text)
{
    while (text.size > 0) {
        size_t size = marline__utf8_sequence(text);
        if (size > 0) {
            marline__buffer_append(out, text.data, size);
        } else {
            size = marline__utf8_malformed(text);
            marline__buffer_append_slice(out, UTF8_REPLACEMENT);
        }
        text = (struct slice){text.data + size, text.size - size};
    }
}
