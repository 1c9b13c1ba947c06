/* Keeps exported spans for tests: deep copies, one arena per span. */
#include <pthread.h>

#include "base/memory.h"
#include "trace/attribute_list.h"
#include <marline/trace.h>

struct kept_span {
    struct kept_span *next;
    struct span_memory arena;
    marline_span_data data;
    marline_scope_data scope;
    marline_resource_data resource;
};

struct marline_memory_exporter {
    pthread_mutex_t mutex;
    struct kept_span *first;
    struct kept_span **end;
    size_t count;
};

static const marline_span_limits no_limits = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX,
                                              UINT32_MAX, UINT32_MAX, UINT32_MAX};

/* Each copy gives false when out of memory. */
static bool copy_string(struct span_memory *arena, marline_string *s)
{
    *s = marline__string_copy(arena, *s);
    return s->data != NULL;
}

static bool copy_attributes(struct span_memory *arena, const marline_attribute **items,
                            uint32_t count)
{
    struct attribute_list list;
    marline__attributes_init(&list, arena, UINT32_MAX);
    marline__attributes_set_all(&list, &no_limits, *items, count);
    *items = list.items;
    return list.dropped == 0;
}

static bool copy_events(struct span_memory *arena, marline_span_data *data)
{
    size_t size = data->event_count * sizeof(marline_event_data);
    marline_event_data *events = marline__span_memory_take(arena, size, 8);
    for (uint32_t i = 0; events && i < data->event_count; i++) {
        events[i] = data->events[i];
        if (!copy_string(arena, &events[i].name) ||
            !copy_attributes(arena, &events[i].attributes, events[i].attribute_count)) {
            return false;
        }
    }
    data->events = events;
    return events != NULL;
}

static bool copy_links(struct span_memory *arena, marline_span_data *data)
{
    size_t size = data->link_count * sizeof(marline_link_data);
    marline_link_data *links = marline__span_memory_take(arena, size, 8);
    for (uint32_t i = 0; links && i < data->link_count; i++) {
        links[i] = data->links[i];
        if (!copy_string(arena, &links[i].trace_state) ||
            !copy_attributes(arena, &links[i].attributes, links[i].attribute_count)) {
            return false;
        }
    }
    data->links = links;
    return links != NULL;
}

static bool copy_owners(struct span_memory *arena, struct kept_span *kept)
{
    kept->scope = *kept->data.scope;
    kept->resource = *kept->data.resource;
    kept->data.scope = &kept->scope;
    kept->data.resource = &kept->resource;
    return copy_string(arena, &kept->scope.name) && copy_string(arena, &kept->scope.version) &&
           copy_string(arena, &kept->scope.schema_url) &&
           copy_attributes(arena, &kept->scope.attributes, kept->scope.attribute_count) &&
           copy_string(arena, &kept->resource.schema_url) &&
           copy_attributes(arena, &kept->resource.attributes, kept->resource.attribute_count);
}

static void free_kept(struct kept_span *kept)
{
    marline__span_memory_deinit(&kept->arena);
    marline__memory_free(kept);
}

static struct kept_span *keep(const marline_span_data *span)
{
    struct kept_span *kept = marline__memory_zeroed(sizeof *kept);
    if (!kept) {
        return NULL;
    }
    kept->data = *span;
    marline__span_memory_init(&kept->arena, NULL, 0);
    if (!copy_string(&kept->arena, &kept->data.name) ||
        !copy_string(&kept->arena, &kept->data.trace_state) ||
        !copy_string(&kept->arena, &kept->data.status_message) ||
        !copy_attributes(&kept->arena, &kept->data.attributes, kept->data.attribute_count) ||
        !copy_events(&kept->arena, &kept->data) || !copy_links(&kept->arena, &kept->data) ||
        !copy_owners(&kept->arena, kept)) {
        free_kept(kept);
        return NULL;
    }
    return kept;
}

static void export_spans(void *user, const marline_span_data *spans, size_t count,
                         uint64_t timeout_ms, marline_export_result *out)
{
    (void)timeout_ms;
    marline_memory_exporter *memory = user;
    for (size_t i = 0; i < count; i++) {
        struct kept_span *kept = keep(&spans[i]);
        if (!kept) {
            out->failed++;
            continue;
        }
        out->exported++;
        pthread_mutex_lock(&memory->mutex);
        *memory->end = kept;
        memory->end = &kept->next;
        memory->count++;
        pthread_mutex_unlock(&memory->mutex);
    }
}

/* What the parent kept is forgotten, not freed: another thread may have been at it. */
static void after_fork(void *user)
{
    marline_memory_exporter *memory = user;
    pthread_mutex_init(&memory->mutex, NULL);
    memory->first = NULL;
    memory->end = &memory->first;
    memory->count = 0;
}

static void destroy(void *user)
{
    marline_memory_exporter *memory = user;
    marline_memory_exporter_reset(memory);
    pthread_mutex_destroy(&memory->mutex);
    marline__memory_free(memory);
}

marline_memory_exporter *marline_memory_exporter_create(marline_exporter *out)
{
    marline_memory_exporter *memory = out ? marline__memory_zeroed(sizeof *memory) : NULL;
    if (!memory || pthread_mutex_init(&memory->mutex, NULL) != 0) {
        marline__memory_free(memory);
        return NULL;
    }
    memory->end = &memory->first;
    *out = (marline_exporter){
        .export_spans = export_spans, .after_fork = after_fork, .destroy = destroy, .user = memory};
    return memory;
}

void marline_memory_exporter_reset(marline_memory_exporter *memory)
{
    pthread_mutex_lock(&memory->mutex);
    struct kept_span *kept = memory->first;
    memory->first = NULL;
    memory->end = &memory->first;
    memory->count = 0;
    pthread_mutex_unlock(&memory->mutex);
    while (kept) {
        struct kept_span *next = kept->next;
        free_kept(kept);
        kept = next;
    }
}

size_t marline_memory_exporter_count(marline_memory_exporter *memory)
{
    pthread_mutex_lock(&memory->mutex);
    size_t count = memory->count;
    pthread_mutex_unlock(&memory->mutex);
    return count;
}

const marline_span_data *marline_memory_exporter_span(marline_memory_exporter *memory, size_t index)
{
    pthread_mutex_lock(&memory->mutex);
    const struct kept_span *kept = index < memory->count ? memory->first : NULL;
    while (kept && index > 0) {
        kept = kept->next;
        index--;
    }
    pthread_mutex_unlock(&memory->mutex);
    return kept ? &kept->data : NULL;
}
