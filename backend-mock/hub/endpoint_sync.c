/* See endpoint_sync.h. */
#include "hub/endpoint_sync.h"

#include "core/alloc.h"
#include "core/mapping.h"
#include "core/text_map.h"
#include "wire/connector_message.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

struct endpoint_texts {
    char *name;
    char *body;
};

struct endpoint_sync {
    struct endpoint_owner owner;
    char *environment;
    char *project_name;
    struct store_entity *endpoints;
    struct endpoint_texts *texts; /* of each */
    bool *has_mappings;
    size_t count;
    struct text_map by_id; /* of the endpoints, which do not move */
};

/* Namespace of the derived ids: a constant of this program, random once. */
static const struct uuid name_space = {{0x0f, 0x5a, 0x2d, 0x9c, 0x41, 0x7b, 0x4e, 0x36, 0x9a, 0x1c,
                                        0x6d, 0x84, 0xe2, 0x53, 0xb7, 0xf8}};

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

/* ---- one endpoint ---- */

static char *make_name(const struct endpoint_owner *owner, struct slice function_name)
{
    struct buffer name = BUFFER_INIT;
    marline__buffer_append_slice(&name, owner->project_name);
    marline__buffer_append_text(&name, " (");
    marline__buffer_append_slice(&name, function_name);
    marline__buffer_append_text(&name, ")");
    alloc_check_buffer(&name);
    return marline__buffer_take(&name);
}

static void write_connection(struct json_writer *w, const struct endpoint_owner *owner,
                             const struct message_function *function)
{
    char project[UUID_TEXT_SIZE];
    marline__uuid_format(&owner->project_id, project);
    marline__json_key(w, "endpoint_metadata");
    marline__json_begin_object(w);
    marline__json_key(w, "sdk_connection");
    marline__json_begin_object(w);
    marline__json_member_text(w, "project_id", project);
    marline__json_member_string(w, "environment", owner->environment);
    marline__json_member_string(w, "function_name", function->name);
    marline__json_end_object(w);
    marline__json_key(w, "function_schema");
    marline__json_begin_object(w);
    marline__json_member_raw(w, "parameters", function->parameters);
    marline__json_member_string(w, "return_type", function->return_type);
    marline__json_end_object(w);
    marline__json_end_object(w);
}

/* Python's NaN becomes null: what is stored is JSON. */
static char *make_body(const struct endpoint_owner *owner, const struct message_function *function,
                       bool *out_has_mappings)
{
    static const char *const names[] = {"description", "request_mapping", "response_mapping"};
    struct buffer raw = BUFFER_INIT;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    *out_has_mappings = false;
    marline__json_writer_init(&w, &raw);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "connection_type", "SDK");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct slice value = mapping_member(function->metadata, names[i]);
        marline__json_member_raw(&w, names[i], value);
        *out_has_mappings = *out_has_mappings || (i > 0 && value.size && value.data[0] == '{');
    }
    write_connection(&w, owner, function);
    marline__json_end_object(&w);
    alloc_check_buffer(&raw);
    marline__json_append_finite(&body, marline__buffer_slice(&raw));
    alloc_check_buffer(&body);
    marline__buffer_deinit(&raw);
    return marline__buffer_take(&body);
}

/* ---- the list ---- */

static size_t find_place(struct endpoint_sync *s, const struct uuid *id)
{
    struct slice key = {(const char *)id->bytes, sizeof(id->bytes)};
    const struct store_entity *known = text_map_get(&s->by_id, key);
    if (known) {
        return (size_t)(known - s->endpoints);
    }
    (void)text_map_put(&s->by_id, key, &s->endpoints[s->count]);
    return s->count++;
}

static void take(struct endpoint_sync *s, const struct message_function *function)
{
    struct uuid id = derive_id(&s->owner, function->name);
    size_t place = find_place(s, &id);
    struct endpoint_texts *texts = &s->texts[place];
    marline__memory_free(texts->name);
    marline__memory_free(texts->body);
    texts->name = make_name(&s->owner, function->name);
    texts->body = make_body(&s->owner, function, &s->has_mappings[place]);
    s->endpoints[place] = (struct store_entity){.kind = ENTITY_ENDPOINT,
                                                .id = id,
                                                .project_id = s->owner.project_id,
                                                .name = marline__slice_text(texts->name),
                                                .status = SLICE("Active"),
                                                .environment = s->owner.environment,
                                                .body = marline__slice_text(texts->body)};
}

/* Calls `visit`, unless it is NULL, with each function; returns how many there are. */
static size_t for_each(struct slice functions, struct endpoint_sync *s,
                       void (*visit)(struct endpoint_sync *, const struct message_function *))
{
    struct message_function function;
    struct buffer scratch = BUFFER_INIT;
    char reason[DECODE_REASON_SIZE];
    size_t position = 0;
    size_t count = 0;
    while (marline__message_next_function(functions, &position, &function, &scratch, reason)) {
        if (visit) {
            visit(s, &function);
        }
        marline__buffer_clear(&scratch);
        count++;
    }
    marline__buffer_deinit(&scratch);
    return count;
}

struct endpoint_sync *endpoint_sync_create(const struct endpoint_owner *owner,
                                           struct slice functions)
{
    struct endpoint_sync *s = alloc_zeroed(sizeof(*s));
    size_t most = 1 + for_each(functions, s, NULL);
    s->owner = *owner;
    s->environment = alloc_slice(owner->environment);
    s->project_name = alloc_slice(owner->project_name);
    s->owner.environment = marline__slice_text(s->environment);
    s->owner.project_name = marline__slice_text(s->project_name);
    s->endpoints = alloc_array(most, sizeof(*s->endpoints));
    s->texts = alloc_array(most, sizeof(*s->texts));
    s->has_mappings = alloc_array(most, sizeof(*s->has_mappings));
    text_map_init(&s->by_id);
    (void)for_each(functions, s, take);
    return s;
}

void endpoint_sync_destroy(struct endpoint_sync *s)
{
    if (!s) {
        return;
    }
    for (size_t i = 0; i < s->count; i++) {
        marline__memory_free(s->texts[i].name);
        marline__memory_free(s->texts[i].body);
    }
    text_map_deinit(&s->by_id);
    marline__memory_free(s->endpoints);
    marline__memory_free(s->texts);
    marline__memory_free(s->has_mappings);
    marline__memory_free(s->environment);
    marline__memory_free(s->project_name);
    marline__memory_free(s);
}

void endpoint_sync_fill(const struct endpoint_sync *s, struct store_sync_endpoints *out)
{
    *out = (struct store_sync_endpoints){.organization_id = s->owner.organization_id,
                                         .project_id = s->owner.project_id,
                                         .environment = s->owner.environment,
                                         .endpoints = s->endpoints,
                                         .has_mappings = s->has_mappings,
                                         .count = s->count};
}
