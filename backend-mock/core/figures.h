/* Arithmetic of the figures that answers show. Any thread. */
#ifndef CORE_FIGURES_H
#define CORE_FIGURES_H

#include <stdint.h>

enum { FIGURE_PLACES_MAX = 15 };

/* The double nearest to `value` rounded to that many decimals (0 … FIGURE_PLACES_MAX), decided on
 * the exact binary value, ties to even: what Python's round() answers, so figures compare equal to
 * the platform's. Never -0. What is not finite comes back as it is. */
double figure_round(double value, int places);

/* a + b, at most UINT64_MAX: a sum of what peers claim never wraps to a small one. */
static inline uint64_t figure_add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

#endif
