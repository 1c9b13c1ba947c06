/* Traces in SQLite: what their spans have in common, and the inheriting of a context.
 *
 * The context of a trace: none -> one (all spans that have a context agree) -> several. While it is
 * one, spans without context inherit it, those stored before included. When it becomes several,
 * what was inherited and is not linked yet is taken back; a link never changes. */
#include "store/store_sql.h"

#include <string.h>

enum { ROOT_LOOKAHEAD = 128 }; /* more than the platform's SDK puts into one POST */

/* ---- finding ---- */

static struct trace_slot *slot_of(struct sql_store *store, int64_t organization_ref,
                                  const uint8_t trace_id[16])
{
    uint64_t low = 0;
    uint64_t high = 0;
    memcpy(&low, trace_id, sizeof low);
    memcpy(&high, trace_id + sizeof low, sizeof high);
    uint64_t hash = (low ^ high ^ (uint64_t)organization_ref) * 0x9e3779b97f4a7c15u;
    return &store->writer.intern.traces[(hash >> 32) % TRACE_CACHE_SIZE];
}

/* Does the POST bring a parentless span of the trace, not far behind? Spans leave an agent in order
 * of ending, so the root comes last. If it is missed here, it costs one UPDATE more. */
static bool brings_root(const struct trace_start *start)
{
    const struct store_span *spans = start->in->spans;
    size_t end = start->index + ROOT_LOOKAHEAD;
    end = end < start->in->count ? end : start->in->count;
    for (size_t i = start->index; i < end; i++) {
        if (!spans[i].has_parent &&
            memcmp(spans[i].trace_id, spans[start->index].trace_id, 16) == 0) {
            return true;
        }
    }
    return false;
}

static enum store_status create_trace(struct sql_connection *c, struct trace_slot *slot,
                                      struct store_error *error)
{
    static const char sql[] = "INSERT INTO traces(organization_ref, trace_id, has_root,"
                              " context_ref) VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING"
                              " RETURNING ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, slot->organization_ref);
    bind_blob(s, 2, slot->trace_id, sizeof slot->trace_id);
    bind_int(s, 3, slot->has_root);
    bind_ref(s, 4, slot->context_ref);
    return sql_run_returning(c, s, &slot->ref, error);
}

/* Columns 0 to 7 of a loading query. */
static void take_trace(struct trace_slot *slot, struct sql_statement *s)
{
    slot->ref = (int64_t)column_int(s, 0);
    slot->has_root = column_int(s, 1) != 0;
    slot->context_ref = (int64_t)column_int(s, 2);
    slot->key = (struct link_key){column_uuid(s, 3), column_uuid(s, 4), column_uuid(s, 5),
                                  column_uuid(s, 6), (uint32_t)column_int(s, 7)};
    slot->has_bare = slot->context_ref <= 0;
}

/* In PostgreSQL another backend may be at the same trace: whoever comes second waits, and sees what
 * the first has made of it. */
#define LOADED_COLUMNS                                                                             \
    "t.ref, t.has_root, t.context_ref, c.organization_id, c.run_id, c.test_id,"                    \
    " c.configuration_id, c.attempt"

static enum store_status load_trace(struct sql_connection *c, struct trace_slot *slot,
                                    struct store_error *error)
{
#define LOAD                                                                                       \
    "SELECT " LOADED_COLUMNS " FROM traces t LEFT JOIN contexts c ON c.ref = t.context_ref"        \
    " WHERE t.organization_ref = ? AND t.trace_id = ?"
    static const char sqlite[] = LOAD;
    static const char postgres[] = LOAD " FOR UPDATE OF t";
#undef LOAD
    struct sql_statement *s = sql_prepare(c, sql_choose(c, sqlite, postgres), error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, slot->organization_ref);
    bind_blob(s, 2, slot->trace_id, sizeof slot->trace_id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        take_trace(slot, s);
        sql_reset(s);
    }
    return status;
}

static bool slot_is_of(const struct trace_slot *slot, int64_t organization_ref,
                       const uint8_t trace_id[16])
{
    return slot->organization_ref == organization_ref &&
           memcmp(slot->trace_id, trace_id, sizeof slot->trace_id) == 0;
}

/* Makes the slot that of the trace, as it will be if it is new. */
static enum store_status reuse_slot(struct sql_store *store, struct trace_slot *slot,
                                    int64_t organization_ref, const struct trace_start *start,
                                    struct store_error *error)
{
    const struct store_span *span = &start->in->spans[start->index];
    if (slot->is_dirty) { /* two traces of one POST share the slot */
        enum store_status status = sql_trace_save(store, slot, error);
        if (status != STORE_OK) {
            return status;
        }
    }
    bool is_listed = slot->is_listed;
    memset(slot, 0, sizeof *slot);
    slot->is_listed = is_listed;
    slot->organization_ref = organization_ref;
    memcpy(slot->trace_id, span->trace_id, sizeof slot->trace_id);
    slot->has_root = brings_root(start);
    slot->context_ref = start->context;
    slot->key = span->key;
    return STORE_OK;
}

enum store_status sql_trace(struct sql_store *store, int64_t organization_ref,
                            const struct trace_start *start, struct trace_slot **out_slot,
                            struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    const uint8_t *trace_id = start->in->spans[start->index].trace_id;
    struct trace_slot *slot = slot_of(store, organization_ref, trace_id);
    *out_slot = slot;
    if (slot->ref && slot_is_of(slot, organization_ref, trace_id)) {
        return STORE_OK;
    }
    enum store_status status = reuse_slot(store, slot, organization_ref, start, error);
    if (status == STORE_OK) {
        status = create_trace(c, slot, error);
    }
    return status == STORE_OK && slot->ref == 0 ? load_trace(c, slot, error) : status;
}

/* ---- many at once ---- */

/* Gives each trace of the POST that is in no slot one, and a row of the statement. */
static enum store_status want_traces(struct sql_store *store, int64_t organization_ref,
                                     const struct store_insert_spans *in, struct sql_statement *s,
                                     size_t *out_wanted, struct store_error *error)
{
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < in->count; i++) {
        struct trace_start start = {in, i, 0};
        const struct store_span *span = &in->spans[i];
        struct trace_slot *slot = slot_of(store, organization_ref, span->trace_id);
        if (slot->is_wanted || (slot->ref && slot_is_of(slot, organization_ref, span->trace_id))) {
            continue;
        }
        if (span->has_key) {
            status = sql_context(store, &span->key, &start.context, error);
        }
        if (status == STORE_OK) {
            status = reuse_slot(store, slot, organization_ref, &start, error);
        }
        slot->is_wanted = true;
        bind_ref(s, 1, slot->organization_ref);
        bind_blob(s, 2, slot->trace_id, sizeof slot->trace_id);
        bind_int(s, 3, slot->has_root);
        bind_ref(s, 4, slot->context_ref);
        sql_add_row(s);
        ++*out_wanted;
    }
    return status;
}

/* The slot that a row with this id was asked for. */
static struct trace_slot *answered_slot(struct sql_store *store, int64_t organization_ref,
                                        struct sql_statement *s, int at)
{
    uint8_t trace_id[16] = {0};
    (void)column_blob(s, at, trace_id, sizeof trace_id);
    struct trace_slot *slot = slot_of(store, organization_ref, trace_id);
    return slot->is_wanted && slot_is_of(slot, organization_ref, trace_id) ? slot : NULL;
}

static enum store_status create_traces(struct sql_store *store, int64_t organization_ref,
                                       const struct store_insert_spans *in, size_t *out_wanted,
                                       struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO traces(organization_ref, trace_id, has_root, context_ref)"
        " SELECT * FROM unnest(?::bigint[], ?::bytea[], ?::bigint[], ?::bigint[])"
        " ORDER BY 1, 2 ON CONFLICT DO NOTHING RETURNING ref, trace_id";
    struct sql_connection *c = store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    enum store_status status = want_traces(store, organization_ref, in, s, out_wanted, error);
    if (status != STORE_OK || *out_wanted == 0) {
        sql_reset(s);
        return status;
    }
    while (sql_row(c, s, &status, error)) {
        struct trace_slot *slot = answered_slot(store, organization_ref, s, 1);
        if (slot) {
            slot->ref = (int64_t)column_int(s, 0);
            slot->is_wanted = false;
            --*out_wanted;
        }
    }
    return status;
}

static enum store_status load_traces(struct sql_store *store, int64_t organization_ref,
                                     const struct store_insert_spans *in, struct store_error *error)
{
    static const char sql[] =
        "SELECT " LOADED_COLUMNS ", t.trace_id FROM unnest(?::bigint[], ?::bytea[]) k(o, id)"
        " JOIN traces t ON t.organization_ref = k.o AND t.trace_id = k.id"
        " LEFT JOIN contexts c ON c.ref = t.context_ref ORDER BY t.ref FOR UPDATE OF t";
    struct sql_connection *c = store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    for (size_t i = 0; i < in->count; i++) {
        struct trace_slot *slot = slot_of(store, organization_ref, in->spans[i].trace_id);
        if (slot->is_wanted && slot_is_of(slot, organization_ref, in->spans[i].trace_id)) {
            bind_ref(s, 1, organization_ref);
            bind_blob(s, 2, slot->trace_id, sizeof slot->trace_id);
            sql_add_row(s);
        }
    }
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        struct trace_slot *slot = answered_slot(store, organization_ref, s, 8);
        if (slot) { /* else the second row for a second span of the trace */
            take_trace(slot, s);
            slot->is_wanted = false;
        }
    }
    return status;
}

enum store_status sql_traces_warm(struct sql_store *store, int64_t organization_ref,
                                  const struct store_insert_spans *in, struct store_error *error)
{
    size_t wanted = 0;
    if (!sql_takes_rows(store->writer.connection)) {
        return STORE_OK;
    }
    enum store_status status = create_traces(store, organization_ref, in, &wanted, error);
    if (status == STORE_OK && wanted > 0) {
        status = load_traces(store, organization_ref, in, error);
    }
    return status;
}

/* ---- changing ---- */

enum store_status sql_trace_save(struct sql_store *store, struct trace_slot *trace,
                                 struct store_error *error)
{
    static const char sql[] = "UPDATE traces SET has_root = ?, context_ref = ? WHERE ref = ?";
    struct sql_connection *c = store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, trace->has_root);
    bind_ref(s, 2, trace->context_ref);
    bind_ref(s, 3, trace->ref);
    enum store_status status = sql_run(c, s, error);
    trace->is_dirty = status != STORE_OK;
    return status;
}

static void mark_dirty(struct intern *intern, struct trace_slot *trace)
{
    trace->is_dirty = true;
    if (!trace->is_listed) {
        trace->is_listed = true;
        intern->dirty[intern->dirty_count++] = (uint16_t)(trace - intern->traces);
    }
}

static enum store_status update_spans(struct sql_store *store, const char *sql, int64_t trace,
                                      int64_t context, struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, trace);
    bind_ref(s, 2, context);
    return sql_run(c, s, error);
}

static enum store_status adopt_context(struct sql_store *store, struct trace_slot *trace,
                                       const struct store_span *span, int64_t context,
                                       struct store_error *error)
{
    static const char sql[] = "UPDATE spans SET context_ref = ?2, inherited = 1"
                              " WHERE trace_ref = ?1 AND context_ref IS NULL";
    trace->context_ref = context;
    trace->key = span->key;
    mark_dirty(&store->writer.intern, trace);
    return trace->has_bare ? update_spans(store, sql, trace->ref, context, error) : STORE_OK;
}

static enum store_status lose_context(struct sql_store *store, struct trace_slot *trace,
                                      struct store_error *error)
{
    static const char sql[] = "UPDATE spans SET context_ref = NULL, inherited = NULL"
                              " WHERE trace_ref = ?1 AND context_ref = ?2 AND inherited = 1"
                              " AND result_ref IS NULL";
    int64_t was = trace->context_ref;
    trace->context_ref = CONTEXT_SEVERAL;
    trace->has_bare = true;
    mark_dirty(&store->writer.intern, trace);
    return update_spans(store, sql, trace->ref, was, error);
}

enum store_status sql_trace_add(struct sql_store *store, struct trace_slot *trace,
                                const struct store_span *span, int64_t context,
                                struct store_error *error)
{
    if (!span->has_parent && !trace->has_root) {
        trace->has_root = true;
        mark_dirty(&store->writer.intern, trace);
    }
    if (context == 0) {
        trace->has_bare = true;
        return STORE_OK;
    }
    if (trace->context_ref == 0) {
        return adopt_context(store, trace, span, context, error);
    }
    if (trace->context_ref != context && trace->context_ref != CONTEXT_SEVERAL) {
        return lose_context(store, trace, error);
    }
    return STORE_OK;
}
