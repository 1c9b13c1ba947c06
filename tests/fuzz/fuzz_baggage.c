/* baggage: what was read and written once is read and written the same again. */
#include "fuzz/fuzz.h"

#include "base/utf8.h"
#include "wire/baggage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice field = fuzz_input(data, size);
    struct baggage b;
    struct baggage again;
    struct buffer first = BUFFER_INIT;
    struct buffer second = BUFFER_INIT;
    FUZZ_CHECK(marline__baggage_parse(&field, 1, &b));
    for (size_t i = 0; i < b.count; i++) {
        FUZZ_CHECK(marline__utf8_is_valid(b.entries[i].value));
    }
    size_t written = marline__baggage_encode(b.entries, b.count, &first);
    FUZZ_CHECK(first.size <= BAGGAGE_BYTES_MAX);
    field = marline__buffer_slice(&first);
    FUZZ_CHECK(marline__baggage_parse(&field, 1, &again));
    FUZZ_CHECK(again.count == written);
    FUZZ_CHECK(marline__baggage_encode(again.entries, again.count, &second) == written);
    FUZZ_CHECK(marline__slice_equal(field, marline__buffer_slice(&second)));
    marline__baggage_deinit(&again);
    marline__baggage_deinit(&b);
    marline__buffer_deinit(&first);
    marline__buffer_deinit(&second);
    return 0;
}
