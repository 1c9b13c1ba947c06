/* The sending side of the platform's span JSON; see platform_trace.h. */
#include "wire/platform_trace.h"

#include "base/hex.h"
#include "base/utf8.h"
#include "wire/output.h"
#include "wire/span_json.h"

/* Stands for the parent of a conversation's later turns; never sent (§4.4). */
static const uint8_t synthetic_parent[8] = {0, 0, 0, 0, 0xca, 0xfe, 0xca, 0xfe};

/* ---- names ---- */

static size_t letters(struct slice s)
{
    size_t n = 0;
    while (n < s.size && s.data[n] >= 'a' && s.data[n] <= 'z') {
        n++;
    }
    return n;
}

enum platform_name marline__platform_check_name(struct slice name, struct slice *out_domain)
{
    static const char *const concepts[] = {"chain", "workflow", "pipeline"};
    if (marline__slice_starts(name, "function.")) {
        return PLATFORM_NAME_GOOD;
    }
    if (!marline__slice_starts(name, "ai.")) {
        return PLATFORM_NAME_MALFORMED;
    }
    struct slice rest = {name.data + 3, name.size - 3};
    struct slice domain = {rest.data, letters(rest)};
    rest = (struct slice){rest.data + domain.size, rest.size - domain.size};
    if (rest.size > 0) {
        struct slice action = {rest.data + 1, rest.size - 1};
        if (rest.data[0] != '.' || action.size == 0 || letters(action) != action.size) {
            return PLATFORM_NAME_MALFORMED;
        }
    }
    for (size_t i = 0; i < sizeof concepts / sizeof concepts[0]; i++) {
        if (marline__slice_is(domain, concepts[i])) {
            *out_domain = domain;
            return PLATFORM_NAME_FORBIDDEN;
        }
    }
    return domain.size > 0 ? PLATFORM_NAME_GOOD : PLATFORM_NAME_MALFORMED;
}

bool marline__platform_span_name_is_valid(struct slice name)
{
    struct slice domain;
    return marline__platform_check_name(name, &domain) == PLATFORM_NAME_GOOD &&
           marline__utf8_length(name) <= PLATFORM_NAME_MAX;
}

/* ---- encoding ---- */

/* Names and fixed parts of a span, its ids and times: with room to spare. */
enum { SPAN_FIXED_MAX = 512 };

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

/* The name with what stands around it, then the text, or null when it is empty. */
static void write_text(struct output *o, struct slice name, struct slice text)
{
    if (!output_need(o, name.size + 4)) {
        return;
    }
    output_bytes(o, name.data, name.size);
    if (text.size > 0) {
        marline__output_json_string(o, text);
    } else {
        OUTPUT_LITERAL(o, "null");
    }
}

static void write_name(struct output *o, struct slice name)
{
    if (output_need(o, name.size)) {
        output_bytes(o, name.data, name.size);
    }
}

static bool is_parentless(const marline_span_data *span)
{
    return !span->has_parent ||
           memcmp(span->parent_span_id, synthetic_parent, sizeof synthetic_parent) == 0;
}

static struct slice conversation_of(const marline_span_data *span, struct slice otherwise)
{
    for (size_t i = 0; i < span->attribute_count; i++) {
        const marline_attribute *a = &span->attributes[i];
        if (a->value.type == MARLINE_VALUE_STRING &&
            marline__slice_is(slice_of(a->key), "rhesis.conversation.id")) {
            return slice_of(a->value.as.string);
        }
    }
    return otherwise;
}

static const char *kind_text(marline_span_kind kind)
{
    switch (kind) {
    case MARLINE_SPAN_KIND_SERVER:
        return "SERVER";
    case MARLINE_SPAN_KIND_CLIENT:
        return "CLIENT";
    case MARLINE_SPAN_KIND_PRODUCER:
        return "PRODUCER";
    case MARLINE_SPAN_KIND_CONSUMER:
        return "CONSUMER";
    case MARLINE_SPAN_KIND_INTERNAL:
        break;
    }
    return "INTERNAL";
}

static const char *status_text(marline_span_status status)
{
    static const char *const texts[] = {"UNSET", "OK", "ERROR"};
    return texts[status];
}

static void write_identity(struct output *o, const marline_span_data *span,
                           const struct platform_identity *identity)
{
    struct slice environment =
        identity->environment.size > 0 ? identity->environment : SLICE("development");
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, "{\"trace_id\":");
    put_hex(o, span->trace_id, sizeof span->trace_id);
    OUTPUT_LITERAL(o, ",\"span_id\":");
    put_hex(o, span->span_id, sizeof span->span_id);
    OUTPUT_LITERAL(o, ",\"parent_span_id\":");
    if (is_parentless(span)) {
        OUTPUT_LITERAL(o, "null");
    } else {
        put_hex(o, span->parent_span_id, sizeof span->parent_span_id);
    }
    write_text(o, SLICE(",\"project_id\":"), identity->project_id);
    write_text(o, SLICE(",\"environment\":"), environment);
    write_text(o, SLICE(",\"conversation_id\":"), conversation_of(span, identity->conversation_id));
}

static void write_fields(struct output *o, const marline_span_data *span)
{
    const char *kind = kind_text(span->kind);
    const char *status = status_text(span->status);
    write_name(o, SLICE(",\"span_name\":"));
    marline__output_json_string(o, slice_of(span->name));
    if (!output_need(o, SPAN_FIXED_MAX)) {
        return;
    }
    OUTPUT_LITERAL(o, ",\"span_kind\":\"");
    output_bytes(o, kind, strlen(kind));
    OUTPUT_LITERAL(o, "\",\"start_time\":");
    marline__span_json_time(o, span->start_unix_ns);
    OUTPUT_LITERAL(o, ",\"end_time\":");
    marline__span_json_time(o, span->end_unix_ns);
    OUTPUT_LITERAL(o, ",\"status_code\":\"");
    output_bytes(o, status, strlen(status));
    output_byte(o, '"');
    write_text(o, SLICE(",\"status_message\":"), slice_of(span->status_message));
}

void marline__platform_encode_span(const marline_span_data *span,
                                   const struct platform_identity *identity, struct buffer *out)
{
    struct output o = output_begin(out);
    write_identity(&o, span, identity);
    write_fields(&o, span);
    write_name(&o, SLICE(",\"attributes\":"));
    marline__span_json_attributes(&o, span->attributes, span->attribute_count);
    write_name(&o, SLICE(",\"events\":"));
    marline__span_json_events(&o, span);
    write_name(&o, SLICE(",\"links\":"));
    marline__span_json_links(&o, span);
    write_name(&o, SLICE(",\"resource\":"));
    marline__span_json_attributes(&o, span->resource->attributes, span->resource->attribute_count);
    write_name(&o, SLICE("}"));
    output_end(&o);
}

size_t marline__platform_plan_chunks(const marline_span_data *spans, size_t count, uint32_t *order)
{
    size_t roots = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_parentless(&spans[i])) {
            order[roots++] = (uint32_t)i;
        }
    }
    size_t placed = roots;
    for (size_t i = 0; i < count; i++) {
        if (!is_parentless(&spans[i])) {
            order[placed++] = (uint32_t)i;
        }
    }
    size_t first = roots > PLATFORM_SPANS_PER_POST ? roots : PLATFORM_SPANS_PER_POST;
    return first < count ? first : count;
}
