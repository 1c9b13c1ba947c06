/* Texts of an agent's configuration: command lines and templates. The input is a text, a NUL, and
 * the inputs that a template is filled from. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "agent/template.h"
#include "agent/words.h"
#include "base/memory.h"
#include "wire/json_reader.h"

static void check_words(const char *text)
{
    struct words words = {0};
    const char *error = NULL;
    if (words_split(text, &words, &error)) {
        FUZZ_CHECK(words.count > 0 && !words.items[words.count]);
    } else {
        FUZZ_CHECK(error && error[0] != '\0');
    }
    words_deinit(&words);
}

static bool is_object(struct slice text)
{
    struct json_reader r;
    marline__json_reader_init(&r, text, JSON_STRICT);
    return marline__json_peek(&r) == JSON_OBJECT && marline__json_is_valid(text, JSON_STRICT);
}

static void check_template(const char *text, struct slice inputs)
{
    for (int escape = TEMPLATE_PLAIN; escape <= TEMPLATE_URL; escape++) {
        struct buffer out = BUFFER_INIT;
        struct buffer missing = BUFFER_INIT;
        (void)template_fill_text(text, inputs, (enum template_escape)escape, &out, &missing);
        marline__buffer_deinit(&out);
        marline__buffer_deinit(&missing);
    }
}

/* A document stays one, whatever is filled in. */
static void check_document(struct slice document, struct slice inputs)
{
    struct buffer out = BUFFER_INIT;
    struct buffer missing = BUFFER_INIT;
    if (marline__json_is_valid(document, JSON_STRICT) && is_object(inputs) &&
        template_fill_json(document, inputs, &out, &missing)) {
        FUZZ_CHECK(marline__json_is_valid(marline__buffer_slice(&out), JSON_STRICT));
    }
    marline__buffer_deinit(&out);
    marline__buffer_deinit(&missing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = marline__memory_slice(fuzz_input(data, size));
    FUZZ_CHECK(text);
    size_t text_size = strlen(text);
    struct slice inputs = SLICE_EMPTY;
    if (text_size + 1 < size) {
        inputs = (struct slice){text + text_size + 1, size - text_size - 1};
    }
    check_words(text);
    if (is_object(inputs)) {
        check_template(text, inputs);
    }
    check_document((struct slice){text, text_size}, inputs);
    marline__memory_free(text);
    return 0;
}
