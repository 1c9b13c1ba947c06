/* The checks of both OTLP formats: spans that were decoded encode to bytes that decode and encode
 * to themselves, in both formats, and flatten to well-formed JSON. */
#ifndef MARLINE_TESTS_FUZZ_OTLP_H
#define MARLINE_TESTS_FUZZ_OTLP_H

#include "fuzz/fuzz.h"

#include "wire/json_reader.h"
#include "wire/otlp.h"

static inline void fuzz_otlp_again(enum otlp_format format, const struct otlp_request *request)
{
    struct buffer first = BUFFER_INIT;
    struct buffer second = BUFFER_INIT;
    struct otlp_request again;
    marline__otlp_encode(format, request->spans, request->count, &first);
    FUZZ_CHECK(!first.failed);
    FUZZ_CHECK(marline__otlp_decode(format, marline__buffer_slice(&first), &again) ==
               OTLP_DECODE_OK);
    FUZZ_CHECK(again.count == request->count && again.rejected == 0);
    marline__otlp_encode(format, again.spans, again.count, &second);
    FUZZ_CHECK(marline__slice_equal(marline__buffer_slice(&first), marline__buffer_slice(&second)));
    marline__otlp_request_deinit(&again);
    marline__buffer_deinit(&first);
    marline__buffer_deinit(&second);
}

static inline void fuzz_otlp_flat(const struct otlp_request *request)
{
    struct platform_request flat;
    FUZZ_CHECK(marline__otlp_flatten(request->spans, request->count, &flat));
    for (size_t i = 0; i < flat.count; i++) {
        struct json_reader r;
        marline__json_reader_init(&r, flat.spans[i].attributes, JSON_STRICT);
        FUZZ_CHECK(marline__json_peek(&r) == JSON_OBJECT);
        /* Values may be nested a little deeper than the reader goes. */
        FUZZ_CHECK(marline__json_skip(&r, NULL) ||
                   marline__slice_is(marline__slice_text(r.error), "nested too deeply"));
    }
    marline__platform_request_deinit(&flat);
}

static inline int fuzz_otlp(enum otlp_format format, const uint8_t *data, size_t size)
{
    struct otlp_request request;
    enum otlp_decode status = marline__otlp_decode(format, fuzz_input(data, size), &request);
    FUZZ_CHECK(status != OTLP_DECODE_NO_MEMORY);
    FUZZ_CHECK((status == OTLP_DECODE_INVALID || request.rejected > 0) ==
               (request.reason[0] != '\0'));
    if (status == OTLP_DECODE_OK && request.count > 0) {
        fuzz_otlp_again(OTLP_PROTOBUF, &request);
        if (format == OTLP_JSON) {
            fuzz_otlp_again(OTLP_JSON, &request);
        }
        fuzz_otlp_flat(&request);
    }
    marline__otlp_request_deinit(&request);
    struct buffer scratch = BUFFER_INIT;
    struct otlp_answer answer;
    (void)marline__otlp_decode_response(format, fuzz_input(data, size), &scratch, &answer);
    (void)marline__otlp_decode_status(format, fuzz_input(data, size), &scratch, &answer);
    marline__buffer_deinit(&scratch);
    return 0;
}

#endif
