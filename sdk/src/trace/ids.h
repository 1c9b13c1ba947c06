/* Random trace and span ids (otel.md CTX-01, CTX-03): xoshiro256++, seeded from the kernel.
 * One generator per thread; after a fork the child seeds its own anew. */
#ifndef MARLINE_TRACE_IDS_H
#define MARLINE_TRACE_IDS_H

#include <stdint.h>
#include <string.h>

struct id_source {
    uint64_t state[4];
};

void marline__ids_seed(struct id_source *ids);

static inline uint64_t marline__ids_next(struct id_source *ids)
{
    uint64_t *s = ids->state;
    uint64_t sum = s[0] + s[3];
    uint64_t result = ((sum << 23) | (sum >> 41)) + s[0];
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return result;
}

/* Never all zero. All bits are random, so a root may set the random flag (CTX-09). */
static inline void marline__ids_span(struct id_source *ids, uint8_t out[8])
{
    uint64_t word;
    do {
        word = marline__ids_next(ids);
    } while (word == 0);
    memcpy(out, &word, sizeof word);
}

static inline void marline__ids_trace(struct id_source *ids, uint8_t out[16])
{
    uint64_t high = marline__ids_next(ids);
    memcpy(out, &high, sizeof high);
    marline__ids_span(ids, out + 8);
}

#endif
