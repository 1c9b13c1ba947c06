/* Checking and repairing the texts of spans; see span_repair.h. Recursion is as deep as attribute
 * values are, which limits bound. */
#include "wire/span_repair.h"

#include "base/buffer.h"
#include "base/utf8.h"

/* ---- checking ---- */

bool marline__string_is_utf8(marline_string text)
{
    return marline__utf8_is_valid((struct slice){text.data, text.size});
}

static bool value_is_utf8(const marline_value *value)
{
    switch (value->type) {
    case MARLINE_VALUE_STRING:
        return marline__string_is_utf8(value->as.string);
    case MARLINE_VALUE_ARRAY:
        for (size_t i = 0; i < value->as.array.count; i++) {
            if (!value_is_utf8(&value->as.array.items[i])) {
                return false;
            }
        }
        return true;
    case MARLINE_VALUE_MAP:
        return marline__attributes_are_utf8(value->as.map.items, value->as.map.count);
    default:
        return true;
    }
}

bool marline__attributes_are_utf8(const marline_attribute *attributes, size_t count)
{
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        good = marline__string_is_utf8(attributes[i].key) && value_is_utf8(&attributes[i].value);
    }
    return good;
}

bool marline__span_is_utf8(const marline_span_data *span)
{
    bool good = marline__string_is_utf8(span->name) && marline__string_is_utf8(span->trace_state) &&
                marline__string_is_utf8(span->status_message) &&
                marline__attributes_are_utf8(span->attributes, span->attribute_count);
    for (uint32_t i = 0; good && i < span->event_count; i++) {
        const marline_event_data *event = &span->events[i];
        good = marline__string_is_utf8(event->name) &&
               marline__attributes_are_utf8(event->attributes, event->attribute_count);
    }
    for (uint32_t i = 0; good && i < span->link_count; i++) {
        const marline_link_data *link = &span->links[i];
        good = marline__string_is_utf8(link->trace_state) &&
               marline__attributes_are_utf8(link->attributes, link->attribute_count);
    }
    return good;
}

/* ---- repairing ---- */

bool marline__string_repair(marline_string *text, struct arena *arena)
{
    if (marline__string_is_utf8(*text)) {
        return true;
    }
    struct buffer repaired = BUFFER_INIT;
    marline__utf8_append_repaired(&repaired, (struct slice){text->data, text->size});
    const char *copy =
        repaired.failed ? NULL : marline__arena_copy(arena, repaired.data, repaired.size);
    if (copy) {
        *text = (marline_string){copy, repaired.size};
    }
    marline__buffer_deinit(&repaired);
    return copy != NULL;
}

static bool value_repair(marline_value *value, struct arena *arena)
{
    bool good = true;
    switch (value->type) {
    case MARLINE_VALUE_STRING:
        return marline__string_repair(&value->as.string, arena);
    case MARLINE_VALUE_MAP:
        return marline__attributes_repair(&value->as.map.items, value->as.map.count, arena);
    case MARLINE_VALUE_ARRAY: {
        size_t count = value->as.array.count;
        marline_value *items =
            marline__arena_copy(arena, value->as.array.items, count * sizeof *items);
        for (size_t i = 0; items && good && i < count; i++) {
            good = value_repair(&items[i], arena);
        }
        value->as.array.items = items;
        return good && items;
    }
    default:
        return true;
    }
}

bool marline__attributes_repair(const marline_attribute **attributes, size_t count,
                                struct arena *arena)
{
    marline_attribute *copy = marline__arena_copy(arena, *attributes, count * sizeof *copy);
    bool good = copy != NULL;
    for (size_t i = 0; good && i < count; i++) {
        good = marline__string_repair(&copy[i].key, arena) && value_repair(&copy[i].value, arena);
    }
    *attributes = copy;
    return good;
}

static bool events_repair(marline_span_data *span, struct arena *arena)
{
    marline_event_data *copy =
        marline__arena_copy(arena, span->events, span->event_count * sizeof *copy);
    bool good = copy != NULL;
    for (uint32_t i = 0; good && i < span->event_count; i++) {
        good = marline__string_repair(&copy[i].name, arena) &&
               marline__attributes_repair(&copy[i].attributes, copy[i].attribute_count, arena);
    }
    span->events = copy;
    return good;
}

static bool links_repair(marline_span_data *span, struct arena *arena)
{
    marline_link_data *copy =
        marline__arena_copy(arena, span->links, span->link_count * sizeof *copy);
    bool good = copy != NULL;
    for (uint32_t i = 0; good && i < span->link_count; i++) {
        good = marline__string_repair(&copy[i].trace_state, arena) &&
               marline__attributes_repair(&copy[i].attributes, copy[i].attribute_count, arena);
    }
    span->links = copy;
    return good;
}

bool marline__span_repair(marline_span_data *span, struct arena *arena)
{
    return marline__string_repair(&span->name, arena) &&
           marline__string_repair(&span->trace_state, arena) &&
           marline__string_repair(&span->status_message, arena) &&
           marline__attributes_repair(&span->attributes, span->attribute_count, arena) &&
           events_repair(span, arena) && links_repair(span, arena);
}
