/* A growing run of bytes. One owner, no thread safety.
 * Failure is sticky: after an append runs out of memory every later append does nothing and
 * `failed` stays true, so a writer checks once, at the end. The bytes are always followed by a NUL
 * that does not count, so `data` of a non-empty buffer can be read as text. */
#ifndef MARLINE_BASE_BUFFER_H
#define MARLINE_BASE_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

#define BUFFER_INIT ((struct buffer){NULL, 0, 0, false})

void marline__buffer_deinit(struct buffer *b);
/* Empties it, keeps the memory, clears `failed`. */
void marline__buffer_clear(struct buffer *b);
/* Makes room for `more` bytes beyond size; false, and failed, when out of memory. */
bool marline__buffer_reserve(struct buffer *b, size_t more);
void marline__buffer_append(struct buffer *b, const void *data, size_t size);
void marline__buffer_append_slice(struct buffer *b, struct slice s);
void marline__buffer_append_text(struct buffer *b, const char *text);
void marline__buffer_append_byte(struct buffer *b, char byte);
void marline__buffer_append_unsigned(struct buffer *b, uint64_t value);
void marline__buffer_append_signed(struct buffer *b, int64_t value);
void marline__buffer_append_format(struct buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Removes the first n bytes (n <= size). */
void marline__buffer_consume(struct buffer *b, size_t n);
/* Returns the bytes as an owned NUL-terminated block and empties the buffer; NULL if it had failed.
 */
char *marline__buffer_take(struct buffer *b);

static inline struct slice marline__buffer_slice(const struct buffer *b)
{
    return (struct slice){b->data, b->size};
}

#endif
