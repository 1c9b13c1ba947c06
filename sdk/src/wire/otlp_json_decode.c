/* OTLP JSON to spans (§4.1). The text is checked whole first; then each object is looked through
 * for the members it may have, so that their order does not matter. Values, which may be nested
 * deeply (the reader of JSON has a limit), are read in one pass. */
#include "wire/otlp_build.h"

#include <math.h>

#include "base/hex.h"
#include "wire/base64.h"
#include "wire/json_reader.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool wrong(struct otlp_builder *b, const char *name, const char *why)
{
    return marline__otlp_invalid(b, name, why);
}

/* JS-09: null is absent. */
static bool is_absent(const struct json_member *m)
{
    return m->type == JSON_ERROR || m->type == JSON_NULL;
}

/* ---- scalars ---- */

/* Of a raw string with its quotes; borrows from the body where it can. */
static bool read_string(struct otlp_builder *b, struct slice raw, marline_string *out)
{
    struct slice text = {raw.data + 1, raw.size - 2};
    *out = (marline_string){text.data, text.size};
    if (!memchr(text.data, '\\', text.size)) {
        return true;
    }
    marline__buffer_clear(&b->text);
    marline__json_unescape(text, &b->text);
    out->size = b->text.size;
    out->data =
        b->text.failed ? NULL : marline__arena_copy(&b->request->arena, b->text.data, b->text.size);
    return out->data || marline__otlp_no_memory(b);
}

static bool take_text(struct otlp_builder *b, const char *name, const struct json_member *m,
                      marline_string *out)
{
    if (is_absent(m)) {
        return true;
    }
    return m->type == JSON_STRING ? read_string(b, m->raw, out)
                                  : wrong(b, name, "must be a string");
}

/* The text of a number, which may stand in a string (JS-06 to JS-08). */
static bool number_text(const struct json_member *m, struct slice *out)
{
    bool quoted = m->type == JSON_STRING;
    *out = quoted ? (struct slice){m->raw.data + 1, m->raw.size - 2} : m->raw;
    return quoted || m->type == JSON_NUMBER;
}

static bool take_unsigned(struct otlp_builder *b, const char *name, const struct json_member *m,
                          uint64_t max, uint64_t *out)
{
    struct json_reader r;
    struct slice text;
    uint64_t value;
    if (is_absent(m)) {
        return true;
    }
    if (!number_text(m, &text)) {
        return wrong(b, name, "must be a number");
    }
    marline__json_reader_init(&r, text, JSON_STRICT);
    if (!marline__json_read_uint64(&r, &value) || !marline__json_finish(&r) || value > max) {
        return wrong(b, name, "must be a whole number in range");
    }
    *out = value;
    return true;
}

static bool take_count(struct otlp_builder *b, const char *name, const struct json_member *m,
                       uint32_t *out)
{
    uint64_t value = *out;
    bool good = take_unsigned(b, name, m, UINT32_MAX, &value);
    *out = (uint32_t)value;
    return good;
}

static bool take_signed(struct otlp_builder *b, const char *name, const struct json_member *m,
                        int64_t *out)
{
    struct json_reader r;
    struct slice text;
    if (!number_text(m, &text)) {
        return wrong(b, name, "must be a number");
    }
    marline__json_reader_init(&r, text, JSON_STRICT);
    return (marline__json_read_int64(&r, out) && marline__json_finish(&r)) ||
           wrong(b, name, "must be a whole number in range");
}

/* JS-05: a number, also in a string, never a name. */
static bool take_enum(struct otlp_builder *b, const char *name, const struct json_member *m,
                      int64_t *out)
{
    *out = 0;
    return is_absent(m) || take_signed(b, name, m, out);
}

static bool take_double(struct otlp_builder *b, const struct json_member *m, double *out)
{
    struct json_reader r;
    struct slice text;
    if (!number_text(m, &text)) {
        return wrong(b, "doubleValue", "must be a number");
    }
    marline__json_reader_init(&r, text,
                              m->type == JSON_STRING ? JSON_ALLOW_NON_FINITE : JSON_STRICT);
    return (marline__json_read_double(&r, out) && marline__json_finish(&r)) ||
           wrong(b, "doubleValue", "must be a number in range");
}

/* JS-03: hexadecimal of either case; any other text gives no id, which refuses the span. */
static bool take_id(struct otlp_builder *b, const char *name, const struct json_member *m,
                    uint8_t bytes[16], struct slice *out)
{
    marline_string text = {NULL, 0};
    if (!take_text(b, name, m, &text)) {
        return false;
    }
    size_t size = text.size / 2;
    bool good =
        size <= 16 && marline__hex_decode((struct slice){text.data, text.size}, bytes, size);
    /* What is no hexadecimal is kept at a size that no id has. */
    *out = (struct slice){(const char *)bytes, good ? size : 1};
    return true;
}

/* ---- values ---- */

enum value_member {
    STRING_VALUE,
    BOOL_VALUE,
    INT_VALUE,
    DOUBLE_VALUE,
    BYTES_VALUE,
    ARRAY_VALUE,
    KVLIST_VALUE,
    VALUE_MEMBERS,
};

static const char *const value_names[VALUE_MEMBERS] = {
    "stringValue", "boolValue",  "intValue",    "doubleValue",
    "bytesValue",  "arrayValue", "kvlistValue",
};

static bool read_value(struct otlp_builder *b, struct json_reader *r, marline_value *out);

static bool take_bytes(struct otlp_builder *b, const struct json_member *m, marline_string *out)
{
    marline_string text = {"", 0};
    struct buffer bytes = BUFFER_INIT;
    if (!take_text(b, "bytesValue", m, &text)) {
        return false;
    }
    bool good = marline__base64_decode((struct slice){text.data, text.size}, &bytes);
    out->size = bytes.size;
    out->data =
        bytes.failed ? NULL : marline__arena_copy(&b->request->arena, bytes.data, bytes.size);
    marline__buffer_deinit(&bytes);
    if (!good) {
        return wrong(b, "bytesValue", "must be base64");
    }
    return out->data || marline__otlp_no_memory(b);
}

static bool take_scalar(struct otlp_builder *b, enum value_member kind, const struct json_member *m,
                        marline_value *out)
{
    switch (kind) {
    case STRING_VALUE:
        out->type = MARLINE_VALUE_STRING;
        return take_text(b, "stringValue", m, &out->as.string);
    case BOOL_VALUE:
        out->type = MARLINE_VALUE_BOOL;
        out->as.boolean = m->raw.data[0] == 't';
        return m->type == JSON_BOOL || wrong(b, "boolValue", "must be true or false");
    case INT_VALUE:
        out->type = MARLINE_VALUE_INT;
        return take_signed(b, "intValue", m, &out->as.integer);
    case DOUBLE_VALUE:
        out->type = MARLINE_VALUE_DOUBLE;
        return take_double(b, m, &out->as.real);
    case BYTES_VALUE:
        out->type = MARLINE_VALUE_BYTES;
        return take_bytes(b, m, &out->as.string);
    case ARRAY_VALUE:
    case KVLIST_VALUE:
    case VALUE_MEMBERS:
        break;
    }
    return false;
}

/* {"key":…,"value":…} */
static bool read_pair(struct otlp_builder *b, struct json_reader *r)
{
    marline_attribute pair = {.key = {"", 0}};
    struct slice name;
    if (marline__json_peek(r) != JSON_OBJECT) {
        return wrong(b, "attributes", "must be objects with key and value");
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &name)) {
        struct json_member m = {marline__json_peek(r), SLICE_EMPTY};
        if (marline__json_key_is(name, "value") && m.type != JSON_NULL) {
            if (!read_value(b, r, &pair.value)) {
                return false;
            }
        } else if (!marline__json_skip(r, &m.raw) ||
                   (marline__json_key_is(name, "key") && !take_text(b, "key", &m, &pair.key))) {
            return false;
        }
    }
    return marline__otlp_list_push(b, &pair, sizeof pair);
}

static bool read_item(struct otlp_builder *b, struct json_reader *r)
{
    marline_value item;
    return read_value(b, r, &item) && marline__otlp_list_push(b, &item, sizeof item);
}

/* Pushes the elements of the array that comes next. */
static bool read_elements(struct otlp_builder *b, struct json_reader *r,
                          bool (*read)(struct otlp_builder *b, struct json_reader *r))
{
    if (marline__json_peek(r) == JSON_NULL) {
        return marline__json_read_null(r);
    }
    if (marline__json_peek(r) != JSON_ARRAY) {
        return wrong(b, "values", "must be an array");
    }
    (void)marline__json_enter_array(r);
    while (marline__json_next_element(r)) {
        if (!read(b, r)) {
            return false;
        }
    }
    return true;
}

/* {"values":[…]} of an array or a map. */
static bool read_list(struct otlp_builder *b, struct json_reader *r, bool map, marline_value *out)
{
    size_t begin = otlp_list_begin(b);
    struct slice name;
    if (marline__json_peek(r) != JSON_OBJECT) {
        return wrong(b, map ? "kvlistValue" : "arrayValue", "must be an object");
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &name)) {
        if (!marline__json_key_is(name, "values")) {
            (void)marline__json_skip(r, NULL);
            continue;
        }
        b->stack.size = begin; /* the last of a repeated member wins */
        if (!read_elements(b, r, map ? read_pair : read_item)) {
            return false;
        }
    }
    if (map) {
        out->type = MARLINE_VALUE_MAP;
        out->as.map.items =
            marline__otlp_list_end(b, begin, sizeof(marline_attribute), &out->as.map.count);
    } else {
        out->type = MARLINE_VALUE_ARRAY;
        out->as.array.items =
            marline__otlp_list_end(b, begin, sizeof(marline_value), &out->as.array.count);
    }
    return otlp_good(b);
}

static enum value_member find_value_member(struct slice name)
{
    for (size_t i = 0; i < VALUE_MEMBERS; i++) {
        if (marline__json_key_is(name, value_names[i])) {
            return (enum value_member)i;
        }
    }
    return VALUE_MEMBERS;
}

static bool read_value_member(struct otlp_builder *b, struct json_reader *r, enum value_member kind,
                              marline_value *out)
{
    struct json_member m = {marline__json_peek(r), SLICE_EMPTY};
    if (kind == ARRAY_VALUE || kind == KVLIST_VALUE) {
        return read_list(b, r, kind == KVLIST_VALUE, out);
    }
    return marline__json_skip(r, &m.raw) && take_scalar(b, kind, &m, out);
}

static bool read_value(struct otlp_builder *b, struct json_reader *r, marline_value *out)
{
    enum value_member seen = VALUE_MEMBERS;
    struct slice name;
    *out = (marline_value){.type = MARLINE_VALUE_EMPTY};
    if (marline__json_peek(r) != JSON_OBJECT) {
        return wrong(b, "value", "must be an object");
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &name)) {
        enum value_member kind = find_value_member(name);
        if (kind == VALUE_MEMBERS || marline__json_peek(r) == JSON_NULL) {
            (void)marline__json_skip(r, NULL);
            continue;
        }
        if (seen != VALUE_MEMBERS && seen != kind) {
            return wrong(b, "value", "must have one member"); /* JS-10 */
        }
        seen = kind;
        if (!read_value_member(b, r, kind, out)) {
            return false;
        }
    }
    return true;
}

static bool take_attributes(struct otlp_builder *b, const struct json_member *m,
                            const marline_attribute **out, uint32_t *out_count)
{
    size_t begin = otlp_list_begin(b);
    struct json_reader r;
    size_t count;
    if (is_absent(m)) {
        return true;
    }
    if (m->type != JSON_ARRAY) {
        return wrong(b, "attributes", "must be an array");
    }
    marline__json_reader_init(&r, m->raw, JSON_TRUSTED);
    if (!read_elements(b, &r, read_pair)) {
        return false;
    }
    *out = marline__otlp_list_end(b, begin, sizeof **out, &count);
    *out_count = (uint32_t)count;
    return otlp_good(b);
}

/* ---- arrays of objects ---- */

typedef bool (*object_function)(struct otlp_builder *b, struct slice object, void *user);

static bool each_object(struct otlp_builder *b, const char *name, const struct json_member *m,
                        object_function function, void *user)
{
    struct json_reader r;
    if (is_absent(m)) {
        return true;
    }
    if (m->type != JSON_ARRAY) {
        return wrong(b, name, "must be an array");
    }
    marline__json_reader_init(&r, m->raw, JSON_TRUSTED);
    (void)marline__json_enter_array(&r);
    while (marline__json_next_element(&r)) {
        bool object = marline__json_peek(&r) == JSON_OBJECT;
        struct slice raw;
        if (!marline__json_skip(&r, &raw) || !object) {
            return wrong(b, name, "must be objects");
        }
        if (!function(b, raw, user)) {
            return false;
        }
    }
    return true;
}

/* ---- spans ---- */

static bool take_event(struct otlp_builder *b, struct slice object, void *user)
{
    static const char *const names[] = {"timeUnixNano", "name", "attributes",
                                        "droppedAttributesCount"};
    struct json_member m[COUNT(names)];
    marline_event_data event = {.name = {"", 0}};
    (void)user;
    marline__json_find_members(object, names, COUNT(names), m);
    return take_unsigned(b, names[0], &m[0], UINT64_MAX, &event.time_unix_ns) &&
           take_text(b, names[1], &m[1], &event.name) &&
           take_attributes(b, &m[2], &event.attributes, &event.attribute_count) &&
           take_count(b, names[3], &m[3], &event.dropped_attributes) &&
           marline__otlp_list_push(b, &event, sizeof event);
}

static bool take_link(struct otlp_builder *b, struct slice object, void *user)
{
    static const char *const names[] = {"traceId",    "spanId", "traceState",
                                        "attributes", "flags",  "droppedAttributesCount"};
    struct json_member m[COUNT(names)];
    marline_span_data *span = user;
    marline_link_data link = {.flags = 0};
    uint8_t trace_bytes[16];
    uint8_t span_bytes[16];
    struct slice trace_id;
    struct slice span_id;
    uint64_t flags = 0;
    marline__json_find_members(object, names, COUNT(names), m);
    if (!take_id(b, names[0], &m[0], trace_bytes, &trace_id) ||
        !take_id(b, names[1], &m[1], span_bytes, &span_id) ||
        !take_text(b, names[2], &m[2], &link.trace_state) ||
        !take_attributes(b, &m[3], &link.attributes, &link.attribute_count) ||
        !take_unsigned(b, names[4], &m[4], UINT32_MAX, &flags) ||
        !take_count(b, names[5], &m[5], &link.dropped_attributes)) {
        return false;
    }
    marline__otlp_set_link_flags(&link, flags);
    if (!marline__otlp_link_ids(&link, trace_id, span_id)) {
        span->dropped_links++;
        return true;
    }
    return marline__otlp_list_push(b, &link, sizeof link);
}

static bool take_events(struct otlp_builder *b, const struct json_member *m,
                        marline_span_data *span)
{
    size_t begin = otlp_list_begin(b);
    size_t count;
    if (!each_object(b, "events", m, take_event, span)) {
        return false;
    }
    span->events = marline__otlp_list_end(b, begin, sizeof *span->events, &count);
    span->event_count = (uint32_t)count;
    return otlp_good(b);
}

static bool take_links(struct otlp_builder *b, const struct json_member *m, marline_span_data *span)
{
    size_t begin = otlp_list_begin(b);
    size_t count;
    if (!each_object(b, "links", m, take_link, span)) {
        return false;
    }
    span->links = marline__otlp_list_end(b, begin, sizeof *span->links, &count);
    span->link_count = (uint32_t)count;
    return otlp_good(b);
}

static bool take_status(struct otlp_builder *b, const struct json_member *m,
                        marline_span_data *span)
{
    static const char *const names[] = {"message", "code"};
    struct json_member members[COUNT(names)];
    int64_t code;
    if (is_absent(m)) {
        return true;
    }
    if (m->type != JSON_OBJECT) {
        return wrong(b, "status", "must be an object");
    }
    marline__json_find_members(m->raw, names, COUNT(names), members);
    if (!take_text(b, names[0], &members[0], &span->status_message) ||
        !take_enum(b, names[1], &members[1], &code)) {
        return false;
    }
    marline__otlp_set_status(span, code);
    return true;
}

enum span_member {
    TRACE_ID,
    SPAN_ID,
    PARENT_SPAN_ID,
    TRACE_STATE,
    NAME,
    KIND,
    START,
    END,
    ATTRIBUTES,
    DROPPED_ATTRIBUTES,
    EVENTS,
    DROPPED_EVENTS,
    LINKS,
    DROPPED_LINKS,
    STATUS,
    FLAGS,
    SPAN_MEMBERS,
};

static const char *const span_names[SPAN_MEMBERS] = {
    "traceId",
    "spanId",
    "parentSpanId",
    "traceState",
    "name",
    "kind",
    "startTimeUnixNano",
    "endTimeUnixNano",
    "attributes",
    "droppedAttributesCount",
    "events",
    "droppedEventsCount",
    "links",
    "droppedLinksCount",
    "status",
    "flags",
};

/* What spans of one scope have in common. */
struct group {
    marline_resource_data *resource;
    marline_scope_data *scope;
};

static bool take_span_scalars(struct otlp_builder *b, const struct json_member *m,
                              marline_span_data *span)
{
    int64_t kind;
    uint64_t flags = 0;
    if (!take_text(b, span_names[TRACE_STATE], &m[TRACE_STATE], &span->trace_state) ||
        !take_text(b, span_names[NAME], &m[NAME], &span->name) ||
        !take_enum(b, span_names[KIND], &m[KIND], &kind) ||
        !take_unsigned(b, span_names[START], &m[START], UINT64_MAX, &span->start_unix_ns) ||
        !take_unsigned(b, span_names[END], &m[END], UINT64_MAX, &span->end_unix_ns) ||
        !take_count(b, span_names[DROPPED_ATTRIBUTES], &m[DROPPED_ATTRIBUTES],
                    &span->dropped_attributes) ||
        !take_count(b, span_names[DROPPED_EVENTS], &m[DROPPED_EVENTS], &span->dropped_events) ||
        !take_count(b, span_names[DROPPED_LINKS], &m[DROPPED_LINKS], &span->dropped_links) ||
        !take_unsigned(b, span_names[FLAGS], &m[FLAGS], UINT32_MAX, &flags)) {
        return false;
    }
    marline__otlp_set_kind(span, kind);
    marline__otlp_set_flags(span, flags);
    return true;
}

static bool take_span(struct otlp_builder *b, struct slice object, void *user)
{
    const struct group *group = user;
    struct json_member m[SPAN_MEMBERS];
    uint8_t bytes[3][16];
    struct otlp_span_ids ids;
    marline_span_data span = {.name = {"", 0}, .resource = group->resource, .scope = group->scope};
    marline__json_find_members(object, span_names, SPAN_MEMBERS, m);
    return take_id(b, span_names[TRACE_ID], &m[TRACE_ID], bytes[0], &ids.trace_id) &&
           take_id(b, span_names[SPAN_ID], &m[SPAN_ID], bytes[1], &ids.span_id) &&
           take_id(b, span_names[PARENT_SPAN_ID], &m[PARENT_SPAN_ID], bytes[2],
                   &ids.parent_span_id) &&
           take_span_scalars(b, m, &span) &&
           take_attributes(b, &m[ATTRIBUTES], &span.attributes, &span.attribute_count) &&
           take_events(b, &m[EVENTS], &span) && take_links(b, &m[LINKS], &span) &&
           take_status(b, &m[STATUS], &span) && marline__otlp_add_span(b, &span, &ids);
}

/* ---- groups ---- */

static bool take_scope(struct otlp_builder *b, const struct json_member *m,
                       marline_scope_data *scope)
{
    static const char *const names[] = {"name", "version", "attributes"};
    struct json_member members[COUNT(names)];
    if (is_absent(m)) {
        return true;
    }
    if (m->type != JSON_OBJECT) {
        return wrong(b, "scope", "must be an object");
    }
    marline__json_find_members(m->raw, names, COUNT(names), members);
    return take_text(b, names[0], &members[0], &scope->name) &&
           take_text(b, names[1], &members[1], &scope->version) &&
           take_attributes(b, &members[2], &scope->attributes, &scope->attribute_count);
}

static bool take_resource(struct otlp_builder *b, const struct json_member *m,
                          marline_resource_data *resource)
{
    static const char *const names[] = {"attributes"};
    struct json_member members[COUNT(names)];
    if (is_absent(m)) {
        return true;
    }
    if (m->type != JSON_OBJECT) {
        return wrong(b, "resource", "must be an object");
    }
    marline__json_find_members(m->raw, names, COUNT(names), members);
    return take_attributes(b, &members[0], &resource->attributes, &resource->attribute_count);
}

static bool take_scope_spans(struct otlp_builder *b, struct slice object, void *user)
{
    static const char *const names[] = {"scope", "spans", "schemaUrl"};
    struct json_member m[COUNT(names)];
    struct group group = {user, marline__arena_allocate(&b->request->arena, sizeof *group.scope)};
    if (!group.scope) {
        return marline__otlp_no_memory(b);
    }
    *group.scope = (marline_scope_data){.name = {"", 0}};
    marline__json_find_members(object, names, COUNT(names), m);
    return take_scope(b, &m[0], group.scope) &&
           take_text(b, names[2], &m[2], &group.scope->schema_url) &&
           each_object(b, names[1], &m[1], take_span, &group);
}

static bool take_resource_spans(struct otlp_builder *b, struct slice object, void *user)
{
    static const char *const names[] = {"resource", "scopeSpans", "schemaUrl"};
    struct json_member m[COUNT(names)];
    marline_resource_data *resource = marline__arena_allocate(&b->request->arena, sizeof *resource);
    (void)user;
    if (!resource) {
        return marline__otlp_no_memory(b);
    }
    *resource = (marline_resource_data){.attribute_count = 0};
    marline__json_find_members(object, names, COUNT(names), m);
    return take_resource(b, &m[0], resource) &&
           take_text(b, names[2], &m[2], &resource->schema_url) &&
           each_object(b, names[1], &m[1], take_scope_spans, resource);
}

void marline__otlp_json_decode(struct otlp_builder *b, struct slice body)
{
    static const char *const names[] = {"resourceSpans"};
    struct json_member m[COUNT(names)];
    struct json_reader r;
    marline__json_reader_init(&r, body, JSON_STRICT);
    bool object = marline__json_peek(&r) == JSON_OBJECT;
    if (!marline__json_skip(&r, NULL) || !marline__json_finish(&r)) {
        (void)marline__otlp_invalid(b, "malformed JSON", r.error);
        return;
    }
    if (!object) {
        (void)wrong(b, "the body", "must be an object");
        return;
    }
    marline__json_find_members(body, names, COUNT(names), m);
    (void)each_object(b, names[0], &m[0], take_resource_spans, NULL);
}
