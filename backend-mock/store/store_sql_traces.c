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

static enum store_status load_trace(struct sql_connection *c, struct trace_slot *slot,
                                    struct store_error *error)
{
    static const char sql[] =
        "SELECT t.ref, t.has_root, t.context_ref, c.organization_id, c.run_id, c.test_id,"
        " c.configuration_id, c.attempt FROM traces t LEFT JOIN contexts c ON c.ref = t.context_ref"
        " WHERE t.organization_ref = ? AND t.trace_id = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, slot->organization_ref);
    bind_blob(s, 2, slot->trace_id, sizeof slot->trace_id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        slot->ref = (int64_t)column_int(s, 0);
        slot->has_root = column_int(s, 1) != 0;
        slot->context_ref = (int64_t)column_int(s, 2);
        slot->key = (struct link_key){column_uuid(s, 3), column_uuid(s, 4), column_uuid(s, 5),
                                      column_uuid(s, 6), (uint32_t)column_int(s, 7)};
        slot->has_bare = slot->context_ref <= 0;
        sql_reset(s);
    }
    return status;
}

enum store_status sql_trace(struct sql_store *store, int64_t organization_ref,
                            const struct trace_start *start, struct trace_slot **out_slot,
                            struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    const struct store_span *span = &start->in->spans[start->index];
    const uint8_t *trace_id = span->trace_id;
    struct trace_slot *slot = slot_of(store, organization_ref, trace_id);
    *out_slot = slot;
    if (slot->ref && slot->organization_ref == organization_ref &&
        memcmp(slot->trace_id, trace_id, sizeof slot->trace_id) == 0) {
        return STORE_OK;
    }
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
    memcpy(slot->trace_id, trace_id, sizeof slot->trace_id);
    slot->has_root = brings_root(start);
    slot->context_ref = start->context;
    slot->key = span->key;
    enum store_status status = create_trace(c, slot, error);
    return status == STORE_OK && slot->ref == 0 ? load_trace(c, slot, error) : status;
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
