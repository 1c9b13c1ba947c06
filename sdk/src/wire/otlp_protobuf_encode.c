/* Spans to OTLP protobuf, straight into bytes: no tree, no second pass over the spans.
 *
 * A length stands before what it measures. Of attributes it is computed; of larger messages its
 * usual width is left free, and when the guess was wrong the message is moved by a byte or two,
 * which happens to small ones (cheap) or very large ones (rare).
 *
 * A string of protobuf is UTF-8, and a receiver refuses the whole request for one that is not:
 * texts are checked, which costs little, and what has malformed ones is written from a repaired
 * copy. */
#include "wire/otlp_encode.h"

#include "wire/otlp_group.h"
#include "wire/output.h"
#include "wire/span_repair.h"

/* First bytes on the wire (§4.2). */
enum {
    TAG_REQUEST_RESOURCE_SPANS = 0x0a,
    TAG_RESOURCE_SPANS_RESOURCE = 0x0a,
    TAG_RESOURCE_SPANS_SCOPE_SPANS = 0x12,
    TAG_RESOURCE_SPANS_SCHEMA_URL = 0x1a,
    TAG_RESOURCE_ATTRIBUTES = 0x0a,
    TAG_SCOPE_SPANS_SCOPE = 0x0a,
    TAG_SCOPE_SPANS_SPANS = 0x12,
    TAG_SCOPE_SPANS_SCHEMA_URL = 0x1a,
    TAG_SCOPE_NAME = 0x0a,
    TAG_SCOPE_VERSION = 0x12,
    TAG_SCOPE_ATTRIBUTES = 0x1a,
    TAG_SPAN_TRACE_ID = 0x0a,
    TAG_SPAN_SPAN_ID = 0x12,
    TAG_SPAN_TRACE_STATE = 0x1a,
    TAG_SPAN_PARENT = 0x22,
    TAG_SPAN_NAME = 0x2a,
    TAG_SPAN_KIND = 0x30,
    TAG_SPAN_START = 0x39,
    TAG_SPAN_END = 0x41,
    TAG_SPAN_ATTRIBUTES = 0x4a,
    TAG_SPAN_DROPPED_ATTRIBUTES = 0x50,
    TAG_SPAN_EVENTS = 0x5a,
    TAG_SPAN_DROPPED_EVENTS = 0x60,
    TAG_SPAN_LINKS = 0x6a,
    TAG_SPAN_DROPPED_LINKS = 0x70,
    TAG_SPAN_STATUS = 0x7a,
    TAG_SPAN_FLAGS_1 = 0x85, /* field 16 has a tag of two bytes */
    TAG_SPAN_FLAGS_2 = 0x01,
    TAG_EVENT_TIME = 0x09,
    TAG_EVENT_NAME = 0x12,
    TAG_EVENT_ATTRIBUTES = 0x1a,
    TAG_EVENT_DROPPED_ATTRIBUTES = 0x20,
    TAG_LINK_TRACE_ID = 0x0a,
    TAG_LINK_SPAN_ID = 0x12,
    TAG_LINK_TRACE_STATE = 0x1a,
    TAG_LINK_ATTRIBUTES = 0x22,
    TAG_LINK_DROPPED_ATTRIBUTES = 0x28,
    TAG_LINK_FLAGS = 0x35,
    TAG_STATUS_MESSAGE = 0x12,
    TAG_STATUS_CODE = 0x18,
    TAG_KEY = 0x0a,
    TAG_VALUE = 0x12,
    TAG_VALUE_STRING = 0x0a,
    TAG_VALUE_BOOL = 0x10,
    TAG_VALUE_INT = 0x18,
    TAG_VALUE_DOUBLE = 0x21,
    TAG_VALUE_ARRAY = 0x2a,
    TAG_VALUE_MAP = 0x32,
    TAG_VALUE_BYTES = 0x3a,
    TAG_ITEMS = 0x0a,
};

enum {
    VARINT_MAX = 10,
    /* Usual widths of lengths: a span has 128 to 16383 bytes, a batch up to 2 MiB. */
    WIDTH_BATCH = 3,
    WIDTH_SPAN = 2,
    WIDTH_PART = 1,
    /* Everything of a span but its texts and lists. */
    SPAN_FIXED_MAX = 160,
};

/* ---- primitives: the room for them was asked for ---- */

static size_t varint_size(uint64_t value)
{
    size_t size = 1;
    while (value >= 0x80) {
        value >>= 7;
        size++;
    }
    return size;
}

static void put_varint(struct output *o, uint64_t value)
{
    while (value >= 0x80) {
        output_byte(o, (char)(value | 0x80));
        value >>= 7;
    }
    output_byte(o, (char)value);
}

static void put_count(struct output *o, char tag, uint32_t count)
{
    if (count > 0) {
        output_byte(o, tag);
        put_varint(o, count);
    }
}

static void put_fixed64(struct output *o, char tag, uint64_t value)
{
    output_byte(o, tag);
    for (int i = 0; i < 8; i++) {
        output_byte(o, (char)(value >> 8 * i));
    }
}

static void put_fixed32(struct output *o, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        output_byte(o, (char)(value >> 8 * i));
    }
}

static void put_bytes(struct output *o, char tag, const void *data, size_t size)
{
    output_byte(o, tag);
    put_varint(o, size);
    output_bytes(o, data, size);
}

/* Asks for its own room. An empty text is left out. */
static void write_text(struct output *o, char tag, marline_string text)
{
    if (text.size > 0 && output_need(o, 1 + VARINT_MAX + text.size)) {
        put_bytes(o, tag, text.data, text.size);
    }
}

/* ---- messages whose length is found out ---- */

/* Leaves `width` bytes free for the length; returns the offset of the content. */
static size_t message_begin(struct output *o, char tag, size_t width)
{
    if (!output_need(o, 1 + width)) {
        return 0;
    }
    output_byte(o, tag);
    o->at += width;
    return output_size(o);
}

static void message_end(struct output *o, size_t content, size_t width)
{
    if (!output_need(o, VARINT_MAX) || content == 0) {
        return;
    }
    size_t size = output_size(o) - content;
    size_t needed = varint_size(size);
    char *start = o->buffer->data + content;
    if (needed != width) {
        memmove(start - width + needed, start, size);
    }
    struct output length = {o->buffer, start - width, NULL};
    put_varint(&length, size);
    o->at = length.at + size;
}

/* ---- attributes ---- */

static void write_value(struct output *o, const marline_value *value);
static void write_attributes(struct output *o, char tag, const marline_attribute *attributes,
                             size_t count);

static void write_list(struct output *o, const marline_value *value)
{
    bool map = value->type == MARLINE_VALUE_MAP;
    size_t content = message_begin(o, map ? TAG_VALUE_MAP : TAG_VALUE_ARRAY, WIDTH_PART);
    if (map) {
        write_attributes(o, TAG_ITEMS, value->as.map.items, value->as.map.count);
    }
    for (size_t i = 0; !map && i < value->as.array.count; i++) {
        size_t item = message_begin(o, TAG_ITEMS, WIDTH_PART);
        write_value(o, &value->as.array.items[i]);
        message_end(o, item, WIDTH_PART);
    }
    message_end(o, content, WIDTH_PART);
}

/* The content of an AnyValue of fixed size. */
static void put_scalar(struct output *o, const marline_value *value)
{
    uint64_t bits;
    switch (value->type) {
    case MARLINE_VALUE_STRING:
        put_bytes(o, TAG_VALUE_STRING, value->as.string.data, value->as.string.size);
        break;
    case MARLINE_VALUE_BYTES:
        put_bytes(o, TAG_VALUE_BYTES, value->as.string.data, value->as.string.size);
        break;
    case MARLINE_VALUE_BOOL:
        output_byte(o, TAG_VALUE_BOOL);
        output_byte(o, value->as.boolean);
        break;
    case MARLINE_VALUE_INT:
        output_byte(o, TAG_VALUE_INT);
        put_varint(o, (uint64_t)value->as.integer);
        break;
    case MARLINE_VALUE_DOUBLE:
        memcpy(&bits, &value->as.real, sizeof bits);
        put_fixed64(o, TAG_VALUE_DOUBLE, bits);
        break;
    case MARLINE_VALUE_EMPTY:
    case MARLINE_VALUE_ARRAY:
    case MARLINE_VALUE_MAP:
        break;
    }
}

static bool is_list(const marline_value *value)
{
    return value->type == MARLINE_VALUE_ARRAY || value->type == MARLINE_VALUE_MAP;
}

static size_t scalar_size(const marline_value *value)
{
    switch (value->type) {
    case MARLINE_VALUE_STRING:
    case MARLINE_VALUE_BYTES:
        return 1 + varint_size(value->as.string.size) + value->as.string.size;
    case MARLINE_VALUE_BOOL:
        return 2;
    case MARLINE_VALUE_INT:
        return 1 + varint_size((uint64_t)value->as.integer);
    case MARLINE_VALUE_DOUBLE:
        return 9;
    case MARLINE_VALUE_EMPTY:
    case MARLINE_VALUE_ARRAY:
    case MARLINE_VALUE_MAP:
        break;
    }
    return 0;
}

static void write_value(struct output *o, const marline_value *value)
{
    if (is_list(value)) {
        write_list(o, value);
    } else if (output_need(o, scalar_size(value))) {
        put_scalar(o, value);
    }
}

static void write_list_attribute(struct output *o, char tag, const marline_attribute *attribute)
{
    size_t content = message_begin(o, tag, WIDTH_PART);
    write_text(o, TAG_KEY, attribute->key);
    size_t value = message_begin(o, TAG_VALUE, WIDTH_PART);
    write_list(o, &attribute->value);
    message_end(o, value, WIDTH_PART);
    message_end(o, content, WIDTH_PART);
}

static void write_attributes(struct output *o, char tag, const marline_attribute *attributes,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const marline_attribute *a = &attributes[i];
        if (is_list(&a->value)) {
            write_list_attribute(o, tag, a);
            continue;
        }
        size_t value = scalar_size(&a->value);
        size_t pair = 1 + varint_size(a->key.size) + a->key.size + 1 + varint_size(value) + value;
        if (!output_need(o, 1 + VARINT_MAX + pair)) {
            return;
        }
        output_byte(o, tag);
        put_varint(o, pair);
        put_bytes(o, TAG_KEY, a->key.data, a->key.size);
        output_byte(o, TAG_VALUE);
        put_varint(o, value);
        put_scalar(o, &a->value);
    }
}

/* ---- spans ---- */

static void write_event(struct output *o, const marline_event_data *event)
{
    size_t content = message_begin(o, TAG_SPAN_EVENTS, WIDTH_PART);
    if (!output_need(o, 9)) {
        return;
    }
    put_fixed64(o, TAG_EVENT_TIME, event->time_unix_ns);
    write_text(o, TAG_EVENT_NAME, event->name);
    write_attributes(o, TAG_EVENT_ATTRIBUTES, event->attributes, event->attribute_count);
    if (output_need(o, 1 + VARINT_MAX)) {
        put_count(o, TAG_EVENT_DROPPED_ATTRIBUTES, event->dropped_attributes);
    }
    message_end(o, content, WIDTH_PART);
}

static void write_link(struct output *o, const marline_link_data *link)
{
    size_t content = message_begin(o, TAG_SPAN_LINKS, WIDTH_PART);
    if (!output_need(o, 2 + sizeof link->trace_id + 2 + sizeof link->span_id)) {
        return;
    }
    put_bytes(o, TAG_LINK_TRACE_ID, link->trace_id, sizeof link->trace_id);
    put_bytes(o, TAG_LINK_SPAN_ID, link->span_id, sizeof link->span_id);
    write_text(o, TAG_LINK_TRACE_STATE, link->trace_state);
    write_attributes(o, TAG_LINK_ATTRIBUTES, link->attributes, link->attribute_count);
    if (!output_need(o, 1 + VARINT_MAX + 5)) {
        return;
    }
    put_count(o, TAG_LINK_DROPPED_ATTRIBUTES, link->dropped_attributes);
    output_byte(o, TAG_LINK_FLAGS);
    put_fixed32(o, marline__otlp_flags(link->flags, link->is_remote));
    message_end(o, content, WIDTH_PART);
}

static void write_status(struct output *o, const marline_span_data *span)
{
    if (span->status == MARLINE_SPAN_STATUS_UNSET && span->status_message.size == 0) {
        return;
    }
    size_t content = message_begin(o, TAG_SPAN_STATUS, WIDTH_PART);
    write_text(o, TAG_STATUS_MESSAGE, span->status_message);
    if (output_need(o, 1 + VARINT_MAX)) {
        put_count(o, TAG_STATUS_CODE, (uint32_t)span->status);
    }
    message_end(o, content, WIDTH_PART);
}

static void put_ids(struct output *o, const marline_span_data *span)
{
    put_bytes(o, TAG_SPAN_TRACE_ID, span->trace_id, sizeof span->trace_id);
    put_bytes(o, TAG_SPAN_SPAN_ID, span->span_id, sizeof span->span_id);
    if (span->trace_state.size > 0) {
        put_bytes(o, TAG_SPAN_TRACE_STATE, span->trace_state.data, span->trace_state.size);
    }
    if (span->has_parent) {
        put_bytes(o, TAG_SPAN_PARENT, span->parent_span_id, sizeof span->parent_span_id);
    }
}

static void write_span(struct output *o, const marline_span_data *span)
{
    size_t content = message_begin(o, TAG_SCOPE_SPANS_SPANS, WIDTH_SPAN);
    if (!output_need(o, SPAN_FIXED_MAX + span->trace_state.size + span->name.size)) {
        return;
    }
    put_ids(o, span);
    if (span->name.size > 0) {
        put_bytes(o, TAG_SPAN_NAME, span->name.data, span->name.size);
    }
    put_count(o, TAG_SPAN_KIND, (uint32_t)span->kind);
    put_fixed64(o, TAG_SPAN_START, span->start_unix_ns);
    put_fixed64(o, TAG_SPAN_END, span->end_unix_ns);
    write_attributes(o, TAG_SPAN_ATTRIBUTES, span->attributes, span->attribute_count);
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    put_count(o, TAG_SPAN_DROPPED_ATTRIBUTES, span->dropped_attributes);
    for (size_t i = 0; i < span->event_count; i++) {
        write_event(o, &span->events[i]);
    }
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    put_count(o, TAG_SPAN_DROPPED_EVENTS, span->dropped_events);
    for (size_t i = 0; i < span->link_count; i++) {
        write_link(o, &span->links[i]);
    }
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    put_count(o, TAG_SPAN_DROPPED_LINKS, span->dropped_links);
    write_status(o, span);
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    output_byte(o, (char)TAG_SPAN_FLAGS_1);
    output_byte(o, TAG_SPAN_FLAGS_2);
    put_fixed32(o, marline__otlp_flags(span->flags, span->parent_is_remote));
    message_end(o, content, WIDTH_SPAN);
}

static void write_any_span(struct output *o, const marline_span_data *span)
{
    if (marline__span_is_utf8(span)) {
        write_span(o, span);
        return;
    }
    struct arena arena = ARENA_INIT;
    marline_span_data repaired = *span;
    if (marline__span_repair(&repaired, &arena)) {
        write_span(o, &repaired);
    } else {
        o->buffer->failed = true;
    }
    marline__arena_deinit(&arena);
}

/* ---- groups ---- */

static void write_repaired_attributes(struct output *o, char tag,
                                      const marline_attribute *attributes, size_t count)
{
    struct arena arena = ARENA_INIT;
    bool good = marline__attributes_are_utf8(attributes, count) ||
                marline__attributes_repair(&attributes, count, &arena);
    if (good) {
        write_attributes(o, tag, attributes, count);
    } else {
        o->buffer->failed = true;
    }
    marline__arena_deinit(&arena);
}

static void write_repaired_text(struct output *o, char tag, marline_string text)
{
    struct arena arena = ARENA_INIT;
    if (marline__string_repair(&text, &arena)) {
        write_text(o, tag, text);
    } else {
        o->buffer->failed = true;
    }
    marline__arena_deinit(&arena);
}

static void write_resource(struct output *o, const marline_resource_data *resource)
{
    size_t content = message_begin(o, TAG_RESOURCE_SPANS_RESOURCE, WIDTH_SPAN);
    write_repaired_attributes(o, TAG_RESOURCE_ATTRIBUTES, resource->attributes,
                              resource->attribute_count);
    message_end(o, content, WIDTH_SPAN);
}

static void write_scope(struct output *o, const marline_scope_data *scope)
{
    size_t content = message_begin(o, TAG_SCOPE_SPANS_SCOPE, WIDTH_PART);
    write_repaired_text(o, TAG_SCOPE_NAME, scope->name);
    write_repaired_text(o, TAG_SCOPE_VERSION, scope->version);
    write_repaired_attributes(o, TAG_SCOPE_ATTRIBUTES, scope->attributes, scope->attribute_count);
    message_end(o, content, WIDTH_PART);
}

static void write_group(struct output *o, const struct otlp_groups *groups,
                        const struct otlp_group *group, const marline_span_data *spans)
{
    size_t content = message_begin(o, TAG_RESOURCE_SPANS_SCOPE_SPANS, WIDTH_BATCH);
    write_scope(o, group->scope);
    OTLP_GROUP_EACH(groups, group, i)
    {
        write_any_span(o, &spans[i]);
    }
    write_repaired_text(o, TAG_SCOPE_SPANS_SCHEMA_URL, group->scope->schema_url);
    message_end(o, content, WIDTH_BATCH);
}

void marline__otlp_protobuf_encode(const struct otlp_groups *groups, const marline_span_data *spans,
                                   struct buffer *out)
{
    struct output o = output_begin(out);
    for (size_t i = 0; i < groups->count;) {
        const marline_resource_data *resource = groups->groups[i].resource;
        size_t content = message_begin(&o, TAG_REQUEST_RESOURCE_SPANS, WIDTH_BATCH);
        write_resource(&o, resource);
        for (; i < groups->count && groups->groups[i].resource == resource; i++) {
            write_group(&o, groups, &groups->groups[i], spans);
        }
        write_repaired_text(&o, TAG_RESOURCE_SPANS_SCHEMA_URL, resource->schema_url);
        message_end(&o, content, WIDTH_BATCH);
    }
    output_end(&o);
}
