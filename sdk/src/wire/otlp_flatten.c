/* Spans of OTLP in the flat form of the platform's channel; see otlp.h. */
#include "wire/otlp.h"

#include "base/hex.h"
#include "base/memory.h"
#include "wire/output.h"
#include "wire/span_json.h"

static struct slice slice_of(marline_string s)
{
    return (struct slice){s.data, s.size};
}

static bool is_key(const marline_attribute *attribute, const char *key)
{
    return marline__slice_is(slice_of(attribute->key), key);
}

static void write_byte(struct output *o, char byte)
{
    if (output_need(o, 1)) {
        output_byte(o, byte);
    }
}

/* A member of our own, unless it has nothing to say. */
static void write_extra(struct output *o, const char *key, const marline_value *value, bool *any)
{
    marline_attribute extra = {{key, strlen(key)}, *value};
    if (value->type == MARLINE_VALUE_STRING ? value->as.string.size > 0 : value->as.integer > 0) {
        marline__span_json_members(o, &extra, 1, false, any);
    }
}

static void write_text_extra(struct output *o, const char *key, marline_string text, bool *any)
{
    marline_value value = {MARLINE_VALUE_STRING, {.string = text}};
    write_extra(o, key, &value, any);
}

static void write_count_extra(struct output *o, const char *key, uint32_t count, bool *any)
{
    marline_value value = {MARLINE_VALUE_INT, {.integer = count}};
    write_extra(o, key, &value, any);
}

static void write_attributes(const marline_span_data *span, struct output *o)
{
    bool any = false;
    write_byte(o, '{');
    marline__span_json_members(o, span->attributes, span->attribute_count, true, &any);
    write_text_extra(o, "otel.scope.name", span->scope->name, &any);
    write_text_extra(o, "otel.scope.version", span->scope->version, &any);
    write_count_extra(o, "otel.dropped_attributes_count", span->dropped_attributes, &any);
    write_count_extra(o, "otel.dropped_events_count", span->dropped_events, &any);
    write_count_extra(o, "otel.dropped_links_count", span->dropped_links, &any);
    write_text_extra(o, "w3c.tracestate", span->trace_state, &any);
    write_byte(o, '}');
}

static void write_resource(const marline_span_data *span, struct output *o)
{
    bool any = false;
    write_byte(o, '{');
    marline__span_json_members(o, span->resource->attributes, span->resource->attribute_count, true,
                               &any);
    write_byte(o, '}');
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
    struct offsets *at = &offsets[index];
    struct output o = output_begin(out);
    if (index > 0 && spans[index].resource == spans[index - 1].resource) {
        at->resource = offsets[index - 1].resource;
        at->resource_end = offsets[index - 1].resource_end;
    } else {
        at->resource = output_size(&o);
        write_resource(&spans[index], &o);
        at->resource_end = output_size(&o);
    }
    at->attributes = output_size(&o);
    write_attributes(&spans[index], &o);
    at->events = output_size(&o);
    marline__span_json_events(&o, &spans[index]);
    at->links = output_size(&o);
    marline__span_json_links(&o, &spans[index]);
    at->end = output_size(&o);
    output_end(&o);
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
