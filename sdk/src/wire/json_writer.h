/* Writes compact JSON straight into a buffer. Commas and nesting are the writer's business: calls
 * follow the shape of the document. Misuse (a value where a key is due, a second
 * document) is an assert. Out-of-memory
 * shows in buffer->failed. */
#ifndef MARLINE_WIRE_JSON_WRITER_H
#define MARLINE_WIRE_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

/* As deep as the reader goes, and what may stand around it. */
enum { JSON_WRITER_DEPTH_MAX = 128 };

struct json_writer {
    struct buffer *out;
    /* private */
    uint8_t depth;
    bool after_key;
    bool need_comma[JSON_WRITER_DEPTH_MAX];
    bool in_object[JSON_WRITER_DEPTH_MAX];
};

/* Borrows `out` until the last call. */
void marline__json_writer_init(struct json_writer *w, struct buffer *out);

void marline__json_begin_object(struct json_writer *w);
void marline__json_end_object(struct json_writer *w);
void marline__json_begin_array(struct json_writer *w);
void marline__json_end_array(struct json_writer *w);
void marline__json_key(struct json_writer *w, const char *key);
void marline__json_key_slice(struct json_writer *w, struct slice key);
/* A key that is escaped already, as the reader handed it out. */
void marline__json_key_raw(struct json_writer *w, struct slice raw_key);

/* Invalid UTF-8 is written as U+FFFD, so the output is always valid JSON. */
void marline__json_string(struct json_writer *w, struct slice value);
void marline__json_text(struct json_writer *w, const char *value_or_null); /* NULL writes null */
void marline__json_int(struct json_writer *w, int64_t value);
void marline__json_unsigned(struct json_writer *w, uint64_t value);
/* The shortest text that reads back to the same double (of some powers of two one digit longer), as
 * Python writes it (1.0, 1e-05, 1e+16), so that it stays a double. NaN and infinities are written
 * as null. */
void marline__json_double(struct json_writer *w, double value);
void marline__json_bool(struct json_writer *w, bool value);
void marline__json_null(struct json_writer *w);
/* Writes a complete JSON text unchanged; the caller vouches for it. Empty writes null. */
void marline__json_raw(struct json_writer *w, struct slice json);

/* key + value in one call. */
void marline__json_member_string(struct json_writer *w, const char *key, struct slice value);
void marline__json_member_text(struct json_writer *w, const char *key, const char *value_or_null);
void marline__json_member_int(struct json_writer *w, const char *key, int64_t value);
void marline__json_member_double(struct json_writer *w, const char *key, double value);
void marline__json_member_bool(struct json_writer *w, const char *key, bool value);
void marline__json_member_null(struct json_writer *w, const char *key);
void marline__json_member_raw(struct json_writer *w, const char *key, struct slice json);

#endif
