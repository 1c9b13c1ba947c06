/* Memory that is freed all at once: for trees that live and die together. One owner, no thread
 * safety. */
#ifndef MARLINE_BASE_ARENA_H
#define MARLINE_BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
};

#define ARENA_INIT ((struct arena){NULL})

/* Returns memory owned by the arena, aligned for any type, not cleared; NULL when out of memory. A
 * size of 0 gives a valid pointer. */
void *marline__arena_allocate(struct arena *arena, size_t size);
/* NULL when out of memory. */
void *marline__arena_copy(struct arena *arena, const void *data, size_t size);
void marline__arena_deinit(struct arena *arena);

#endif
