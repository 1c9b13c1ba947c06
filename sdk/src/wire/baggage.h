/* W3C baggage: name-value pairs that travel with a request. Pure text handling; otel.md EM-08,
 * EM-09, §5.4. What comes from a peer is untrusted and bounded: members beyond the limits are left
 * out whole, malformed ones are skipped and the rest is kept. */
#ifndef MARLINE_WIRE_BAGGAGE_H
#define MARLINE_WIRE_BAGGAGE_H

#include <stdbool.h>

#include "base/buffer.h"

enum {
    BAGGAGE_MEMBERS_MAX = 64, /* what every implementation has to carry */
    BAGGAGE_BYTES_MAX = 8192, /* the same: of all members with the commas between them */
};

struct baggage_entry {
    struct slice name;     /* a token of RFC 7230 */
    struct slice value;    /* decoded UTF-8 */
    struct slice metadata; /* the properties as they stand in the header, uninterpreted */
};

struct baggage {
    struct baggage_entry entries[BAGGAGE_MEMBERS_MAX];
    size_t count;
    struct buffer text; /* owned: decoded values; the rest borrows from the fields */
};

/* Reads all fields of a request, in their order. A later member replaces an earlier one of the same
 * name. False when out of memory, with no entries. Free with baggage_deinit in every case. */
bool marline__baggage_parse(const struct slice *fields, size_t count, struct baggage *out);
void marline__baggage_deinit(struct baggage *baggage);

/* Appends one header value; nothing when there is none to write. Entries whose name is no token, or
 * that do not fit any more, are left out whole; metadata with a character that the header cannot
 * carry is left out alone. Returns how many entries were written. */
size_t marline__baggage_encode(const struct baggage_entry *entries, size_t count,
                               struct buffer *out);

bool marline__baggage_name_is_valid(struct slice name);

#endif
