/* The JSON reader and writer: what was read and written once reads and writes the same again. */
#include "fuzz/fuzz.h"

#include "wire/json_reader.h"
#include "wire/json_writer.h"

/* Copies the value that comes next, with every kind of read; a fault shows at the end. */
static void copy_value(struct json_reader *r, struct json_writer *w)
{
    struct buffer text = BUFFER_INIT;
    struct slice key;
    double number;
    bool truth = false;
    switch (marline__json_peek(r)) {
    case JSON_OBJECT:
        (void)marline__json_enter_object(r);
        marline__json_begin_object(w);
        while (marline__json_next_member(r, &key)) {
            FUZZ_CHECK(marline__json_key_starts(key, ""));
            marline__json_unescape(key, &text);
            marline__json_key_slice(w, marline__buffer_slice(&text));
            marline__buffer_clear(&text);
            copy_value(r, w);
        }
        marline__json_end_object(w);
        break;
    case JSON_ARRAY:
        (void)marline__json_enter_array(r);
        marline__json_begin_array(w);
        while (marline__json_next_element(r)) {
            copy_value(r, w);
        }
        marline__json_end_array(w);
        break;
    case JSON_STRING:
        (void)marline__json_read_string(r, &text);
        FUZZ_CHECK(marline__utf8_is_valid(marline__buffer_slice(&text)));
        marline__json_string(w, marline__buffer_slice(&text));
        break;
    case JSON_NUMBER:
        if (marline__json_read_double(r, &number)) {
            marline__json_double(w, number);
        } else {
            marline__json_null(w); /* out of range: the copy ends here */
        }
        break;
    case JSON_BOOL:
        (void)marline__json_read_bool(r, &truth);
        marline__json_bool(w, truth);
        break;
    case JSON_NULL:
        (void)marline__json_read_null(r);
        marline__json_null(w);
        break;
    case JSON_ERROR:
        marline__json_null(w);
        break;
    }
    marline__buffer_deinit(&text);
}

static bool copy(struct slice text, struct buffer *out)
{
    struct json_reader r;
    struct json_writer w;
    marline__json_reader_init(&r, text, JSON_STRICT);
    marline__json_writer_init(&w, out);
    copy_value(&r, &w);
    return marline__json_finish(&r);
}

static void check_finite(struct slice text)
{
    struct buffer finite = BUFFER_INIT;
    if (marline__json_is_valid(text, JSON_ALLOW_NON_FINITE)) {
        marline__json_append_finite(&finite, text);
        FUZZ_CHECK(marline__json_is_valid(marline__buffer_slice(&finite), JSON_STRICT));
    }
    marline__buffer_deinit(&finite);
}

static void check_numbers(struct slice text)
{
    struct json_reader r;
    int64_t whole;
    uint64_t natural;
    marline__json_reader_init(&r, text, JSON_STRICT);
    (void)marline__json_read_int64(&r, &whole);
    marline__json_reader_init(&r, text, JSON_STRICT);
    (void)marline__json_read_uint64(&r, &natural);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = fuzz_input(data, size);
    struct buffer first = BUFFER_INIT;
    struct buffer second = BUFFER_INIT;
    check_finite(text);
    check_numbers(text);
    if (!marline__json_is_valid(text, JSON_STRICT)) {
        FUZZ_CHECK(!copy(text, &first));
    } else if (copy(text, &first)) {
        FUZZ_CHECK(copy(marline__buffer_slice(&first), &second));
        FUZZ_CHECK(
            marline__slice_equal(marline__buffer_slice(&first), marline__buffer_slice(&second)));
    }
    marline__buffer_deinit(&first);
    marline__buffer_deinit(&second);
    return 0;
}
