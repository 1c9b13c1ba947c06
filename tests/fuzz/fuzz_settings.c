/* Texts that come from the environment or an answer's headers: OTEL_RESOURCE_ATTRIBUTES,
 * Retry-After. */
#include "fuzz/fuzz.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "trace/attribute_list.h"
#include "trace/resource.h"
#include "trace/retry.h"

static void percent_encode(marline_string text, struct buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        marline__buffer_append_format(out, "%%%02X", (unsigned char)text.data[i]);
    }
}

/* What was read, written with every byte encoded, reads the same. */
static void check_again(const struct attribute_list *list)
{
    struct span_memory memory;
    struct attribute_list again;
    struct buffer text = BUFFER_INIT;
    for (uint32_t i = 0; i < list->count; i++) {
        percent_encode(list->items[i].key, &text);
        marline__buffer_append_byte(&text, '=');
        percent_encode(list->items[i].value.as.string, &text);
        marline__buffer_append_byte(&text, ',');
    }
    marline__span_memory_init(&memory, NULL, 0);
    marline__attributes_init(&again, &memory, UINT32_MAX);
    FUZZ_CHECK(marline__resource_parse(marline__buffer_slice(&text), &again));
    FUZZ_CHECK(again.count == list->count);
    marline__span_memory_deinit(&memory);
    marline__buffer_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = fuzz_input(data, size);
    struct span_memory memory;
    struct attribute_list list;
    uint64_t wait_ns;
    marline__span_memory_init(&memory, NULL, 0);
    marline__attributes_init(&list, &memory, UINT32_MAX);
    if (marline__resource_parse(text, &list)) {
        for (uint32_t i = 0; i < list.count; i++) {
            marline_string value = list.items[i].value.as.string;
            FUZZ_CHECK(list.items[i].key.size > 0);
            FUZZ_CHECK(marline__utf8_is_valid((struct slice){value.data, value.size}));
        }
        check_again(&list);
    } else {
        FUZZ_CHECK(list.count == 0);
    }
    marline__span_memory_deinit(&memory);
    (void)marline__retry_after_parse(text, 1767225600 * NS_PER_S, &wait_ns);
    return 0;
}
