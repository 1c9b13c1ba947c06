/* See body_faults.h. */
#include "http/body_faults.h"

#include "core/alloc.h"

void body_faults_init(struct body_faults *f)
{
    *f = (struct body_faults){.text = BUFFER_INIT};
    marline__json_writer_init(&f->w, &f->text);
    marline__json_begin_object(&f->w);
    marline__json_key(&f->w, "detail");
    marline__json_begin_array(&f->w);
}

void body_faults_deinit(struct body_faults *f)
{
    marline__buffer_deinit(&f->text);
}

static bool is_index(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') {
            return false;
        }
    }
    return name.size > 0;
}

static void write_place(struct json_writer *w, const char *root, const char *where)
{
    marline__json_key(w, "loc");
    marline__json_begin_array(w);
    marline__json_text(w, root);
    while (*where) {
        struct slice name = {where, strcspn(where, ".")};
        if (is_index(name)) {
            marline__json_raw(w, name);
        } else {
            marline__json_string(w, name);
        }
        where += name.size;
        where += *where == '.';
    }
    marline__json_end_array(w);
}

static void add(struct body_faults *f, const char *root, const char *where, const char *type,
                const char *msg, const char *ctx)
{
    if (f->count++ >= BODY_FAULTS_MAX) {
        return;
    }
    marline__json_begin_object(&f->w);
    marline__json_member_text(&f->w, "type", type);
    write_place(&f->w, root, where);
    marline__json_member_text(&f->w, "msg", msg);
    if (ctx) {
        marline__json_member_raw(&f->w, "ctx", marline__slice_text(ctx));
    }
    marline__json_end_object(&f->w);
}

void body_faults_add(struct body_faults *f, const char *type, const char *where, const char *msg,
                     const char *ctx)
{
    add(f, "body", where, type, msg, ctx);
}

void body_faults_answer(struct body_faults *f, struct http_request *r)
{
    marline__json_end_array(&f->w);
    marline__json_end_object(&f->w);
    alloc_check_buffer(&f->text);
    http_answer_json(r, 422, &f->text);
}

/* The offset takes the place of a name; the platform counts characters, this counts bytes. */
static void add_syntax_fault(struct body_faults *f, const struct json_reader *reader)
{
    struct buffer ctx = BUFFER_INIT;
    struct buffer offset = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &ctx);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "error", reader->error);
    marline__json_end_object(&w);
    marline__buffer_append_unsigned(&offset, reader->error_offset);
    marline__buffer_append_byte(&offset, '\0');
    marline__buffer_append_byte(&ctx, '\0');
    alloc_check_buffer(&ctx);
    alloc_check_buffer(&offset);
    body_faults_add(f, "json_invalid", offset.data, "JSON decode error", ctx.data);
    marline__buffer_deinit(&ctx);
    marline__buffer_deinit(&offset);
}

bool body_is_object(struct http_request *r)
{
    struct slice body = http_request_body(r);
    struct json_reader reader;
    struct body_faults faults;
    body_faults_init(&faults);
    marline__json_reader_init(&reader, body, JSON_STRICT);
    bool is_object = marline__json_peek(&reader) == JSON_OBJECT;
    if (body.size == 0) {
        body_faults_add(&faults, "missing", "", "Field required", NULL);
    } else if (!marline__json_skip(&reader, NULL) || !marline__json_finish(&reader)) {
        add_syntax_fault(&faults, &reader);
    } else if (!is_object) {
        body_faults_add(&faults, "model_attributes_type", "",
                        "Input should be a valid dictionary or object to extract fields from",
                        NULL);
    }
    bool ok = faults.count == 0;
    if (!ok) {
        body_faults_answer(&faults, r);
    }
    body_faults_deinit(&faults);
    return ok;
}

bool body_path_uuid(struct http_request *r, size_t n, const char *name, struct uuid *out)
{
    struct body_faults faults;
    if (marline__uuid_parse(http_request_parameter(r, n), out)) {
        return true;
    }
    body_faults_init(&faults);
    add(&faults, "path", name, "uuid_parsing", "Input should be a valid UUID", NULL);
    body_faults_answer(&faults, r);
    body_faults_deinit(&faults);
    return false;
}
