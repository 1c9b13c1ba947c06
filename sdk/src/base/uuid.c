/* UUIDs; SHA-1 comes from libuuid. */
#include "base/uuid.h"

#include <uuid/uuid.h>

#include "base/hex.h"

static struct slice strip_wrapping(struct slice text)
{
    static const char urn[] = "urn:uuid:";
    if (marline__slice_starts(text, urn)) {
        text.data += sizeof urn - 1;
        text.size -= sizeof urn - 1;
    } else if (text.size > 2 && text.data[0] == '{' && text.data[text.size - 1] == '}') {
        text.data += 1;
        text.size -= 2;
    }
    return text;
}

bool marline__uuid_parse(struct slice text, struct uuid *out)
{
    text = strip_wrapping(text);
    char digits[32];
    if (text.size == sizeof digits) {
        return marline__hex_decode(text, out->bytes, sizeof out->bytes);
    }
    if (text.size != UUID_TEXT_SIZE - 1) {
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (text.data[i] == '-')) {
            return false;
        }
        if (!dash) {
            digits[count++] = text.data[i];
        }
    }
    return marline__hex_decode((struct slice){digits, count}, out->bytes, sizeof out->bytes);
}

void marline__uuid_format(const struct uuid *u, char out[UUID_TEXT_SIZE])
{
    uuid_unparse_lower(u->bytes, out);
}

bool marline__uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool marline__uuid_is_nil(const struct uuid *u)
{
    return uuid_is_null(u->bytes) != 0;
}

struct uuid marline__uuid_random(const struct random_source *r)
{
    struct uuid u;
    marline__random_fill(r, u.bytes, sizeof u.bytes);
    u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0f) | 0x40);
    u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3f) | 0x80);
    return u;
}

struct uuid marline__uuid_derived(const struct uuid *name_space, struct slice name)
{
    struct uuid u;
    uuid_generate_sha1(u.bytes, name_space->bytes, name.data ? name.data : "", name.size);
    return u;
}
