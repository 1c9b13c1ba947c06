/* The JSON of attributes, events and links as the platform's channel has it: plain values under
 * their keys. Private to this layer; fast, see output.h. */
#ifndef MARLINE_WIRE_SPAN_JSON_H
#define MARLINE_WIRE_SPAN_JSON_H

#include <marline/span_data.h>

#include "wire/output.h"

/* Bytes become base64; NaN, infinities and empty values null; so does a value nested deeper than
 * SPAN_JSON_DEPTH_MAX, which bounds the recursion. */
enum { SPAN_JSON_DEPTH_MAX = 110 };

void marline__span_json_value(struct output *o, const marline_value *value);
/* Members without the braces; *any says whether a comma is due, before and after. Where `unique`,
 * of a repeated key the last one alone is written. */
void marline__span_json_members(struct output *o, const marline_attribute *attributes, size_t count,
                                bool unique, bool *any);
void marline__span_json_attributes(struct output *o, const marline_attribute *attributes,
                                   size_t count);
void marline__span_json_events(struct output *o, const marline_span_data *span);
void marline__span_json_links(struct output *o, const marline_span_data *span);
/* With its quotes. */
void marline__span_json_time(struct output *o, uint64_t unix_ns);

#endif
