/* Fast appending of text and bytes to a buffer, for the encoders that run for every span: room is
 * asked for once for several pieces, which are then written without further checks. Private to this
 * layer.
 *
 *     struct output o = output_begin(buffer);
 *     if (output_need(&o, 1 + text.size)) { output_byte(&o, 'x'); output_bytes(&o, text…); }
 *     output_end(&o);
 *
 * Between begin and end the buffer must not be used otherwise. */
#ifndef MARLINE_WIRE_OUTPUT_H
#define MARLINE_WIRE_OUTPUT_H

#include "base/buffer.h"

struct output {
    struct buffer *buffer;
    char *at;
    char *limit;
};

static inline struct output output_begin(struct buffer *buffer)
{
    char *at = buffer->data ? buffer->data + buffer->size : NULL;
    return (struct output){buffer, at, at ? buffer->data + buffer->capacity - 1 : NULL};
}

static inline void output_end(struct output *o)
{
    if (o->at) {
        o->buffer->size = (size_t)(o->at - o->buffer->data);
        *o->at = '\0';
    }
}

static inline size_t output_size(const struct output *o)
{
    return o->at ? (size_t)(o->at - o->buffer->data) : 0;
}

bool marline__output_grow(struct output *o, size_t more);

/* Makes room for `more` bytes; false, and buffer->failed, when out of memory. */
static inline bool output_need(struct output *o, size_t more)
{
    return (o->at && (size_t)(o->limit - o->at) >= more) || marline__output_grow(o, more);
}

/* The following write what output_need made room for. */

static inline void output_byte(struct output *o, char byte)
{
    *o->at++ = byte;
}

static inline void output_bytes(struct output *o, const void *data, size_t size)
{
    if (size > 0) {
        memcpy(o->at, data, size);
        o->at += size;
    }
}

#define OUTPUT_LITERAL(o, text) output_bytes((o), (text), sizeof(text) - 1)

enum { OUTPUT_UNSIGNED_MAX = 20 };

/* Decimal. */
void marline__output_unsigned(struct output *o, uint64_t value);

/* ---- the following ask for their own room ---- */

/* A JSON string with its quotes; malformed UTF-8 becomes U+FFFD. */
void marline__output_json_string(struct output *o, struct slice text);
/* The shortest text that reads back to the same double, as Python writes it; not for NaN and
 * infinities. */
void marline__output_json_double(struct output *o, double value);

#endif
