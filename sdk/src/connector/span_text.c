/* Copies JSON from reader to writer, leaving out what is too much; see span_text.h. */
#include "connector/span_text.h"

#include <stdio.h>

#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { DEPTH_MAX = 16 }; /* deeper levels are shown as "..." */

static const char hidden_prefix[] = "_rhesis";
static const char cut_suffix[] = "...[truncated]";

static void copy_value(struct json_reader *r, struct json_writer *w, int depth);

static void write_rest(struct json_writer *w, uint32_t more)
{
    char text[48];
    (void)snprintf(text, sizeof text, "(%u more items)", more);
    marline__json_text(w, text);
}

static bool is_hidden(struct slice raw_key, int depth)
{
    return depth == 0 && marline__slice_starts(raw_key, hidden_prefix);
}

/* The raw text between the quotes is good JSON as it is. */
static void copy_key(struct slice raw_key, struct json_writer *w)
{
    struct buffer key = BUFFER_INIT;
    marline__json_unescape(raw_key, &key);
    marline__json_key_slice(w, marline__buffer_slice(&key));
    marline__buffer_deinit(&key);
}

static uint32_t copy_object(struct json_reader *r, struct json_writer *w, int depth)
{
    uint32_t all = 0;
    uint32_t shown = 0;
    uint32_t hidden = 0;
    struct slice key;
    marline__json_begin_object(w);
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &key)) {
        all++;
        if (is_hidden(key, depth)) {
            hidden++;
            marline__json_skip(r, NULL);
        } else if (shown == SPAN_TEXT_ITEMS) {
            marline__json_skip(r, NULL);
        } else {
            copy_key(key, w);
            copy_value(r, w, depth + 1);
            shown++;
        }
    }
    if (all - hidden > shown) {
        marline__json_key(w, "...");
        write_rest(w, all - hidden - shown);
    }
    marline__json_end_object(w);
    return all;
}

static void copy_array(struct json_reader *r, struct json_writer *w, int depth)
{
    uint32_t all = 0;
    marline__json_begin_array(w);
    (void)marline__json_enter_array(r);
    while (marline__json_next_element(r)) {
        if (all++ < SPAN_TEXT_ITEMS) {
            copy_value(r, w, depth + 1);
        } else {
            marline__json_skip(r, NULL);
        }
    }
    if (all > SPAN_TEXT_ITEMS) {
        char text[48];
        (void)snprintf(text, sizeof text, "... (%u more items)", all - SPAN_TEXT_ITEMS);
        marline__json_text(w, text);
    }
    marline__json_end_array(w);
}

static void copy_value(struct json_reader *r, struct json_writer *w, int depth)
{
    struct slice raw;
    enum json_type type = marline__json_peek(r);
    bool container = type == JSON_OBJECT || type == JSON_ARRAY;
    if (container && depth >= DEPTH_MAX) {
        marline__json_skip(r, NULL);
        marline__json_text(w, "...");
    } else if (type == JSON_OBJECT) {
        (void)copy_object(r, w, depth);
    } else if (type == JSON_ARRAY) {
        copy_array(r, w, depth);
    } else if (marline__json_skip(r, &raw)) {
        marline__json_raw(w, raw);
    } else {
        marline__json_null(w); /* callers hand in valid JSON */
    }
}

/* ---- ASCII ---- */

static uint32_t decode_utf8(const unsigned char *at, size_t *out_size)
{
    if (at[0] < 0xe0) {
        *out_size = 2;
        return (at[0] & 0x1fu) << 6 | (at[1] & 0x3fu);
    }
    if (at[0] < 0xf0) {
        *out_size = 3;
        return (at[0] & 0x0fu) << 12 | (at[1] & 0x3fu) << 6 | (at[2] & 0x3fu);
    }
    *out_size = 4;
    return (at[0] & 0x07u) << 18 | (at[1] & 0x3fu) << 12 | (at[2] & 0x3fu) << 6 | (at[3] & 0x3fu);
}

static void append_unit(struct buffer *out, uint32_t unit)
{
    marline__buffer_append_format(out, "\\u%04x", unit);
}

/* Valid UTF-8 outside ASCII occurs in JSON only within strings, where \u is allowed. */
static void append_ascii(struct buffer *out, struct slice json)
{
    size_t at = 0;
    while (at < json.size) {
        size_t run = at;
        while (run < json.size && (unsigned char)json.data[run] < 0x80) {
            run++;
        }
        marline__buffer_append(out, json.data + at, run - at);
        at = run;
        if (at < json.size) {
            size_t size;
            uint32_t code = decode_utf8((const unsigned char *)json.data + at, &size);
            if (code >= 0x10000) {
                append_unit(out, 0xd800 + ((code - 0x10000) >> 10));
                append_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
            } else {
                append_unit(out, code);
            }
            at += size;
        }
    }
}

/* ---- the two uses ---- */

void marline__span_text_arguments(struct slice inputs, struct buffer *out, uint32_t *out_count)
{
    struct buffer limited = BUFFER_INIT;
    struct json_reader r;
    struct json_writer w;
    size_t start = out->size;
    marline__json_reader_init(&r, inputs, JSON_ALLOW_NON_FINITE);
    marline__json_writer_init(&w, &limited);
    *out_count = copy_object(&r, &w, 0);
    if (limited.size > 2) { /* more than {} */
        append_ascii(out, marline__buffer_slice(&limited));
    }
    if (out->size - start > SPAN_TEXT_MAX) {
        out->size = start + SPAN_TEXT_MAX;
        marline__buffer_append_text(out, cut_suffix);
    }
    marline__buffer_deinit(&limited);
}

void marline__span_text_result(struct slice json, struct buffer *out)
{
    struct json_reader r;
    marline__json_reader_init(&r, json, JSON_ALLOW_NON_FINITE);
    if (marline__json_peek(&r) == JSON_STRING) {
        marline__json_read_string(&r, out);
        return;
    }
    struct buffer limited = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &limited);
    copy_value(&r, &w, 0);
    append_ascii(out, marline__buffer_slice(&limited));
    marline__buffer_deinit(&limited);
}

struct slice marline__span_text_cut(struct slice text, size_t max)
{
    size_t characters = 0;
    for (size_t i = 0; i < text.size; i++) {
        bool starts = ((unsigned char)text.data[i] & 0xc0) != 0x80;
        if (starts && characters++ == max) {
            return (struct slice){text.data, i};
        }
    }
    return text;
}
