/* See json_body.h. */
#include "http/json_body.h"

#include <stdio.h>

#include "core/alloc.h"

void json_body_fail(struct json_body *b, const char *name, const char *what)
{
    if (b->error[0] == '\0') {
        (void)snprintf(b->error, sizeof(b->error), "%s%s %s", b->where, name, what);
    }
}

static void note_syntax_error(struct json_body *b)
{
    if (b->reader.error && b->error[0] == '\0') {
        (void)snprintf(b->error, sizeof(b->error), "Invalid JSON at byte %zu: %s",
                       b->reader.error_offset, b->reader.error);
    }
}

bool json_body_begin(struct json_body *b, struct slice text)
{
    b->where = "";
    b->error[0] = '\0';
    marline__json_reader_init(&b->reader, text, JSON_STRICT);
    enum json_type type = marline__json_peek(&b->reader);
    if (type != JSON_OBJECT && type != JSON_ERROR) {
        json_body_fail(b, "The body", "must be a JSON object");
        return false;
    }
    bool ok = marline__json_enter_object(&b->reader);
    note_syntax_error(b);
    return ok;
}

bool json_body_next(struct json_body *b, struct slice *out_key)
{
    if (b->error[0]) {
        return false;
    }
    bool more = marline__json_next_member(&b->reader, out_key);
    if (!more && !b->reader.error) {
        (void)marline__json_finish(&b->reader);
    }
    note_syntax_error(b);
    return more;
}

/* True when the value is of the type; passes over it and notes the error otherwise. */
static bool expect(struct json_body *b, const char *name, enum json_type type, const char *what)
{
    enum json_type found = marline__json_peek(&b->reader);
    if (found == type) {
        return true;
    }
    if (found != JSON_ERROR) {
        json_body_fail(b, name, what);
    }
    (void)marline__json_skip(&b->reader, NULL);
    note_syntax_error(b);
    return false;
}

void json_body_text(struct json_body *b, const char *name, char **out)
{
    marline__memory_free(*out);
    *out = NULL;
    if (marline__json_peek(&b->reader) == JSON_NULL) {
        (void)marline__json_read_null(&b->reader);
        *out = alloc_slice(SLICE(""));
        return;
    }
    if (!expect(b, name, JSON_STRING, "must be a string")) {
        return;
    }
    struct buffer text = BUFFER_INIT;
    (void)marline__json_read_string(&b->reader, &text);
    alloc_check_buffer(&text);
    if (memchr(text.data ? text.data : "", '\0', text.size)) {
        json_body_fail(b, name, "must not hold a NUL character");
    }
    *out = alloc_slice(marline__buffer_slice(&text));
    marline__buffer_deinit(&text);
    note_syntax_error(b);
}

void json_body_unsigned(struct json_body *b, const char *name, uint32_t minimum, uint32_t maximum,
                        uint32_t *out)
{
    if (!expect(b, name, JSON_NUMBER, "must be a number")) {
        return;
    }
    int64_t value = -1;
    struct slice raw;
    struct json_reader again = b->reader;
    (void)marline__json_skip(&b->reader, &raw);
    note_syntax_error(b);
    if (!marline__json_read_int64(&again, &value) || value < minimum || value > maximum) {
        char what[80];
        (void)snprintf(what, sizeof(what), "must be a whole number from %u to %u", minimum,
                       maximum);
        json_body_fail(b, name, what);
        return;
    }
    *out = (uint32_t)value;
}

void json_body_bool(struct json_body *b, const char *name, bool *out)
{
    if (expect(b, name, JSON_BOOL, "must be true or false")) {
        (void)marline__json_read_bool(&b->reader, out);
    }
}

void json_body_object(struct json_body *b, const char *name, struct slice *out)
{
    if (expect(b, name, JSON_OBJECT, "must be an object")) {
        (void)marline__json_skip(&b->reader, out);
        note_syntax_error(b);
    }
}

void json_body_array(struct json_body *b, const char *name, struct slice *out)
{
    if (expect(b, name, JSON_ARRAY, "must be an array")) {
        (void)marline__json_skip(&b->reader, out);
        note_syntax_error(b);
    }
}

void json_body_skip(struct json_body *b)
{
    (void)marline__json_skip(&b->reader, NULL);
    note_syntax_error(b);
}
