/* Allocation behind a replaceable table, so that tests can fail the n-th call. */
#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>

static const struct memory_functions c_library = {malloc, realloc, free};
static const struct memory_functions *functions = &c_library;

void *marline__memory_zeroed(size_t size)
{
    void *block = functions->allocate(size ? size : 1);
    if (block) {
        memset(block, 0, size ? size : 1);
    }
    return block;
}

void *marline__memory_array(size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return marline__memory_zeroed(count * size);
}

void *marline__memory_resize(void *block, size_t size)
{
    return functions->resize(block, size ? size : 1);
}

void marline__memory_free(void *block)
{
    functions->release(block);
}

char *marline__memory_slice(struct slice s)
{
    char *copy = functions->allocate(s.size + 1);
    if (copy) {
        if (s.size > 0) {
            memcpy(copy, s.data, s.size);
        }
        copy[s.size] = '\0';
    }
    return copy;
}

char *marline__memory_text(const char *text)
{
    return text ? marline__memory_slice(marline__slice_text(text)) : NULL;
}

void marline__memory_install(const struct memory_functions *replacement)
{
    functions = replacement ? replacement : &c_library;
}
