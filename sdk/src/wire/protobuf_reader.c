/* A pull reader of protobuf fields; see protobuf_reader.h. */
#include "wire/protobuf_reader.h"

enum {
    WIRE_GROUP_START = 3,
    WIRE_GROUP_END = 4,
    GROUP_NESTING_MAX = 100,
    VARINT_MAX = 10,
};

static bool fail(struct protobuf_reader *r, const char *error)
{
    if (!r->error) {
        r->error = error;
    }
    return false;
}

static void advance(struct protobuf_reader *r, size_t size)
{
    r->rest = (struct slice){r->rest.data + size, r->rest.size - size};
}

static bool read_varint(struct protobuf_reader *r, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < VARINT_MAX && i < r->rest.size; i++) {
        uint8_t byte = (uint8_t)r->rest.data[i];
        value |= (uint64_t)(byte & 0x7f) << 7 * i;
        if (byte < 0x80) {
            advance(r, i + 1);
            *out = value;
            return true;
        }
    }
    return fail(r, r->rest.size < VARINT_MAX ? "a number is cut" : "a number is too long");
}

static bool read_fixed(struct protobuf_reader *r, size_t size, uint64_t *out)
{
    if (r->rest.size < size) {
        return fail(r, "a number is cut");
    }
    *out = 0;
    for (size_t i = 0; i < size; i++) {
        *out |= (uint64_t)(uint8_t)r->rest.data[i] << 8 * i;
    }
    advance(r, size);
    return true;
}

static bool read_bytes(struct protobuf_reader *r, struct slice *out)
{
    uint64_t size;
    if (!read_varint(r, &size)) {
        return false;
    }
    if (size > r->rest.size) {
        return fail(r, "a length goes beyond the end");
    }
    *out = (struct slice){r->rest.data, (size_t)size};
    advance(r, (size_t)size);
    return true;
}

static bool read_tag(struct protobuf_reader *r, uint32_t *out_number, unsigned *out_wire)
{
    uint64_t tag;
    if (!read_varint(r, &tag)) {
        return false;
    }
    *out_number = (uint32_t)(tag >> 3);
    *out_wire = tag & 7;
    return (tag >> 3 > 0 && tag <= UINT32_MAX) || fail(r, "a field number is out of range");
}

static bool read_content(struct protobuf_reader *r, unsigned wire, struct protobuf_field *out)
{
    out->wire = (enum protobuf_wire)wire;
    switch (wire) {
    case PROTOBUF_VARINT:
        return read_varint(r, &out->value);
    case PROTOBUF_FIXED64:
        return read_fixed(r, 8, &out->value);
    case PROTOBUF_FIXED32:
        return read_fixed(r, 4, &out->value);
    case PROTOBUF_BYTES:
        return read_bytes(r, &out->bytes);
    default:
        return fail(r, "a wire type is unknown");
    }
}

/* Behind the start of a group: passes over it, whatever is nested in it. */
static bool skip_group(struct protobuf_reader *r, uint32_t number)
{
    uint32_t open[GROUP_NESTING_MAX] = {number};
    size_t depth = 1;
    while (depth > 0) {
        struct protobuf_field ignored;
        unsigned wire;
        if (!read_tag(r, &number, &wire)) {
            return false;
        }
        if (wire == WIRE_GROUP_START) {
            if (depth == GROUP_NESTING_MAX) {
                return fail(r, "groups are nested too deeply");
            }
            open[depth++] = number;
        } else if (wire == WIRE_GROUP_END) {
            if (open[--depth] != number) {
                return fail(r, "a group ends that did not start");
            }
        } else if (!read_content(r, wire, &ignored)) {
            return false;
        }
    }
    return true;
}

bool marline__protobuf_next(struct protobuf_reader *r, struct protobuf_field *out)
{
    while (!r->error && r->rest.size > 0) {
        unsigned wire;
        if (!read_tag(r, &out->number, &wire)) {
            return false;
        }
        if (wire != WIRE_GROUP_START) {
            return read_content(r, wire, out);
        }
        if (!skip_group(r, out->number)) {
            return false;
        }
    }
    return false;
}

bool marline__protobuf_find(struct protobuf_reader *r, uint32_t number, enum protobuf_wire wire,
                            struct protobuf_field *out)
{
    while (marline__protobuf_next(r, out)) {
        if (out->number == number && out->wire == wire) {
            return true;
        }
    }
    return false;
}
