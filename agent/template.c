/* Texts and JSON documents with {{ name }} in them. */
#include "agent/template.h"

#include <ctype.h>
#include <string.h>

#include "programs/must.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

static struct slice trim(struct slice s)
{
    while (s.size > 0 && s.data[0] == ' ') {
        s.data++;
        s.size--;
    }
    while (s.size > 0 && s.data[s.size - 1] == ' ') {
        s.size--;
    }
    return s;
}

/* Finds the next {{ name }} at or behind `from`: its offset, its end, and the name. */
static bool find_hole(struct slice text, size_t from, size_t *out_start, size_t *out_end,
                      struct slice *out_name)
{
    if (text.size == 0) {
        return false; /* perhaps there is not even a pointer */
    }
    struct slice rest = {text.data + from, text.size - from};
    const char *open = rest.size ? memmem(rest.data, rest.size, "{{", 2) : NULL;
    if (!open) {
        return false;
    }
    size_t left = rest.size - (size_t)(open - rest.data);
    const char *close = memmem(open, left, "}}", 2);
    if (!close) {
        return false;
    }
    *out_start = (size_t)(open - text.data);
    *out_end = (size_t)(close - text.data) + 2;
    *out_name = trim((struct slice){open + 2, (size_t)(close - open) - 2});
    return true;
}

/* A plain name is the pointer with one token. */
static bool find_input(struct slice inputs, struct slice name, struct slice *out)
{
    struct buffer pointer = BUFFER_INIT;
    bool is_pointer = marline__slice_starts(name, "/");
    marline__buffer_append_text(&pointer, is_pointer ? "" : "/");
    for (size_t i = 0; i < name.size; i++) {
        if (!is_pointer && (name.data[i] == '~' || name.data[i] == '/')) {
            marline__buffer_append_text(&pointer, name.data[i] == '~' ? "~0" : "~1");
        } else {
            marline__buffer_append_byte(&pointer, name.data[i]);
        }
    }
    must_buffer(&pointer);
    bool found = marline__json_pointer_is_valid(pointer.data) &&
                 marline__json_pointer_find(inputs, pointer.data, out);
    marline__buffer_deinit(&pointer);
    return found;
}

static void append_url(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (isalnum(c) || (c && strchr("-._~", c))) {
            marline__buffer_append_byte(out, (char)c);
        } else {
            marline__buffer_append_format(out, "%%%02X", c);
        }
    }
}

static void append_value(struct slice json, enum template_escape escape, struct buffer *out)
{
    struct buffer text = BUFFER_INIT;
    if (json.size > 1 && json.data[0] == '"') {
        marline__json_unescape((struct slice){json.data + 1, json.size - 2}, &text);
    } else {
        marline__buffer_append_slice(&text, json);
    }
    must_buffer(&text);
    if (escape == TEMPLATE_URL) {
        append_url(out, marline__buffer_slice(&text));
    } else {
        marline__buffer_append_slice(out, marline__buffer_slice(&text));
    }
    marline__buffer_deinit(&text);
}

static bool fill(struct slice text, struct slice inputs, enum template_escape escape,
                 struct buffer *out, struct buffer *missing)
{
    size_t at = 0;
    size_t start;
    size_t end;
    struct slice name;
    if (text.size == 0) {
        return true; /* perhaps there is not even a pointer */
    }
    while (find_hole(text, at, &start, &end, &name)) {
        struct slice value;
        if (!find_input(inputs, name, &value)) {
            marline__buffer_append_slice(missing, name);
            must_buffer(missing);
            return false;
        }
        marline__buffer_append_slice(out, (struct slice){text.data + at, start - at});
        append_value(value, escape, out);
        at = end;
    }
    marline__buffer_append_slice(out, (struct slice){text.data + at, text.size - at});
    must_buffer(out);
    return true;
}

bool template_fill_text(const char *text, struct slice inputs, enum template_escape escape,
                        struct buffer *out, struct buffer *missing)
{
    return fill(marline__slice_text(text), inputs, escape, out, missing);
}

/* ---- JSON ---- */

struct filler {
    struct slice inputs;
    struct json_writer w;
    struct buffer *missing;
};

static bool fill_string(struct filler *f, struct slice raw)
{
    struct buffer text = BUFFER_INIT;
    struct buffer filled = BUFFER_INIT;
    size_t start;
    size_t end;
    struct slice name;
    struct slice value;
    marline__json_unescape(raw, &text);
    must_buffer(&text);
    struct slice s = marline__buffer_slice(&text);
    bool ok = true;
    if (find_hole(s, 0, &start, &end, &name) && start == 0 && end == s.size) {
        ok = find_input(f->inputs, name, &value);
        if (ok) {
            marline__json_raw(&f->w, value);
        } else {
            marline__buffer_append_slice(f->missing, name);
            must_buffer(f->missing);
        }
    } else {
        ok = fill(s, f->inputs, TEMPLATE_PLAIN, &filled, f->missing);
        marline__json_string(&f->w, marline__buffer_slice(&filled));
    }
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&filled);
    return ok;
}

static bool fill_value(struct filler *f, struct json_reader *r);

static bool fill_members(struct filler *f, struct json_reader *r)
{
    struct slice key;
    struct buffer name = BUFFER_INIT;
    bool ok = marline__json_enter_object(r);
    marline__json_begin_object(&f->w);
    while (ok && marline__json_next_member(r, &key)) {
        marline__buffer_clear(&name);
        marline__json_unescape(key, &name);
        must_buffer(&name);
        marline__json_key_slice(&f->w, marline__buffer_slice(&name));
        ok = fill_value(f, r);
    }
    if (ok) {
        marline__json_end_object(&f->w);
    }
    marline__buffer_deinit(&name);
    return ok;
}

static bool fill_elements(struct filler *f, struct json_reader *r)
{
    bool ok = marline__json_enter_array(r);
    marline__json_begin_array(&f->w);
    while (ok && marline__json_next_element(r)) {
        ok = fill_value(f, r);
    }
    if (ok) {
        marline__json_end_array(&f->w);
    }
    return ok;
}

static bool fill_value(struct filler *f, struct json_reader *r)
{
    struct slice raw = SLICE_EMPTY;
    switch (marline__json_peek(r)) {
    case JSON_OBJECT:
        return fill_members(f, r);
    case JSON_ARRAY:
        return fill_elements(f, r);
    case JSON_STRING:
        return marline__json_read_raw_string(r, &raw) && fill_string(f, raw);
    case JSON_ERROR:
        return false;
    case JSON_NULL:
    case JSON_BOOL:
    case JSON_NUMBER:
        break;
    }
    if (!marline__json_skip(r, &raw)) {
        return false;
    }
    marline__json_raw(&f->w, raw);
    return true;
}

bool template_fill_json(struct slice document, struct slice inputs, struct buffer *out,
                        struct buffer *missing)
{
    struct filler f = {.inputs = inputs, .missing = missing};
    struct json_reader r;
    marline__json_writer_init(&f.w, out);
    marline__json_reader_init(&r, document, JSON_STRICT);
    bool ok = fill_value(&f, &r);
    must_buffer(out);
    return ok;
}
