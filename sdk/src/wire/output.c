/* Text for JSON, made fast; see output.h. Doubles come out as Python's repr has them, so that texts
 * of both peers compare equal. */
#include "wire/output.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "wire/json_scan.h"

bool marline__output_grow(struct output *o, size_t more)
{
    output_end(o);
    bool good = marline__buffer_reserve(o->buffer, more);
    *o = output_begin(o->buffer);
    return good && o->at;
}

void marline__output_unsigned(struct output *o, uint64_t value)
{
    char digits[OUTPUT_UNSIGNED_MAX];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    output_bytes(o, digits + at, sizeof digits - at);
}

/* ---- strings ---- */

enum { ESCAPE_MAX = 6 };

/* Writes what stands for the start of `text`, which is not plain; returns how much of it. */
static size_t put_escape(struct output *o, struct slice text)
{
    static const char letters[] = "btn.fr"; /* of 0x08 to 0x0d */
    static const char digits[] = "0123456789abcdef";
    unsigned char c = (unsigned char)text.data[0];
    if (c >= 0x80) {
        output_bytes(o, UTF8_REPLACEMENT.data, UTF8_REPLACEMENT.size);
        return marline__utf8_malformed(text);
    }
    if (c == '"' || c == '\\') {
        output_bytes(o, (char[]){'\\', (char)c}, 2);
    } else if (c >= 0x08 && c <= 0x0d && c != 0x0b) {
        output_bytes(o, (char[]){'\\', letters[c - 0x08]}, 2);
    } else {
        char unit[ESCAPE_MAX] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
        output_bytes(o, unit, sizeof unit);
    }
    return 1;
}

void marline__output_json_string(struct output *o, struct slice text)
{
    if (!output_need(o, text.size + 2)) {
        return;
    }
    output_byte(o, '"');
    while (text.size > 0) {
        size_t run = json_plain_run(text);
        output_bytes(o, text.data, run);
        text = (struct slice){text.data + run, text.size - run};
        if (text.size > 0) {
            if (!output_need(o, ESCAPE_MAX + text.size + 1)) {
                return;
            }
            size_t used = put_escape(o, text);
            text = (struct slice){text.data + used, text.size - used};
        }
    }
    output_byte(o, '"');
}

/* ---- doubles ---- */

enum {
    DOUBLE_DIGITS_MAX = 17,
    DOUBLE_TEXT_MAX = 32,
    /* Python writes an exponent below 1e-4 (point -3) and from 1e16 (point 17) on. */
    POSITIONAL_MIN = -4,
    POSITIONAL_MAX = 16,
};

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

static void digits_of_whole(uint64_t value, struct digits *d)
{
    char reversed[DOUBLE_DIGITS_MAX + 1];
    int count = 0;
    while (value > 0) {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    }
    for (int i = 0; i < count; i++) {
        d->text[i] = reversed[count - 1 - i];
    }
    d->count = count;
    d->point = count;
}

/* Most numbers are whole when multiplied by a small power of ten. If that, divided again, gives the
 * number back, its digits are the shortest: no two decimals of 15 digits share a double. */
static bool digits_short(double magnitude, struct digits *d)
{
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
    for (int i = 0; i < 10; i++) {
        double scaled = magnitude * powers[i];
        if (scaled >= 1e15) {
            break;
        }
        if (scaled == (double)(uint64_t)scaled && scaled / powers[i] == magnitude) {
            digits_of_whole((uint64_t)scaled, d);
            d->point -= i;
            while (d->text[d->count - 1] == '0') {
                d->count--;
            }
            return true;
        }
    }
    return false;
}

/* Up to DBL_DIG digits a decimal of a normal number survives the round trip, so the search starts
 * there; subnormal numbers have fewer. */
static void digits_shortest(double magnitude, struct digits *d)
{
    int count = magnitude < DBL_MIN ? 1 : DBL_DIG;
    if (digits_short(magnitude, d)) {
        return;
    }
    while (!digits_make(magnitude, count, d) && count < DOUBLE_DIGITS_MAX) {
        count++;
    }
}

static void put_repeated(struct output *o, char c, int times)
{
    for (int i = 0; i < times; i++) {
        output_byte(o, c);
    }
}

static void put_positional(struct output *o, const struct digits *d)
{
    int whole = d->point < 0 ? 0 : (d->point < d->count ? d->point : d->count);
    output_bytes(o, d->text, (size_t)whole);
    put_repeated(o, '0', d->point - whole > 0 ? d->point - whole : 0);
    output_bytes(o, d->point > 0 ? "." : "0.", d->point > 0 ? 1 : 2);
    put_repeated(o, '0', -d->point);
    output_bytes(o, d->text + whole, (size_t)(d->count - whole));
    put_repeated(o, '0', whole == d->count);
}

static void put_exponential(struct output *o, const struct digits *d)
{
    int exponent = d->point - 1;
    int magnitude = exponent < 0 ? -exponent : exponent;
    output_byte(o, d->text[0]);
    if (d->count > 1) {
        output_byte(o, '.');
        output_bytes(o, d->text + 1, (size_t)(d->count - 1));
    }
    output_bytes(o, exponent < 0 ? "e-" : "e+", 2);
    put_repeated(o, '0', magnitude < 10);
    marline__output_unsigned(o, (uint64_t)magnitude);
}

void marline__output_json_double(struct output *o, double value)
{
    struct digits d = {.text = "0", .count = 1, .point = 1};
    if (!output_need(o, DOUBLE_TEXT_MAX)) {
        return;
    }
    if (signbit(value)) {
        output_byte(o, '-');
    }
    if (value != 0) {
        digits_shortest(fabs(value), &d);
    }
    if (d.point > POSITIONAL_MIN && d.point <= POSITIONAL_MAX) {
        put_positional(o, &d);
    } else {
        put_exponential(o, &d);
    }
}
