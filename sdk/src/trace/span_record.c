/* The data of a running span; see span_record.h. Callers hold the lock. */
#include "trace/span_record.h"

#include <sched.h>
#include <string.h>

enum { SPINS_BEFORE_YIELD = 64, FIRST_LIST_CAPACITY = 4 };

void marline__record_lock_contended(struct span_record *r)
{
    unsigned spins = 0;
    do {
        while (atomic_load_explicit(&r->lock, memory_order_relaxed) != 0) {
            if (++spins % SPINS_BEFORE_YIELD == 0) {
                (void)sched_yield();
            }
        }
    } while (atomic_exchange_explicit(&r->lock, 1, memory_order_acquire) != 0);
}

struct span_record *marline__record_lock_running(const marline_span *span)
{
    struct span_record *r = span->record;
    if (atomic_load_explicit(&r->generation, memory_order_relaxed) != span->generation) {
        return NULL;
    }
    marline__record_lock(r);
    if (atomic_load_explicit(&r->generation, memory_order_relaxed) != span->generation) {
        marline__record_unlock(r);
        return NULL;
    }
    return r;
}

void marline__record_begin(struct span_record *r, const marline_span_limits *limits)
{
    r->limits = limits;
    marline__span_memory_init(&r->arena, r->inline_bytes, sizeof r->inline_bytes);
    r->attributes = (struct attribute_list){.items = r->inline_attributes,
                                            .arena = &r->arena,
                                            .count_max = limits->attributes,
                                            .capacity = RECORD_INLINE_ATTRIBUTES};
    r->events = (struct event_list){NULL, 0, 0, 0};
    r->links = (struct link_list){NULL, 0, 0, 0};
}

void marline__record_clear(struct span_record *r)
{
    marline__span_memory_deinit(&r->arena);
    marline__span_memory_init(&r->arena, NULL, 0);
}

void marline__record_finish(struct span_record *r)
{
    marline_span_data *data = &r->data;
    data->attributes = r->attributes.items;
    data->attribute_count = r->attributes.count;
    data->dropped_attributes = r->attributes.dropped;
    data->events = r->events.items;
    data->event_count = r->events.count;
    data->dropped_events = r->events.dropped;
    data->links = r->links.items;
    data->link_count = r->links.count;
    data->dropped_links = r->links.dropped;
}

void marline__record_set_name(struct span_record *r, marline_string name)
{
    marline_string copy = marline__string_copy(&r->arena, name);
    if (copy.data) {
        r->data.name = copy;
    }
}

void marline__record_set_status(struct span_record *r, marline_span_status status,
                                marline_string description)
{
    if (r->data.status == MARLINE_SPAN_STATUS_OK ||
        (status != MARLINE_SPAN_STATUS_OK && status != MARLINE_SPAN_STATUS_ERROR)) {
        return;
    }
    r->data.status = status;
    r->data.status_message = (marline_string){NULL, 0};
    if (status == MARLINE_SPAN_STATUS_ERROR && description.size > 0) {
        r->data.status_message = marline__string_copy(&r->arena, description);
    }
}

/* Doubles a list of an arena; the old block is garbage until the span is done. */
static void *grow(struct span_memory *arena, void *items, uint32_t count, uint32_t *capacity,
                  size_t item_size)
{
    if (count < *capacity) {
        return items;
    }
    uint32_t larger = *capacity ? *capacity * 2 : FIRST_LIST_CAPACITY;
    void *block = marline__span_memory_take(arena, larger * item_size, 8);
    if (block) {
        if (count > 0) {
            memcpy(block, items, count * item_size);
        }
        *capacity = larger;
    }
    return block;
}

void marline__record_add_event(struct span_record *r, marline_string name, uint64_t time_unix_ns,
                               const marline_attribute *attributes, size_t count)
{
    struct event_list *list = &r->events;
    marline_event_data *items = NULL;
    if (list->count < r->limits->events) {
        items = grow(&r->arena, list->items, list->count, &list->capacity, sizeof *items);
    }
    marline_string copy = {NULL, 0};
    if (items) {
        list->items = items;
        copy = marline__string_copy(&r->arena, name);
    }
    if (!copy.data) {
        list->dropped++;
        return;
    }
    struct attribute_list kept;
    marline__attributes_init(&kept, &r->arena, r->limits->event_attributes);
    marline__attributes_set_all(&kept, r->limits, attributes, count);
    items[list->count++] = (marline_event_data){.name = copy,
                                                .time_unix_ns = time_unix_ns,
                                                .attributes = kept.items,
                                                .attribute_count = kept.count,
                                                .dropped_attributes = kept.dropped};
}

void marline__record_add_link(struct span_record *r, const marline_link_data *link)
{
    struct link_list *list = &r->links;
    marline_link_data *items = NULL;
    if (list->count < r->limits->links) {
        items = grow(&r->arena, list->items, list->count, &list->capacity, sizeof *items);
    }
    if (!items) {
        list->dropped++;
        return;
    }
    list->items = items;
    struct attribute_list kept;
    marline__attributes_init(&kept, &r->arena, r->limits->link_attributes);
    marline__attributes_set_all(&kept, r->limits, link->attributes, link->attribute_count);
    marline_link_data *slot = &items[list->count++];
    *slot = *link;
    slot->trace_state = marline__string_copy(&r->arena, link->trace_state);
    slot->attributes = kept.items;
    slot->attribute_count = kept.count;
    slot->dropped_attributes = link->dropped_attributes + kept.dropped;
}
