/* A strict pull reader of JSON (RFC 8259) over one complete text in memory.
 *
 * It allocates nothing, builds no tree, and hands out raw slices of the text, so that a value can
 * be passed on exactly as it came. Strict: UTF-8 only, no BOM, no trailing bytes, no comments,
 * nesting up to JSON_DEPTH_MAX. Two deliberate extensions for peers written in Python: with
 * `allow_non_finite` the tokens NaN, Infinity and -Infinity are numbers (wire-protocol §2).
 *
 * The usual shape of a caller:
 *     struct json_reader r;
 *     struct slice key;
 *     marline__json_reader_init(&r, text, JSON_STRICT);
 *     if (marline__json_enter_object(&r)) {
 *         while (marline__json_next_member(&r, &key)) {
 *             if (marline__json_key_is(key, "type")) {
 *                 marline__json_read_string(&r, &buffer);
 *             } else {
 *                 marline__json_skip(&r, NULL);
 *             }
 *         }
 *     }
 *     if (!marline__json_finish(&r)) { ... r.error, r.error_offset ... }
 * Errors are sticky: after the first, every call returns false or JSON_ERROR. */
#ifndef MARLINE_WIRE_JSON_READER_H
#define MARLINE_WIRE_JSON_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/utf8.h"

enum { JSON_DEPTH_MAX = 100 };

enum json_type {
    JSON_ERROR,
    JSON_NULL,
    JSON_BOOL,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

enum json_flags {
    JSON_STRICT = 0,
    JSON_ALLOW_NON_FINITE = 1,
    /* The text, or the whole that it is a part of, was checked before: strings and containers are
     * passed over without checking them again. A text that was not is misread, but never beyond its
     * end. */
    JSON_TRUSTED = 2,
};

struct json_reader {
    struct slice text;
    size_t at;
    enum json_flags flags;
    const char *error;   /* fixed text, NULL while all is well */
    size_t error_offset; /* byte offset of the error in text */
    /* private */
    uint8_t depth;
    bool first_in[JSON_DEPTH_MAX + 1];
    bool in_object[JSON_DEPTH_MAX + 1];
};

void marline__json_reader_init(struct json_reader *r, struct slice text, enum json_flags flags);

/* The type of the value that comes next; consumes nothing but white space. */
enum json_type marline__json_peek(struct json_reader *r);

/* Enters the container that comes next; an error when it is of another type. */
bool marline__json_enter_object(struct json_reader *r);
bool marline__json_enter_array(struct json_reader *r);
/* True: the reader stands before the member's value; out_key is the raw text between the quotes.
 * False: the object has ended and was left, or an error occurred. */
bool marline__json_next_member(struct json_reader *r, struct slice *out_key);
/* The same for an array. */
bool marline__json_next_element(struct json_reader *r);
/* Compares a raw key, escapes resolved, with a text. */
bool marline__json_key_is(struct slice raw_key, const char *text);
bool marline__json_key_starts(struct slice raw_key, const char *prefix);

/* Each reads the value that comes next; a wrong type is an error of the reader. */
/* Appends the decoded UTF-8 (embedded NULs included); out-of-memory shows in out->failed.
 * Escapes of lone surrogates are refused. */
bool marline__json_read_string(struct json_reader *r, struct buffer *out);
/* The raw text between the quotes: borrowed, still escaped. */
bool marline__json_read_raw_string(struct json_reader *r, struct slice *out_raw);
bool marline__json_read_bool(struct json_reader *r, bool *out);
/* Integers keep all 64 bits. A number with a fraction or exponent passes if its value is whole
 * (1.0, 1e3); anything else, or a value out of range, is an error. */
bool marline__json_read_int64(struct json_reader *r, int64_t *out);
bool marline__json_read_double(struct json_reader *r, double *out);
bool marline__json_read_null(struct json_reader *r);
/* Passes over any value, checking it whole; out_raw (may be NULL) is its exact text. */
bool marline__json_skip(struct json_reader *r, struct slice *out_raw);

/* Reads a whole number of 0 to 2^64 - 1, as read_int64 does. */
bool marline__json_read_uint64(struct json_reader *r, uint64_t *out);

/* True when exactly one value was read and only white space is left. */
bool marline__json_finish(struct json_reader *r);

/* Decodes a raw string slice handed out above (it is known to be well formed). */
void marline__json_unescape(struct slice raw, struct buffer *out);

/* A member as it stands in its object; type JSON_ERROR = absent. */
struct json_member {
    enum json_type type;
    struct slice raw;
};

/* Finds the members with these names in the text of an object that is known to be well formed. Of a
 * repeated one the last counts. */
void marline__json_find_members(struct slice object, const char *const *names, size_t count,
                                struct json_member *out);

/* Appends a text that is valid with JSON_ALLOW_NON_FINITE as one that is valid without: NaN and
 * infinities become null, all else stays as it is. */
void marline__json_append_finite(struct buffer *out, struct slice json);
/* Checks a whole text; on failure the error and its offset. */
bool marline__json_is_valid(struct slice text, enum json_flags flags);

#endif
