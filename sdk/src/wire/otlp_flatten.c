/* Spans of OTLP in the flat form of the platform's channel; see otlp.h. */
#include "wire/otlp.h"

#include "base/hex.h"
#include "base/memory.h"
#include "wire/json_writer.h"

/* Repeated keys are looked for by comparing all pairs; in a longer list they stay, and a reader
 * takes the last one. */
enum { UNIQUE_KEYS_MAX = 128 };

static struct slice slice_of(marline_string s)
{
    return (struct slice){s.data, s.size};
}

static bool is_key(const marline_attribute *attribute, const char *key)
{
    return marline__slice_is(slice_of(attribute->key), key);
}

/* True when the same key comes again. */
static bool is_superseded(const marline_attribute *attributes, size_t count, size_t index)
{
    if (count > UNIQUE_KEYS_MAX) {
        return false;
    }
    for (size_t i = index + 1; i < count; i++) {
        if (marline__slice_equal(slice_of(attributes[i].key), slice_of(attributes[index].key))) {
            return true;
        }
    }
    return false;
}

static void write_members(struct json_writer *w, const marline_attribute *attributes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_superseded(attributes, count, i)) {
            marline__json_key_slice(w, slice_of(attributes[i].key));
            marline__platform_write_value(w, &attributes[i].value);
        }
    }
}

static void write_text_member(struct json_writer *w, const char *key, marline_string value)
{
    if (value.size > 0) {
        marline__json_member_string(w, key, slice_of(value));
    }
}

static void write_count_member(struct json_writer *w, const char *key, uint32_t count)
{
    if (count > 0) {
        marline__json_member_int(w, key, count);
    }
}

static void write_attributes(const marline_span_data *span, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    write_members(&w, span->attributes, span->attribute_count);
    write_text_member(&w, "otel.scope.name", span->scope->name);
    write_text_member(&w, "otel.scope.version", span->scope->version);
    write_count_member(&w, "otel.dropped_attributes_count", span->dropped_attributes);
    write_count_member(&w, "otel.dropped_events_count", span->dropped_events);
    write_count_member(&w, "otel.dropped_links_count", span->dropped_links);
    write_text_member(&w, "w3c.tracestate", span->trace_state);
    marline__json_end_object(&w);
}

static void write_resource(const marline_span_data *span, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    write_members(&w, span->resource->attributes, span->resource->attribute_count);
    marline__json_end_object(&w);
}

static void write_list(const marline_span_data *span, struct buffer *out,
                       void (*write)(struct json_writer *w, const marline_span_data *span))
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    write(&w, span);
}

/* Where the JSON of a span stands in the scratch buffer, which moves while it grows. */
struct offsets {
    size_t resource;
    size_t resource_end;
    size_t attributes;
    size_t events;
    size_t links;
    size_t end;
};

static void write_span(const marline_span_data *spans, size_t index, struct offsets *offsets,
                       struct buffer *out)
{
    struct offsets *o = &offsets[index];
    if (index > 0 && spans[index].resource == spans[index - 1].resource) {
        o->resource = offsets[index - 1].resource;
        o->resource_end = offsets[index - 1].resource_end;
    } else {
        o->resource = out->size;
        write_resource(&spans[index], out);
        o->resource_end = out->size;
    }
    o->attributes = out->size;
    write_attributes(&spans[index], out);
    o->events = out->size;
    write_list(&spans[index], out, marline__platform_write_events);
    o->links = out->size;
    write_list(&spans[index], out, marline__platform_write_links);
    o->end = out->size;
}

static void take_string(const marline_attribute *attribute, const char *key, struct slice *out)
{
    if (attribute->value.type == MARLINE_VALUE_STRING && is_key(attribute, key)) {
        *out = slice_of(attribute->value.as.string);
    }
}

static void take_known_attributes(const marline_span_data *span, struct platform_span *out)
{
    for (size_t i = 0; i < span->attribute_count; i++) {
        const marline_attribute *a = &span->attributes[i];
        take_string(a, "rhesis.conversation.id", &out->conversation_id);
        take_string(a, "rhesis.test.run_id", &out->test_run_id);
        take_string(a, "rhesis.test.id", &out->test_id);
        take_string(a, "rhesis.test.configuration_id", &out->test_configuration_id);
        take_string(a, "rhesis.test.result_id", &out->test_result_id);
        if (a->value.type == MARLINE_VALUE_INT && is_key(a, "rhesis.test.attempt") &&
            a->value.as.integer > 0 && a->value.as.integer <= UINT32_MAX) {
            out->attempt = (uint32_t)a->value.as.integer;
        }
    }
    for (size_t i = 0; i < span->resource->attribute_count; i++) {
        take_string(&span->resource->attributes[i], "deployment.environment", &out->environment);
    }
    for (size_t i = 0; i < span->resource->attribute_count; i++) {
        take_string(&span->resource->attributes[i], "deployment.environment.name",
                    &out->environment);
    }
}

static void write_id(const uint8_t *bytes, size_t size, char *out)
{
    marline__hex_encode(bytes, size, out);
    out[2 * size] = '\0';
}

static void fill_span(const marline_span_data *span, const struct offsets *o, const char *text,
                      struct platform_span *out)
{
    *out = (struct platform_span){
        .environment = SLICE("development"),
        .name = slice_of(span->name),
        .kind = span->kind,
        .start_unix_ns = span->start_unix_ns,
        .end_unix_ns = span->end_unix_ns,
        .status = span->status,
        .status_message =
            span->status_message.size > 0 ? slice_of(span->status_message) : SLICE_EMPTY,
        .attributes = {text + o->attributes, o->events - o->attributes},
        .events = {text + o->events, o->links - o->events},
        .links = {text + o->links, o->end - o->links},
        .resource = {text + o->resource, o->resource_end - o->resource},
    };
    write_id(span->trace_id, sizeof span->trace_id, out->trace_id);
    write_id(span->span_id, sizeof span->span_id, out->span_id);
    if (span->has_parent) {
        write_id(span->parent_span_id, sizeof span->parent_span_id, out->parent_span_id);
    }
    take_known_attributes(span, out);
}

bool marline__otlp_flatten(const marline_span_data *spans, size_t count,
                           struct platform_request *out)
{
    *out = (struct platform_request){.scratch = BUFFER_INIT};
    struct offsets *offsets = marline__memory_array(count, sizeof *offsets);
    out->spans = marline__memory_array(count, sizeof *out->spans);
    bool good = offsets && out->spans;
    for (size_t i = 0; good && i < count; i++) {
        write_span(spans, i, offsets, &out->scratch);
        good = !out->scratch.failed;
    }
    for (size_t i = 0; good && i < count; i++) {
        fill_span(&spans[i], &offsets[i], out->scratch.data, &out->spans[i]);
        out->count++;
    }
    marline__memory_free(offsets);
    return good;
}
