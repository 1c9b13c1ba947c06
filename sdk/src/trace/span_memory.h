/* Memory that is handed out in pieces and given back all at once. It starts with a block of its
 * owner's, so that small uses never reach the allocator. No thread safety. */
#ifndef MARLINE_TRACE_SPAN_MEMORY_H
#define MARLINE_TRACE_SPAN_MEMORY_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* One span, event lists included, may not hold more: an OTLP request could not carry it. */
    SPAN_BYTES_MAX = 64 * 1024 * 1024,
};

struct span_chunk;

struct span_memory {
    char *at;
    char *end;
    struct span_chunk *chunks;
    size_t allocated; /* by chunks */
};

/* `block` may be NULL. It is borrowed until deinit. */
static inline void marline__span_memory_init(struct span_memory *a, void *block, size_t size)
{
    a->at = block;
    a->end = block ? (char *)block + size : NULL;
    a->chunks = NULL;
    a->allocated = 0;
}

void marline__span_memory_free_chunks(struct span_memory *a);

/* The arena may be initialised again afterwards. */
static inline void marline__span_memory_deinit(struct span_memory *a)
{
    if (a->chunks) {
        marline__span_memory_free_chunks(a);
    }
}

void *marline__span_memory_from_chunk(struct span_memory *a, size_t size, size_t alignment);

/* Not cleared. alignment: a power of two. NULL when out of memory or above SPAN_BYTES_MAX. */
static inline void *marline__span_memory_take(struct span_memory *a, size_t size, size_t alignment)
{
    size_t skip = (size_t)(-(uintptr_t)a->at) & (alignment - 1);
    if (a->at && size <= (size_t)(a->end - a->at) && skip <= (size_t)(a->end - a->at) - size) {
        char *block = a->at + skip;
        a->at = block + size;
        return block;
    }
    return marline__span_memory_from_chunk(a, size, alignment);
}

#endif
