/* UUIDs (RFC 9562) as 16 bytes and as canonical lower-case text. */
#ifndef MARLINE_BASE_UUID_H
#define MARLINE_BASE_UUID_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "base/slice.h"

enum { UUID_TEXT_SIZE = 37 }; /* with the NUL */

struct uuid {
    uint8_t bytes[16];
};

/* Accepts what Python's uuid.UUID() does of the platform's forms: 8-4-4-4-12 or 32 digits, any
 * case, optionally in braces or after "urn:uuid:". */
bool marline__uuid_parse(struct slice text, struct uuid *out);
void marline__uuid_format(const struct uuid *u, char out[UUID_TEXT_SIZE]);
bool marline__uuid_equal(const struct uuid *a, const struct uuid *b);
bool marline__uuid_is_nil(const struct uuid *u);
/* Version 4. */
struct uuid marline__uuid_random(const struct random_source *r);
/* Version 5: a pure function of namespace and name. */
struct uuid marline__uuid_derived(const struct uuid *name_space, struct slice name);

#endif
