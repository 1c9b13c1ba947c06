/* Memory that is handed out in pieces and given back all at once. It starts with a block of its
 * owner's, so that small uses never reach the allocator. No thread safety. */
#ifndef MARLINE_TRACE_ARENA_H
#define MARLINE_TRACE_ARENA_H

#include <stddef.h>
#include <stdint.h>

enum {
    /* One span, event lists included, may not hold more: an OTLP request could not carry it. */
    ARENA_BYTES_MAX = 64 * 1024 * 1024,
};

struct arena_chunk;

struct arena {
    char *at;
    char *end;
    struct arena_chunk *chunks;
    size_t allocated; /* by chunks */
};

/* `block` may be NULL. It is borrowed until deinit. */
static inline void marline__arena_init(struct arena *a, void *block, size_t size)
{
    a->at = block;
    a->end = block ? (char *)block + size : NULL;
    a->chunks = NULL;
    a->allocated = 0;
}

void marline__arena_free_chunks(struct arena *a);

/* The arena may be initialised again afterwards. */
static inline void marline__arena_deinit(struct arena *a)
{
    if (a->chunks) {
        marline__arena_free_chunks(a);
    }
}

void *marline__arena_from_chunk(struct arena *a, size_t size, size_t alignment);

/* Not cleared. alignment: a power of two. NULL when out of memory or above ARENA_BYTES_MAX. */
static inline void *marline__arena_take(struct arena *a, size_t size, size_t alignment)
{
    size_t skip = (size_t)(-(uintptr_t)a->at) & (alignment - 1);
    if (a->at && size <= (size_t)(a->end - a->at) && skip <= (size_t)(a->end - a->at) - size) {
        char *block = a->at + skip;
        a->at = block + size;
        return block;
    }
    return marline__arena_from_chunk(a, size, alignment);
}

#endif
