/* OTLP protobuf to spans. Fields may come in any order, so each message is looked through once for
 * each list in it; that costs little, since whole submessages are stepped over. Of a repeated
 * scalar the last one wins; a repeated resource, scope or status merges (PB-04); of a repeated
 * value the last one counts. */
#include "wire/otlp_build.h"

#include "base/utf8.h"
#include "wire/protobuf_reader.h"

/* Field numbers (§4.2). */
enum {
    REQUEST_RESOURCE_SPANS = 1,
    RESOURCE_SPANS_RESOURCE = 1,
    RESOURCE_SPANS_SCOPE_SPANS = 2,
    RESOURCE_SPANS_SCHEMA_URL = 3,
    RESOURCE_ATTRIBUTES = 1,
    SCOPE_SPANS_SCOPE = 1,
    SCOPE_SPANS_SPANS = 2,
    SCOPE_SPANS_SCHEMA_URL = 3,
    SCOPE_NAME = 1,
    SCOPE_VERSION = 2,
    SCOPE_ATTRIBUTES = 3,
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_SPAN_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_DROPPED_ATTRIBUTES = 10,
    SPAN_EVENTS = 11,
    SPAN_DROPPED_EVENTS = 12,
    SPAN_LINKS = 13,
    SPAN_DROPPED_LINKS = 14,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
    EVENT_TIME = 1,
    EVENT_NAME = 2,
    EVENT_ATTRIBUTES = 3,
    EVENT_DROPPED_ATTRIBUTES = 4,
    LINK_TRACE_ID = 1,
    LINK_SPAN_ID = 2,
    LINK_TRACE_STATE = 3,
    LINK_ATTRIBUTES = 4,
    LINK_DROPPED_ATTRIBUTES = 5,
    LINK_FLAGS = 6,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3,
    PAIR_KEY = 1,
    PAIR_VALUE = 2,
    VALUE_STRING = 1,
    VALUE_BOOL = 2,
    VALUE_INT = 3,
    VALUE_DOUBLE = 4,
    VALUE_ARRAY = 5,
    VALUE_MAP = 6,
    VALUE_BYTES = 7,
    LIST_VALUES = 1,
};

/* Reports what stopped the reader, if anything did. */
static bool check(struct otlp_builder *b, const struct protobuf_reader *r)
{
    return !r->error || marline__otlp_invalid(b, "malformed protobuf", r->error);
}

static bool take_text(struct otlp_builder *b, const struct protobuf_field *field,
                      marline_string *out)
{
    if (field->wire != PROTOBUF_BYTES) {
        return true;
    }
    if (!marline__utf8_is_valid(field->bytes)) {
        return marline__otlp_invalid(b, "a string is not UTF-8", "");
    }
    *out = (marline_string){field->bytes.data, field->bytes.size};
    return true;
}

static void take_count(const struct protobuf_field *field, uint32_t *out)
{
    if (field->wire == PROTOBUF_VARINT) {
        *out = (uint32_t)field->value;
    }
}

static void take_bytes(const struct protobuf_field *field, struct slice *out)
{
    if (field->wire == PROTOBUF_BYTES) {
        *out = field->bytes;
    }
}

/* ---- values ---- */

static bool take_pair(struct otlp_builder *b, struct slice message, unsigned depth,
                      marline_attribute *out);
static bool take_value(struct otlp_builder *b, struct slice message, unsigned depth,
                       marline_value *out);

/* Pushes the pairs that stand in a message under a field number. */
static bool push_pairs(struct otlp_builder *b, struct slice message, uint32_t number,
                       unsigned depth)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    while (marline__protobuf_find(&r, number, PROTOBUF_BYTES, &field)) {
        marline_attribute pair;
        if (!take_pair(b, field.bytes, depth, &pair) ||
            !marline__otlp_list_push(b, &pair, sizeof pair)) {
            return false;
        }
    }
    return check(b, &r);
}

static bool take_attributes(struct otlp_builder *b, struct slice message, uint32_t number,
                            const marline_attribute **out, uint32_t *out_count)
{
    size_t begin = otlp_list_begin(b);
    size_t count;
    if (!push_pairs(b, message, number, 0)) {
        return false;
    }
    *out = marline__otlp_list_end(b, begin, sizeof **out, &count);
    *out_count = (uint32_t)count;
    return otlp_good(b);
}

static bool take_map(struct otlp_builder *b, struct slice message, unsigned depth,
                     marline_value *out)
{
    size_t begin = otlp_list_begin(b);
    out->type = MARLINE_VALUE_MAP;
    if (!push_pairs(b, message, LIST_VALUES, depth)) {
        return false;
    }
    out->as.map.items =
        marline__otlp_list_end(b, begin, sizeof(marline_attribute), &out->as.map.count);
    return otlp_good(b);
}

static bool take_array(struct otlp_builder *b, struct slice message, unsigned depth,
                       marline_value *out)
{
    size_t begin = otlp_list_begin(b);
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    out->type = MARLINE_VALUE_ARRAY;
    while (marline__protobuf_find(&r, LIST_VALUES, PROTOBUF_BYTES, &field)) {
        marline_value item;
        if (!take_value(b, field.bytes, depth, &item) ||
            !marline__otlp_list_push(b, &item, sizeof item)) {
            return false;
        }
    }
    out->as.array.items =
        marline__otlp_list_end(b, begin, sizeof(marline_value), &out->as.array.count);
    return check(b, &r) && otlp_good(b);
}

static bool take_scalar(struct otlp_builder *b, const struct protobuf_field *field,
                        marline_value *out)
{
    if (field->number == VALUE_STRING && field->wire == PROTOBUF_BYTES) {
        out->type = MARLINE_VALUE_STRING;
        return take_text(b, field, &out->as.string);
    }
    if (field->number == VALUE_BYTES && field->wire == PROTOBUF_BYTES) {
        out->type = MARLINE_VALUE_BYTES;
        out->as.string = (marline_string){field->bytes.data, field->bytes.size};
    } else if (field->number == VALUE_BOOL && field->wire == PROTOBUF_VARINT) {
        out->type = MARLINE_VALUE_BOOL;
        out->as.boolean = field->value != 0;
    } else if (field->number == VALUE_INT && field->wire == PROTOBUF_VARINT) {
        out->type = MARLINE_VALUE_INT;
        out->as.integer = (int64_t)field->value;
    } else if (field->number == VALUE_DOUBLE && field->wire == PROTOBUF_FIXED64) {
        out->type = MARLINE_VALUE_DOUBLE;
        memcpy(&out->as.real, &field->value, sizeof out->as.real);
    }
    return true;
}

static bool take_value(struct otlp_builder *b, struct slice message, unsigned depth,
                       marline_value *out)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    *out = (marline_value){.type = MARLINE_VALUE_EMPTY};
    if (depth > OTLP_NESTING_MAX) {
        return marline__otlp_invalid(b, "a value is nested too deeply", "");
    }
    while (marline__protobuf_next(&r, &field)) {
        bool list = field.wire == PROTOBUF_BYTES;
        bool good = true;
        if (list && field.number == VALUE_ARRAY) {
            good = take_array(b, field.bytes, depth + 1, out);
        } else if (list && field.number == VALUE_MAP) {
            good = take_map(b, field.bytes, depth + 1, out);
        } else {
            good = take_scalar(b, &field, out);
        }
        if (!good) {
            return false;
        }
    }
    return check(b, &r);
}

static bool take_pair(struct otlp_builder *b, struct slice message, unsigned depth,
                      marline_attribute *out)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    *out = (marline_attribute){.key = {"", 0}};
    while (marline__protobuf_next(&r, &field)) {
        if (field.number == PAIR_KEY && !take_text(b, &field, &out->key)) {
            return false;
        }
        if (field.number == PAIR_VALUE && field.wire == PROTOBUF_BYTES &&
            !take_value(b, field.bytes, depth, &out->value)) {
            return false;
        }
    }
    return check(b, &r);
}

/* ---- spans ---- */

static bool take_event(struct otlp_builder *b, struct slice message, marline_event_data *event)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    *event = (marline_event_data){.name = {"", 0}};
    while (marline__protobuf_next(&r, &field)) {
        if (field.number == EVENT_TIME && field.wire == PROTOBUF_FIXED64) {
            event->time_unix_ns = field.value;
        } else if (field.number == EVENT_NAME && !take_text(b, &field, &event->name)) {
            return false;
        } else if (field.number == EVENT_DROPPED_ATTRIBUTES) {
            take_count(&field, &event->dropped_attributes);
        }
    }
    return check(b, &r) && take_attributes(b, message, EVENT_ATTRIBUTES, &event->attributes,
                                           &event->attribute_count);
}

static bool take_events(struct otlp_builder *b, struct slice message, marline_span_data *span)
{
    size_t begin = otlp_list_begin(b);
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    size_t count;
    while (marline__protobuf_find(&r, SPAN_EVENTS, PROTOBUF_BYTES, &field)) {
        marline_event_data event;
        if (!take_event(b, field.bytes, &event) ||
            !marline__otlp_list_push(b, &event, sizeof event)) {
            return false;
        }
    }
    span->events = marline__otlp_list_end(b, begin, sizeof *span->events, &count);
    span->event_count = (uint32_t)count;
    return otlp_good(b);
}

/* *out_usable: the ids can be. */
static bool take_link(struct otlp_builder *b, struct slice message, marline_link_data *link,
                      bool *out_usable)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    struct slice trace_id = SLICE_EMPTY;
    struct slice span_id = SLICE_EMPTY;
    *link = (marline_link_data){.flags = 0};
    while (marline__protobuf_next(&r, &field)) {
        if (field.number == LINK_TRACE_ID) {
            take_bytes(&field, &trace_id);
        } else if (field.number == LINK_SPAN_ID) {
            take_bytes(&field, &span_id);
        } else if (field.number == LINK_TRACE_STATE && !take_text(b, &field, &link->trace_state)) {
            return false;
        } else if (field.number == LINK_DROPPED_ATTRIBUTES) {
            take_count(&field, &link->dropped_attributes);
        } else if (field.number == LINK_FLAGS && field.wire == PROTOBUF_FIXED32) {
            marline__otlp_set_link_flags(link, field.value);
        }
    }
    *out_usable = marline__otlp_link_ids(link, trace_id, span_id);
    return check(b, &r) &&
           take_attributes(b, message, LINK_ATTRIBUTES, &link->attributes, &link->attribute_count);
}

static bool take_links(struct otlp_builder *b, struct slice message, marline_span_data *span)
{
    size_t begin = otlp_list_begin(b);
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    size_t count;
    while (marline__protobuf_find(&r, SPAN_LINKS, PROTOBUF_BYTES, &field)) {
        marline_link_data link;
        bool usable;
        if (!take_link(b, field.bytes, &link, &usable) ||
            (usable && !marline__otlp_list_push(b, &link, sizeof link))) {
            return false;
        }
        span->dropped_links += !usable;
    }
    span->links = marline__otlp_list_end(b, begin, sizeof *span->links, &count);
    span->link_count = (uint32_t)count;
    return otlp_good(b);
}

static bool take_status(struct otlp_builder *b, struct slice message, marline_span_data *span)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    while (marline__protobuf_next(&r, &field)) {
        if (field.number == STATUS_MESSAGE && !take_text(b, &field, &span->status_message)) {
            return false;
        }
        if (field.number == STATUS_CODE && field.wire == PROTOBUF_VARINT) {
            marline__otlp_set_status(span, (int32_t)field.value);
        }
    }
    return check(b, &r);
}

/* One field of a span that is no list; false when it is malformed. */
static bool take_span_field(struct otlp_builder *b, const struct protobuf_field *field,
                            marline_span_data *span, struct otlp_span_ids *ids)
{
    bool fixed64 = field->wire == PROTOBUF_FIXED64;
    switch (field->number) {
    case SPAN_TRACE_ID:
        take_bytes(field, &ids->trace_id);
        break;
    case SPAN_SPAN_ID:
        take_bytes(field, &ids->span_id);
        break;
    case SPAN_PARENT_SPAN_ID:
        take_bytes(field, &ids->parent_span_id);
        break;
    case SPAN_TRACE_STATE:
        return take_text(b, field, &span->trace_state);
    case SPAN_NAME:
        return take_text(b, field, &span->name);
    case SPAN_KIND:
        marline__otlp_set_kind(span, field->wire == PROTOBUF_VARINT ? (int32_t)field->value : 0);
        break;
    case SPAN_START:
        span->start_unix_ns = fixed64 ? field->value : span->start_unix_ns;
        break;
    case SPAN_END:
        span->end_unix_ns = fixed64 ? field->value : span->end_unix_ns;
        break;
    case SPAN_DROPPED_ATTRIBUTES:
        take_count(field, &span->dropped_attributes);
        break;
    case SPAN_DROPPED_EVENTS:
        take_count(field, &span->dropped_events);
        break;
    case SPAN_DROPPED_LINKS:
        take_count(field, &span->dropped_links);
        break;
    case SPAN_STATUS:
        return field->wire != PROTOBUF_BYTES || take_status(b, field->bytes, span);
    case SPAN_FLAGS:
        marline__otlp_set_flags(span, field->wire == PROTOBUF_FIXED32 ? field->value : 0);
        break;
    default:
        break;
    }
    return true;
}

static bool take_span(struct otlp_builder *b, struct slice message,
                      const marline_resource_data *resource, const marline_scope_data *scope)
{
    marline_span_data span = {
        .kind = MARLINE_SPAN_KIND_INTERNAL, .name = {"", 0}, .resource = resource, .scope = scope};
    struct otlp_span_ids ids = {.trace_id = SLICE_EMPTY};
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    while (marline__protobuf_next(&r, &field)) {
        if (!take_span_field(b, &field, &span, &ids)) {
            return false;
        }
    }
    return check(b, &r) &&
           take_attributes(b, message, SPAN_ATTRIBUTES, &span.attributes, &span.attribute_count) &&
           take_events(b, message, &span) && take_links(b, message, &span) &&
           marline__otlp_add_span(b, &span, &ids);
}

/* ---- groups ---- */

static bool take_schema_url(struct otlp_builder *b, struct slice message, uint32_t number,
                            marline_string *out)
{
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    while (marline__protobuf_find(&r, number, PROTOBUF_BYTES, &field)) {
        if (!take_text(b, &field, out)) {
            return false;
        }
    }
    return check(b, &r);
}

static bool take_scope(struct otlp_builder *b, struct slice message, marline_scope_data *scope)
{
    struct protobuf_reader parts = protobuf_reader_of(message);
    struct protobuf_field part;
    size_t begin = otlp_list_begin(b);
    size_t count;
    while (marline__protobuf_find(&parts, SCOPE_SPANS_SCOPE, PROTOBUF_BYTES, &part)) {
        struct protobuf_reader r = protobuf_reader_of(part.bytes);
        struct protobuf_field field;
        while (marline__protobuf_next(&r, &field)) {
            if ((field.number == SCOPE_NAME && !take_text(b, &field, &scope->name)) ||
                (field.number == SCOPE_VERSION && !take_text(b, &field, &scope->version))) {
                return false;
            }
        }
        if (!check(b, &r) || !push_pairs(b, part.bytes, SCOPE_ATTRIBUTES, 0)) {
            return false;
        }
    }
    scope->attributes = marline__otlp_list_end(b, begin, sizeof *scope->attributes, &count);
    scope->attribute_count = (uint32_t)count;
    return otlp_good(b) && take_schema_url(b, message, SCOPE_SPANS_SCHEMA_URL, &scope->schema_url);
}

static bool take_resource(struct otlp_builder *b, struct slice message,
                          marline_resource_data *resource)
{
    struct protobuf_reader parts = protobuf_reader_of(message);
    struct protobuf_field part;
    size_t begin = otlp_list_begin(b);
    size_t count;
    while (marline__protobuf_find(&parts, RESOURCE_SPANS_RESOURCE, PROTOBUF_BYTES, &part)) {
        if (!push_pairs(b, part.bytes, RESOURCE_ATTRIBUTES, 0)) {
            return false;
        }
    }
    resource->attributes = marline__otlp_list_end(b, begin, sizeof *resource->attributes, &count);
    resource->attribute_count = (uint32_t)count;
    return otlp_good(b) &&
           take_schema_url(b, message, RESOURCE_SPANS_SCHEMA_URL, &resource->schema_url);
}

static bool take_scope_spans(struct otlp_builder *b, struct slice message,
                             const marline_resource_data *resource)
{
    marline_scope_data *scope = marline__arena_allocate(&b->request->arena, sizeof *scope);
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    if (!scope) {
        return marline__otlp_no_memory(b);
    }
    *scope = (marline_scope_data){.name = {"", 0}};
    if (!take_scope(b, message, scope)) {
        return false;
    }
    while (marline__protobuf_find(&r, SCOPE_SPANS_SPANS, PROTOBUF_BYTES, &field)) {
        if (!take_span(b, field.bytes, resource, scope)) {
            return false;
        }
    }
    return check(b, &r);
}

static bool take_resource_spans(struct otlp_builder *b, struct slice message)
{
    marline_resource_data *resource = marline__arena_allocate(&b->request->arena, sizeof *resource);
    struct protobuf_reader r = protobuf_reader_of(message);
    struct protobuf_field field;
    if (!resource) {
        return marline__otlp_no_memory(b);
    }
    *resource = (marline_resource_data){.attribute_count = 0};
    if (!take_resource(b, message, resource)) {
        return false;
    }
    while (marline__protobuf_find(&r, RESOURCE_SPANS_SCOPE_SPANS, PROTOBUF_BYTES, &field)) {
        if (!take_scope_spans(b, field.bytes, resource)) {
            return false;
        }
    }
    return check(b, &r);
}

void marline__otlp_protobuf_decode(struct otlp_builder *b, struct slice body)
{
    struct protobuf_reader r = protobuf_reader_of(body);
    struct protobuf_field field;
    while (marline__protobuf_find(&r, REQUEST_RESOURCE_SPANS, PROTOBUF_BYTES, &field)) {
        if (!take_resource_spans(b, field.bytes)) {
            return;
        }
    }
    (void)check(b, &r);
}
