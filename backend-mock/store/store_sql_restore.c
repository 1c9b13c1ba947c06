/* What a backend reads when it starts: runs to take up again, or to be told of, and invocations
 * that are done with. Attempts of a run are read as by anybody else (store_sql_read.c). */
#include "store/store_sql.h"

static enum store_status visit_unfinished(struct sql_connection *c, struct slice backend,
                                          store_run_fn visit, void *user, struct store_error *error)
{
    static const char sql[] =
        "SELECT organization_id, project_id, id, environment, status, concurrency, created_at,"
        " (SELECT count(*) FROM run_tests WHERE run_id = id), webhook FROM runs"
        " WHERE status NOT IN (2, 3) AND backend = ?1" /* completed, cancelled */
        " AND EXISTS(SELECT 1 FROM run_tests WHERE run_id = id) ORDER BY created_at, id";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_text(s, 1, backend.data ? backend : SLICE(""));
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        const struct store_run run = {
            .organization_id = column_uuid(s, 0),
            .project_id = column_uuid(s, 1),
            .run_id = column_uuid(s, 2),
            .environment = column_text(s, 3),
            .status = (enum run_status)column_int(s, 4),
            .concurrency = (uint32_t)column_int(s, 5),
            .created_unix_ns = column_int(s, 6),
            .test_count = (size_t)column_int(s, 7),
            .webhook = column_text(s, 8),
        };
        visit(user, &run);
    }
    return status;
}

enum store_status sql_unfinished_runs(struct store *base, struct slice backend, store_run_fn visit,
                                      void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = visit_unfinished(c, backend, visit, user, error);
    sql_reader_return(store, c);
    return status;
}

static enum store_status visit_untold(struct sql_connection *c, struct slice backend, size_t limit,
                                      store_untold_fn visit, void *user, struct store_error *error)
{
    static const char sql[] = "SELECT organization_id, id, webhook FROM runs"
                              " WHERE webhook IS NOT NULL AND notice IS NULL AND status IN (2, 3)"
                              " AND backend = ?2"
                              " ORDER BY created_at, id LIMIT ?1";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, limit);
    bind_text(s, 2, backend.data ? backend : SLICE(""));
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        const struct store_untold_run run = {.organization_id = column_uuid(s, 0),
                                             .run_id = column_uuid(s, 1),
                                             .webhook = column_text(s, 2)};
        visit(user, &run);
    }
    return status;
}

enum store_status sql_untold_runs(struct store *base, struct slice backend, size_t limit,
                                  store_untold_fn visit, void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = visit_untold(c, backend, limit, visit, user, error);
    sql_reader_return(store, c);
    return status;
}

static enum store_status visit_answered(struct sql_connection *c, size_t limit,
                                        store_invocation_fn visit, void *user,
                                        struct store_error *error)
{
    static const char sql[] =
        "SELECT a.invocation_id FROM (SELECT e.ref, e.invocation_id FROM events e"
        "  WHERE e.type = 1 AND EXISTS (SELECT 1 FROM results r WHERE r.context_ref = "
        "e.context_ref)"
        "  ORDER BY e.ref DESC LIMIT ?1) a ORDER BY a.ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, limit);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        visit(user, column_text(s, 0));
    }
    return status;
}

enum store_status sql_answered_invocations(struct store *base, size_t limit,
                                           store_invocation_fn visit, void *user,
                                           struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = visit_answered(c, limit, visit, user, error);
    sql_reader_return(store, c);
    return status;
}
