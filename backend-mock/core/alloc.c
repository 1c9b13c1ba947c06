/* Memory or abort. */
#include "core/alloc.h"

#include <stdlib.h>

static void *must(void *block)
{
    if (!block) {
        abort();
    }
    return block;
}

void *alloc_zeroed(size_t size)
{
    return must(marline__memory_zeroed(size));
}

void *alloc_array(size_t count, size_t size)
{
    return must(marline__memory_array(count, size));
}

void *alloc_resize(void *block, size_t size)
{
    return must(marline__memory_resize(block, size));
}

char *alloc_slice(struct slice s)
{
    return must(marline__memory_slice(s));
}

void alloc_check_buffer(const struct buffer *b)
{
    if (b->failed) {
        abort();
    }
}
