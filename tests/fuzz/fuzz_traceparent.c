/* traceparent: what is accepted goes out as version 00 and comes in again the same. */
#include "fuzz/fuzz.h"

#include "wire/trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_ids ids;
    struct trace_ids again;
    char text[TRACEPARENT_SIZE];
    if (marline__traceparent_parse(fuzz_input(data, size), &ids)) {
        marline__traceparent_format(&ids, text);
        FUZZ_CHECK(marline__traceparent_parse(marline__slice_text(text), &again));
        FUZZ_CHECK(memcmp(ids.trace_id, again.trace_id, sizeof ids.trace_id) == 0);
        FUZZ_CHECK(memcmp(ids.span_id, again.span_id, sizeof ids.span_id) == 0);
        FUZZ_CHECK(ids.flags == again.flags);
    }
    return 0;
}
