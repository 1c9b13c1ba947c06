/* The one place that allocates. Any thread. A failing allocator can be installed by tests. */
#ifndef MARLINE_BASE_MEMORY_H
#define MARLINE_BASE_MEMORY_H

#include <stddef.h>

#include "base/slice.h"

struct memory_functions {
    void *(*allocate)(size_t size);
    void *(*resize)(void *block, size_t size);
    void (*release)(void *block);
};

/* Returns owned memory, all zero; NULL when out of memory. A size of 0 counts as 1. */
void *marline__memory_zeroed(size_t size);
/* As zeroed, for an array; NULL also when count * size overflows. */
void *marline__memory_array(size_t count, size_t size);
/* As realloc. The new part is not cleared. On failure the old block stays valid. */
void *marline__memory_resize(void *block, size_t size);
void marline__memory_free(void *block);

/* Returns an owned NUL-terminated copy; NULL when out of memory (or text is NULL). */
char *marline__memory_text(const char *text);
char *marline__memory_slice(struct slice s);

/* Installs other functions, NULL for the C library's. For tests: call before any other thread runs.
 */
void marline__memory_install(const struct memory_functions *functions);

#endif
