/* Reads JSON answers of a backend. */
#include "agent/check/answer.h"

#include <stdio.h>

#include "base/buffer.h"
#include "programs/must.h"

void answer_skip(struct json_reader *r)
{
    (void)marline__json_skip(r, NULL);
}

void answer_each_member(struct json_reader *r, answer_member_fn read, void *user)
{
    struct slice key;
    if (marline__json_peek(r) != JSON_OBJECT) {
        (void)marline__json_skip(r, NULL);
        return;
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &key)) {
        read(r, key, user);
    }
}

void answer_each_object(struct json_reader *r, void (*read)(struct json_reader *r, void *user),
                        void *user)
{
    if (marline__json_peek(r) != JSON_ARRAY) {
        (void)marline__json_skip(r, NULL);
        return;
    }
    (void)marline__json_enter_array(r);
    while (marline__json_next_element(r)) {
        read(r, user);
    }
}

void answer_text(struct json_reader *r, char *out, size_t size)
{
    struct buffer b = BUFFER_INIT;
    if (marline__json_peek(r) == JSON_STRING && marline__json_read_string(r, &b)) {
        must_buffer(&b);
        (void)snprintf(out, size, "%s", b.data ? b.data : "");
    } else {
        struct slice raw = SLICE_EMPTY; /* an id may be a number */
        bool is_number = marline__json_peek(r) == JSON_NUMBER;
        (void)marline__json_skip(r, &raw);
        (void)snprintf(out, size, "%.*s", is_number ? (int)raw.size : 0, raw.data ? raw.data : "");
    }
    marline__buffer_deinit(&b);
}

void answer_number(struct json_reader *r, double *out)
{
    if (marline__json_peek(r) == JSON_NUMBER) {
        (void)marline__json_read_double(r, out);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

void answer_count(struct json_reader *r, uint64_t *out)
{
    double number = 0;
    answer_number(r, &number);
    *out = number > 0 ? (uint64_t)number : 0;
}

void answer_flag(struct json_reader *r, bool *out)
{
    if (marline__json_peek(r) == JSON_BOOL) {
        (void)marline__json_read_bool(r, out);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}
