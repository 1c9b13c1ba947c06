/* Keeps what is sent below the rate that the peer allows (wire-protocol §1.6: messages above it are
 * dropped there without a trace). A sliding window over the times of the last messages. Pure. */
#ifndef MARLINE_CONNECTOR_PACER_H
#define MARLINE_CONNECTOR_PACER_H

#include <stdbool.h>
#include <stdint.h>

enum { PACER_BURST_MAX = 64 };

struct pacer {
    uint32_t burst; /* messages per window; 0 = no limit */
    uint64_t window_ns;
    uint64_t sent_ns[PACER_BURST_MAX]; /* a ring of the last `burst` messages */
    uint32_t next;
    uint32_t count;
};

/* At most 80 % of the rate: what the network delays and then delivers together must still fit.
 * 0 = no limit. */
void marline__pacer_limit(struct pacer *p, uint32_t per_second);
/* One message per gap, never two together. */
void marline__pacer_space(struct pacer *p, uint64_t gap_ns);
/* The earliest time at which a message may go. */
uint64_t marline__pacer_ready_ns(const struct pacer *p);
void marline__pacer_sent(struct pacer *p, uint64_t now_ns);

#endif
