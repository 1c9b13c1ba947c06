/* Hexadecimal text. */
#ifndef MARLINE_BASE_HEX_H
#define MARLINE_BASE_HEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Writes 2 * size lower-case digits, no NUL. */
void marline__hex_encode(const uint8_t *bytes, size_t size, char *out);
/* Reads exactly `size` bytes from 2 * size digits of either case; false on any other text. */
bool marline__hex_decode(struct slice text, uint8_t *out, size_t size);
/* As above, but only lower-case digits pass (W3C trace context). */
bool marline__hex_decode_lower(struct slice text, uint8_t *out, size_t size);

#endif
