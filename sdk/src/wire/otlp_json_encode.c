/* Spans to OTLP JSON (§4.1), straight into text. Defaults are left out, except inside a value
 * (JS-09); numbers of 64 bits are strings (JS-06). */
#include "wire/otlp_encode.h"

#include <math.h>

#include "base/hex.h"
#include "wire/base64.h"
#include "wire/otlp_group.h"
#include "wire/output.h"

/* All names and fixed parts of a span, with room to spare. */
enum { SPAN_FIXED_MAX = 512, PART_FIXED_MAX = 256 };

static struct slice slice_of(marline_string s)
{
    return (struct slice){s.data, s.size};
}

static void put_hex(struct output *o, const uint8_t *bytes, size_t size)
{
    output_byte(o, '"');
    marline__hex_encode(bytes, size, o->at);
    o->at += 2 * size;
    output_byte(o, '"');
}

static void put_quoted_unsigned(struct output *o, uint64_t value)
{
    output_byte(o, '"');
    marline__output_unsigned(o, value);
    output_byte(o, '"');
}

#define PUT_COUNT(o, name, value)                                                                  \
    do {                                                                                           \
        if ((value) > 0) {                                                                         \
            OUTPUT_LITERAL(o, ",\"" name "\":");                                                   \
            marline__output_unsigned(o, value);                                                    \
        }                                                                                          \
    } while (0)

/* ,"name":"text" unless empty */
static void write_text(struct output *o, struct slice name, marline_string text)
{
    if (text.size > 0 && output_need(o, name.size)) {
        output_bytes(o, name.data, name.size);
        marline__output_json_string(o, slice_of(text));
    }
}

/* ---- values ---- */

static void write_attributes(struct output *o, const marline_attribute *attributes, size_t count);
static void write_value(struct output *o, const marline_value *value);

static void write_bytes(struct output *o, marline_string bytes)
{
    OUTPUT_LITERAL(o, "{\"bytesValue\":\"");
    output_end(o);
    marline__base64_encode(slice_of(bytes), o->buffer);
    *o = output_begin(o->buffer);
    if (output_need(o, 2)) {
        OUTPUT_LITERAL(o, "\"}");
    }
}

static void write_double(struct output *o, double value)
{
    OUTPUT_LITERAL(o, "{\"doubleValue\":");
    if (isnan(value)) {
        OUTPUT_LITERAL(o, "\"NaN\"");
    } else if (isinf(value)) {
        output_bytes(o, value < 0 ? "\"-Infinity\"" : "\"Infinity\"", value < 0 ? 11 : 10);
    } else {
        marline__output_json_double(o, value);
    }
    if (output_need(o, 1)) {
        output_byte(o, '}');
    }
}

static void put_int(struct output *o, int64_t value)
{
    OUTPUT_LITERAL(o, "{\"intValue\":\"");
    if (value < 0) {
        output_byte(o, '-');
    }
    marline__output_unsigned(o, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    OUTPUT_LITERAL(o, "\"}");
}

static void write_string_value(struct output *o, marline_string text)
{
    OUTPUT_LITERAL(o, "{\"stringValue\":");
    marline__output_json_string(o, slice_of(text));
    if (output_need(o, 1)) {
        output_byte(o, '}');
    }
}

static void write_array(struct output *o, const marline_value *value)
{
    OUTPUT_LITERAL(o, "{\"arrayValue\":{\"values\":[");
    for (size_t i = 0; i < value->as.array.count; i++) {
        if (i > 0 && output_need(o, 1)) {
            output_byte(o, ',');
        }
        write_value(o, &value->as.array.items[i]);
    }
    if (output_need(o, 3)) {
        OUTPUT_LITERAL(o, "]}}");
    }
}

static void write_value(struct output *o, const marline_value *value)
{
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    switch (value->type) {
    case MARLINE_VALUE_EMPTY:
        OUTPUT_LITERAL(o, "{}");
        break;
    case MARLINE_VALUE_STRING:
        write_string_value(o, value->as.string);
        break;
    case MARLINE_VALUE_BOOL:
        output_bytes(o, value->as.boolean ? "{\"boolValue\":true}" : "{\"boolValue\":false}",
                     value->as.boolean ? 18 : 19);
        break;
    case MARLINE_VALUE_INT:
        put_int(o, value->as.integer);
        break;
    case MARLINE_VALUE_DOUBLE:
        write_double(o, value->as.real);
        break;
    case MARLINE_VALUE_BYTES:
        write_bytes(o, value->as.string);
        break;
    case MARLINE_VALUE_ARRAY:
        write_array(o, value);
        break;
    case MARLINE_VALUE_MAP:
        OUTPUT_LITERAL(o, "{\"kvlistValue\":{\"values\":");
        write_attributes(o, value->as.map.items, value->as.map.count);
        if (output_need(o, 2)) {
            OUTPUT_LITERAL(o, "}}");
        }
        break;
    }
}

/* The array, also when empty. */
static void write_attributes(struct output *o, const marline_attribute *attributes, size_t count)
{
    if (!output_need(o, 2)) {
        return;
    }
    output_byte(o, '[');
    for (size_t i = 0; i < count; i++) {
        if (!output_need(o, PART_FIXED_MAX)) {
            return;
        }
        if (i > 0) {
            output_byte(o, ',');
        }
        OUTPUT_LITERAL(o, "{\"key\":");
        marline__output_json_string(o, slice_of(attributes[i].key));
        if (!output_need(o, PART_FIXED_MAX)) {
            return;
        }
        OUTPUT_LITERAL(o, ",\"value\":");
        write_value(o, &attributes[i].value);
        if (!output_need(o, 2)) {
            return;
        }
        output_byte(o, '}');
    }
    output_byte(o, ']');
}

/* "attributes":[…] with what stands before it, unless there are none. */
static void write_attribute_member(struct output *o, struct slice name,
                                   const marline_attribute *attributes, size_t count)
{
    if (count > 0 && output_need(o, name.size)) {
        output_bytes(o, name.data, name.size);
        write_attributes(o, attributes, count);
    }
}

/* ---- spans ---- */

static void write_event(struct output *o, const marline_event_data *event)
{
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, "{\"timeUnixNano\":");
    put_quoted_unsigned(o, event->time_unix_ns);
    write_text(o, SLICE(",\"name\":"), event->name);
    write_attribute_member(o, SLICE(",\"attributes\":"), event->attributes, event->attribute_count);
    if (output_need(o, PART_FIXED_MAX)) {
        PUT_COUNT(o, "droppedAttributesCount", event->dropped_attributes);
        output_byte(o, '}');
    }
}

static void write_link(struct output *o, const marline_link_data *link)
{
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, "{\"traceId\":");
    put_hex(o, link->trace_id, sizeof link->trace_id);
    OUTPUT_LITERAL(o, ",\"spanId\":");
    put_hex(o, link->span_id, sizeof link->span_id);
    write_text(o, SLICE(",\"traceState\":"), link->trace_state);
    write_attribute_member(o, SLICE(",\"attributes\":"), link->attributes, link->attribute_count);
    if (output_need(o, PART_FIXED_MAX)) {
        PUT_COUNT(o, "droppedAttributesCount", link->dropped_attributes);
        OUTPUT_LITERAL(o, ",\"flags\":");
        marline__output_unsigned(o, marline__otlp_flags(link->flags, link->is_remote));
        output_byte(o, '}');
    }
}

static void write_events(struct output *o, const marline_span_data *span)
{
    if (span->event_count > 0 && output_need(o, PART_FIXED_MAX)) {
        OUTPUT_LITERAL(o, ",\"events\":");
        for (size_t i = 0; i < span->event_count && output_need(o, 1); i++) {
            output_byte(o, i > 0 ? ',' : '[');
            write_event(o, &span->events[i]);
        }
        if (output_need(o, 1)) {
            output_byte(o, ']');
        }
    }
    if (output_need(o, PART_FIXED_MAX)) {
        PUT_COUNT(o, "droppedEventsCount", span->dropped_events);
    }
}

static void write_links(struct output *o, const marline_span_data *span)
{
    if (span->link_count > 0 && output_need(o, PART_FIXED_MAX)) {
        OUTPUT_LITERAL(o, ",\"links\":");
        for (size_t i = 0; i < span->link_count && output_need(o, 1); i++) {
            output_byte(o, i > 0 ? ',' : '[');
            write_link(o, &span->links[i]);
        }
        if (output_need(o, 1)) {
            output_byte(o, ']');
        }
    }
    if (output_need(o, PART_FIXED_MAX)) {
        PUT_COUNT(o, "droppedLinksCount", span->dropped_links);
    }
}

static void write_status(struct output *o, const marline_span_data *span)
{
    bool message = span->status_message.size > 0;
    if ((span->status == MARLINE_SPAN_STATUS_UNSET && !message) ||
        !output_need(o, PART_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, ",\"status\":{");
    write_text(o, SLICE("\"message\":"), span->status_message);
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    if (span->status != MARLINE_SPAN_STATUS_UNSET) {
        output_bytes(o, message ? ",\"code\":" : "\"code\":", message ? 8 : 7);
        output_byte(o, (char)('0' + span->status));
    }
    output_byte(o, '}');
}

static void write_ids(struct output *o, const marline_span_data *span)
{
    OUTPUT_LITERAL(o, "{\"traceId\":");
    put_hex(o, span->trace_id, sizeof span->trace_id);
    OUTPUT_LITERAL(o, ",\"spanId\":");
    put_hex(o, span->span_id, sizeof span->span_id);
    write_text(o, SLICE(",\"traceState\":"), span->trace_state);
    if (span->has_parent && output_need(o, PART_FIXED_MAX)) {
        OUTPUT_LITERAL(o, ",\"parentSpanId\":");
        put_hex(o, span->parent_span_id, sizeof span->parent_span_id);
    }
    write_text(o, SLICE(",\"name\":"), span->name);
}

static void write_span(struct output *o, const marline_span_data *span)
{
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    write_ids(o, span);
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    PUT_COUNT(o, "kind", (unsigned)span->kind);
    OUTPUT_LITERAL(o, ",\"startTimeUnixNano\":");
    put_quoted_unsigned(o, span->start_unix_ns);
    OUTPUT_LITERAL(o, ",\"endTimeUnixNano\":");
    put_quoted_unsigned(o, span->end_unix_ns);
    write_attribute_member(o, SLICE(",\"attributes\":"), span->attributes, span->attribute_count);
    if (output_need(o, PART_FIXED_MAX)) {
        PUT_COUNT(o, "droppedAttributesCount", span->dropped_attributes);
    }
    write_events(o, span);
    write_links(o, span);
    write_status(o, span);
    if (output_need(o, PART_FIXED_MAX)) {
        OUTPUT_LITERAL(o, ",\"flags\":");
        marline__output_unsigned(o, marline__otlp_flags(span->flags, span->parent_is_remote));
        output_byte(o, '}');
    }
}

/* ---- groups ---- */

static void write_scope(struct output *o, const marline_scope_data *scope)
{
    bool named = scope->name.size > 0;
    bool versioned = scope->version.size > 0;
    write_text(o, SLICE("\"name\":"), scope->name);
    write_text(o, named ? SLICE(",\"version\":") : SLICE("\"version\":"), scope->version);
    write_attribute_member(
        o, named || versioned ? SLICE(",\"attributes\":") : SLICE("\"attributes\":"),
        scope->attributes, scope->attribute_count);
}

static void write_group(struct output *o, const struct otlp_groups *groups,
                        const struct otlp_group *group, const marline_span_data *spans)
{
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, "{\"scope\":{");
    write_scope(o, group->scope);
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, "},\"spans\":");
    OTLP_GROUP_EACH(groups, group, i)
    {
        if (!output_need(o, 1)) {
            return;
        }
        output_byte(o, i == group->first ? '[' : ',');
        write_span(o, &spans[i]);
    }
    if (output_need(o, 1)) {
        output_byte(o, ']');
    }
    write_text(o, SLICE(",\"schemaUrl\":"), group->scope->schema_url);
    if (output_need(o, 1)) {
        output_byte(o, '}');
    }
}

static void write_resource(struct output *o, const struct otlp_groups *groups, size_t first,
                           size_t end, const marline_span_data *spans)
{
    const marline_resource_data *resource = groups->groups[first].resource;
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, "{\"resource\":{");
    write_attribute_member(o, SLICE("\"attributes\":"), resource->attributes,
                           resource->attribute_count);
    if (!output_need(o, PART_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, "},\"scopeSpans\":");
    for (size_t i = first; i < end && output_need(o, 1); i++) {
        output_byte(o, i > first ? ',' : '[');
        write_group(o, groups, &groups->groups[i], spans);
    }
    if (output_need(o, 1)) {
        output_byte(o, ']');
    }
    write_text(o, SLICE(",\"schemaUrl\":"), resource->schema_url);
    if (output_need(o, 1)) {
        output_byte(o, '}');
    }
}

void marline__otlp_json_encode(const struct otlp_groups *groups, const marline_span_data *spans,
                               struct buffer *out)
{
    struct output o = output_begin(out);
    if (output_need(&o, PART_FIXED_MAX)) {
        OUTPUT_LITERAL(&o, "{\"resourceSpans\":[");
    }
    for (size_t i = 0, end; i < groups->count; i = end) {
        const marline_resource_data *resource = groups->groups[i].resource;
        for (end = i; end < groups->count && groups->groups[end].resource == resource; end++) {
        }
        if (i > 0 && output_need(&o, 1)) {
            output_byte(&o, ',');
        }
        write_resource(&o, groups, i, end, spans);
    }
    if (output_need(&o, 2)) {
        OUTPUT_LITERAL(&o, "]}");
    }
    output_end(&o);
}
