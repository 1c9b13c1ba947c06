/* Turns: what an endpoint was asked and answered. Writes one, and finds those of a trace or the
 * trace of a conversation. Does not join them with spans: the list of traces does that in its own
 * statement, the detail in core/trace_turns.h. */
#include "store/store_sql.h"

enum store_status sql_record_turn(struct sql_store *store, struct store_write *write,
                                  struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO turns(id, organization_id, project_id, conversation_id, trace_id, input,"
        " output, started_at, ended_at) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO "
        "UPDATE SET"
        " conversation_id = excluded.conversation_id, trace_id = excluded.trace_id,"
        " output = excluded.output, ended_at = excluded.ended_at";
    struct sql_connection *c = store->writer.connection;
    const struct store_record_turn *t = &write->record_turn;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &t->id);
    bind_uuid(s, 2, &t->organization_id);
    bind_uuid(s, 3, &t->project_id);
    bind_text(s, 4, t->conversation_id);
    bind_blob(s, 5, t->trace_id, sizeof t->trace_id);
    bind_text(s, 6, t->input.data ? t->input : SLICE(""));
    bind_text(s, 7, t->output);
    bind_int(s, 8, t->started_unix_ns);
    bind_int(s, 9, t->ended_unix_ns);
    return sql_run(c, s, error);
}

static enum store_status find_conversation(struct sql_connection *c,
                                           const struct store_scope *scope,
                                           struct slice conversation_id, uint8_t out_trace_id[16],
                                           struct store_error *error)
{
    static const char sql[] = "SELECT trace_id FROM turns WHERE organization_id = ?"
                              " AND project_id = ? AND conversation_id = ? ORDER BY ref LIMIT 1";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &scope->organization_id);
    bind_uuid(s, 2, &scope->project_id);
    bind_text(s, 3, conversation_id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        (void)column_blob(s, 0, out_trace_id, 16);
        sql_reset(s);
        return STORE_OK;
    }
    return status == STORE_OK ? error_set(error, STORE_NOT_FOUND, "no such conversation") : status;
}

enum store_status sql_find_conversation(struct store *base, const struct store_scope *scope,
                                        struct slice conversation_id, uint8_t out_trace_id[16],
                                        struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = find_conversation(c, scope, conversation_id, out_trace_id, error);
    sql_reader_return(store, c);
    return status;
}

enum store_status sql_visit_turns(struct sql_connection *c, const struct store_scope *scope,
                                  const uint8_t trace_id[16],
                                  const struct store_trace_visitor *visitor,
                                  struct store_error *error)
{
    static const char sql[] =
        "SELECT conversation_id, input, output, started_at, ended_at FROM turns"
        " WHERE organization_id = ?1 AND trace_id = ?4 AND (?2 IS NULL OR project_id = ?2)"
        " AND ?3 = 0 ORDER BY started_at, ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_scope(s, scope);
    bind_blob(s, 4, trace_id, 16);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        const struct store_turn_row row = {.conversation_id = column_text(s, 0),
                                           .input = column_text(s, 1),
                                           .output = column_text(s, 2),
                                           .started_unix_ns = column_int(s, 3),
                                           .ended_unix_ns = column_int(s, 4)};
        visitor->turn(visitor->user, &row);
    }
    return status;
}
