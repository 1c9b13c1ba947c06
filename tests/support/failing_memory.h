/* An allocator that counts what is alive and can refuse one call. Installs itself into
 * base/memory.h; one thread. */
#ifndef MARLINE_TESTS_FAILING_MEMORY_H
#define MARLINE_TESTS_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* The call with this number fails (from 1), 0 for none. */
void failing_memory_install(size_t fail_at);
/* Back to the C library's. */
void failing_memory_remove(void);
/* Blocks allocated since install and not released. */
size_t failing_memory_alive(void);
/* Whether the call that was to fail came. */
bool failing_memory_has_failed(void);

#endif
