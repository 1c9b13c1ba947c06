/* What the SQLite store keeps beside the spans: enrichments and the full-text index; and the
 * question why a trace is linked or not. */
#include "store/store_sqlite.h"

#include <string.h>

/* ---- enrichments ---- */

enum store_status sqlite_enrich(struct sqlite_store *store, struct store_write *write,
                                struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO enrichments(trace_ref, spans, data, cost_usd, cost_eur, at)"
        " SELECT t.ref, ?3, ?4, ?5, ?6, ?7 FROM organizations o"
        " JOIN traces t ON t.organization_ref = o.ref WHERE o.id = ?1 AND t.trace_id = ?2"
        " ON CONFLICT DO UPDATE SET spans = excluded.spans, data = excluded.data,"
        " cost_usd = excluded.cost_usd, cost_eur = excluded.cost_eur, at = excluded.at"
        " WHERE excluded.spans >= spans";
    struct connection *c = &store->writer.connection;
    const struct store_enrich *e = &write->enrich;
    sqlite3_stmt *s = connection_statement(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &e->organization_id);
    (void)sqlite3_bind_blob(s, 2, e->trace_id, sizeof e->trace_id, SQLITE_STATIC);
    bind_int(s, 3, e->spans);
    bind_text(s, 4, e->data);
    (void)sqlite3_bind_double(s, 5, e->cost_usd);
    (void)sqlite3_bind_double(s, 6, e->cost_eur);
    bind_int(s, 7, write->at_unix_ns);
    return statement_run(c, s, error);
}

static enum store_status stale_traces(struct connection *c, size_t limit, store_stale_fn visit,
                                      void *user, struct store_error *error)
{
    static const char sql[] =
        "SELECT o.id, t.trace_id FROM traces t JOIN organizations o ON o.ref = t.organization_ref"
        " LEFT JOIN enrichments e ON e.trace_ref = t.ref WHERE ifnull(e.spans, 0) <"
        " (SELECT count(*) FROM spans s WHERE s.trace_ref = t.ref) ORDER BY t.ref LIMIT ?";
    sqlite3_stmt *s = connection_statement(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, limit);
    enum store_status status = STORE_OK;
    while (statement_row(c, s, &status, error)) {
        struct uuid organization = column_uuid(s, 0);
        uint8_t trace_id[16] = {0};
        if (sqlite3_column_bytes(s, 1) == (int)sizeof trace_id) {
            memcpy(trace_id, sqlite3_column_blob(s, 1), sizeof trace_id);
        }
        visit(user, &organization, trace_id);
    }
    return status;
}

enum store_status sqlite_stale_traces(struct store *base, size_t limit, store_stale_fn visit,
                                      void *user, struct store_error *error)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct connection *c = sqlite_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = stale_traces(c, limit, visit, user, error);
    sqlite_reader_return(store, c);
    return status;
}

/* ---- full text ---- */

/* There is one writer, so spans become visible in the order of their refs and none is skipped. */
enum store_status sqlite_index_text(struct sqlite_store *store, struct store_write *write,
                                    struct store_error *error)
{
    static const char add[] =
        "INSERT INTO spans_text(rowid, text) SELECT ref, name || ' ' || ifnull(status_message, '')"
        " || ' ' || ifnull(attributes, '') FROM spans"
        " WHERE ref > (SELECT ref FROM progress WHERE name = 'spans_text') ORDER BY ref LIMIT ?";
    static const char note[] = "UPDATE progress SET ref = (SELECT max(ref) FROM (SELECT ref FROM"
                               " spans WHERE ref > progress.ref ORDER BY ref LIMIT ?))"
                               " WHERE name = 'spans_text'";
    struct connection *c = &store->writer.connection;
    write->index_text.indexed = 0;
    sqlite3_stmt *s = connection_statement(c, add, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, write->index_text.limit);
    enum store_status status = statement_run(c, s, error);
    if (status != STORE_OK || sqlite3_changes(c->db) == 0) {
        return status;
    }
    write->index_text.indexed = (size_t)sqlite3_changes(c->db);
    s = connection_statement(c, note, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, write->index_text.limit);
    return statement_run(c, s, error);
}

/* ---- why a trace is linked or not ---- */

/* A result that shares the test, or else the run, and as much more of the key as possible. */
static enum store_status find_nearest(struct connection *c, struct store_link_group *group,
                                      struct store_error *error)
{
    static const char sql[] =
        "SELECT c.organization_id, c.run_id, c.test_id, c.configuration_id, c.attempt FROM results "
        "r"
        " JOIN contexts c ON c.ref = r.context_ref WHERE c.organization_id = ?1"
        " AND r.duplicate_of IS NULL AND (c.run_id = ?2 OR c.test_id = ?3)"
        " ORDER BY (c.run_id = ?2) * 4 + (c.test_id = ?3) * 4 + (c.configuration_id = ?4) * 2"
        " + (c.attempt = ?5) DESC, r.ref DESC LIMIT 1";
    sqlite3_stmt *s = connection_statement(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &group->key.organization);
    bind_uuid(s, 2, &group->key.run);
    bind_uuid(s, 3, &group->key.test);
    bind_uuid(s, 4, &group->key.configuration);
    bind_int(s, 5, group->key.attempt);
    enum store_status status = STORE_OK;
    if (statement_row(c, s, &status, error)) {
        group->has_nearest = true;
        group->nearest = (struct link_key){column_uuid(s, 0), column_uuid(s, 1), column_uuid(s, 2),
                                           column_uuid(s, 3), (uint32_t)sqlite3_column_int64(s, 4)};
        (void)sqlite3_reset(s);
    }
    return status;
}

static enum store_status judge_waiting(struct connection *c, int64_t context,
                                       struct store_link_group *group, struct store_error *error)
{
    struct known_attempts known;
    bool linkable = false;
    enum store_status status = sqlite_attempts(c, &group->key, &known, error);
    if (status == STORE_OK) {
        status = sqlite_is_linkable(c, context, &group->key, &linkable, error);
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

static enum store_status read_attempts(struct connection *c, int64_t context,
                                       struct store_link_group *group, sqlite3_stmt **out_held,
                                       struct store_error *error)
{
    static const char sql[] =
        "SELECT (SELECT count(*) FROM link_attempts WHERE context_ref = ?1), a.at, a.point, "
        "a.error,"
        " r.id FROM (SELECT ?1 AS ref) k"
        " LEFT JOIN results r ON r.context_ref = k.ref AND r.duplicate_of IS NULL"
        " LEFT JOIN link_attempts a ON a.ref ="
        "  (SELECT max(ref) FROM link_attempts WHERE context_ref = ?1)";
    sqlite3_stmt *s = connection_statement(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    enum store_status status = STORE_OK;
    if (statement_row(c, s, &status, error)) {
        group->attempts = (size_t)sqlite3_column_int64(s, 0);
        group->last_attempt_unix_ns = column_int(s, 1);
        group->last_point = (enum link_point)sqlite3_column_int(s, 2);
        group->last_error = column_text(s, 3);
        group->has_result = sqlite3_column_type(s, 4) != SQLITE_NULL;
        group->result_id = column_uuid(s, 4);
        *out_held = s; /* the text of the error lives until it is reset */
    }
    return status;
}

static enum store_status explain_group(struct connection *c, int64_t context,
                                       struct store_link_group *group, store_link_group_fn visit,
                                       void *user, struct store_error *error)
{
    sqlite3_stmt *held = NULL;
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
        (void)sqlite3_reset(held);
    }
    return status;
}

static enum store_status explain(struct connection *c, const struct store_scope *scope,
                                 const uint8_t trace_id[16], store_link_group_fn visit, void *user,
                                 struct store_error *error)
{
    static const char sql[] =
        "SELECT s.context_ref, count(*), count(s.result_ref), count(s.inherited),"
        " c.organization_id, c.run_id, c.test_id, c.configuration_id, c.attempt"
        " FROM organizations o JOIN traces t ON t.organization_ref = o.ref"
        " JOIN spans s ON s.trace_ref = t.ref JOIN sources src ON src.ref = s.source_ref"
        " LEFT JOIN contexts c ON c.ref = s.context_ref"
        " WHERE o.id = ?1 AND t.trace_id = ?4 AND (?2 IS NULL OR src.project_id = ?2)"
        " AND (NOT ?3 OR src.project_id IS NULL) GROUP BY s.context_ref ORDER BY s.context_ref";
    sqlite3_stmt *s = connection_statement(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &scope->organization_id);
    bind_uuid_or_null(s, 2, &scope->project_id);
    bind_int(s, 3, scope->only_without_project && marline__uuid_is_nil(&scope->project_id));
    (void)sqlite3_bind_blob(s, 4, trace_id, 16, SQLITE_STATIC);
    enum store_status status = STORE_OK;
    bool any = false;
    while (status == STORE_OK && statement_row(c, s, &status, error)) {
        struct store_link_group group = {
            .spans = (size_t)sqlite3_column_int64(s, 1),
            .linked = (size_t)sqlite3_column_int64(s, 2),
            .inherited = (size_t)sqlite3_column_int64(s, 3),
            .has_key = sqlite3_column_type(s, 4) != SQLITE_NULL,
            .key = {column_uuid(s, 4), column_uuid(s, 5), column_uuid(s, 6), column_uuid(s, 7),
                    (uint32_t)sqlite3_column_int64(s, 8)},
        };
        any = true;
        status = explain_group(c, sqlite3_column_int64(s, 0), &group, visit, user, error);
    }
    (void)sqlite3_reset(s);
    return status == STORE_OK && !any ? error_set(error, STORE_NOT_FOUND, "no such trace") : status;
}

enum store_status sqlite_explain_link(struct store *base, const struct store_scope *scope,
                                      const uint8_t trace_id[16], store_link_group_fn visit,
                                      void *user, struct store_error *error)
{
    struct sqlite_store *store = (struct sqlite_store *)base;
    struct connection *c = sqlite_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = explain(c, scope, trace_id, visit, user, error);
    sqlite_reader_return(store, c);
    return status;
}
