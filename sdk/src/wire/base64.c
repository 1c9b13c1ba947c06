/* Base64 (RFC 4648). */
#include "wire/base64.h"

void marline__base64_encode(struct slice bytes, struct buffer *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = (const unsigned char *)bytes.data;
    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                         (left > 2 ? in[i + 2] : 0);
        char quad[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
                        left > 1 ? alphabet[group >> 6 & 63] : '=',
                        left > 2 ? alphabet[group & 63] : '='};
        marline__buffer_append(out, quad, sizeof quad);
    }
}

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    if (c == '+' || c == '-') {
        return 62;
    }
    return c == '/' || c == '_' ? 63 : -1;
}

/* The text without its padding, which is all or nothing. */
static bool strip_padding(struct slice *text)
{
    size_t padded = text->size;
    while (text->size > 0 && padded - text->size < 2 && text->data[text->size - 1] == '=') {
        text->size--;
    }
    return text->size % 4 != 1 && (padded == text->size || padded % 4 == 0);
}

bool marline__base64_decode(struct slice text, struct buffer *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    if (!strip_padding(&text)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        int value = digit(text.data[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            marline__buffer_append_byte(out, (char)(bits >> count & 0xff));
        }
    }
    return (bits & ((1u << count) - 1)) == 0;
}
