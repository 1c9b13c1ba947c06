/* Memory for a program. */
#include "programs/must.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "programs/exit_code.h"

static _Noreturn void end_out_of_memory(void)
{
    (void)fprintf(stderr, "%s: out of memory\n", program_invocation_short_name);
    _Exit(EXIT_CODE_INTERNAL);
}

void *must(void *block)
{
    if (!block) {
        end_out_of_memory();
    }
    return block;
}

void *must_zeroed(size_t size)
{
    return must(marline__memory_zeroed(size));
}

void *must_grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    size_t wanted = *capacity ? *capacity * 2 : 8;
    if (wanted > SIZE_MAX / size) {
        end_out_of_memory();
    }
    *capacity = wanted;
    return must(marline__memory_resize(items, wanted * size));
}

char *must_text(const char *text)
{
    return text ? must(marline__memory_text(text)) : NULL;
}

char *must_slice(struct slice s)
{
    return must(marline__memory_slice(s));
}

void must_buffer(const struct buffer *b)
{
    if (b->failed) {
        end_out_of_memory();
    }
}
