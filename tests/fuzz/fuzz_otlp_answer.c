/* What a collector answers: responses and statuses, in both formats. The first byte chooses. What
 * was read, written again, reads the same. */
#include "fuzz/fuzz.h"

#include "wire/otlp.h"

static void check_response_again(enum otlp_format format, const struct otlp_answer *answer)
{
    struct buffer text = BUFFER_INIT;
    struct buffer scratch = BUFFER_INIT;
    struct otlp_answer again = {0, SLICE_EMPTY};
    marline__otlp_encode_response(format, (size_t)answer->rejected, answer->message, &text);
    FUZZ_CHECK(
        marline__otlp_decode_response(format, marline__buffer_slice(&text), &scratch, &again));
    FUZZ_CHECK(again.rejected == answer->rejected);
    FUZZ_CHECK(marline__slice_equal(again.message, answer->message));
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum otlp_format format = data[0] & 1 ? OTLP_JSON : OTLP_PROTOBUF;
    struct slice body = fuzz_input(data + 1, size - 1);
    struct buffer scratch = BUFFER_INIT;
    struct otlp_answer answer = {0, SLICE_EMPTY};
    if (data[0] & 2) {
        (void)marline__otlp_decode_status(format, body, &scratch, &answer);
    } else if (marline__otlp_decode_response(format, body, &scratch, &answer)) {
        check_response_again(format, &answer);
    }
    marline__buffer_deinit(&scratch);
    return 0;
}
