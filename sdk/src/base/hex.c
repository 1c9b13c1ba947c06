/* Hexadecimal text. */
#include "base/hex.h"

static int digit_value(char c, bool allow_upper)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (allow_upper && c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

static bool decode(struct slice text, uint8_t *out, size_t size, bool allow_upper)
{
    if (text.size != size * 2) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        int high = digit_value(text.data[2 * i], allow_upper);
        int low = digit_value(text.data[2 * i + 1], allow_upper);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

void marline__hex_encode(const uint8_t *bytes, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

bool marline__hex_decode(struct slice text, uint8_t *out, size_t size)
{
    return decode(text, out, size, true);
}

bool marline__hex_decode_lower(struct slice text, uint8_t *out, size_t size)
{
    return decode(text, out, size, false);
}
