/* Texts of spans that are no UTF-8: found, and repaired in a copy. A receiver of protobuf refuses a
 * whole request for one such byte. Pure. */
#ifndef MARLINE_WIRE_SPAN_REPAIR_H
#define MARLINE_WIRE_SPAN_REPAIR_H

#include <stdbool.h>

#include "base/arena.h"
#include <marline/span_data.h>

bool marline__string_is_utf8(marline_string text);
bool marline__attributes_are_utf8(const marline_attribute *attributes, size_t count);
/* Name, trace state, status, attributes, events, links; not scope and resource. */
bool marline__span_is_utf8(const marline_span_data *span);

/* Copies into the arena, malformed parts replaced by U+FFFD. Each is false when out of memory. */
bool marline__string_repair(marline_string *text, struct arena *arena);
bool marline__attributes_repair(const marline_attribute **attributes, size_t count,
                                struct arena *arena);
bool marline__span_repair(marline_span_data *span, struct arena *arena);

#endif
