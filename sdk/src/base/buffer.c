/* A growing run of bytes with sticky failure; see buffer.h. */
#include "base/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"

enum { FIRST_CAPACITY = 128 };

void marline__buffer_deinit(struct buffer *b)
{
    marline__memory_free(b->data);
    *b = BUFFER_INIT;
}

void marline__buffer_clear(struct buffer *b)
{
    b->size = 0;
    b->failed = false;
    if (b->data) {
        b->data[0] = '\0';
    }
}

bool marline__buffer_reserve(struct buffer *b, size_t more)
{
    if (b->failed || more > SIZE_MAX / 2 - b->size) {
        b->failed = true;
        return false;
    }
    size_t needed = b->size + more + 1;
    if (needed <= b->capacity) {
        return true;
    }
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
    while (capacity < needed) {
        capacity *= 2;
    }
    char *data = marline__memory_resize(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void marline__buffer_append(struct buffer *b, const void *data, size_t size)
{
    if (!marline__buffer_reserve(b, size)) {
        return;
    }
    if (size > 0) {
        memcpy(b->data + b->size, data, size);
    }
    b->size += size;
    b->data[b->size] = '\0';
}

void marline__buffer_append_slice(struct buffer *b, struct slice s)
{
    marline__buffer_append(b, s.data, s.size);
}

void marline__buffer_append_text(struct buffer *b, const char *text)
{
    marline__buffer_append_slice(b, marline__slice_text(text));
}

void marline__buffer_append_byte(struct buffer *b, char byte)
{
    marline__buffer_append(b, &byte, 1);
}

void marline__buffer_append_unsigned(struct buffer *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    marline__buffer_append(b, digits + at, sizeof digits - at);
}

void marline__buffer_append_signed(struct buffer *b, int64_t value)
{
    if (value < 0) {
        marline__buffer_append_byte(b, '-');
        marline__buffer_append_unsigned(b, (uint64_t)0 - (uint64_t)value);
    } else {
        marline__buffer_append_unsigned(b, (uint64_t)value);
    }
}

void marline__buffer_append_format(struct buffer *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !marline__buffer_reserve(b, (size_t)length)) {
        b->failed = true;
        return;
    }
    va_start(arguments, format);
    (void)vsnprintf(b->data + b->size, (size_t)length + 1, format, arguments);
    va_end(arguments);
    b->size += (size_t)length;
}

void marline__buffer_consume(struct buffer *b, size_t n)
{
    assert(n <= b->size);
    if (n > 0) {
        memmove(b->data, b->data + n, b->size - n + 1);
        b->size -= n;
    }
}

char *marline__buffer_take(struct buffer *b)
{
    marline__buffer_append(b, NULL, 0);
    char *data = b->failed ? NULL : b->data;
    if (!data) {
        marline__memory_free(b->data);
    }
    *b = BUFFER_INIT;
    return data;
}
