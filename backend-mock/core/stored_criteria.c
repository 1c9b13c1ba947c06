/* See stored_criteria.h. */
#include "core/stored_criteria.h"

#include "core/alloc.h"
#include "core/mapping.h"
#include "wire/json_writer.h"

static const char *const holders[] = {"test_metadata", "metadata"};
enum { HOLDER_COUNT = sizeof(holders) / sizeof(holders[0]) };

/* Raw values; empty = not given. */
struct wishes {
    struct slice expect;
    struct slice metrics;
    struct slice response; /* a text */
};

static struct slice given(struct slice object, const char *name)
{
    struct slice value = mapping_member(object, name);
    return marline__slice_is(value, "null") ? SLICE_EMPTY : value;
}

static struct slice given_in_metadata(struct slice test, const char *name)
{
    struct slice value = SLICE_EMPTY;
    for (size_t i = 0; i < HOLDER_COUNT && !value.size; i++) {
        value = given(given(test, holders[i]), name);
    }
    return value;
}

static void write_equals(struct json_writer *w, struct slice response, struct slice mapping)
{
    struct buffer pointer = BUFFER_INIT;
    marline__json_key(w, "expect");
    marline__json_begin_object(w);
    /* "$.output" is the usual mapping, also of functions that answer with a bare text. */
    if (mapping_output_pointer(mapping, &pointer) &&
        !marline__slice_is(marline__buffer_slice(&pointer), "/output")) {
        struct buffer quoted = BUFFER_INIT;
        marline__buffer_append_byte(&quoted, '"');
        marline__buffer_append_slice(&quoted, marline__buffer_slice(&pointer));
        marline__buffer_append_byte(&quoted, '"');
        alloc_check_buffer(&quoted);
        marline__json_member_raw(w, "pointer", marline__buffer_slice(&quoted));
        marline__buffer_deinit(&quoted);
    } else {
        marline__json_member_text(w, "of", subject_names[OF_TEXT]);
    }
    marline__json_member_raw(w, "equals", response);
    marline__json_end_object(w);
    marline__buffer_deinit(&pointer);
}

static void write(const struct wishes *wishes, struct slice mapping, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    if (wishes->expect.size) {
        marline__json_member_raw(&w, "expect", wishes->expect);
    } else if (!wishes->metrics.size) {
        write_equals(&w, wishes->response, mapping);
    }
    if (wishes->metrics.size) {
        marline__json_member_raw(&w, "metrics", wishes->metrics);
    }
    if (wishes->response.size) {
        marline__json_member_raw(&w, "expected_output", wishes->response);
    }
    marline__json_end_object(&w);
    alloc_check_buffer(out);
}

bool stored_criteria_write(struct slice test, struct slice response_mapping, struct buffer *out)
{
    struct wishes wishes = {.expect = given_in_metadata(test, "expect"),
                            .metrics = given_in_metadata(test, "metrics"),
                            .response = given(given(test, "prompt"), "expected_response")};
    if (marline__slice_is(wishes.response, "\"\"")) { /* a form that was left empty */
        wishes.response = SLICE_EMPTY;
    }
    if (!wishes.expect.size && !wishes.metrics.size && !wishes.response.size) {
        return false;
    }
    write(&wishes, response_mapping, out);
    return true;
}

const char *stored_criteria_fault(struct slice test, char error[CRITERIA_ERROR_SIZE])
{
    for (size_t i = 0; i < HOLDER_COUNT; i++) {
        struct slice holder = given(test, holders[i]);
        struct wishes wishes = {.expect = given(holder, "expect"),
                                .metrics = given(holder, "metrics")};
        struct buffer text = BUFFER_INIT;
        if (wishes.expect.size || wishes.metrics.size) {
            write(&wishes, SLICE_EMPTY, &text);
            struct criteria *criteria = criteria_parse(marline__buffer_slice(&text), error);
            marline__buffer_deinit(&text);
            if (!criteria) {
                return holders[i];
            }
            criteria_destroy(criteria);
        }
    }
    return NULL;
}
