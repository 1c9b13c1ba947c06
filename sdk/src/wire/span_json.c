/* The JSON of attributes, events and links; see span_json.h. */
#include "wire/span_json.h"

#include <math.h>

#include "base/hex.h"
#include "base/time_text.h"
#include "wire/base64.h"

/* Repeated keys are looked for by comparing all pairs; in a longer list they stay, and a reader
 * takes the last one. */
enum { UNIQUE_KEYS_MAX = 128 };

static struct slice slice_of(marline_string s)
{
    return (struct slice){s.data, s.size};
}

static void write_byte(struct output *o, char byte)
{
    if (output_need(o, 1)) {
        output_byte(o, byte);
    }
}

static void write_literal(struct output *o, struct slice text)
{
    if (output_need(o, text.size)) {
        output_bytes(o, text.data, text.size);
    }
}

/* ---- values ---- */

static void write_int(struct output *o, int64_t value)
{
    if (output_need(o, 1 + OUTPUT_UNSIGNED_MAX)) {
        if (value < 0) {
            output_byte(o, '-');
        }
        marline__output_unsigned(o, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    }
}

static void write_bytes(struct output *o, marline_string bytes)
{
    write_byte(o, '"');
    output_end(o);
    marline__base64_encode(slice_of(bytes), o->buffer);
    *o = output_begin(o->buffer);
    write_byte(o, '"');
}

static void write_value(struct output *o, const marline_value *value, unsigned depth);

static void write_members(struct output *o, const marline_attribute *attributes, size_t count,
                          unsigned depth)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            write_byte(o, ',');
        }
        marline__output_json_string(o, slice_of(attributes[i].key));
        write_byte(o, ':');
        write_value(o, &attributes[i].value, depth);
    }
}

static void write_list(struct output *o, const marline_value *value, unsigned depth)
{
    if (depth >= SPAN_JSON_DEPTH_MAX) {
        write_literal(o, SLICE("null"));
        return;
    }
    bool map = value->type == MARLINE_VALUE_MAP;
    write_byte(o, map ? '{' : '[');
    if (map) {
        write_members(o, value->as.map.items, value->as.map.count, depth + 1);
    }
    for (size_t i = 0; !map && i < value->as.array.count; i++) {
        if (i > 0) {
            write_byte(o, ',');
        }
        write_value(o, &value->as.array.items[i], depth + 1);
    }
    write_byte(o, map ? '}' : ']');
}

static void write_value(struct output *o, const marline_value *value, unsigned depth)
{
    switch (value->type) {
    case MARLINE_VALUE_STRING:
        marline__output_json_string(o, slice_of(value->as.string));
        return;
    case MARLINE_VALUE_BOOL:
        write_literal(o, value->as.boolean ? SLICE("true") : SLICE("false"));
        return;
    case MARLINE_VALUE_INT:
        write_int(o, value->as.integer);
        return;
    case MARLINE_VALUE_DOUBLE:
        if (isfinite(value->as.real)) {
            marline__output_json_double(o, value->as.real);
            return;
        }
        break;
    case MARLINE_VALUE_BYTES:
        write_bytes(o, value->as.string);
        return;
    case MARLINE_VALUE_ARRAY:
    case MARLINE_VALUE_MAP:
        write_list(o, value, depth);
        return;
    case MARLINE_VALUE_EMPTY:
        break;
    }
    write_literal(o, SLICE("null"));
}

void marline__span_json_value(struct output *o, const marline_value *value)
{
    write_value(o, value, 0);
}

/* ---- attributes ---- */

/* True when the same key comes again. */
static bool is_superseded(const marline_attribute *attributes, size_t count, size_t index)
{
    for (size_t i = index + 1; i < count; i++) {
        if (marline__slice_equal(slice_of(attributes[i].key), slice_of(attributes[index].key))) {
            return true;
        }
    }
    return false;
}

void marline__span_json_members(struct output *o, const marline_attribute *attributes, size_t count,
                                bool unique, bool *any)
{
    unique = unique && count <= UNIQUE_KEYS_MAX;
    for (size_t i = 0; i < count; i++) {
        if (unique && is_superseded(attributes, count, i)) {
            continue;
        }
        if (*any) {
            write_byte(o, ',');
        }
        write_members(o, &attributes[i], 1, 0);
        *any = true;
    }
}

void marline__span_json_attributes(struct output *o, const marline_attribute *attributes,
                                   size_t count)
{
    write_byte(o, '{');
    write_members(o, attributes, count, 0);
    write_byte(o, '}');
}

/* ---- events and links ---- */

void marline__span_json_time(struct output *o, uint64_t unix_ns)
{
    if (output_need(o, 2 + TIME_TEXT_SIZE)) {
        output_byte(o, '"');
        marline__time_format(unix_ns, o->at);
        o->at += strlen(o->at);
        output_byte(o, '"');
    }
}

void marline__span_json_events(struct output *o, const marline_span_data *span)
{
    write_byte(o, '[');
    for (size_t i = 0; i < span->event_count; i++) {
        const marline_event_data *event = &span->events[i];
        write_literal(o, i > 0 ? SLICE(",{\"name\":") : SLICE("{\"name\":"));
        marline__output_json_string(o, slice_of(event->name));
        write_literal(o, SLICE(",\"timestamp\":"));
        marline__span_json_time(o, event->time_unix_ns);
        write_literal(o, SLICE(",\"attributes\":"));
        marline__span_json_attributes(o, event->attributes, event->attribute_count);
        write_byte(o, '}');
    }
    write_byte(o, ']');
}

static void write_hex(struct output *o, const uint8_t *bytes, size_t size)
{
    if (output_need(o, 2 * size)) {
        marline__hex_encode(bytes, size, o->at);
        o->at += 2 * size;
    }
}

void marline__span_json_links(struct output *o, const marline_span_data *span)
{
    write_byte(o, '[');
    for (size_t i = 0; i < span->link_count; i++) {
        const marline_link_data *link = &span->links[i];
        write_literal(o, i > 0 ? SLICE(",{\"trace_id\":\"") : SLICE("{\"trace_id\":\""));
        write_hex(o, link->trace_id, sizeof link->trace_id);
        write_literal(o, SLICE("\",\"span_id\":\""));
        write_hex(o, link->span_id, sizeof link->span_id);
        write_literal(o, SLICE("\",\"attributes\":"));
        marline__span_json_attributes(o, link->attributes, link->attribute_count);
        write_byte(o, '}');
    }
    write_byte(o, ']');
}
