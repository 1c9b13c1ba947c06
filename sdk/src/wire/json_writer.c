/* The writer itself: see json_writer.h. How strings and numbers look is in output.c. */
#include "wire/json_writer.h"

#include <assert.h>
#include <math.h>

#include "wire/output.h"

void marline__json_writer_init(struct json_writer *w, struct buffer *out)
{
    *w = (struct json_writer){.out = out};
}

static void separate(struct json_writer *w)
{
    if (w->need_comma[w->depth]) {
        marline__buffer_append_byte(w->out, ',');
    }
    w->need_comma[w->depth] = true;
}

static void before_value(struct json_writer *w)
{
    assert(w->in_object[w->depth] == w->after_key);
    assert(w->depth > 0 || !w->need_comma[0]);
    if (w->after_key) {
        w->after_key = false;
    } else {
        separate(w);
    }
}

static void begin(struct json_writer *w, bool object)
{
    assert(w->depth + 1 < JSON_WRITER_DEPTH_MAX);
    before_value(w);
    marline__buffer_append_byte(w->out, object ? '{' : '[');
    w->depth++;
    w->need_comma[w->depth] = false;
    w->in_object[w->depth] = object;
}

static void end(struct json_writer *w, bool object)
{
    assert(w->depth > 0 && w->in_object[w->depth] == object && !w->after_key);
    marline__buffer_append_byte(w->out, object ? '}' : ']');
    w->depth--;
}

void marline__json_begin_object(struct json_writer *w)
{
    begin(w, true);
}

void marline__json_end_object(struct json_writer *w)
{
    end(w, true);
}

void marline__json_begin_array(struct json_writer *w)
{
    begin(w, false);
}

void marline__json_end_array(struct json_writer *w)
{
    end(w, false);
}

/* ---- scalars ---- */

static void append_string(struct buffer *out, struct slice value)
{
    struct output o = output_begin(out);
    marline__output_json_string(&o, value);
    output_end(&o);
}

void marline__json_string(struct json_writer *w, struct slice value)
{
    before_value(w);
    append_string(w->out, value);
}

void marline__json_text(struct json_writer *w, const char *value_or_null)
{
    if (value_or_null) {
        marline__json_string(w, marline__slice_text(value_or_null));
    } else {
        marline__json_null(w);
    }
}

static void begin_key(struct json_writer *w)
{
    assert(w->in_object[w->depth] && !w->after_key);
    separate(w);
    w->after_key = true;
}

void marline__json_key_slice(struct json_writer *w, struct slice key)
{
    begin_key(w);
    append_string(w->out, key);
    marline__buffer_append_byte(w->out, ':');
}

void marline__json_key_raw(struct json_writer *w, struct slice raw_key)
{
    begin_key(w);
    marline__buffer_append_byte(w->out, '"');
    marline__buffer_append_slice(w->out, raw_key);
    marline__buffer_append(w->out, "\":", 2);
}

void marline__json_key(struct json_writer *w, const char *key)
{
    marline__json_key_slice(w, marline__slice_text(key));
}

void marline__json_int(struct json_writer *w, int64_t value)
{
    before_value(w);
    marline__buffer_append_signed(w->out, value);
}

void marline__json_unsigned(struct json_writer *w, uint64_t value)
{
    before_value(w);
    marline__buffer_append_unsigned(w->out, value);
}

void marline__json_bool(struct json_writer *w, bool value)
{
    marline__json_raw(w, value ? SLICE("true") : SLICE("false"));
}

void marline__json_null(struct json_writer *w)
{
    marline__json_raw(w, SLICE("null"));
}

void marline__json_raw(struct json_writer *w, struct slice json)
{
    before_value(w);
    marline__buffer_append_slice(w->out, json.size > 0 ? json : SLICE("null"));
}

void marline__json_double(struct json_writer *w, double value)
{
    if (!isfinite(value)) {
        marline__json_null(w);
        return;
    }
    before_value(w);
    struct output o = output_begin(w->out);
    marline__output_json_double(&o, value);
    output_end(&o);
}

/* ---- members ---- */

void marline__json_member_string(struct json_writer *w, const char *key, struct slice value)
{
    marline__json_key(w, key);
    marline__json_string(w, value);
}

void marline__json_member_text(struct json_writer *w, const char *key, const char *value_or_null)
{
    marline__json_key(w, key);
    marline__json_text(w, value_or_null);
}

void marline__json_member_int(struct json_writer *w, const char *key, int64_t value)
{
    marline__json_key(w, key);
    marline__json_int(w, value);
}

void marline__json_member_double(struct json_writer *w, const char *key, double value)
{
    marline__json_key(w, key);
    marline__json_double(w, value);
}

void marline__json_member_bool(struct json_writer *w, const char *key, bool value)
{
    marline__json_key(w, key);
    marline__json_bool(w, value);
}

void marline__json_member_null(struct json_writer *w, const char *key)
{
    marline__json_key(w, key);
    marline__json_null(w);
}

void marline__json_member_raw(struct json_writer *w, const char *key, struct slice json)
{
    marline__json_key(w, key);
    marline__json_raw(w, json);
}
