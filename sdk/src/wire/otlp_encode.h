/* The two encoders behind marline__otlp_encode; private to this layer. */
#ifndef MARLINE_WIRE_OTLP_ENCODE_H
#define MARLINE_WIRE_OTLP_ENCODE_H

#include "base/buffer.h"
#include "wire/otlp_group.h"

void marline__otlp_protobuf_encode(const struct otlp_groups *groups, const marline_span_data *spans,
                                   struct buffer *out);
void marline__otlp_json_encode(const struct otlp_groups *groups, const marline_span_data *spans,
                               struct buffer *out);

enum {
    OTLP_FLAG_REMOTENESS_KNOWN = 0x100,
    OTLP_FLAG_IS_REMOTE = 0x200,
};

/* PB-01: of a span about its parent, of a link about its target. */
static inline uint32_t marline__otlp_flags(uint8_t w3c_flags, bool is_remote)
{
    return w3c_flags | OTLP_FLAG_REMOTENESS_KNOWN | (is_remote ? OTLP_FLAG_IS_REMOTE : 0u);
}

#endif
