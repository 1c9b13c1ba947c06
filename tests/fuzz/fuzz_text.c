/* The small parsers of the base library and of base64: times, UUIDs, UTF-8 repair. */
#include "fuzz/fuzz.h"

#include "base/time_text.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "wire/base64.h"

static void check_time(struct slice text)
{
    enum time_zone_kind kind;
    uint64_t ns;
    uint64_t again;
    char formatted[TIME_TEXT_SIZE];
    if (marline__time_parse(text, &ns, &kind)) {
        marline__time_format(ns, formatted);
        FUZZ_CHECK(marline__time_parse(marline__slice_text(formatted), &again, &kind));
        FUZZ_CHECK(again == ns - ns % 1000);
    }
}

static void check_uuid(struct slice text)
{
    struct uuid u;
    struct uuid again;
    char formatted[UUID_TEXT_SIZE];
    if (marline__uuid_parse(text, &u)) {
        marline__uuid_format(&u, formatted);
        FUZZ_CHECK(marline__uuid_parse(marline__slice_text(formatted), &again));
        FUZZ_CHECK(marline__uuid_equal(&u, &again));
    }
}

static void check_base64(struct slice text)
{
    struct buffer bytes = BUFFER_INIT;
    struct buffer encoded = BUFFER_INIT;
    struct buffer again = BUFFER_INIT;
    if (marline__base64_decode(text, &bytes)) {
        marline__base64_encode(marline__buffer_slice(&bytes), &encoded);
        FUZZ_CHECK(marline__base64_decode(marline__buffer_slice(&encoded), &again));
        FUZZ_CHECK(
            marline__slice_equal(marline__buffer_slice(&bytes), marline__buffer_slice(&again)));
    }
    marline__buffer_deinit(&bytes);
    marline__buffer_deinit(&encoded);
    marline__buffer_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = fuzz_input(data, size);
    struct buffer repaired = BUFFER_INIT;
    check_time(text);
    check_uuid(text);
    check_base64(text);
    marline__utf8_append_repaired(&repaired, text);
    FUZZ_CHECK(marline__utf8_is_valid(marline__buffer_slice(&repaired)));
    FUZZ_CHECK(!marline__utf8_is_valid(text) ||
               marline__slice_equal(text, marline__buffer_slice(&repaired)));
    marline__buffer_deinit(&repaired);
    return 0;
}
