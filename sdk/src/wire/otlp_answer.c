/* The answers of an OTLP receiver, both formats, both directions; see otlp.h. */
#include "wire/otlp.h"

#include "base/utf8.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"
#include "wire/protobuf_reader.h"

/* First bytes on the wire, and the field numbers they stand for (§3.2, §4.2). */
enum {
    TAG_RESPONSE_PARTIAL = 0x0a,
    TAG_PARTIAL_REJECTED = 0x08,
    TAG_PARTIAL_MESSAGE = 0x12,
    TAG_STATUS_CODE = 0x08,
    TAG_STATUS_MESSAGE = 0x12,
    TAG_STATUS_DETAILS = 0x1a,
    TAG_ANY_TYPE = 0x0a,
    TAG_ANY_VALUE = 0x12,
    TAG_BAD_REQUEST_VIOLATION = 0x0a,
    TAG_VIOLATION_DESCRIPTION = 0x12,
    FIELD_RESPONSE_PARTIAL = 1,
    FIELD_PARTIAL_REJECTED = 1,
    FIELD_PARTIAL_MESSAGE = 2,
    FIELD_STATUS_MESSAGE = 2,
};

static const char bad_request_type[] = "type.googleapis.com/google.rpc.BadRequest";

/* ---- encoding ---- */

static void append_varint(struct buffer *out, uint64_t value)
{
    while (value >= 0x80) {
        marline__buffer_append_byte(out, (char)(value | 0x80));
        value >>= 7;
    }
    marline__buffer_append_byte(out, (char)value);
}

static void append_number(struct buffer *out, char tag, uint64_t value)
{
    if (value > 0) {
        marline__buffer_append_byte(out, tag);
        append_varint(out, value);
    }
}

static void append_field(struct buffer *out, char tag, struct slice content)
{
    if (content.size > 0) {
        marline__buffer_append_byte(out, tag);
        append_varint(out, content.size);
        marline__buffer_append_slice(out, content);
    }
}

/* Appends the inner message as a field of the outer one, and frees it. */
static void close_message(struct buffer *out, char tag, struct buffer *inner)
{
    out->failed = out->failed || inner->failed;
    append_field(out, tag, marline__buffer_slice(inner));
    marline__buffer_deinit(inner);
}

void marline__otlp_encode_response(enum otlp_format format, size_t rejected, struct slice message,
                                   struct buffer *out)
{
    bool partial = rejected > 0 || message.size > 0;
    if (format == OTLP_PROTOBUF) {
        struct buffer inner = BUFFER_INIT;
        append_number(&inner, TAG_PARTIAL_REJECTED, rejected);
        append_field(&inner, TAG_PARTIAL_MESSAGE, message);
        close_message(out, TAG_RESPONSE_PARTIAL, &inner);
        return;
    }
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    if (partial) {
        marline__json_key(&w, "partialSuccess");
        marline__json_begin_object(&w);
        if (rejected > 0) {
            struct buffer number = BUFFER_INIT;
            marline__buffer_append_unsigned(&number, rejected);
            marline__json_member_string(&w, "rejectedSpans", marline__buffer_slice(&number));
            marline__buffer_deinit(&number);
        }
        if (message.size > 0) {
            marline__json_member_string(&w, "errorMessage", message);
        }
        marline__json_end_object(&w);
    }
    marline__json_end_object(&w);
}

static void append_status(int code, struct slice message, struct slice description,
                          struct buffer *out)
{
    append_number(out, TAG_STATUS_CODE, (uint64_t)code);
    append_field(out, TAG_STATUS_MESSAGE, message);
    if (description.size > 0) {
        struct buffer violation = BUFFER_INIT;
        struct buffer bad_request = BUFFER_INIT;
        struct buffer any = BUFFER_INIT;
        append_field(&violation, TAG_VIOLATION_DESCRIPTION, description);
        close_message(&bad_request, TAG_BAD_REQUEST_VIOLATION, &violation);
        append_field(&any, TAG_ANY_TYPE, marline__slice_text(bad_request_type));
        close_message(&any, TAG_ANY_VALUE, &bad_request);
        close_message(out, TAG_STATUS_DETAILS, &any);
    }
}

static void write_details(struct json_writer *w, struct slice description)
{
    marline__json_key(w, "details");
    marline__json_begin_array(w);
    marline__json_begin_object(w);
    marline__json_member_text(w, "@type", bad_request_type);
    marline__json_key(w, "fieldViolations");
    marline__json_begin_array(w);
    marline__json_begin_object(w);
    marline__json_member_string(w, "description", description);
    marline__json_end_object(w);
    marline__json_end_array(w);
    marline__json_end_object(w);
    marline__json_end_array(w);
}

void marline__otlp_encode_status(enum otlp_format format, int code, struct slice message,
                                 struct slice description, struct buffer *out)
{
    if (format == OTLP_PROTOBUF) {
        append_status(code, message, description, out);
        return;
    }
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_int(&w, "code", code);
    marline__json_member_string(&w, "message", message);
    if (description.size > 0) {
        write_details(&w, description);
    }
    marline__json_end_object(&w);
}

/* ---- decoding ---- */

/* Fills in the fields that have these numbers; 0 = none is looked for. */
static bool read_fields(struct slice message, uint32_t count_number, uint32_t text_number,
                        struct otlp_answer *out)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    while (marline__protobuf_next(&r, &field)) {
        if (field.wire == PROTOBUF_VARINT && field.number == count_number) {
            out->rejected = (int64_t)field.value > 0 ? field.value : 0;
        } else if (field.wire == PROTOBUF_BYTES && field.number == text_number) {
            out->message = field.bytes;
        }
    }
    return !r.error && marline__utf8_is_valid(out->message);
}

static bool read_protobuf_response(struct slice body, struct otlp_answer *out)
{
    struct protobuf_reader r = protobuf_reader_of(body);
    struct protobuf_field field;
    while (marline__protobuf_find(&r, FIELD_RESPONSE_PARTIAL, PROTOBUF_BYTES, &field)) {
        if (!read_fields(field.bytes, FIELD_PARTIAL_REJECTED, FIELD_PARTIAL_MESSAGE, out)) {
            return false;
        }
    }
    return !r.error;
}

/* A member that is absent or null changes nothing. */
static bool read_json_text(const struct json_member *m, struct buffer *scratch, struct slice *out)
{
    if (m->type == JSON_ERROR || m->type == JSON_NULL) {
        return true;
    }
    if (m->type != JSON_STRING) {
        return false;
    }
    marline__buffer_clear(scratch);
    marline__json_unescape((struct slice){m->raw.data + 1, m->raw.size - 2}, scratch);
    *out = marline__buffer_slice(scratch);
    return !scratch->failed;
}

static bool read_json_count(const struct json_member *m, uint64_t *out)
{
    struct json_reader r;
    int64_t value;
    struct slice text = m->raw;
    if (m->type == JSON_ERROR || m->type == JSON_NULL) {
        return true;
    }
    if (m->type == JSON_STRING) {
        text = (struct slice){m->raw.data + 1, m->raw.size - 2};
    }
    marline__json_reader_init(&r, text, JSON_STRICT);
    if (!marline__json_read_int64(&r, &value) || !marline__json_finish(&r)) {
        return false;
    }
    *out = value > 0 ? (uint64_t)value : 0;
    return true;
}

static bool is_object(struct slice body)
{
    struct json_reader r;
    marline__json_reader_init(&r, body, JSON_STRICT);
    return marline__json_peek(&r) == JSON_OBJECT && marline__json_is_valid(body, JSON_STRICT);
}

static bool read_json_response(struct slice body, struct buffer *scratch, struct otlp_answer *out)
{
    static const char *const outer[] = {"partialSuccess"};
    static const char *const inner[] = {"rejectedSpans", "errorMessage"};
    struct json_member partial;
    struct json_member m[2];
    if (!is_object(body)) {
        return false;
    }
    marline__json_find_members(body, outer, 1, &partial);
    if (partial.type == JSON_ERROR || partial.type == JSON_NULL) {
        return true;
    }
    if (partial.type != JSON_OBJECT) {
        return false;
    }
    marline__json_find_members(partial.raw, inner, 2, m);
    return read_json_count(&m[0], &out->rejected) && read_json_text(&m[1], scratch, &out->message);
}

static bool read_json_status(struct slice body, struct buffer *scratch, struct otlp_answer *out)
{
    static const char *const names[] = {"message"};
    struct json_member m;
    if (!is_object(body)) {
        return false;
    }
    marline__json_find_members(body, names, 1, &m);
    return read_json_text(&m, scratch, &out->message);
}

bool marline__otlp_decode_response(enum otlp_format format, struct slice body,
                                   struct buffer *scratch, struct otlp_answer *out)
{
    struct otlp_answer answer = {.rejected = 0};
    bool good = format == OTLP_JSON ? read_json_response(body, scratch, &answer)
                                    : read_protobuf_response(body, &answer);
    *out = good ? answer : *out;
    return good;
}

bool marline__otlp_decode_status(enum otlp_format format, struct slice body, struct buffer *scratch,
                                 struct otlp_answer *out)
{
    struct otlp_answer answer = {.rejected = 0};
    bool good = format == OTLP_JSON ? read_json_status(body, scratch, &answer)
                                    : read_fields(body, 0, FIELD_STATUS_MESSAGE, &answer);
    *out = good ? answer : *out;
    return good;
}
