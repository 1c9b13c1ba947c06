/* Each list is counted first and then read, so that it is one piece of the arena. */
#include "wire/platform_span_data.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/time_text.h"
#include "wire/json_reader.h"

enum { DEPTH_MAX = 110 }; /* a deeper value is empty; the reader stops earlier */

static const marline_scope_data no_scope;
static const char environment_key[] = "deployment.environment.name";

struct lift {
    struct arena *arena;
    struct buffer scratch;
    bool failed; /* out of memory */
};

static void *take(struct lift *l, size_t count, size_t size)
{
    void *memory = marline__arena_allocate(l->arena, count * size);
    if (!memory) {
        l->failed = true;
        return NULL;
    }
    return memset(memory, 0, count * size);
}

static marline_string borrow(struct slice s)
{
    return (marline_string){s.data ? s.data : "", s.size};
}

/* The text between a JSON string's quotes: as it stands where it has no escape. */
static marline_string decode_text(struct lift *l, struct slice raw)
{
    if (!raw.size || !memchr(raw.data, '\\', raw.size)) {
        return borrow(raw);
    }
    marline__buffer_clear(&l->scratch);
    marline__json_unescape(raw, &l->scratch);
    char *copy =
        l->scratch.failed ? NULL : marline__arena_copy(l->arena, l->scratch.data, l->scratch.size);
    l->failed = l->failed || !copy;
    return (marline_string){copy ? copy : "", copy ? l->scratch.size : 0};
}

static size_t count_members(struct slice object)
{
    struct json_reader r;
    struct slice key;
    size_t count = 0;
    marline__json_reader_init(&r, object, JSON_ALLOW_NON_FINITE);
    if (marline__json_peek(&r) == JSON_OBJECT && marline__json_enter_object(&r)) {
        while (marline__json_next_member(&r, &key) && marline__json_skip(&r, NULL)) {
            count++;
        }
    }
    return count;
}

static size_t count_elements(struct slice array)
{
    struct json_reader r;
    size_t count = 0;
    marline__json_reader_init(&r, array, JSON_ALLOW_NON_FINITE);
    if (marline__json_peek(&r) == JSON_ARRAY && marline__json_enter_array(&r)) {
        while (marline__json_next_element(&r) && marline__json_skip(&r, NULL)) {
            count++;
        }
    }
    return count;
}

/* ---- values ---- */

static marline_value lift_value(struct lift *l, struct slice raw, unsigned depth);

static marline_value lift_number(struct slice raw)
{
    marline_value value = {.type = MARLINE_VALUE_DOUBLE};
    struct json_reader r;
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    if (!memchr(raw.data, '.', raw.size) && marline__json_read_int64(&r, &value.as.integer)) {
        value.type = MARLINE_VALUE_INT;
        return value;
    }
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    if (!marline__json_read_double(&r, &value.as.real)) {
        value.type = MARLINE_VALUE_EMPTY;
    }
    return value;
}

/* Returns how many; *out is never NULL when there are any. */
static size_t lift_members(struct lift *l, struct slice object, size_t extra, unsigned depth,
                           marline_attribute **out)
{
    size_t count = count_members(object);
    *out = take(l, count + extra, sizeof(**out));
    if (!*out || !count) {
        return 0;
    }
    struct json_reader r;
    struct slice key;
    struct slice raw;
    size_t i = 0;
    marline__json_reader_init(&r, object, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_object(&r);
    while (i < count && marline__json_next_member(&r, &key) && marline__json_skip(&r, &raw)) {
        (*out)[i].key = decode_text(l, key);
        (*out)[i].value = lift_value(l, raw, depth);
        i++;
    }
    return i;
}

static marline_value lift_array(struct lift *l, struct slice raw, unsigned depth)
{
    marline_value value = {.type = MARLINE_VALUE_ARRAY};
    size_t count = count_elements(raw);
    marline_value *items = take(l, count, sizeof(*items));
    struct json_reader r;
    struct slice element;
    size_t i = 0;
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_array(&r);
    while (items && i < count && marline__json_next_element(&r) &&
           marline__json_skip(&r, &element)) {
        items[i++] = lift_value(l, element, depth);
    }
    value.as.array.items = items;
    value.as.array.count = i;
    return value;
}

static marline_value lift_value(struct lift *l, struct slice raw, unsigned depth)
{
    marline_value value = {.type = MARLINE_VALUE_EMPTY};
    struct json_reader r;
    struct slice text;
    marline_attribute *members = NULL;
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    if (depth >= DEPTH_MAX) {
        return value;
    }
    switch (marline__json_peek(&r)) {
    case JSON_STRING:
        value.type = MARLINE_VALUE_STRING;
        (void)marline__json_read_raw_string(&r, &text);
        value.as.string = decode_text(l, text);
        break;
    case JSON_BOOL:
        value.type = MARLINE_VALUE_BOOL;
        (void)marline__json_read_bool(&r, &value.as.boolean);
        break;
    case JSON_NUMBER:
        return lift_number(raw);
    case JSON_ARRAY:
        return lift_array(l, raw, depth + 1);
    case JSON_OBJECT:
        value.type = MARLINE_VALUE_MAP;
        value.as.map.count = lift_members(l, raw, 0, depth + 1, &members);
        value.as.map.items = members;
        break;
    default:
        break;
    }
    return value;
}

/* ---- events and links ---- */

static struct slice text_of(const struct json_member *member)
{
    struct slice text = SLICE_EMPTY;
    struct json_reader r;
    if (member->type == JSON_STRING) {
        marline__json_reader_init(&r, member->raw, JSON_ALLOW_NON_FINITE);
        (void)marline__json_read_raw_string(&r, &text);
    }
    return text;
}

static void lift_event(struct lift *l, struct slice raw, uint64_t start_unix_ns,
                       marline_event_data *out)
{
    static const char *const names[] = {"name", "timestamp", "attributes"};
    struct json_member members[3];
    enum time_zone_kind zone;
    marline_attribute *attributes = NULL;
    marline__json_find_members(raw, names, 3, members);
    out->name = decode_text(l, text_of(&members[0]));
    if (!marline__time_parse(text_of(&members[1]), &out->time_unix_ns, &zone)) {
        out->time_unix_ns = start_unix_ns;
    }
    if (members[2].type == JSON_OBJECT) {
        out->attribute_count = (uint32_t)lift_members(l, members[2].raw, 0, 0, &attributes);
        out->attributes = attributes;
    }
}

static bool lift_link(struct lift *l, struct slice raw, marline_link_data *out)
{
    static const char *const names[] = {"trace_id", "span_id", "attributes"};
    struct json_member members[3];
    marline_attribute *attributes = NULL;
    marline__json_find_members(raw, names, 3, members);
    if (!marline__hex_decode(text_of(&members[0]), out->trace_id, sizeof(out->trace_id)) ||
        !marline__hex_decode(text_of(&members[1]), out->span_id, sizeof(out->span_id))) {
        return false;
    }
    out->trace_state = borrow(SLICE(""));
    if (members[2].type == JSON_OBJECT) {
        out->attribute_count = (uint32_t)lift_members(l, members[2].raw, 0, 0, &attributes);
        out->attributes = attributes;
    }
    return true;
}

static void lift_events(struct lift *l, const struct platform_span *from, marline_span_data *to)
{
    size_t count = count_elements(from->events);
    marline_event_data *events = take(l, count, sizeof(*events));
    struct json_reader r;
    struct slice raw;
    if (!count || !events) {
        return;
    }
    marline__json_reader_init(&r, from->events, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_array(&r);
    while (to->event_count < count && marline__json_next_element(&r)) {
        if (marline__json_peek(&r) == JSON_OBJECT && marline__json_skip(&r, &raw)) {
            lift_event(l, raw, from->start_unix_ns, &events[to->event_count++]);
        } else {
            (void)marline__json_skip(&r, NULL);
        }
    }
    to->events = events;
}

static void lift_links(struct lift *l, const struct platform_span *from, marline_span_data *to)
{
    size_t count = count_elements(from->links);
    marline_link_data *links = take(l, count, sizeof(*links));
    struct json_reader r;
    struct slice raw;
    if (!count || !links) {
        return;
    }
    marline__json_reader_init(&r, from->links, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_array(&r);
    while (to->link_count < count && marline__json_next_element(&r)) {
        if (marline__json_peek(&r) != JSON_OBJECT) {
            (void)marline__json_skip(&r, NULL);
        } else if (marline__json_skip(&r, &raw) && lift_link(l, raw, &links[to->link_count])) {
            to->link_count++;
        }
    }
    to->links = links;
}

/* ---- spans ---- */

static bool has_key(const marline_attribute *attributes, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        struct slice have = {attributes[i].key.data, attributes[i].key.size};
        if (marline__slice_is(have, key)) {
            return true;
        }
    }
    return false;
}

static const marline_resource_data *lift_resource(struct lift *l, const struct platform_span *from)
{
    marline_resource_data *resource = take(l, 1, sizeof(*resource));
    marline_attribute *attributes = NULL;
    size_t count = lift_members(l, from->resource, 1, 0, &attributes);
    if (!resource || !attributes) {
        return NULL;
    }
    if (from->environment.size && !has_key(attributes, count, environment_key)) {
        attributes[count].key = (marline_string){environment_key, sizeof(environment_key) - 1};
        attributes[count].value.type = MARLINE_VALUE_STRING;
        attributes[count].value.as.string = borrow(from->environment);
        count++;
    }
    resource->attributes = attributes;
    resource->attribute_count = (uint32_t)count;
    return resource;
}

/* Spans of one program have the same resource text, and share what is made of it. */
static bool same_resource(const struct platform_span *a, const struct platform_span *b)
{
    return marline__slice_equal(a->resource, b->resource) &&
           marline__slice_equal(a->environment, b->environment);
}

static void lift_span(struct lift *l, const struct platform_span *from, marline_span_data *to)
{
    marline_attribute *attributes = NULL;
    (void)marline__hex_decode(marline__slice_text(from->trace_id), to->trace_id, 16);
    (void)marline__hex_decode(marline__slice_text(from->span_id), to->span_id, 8);
    to->has_parent = from->parent_span_id[0] != '\0';
    if (to->has_parent) {
        (void)marline__hex_decode(marline__slice_text(from->parent_span_id), to->parent_span_id, 8);
    }
    to->flags = 1; /* it was recorded, so it was sampled */
    to->trace_state = borrow(SLICE(""));
    to->name = borrow(from->name);
    to->kind = from->kind;
    to->start_unix_ns = from->start_unix_ns;
    to->end_unix_ns = from->end_unix_ns;
    to->status = from->status;
    to->status_message = borrow(from->status_message);
    to->attribute_count = (uint32_t)lift_members(l, from->attributes, 0, 0, &attributes);
    to->attributes = attributes;
    lift_events(l, from, to);
    lift_links(l, from, to);
    to->scope = &no_scope;
}

marline_span_data *marline__platform_to_span_data(const struct platform_request *request,
                                                  struct arena *arena)
{
    struct lift l = {.arena = arena};
    marline_span_data *spans = take(&l, request->count, sizeof(*spans));
    for (size_t i = 0; i < request->count && !l.failed; i++) {
        const struct platform_span *from = &request->spans[i];
        lift_span(&l, from, &spans[i]);
        spans[i].resource =
            i && same_resource(from, from - 1) ? spans[i - 1].resource : lift_resource(&l, from);
    }
    marline__buffer_deinit(&l.scratch);
    return l.failed ? NULL : spans;
}
