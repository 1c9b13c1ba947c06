/* A pull reader of protobuf fields over one message in memory. It allocates nothing and hands out
 * slices of the message. Errors are sticky: after the first, nothing more is read. */
#ifndef MARLINE_WIRE_PROTOBUF_READER_H
#define MARLINE_WIRE_PROTOBUF_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum protobuf_wire {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5,
};

struct protobuf_reader {
    struct slice rest;
    const char *error; /* fixed text, NULL while all is well */
};

struct protobuf_field {
    uint32_t number;
    enum protobuf_wire wire;
    uint64_t value;     /* VARINT, FIXED64, FIXED32 */
    struct slice bytes; /* BYTES */
};

static inline struct protobuf_reader protobuf_reader_of(struct slice message)
{
    return (struct protobuf_reader){message, NULL};
}

/* False at the end of the message or on an error. Groups, which nobody sends any more, are passed
 * over. */
bool marline__protobuf_next(struct protobuf_reader *r, struct protobuf_field *out);

/* Goes to the next field of this number and wire type; all others are passed over (PB-04). */
bool marline__protobuf_find(struct protobuf_reader *r, uint32_t number, enum protobuf_wire wire,
                            struct protobuf_field *out);

#endif
