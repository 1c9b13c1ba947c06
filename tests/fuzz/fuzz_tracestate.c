/* tracestate: a list that is kept is canonical, and stays so under every change. */
#include "fuzz/fuzz.h"

#include "wire/tracestate.h"

static void check_canonical(const struct buffer *list)
{
    struct slice field = marline__buffer_slice(list);
    struct buffer again = BUFFER_INIT;
    FUZZ_CHECK(marline__tracestate_parse(&field, 1, &again));
    FUZZ_CHECK(marline__slice_equal(field, marline__buffer_slice(&again)));
    marline__buffer_deinit(&again);
}

static void check_changes(struct slice list)
{
    struct tracestate_ot ot = {
        .has_threshold = true, .threshold = 1ull << 55, .has_randomness = true, .randomness = 5};
    struct buffer out = BUFFER_INIT;
    struct slice value;
    FUZZ_CHECK(marline__tracestate_set(list, SLICE("k"), SLICE("v"), &out));
    check_canonical(&out);
    FUZZ_CHECK(marline__tracestate_get(marline__buffer_slice(&out), SLICE("k"), &value));
    FUZZ_CHECK(marline__slice_is(value, "v"));
    marline__buffer_clear(&out);
    marline__tracestate_remove(list, SLICE("k"), &out);
    check_canonical(&out);
    marline__buffer_clear(&out);
    marline__tracestate_shorten(list, 100, &out);
    FUZZ_CHECK(out.size <= 100);
    check_canonical(&out);
    marline__buffer_clear(&out);
    if (marline__tracestate_set_ot(list, &ot, &out)) {
        check_canonical(&out);
        FUZZ_CHECK(marline__tracestate_ot(marline__buffer_slice(&out)).threshold == ot.threshold);
    }
    marline__buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A newline separates the fields of the request. */
    struct slice fields[2] = {fuzz_input(data, size), SLICE_EMPTY};
    const char *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    struct buffer list = BUFFER_INIT;
    if (newline) {
        fields[0].size = (size_t)(newline - fields[0].data);
        fields[1] = (struct slice){newline + 1, size - fields[0].size - 1};
    }
    if (marline__tracestate_parse(fields, 2, &list)) {
        check_canonical(&list);
        check_changes(marline__buffer_slice(&list));
    } else {
        FUZZ_CHECK(list.size == 0);
    }
    marline__buffer_deinit(&list);
    return 0;
}
