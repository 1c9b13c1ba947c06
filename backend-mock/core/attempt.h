/* Whose a span is that names its test but not its attempt. A pure function of what is known about
 * the attempts of that test:
 *   one attempt only                          -> that one
 *   else exactly one reported the span's trace -> that one
 *   else exactly one was under way at its start -> that one
 *   else nobody knows, and the span stays unlinked. */
#ifndef CORE_ATTEMPT_H
#define CORE_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct attempt {
    uint32_t number;
    uint64_t dispatched_unix_ns; /* 0 = not known */
    uint64_t finished_unix_ns;   /* UINT64_MAX = not yet */
    bool has_trace;              /* as its result reported it */
    uint8_t trace_id[16];
};

enum attempt_reason {
    ATTEMPT_ONLY,
    ATTEMPT_BY_TRACE,
    ATTEMPT_BY_WINDOW,
    ATTEMPT_NONE_KNOWN, /* no attempt was dispatched and no result stored */
    ATTEMPT_AMBIGUOUS,
};

enum { ATTEMPT_UNKNOWN = 0 };

/* Returns the attempt's number, or ATTEMPT_UNKNOWN; out_reason may be NULL. */
uint32_t attempt_choose(const struct attempt *attempts, size_t count, const uint8_t trace_id[16],
                        uint64_t start_unix_ns, enum attempt_reason *out_reason);

#endif
