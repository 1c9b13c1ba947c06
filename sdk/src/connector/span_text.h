/* Inputs and results as the platform's SDK shows them in span attributes: ASCII JSON of bounded
 * size (wire-protocol §4.2). Pure. */
#ifndef MARLINE_CONNECTOR_SPAN_TEXT_H
#define MARLINE_CONNECTOR_SPAN_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

enum {
    SPAN_TEXT_MAX = 2000,          /* characters of arguments, and of a result shown whole */
    SPAN_TEXT_PREVIEW = 1000,      /* characters of a result's preview */
    SPAN_TEXT_ITEMS = 10,          /* of a list or an object, then "… (N more items)" */
    CONVERSATION_TEXT_MAX = 10000, /* characters of rhesis.conversation.input (§4.4) */
};

/* `inputs` is a JSON object without the reserved keys. Appends it, keys that start with _rhesis
 * left out, cut at SPAN_TEXT_MAX with "...[truncated]"; nothing when no key remains. out_count:
 * all keys, the hidden ones too. */
void marline__span_text_arguments(struct slice inputs, struct buffer *out, uint32_t *out_count);
/* Appends a result: the bare text of a string, else ASCII JSON. Not cut. */
void marline__span_text_result(struct slice json, struct buffer *out);
/* The first `max` characters of a UTF-8 text. */
struct slice marline__span_text_cut(struct slice text, size_t max);

#endif
