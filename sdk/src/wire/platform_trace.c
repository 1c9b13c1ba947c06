/* The sending side of the platform's span JSON; see platform_trace.h. */
#include "wire/platform_trace.h"

#include "base/hex.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "wire/base64.h"
#include "wire/json_writer.h"

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

static struct slice slice_of(marline_string s)
{
    return (struct slice){s.data, s.size};
}

static void member_hex(struct json_writer *w, const char *key, const uint8_t *bytes, size_t size)
{
    char text[32];
    marline__hex_encode(bytes, size, text);
    marline__json_member_string(w, key, (struct slice){text, 2 * size});
}

static void member_time(struct json_writer *w, const char *key, uint64_t unix_ns)
{
    char text[TIME_TEXT_SIZE];
    marline__time_format(unix_ns, text);
    marline__json_member_text(w, key, text);
}

static void member_nullable(struct json_writer *w, const char *key, struct slice value)
{
    if (value.size > 0) {
        marline__json_member_string(w, key, value);
    } else {
        marline__json_member_null(w, key);
    }
}

static void encode_bytes(struct json_writer *w, marline_string bytes)
{
    struct buffer text = BUFFER_INIT;
    marline__base64_encode(slice_of(bytes), &text);
    w->out->failed = w->out->failed || text.failed;
    marline__json_string(w, marline__buffer_slice(&text));
    marline__buffer_deinit(&text);
}

void marline__platform_write_value(struct json_writer *w, const marline_value *value)
{
    if (w->depth + 2 >= JSON_WRITER_DEPTH_MAX) {
        marline__json_null(w);
        return;
    }
    switch (value->type) {
    case MARLINE_VALUE_EMPTY:
        marline__json_null(w);
        break;
    case MARLINE_VALUE_STRING:
        marline__json_string(w, slice_of(value->as.string));
        break;
    case MARLINE_VALUE_BOOL:
        marline__json_bool(w, value->as.boolean);
        break;
    case MARLINE_VALUE_INT:
        marline__json_int(w, value->as.integer);
        break;
    case MARLINE_VALUE_DOUBLE:
        marline__json_double(w, value->as.real);
        break;
    case MARLINE_VALUE_BYTES:
        encode_bytes(w, value->as.string);
        break;
    case MARLINE_VALUE_ARRAY:
        marline__json_begin_array(w);
        for (size_t i = 0; i < value->as.array.count; i++) {
            marline__platform_write_value(w, &value->as.array.items[i]);
        }
        marline__json_end_array(w);
        break;
    case MARLINE_VALUE_MAP:
        marline__platform_write_attributes(w, value->as.map.items, value->as.map.count);
        break;
    }
}

void marline__platform_write_attributes(struct json_writer *w, const marline_attribute *attributes,
                                        size_t count)
{
    marline__json_begin_object(w);
    for (size_t i = 0; i < count; i++) {
        marline__json_key_slice(w, slice_of(attributes[i].key));
        marline__platform_write_value(w, &attributes[i].value);
    }
    marline__json_end_object(w);
}

void marline__platform_write_events(struct json_writer *w, const marline_span_data *span)
{
    marline__json_begin_array(w);
    for (size_t i = 0; i < span->event_count; i++) {
        const marline_event_data *event = &span->events[i];
        marline__json_begin_object(w);
        marline__json_member_string(w, "name", slice_of(event->name));
        member_time(w, "timestamp", event->time_unix_ns);
        marline__json_key(w, "attributes");
        marline__platform_write_attributes(w, event->attributes, event->attribute_count);
        marline__json_end_object(w);
    }
    marline__json_end_array(w);
}

void marline__platform_write_links(struct json_writer *w, const marline_span_data *span)
{
    marline__json_begin_array(w);
    for (size_t i = 0; i < span->link_count; i++) {
        const marline_link_data *link = &span->links[i];
        marline__json_begin_object(w);
        member_hex(w, "trace_id", link->trace_id, sizeof link->trace_id);
        member_hex(w, "span_id", link->span_id, sizeof link->span_id);
        marline__json_key(w, "attributes");
        marline__platform_write_attributes(w, link->attributes, link->attribute_count);
        marline__json_end_object(w);
    }
    marline__json_end_array(w);
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

static void encode_identity(struct json_writer *w, const marline_span_data *span,
                            const struct platform_identity *identity)
{
    struct slice environment =
        identity->environment.size > 0 ? identity->environment : SLICE("development");
    member_hex(w, "trace_id", span->trace_id, sizeof span->trace_id);
    member_hex(w, "span_id", span->span_id, sizeof span->span_id);
    if (is_parentless(span)) {
        marline__json_member_null(w, "parent_span_id");
    } else {
        member_hex(w, "parent_span_id", span->parent_span_id, sizeof span->parent_span_id);
    }
    member_nullable(w, "project_id", identity->project_id);
    marline__json_member_string(w, "environment", environment);
    member_nullable(w, "conversation_id", conversation_of(span, identity->conversation_id));
}

void marline__platform_encode_span(const marline_span_data *span,
                                   const struct platform_identity *identity, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    encode_identity(&w, span, identity);
    marline__json_member_string(&w, "span_name", slice_of(span->name));
    marline__json_member_text(&w, "span_kind", kind_text(span->kind));
    member_time(&w, "start_time", span->start_unix_ns);
    member_time(&w, "end_time", span->end_unix_ns);
    marline__json_member_text(&w, "status_code", status_text(span->status));
    member_nullable(&w, "status_message", slice_of(span->status_message));
    marline__json_key(&w, "attributes");
    marline__platform_write_attributes(&w, span->attributes, span->attribute_count);
    marline__json_key(&w, "events");
    marline__platform_write_events(&w, span);
    marline__json_key(&w, "links");
    marline__platform_write_links(&w, span);
    marline__json_key(&w, "resource");
    marline__platform_write_attributes(&w, span->resource->attributes,
                                       span->resource->attribute_count);
    marline__json_end_object(&w);
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
