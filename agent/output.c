/* Turns what an endpoint answered into the output of a call. */
#include "agent/output.h"

#include "programs/must.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice output_trim(struct slice text)
{
    while (text.size > 0 && is_space(text.data[text.size - 1])) {
        text.size--;
    }
    while (text.size > 0 && is_space(text.data[0])) {
        text.data++;
        text.size--;
    }
    return text;
}

static bool is_object(struct slice text)
{
    struct json_reader r;
    marline__json_reader_init(&r, text, JSON_STRICT);
    return marline__json_peek(&r) == JSON_OBJECT;
}

marline_status output_set(marline_call *call, struct slice text)
{
    struct buffer b = BUFFER_INIT;
    text = output_trim(text);
    bool is_json = marline__json_is_valid(text, JSON_STRICT);
    if (is_json && is_object(text)) {
        marline__buffer_append_slice(&b, text);
    } else {
        struct json_writer w;
        marline__json_writer_init(&w, &b);
        marline__json_begin_object(&w);
        if (is_json) {
            marline__json_member_raw(&w, "output", text);
        } else {
            marline__json_member_string(&w, "output", text);
        }
        marline__json_end_object(&w);
    }
    must_buffer(&b);
    marline_status status = marline_output_json(call, b.data);
    marline__buffer_deinit(&b);
    return status;
}
