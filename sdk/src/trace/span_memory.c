/* Chunks from the allocator behind it; see span_memory.h. */
#include "trace/span_memory.h"

#include "base/memory.h"

enum { CHUNK_SIZE = 4096, CHUNK_ALIGNMENT = 16 };

struct span_chunk {
    struct span_chunk *next;
    _Alignas(CHUNK_ALIGNMENT) char bytes[];
};

void marline__span_memory_free_chunks(struct span_memory *a)
{
    while (a->chunks) {
        struct span_chunk *chunk = a->chunks;
        a->chunks = chunk->next;
        marline__memory_free(chunk);
    }
}

void *marline__span_memory_from_chunk(struct span_memory *a, size_t size, size_t alignment)
{
    if (size > SPAN_BYTES_MAX - a->allocated || alignment > CHUNK_ALIGNMENT) {
        return NULL;
    }
    /* A large piece gets a chunk of its own, so that the rest of the current one stays of use. */
    size_t capacity = size > CHUNK_SIZE / 4 ? size : CHUNK_SIZE;
    struct span_chunk *chunk = marline__memory_resize(NULL, sizeof *chunk + capacity);
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
