/* Spans into SQLite, and the rows that many spans share, with the writer's memory of them. */
#include "store/store_sql.h"

#include <string.h>

#include "core/alloc.h"

/* ---- contexts ---- */

static enum store_status find_context(struct sql_connection *c, const struct link_key *key,
                                      int64_t *out_ref, struct store_error *error)
{
    static const char sql[] = "SELECT ref FROM contexts WHERE run_id = ? AND test_id = ?"
                              " AND configuration_id = ? AND organization_id = ? AND attempt = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &key->run);
    bind_uuid(s, 2, &key->test);
    bind_uuid(s, 3, &key->configuration);
    bind_uuid(s, 4, &key->organization);
    bind_int(s, 5, key->attempt);
    enum store_status status = STORE_OK;
    *out_ref = 0;
    if (sql_row(c, s, &status, error)) {
        *out_ref = (int64_t)column_int(s, 0);
        sql_reset(s);
    }
    return status;
}

static enum store_status create_context(struct sql_connection *c, const struct link_key *key,
                                        int64_t *out_ref, struct store_error *error)
{
    static const char sql[] = "INSERT INTO contexts(run_id, test_id, configuration_id,"
                              " organization_id, attempt) VALUES(?, ?, ?, ?, ?) RETURNING ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &key->run);
    bind_uuid(s, 2, &key->test);
    bind_uuid(s, 3, &key->configuration);
    bind_uuid(s, 4, &key->organization);
    bind_int(s, 5, key->attempt);
    return sql_run_returning(c, s, out_ref, error);
}

enum store_status sql_context(struct sql_store *store, const struct link_key *key, int64_t *out_ref,
                              struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct context_slot *slot =
        &store->writer.intern.contexts[link_key_hash(key) % CONTEXT_CACHE_SIZE];
    if (slot->ref && link_key_equal(&slot->key, key)) {
        *out_ref = slot->ref;
        return STORE_OK;
    }
    enum store_status status = find_context(c, key, out_ref, error);
    if (status == STORE_OK && *out_ref == 0) {
        status = create_context(c, key, out_ref, error);
    }
    if (status == STORE_OK) {
        *slot = (struct context_slot){*out_ref, *key};
    }
    return status;
}

enum store_status sql_context_find(struct sql_connection *c, const struct link_key *key,
                                   int64_t *out_ref, struct store_error *error)
{
    return find_context(c, key, out_ref, error);
}

/* ---- organizations and sources ---- */

static enum store_status organization_ref(struct sql_store *store, const struct uuid *id,
                                          int64_t *out_ref, struct store_error *error)
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

static enum store_status source_ref(struct sql_store *store, const struct store_insert_spans *in,
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

void intern_clear(struct intern *intern)
{
    for (size_t i = 0; i < SOURCE_CACHE_SIZE; i++) {
        marline__memory_free(intern->sources[i].text);
    }
    memset(intern, 0, sizeof *intern);
}

/* ---- spans ---- */

static enum store_status create_post(struct sql_connection *c, const struct store_write *write,
                                     int64_t *out_ref, struct store_error *error)
{
    static const char sql[] = "INSERT INTO posts(organization_id, id, at, received, stored,"
                              " duplicate, rejected) VALUES(?, ?, ?, ?, 0, 0, 0)"
                              " RETURNING ref";
    const struct store_insert_spans *in = &write->insert_spans;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &in->organization_id);
    bind_text(s, 2, or_default(in->post_id, SLICE("")));
    bind_int(s, 3, write->at_unix_ns);
    bind_int(s, 4, in->count);
    return sql_run_returning(c, s, out_ref, error);
}

static enum store_status finish_post(struct sql_connection *c, const struct store_insert_spans *in,
                                     int64_t post, struct store_error *error)
{
    static const char sql[] = "UPDATE posts SET stored = ?, duplicate = ? WHERE ref = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, in->stored);
    bind_int(s, 2, in->duplicates);
    bind_ref(s, 3, post);
    return sql_run(c, s, error);
}

/* Empty containers are stored as NULL: most spans have neither events nor links. */
static struct slice unless_empty(struct slice json, const char *empty)
{
    return marline__slice_is(json, empty) || json.size == 0 ? SLICE_EMPTY : json;
}

/* The references of one span's row. */
struct span_refs {
    int64_t trace;
    int64_t post;
    int64_t source;
    int64_t context; /* 0 = none */
};

static void bind_span(struct sql_statement *s, const struct store_span *span,
                      const struct span_refs *refs)
{
    bind_ref(s, 1, refs->trace);
    bind_blob(s, 2, span->span_id, sizeof span->span_id);
    bind_blob(s, 3, span->has_parent ? span->parent_span_id : NULL, sizeof span->parent_span_id);
    bind_ref(s, 4, refs->source);
    bind_ref(s, 5, refs->post);
    bind_ref(s, 6, refs->context);
    bind_ref(s, 7, span->inherited);
    bind_int(s, 8, span->kind);
    bind_int(s, 9, span->status);
    bind_int(s, 10, span->start_unix_ns);
    bind_int(s, 11, span->end_unix_ns - span->start_unix_ns);
    bind_text(s, 12, or_default(span->name, SLICE("")));
    bind_text(s, 13, span->status_message);
    bind_text(s, 14, span->conversation_id);
    bind_text(s, 15, unless_empty(span->attributes, "{}"));
    bind_text(s, 16, unless_empty(span->events, "[]"));
    bind_text(s, 17, unless_empty(span->links, "[]"));
}

static enum store_status insert_span(struct sql_connection *c, struct store_span *span,
                                     const struct span_refs *refs, int64_t *out_ref,
                                     struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO spans(trace_ref, span_id, parent_span_id, source_ref, post_ref, context_ref,"
        " inherited, kind, status, start_at, duration_ns, name, status_message, conversation_id,"
        " attributes, events, links)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
        " RETURNING ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_span(s, span, refs);
    enum store_status status = sql_run_returning(c, s, out_ref, error);
    span->duplicate = status == STORE_OK && *out_ref == 0;
    return status;
}

static void inherit(const struct trace_slot *trace, struct store_span *span, int64_t *context)
{
    span->inherited = !span->has_key && trace->context_ref > 0;
    if (span->inherited) {
        span->has_key = true;
        span->key = trace->key;
        *context = trace->context_ref;
    }
}

static enum store_status insert_links(struct sql_connection *c, const struct store_span *span,
                                      int64_t ref, struct store_error *error)
{
    static const char sql[] = "INSERT INTO span_links(trace_id, span_ref) VALUES(?, ?)"
                              " ON CONFLICT DO NOTHING";
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < span->linked_trace_count; i++) {
        struct sql_statement *s = sql_prepare(c, sql, error);
        if (!s) {
            return error->status;
        }
        bind_blob(s, 1, span->linked_traces[i], 16);
        bind_ref(s, 2, ref);
        status = sql_run(c, s, error);
    }
    return status;
}

/* Finds or makes the rows that the span points to. */
static enum store_status find_refs(struct sql_store *store, const struct store_insert_spans *in,
                                   size_t index, int64_t organization, struct span_refs *refs,
                                   struct trace_slot **out_trace, struct store_error *error)
{
    struct store_span *span = &in->spans[index];
    span->has_key = span->has_key && !span->inherited; /* left by a first try that failed */
    enum store_status status = source_ref(store, in, span, &refs->source, error);
    if (status == STORE_OK && span->has_key) {
        status = sql_context(store, &span->key, &refs->context, error);
    }
    if (status == STORE_OK) {
        const struct trace_start start = {in, index, refs->context};
        status = sql_trace(store, organization, &start, out_trace, error);
    }
    return status;
}

static enum store_status insert_one(struct sql_store *store, const struct store_insert_spans *in,
                                    size_t index, int64_t organization, int64_t post,
                                    struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct store_span *span = &in->spans[index];
    struct trace_slot *trace = NULL;
    struct span_refs refs = {.post = post};
    enum store_status status = find_refs(store, in, index, organization, &refs, &trace, error);
    if (status != STORE_OK) {
        return status;
    }
    inherit(trace, span, &refs.context);
    refs.trace = trace->ref;
    int64_t ref = 0;
    status = insert_span(c, span, &refs, &ref, error);
    if (status != STORE_OK || span->duplicate) {
        return status;
    }
    status = insert_links(c, span, ref, error);
    if (status == STORE_OK && trace->noted_post != post) {
        trace->noted_post = post;
        status = sql_note_stale(c, trace->ref, error);
    }
    return status == STORE_OK ? sql_trace_add(store, trace, span, refs.context, error) : status;
}

/* What the slots still hold back; those of other writes are saved already. */
static enum store_status save_traces(struct sql_store *store, struct store_error *error)
{
    enum store_status status = STORE_OK;
    struct intern *intern = &store->writer.intern;
    while (status == STORE_OK && intern->dirty_count > 0) {
        struct trace_slot *trace = &intern->traces[intern->dirty[--intern->dirty_count]];
        trace->is_listed = false;
        status = trace->is_dirty ? sql_trace_save(store, trace, error) : STORE_OK;
    }
    return status;
}

enum store_status sql_insert_spans(struct sql_store *store, struct store_write *write,
                                   struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct store_insert_spans *in = &write->insert_spans;
    int64_t organization = 0;
    int64_t post = 0;
    enum store_status status = organization_ref(store, &in->organization_id, &organization, error);
    if (status == STORE_OK) {
        status = create_post(c, write, &post, error);
    }
    in->stored = 0;
    in->duplicates = 0;
    for (size_t i = 0; status == STORE_OK && i < in->count; i++) {
        status = insert_one(store, in, i, organization, post, error);
        in->duplicates += in->spans[i].duplicate;
    }
    if (status == STORE_OK) {
        status = save_traces(store, error);
    }
    in->stored = in->count - in->duplicates;
    return status == STORE_OK ? finish_post(c, in, post, error) : status;
}
