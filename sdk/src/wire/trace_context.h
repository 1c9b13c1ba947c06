/* W3C Trace Context, Level 2: the traceparent field. Pure text handling; spec otel.md §5. */
#ifndef MARLINE_WIRE_TRACE_CONTEXT_H
#define MARLINE_WIRE_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { TRACEPARENT_SIZE = 56 }; /* with the NUL */
enum { TRACE_FLAG_SAMPLED = 0x01, TRACE_FLAG_RANDOM = 0x02 };

struct trace_ids {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; /* sampled and random bits only */
};

bool marline__trace_id_is_valid(const uint8_t trace_id[16]);
bool marline__span_id_is_valid(const uint8_t span_id[8]);
/* Vectors TP-01 to TP-34. Surrounding white space is allowed; false = restart the trace. */
bool marline__traceparent_parse(struct slice value, struct trace_ids *out);
/* EM-01: version 00. */
void marline__traceparent_format(const struct trace_ids *ids, char out[TRACEPARENT_SIZE]);

#endif
