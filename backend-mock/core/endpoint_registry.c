/* See endpoint_registry.h. A list in order and a table by id. */
#include "core/endpoint_registry.h"

#include "core/alloc.h"
#include "core/text_map.h"
#include "wire/connector_message.h"

struct endpoint_registry {
    struct list endpoints;
    struct text_map by_id;
};

/* Namespace of the derived ids: a constant of this program, random once. */
static const struct uuid name_space = {{0x0f, 0x5a, 0x2d, 0x9c, 0x41, 0x7b, 0x4e, 0x36, 0x9a, 0x1c,
                                        0x6d, 0x84, 0xe2, 0x53, 0xb7, 0xf8}};

static struct slice id_key(const struct uuid *id)
{
    return (struct slice){(const char *)id->bytes, sizeof(id->bytes)};
}

struct endpoint_registry *endpoint_registry_create(void)
{
    struct endpoint_registry *r = alloc_zeroed(sizeof(*r));
    marline__list_init(&r->endpoints);
    text_map_init(&r->by_id);
    return r;
}

void endpoint_registry_destroy(struct endpoint_registry *r)
{
    if (!r) {
        return;
    }
    LIST_EACH(&r->endpoints, node)
    {
        struct endpoint *e = LIST_ENTRY(node, struct endpoint, node);
        marline__memory_free(e->environment);
        marline__memory_free(e->function_name);
        marline__memory_free(e->metadata);
        marline__memory_free(e);
    }
    text_map_deinit(&r->by_id);
    marline__memory_free(r);
}

static struct uuid derive_id(const struct endpoint_owner *owner, struct slice function_name)
{
    struct buffer name = BUFFER_INIT;
    marline__buffer_append(&name, owner->organization_id.bytes, 16);
    marline__buffer_append(&name, owner->project_id.bytes, 16);
    marline__buffer_append_slice(&name, owner->environment);
    marline__buffer_append_byte(&name, '|');
    marline__buffer_append_slice(&name, function_name);
    alloc_check_buffer(&name);
    struct uuid id = marline__uuid_derived(&name_space, marline__buffer_slice(&name));
    marline__buffer_deinit(&name);
    return id;
}

static bool is_owned(const struct endpoint *e, const struct endpoint_owner *owner)
{
    return marline__uuid_equal(&e->organization_id, &owner->organization_id) &&
           marline__uuid_equal(&e->project_id, &owner->project_id) &&
           marline__slice_is(owner->environment, e->environment);
}

static struct endpoint *add(struct endpoint_registry *r, const struct endpoint_owner *owner,
                            struct slice function_name, const struct uuid *id)
{
    struct endpoint *e = alloc_zeroed(sizeof(*e));
    e->id = *id;
    e->organization_id = owner->organization_id;
    e->project_id = owner->project_id;
    e->environment = alloc_slice(owner->environment);
    e->function_name = alloc_slice(function_name);
    marline__list_push_back(&r->endpoints, &e->node);
    text_map_put(&r->by_id, id_key(&e->id), e);
    return e;
}

static void take(struct endpoint_registry *r, const struct endpoint_owner *owner,
                 const struct message_function *function, struct endpoint_sync *sync)
{
    struct uuid id = derive_id(owner, function->name);
    struct endpoint *e = text_map_get(&r->by_id, id_key(&id));
    if (e) {
        sync->updated += !e->listed; /* a name given twice counts once */
    } else {
        e = add(r, owner, function->name, &id);
        sync->created++;
    }
    marline__memory_free(e->metadata);
    e->metadata = alloc_slice(function->metadata);
    e->active = e->listed = true;
}

struct endpoint_sync endpoint_registry_sync(struct endpoint_registry *r,
                                            const struct endpoint_owner *owner,
                                            struct slice functions)
{
    struct endpoint_sync sync = {0};
    struct message_function function;
    struct buffer scratch = BUFFER_INIT;
    char reason[DECODE_REASON_SIZE];
    size_t position = 0;
    while (marline__message_next_function(functions, &position, &function, &scratch, reason)) {
        take(r, owner, &function, &sync);
        marline__buffer_clear(&scratch);
    }
    marline__buffer_deinit(&scratch);
    LIST_EACH(&r->endpoints, node)
    {
        struct endpoint *e = LIST_ENTRY(node, struct endpoint, node);
        if (is_owned(e, owner)) {
            sync.marked_inactive += e->active && !e->listed;
            e->active = e->listed;
        }
        e->listed = false;
    }
    return sync;
}

const struct endpoint *endpoint_registry_find(const struct endpoint_registry *r,
                                              const struct uuid *organization_id,
                                              const struct uuid *id)
{
    const struct endpoint *e = text_map_get(&r->by_id, id_key(id));
    return e && marline__uuid_equal(&e->organization_id, organization_id) ? e : NULL;
}

const struct endpoint *endpoint_registry_next(const struct endpoint_registry *r,
                                              const struct endpoint *after)
{
    struct list *node = after ? after->node.next : r->endpoints.next;
    return node == &r->endpoints ? NULL : LIST_ENTRY(node, struct endpoint, node);
}
