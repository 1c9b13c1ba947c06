/* An allocator that counts what is alive and can refuse one call. */
#include "support/failing_memory.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"

static size_t calls;
static size_t refused_call;
static size_t alive;

static bool refuse(void)
{
    return ++calls == refused_call;
}

static void *allocate(size_t size)
{
    void *block = refuse() ? NULL : malloc(size);
    alive += block != NULL;
    return block;
}

static void *resize(void *block, size_t size)
{
    void *moved = refuse() ? NULL : realloc(block, size);
    alive += moved != NULL && block == NULL;
    return moved;
}

static void release(void *block)
{
    alive -= block != NULL;
    free(block);
}

void failing_memory_install(size_t fail_at)
{
    static const struct memory_functions functions = {allocate, resize, release};
    calls = 0;
    alive = 0;
    refused_call = fail_at;
    marline__memory_install(&functions);
}

void failing_memory_remove(void)
{
    marline__memory_install(NULL);
}

size_t failing_memory_alive(void)
{
    return alive;
}

bool failing_memory_has_failed(void)
{
    return refused_call > 0 && calls >= refused_call;
}
