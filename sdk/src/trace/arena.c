/* Chunks from the allocator behind an arena; see arena.h. */
#include "trace/arena.h"

#include "base/memory.h"

enum { CHUNK_SIZE = 4096, CHUNK_ALIGNMENT = 16 };

struct arena_chunk {
    struct arena_chunk *next;
    _Alignas(CHUNK_ALIGNMENT) char bytes[];
};

void marline__arena_free_chunks(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *chunk = a->chunks;
        a->chunks = chunk->next;
        marline__memory_free(chunk);
    }
}

void *marline__arena_from_chunk(struct arena *a, size_t size, size_t alignment)
{
    if (size > ARENA_BYTES_MAX - a->allocated || alignment > CHUNK_ALIGNMENT) {
        return NULL;
    }
    /* A large piece gets a chunk of its own, so that the rest of the current one stays of use. */
    size_t capacity = size > CHUNK_SIZE / 4 ? size : CHUNK_SIZE;
    struct arena_chunk *chunk = marline__memory_resize(NULL, sizeof *chunk + capacity);
    if (!chunk) {
        return NULL;
    }
    chunk->next = a->chunks;
    a->chunks = chunk;
    a->allocated += capacity;
    if (capacity > size || !a->at) {
        a->at = chunk->bytes + size;
        a->end = chunk->bytes + capacity;
    }
    return chunk->bytes;
}
