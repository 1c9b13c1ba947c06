/* Whose a span without attempt number is. */
#include "core/attempt.h"

#include <string.h>

static bool reported(const struct attempt *a, const uint8_t trace_id[16])
{
    return a->has_trace && memcmp(a->trace_id, trace_id, sizeof a->trace_id) == 0;
}

static bool was_under_way(const struct attempt *a, uint64_t at_unix_ns)
{
    return a->dispatched_unix_ns <= at_unix_ns && at_unix_ns <= a->finished_unix_ns;
}

uint32_t attempt_choose(const struct attempt *attempts, size_t count, const uint8_t trace_id[16],
                        uint64_t start_unix_ns, enum attempt_reason *out_reason)
{
    size_t traces = 0;
    size_t windows = 0;
    uint32_t by_trace = ATTEMPT_UNKNOWN;
    uint32_t by_window = ATTEMPT_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        if (reported(&attempts[i], trace_id)) {
            traces++;
            by_trace = attempts[i].number;
        }
        if (was_under_way(&attempts[i], start_unix_ns)) {
            windows++;
            by_window = attempts[i].number;
        }
    }
    enum attempt_reason reason = count == 0     ? ATTEMPT_NONE_KNOWN
                                 : count == 1   ? ATTEMPT_ONLY
                                 : traces == 1  ? ATTEMPT_BY_TRACE
                                 : windows == 1 ? ATTEMPT_BY_WINDOW
                                                : ATTEMPT_AMBIGUOUS;
    if (out_reason) {
        *out_reason = reason;
    }
    switch (reason) {
    case ATTEMPT_ONLY:
        return attempts[0].number;
    case ATTEMPT_BY_TRACE:
        return by_trace;
    case ATTEMPT_BY_WINDOW:
        return by_window;
    case ATTEMPT_NONE_KNOWN:
    case ATTEMPT_AMBIGUOUS:
        break;
    }
    return ATTEMPT_UNKNOWN;
}
