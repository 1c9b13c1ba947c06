/* W3C tracestate (Level 2): a list of members "key=value", kept as its own text in canonical form:
 * members joined by bare commas, at most TRACESTATE_MEMBERS_MAX, no key twice. Pure text handling;
 * otel.md §1.3, §5. A list here is the empty slice or what one of these functions wrote. */
#ifndef MARLINE_WIRE_TRACESTATE_H
#define MARLINE_WIRE_TRACESTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    TRACESTATE_MEMBERS_MAX = 32,
    TRACESTATE_KEY_MAX = 256,
    TRACESTATE_VALUE_MAX = 256,
    TRACESTATE_PROPAGATE_MIN = 512, /* EM-06: this much has to be passed on */
    TRACESTATE_LONG_MEMBER = 128,   /* EM-06: longer ones go first */
};

/* Appends the list that the header fields (in their order) hold. False: the whole list is to be
 * dropped (the traceparent stays good), and nothing was appended; or out of memory, which shows in
 * out->failed. */
bool marline__tracestate_parse(const struct slice *fields, size_t count, struct buffer *out);

/* False when absent. */
bool marline__tracestate_get(struct slice list, struct slice key, struct slice *out_value);
/* Appends the list with the member set, which comes first; a full list loses its last one. A bad
 * key or value: false, and the list unchanged. */
bool marline__tracestate_set(struct slice list, struct slice key, struct slice value,
                             struct buffer *out);
/* Appends the list without the member. */
void marline__tracestate_remove(struct slice list, struct slice key, struct buffer *out);
/* Appends the list with whole members left out until it fits into max bytes: first those longer
 * than TRACESTATE_LONG_MEMBER, from the right, then the rightmost. */
void marline__tracestate_shorten(struct slice list, size_t max, struct buffer *out);

bool marline__tracestate_key_is_valid(struct slice key);
bool marline__tracestate_value_is_valid(struct slice value);

/* ---- the `ot` member: OpenTelemetry's sampling state (TST-04, TST-05) ---- */

struct tracestate_ot {
    bool has_threshold;
    uint64_t threshold; /* 0 … 2^56 - 1: spans with randomness below it are dropped */
    bool has_randomness;
    uint64_t randomness; /* 56 bits */
};

/* Of the list's `ot` member; what is absent or malformed is left false. */
struct tracestate_ot marline__tracestate_ot(struct slice list);
/* Appends the list with `th` set, other subkeys unchanged; with `rv` too where `ot` has it and the
 * list has none. False as for set. */
bool marline__tracestate_set_ot(struct slice list, const struct tracestate_ot *ot,
                                struct buffer *out);

#endif
