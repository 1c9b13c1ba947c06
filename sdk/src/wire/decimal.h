/* A decimal number as JSON writes it, taken apart so that no digit is lost on the way to an integer
 * of 64 bits or to the nearest double. Private to this layer. */
#ifndef MARLINE_WIRE_DECIMAL_H
#define MARLINE_WIRE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* No double, and no point half-way between two, has more than 767 significant digits. One place
 * more stands for all the digits that follow: a 1 there says "a little more than this". */
enum { DECIMAL_DIGITS_MAX = 768 };

/* value = digits * 10^exponent; no leading and no trailing zeros; no digits = zero. */
struct decimal {
    bool negative;
    bool cut; /* more digits were there than fit */
    size_t count;
    int64_t exponent;
    char digits[DECIMAL_DIGITS_MAX];
};

/* `raw` is a well-formed, finite number of JSON. */
void marline__decimal_parse(struct slice raw, struct decimal *out);
/* False when it is not whole or goes beyond 64 bits; the sign is left aside. */
bool marline__decimal_to_magnitude(const struct decimal *d, uint64_t *out);
/* The nearest double, infinite beyond the largest; does not depend on the locale. */
double marline__decimal_to_double(const struct decimal *d);

#endif
