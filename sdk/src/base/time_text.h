/* ISO-8601 timestamps in UTC. */
#ifndef MARLINE_BASE_TIME_TEXT_H
#define MARLINE_BASE_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { TIME_TEXT_SIZE = 28 }; /* 2026-01-01T00:00:00.123456Z and the NUL */

/* Six fraction digits and Z, truncated from nanoseconds; the fraction is left out when it is zero,
 * as the platform's SDK writes it (wire-protocol §4.1). Years 1970 to 9999. */
void marline__time_format(uint64_t unix_ns, char out[TIME_TEXT_SIZE]);

enum time_zone_kind { TIME_ZONED, TIME_NAIVE };

/* Reads date, 'T' or ' ', hours and minutes, optional seconds and fraction (1 to 9 digits used,
 * more are cut), optional Z or ±hh[:]mm. A time without zone is taken as UTC and reported as naive.
 * A date before 1970 or after 2554 (64-bit nanoseconds) is refused. */
bool marline__time_parse(struct slice text, uint64_t *out_unix_ns, enum time_zone_kind *out_kind);

#endif
