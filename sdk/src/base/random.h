/* Randomness as a dependency: the operating system's for programs, a seeded one for simulation. */
#ifndef MARLINE_BASE_RANDOM_H
#define MARLINE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random_source {
    void (*fill)(void *user, void *out, size_t size);
    void *user;
};

/* Cryptographically strong, from the kernel. Any thread; nothing is cached, so fork is safe. */
const struct random_source *marline__random_system(void);

/* Repeatable: the same seed gives the same bytes (splitmix64). One thread. */
struct random_seeded {
    uint64_t state;
};
struct random_source marline__random_seeded(struct random_seeded *state, uint64_t seed);

static inline void marline__random_fill(const struct random_source *r, void *out, size_t size)
{
    r->fill(r->user, out, size);
}

uint64_t marline__random_u64(const struct random_source *r);
/* Uniform in 0 … bound-1 (bound > 0). */
uint64_t marline__random_below(const struct random_source *r, uint64_t bound);

#endif
