/* What every fuzz target needs: the entry point, and a check that stays in optimised builds. */
#ifndef MARLINE_TESTS_FUZZ_H
#define MARLINE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/slice.h"

/* libFuzzer's; run_corpus.c calls it too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition) ((condition) ? (void)0 : abort())

static inline struct slice fuzz_input(const uint8_t *data, size_t size)
{
    return (struct slice){(const char *)data, size};
}

#endif
