/* Whether a failed delivery is tried again, and when. Pure: times and random bits come in.
 * The platform's rule (wire-protocol §4.8): 408, 429, 5xx and lost connections, three attempts
 * within one budget, waits of n s + random 0 to 2 s after attempt n. */
#ifndef MARLINE_TRACE_RETRY_H
#define MARLINE_TRACE_RETRY_H

#include <stdint.h>

#include <marline/status.h>

struct retry {
    uint64_t deadline_ns; /* of all attempts together */
    unsigned attempts;    /* that were made */
};

enum retry_verdict {
    RETRY_DELIVERED,
    RETRY_REFUSED, /* this data is not wanted: do not send it again */
    RETRY_AGAIN,   /* after wait_ns */
    RETRY_GIVE_UP, /* attempts or time are used up, or it is pointless */
};

/* What one attempt came to: transport is MARLINE_OK when an answer with http_status arrived. */
struct retry_outcome {
    marline_status transport;
    int http_status;
};

/* The budget of 10 s is cut to the deadline of the caller. */
void marline__retry_begin(struct retry *r, uint64_t now_ns, uint64_t caller_deadline_ns);
/* Time left for the next attempt; 0 = none. */
uint64_t marline__retry_left_ns(const struct retry *r, uint64_t now_ns);
/* Judges the attempt that just ended. `random` is any 64 random bits. */
enum retry_verdict marline__retry_judge(struct retry *r, const struct retry_outcome *outcome,
                                        uint64_t now_ns, uint64_t random, uint64_t *out_wait_ns);

#endif
