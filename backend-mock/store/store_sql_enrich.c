/* What the SQLite store keeps beside the spans: enrichments and the full-text index; and the
 * question why a trace is linked or not. */
#include "store/store_sql.h"

#include <string.h>

/* ---- enrichments ---- */

enum store_status sql_note_stale(struct sql_connection *c, const int64_t *traces, size_t count,
                                 struct store_error *error)
{
    static const char one[] = "INSERT INTO stale_traces(trace_ref, revision) VALUES(?, 1)"
                              " ON CONFLICT(trace_ref) DO UPDATE SET revision ="
                              " stale_traces.revision + 1";
    static const char many[] = /* sorted: two backends at the same traces wait in turn */
        "INSERT INTO stale_traces(trace_ref, revision)"
        " SELECT DISTINCT t, 1 FROM unnest(?::bigint[]) t ORDER BY t ON CONFLICT(trace_ref)"
        " DO UPDATE SET revision = stale_traces.revision + 1";
    struct sql_statement *s = sql_prepare(c, sql_takes_rows(c) ? many : one, error);
    if (!s) {
        return error->status;
    }
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < count; i++) {
        bind_ref(s, 1, traces[i]);
        if (sql_takes_rows(c)) {
            sql_add_row(s);
        } else {
            status = sql_run(c, s, error);
        }
    }
    return sql_takes_rows(c) && count > 0 ? sql_run(c, s, error) : status;
}

/* A POST that came meanwhile has raised the revision: the trace stays stale. */
static enum store_status forget_stale(struct sql_connection *c, const struct store_enrich *e,
                                      struct store_error *error)
{
    static const char sql[] =
        "DELETE FROM stale_traces WHERE trace_ref = (SELECT t.ref FROM organizations o"
        " JOIN traces t ON t.organization_ref = o.ref WHERE o.id = ?1 AND t.trace_id = ?2)"
        " AND revision = ?3";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &e->organization_id);
    bind_blob(s, 2, e->trace_id, sizeof e->trace_id);
    bind_int(s, 3, e->revision);
    return sql_run(c, s, error);
}

enum store_status sql_enrich(struct sql_store *store, struct store_write *write,
                             struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO enrichments(trace_ref, spans, data, cost_usd, cost_eur, at)"
        " SELECT t.ref, ?3, ?4, ?5, ?6, ?7 FROM organizations o"
        " JOIN traces t ON t.organization_ref = o.ref WHERE o.id = ?1 AND t.trace_id = ?2"
        " ON CONFLICT(trace_ref) DO UPDATE SET spans = excluded.spans, data = excluded.data,"
        " cost_usd = excluded.cost_usd, cost_eur = excluded.cost_eur, at = excluded.at"
        " WHERE excluded.spans >= enrichments.spans";
    struct sql_connection *c = store->writer.connection;
    const struct store_enrich *e = &write->enrich;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &e->organization_id);
    bind_blob(s, 2, e->trace_id, sizeof e->trace_id);
    bind_int(s, 3, e->spans);
    bind_text(s, 4, e->data);
    bind_double(s, 5, e->cost_usd);
    bind_double(s, 6, e->cost_eur);
    bind_int(s, 7, write->at_unix_ns);
    enum store_status status = sql_run(c, s, error);
    return status == STORE_OK && e->revision ? forget_stale(c, e, error) : status;
}

static enum store_status stale_traces(struct sql_connection *c, size_t limit, store_stale_fn visit,
                                      void *user, struct store_error *error)
{
    static const char sql[] =
        "SELECT o.id, t.trace_id, q.revision FROM stale_traces q JOIN traces t ON t.ref ="
        " q.trace_ref JOIN organizations o ON o.ref = t.organization_ref"
        " ORDER BY q.trace_ref LIMIT ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, limit);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        struct uuid organization = column_uuid(s, 0);
        uint8_t trace_id[16] = {0};
        (void)column_blob(s, 1, trace_id, sizeof trace_id);
        visit(user, &organization, trace_id, column_int(s, 2));
    }
    return status;
}

enum store_status sql_stale_traces(struct store *base, size_t limit, store_stale_fn visit,
                                   void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = stale_traces(c, limit, visit, user, error);
    sql_reader_return(store, c);
    return status;
}

/* ---- full text ---- */

/* Spans are indexed in the order of their refs, so none may become visible later than a younger
 * one: SQLite has one writer; in PostgreSQL the others must be out. */
static enum store_status is_alone(struct sql_connection *c, bool *out, struct store_error *error)
{
    static const char sql[] = "SELECT pg_try_advisory_xact_lock(" SQL_WRITERS_LOCK ")";
    *out = true;
    if (c->driver->dialect == SQL_SQLITE) {
        return STORE_OK;
    }
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        *out = column_int(s, 0) != 0;
        sql_reset(s);
    }
    return status;
}

enum store_status sql_index_text(struct sql_store *store, struct store_write *write,
                                 struct store_error *error)
{
    static const char add_sqlite[] =
        "INSERT INTO spans_text(rowid, text) SELECT ref, name || ' ' || coalesce(status_message, "
        "'')"
        " || ' ' || coalesce(attributes, '') FROM spans"
        " WHERE ref > (SELECT ref FROM progress WHERE name = 'spans_text') ORDER BY ref LIMIT ?";
    static const char add_postgres[] = /* a tsvector holds a megabyte */
        "INSERT INTO spans_text(span_ref, words, attributes) SELECT ref, to_tsvector('simple',"
        " left(name || ' ' || coalesce(status_message, '') || ' ' || coalesce(attributes, ''),"
        " 200000)), text_as_jsonb(attributes) FROM spans"
        " WHERE ref > (SELECT ref FROM progress WHERE name = 'spans_text') ORDER BY ref LIMIT ?";
    static const char note[] = "UPDATE progress SET ref = (SELECT max(ref) FROM (SELECT ref FROM"
                               " spans WHERE ref > progress.ref ORDER BY ref LIMIT ?) q)"
                               " WHERE name = 'spans_text'";
    struct sql_connection *c = store->writer.connection;
    write->index_text.indexed = 0;
    bool alone = false;
    enum store_status status = is_alone(c, &alone, error);
    if (status != STORE_OK || !alone) { /* the next round tries again */
        return status;
    }
    struct sql_statement *s = sql_prepare(c, sql_choose(c, add_sqlite, add_postgres), error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, write->index_text.limit);
    status = sql_run(c, s, error);
    if (status != STORE_OK || sql_changes(c) == 0) {
        return status;
    }
    write->index_text.indexed = (size_t)sql_changes(c);
    s = sql_prepare(c, note, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, write->index_text.limit);
    return sql_run(c, s, error);
}

/* ---- why a trace is linked or not ---- */

/* A result that shares the test, or else the run, and as much more of the key as possible. */
static enum store_status find_nearest(struct sql_connection *c, struct store_link_group *group,
                                      struct store_error *error)
{
    static const char sql[] =
        "SELECT c.organization_id, c.run_id, c.test_id, c.configuration_id, c.attempt FROM results "
        "r"
        " JOIN contexts c ON c.ref = r.context_ref WHERE c.organization_id = ?1"
        " AND r.duplicate_of IS NULL AND (c.run_id = ?2 OR c.test_id = ?3)"
        " ORDER BY CASE WHEN c.run_id = ?2 THEN 4 ELSE 0 END + CASE WHEN c.test_id = ?3 THEN 4"
        " ELSE 0 END + CASE WHEN c.configuration_id = ?4 THEN 2 ELSE 0 END"
        " + CASE WHEN c.attempt = ?5 THEN 1 ELSE 0 END DESC, r.ref DESC LIMIT 1";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &group->key.organization);
    bind_uuid(s, 2, &group->key.run);
    bind_uuid(s, 3, &group->key.test);
    bind_uuid(s, 4, &group->key.configuration);
    bind_int(s, 5, group->key.attempt);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        group->has_nearest = true;
        group->nearest = (struct link_key){column_uuid(s, 0), column_uuid(s, 1), column_uuid(s, 2),
                                           column_uuid(s, 3), (uint32_t)column_int(s, 4)};
        sql_reset(s);
    }
    return status;
}

static enum store_status judge_waiting(struct sql_connection *c, int64_t context,
                                       struct store_link_group *group, struct store_error *error)
{
    struct known_attempts known;
    bool linkable = false;
    uint64_t span = 0;
    enum store_status status = sql_attempts(c, &group->key, &known, error);
    if (status == STORE_OK) {
        status = sql_is_linkable(c, context, &group->key, &linkable, &span, error);
    }
    if (status != STORE_OK) {
        return status;
    }
    if (linkable) {
        group->verdict = LINK_PENDING;
    } else if (group->key.attempt == 0 && known.count > 1) {
        group->verdict = LINK_ATTEMPT_AMBIGUOUS;
    } else {
        group->verdict = LINK_NO_RESULT;
    }
    return status;
}

static enum store_status read_attempts(struct sql_connection *c, int64_t context,
                                       struct store_link_group *group,
                                       struct sql_statement **out_held, struct store_error *error)
{
    static const char sql[] =
        "SELECT (SELECT count(*) FROM link_attempts WHERE context_ref = ?1), a.at, a.point, "
        "a.error,"
        " r.id FROM (SELECT ?1 AS ref) k"
        " LEFT JOIN results r ON r.context_ref = k.ref AND r.duplicate_of IS NULL"
        " LEFT JOIN link_attempts a ON a.ref ="
        "  (SELECT max(ref) FROM link_attempts WHERE context_ref = ?1)";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        group->attempts = (size_t)column_int(s, 0);
        group->last_attempt_unix_ns = column_int(s, 1);
        group->last_point = (enum link_point)column_int(s, 2);
        group->last_error = column_text(s, 3);
        group->has_result = !column_is_null(s, 4);
        group->result_id = column_uuid(s, 4);
        *out_held = s; /* the text of the error lives until it is reset */
    }
    return status;
}

static enum store_status explain_group(struct sql_connection *c, int64_t context,
                                       struct store_link_group *group, store_link_group_fn visit,
                                       void *user, struct store_error *error)
{
    struct sql_statement *held = NULL;
    enum store_status status = STORE_OK;
    group->verdict = group->linked == group->spans ? LINK_DONE : LINK_NO_CONTEXT;
    if (group->has_key) {
        status = read_attempts(c, context, group, &held, error);
        if (status == STORE_OK && group->verdict != LINK_DONE) {
            status = judge_waiting(c, context, group, error);
        }
        if (status == STORE_OK && group->verdict == LINK_NO_RESULT) {
            status = find_nearest(c, group, error);
        }
    }
    if (status == STORE_OK) {
        visit(user, group);
    }
    if (held) {
        sql_reset(held);
    }
    return status;
}

static enum store_status explain(struct sql_connection *c, const struct store_scope *scope,
                                 const uint8_t trace_id[16], store_link_group_fn visit, void *user,
                                 struct store_error *error)
{
    static const char sql[] =
        "SELECT s.context_ref, count(*), count(s.result_ref), count(s.inherited),"
        " c.organization_id, c.run_id, c.test_id, c.configuration_id, c.attempt"
        " FROM organizations o JOIN traces t ON t.organization_ref = o.ref"
        " JOIN spans s ON s.trace_ref = t.ref JOIN sources src ON src.ref = s.source_ref"
        " LEFT JOIN contexts c ON c.ref = s.context_ref"
        " WHERE o.id = ?1 AND t.trace_id = ?4 AND " SQL_IN_SCOPE
        " GROUP BY s.context_ref, c.organization_id, c.run_id, c.test_id, c.configuration_id,"
        " c.attempt ORDER BY s.context_ref NULLS FIRST";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_scope(s, scope);
    bind_blob(s, 4, trace_id, 16);
    enum store_status status = STORE_OK;
    bool any = false;
    while (status == STORE_OK && sql_row(c, s, &status, error)) {
        struct store_link_group group = {
            .spans = (size_t)column_int(s, 1),
            .linked = (size_t)column_int(s, 2),
            .inherited = (size_t)column_int(s, 3),
            .has_key = !column_is_null(s, 4),
            .key = {column_uuid(s, 4), column_uuid(s, 5), column_uuid(s, 6), column_uuid(s, 7),
                    (uint32_t)column_int(s, 8)},
        };
        any = true;
        status = explain_group(c, (int64_t)column_int(s, 0), &group, visit, user, error);
    }
    sql_reset(s);
    return status == STORE_OK && !any ? error_set(error, STORE_NOT_FOUND, "no such trace") : status;
}

enum store_status sql_explain_link(struct store *base, const struct store_scope *scope,
                                   const uint8_t trace_id[16], store_link_group_fn visit,
                                   void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = explain(c, scope, trace_id, visit, user, error);
    sql_reader_return(store, c);
    return status;
}
