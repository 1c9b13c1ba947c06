/* The strict JSON pull reader; see json_reader.h.
 *
 * A value is read in two steps: scan_* finds its end and checks every byte of it, then the text is
 * converted. So a raw slice that was handed out is known to be well formed. `first_in[depth]` says
 * that nothing was read yet at that depth; depth 0 is the document, which holds one value. */
#include "wire/json_reader.h"

#include <assert.h>
#include <math.h>

#include "base/hex.h"
#include "wire/decimal.h"
#include "wire/json_scan.h"

/* ---- text ---- */

/* Reads the four digits of \uXXXX that start at `at`. */
static bool read_unit(struct slice text, size_t at, uint32_t *out)
{
    uint8_t bytes[2];
    if (at > text.size || text.size - at < 4 ||
        !marline__hex_decode((struct slice){text.data + at, 4}, bytes, 2)) {
        return false;
    }
    *out = (uint32_t)bytes[0] << 8 | bytes[1];
    return true;
}

/* Decodes the escape at *at (a backslash) into out and passes over it; 0 when it is malformed,
 * which a lone surrogate is too. */
static size_t decode_escape(struct slice text, size_t *at, char out[4])
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (text.size - *at < 2) {
        return 0;
    }
    char letter = text.data[*at + 1];
    const char *known = letter != '\0' ? strchr(letters, letter) : NULL;
    if (known) {
        out[0] = meanings[known - letters];
        *at += 2;
        return 1;
    }
    uint32_t unit;
    if (letter != 'u' || !read_unit(text, *at + 2, &unit) || (unit >= 0xdc00 && unit <= 0xdfff)) {
        return 0;
    }
    *at += 6;
    if (unit < 0xd800 || unit > 0xdbff) {
        return marline__utf8_encode(unit, out);
    }
    uint32_t low;
    if (text.size - *at < 6 || text.data[*at] != '\\' || text.data[*at + 1] != 'u' ||
        !read_unit(text, *at + 2, &low) || low < 0xdc00 || low > 0xdfff) {
        return 0;
    }
    *at += 6;
    return marline__utf8_encode(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00), out);
}

void marline__json_unescape(struct slice raw, struct buffer *out)
{
    size_t at = 0;
    while (at < raw.size) {
        const char *run = raw.data + at;
        const char *escape = memchr(run, '\\', raw.size - at);
        size_t plain = escape ? (size_t)(escape - run) : raw.size - at;
        marline__buffer_append(out, run, plain);
        at += plain;
        if (escape) {
            char decoded[4];
            size_t size = decode_escape(raw, &at, decoded);
            assert(size > 0);
            marline__buffer_append(out, decoded, size);
        }
    }
}

/* Passes over what key and text have in common, escapes of the key resolved. Returns what is left
 * of the text; *out_all is true when the key was used up. */
static const char *match_key(struct slice raw_key, const char *text, bool *out_all)
{
    size_t at = 0;
    *out_all = false;
    while (at < raw_key.size) {
        char decoded[4] = {raw_key.data[at]};
        size_t size = 1;
        if (decoded[0] == '\\') {
            size = decode_escape(raw_key, &at, decoded);
        } else {
            at++;
        }
        for (size_t i = 0; i < size; i++, text++) {
            if (*text == '\0' || *text != decoded[i]) {
                return text;
            }
        }
    }
    *out_all = true;
    return text;
}

static bool has_escape(struct slice raw)
{
    return raw.size > 0 && memchr(raw.data, '\\', raw.size);
}

bool marline__json_key_is(struct slice raw_key, const char *text)
{
    bool all;
    if (!has_escape(raw_key)) {
        return marline__slice_is(raw_key, text);
    }
    return *match_key(raw_key, text, &all) == '\0' && all;
}

bool marline__json_key_starts(struct slice raw_key, const char *prefix)
{
    bool all;
    if (!has_escape(raw_key)) {
        return marline__slice_starts(raw_key, prefix);
    }
    return *match_key(raw_key, prefix, &all) == '\0';
}

/* ---- tokens ---- */

static bool fail(struct json_reader *r, const char *error)
{
    if (!r->error) {
        r->error = error;
        r->error_offset = r->at;
    }
    return false;
}

static void skip_space(struct json_reader *r)
{
    while (r->at < r->text.size) {
        char c = r->text.data[r->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return;
        }
        r->at++;
    }
}

/* The byte that comes next, NUL at the end (a NUL is no JSON either). */
static char next_byte(const struct json_reader *r)
{
    return r->at < r->text.size ? r->text.data[r->at] : '\0';
}

static bool accept(struct json_reader *r, char expected)
{
    if (next_byte(r) != expected) {
        return false;
    }
    r->at++;
    return true;
}

static bool accept_word(struct json_reader *r, const char *word)
{
    struct slice rest = {r->text.data + r->at, r->text.size - r->at};
    if (!marline__slice_starts(rest, word)) {
        return false;
    }
    r->at += strlen(word);
    return true;
}

static bool scan_string(struct json_reader *r, struct slice *out_raw)
{
    if (!accept(r, '"')) {
        return fail(r, "expected a string");
    }
    size_t start = r->at;
    for (;;) {
        r->at += json_plain_run((struct slice){r->text.data + r->at, r->text.size - r->at});
        if (r->at == r->text.size) {
            return fail(r, "unterminated string");
        }
        unsigned char c = (unsigned char)r->text.data[r->at];
        if (c == '"') {
            *out_raw = (struct slice){r->text.data + start, r->at - start};
            r->at++;
            return true;
        }
        if (c < 0x20) {
            return fail(r, "control character in a string");
        }
        if (c >= 0x80) {
            return fail(r, "invalid UTF-8 in a string");
        }
        char decoded[4];
        if (decode_escape(r->text, &r->at, decoded) == 0) {
            return fail(r, "invalid escape in a string");
        }
    }
}

static size_t scan_digits(struct json_reader *r)
{
    size_t start = r->at;
    while (next_byte(r) >= '0' && next_byte(r) <= '9') {
        r->at++;
    }
    return r->at - start;
}

static bool scan_non_finite(struct json_reader *r, bool negative)
{
    return (r->flags & JSON_ALLOW_NON_FINITE) != 0 &&
           (accept_word(r, "Infinity") || (!negative && accept_word(r, "NaN")));
}

static bool scan_number(struct json_reader *r, struct slice *out_raw)
{
    size_t start = r->at;
    bool negative = accept(r, '-');
    if (!scan_non_finite(r, negative)) {
        if (!accept(r, '0') && scan_digits(r) == 0) {
            return fail(r, "expected a number");
        }
        if (accept(r, '.') && scan_digits(r) == 0) {
            return fail(r, "expected a digit after the decimal point");
        }
        if (accept(r, 'e') || accept(r, 'E')) {
            (void)(accept(r, '+') || accept(r, '-'));
            if (scan_digits(r) == 0) {
                return fail(r, "expected a digit in the exponent");
            }
        }
    }
    *out_raw = (struct slice){r->text.data + start, r->at - start};
    return true;
}

/* ---- values ---- */

void marline__json_reader_init(struct json_reader *r, struct slice text, enum json_flags flags)
{
    *r = (struct json_reader){.text = text, .flags = flags};
    r->first_in[0] = true;
}

enum json_type marline__json_peek(struct json_reader *r)
{
    if (r->error) {
        return JSON_ERROR;
    }
    skip_space(r);
    switch (next_byte(r)) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    case 'N':
    case 'I':
        if ((r->flags & JSON_ALLOW_NON_FINITE) == 0) {
            break;
        }
        return JSON_NUMBER;
    default:
        if (next_byte(r) == '-' || (next_byte(r) >= '0' && next_byte(r) <= '9')) {
            return JSON_NUMBER;
        }
        break;
    }
    (void)fail(r, r->at < r->text.size ? "expected a value" : "unexpected end of text");
    return JSON_ERROR;
}

/* True when the value that comes next is of this type; it then counts as begun. */
static bool begin_value(struct json_reader *r, enum json_type type, const char *error)
{
    enum json_type found = marline__json_peek(r);
    if (found == JSON_ERROR) {
        return false;
    }
    if (r->depth == 0 && !r->first_in[0]) {
        return fail(r, "more than one value");
    }
    if (found != type) {
        return fail(r, error);
    }
    if (r->depth == 0) {
        r->first_in[0] = false;
    }
    return true;
}

static bool enter(struct json_reader *r, bool object)
{
    if (r->depth == JSON_DEPTH_MAX) {
        return fail(r, "nested too deeply");
    }
    r->at++;
    r->depth++;
    r->first_in[r->depth] = true;
    r->in_object[r->depth] = object;
    return true;
}

bool marline__json_enter_object(struct json_reader *r)
{
    return begin_value(r, JSON_OBJECT, "expected an object") && enter(r, true);
}

bool marline__json_enter_array(struct json_reader *r)
{
    return begin_value(r, JSON_ARRAY, "expected an array") && enter(r, false);
}

/* Passes over the separator before the next item of the container; false when it has ended. */
static bool next_item(struct json_reader *r, char close)
{
    skip_space(r);
    if (accept(r, close)) {
        r->depth--;
        return false;
    }
    if (r->first_in[r->depth]) {
        r->first_in[r->depth] = false;
        return true;
    }
    return accept(r, ',') || fail(r, "expected a comma or the end of the container");
}

bool marline__json_next_member(struct json_reader *r, struct slice *out_key)
{
    if (r->error) {
        return false;
    }
    assert(r->depth > 0 && r->in_object[r->depth]);
    if (!next_item(r, '}')) {
        return false;
    }
    skip_space(r);
    if (!scan_string(r, out_key)) {
        return false;
    }
    skip_space(r);
    return accept(r, ':') || fail(r, "expected a colon");
}

bool marline__json_next_element(struct json_reader *r)
{
    if (r->error) {
        return false;
    }
    assert(r->depth > 0 && !r->in_object[r->depth]);
    return next_item(r, ']');
}

bool marline__json_read_raw_string(struct json_reader *r, struct slice *out_raw)
{
    return begin_value(r, JSON_STRING, "expected a string") && scan_string(r, out_raw);
}

bool marline__json_read_string(struct json_reader *r, struct buffer *out)
{
    struct slice raw;
    if (!marline__json_read_raw_string(r, &raw)) {
        return false;
    }
    marline__json_unescape(raw, out);
    return true;
}

bool marline__json_read_bool(struct json_reader *r, bool *out)
{
    if (!begin_value(r, JSON_BOOL, "expected true or false")) {
        return false;
    }
    bool value = next_byte(r) == 't';
    if (!accept_word(r, value ? "true" : "false")) {
        return fail(r, "expected true or false");
    }
    *out = value;
    return true;
}

bool marline__json_read_null(struct json_reader *r)
{
    return begin_value(r, JSON_NULL, "expected null") &&
           (accept_word(r, "null") || fail(r, "expected null"));
}

static bool read_number(struct json_reader *r, struct slice *out_raw)
{
    return begin_value(r, JSON_NUMBER, "expected a number") && scan_number(r, out_raw);
}

static bool is_finite_text(struct slice raw)
{
    char last = raw.data[raw.size - 1];
    return last >= '0' && last <= '9';
}

/* Reads a whole number whose magnitude is at most the limit of its sign. */
static bool read_whole(struct json_reader *r, uint64_t positive_max, uint64_t negative_max,
                       bool *out_negative, uint64_t *out_magnitude)
{
    struct slice raw;
    struct decimal d;
    if (!read_number(r, &raw)) {
        return false;
    }
    if (!is_finite_text(raw)) {
        return fail(r, "expected a whole number");
    }
    marline__decimal_parse(raw, &d);
    *out_negative = d.negative;
    if (!marline__decimal_to_magnitude(&d, out_magnitude) ||
        *out_magnitude > (d.negative ? negative_max : positive_max)) {
        return fail(r, "not a whole number in range");
    }
    return true;
}

bool marline__json_read_int64(struct json_reader *r, int64_t *out)
{
    uint64_t magnitude;
    bool negative;
    if (!read_whole(r, INT64_MAX, (uint64_t)INT64_MAX + 1, &negative, &magnitude)) {
        return false;
    }
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool marline__json_read_uint64(struct json_reader *r, uint64_t *out)
{
    uint64_t magnitude;
    bool negative;
    if (!read_whole(r, UINT64_MAX, 0, &negative, &magnitude)) {
        return false;
    }
    *out = magnitude;
    return true;
}

bool marline__json_read_double(struct json_reader *r, double *out)
{
    struct slice raw;
    struct decimal d;
    if (!read_number(r, &raw)) {
        return false;
    }
    if (!is_finite_text(raw)) {
        *out = raw.data[0] == 'N' ? NAN : (raw.data[0] == '-' ? -INFINITY : INFINITY);
        return true;
    }
    marline__decimal_parse(raw, &d);
    double value = marline__decimal_to_double(&d);
    if (isinf(value)) {
        return fail(r, "number out of range");
    }
    *out = value;
    return true;
}

/* Reads a scalar whole; of a container only its opening. */
static bool skip_token(struct json_reader *r)
{
    struct slice raw;
    bool truth;
    switch (marline__json_peek(r)) {
    case JSON_OBJECT:
        return marline__json_enter_object(r);
    case JSON_ARRAY:
        return marline__json_enter_array(r);
    case JSON_STRING:
        return marline__json_read_raw_string(r, &raw);
    case JSON_NUMBER:
        return read_number(r, &raw);
    case JSON_BOOL:
        return marline__json_read_bool(r, &truth);
    case JSON_NULL:
        return marline__json_read_null(r);
    case JSON_ERROR:
        break;
    }
    return false;
}

/* Offset behind the closing quote of the string whose content starts at `at`. */
static size_t string_end(struct slice text, size_t at)
{
    for (size_t start = at; at < text.size; at++) {
        const char *quote = memchr(text.data + at, '"', text.size - at);
        if (!quote) {
            break;
        }
        at = (size_t)(quote - text.data);
        size_t before = at;
        while (before > start && text.data[before - 1] == '\\') {
            before--;
        }
        if ((at - before) % 2 == 0) {
            return at + 1;
        }
    }
    return text.size;
}

/* Offset behind the string or container that starts at `at`. */
static size_t structure_end(struct slice text, size_t at)
{
    size_t depth = 0;
    do {
        char c = text.data[at++];
        if (c == '"') {
            at = string_end(text, at);
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    } while (depth > 0 && at < text.size);
    return at;
}

bool marline__json_skip(struct json_reader *r, struct slice *out_raw)
{
    uint8_t outer = r->depth;
    enum json_type type = marline__json_peek(r);
    size_t start = r->at;
    bool more = true;
    if ((r->flags & JSON_TRUSTED) != 0 &&
        (type == JSON_STRING || type == JSON_ARRAY || type == JSON_OBJECT)) {
        more = false;
        if (!begin_value(r, type, "")) {
            return false;
        }
        r->at = structure_end(r->text, r->at);
    }
    while (more) {
        if (!skip_token(r)) {
            return false;
        }
        more = false;
        while (r->depth > outer && !more && !r->error) {
            struct slice key;
            more = r->in_object[r->depth] ? marline__json_next_member(r, &key)
                                          : marline__json_next_element(r);
        }
    }
    if (r->error) {
        return false;
    }
    if (out_raw) {
        *out_raw = (struct slice){r->text.data + start, r->at - start};
    }
    return true;
}

/* Index of the name that the key is; count when it is none of them. */
static size_t find_name(struct slice key, const char *const *names, size_t count)
{
    bool escaped = has_escape(key);
    for (size_t i = 0; i < count; i++) {
        bool candidate = escaped || (key.size > 0 && names[i][0] == key.data[0]);
        if (candidate && marline__json_key_is(key, names[i])) {
            return i;
        }
    }
    return count;
}

void marline__json_find_members(struct slice object, const char *const *names, size_t count,
                                struct json_member *out)
{
    struct json_reader r;
    struct slice key;
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct json_member){JSON_ERROR, SLICE_EMPTY};
    }
    marline__json_reader_init(&r, object, JSON_TRUSTED);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key)) {
        struct json_member member;
        member.type = marline__json_peek(&r);
        if (!marline__json_skip(&r, &member.raw)) {
            return;
        }
        size_t i = find_name(key, names, count);
        if (i < count) {
            out[i] = member;
        }
    }
}

bool marline__json_finish(struct json_reader *r)
{
    if (r->error) {
        return false;
    }
    skip_space(r);
    if (r->depth > 0 || r->first_in[0]) {
        return fail(r, "unexpected end of text");
    }
    return r->at == r->text.size || fail(r, "text after the value");
}

bool marline__json_is_valid(struct slice text, enum json_flags flags)
{
    struct json_reader r;
    marline__json_reader_init(&r, text, flags);
    return marline__json_skip(&r, NULL) && marline__json_finish(&r);
}

void marline__json_append_finite(struct buffer *out, struct slice json)
{
    size_t copied = 0;
    for (size_t at = 0; at < json.size;) {
        const char *token = json.data + at;
        size_t size = token[0] == 'N' ? 3 : (token[0] == 'I' ? 8 : 0);
        if (token[0] == '-' && at + 1 < json.size && token[1] == 'I') {
            size = 9;
        }
        if (size > 0) {
            marline__buffer_append(out, json.data + copied, at - copied);
            marline__buffer_append(out, "null", 4);
            copied = at + size;
        }
        at = token[0] == '"' ? string_end(json, at + 1) : at + (size > 0 ? size : 1);
    }
    if (copied < json.size) {
        marline__buffer_append(out, json.data + copied, json.size - copied);
    }
}
