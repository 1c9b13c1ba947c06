/* Requests with the platform's span JSON: accepted ones hand out well-formed pieces, refused ones a
 * well-formed answer. */
#include "fuzz/fuzz.h"

#include "wire/json_reader.h"
#include "wire/platform_trace.h"

static void check_span(const struct platform_span *span)
{
    FUZZ_CHECK(strlen(span->trace_id) == 32 && strlen(span->span_id) == 16);
    FUZZ_CHECK(marline__platform_span_name_is_valid(span->name));
    FUZZ_CHECK(span->end_unix_ns >= span->start_unix_ns);
    FUZZ_CHECK(marline__json_is_valid(span->attributes, JSON_STRICT));
    FUZZ_CHECK(marline__json_is_valid(span->events, JSON_STRICT));
    FUZZ_CHECK(marline__json_is_valid(span->links, JSON_STRICT));
    FUZZ_CHECK(marline__json_is_valid(span->resource, JSON_STRICT));
    FUZZ_CHECK(marline__utf8_is_valid(span->test_run_id));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct platform_request request;
    struct buffer errors = BUFFER_INIT;
    enum platform_decode status =
        marline__platform_decode(fuzz_input(data, size), &request, &errors);
    if (status == PLATFORM_DECODE_REJECTED) {
        FUZZ_CHECK(marline__json_is_valid(marline__buffer_slice(&errors), JSON_STRICT));
    } else {
        FUZZ_CHECK(status == PLATFORM_DECODE_OK && request.count > 0 && errors.size == 0);
        for (size_t i = 0; i < request.count; i++) {
            check_span(&request.spans[i]);
        }
    }
    marline__platform_request_deinit(&request);
    marline__buffer_deinit(&errors);
    return 0;
}
