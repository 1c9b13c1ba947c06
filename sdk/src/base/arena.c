/* Memory that is freed all at once; see arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>

#include "base/memory.h"

enum {
    ALIGNMENT = alignof(max_align_t),
    FIRST_BLOCK = 1024,
    BLOCK_MAX = 256 * 1024, /* beyond this blocks no longer double */
};

struct arena_block {
    struct arena_block *older;
    size_t used;
    size_t capacity;
    alignas(max_align_t) char data[];
};

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    size_t capacity = arena->blocks ? arena->blocks->capacity * 2 : FIRST_BLOCK;
    if (capacity > BLOCK_MAX) {
        capacity = BLOCK_MAX;
    }
    if (capacity < size) {
        capacity = size;
    }
    struct arena_block *block = marline__memory_resize(NULL, sizeof *block + capacity);
    if (!block) {
        return NULL;
    }
    *block = (struct arena_block){.older = arena->blocks, .used = 0, .capacity = capacity};
    arena->blocks = block;
    return block;
}

void *marline__arena_allocate(struct arena *arena, size_t size)
{
    struct arena_block *block = arena->blocks;
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (!block || block->capacity - block->used < size) {
        block = add_block(arena, size);
        if (!block) {
            return NULL;
        }
    }
    void *memory = block->data + block->used;
    block->used += size;
    return memory;
}

void *marline__arena_copy(struct arena *arena, const void *data, size_t size)
{
    void *copy = marline__arena_allocate(arena, size);
    if (copy && size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}

void marline__arena_deinit(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *older = arena->blocks->older;
        marline__memory_free(arena->blocks);
        arena->blocks = older;
    }
}
