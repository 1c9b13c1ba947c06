/* Retry decisions; see retry.h. */
#include "trace/retry.h"

#include <time.h>

#include "base/clock.h"

static bool is_lost_connection(const struct retry_outcome *outcome)
{
    return outcome->transport == MARLINE_EIO || outcome->transport == MARLINE_ETIMEDOUT;
}

/* ---- the platform ---- */

static bool is_retryable_by_platform(const struct retry_outcome *outcome)
{
    if (outcome->transport != MARLINE_OK) {
        return is_lost_connection(outcome);
    }
    return outcome->http_status == 408 || outcome->http_status == 429 ||
           outcome->http_status >= 500;
}

static uint64_t wait_by_platform(unsigned attempt, uint64_t random)
{
    return attempt * NS_PER_S + random % (2 * NS_PER_S + 1);
}

const struct retry_policy marline__retry_platform = {3, 10 * NS_PER_S, false,
                                                     is_retryable_by_platform, wait_by_platform};

/* ---- OTLP ---- */

static bool is_retryable_by_otlp(const struct retry_outcome *outcome)
{
    if (outcome->transport != MARLINE_OK) {
        return is_lost_connection(outcome);
    }
    int status = outcome->http_status;
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static uint64_t wait_by_otlp(unsigned attempt, uint64_t random)
{
    uint64_t most = NS_PER_S;
    for (unsigned i = 1; i < attempt && most < 5 * NS_PER_S; i++) {
        most = most * 3 / 2;
    }
    most = most < 5 * NS_PER_S ? most : 5 * NS_PER_S;
    return random % (most + 1);
}

const struct retry_policy marline__retry_otlp = {5, TIME_NEVER, true, is_retryable_by_otlp,
                                                 wait_by_otlp};

/* ---- any ---- */

void marline__retry_begin(struct retry *r, const struct retry_policy *policy, uint64_t now_ns,
                          uint64_t caller_deadline_ns)
{
    uint64_t budget_end =
        policy->budget_ns < TIME_NEVER - now_ns ? now_ns + policy->budget_ns : TIME_NEVER;
    r->policy = policy;
    r->deadline_ns = caller_deadline_ns < budget_end ? caller_deadline_ns : budget_end;
    r->attempts = 0;
}

uint64_t marline__retry_left_ns(const struct retry *r, uint64_t now_ns)
{
    return now_ns < r->deadline_ns ? r->deadline_ns - now_ns : 0;
}

enum retry_verdict marline__retry_judge(struct retry *r, const struct retry_outcome *outcome,
                                        uint64_t now_ns, uint64_t random, uint64_t *out_wait_ns)
{
    r->attempts++;
    bool answered = outcome->transport == MARLINE_OK;
    if (answered && outcome->http_status >= 200 && outcome->http_status < 300) {
        return RETRY_DELIVERED;
    }
    if (!r->policy->is_retryable(outcome)) {
        return answered ? RETRY_REFUSED : RETRY_GIVE_UP;
    }
    uint64_t wait_ns = r->policy->heeds_retry_after && outcome->has_retry_after
                           ? outcome->retry_after_ns
                           : r->policy->wait_ns(r->attempts, random);
    if (r->attempts == r->policy->attempts_max || wait_ns >= marline__retry_left_ns(r, now_ns)) {
        return RETRY_GIVE_UP;
    }
    *out_wait_ns = wait_ns;
    return RETRY_AGAIN;
}

/* ---- Retry-After ---- */

/* Digits at a fixed place; false when one is none. */
static bool number_at(struct slice text, size_t at, size_t digits, int *out)
{
    *out = 0;
    for (size_t i = at; i < at + digits; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        *out = *out * 10 + (text.data[i] - '0');
    }
    return true;
}

static int month_at(struct slice text, size_t at)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int month = 0; month < 12; month++) {
        if (memcmp(months + (size_t)3 * (size_t)month, text.data + at, 3) == 0) {
            return month;
        }
    }
    return -1;
}

/* Only the form that HTTP allows to send: Sun, 06 Nov 1994 08:49:37 GMT. */
static bool parse_date(struct slice text, time_t *out)
{
    static const size_t size = sizeof "Sun, 06 Nov 1994 08:49:37 GMT" - 1;
    struct tm t = {0};
    if (text.size != size || memcmp(text.data + 25, " GMT", 4) != 0 ||
        !number_at(text, 5, 2, &t.tm_mday) || !number_at(text, 12, 4, &t.tm_year) ||
        !number_at(text, 17, 2, &t.tm_hour) || !number_at(text, 20, 2, &t.tm_min) ||
        !number_at(text, 23, 2, &t.tm_sec)) {
        return false;
    }
    t.tm_mon = month_at(text, 8);
    t.tm_year -= 1900;
    if (t.tm_mon < 0) {
        return false;
    }
    *out = timegm(&t);
    return true;
}

bool marline__retry_after_parse(struct slice text, uint64_t wall_now_ns, uint64_t *out_ns)
{
    enum { DIGITS_MAX = 9 };
    int seconds;
    if (text.size > 0 && text.size <= DIGITS_MAX && number_at(text, 0, text.size, &seconds)) {
        *out_ns = (uint64_t)seconds * NS_PER_S;
        return true;
    }
    time_t date;
    if (!parse_date(text, &date)) {
        return false;
    }
    uint64_t at_ns = date > 0 ? (uint64_t)date * NS_PER_S : 0;
    *out_ns = at_ns > wall_now_ns ? at_ns - wall_now_ns : 0;
    return true;
}
