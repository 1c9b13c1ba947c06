/* Decimal numbers as JSON writes them; see decimal.h. */
#include "wire/decimal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void decimal_push(struct decimal *d, size_t zeros, char digit)
{
    size_t room = DECIMAL_DIGITS_MAX - 1 - d->count;
    if (d->cut) {
        d->exponent += (int64_t)zeros + 1;
        return;
    }
    size_t kept = zeros < room ? zeros : room;
    memset(d->digits + d->count, '0', kept);
    d->count += kept;
    if (zeros < room) {
        d->digits[d->count++] = digit;
        return;
    }
    d->digits[d->count++] = '1';
    d->exponent += (int64_t)(zeros - kept);
    d->cut = true;
}

static int64_t read_exponent(const char *at, const char *end)
{
    bool negative = at < end && *at == '-';
    int64_t value = 0;
    for (; at < end; at++) {
        if (*at >= '0' && *at <= '9' && value < INT64_MAX / 1000) {
            value = value * 10 + (*at - '0');
        }
    }
    return negative ? -value : value;
}

void marline__decimal_parse(struct slice raw, struct decimal *d)
{
    const char *at = raw.data;
    const char *end = raw.data + raw.size;
    bool fraction = false;
    size_t zeros = 0; /* pending ones: dropped if they lead or trail */
    d->negative = *at == '-';
    d->cut = false;
    d->count = 0;
    d->exponent = 0;
    for (at += d->negative; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        d->exponent -= fraction;
        if (*at != '0') {
            decimal_push(d, zeros, *at);
            zeros = 0;
        } else if (d->count > 0) {
            zeros++;
        }
    }
    d->exponent += (int64_t)zeros;
    if (at < end) {
        d->exponent += read_exponent(at + 1, end);
    }
}

/* magnitude * 10 + digit, false on overflow. */
static bool shift_in(uint64_t *magnitude, unsigned digit)
{
    if (*magnitude > (UINT64_MAX - digit) / 10) {
        return false;
    }
    *magnitude = *magnitude * 10 + digit;
    return true;
}

bool marline__decimal_to_magnitude(const struct decimal *d, uint64_t *out)
{
    *out = 0;
    if (d->count == 0) {
        return true;
    }
    if (d->cut || d->exponent < 0 || d->exponent > 19) {
        return false;
    }
    for (size_t i = 0; i < d->count; i++) {
        if (!shift_in(out, (unsigned)(d->digits[i] - '0'))) {
            return false;
        }
    }
    for (int64_t i = 0; i < d->exponent; i++) {
        if (!shift_in(out, 0)) {
            return false;
        }
    }
    return true;
}

/* With up to 15 digits and a power of ten that a double holds exactly, one multiplication or
 * division rounds right. */
static bool short_to_double(const struct decimal *d, double *out)
{
    enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    uint64_t digits = 0;
    if (d->count > EXACT_DIGITS || d->exponent > EXACT_POWER || d->exponent < -EXACT_POWER) {
        return false;
    }
    for (size_t i = 0; i < d->count; i++) {
        digits = digits * 10 + (uint64_t)(d->digits[i] - '0');
    }
    *out = d->exponent < 0 ? (double)digits / powers[-d->exponent]
                           : (double)digits * powers[d->exponent];
    return true;
}

/* Goes through strtod as "<digits>e<exponent>": without a decimal point the C library's answer
 * does not depend on the locale. */
double marline__decimal_to_double(const struct decimal *d)
{
    char text[DECIMAL_DIGITS_MAX + 32];
    double value;
    if (d->count == 0) {
        return d->negative ? -0.0 : 0.0;
    }
    if (short_to_double(d, &value)) {
        return d->negative ? -value : value;
    }
    (void)snprintf(text, sizeof text, "%s%.*se%lld", d->negative ? "-" : "", (int)d->count,
                   d->digits, (long long)d->exponent);
    return strtod(text, NULL);
}
