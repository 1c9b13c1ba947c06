/* The rows that many spans share: contexts, organizations, sources; and the writer's memory of
 * them. A row that was found stays what it is, so the memory is never wrong, also when other
 * backends write into the same database. */
#include "store/store_sql.h"

#include <string.h>

#include "core/alloc.h"

/* ---- contexts ---- */

static struct context_slot *context_slot_of(struct intern *intern, const struct link_key *key)
{
    return &intern->contexts[link_key_hash(key) % CONTEXT_CACHE_SIZE];
}

static void bind_key(struct sql_statement *s, const struct link_key *key)
{
    bind_uuid(s, 1, &key->run);
    bind_uuid(s, 2, &key->test);
    bind_uuid(s, 3, &key->configuration);
    bind_uuid(s, 4, &key->organization);
    bind_int(s, 5, key->attempt);
}

static enum store_status find_context(struct sql_connection *c, const struct link_key *key,
                                      int64_t *out_ref, struct store_error *error)
{
    static const char sql[] = "SELECT ref FROM contexts WHERE run_id = ? AND test_id = ?"
                              " AND configuration_id = ? AND organization_id = ? AND attempt = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_key(s, key);
    enum store_status status = STORE_OK;
    *out_ref = 0;
    if (sql_row(c, s, &status, error)) {
        *out_ref = (int64_t)column_int(s, 0);
        sql_reset(s);
    }
    return status;
}

/* *out_ref is 0 when another backend was quicker. */
static enum store_status create_context(struct sql_connection *c, const struct link_key *key,
                                        int64_t *out_ref, struct store_error *error)
{
    static const char sql[] = "INSERT INTO contexts(run_id, test_id, configuration_id,"
                              " organization_id, attempt) VALUES(?, ?, ?, ?, ?)"
                              " ON CONFLICT DO NOTHING RETURNING ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_key(s, key);
    return sql_run_returning(c, s, out_ref, error);
}

enum store_status sql_context(struct sql_store *store, const struct link_key *key, int64_t *out_ref,
                              struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct context_slot *slot = context_slot_of(&store->writer.intern, key);
    if (slot->ref && link_key_equal(&slot->key, key)) {
        *out_ref = slot->ref;
        return STORE_OK;
    }
    enum store_status status = find_context(c, key, out_ref, error);
    if (status == STORE_OK && *out_ref == 0) {
        status = create_context(c, key, out_ref, error);
    }
    if (status == STORE_OK && *out_ref == 0) {
        status = find_context(c, key, out_ref, error);
    }
    if (status == STORE_OK) {
        *slot = (struct context_slot){.ref = *out_ref, .key = *key};
    }
    return status;
}

enum store_status sql_context_find(struct sql_connection *c, const struct link_key *key,
                                   int64_t *out_ref, struct store_error *error)
{
    return find_context(c, key, out_ref, error);
}

/* ---- many contexts at once ---- */

/* False when the key is known or wanted already. Where another key waits for the slot, it stays
 * that key's: then this one's row is made, and found again when it is needed. */
static bool want_context(struct intern *intern, const struct link_key *key)
{
    struct context_slot *slot = context_slot_of(intern, key);
    if ((slot->ref || slot->is_wanted) && link_key_equal(&slot->key, key)) {
        return false;
    }
    if (!slot->is_wanted) {
        *slot = (struct context_slot){.key = *key, .is_wanted = true};
    }
    return true;
}

/* True, once, for a key that is still wanted. */
static bool is_left(struct intern *intern, const struct link_key *key)
{
    struct context_slot *slot = context_slot_of(intern, key);
    if (!slot->is_wanted || !link_key_equal(&slot->key, key)) {
        return false;
    }
    slot->is_wanted = false;
    return true;
}

/* Asks for the keys that `choose` picks, and takes what comes back into their slots. */
static enum store_status ask_contexts(struct sql_store *store, const struct link_key *const *keys,
                                      size_t count, const char *sql,
                                      bool (*choose)(struct intern *, const struct link_key *),
                                      struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct intern *intern = &store->writer.intern;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    size_t asked = 0;
    for (size_t i = 0; i < count; i++) {
        if (choose(intern, keys[i])) {
            bind_key(s, keys[i]);
            sql_add_row(s);
            asked++;
        }
    }
    enum store_status status = STORE_OK;
    while (asked > 0 && sql_row(c, s, &status, error)) {
        struct link_key key = {column_uuid(s, 4), column_uuid(s, 1), column_uuid(s, 2),
                               column_uuid(s, 3), (uint32_t)column_int(s, 5)};
        struct context_slot *slot = context_slot_of(intern, &key);
        if (link_key_equal(&slot->key, &key)) {
            *slot = (struct context_slot){.ref = (int64_t)column_int(s, 0), .key = key};
        }
    }
    return status;
}

enum store_status sql_contexts_warm(struct sql_store *store, const struct link_key *const *keys,
                                    size_t count, struct store_error *error)
{
    static const char find[] =
        "SELECT x.ref, x.run_id, x.test_id, x.configuration_id, x.organization_id, x.attempt"
        " FROM unnest(?::uuid[], ?::uuid[], ?::uuid[], ?::uuid[], ?::bigint[]) k(r, t, c, o, a)"
        " JOIN contexts x ON x.run_id = k.r AND x.test_id = k.t AND x.configuration_id = k.c"
        " AND x.organization_id = k.o AND x.attempt = k.a";
    static const char create[] =
        "INSERT INTO contexts(run_id, test_id, configuration_id, organization_id, attempt)"
        " SELECT * FROM unnest(?::uuid[], ?::uuid[], ?::uuid[], ?::uuid[], ?::bigint[])"
        " ORDER BY 1, 2, 3, 4, 5 ON CONFLICT DO NOTHING"
        " RETURNING ref, run_id, test_id, configuration_id, organization_id, attempt";
    /* A key that the writer does not remember is mostly a new one. */
    enum store_status status = ask_contexts(store, keys, count, create, want_context, error);
    return status == STORE_OK ? ask_contexts(store, keys, count, find, is_left, error) : status;
}

/* ---- organizations and sources ---- */

enum store_status sql_organization(struct sql_store *store, const struct uuid *id, int64_t *out_ref,
                                   struct store_error *error)
{
    static const char sql[] = "INSERT INTO organizations(id) VALUES(?)"
                              " ON CONFLICT(id) DO UPDATE SET id = excluded.id RETURNING ref";
    struct sql_connection *c = store->writer.connection;
    struct intern *intern = &store->writer.intern;
    if (intern->organization_ref && marline__uuid_equal(&intern->organization_id, id)) {
        *out_ref = intern->organization_ref;
        return STORE_OK;
    }
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        *out_ref = (int64_t)column_int(s, 0);
        status = sql_run(c, s, error);
    }
    if (status == STORE_OK) {
        intern->organization_ref = *out_ref;
        intern->organization_id = *id;
    }
    return status;
}

/* What a source is made of. */
struct source {
    struct uuid organization_id;
    struct uuid project_id;
    struct slice environment;
    struct slice resource;
    uint64_t hash;
};

/* A word at a time: resources of some hundred bytes come with every span. */
static uint64_t hash_text(uint64_t hash, struct slice text)
{
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= text.size; i += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, text.data + i, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    for (; i < text.size; i++) {
        hash = (hash ^ (uint8_t)text.data[i]) * 0x100000001b3u;
    }
    return hash ^ text.size;
}

static uint64_t hash_source(const struct source *source)
{
    uint64_t hash = hash_text(0xcbf29ce484222325u, source->resource);
    hash = hash_text(hash, source->environment);
    hash = hash_text(hash, (struct slice){(const char *)source->project_id.bytes, 16});
    return hash_text(hash, (struct slice){(const char *)source->organization_id.bytes, 16});
}

static bool slot_holds(const struct source_slot *slot, const struct source *source)
{
    return slot->ref && slot->hash == source->hash &&
           slot->environment_size == source->environment.size &&
           slot->size == source->environment.size + source->resource.size &&
           memcmp(slot->text, source->environment.data, source->environment.size) == 0 &&
           memcmp(slot->text + slot->environment_size, source->resource.data,
                  source->resource.size) == 0 &&
           marline__uuid_equal(&slot->project_id, &source->project_id) &&
           marline__uuid_equal(&slot->organization_id, &source->organization_id);
}

static void slot_fill(struct source_slot *slot, const struct source *source, int64_t ref)
{
    size_t size = source->environment.size + source->resource.size;
    marline__memory_free(slot->text);
    *slot = (struct source_slot){.ref = 0};
    if (size > SOURCE_CACHED_MAX) {
        return;
    }
    slot->text = alloc_array(size + 1, 1);
    memcpy(slot->text, source->environment.data, source->environment.size);
    memcpy(slot->text + source->environment.size, source->resource.data, source->resource.size);
    slot->ref = ref;
    slot->hash = source->hash;
    slot->organization_id = source->organization_id;
    slot->project_id = source->project_id;
    slot->environment_size = source->environment.size;
    slot->size = size;
}

static void bind_source(struct sql_statement *s, const struct source *source)
{
    bind_int(s, 1, source->hash);
    bind_uuid(s, 2, &source->organization_id);
    bind_uuid_or_null(s, 3, &source->project_id);
    bind_text(s, 4, source->environment);
    bind_text(s, 5, source->resource);
}

static enum store_status find_or_create_source(struct sql_connection *c,
                                               const struct source *source, int64_t *out_ref,
                                               struct store_error *error)
{
    static const char find[] =
        "SELECT ref FROM sources WHERE hash = ? AND organization_id = ?"
        " AND project_id IS NOT DISTINCT FROM ? AND environment = ? AND resource = ?";
    static const char create[] = "INSERT INTO sources(hash, organization_id, project_id,"
                                 " environment, resource) VALUES(?, ?, ?, ?, ?) RETURNING ref";
    struct sql_statement *s = sql_prepare(c, find, error);
    if (!s) {
        return error->status;
    }
    bind_source(s, source);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        *out_ref = (int64_t)column_int(s, 0);
        sql_reset(s);
        return STORE_OK;
    }
    s = status == STORE_OK ? sql_prepare(c, create, error) : NULL;
    if (!s) {
        return error->status;
    }
    bind_source(s, source);
    return sql_run_returning(c, s, out_ref, error);
}

static struct slice or_default(struct slice text, struct slice fallback)
{
    return text.data ? text : fallback;
}

enum store_status sql_source(struct sql_store *store, const struct store_insert_spans *in,
                             const struct store_span *span, int64_t *out_ref,
                             struct store_error *error)
{
    struct source source = {
        .organization_id = in->organization_id,
        .project_id = in->project_id,
        .environment = or_default(span->environment, SLICE("development")),
        .resource = or_default(span->resource, SLICE("{}")),
    };
    source.hash = hash_source(&source);
    struct source_slot *slot = &store->writer.intern.sources[source.hash % SOURCE_CACHE_SIZE];
    if (slot_holds(slot, &source)) {
        *out_ref = slot->ref;
        return STORE_OK;
    }
    enum store_status status =
        find_or_create_source(store->writer.connection, &source, out_ref, error);
    if (status == STORE_OK) {
        slot_fill(slot, &source, *out_ref);
    }
    return status;
}

void intern_forget_traces(struct intern *intern)
{
    memset(intern->traces, 0, sizeof intern->traces);
    intern->dirty_count = 0;
}

void intern_clear(struct intern *intern)
{
    for (size_t i = 0; i < SOURCE_CACHE_SIZE; i++) {
        marline__memory_free(intern->sources[i].text);
    }
    memset(intern, 0, sizeof *intern);
}
