/* Memory for the backend's own programs, which abort when there is none (the library does not). */
#ifndef CORE_ALLOC_H
#define CORE_ALLOC_H

#include "base/buffer.h"
#include "base/memory.h"

/* All zero; freed with marline__memory_free. */
void *alloc_zeroed(size_t size);
void *alloc_array(size_t count, size_t size);
void *alloc_resize(void *block, size_t size);
/* An owned copy with a NUL after it; empty for an empty slice. */
char *alloc_slice(struct slice s);
/* To be called once after a run of appends. */
void alloc_check_buffer(const struct buffer *b);

#endif
