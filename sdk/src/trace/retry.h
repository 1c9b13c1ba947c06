/* Whether a failed delivery is tried again, and when. Pure: times and random bits come in. */
#ifndef MARLINE_TRACE_RETRY_H
#define MARLINE_TRACE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include <marline/status.h>

/* What one attempt came to: transport is MARLINE_OK when an answer with http_status arrived. */
struct retry_outcome {
    marline_status transport;
    int http_status;
    bool has_retry_after;
    uint64_t retry_after_ns;
};

struct retry_policy {
    unsigned attempts_max;
    uint64_t budget_ns; /* of all attempts together */
    bool heeds_retry_after;
    bool (*is_retryable)(const struct retry_outcome *outcome);
    /* After the n-th attempt, n from 1. `random` is any 64 random bits. */
    uint64_t (*wait_ns)(unsigned attempt, uint64_t random);
};

/* wire-protocol §4.8: 408, 429, 5xx and lost connections, three attempts within 10 s, waits of n s
 * + random 0 to 2 s; Retry-After is ignored. */
extern const struct retry_policy marline__retry_platform;
/* otel.md CLI-07 to CLI-09: 429, 502, 503, 504 and lost connections, five attempts within the
 * caller's deadline, full jitter below 1 s * 1.5^n, at most 5 s. */
extern const struct retry_policy marline__retry_otlp;

struct retry {
    const struct retry_policy *policy;
    uint64_t deadline_ns;
    unsigned attempts; /* that were made */
};

enum retry_verdict {
    RETRY_DELIVERED,
    RETRY_REFUSED, /* this data is not wanted: do not send it again */
    RETRY_AGAIN,   /* after wait_ns */
    RETRY_GIVE_UP, /* attempts or time are used up, or it is pointless */
};

/* The policy's budget is cut to the deadline of the caller. */
void marline__retry_begin(struct retry *r, const struct retry_policy *policy, uint64_t now_ns,
                          uint64_t caller_deadline_ns);
/* Time left for the next attempt; 0 = none. */
uint64_t marline__retry_left_ns(const struct retry *r, uint64_t now_ns);
/* Judges the attempt that just ended. */
enum retry_verdict marline__retry_judge(struct retry *r, const struct retry_outcome *outcome,
                                        uint64_t now_ns, uint64_t random, uint64_t *out_wait_ns);

/* Reads Retry-After: seconds, or an HTTP date, which is compared with the wall clock; a date that
 * has passed is 0. False for any other text (CLI-08). */
bool marline__retry_after_parse(struct slice text, uint64_t wall_now_ns, uint64_t *out_ns);

#endif
