/* Resources of a program's own; see marline/resource.h. What a provider makes of them, with its
 * defaults and the environment, is resource.c's. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "io/refuse.h"
#include "trace/attribute_list.h"
#include <marline/resource.h>

struct marline_resource {
    struct span_memory arena; /* all below lives there */
    marline_resource_data data;
};

static bool is_same(marline_string one, marline_string other)
{
    return one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

static marline_status make(const marline_resource_data *old, const marline_resource_data *updating,
                           marline_string schema_url, marline_resource **out, marline_error *error)
{
    struct attribute_list list;
    struct marline_resource *r = marline__memory_zeroed(sizeof *r);
    if (!r) {
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory for a resource");
    }
    marline__span_memory_init(&r->arena, NULL, 0);
    marline__attributes_init(&list, &r->arena, UINT32_MAX);
    marline__attributes_set_all(&list, &marline__no_limits, old->attributes, old->attribute_count);
    marline__attributes_set_all(&list, &marline__no_limits, updating->attributes,
                                updating->attribute_count);
    r->data = (marline_resource_data){.attributes = list.items,
                                      .attribute_count = list.count,
                                      .schema_url = marline__string_copy(&r->arena, schema_url)};
    if (list.dropped > 0 || !r->data.schema_url.data) {
        marline_resource_destroy(r);
        return marline__refuse(error, MARLINE_ENOMEM, "out of memory for a resource");
    }
    *out = r;
    return MARLINE_OK;
}

marline_status marline_resource_create(const marline_attribute *attributes, size_t count,
                                       const char *schema_url, marline_resource **out,
                                       marline_error *error)
{
    static const marline_resource_data nothing;
    if (!out || (!attributes && count > 0) || count > UINT32_MAX) {
        return marline__refuse(error, MARLINE_EINVAL,
                               "a resource needs its attributes, and a place for it");
    }
    const marline_resource_data given = {.attributes = attributes,
                                         .attribute_count = (uint32_t)count};
    const marline_string url = {schema_url ? schema_url : "", schema_url ? strlen(schema_url) : 0};
    return make(&nothing, &given, url, out, error);
}

marline_status marline_resource_merge(const marline_resource *old, const marline_resource *updating,
                                      marline_resource **out, marline_error *error)
{
    static const marline_resource_data nothing;
    const marline_resource_data *one = old ? &old->data : &nothing;
    const marline_resource_data *other = updating ? &updating->data : &nothing;
    if (!out) {
        return marline__refuse(error, MARLINE_EINVAL, "a merge of resources needs a place for it");
    }
    if (one->schema_url.size > 0 && other->schema_url.size > 0 &&
        !is_same(one->schema_url, other->schema_url)) {
        if (error) {
            error->code = MARLINE_EINVAL;
            (void)snprintf(error->text, sizeof error->text,
                           "resources of different schemas cannot be merged: %.*s and %.*s",
                           (int)(one->schema_url.size < 80 ? one->schema_url.size : 80),
                           one->schema_url.data,
                           (int)(other->schema_url.size < 80 ? other->schema_url.size : 80),
                           other->schema_url.data);
        }
        return MARLINE_EINVAL;
    }
    return make(one, other, other->schema_url.size > 0 ? other->schema_url : one->schema_url, out,
                error);
}

const marline_resource_data *marline_resource_view(const marline_resource *resource)
{
    return resource ? &resource->data : NULL;
}

void marline_resource_destroy(marline_resource *resource)
{
    if (resource) {
        marline__span_memory_deinit(&resource->arena);
        marline__memory_free(resource);
    }
}
