/* The JSON writer; see json_writer.h. Doubles come out as Python's repr has them, so that texts of
 * both peers compare equal. */
#include "wire/json_writer.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

enum {
    DOUBLE_DIGITS_MAX = 17,
    /* Python writes an exponent below 1e-4 (point -3) and from 1e16 (point 17) on. */
    POSITIONAL_MIN = -4,
    POSITIONAL_MAX = 16,
};

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

/* ---- strings ---- */

/* Size of the run at the start of `text` that needs no escape; a whole number of well-formed
 * characters, or 0 when the first byte is malformed. */
static size_t plain_run(struct slice text)
{
    size_t at = 0;
    while (at < text.size) {
        unsigned char c = (unsigned char)text.data[at];
        if (c < 0x20 || c == '"' || c == '\\') {
            break;
        }
        size_t size = marline__utf8_sequence((struct slice){text.data + at, text.size - at});
        if (size == 0) {
            break;
        }
        at += size;
    }
    return at;
}

/* Writes what stands for the start of `text`, which is not plain; returns how much of it. */
static size_t append_escaped(struct buffer *out, struct slice text)
{
    static const char letters[] = "btn.fr"; /* of 0x08 to 0x0d */
    static const char digits[] = "0123456789abcdef";
    unsigned char c = (unsigned char)text.data[0];
    if (c >= 0x80) {
        marline__buffer_append_slice(out, UTF8_REPLACEMENT);
        return marline__utf8_malformed(text);
    }
    if (c == '"' || c == '\\') {
        marline__buffer_append(out, (char[]){'\\', (char)c}, 2);
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        marline__buffer_append(out, (char[]){'\\', letters[c - 0x08]}, 2);
    } else {
        char unit[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        marline__buffer_append(out, unit, sizeof unit);
    }
    return 1;
}

static void append_string(struct buffer *out, struct slice value)
{
    marline__buffer_append_byte(out, '"');
    while (value.size > 0) {
        size_t run = plain_run(value);
        marline__buffer_append(out, value.data, run);
        value = (struct slice){value.data + run, value.size - run};
        if (value.size > 0) {
            size_t used = append_escaped(out, value);
            value = (struct slice){value.data + used, value.size - used};
        }
    }
    marline__buffer_append_byte(out, '"');
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

/* ---- other scalars ---- */

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

/* ---- doubles ---- */

/* |value| = 0.d1d2d3… * 10^point. */
struct digits {
    char text[DOUBLE_DIGITS_MAX + 1];
    int count;
    int point;
};

/* Rounds to `count` digits and says whether they read back as the value. printf's decimal point
 * depends on the locale, so only the digits of its answer are used. */
static bool digits_make(double magnitude, int count, struct digits *d)
{
    char text[64];
    int length = snprintf(text, sizeof text, "%.*e", count - 1, magnitude);
    char *exponent = memchr(text, 'e', (size_t)length);
    assert(exponent);
    d->count = 0;
    for (const char *at = text; at < exponent; at++) {
        if (*at >= '0' && *at <= '9') {
            d->text[d->count++] = *at;
        }
    }
    while (d->count > 1 && d->text[d->count - 1] == '0') {
        d->count--;
    }
    int scale = (int)strtol(exponent + 1, NULL, 10);
    d->point = scale + 1;
    (void)snprintf(text, sizeof text, "%.*se%d", d->count, d->text, d->point - d->count);
    return strtod(text, NULL) == magnitude;
}

/* Below DBL_DIG digits a decimal of a normal number survives the round trip, so the search starts
 * there; subnormal numbers have fewer. */
static void digits_shortest(double magnitude, struct digits *d)
{
    int count = magnitude < DBL_MIN ? 1 : DBL_DIG;
    while (!digits_make(magnitude, count, d) && count < DOUBLE_DIGITS_MAX) {
        count++;
    }
}

static void append_repeated(struct buffer *out, char c, int times)
{
    for (int i = 0; i < times; i++) {
        marline__buffer_append_byte(out, c);
    }
}

static void append_positional(struct buffer *out, const struct digits *d)
{
    int whole = d->point < 0 ? 0 : (d->point < d->count ? d->point : d->count);
    marline__buffer_append(out, d->text, (size_t)whole);
    append_repeated(out, '0', d->point - whole > 0 ? d->point - whole : 0);
    marline__buffer_append_text(out, d->point > 0 ? "." : "0.");
    append_repeated(out, '0', -d->point);
    marline__buffer_append(out, d->text + whole, (size_t)(d->count - whole));
    append_repeated(out, '0', whole == d->count);
}

static void append_exponential(struct buffer *out, const struct digits *d)
{
    int exponent = d->point - 1;
    int magnitude = exponent < 0 ? -exponent : exponent;
    marline__buffer_append_byte(out, d->text[0]);
    if (d->count > 1) {
        marline__buffer_append_byte(out, '.');
        marline__buffer_append(out, d->text + 1, (size_t)(d->count - 1));
    }
    marline__buffer_append_text(out, exponent < 0 ? "e-" : "e+");
    append_repeated(out, '0', magnitude < 10);
    marline__buffer_append_signed(out, magnitude);
}

void marline__json_double(struct json_writer *w, double value)
{
    if (!isfinite(value)) {
        marline__json_null(w);
        return;
    }
    before_value(w);
    if (signbit(value)) {
        marline__buffer_append_byte(w->out, '-');
    }
    struct digits d = {.text = "0", .count = 1, .point = 1};
    if (value != 0) {
        digits_shortest(fabs(value), &d);
    }
    if (d.point > POSITIONAL_MIN && d.point <= POSITIONAL_MAX) {
        append_positional(w->out, &d);
    } else {
        append_exponential(w->out, &d);
    }
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
