/* The circuit breaker before an exporter: whether another attempt is worth making. Pure: times and
 * random bits come in; it never waits.
 *
 *   closed     attempts are made. FAILURES_MAX failures in a row          -> open
 *   open       no attempt until retry_ns. begin() at or after that, or
 *              force() at any time                                        -> half-open
 *   half-open  one attempt is under way. succeeded()                      -> closed
 *                                        failed()                         -> open, for longer
 *
 * An attempt is what the exporter makes of one batch, its own retries included: three failures in a
 * row are half a minute of outage rather than a hiccup. The pause starts at 5 s, doubles with each
 * failed probe up to a minute, and is drawn between its half and its whole, so that programs that
 * failed together do not come back together. */
#ifndef MARLINE_TRACE_BREAKER_H
#define MARLINE_TRACE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum { BREAKER_FAILURES_MAX = 3 };

#define BREAKER_PAUSE_FIRST_NS (5 * NS_PER_S)
#define BREAKER_PAUSE_MAX_NS   (60 * NS_PER_S)

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker {
    enum breaker_state state;
    unsigned failures;  /* in a row, while closed */
    uint64_t pause_ns;  /* of the last opening; 0 = none yet */
    uint64_t retry_ns;  /* while open */
    uint64_t successes; /* ever: tells whether anything got through since it was looked at last */
};

void marline__breaker_init(struct breaker *b);
/* True: make an attempt, and tell how it ended. */
bool marline__breaker_begin(struct breaker *b, uint64_t now_ns);
/* An attempt is made in any case, because somebody waits for it. */
void marline__breaker_force(struct breaker *b);
void marline__breaker_succeeded(struct breaker *b);
void marline__breaker_failed(struct breaker *b, uint64_t now_ns, uint64_t random);
/* From when on begin() may answer true: 0 = now, TIME_NEVER = not before the attempt has ended. */
uint64_t marline__breaker_retry_ns(const struct breaker *b);

#endif
