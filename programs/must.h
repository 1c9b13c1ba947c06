/* Memory for a program: what cannot be had ends it, with a message and exit code 70. Any thread. */
#ifndef PROGRAMS_MUST_H
#define PROGRAMS_MUST_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/memory.h"

/* Returns the block unless it is NULL. */
void *must(void *block);
void *must_zeroed(size_t size);
/* Grows an array of `size`-byte items so that one more fits beyond `count`; the capacity doubles.
 */
void *must_grow(void *items, size_t count, size_t *capacity, size_t size);
/* Returns owned; NULL for NULL. */
char *must_text(const char *text);
char *must_slice(struct slice s);
/* Ends the program when the buffer ran out of memory. */
void must_buffer(const struct buffer *b);

#endif
