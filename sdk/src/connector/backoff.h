/* How long to wait before the next attempt to connect: full jitter below a bound that doubles with
 * each failure (otel.md WS-12). Pure: the random bits come in. */
#ifndef MARLINE_CONNECTOR_BACKOFF_H
#define MARLINE_CONNECTOR_BACKOFF_H

#include <stdint.h>

/* No wait is shorter, so that a backend which accepts and closes at once is not stormed. */
enum { BACKOFF_FLOOR_MS = 50 };

struct backoff {
    uint64_t first_ns; /* bound of the first wait */
    uint64_t max_ns;   /* bound of all waits */
    uint32_t failures; /* since the last reset */
};

/* Counts a failure and returns the wait: uniform in floor … floor + min(max, first * 2^failures).
 */
uint64_t marline__backoff_next(struct backoff *b, uint64_t random);
void marline__backoff_reset(struct backoff *b);

#endif
