/* The kernel's random bytes, and a seeded generator for repeatable runs. */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void system_fill(void *user, void *out, size_t size)
{
    (void)user;
    char *at = out;
    while (size > 0) {
        ssize_t n = getrandom(at, size, 0);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            abort(); /* Linux >= 3.17 always has it; ids that repeat would be worse than an end. */
        }
        at += n;
        size -= (size_t)n;
    }
}

const struct random_source *marline__random_system(void)
{
    static const struct random_source system = {system_fill, NULL};
    return &system;
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void seeded_fill(void *user, void *out, size_t size)
{
    struct random_seeded *seeded = user;
    char *at = out;
    while (size > 0) {
        uint64_t word = splitmix(&seeded->state);
        size_t n = size < sizeof word ? size : sizeof word;
        memcpy(at, &word, n);
        at += n;
        size -= n;
    }
}

struct random_source marline__random_seeded(struct random_seeded *state, uint64_t seed)
{
    state->state = seed;
    return (struct random_source){seeded_fill, state};
}

uint64_t marline__random_u64(const struct random_source *r)
{
    uint64_t word;
    marline__random_fill(r, &word, sizeof word);
    return word;
}

uint64_t marline__random_below(const struct random_source *r, uint64_t bound)
{
    /* Rejects the short last run of values, so that each result is equally likely. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t word;
    do {
        word = marline__random_u64(r);
    } while (word >= limit);
    return word % bound;
}
