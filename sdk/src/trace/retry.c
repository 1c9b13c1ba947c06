/* The platform exporter's retries; see retry.h. */
#include "trace/retry.h"

#include <stdbool.h>

#include "base/clock.h"

enum { ATTEMPTS_MAX = 3, BUDGET_S = 10, RANDOM_WAIT_MAX_S = 2 };

void marline__retry_begin(struct retry *r, uint64_t now_ns, uint64_t caller_deadline_ns)
{
    uint64_t budget_end = now_ns + BUDGET_S * NS_PER_S;
    r->deadline_ns = caller_deadline_ns < budget_end ? caller_deadline_ns : budget_end;
    r->attempts = 0;
}

uint64_t marline__retry_left_ns(const struct retry *r, uint64_t now_ns)
{
    return now_ns < r->deadline_ns ? r->deadline_ns - now_ns : 0;
}

static bool is_retryable(const struct retry_outcome *outcome)
{
    if (outcome->transport != MARLINE_OK) {
        return outcome->transport == MARLINE_EIO || outcome->transport == MARLINE_ETIMEDOUT;
    }
    return outcome->http_status == 408 || outcome->http_status == 429 ||
           outcome->http_status >= 500;
}

enum retry_verdict marline__retry_judge(struct retry *r, const struct retry_outcome *outcome,
                                        uint64_t now_ns, uint64_t random, uint64_t *out_wait_ns)
{
    r->attempts++;
    bool answered = outcome->transport == MARLINE_OK;
    if (answered && outcome->http_status >= 200 && outcome->http_status < 300) {
        return RETRY_DELIVERED;
    }
    if (!is_retryable(outcome)) {
        return answered ? RETRY_REFUSED : RETRY_GIVE_UP;
    }
    uint64_t wait_ns = r->attempts * NS_PER_S + random % (RANDOM_WAIT_MAX_S * NS_PER_S + 1);
    if (r->attempts == ATTEMPTS_MAX || wait_ns >= marline__retry_left_ns(r, now_ns)) {
        return RETRY_GIVE_UP;
    }
    *out_wait_ns = wait_ns;
    return RETRY_AGAIN;
}
