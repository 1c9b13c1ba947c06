/* What the SQLite store is asked: runs, their timeline and spans, the ledger, keys that wait. */
#include "store/store_sql.h"

#include <string.h>

/* ---- projects ---- */

static enum store_status list_projects(struct sql_connection *c, const struct store_scope *scope,
                                       store_project_fn visit, void *user,
                                       struct store_error *error)
{
    static const char sql[] = "SELECT organization_id, id, name FROM projects"
                              " WHERE organization_id = ?1 AND (?2 IS NULL OR id = ?2)"
                              " ORDER BY ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &scope->organization_id);
    bind_uuid_or_null(s, 2, &scope->project_id);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        const struct store_project row = {column_uuid(s, 0), column_uuid(s, 1), column_text(s, 2)};
        visit(user, &row);
    }
    return status;
}

enum store_status sql_list_projects(struct store *base, const struct store_scope *scope,
                                    store_project_fn visit, void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = list_projects(c, scope, visit, user, error);
    sql_reader_return(store, c);
    return status;
}

/* ---- one run ---- */

/* Leaves the statement on the run's row, so that texts stay valid; *out_head is to be reset. */
static enum store_status find_run(struct sql_connection *c, const struct store_scope *scope,
                                  const struct uuid *run_id, struct sql_statement **out_head,
                                  struct store_error *error)
{
    static const char sql[] =
        "SELECT project_id, environment, status, concurrency, created_at,"
        " (SELECT count(*) FROM run_tests WHERE run_id = id), started_at, finished_at,"
        " webhook, notice, name FROM runs"
        " WHERE id = ?1 AND organization_id = ?2 AND (?3 IS NULL OR project_id = ?3)";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, run_id);
    bind_uuid(s, 2, &scope->organization_id);
    bind_uuid_or_null(s, 3, &scope->project_id);
    enum store_status status = STORE_OK;
    if (!sql_row(c, s, &status, error)) {
        return status == STORE_OK ? error_set(error, STORE_NOT_FOUND, "no such test run") : status;
    }
    *out_head = s;
    return STORE_OK;
}

static void fill_run(struct sql_statement *s, const struct uuid *run_id, struct store_run *out)
{
    out->run_id = *run_id;
    out->project_id = column_uuid(s, 0);
    out->environment = column_text(s, 1);
    out->status = (enum run_status)column_int(s, 2);
    out->concurrency = (uint32_t)column_int(s, 3);
    out->created_unix_ns = column_int(s, 4);
    out->test_count = (size_t)column_int(s, 5);
    out->started_unix_ns = column_int(s, 6);
    out->finished_unix_ns = column_int(s, 7);
    out->webhook = column_text(s, 8);
    out->notice = column_text(s, 9);
    out->name = column_text(s, 10);
}

static void fill_run_row(struct sql_statement *s, struct store_run_row *row)
{
    *row = (struct store_run_row){
        .test = {column_uuid(s, 0), column_uuid(s, 1), column_text(s, 2), column_text(s, 3),
                 (uint32_t)column_int(s, 4), (uint32_t)column_int(s, 16), column_text(s, 17),
                 column_text(s, 18)},
        .has_result = !column_is_null(s, 5),
        .result_id = column_uuid(s, 5),
        .status = (enum result_status)column_int(s, 6),
        .output = column_text(s, 7),
        .error = column_text(s, 8),
        .duration_ms = column_double(s, 9),
        .trace_id = column_text(s, 10),
        .metrics = column_text(s, 19),
        .span_count = (uint32_t)column_int(s, 11),
        .attempt = (uint32_t)column_int(s, 12),
        .spans = (size_t)column_int(s, 13),
        .linked = (size_t)column_int(s, 14),
        .own_spans = (size_t)column_int(s, 15),
    };
}

static enum store_status visit_run_rows(struct sql_connection *c, const struct store_scope *scope,
                                        const struct uuid *run_id, store_run_row_fn visit,
                                        void *user, struct store_error *error)
{
    static const char sql[] =
        "SELECT t.test_id, t.configuration_id, t.function_name, t.inputs, t.timeout_ms,"
        " r.id, r.status, r.output, r.error, r.duration_ms, r.trace_id, r.span_count, rc.attempt,"
        " (SELECT count(*) FROM contexts c JOIN spans s ON s.context_ref = c.ref"
        "  WHERE c.run_id = t.run_id AND c.test_id = t.test_id"
        "  AND c.configuration_id = t.configuration_id AND c.organization_id = ?2),"
        " (SELECT count(s.result_ref) FROM contexts c JOIN spans s ON s.context_ref = c.ref"
        "  WHERE c.run_id = t.run_id AND c.test_id = t.test_id"
        "  AND c.configuration_id = t.configuration_id AND c.organization_id = ?2),"
        " (SELECT count(*) FROM contexts c JOIN spans s ON s.context_ref = c.ref"
        "  WHERE c.run_id = t.run_id AND c.test_id = t.test_id"
        "  AND c.configuration_id = t.configuration_id AND c.organization_id = ?2"
        "  AND s.result_ref = r.ref AND s.inherited IS NULL), t.retries, t.name, t.criteria, "
        "r.metrics"
        " FROM run_tests t LEFT JOIN results r ON r.ref = ("
        "  SELECT r2.ref FROM contexts c JOIN results r2"
        "  ON r2.context_ref = c.ref AND r2.duplicate_of IS NULL"
        "  WHERE c.run_id = t.run_id AND c.test_id = t.test_id"
        "  AND c.configuration_id = t.configuration_id AND c.organization_id = ?2"
        "  ORDER BY c.attempt DESC LIMIT 1)"
        " LEFT JOIN contexts rc ON rc.ref = r.context_ref"
        " WHERE t.run_id = ?1 ORDER BY t.position";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, run_id);
    bind_uuid(s, 2, &scope->organization_id);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        struct store_run_row row;
        fill_run_row(s, &row);
        visit(user, &row);
    }
    return status;
}

enum store_status sql_read_run(struct store *base, const struct store_scope *scope,
                               const struct uuid *run_id, struct store_run *out,
                               store_run_row_fn visit, void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    struct sql_statement *head = NULL;
    enum store_status status = find_run(c, scope, run_id, &head, error);
    if (status == STORE_OK) {
        fill_run(head, run_id, out);
        out->organization_id = scope->organization_id;
        status = visit_run_rows(c, scope, run_id, visit, user, error);
        sql_reset(head);
    }
    sql_reader_return(store, c);
    return status;
}

/* A statement about what belongs to a run: ?1 is the run, ?2 the organization. STORE_NOT_FOUND when
 * the scope has no such run. */
static enum store_status prepare_of_run(struct sql_connection *c, const struct store_scope *scope,
                                        const struct uuid *run_id, const char *sql,
                                        struct sql_statement **out, struct store_error *error)
{
    struct sql_statement *head = NULL;
    enum store_status status = find_run(c, scope, run_id, &head, error);
    if (status != STORE_OK) {
        return status;
    }
    sql_reset(head);
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, run_id);
    bind_uuid(s, 2, &scope->organization_id);
    *out = s;
    return STORE_OK;
}

/* ---- attempts ---- */

static enum store_status visit_attempts(struct sql_connection *c, struct sql_statement *s,
                                        store_attempt_fn visit, void *user,
                                        struct store_error *error)
{
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        const struct store_attempt_row row = {
            .test = (size_t)column_int(s, 0),
            .attempt = (uint32_t)column_int(s, 1),
            .invocation_id = column_text(s, 2),
            .has_result = !column_is_null(s, 3),
            .result_id = column_uuid(s, 3),
            .status = (enum result_status)column_int(s, 4),
            .error = column_text(s, 5),
            .duration_ms = column_double(s, 6),
            .trace_id = column_text(s, 7),
            .agent_id = column_text(s, 8),
        };
        visit(user, &row);
    }
    return status;
}

enum store_status sql_read_attempts(struct store *base, const struct store_scope *scope,
                                    const struct uuid *run_id, store_attempt_fn visit, void *user,
                                    struct store_error *error)
{
    /* Spans may name attempts that were never made: those have neither event nor result. */
    static const char sql[] =
        "SELECT t.position, c.attempt, e.invocation_id, r.id, r.status, r.error, r.duration_ms,"
        " r.trace_id, e.agent_id FROM run_tests t JOIN contexts c ON c.run_id = t.run_id"
        "  AND c.test_id = t.test_id AND c.configuration_id = t.configuration_id"
        " LEFT JOIN results r ON r.context_ref = c.ref AND r.duplicate_of IS NULL"
        " LEFT JOIN events e ON e.ref = (SELECT min(i.ref) FROM events i"
        "  WHERE i.context_ref = c.ref AND i.type = 1)"
        " WHERE t.run_id = ?1 AND c.organization_id = ?2"
        "  AND (r.ref IS NOT NULL OR e.ref IS NOT NULL) ORDER BY t.position, c.attempt";
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    struct sql_statement *s = NULL;
    enum store_status status = prepare_of_run(c, scope, run_id, sql, &s, error);
    if (status == STORE_OK) {
        status = visit_attempts(c, s, visit, user, error);
    }
    sql_reader_return(store, c);
    return status;
}

/* ---- timeline ---- */

/* One row per event; at equal times in the order in which things cause each other. */
static const char timeline_sql[] =
    "WITH c AS (SELECT ref, test_id, attempt FROM contexts"
    "  WHERE run_id = ?1 AND organization_id = ?2)"
    /* 0 type, 1 at, 2 test, 3 attempt, 4 invocation or post, 5 status, 6 result, 7 duplicate,
       8 spans, 9 spans of the post, 10 point, 11 result found, 12 linked, 13 error, 14 order */
    " SELECT 0, started_at, CAST(NULL AS UUID), 0, CAST(NULL AS TEXT), 0, CAST(NULL AS UUID), 0,"
    "  0, 0, 0, 0, 0, CAST(NULL AS TEXT), 0 FROM runs WHERE id = ?1 AND started_at IS NOT NULL"
    " UNION ALL SELECT e.type, e.at, c.test_id, c.attempt, e.invocation_id, e.status,"
    "  CAST(NULL AS UUID), 0, 0, 0, 0, 0, 0, CAST(NULL AS TEXT), e.ref"
    "  FROM c JOIN events e ON e.context_ref = c.ref"
    " UNION ALL SELECT 3, r.stored_at, c.test_id, c.attempt, CAST(NULL AS TEXT), r.status, r.id,"
    "  CASE WHEN r.duplicate_of IS NULL THEN 0 ELSE 1 END, 0, 0, 0, 0, 0, CAST(NULL AS TEXT), r.ref"
    "  FROM c JOIN results r ON r.context_ref = c.ref"
    " UNION ALL SELECT 4, p.at, c.test_id, c.attempt, p.id, 0, CAST(NULL AS UUID), 0, count(*),"
    "  p.stored, 0, 0, 0, CAST(NULL AS TEXT), p.ref FROM c JOIN spans s ON s.context_ref = c.ref"
    "  JOIN posts p ON p.ref = s.post_ref"
    "  GROUP BY c.ref, c.test_id, c.attempt, p.ref, p.at, p.id, p.stored"
    " UNION ALL SELECT 5, a.at, c.test_id, c.attempt, CAST(NULL AS TEXT), 0, CAST(NULL AS UUID), 0,"
    "  a.spans_found, 0, a.point, a.result_found, a.linked, a.error, a.ref"
    "  FROM c JOIN link_attempts a ON a.context_ref = c.ref"
    " UNION ALL SELECT 6, finished_at, CAST(NULL AS UUID), 0, CAST(NULL AS TEXT), 0,"
    "  CAST(NULL AS UUID), 0, 0, 0, 0, 0, 0, CAST(NULL AS TEXT), 0 FROM runs"
    "  WHERE id = ?1 AND finished_at IS NOT NULL"
    " ORDER BY 2, 1, 15";

static void fill_event(struct sql_statement *s, struct store_event *e)
{
    *e = (struct store_event){
        .type = (enum store_event_type)column_int(s, 0),
        .at_unix_ns = column_int(s, 1),
        .has_test = !column_is_null(s, 2),
        .test_id = column_uuid(s, 2),
        .attempt = (uint32_t)column_int(s, 3),
        .status = (enum result_status)column_int(s, 5),
        .result_id = column_uuid(s, 6),
        .is_duplicate = column_int(s, 7) != 0,
        .post_spans = (size_t)column_int(s, 9),
        .point = (enum link_point)column_int(s, 10),
        .result_found = column_int(s, 11) != 0,
        .linked = (size_t)column_int(s, 12),
        .error = column_text(s, 13),
    };
    size_t spans = (size_t)column_int(s, 8);
    if (e->type == EVENT_SPANS_STORED) {
        e->spans = spans;
        e->post_id = column_text(s, 4);
    } else {
        e->spans_found = spans;
        e->invocation_id = column_text(s, 4);
    }
}

static enum store_status read_timeline(struct sql_connection *c, const struct store_scope *scope,
                                       const struct uuid *run_id, store_event_fn visit, void *user,
                                       struct store_error *error)
{
    struct sql_statement *s = NULL;
    enum store_status status = prepare_of_run(c, scope, run_id, timeline_sql, &s, error);
    if (status != STORE_OK) {
        return status;
    }
    while (sql_row(c, s, &status, error)) {
        struct store_event event;
        fill_event(s, &event);
        visit(user, &event);
    }
    return status;
}

enum store_status sql_read_timeline(struct store *base, const struct store_scope *scope,
                                    const struct uuid *run_id, store_event_fn visit, void *user,
                                    struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = read_timeline(c, scope, run_id, visit, user, error);
    sql_reader_return(store, c);
    return status;
}

/* ---- spans of a run ---- */

static void fill_span_row(struct sql_statement *s, struct store_span_row *row)
{
    *row = (struct store_span_row){
        .name = column_text(s, 3),
        .test_id = column_uuid(s, 4),
        .configuration_id = column_uuid(s, 5),
        .has_result = !column_is_null(s, 6),
        .result_id = column_uuid(s, 6),
        .link_source = (enum link_point)column_int(s, 7),
        .stored_unix_ns = column_int(s, 8),
        .post_id = column_text(s, 9),
        .inherited = column_int(s, 10) != 0,
    };
    (void)column_blob(s, 0, row->trace_id, sizeof row->trace_id);
    (void)column_blob(s, 1, row->span_id, sizeof row->span_id);
    row->has_parent = column_blob(s, 2, row->parent_span_id, sizeof row->parent_span_id);
}

static enum store_status read_run_spans(struct sql_connection *c, const struct store_scope *scope,
                                        const struct uuid *run_id, store_span_row_fn visit,
                                        void *user, struct store_error *error)
{
    static const char sql[] =
        "SELECT t.trace_id, s.span_id, s.parent_span_id, s.name, c.test_id, c.configuration_id,"
        " r.id, s.link_source, p.at, p.id, s.inherited FROM contexts c"
        " JOIN spans s ON s.context_ref = c.ref JOIN traces t ON t.ref = s.trace_ref"
        " JOIN posts p ON p.ref = s.post_ref LEFT JOIN results r ON r.ref = s.result_ref"
        " WHERE c.run_id = ?1 AND c.organization_id = ?2 ORDER BY s.ref";
    struct sql_statement *s = NULL;
    enum store_status status = prepare_of_run(c, scope, run_id, sql, &s, error);
    if (status != STORE_OK) {
        return status;
    }
    while (sql_row(c, s, &status, error)) {
        struct store_span_row row;
        fill_span_row(s, &row);
        visit(user, &row);
    }
    return status;
}

enum store_status sql_read_run_spans(struct store *base, const struct store_scope *scope,
                                     const struct uuid *run_id, store_span_row_fn visit, void *user,
                                     struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = read_run_spans(c, scope, run_id, visit, user, error);
    sql_reader_return(store, c);
    return status;
}

/* ---- ledger ---- */

static enum store_status read_posts(struct sql_connection *c, const struct uuid *organization_id,
                                    struct store_ledger *out, struct store_error *error)
{
    static const char sql[] =
        "SELECT CAST(coalesce(sum(received), 0) AS BIGINT),"
        " CAST(coalesce(sum(duplicate), 0) AS BIGINT),"
        " CAST(coalesce(sum(rejected), 0) AS BIGINT) FROM posts WHERE organization_id = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, organization_id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        out->received = column_int(s, 0);
        out->duplicate = column_int(s, 1);
        out->rejected = column_int(s, 2);
        sql_reset(s);
    }
    return status;
}

static enum store_status count_stored(struct sql_connection *c, const struct uuid *organization_id,
                                      struct store_ledger *out, struct store_error *error)
{
    static const char sql[] = "SELECT count(*) FROM organizations o"
                              " JOIN traces t ON t.organization_ref = o.ref"
                              " JOIN spans s ON s.trace_ref = t.ref WHERE o.id = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, organization_id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        out->stored = column_int(s, 0);
        sql_reset(s);
    }
    return status;
}

static enum store_status count_linked(struct sql_connection *c, const struct uuid *organization_id,
                                      struct store_ledger *out, struct store_error *error)
{
    static const char sql[] = "SELECT s.link_source, count(*), count(s.result_ref) FROM contexts c"
                              " JOIN spans s ON s.context_ref = c.ref"
                              " WHERE c.organization_id = ? GROUP BY s.link_source";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, organization_id);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        uint64_t spans = column_int(s, 1);
        uint64_t linked = column_int(s, 2);
        int point = (int)column_int(s, 0);
        out->linked += linked;
        out->waiting += spans - linked;
        if (linked > 0 && point >= 0 && point < LINK_POINT_COUNT) {
            out->links_by_source[point] += linked;
        }
    }
    return status;
}

/* All counts of one ledger come from one snapshot, else a write between them unbalances it. */
static enum store_status read_ledger(struct sql_connection *c, const struct uuid *organization_id,
                                     struct store_ledger *out, struct store_error *error)
{
    struct store_ledger ledger = {0};
    enum store_status status = sql_execute(c, c->driver->begin_read, error);
    if (status != STORE_OK) {
        return status;
    }
    status = read_posts(c, organization_id, &ledger, error);
    if (status == STORE_OK) {
        status = count_stored(c, organization_id, &ledger, error);
    }
    if (status == STORE_OK) {
        status = count_linked(c, organization_id, &ledger, error);
    }
    struct store_error ignored; /* a transaction that only read has nothing to lose */
    (void)sql_execute(c, "COMMIT", &ignored);
    if (status == STORE_OK) {
        ledger.without_context = ledger.stored - ledger.linked - ledger.waiting;
        *out = ledger;
    }
    return status;
}

enum store_status sql_read_ledger(struct store *base, const struct store_scope *scope,
                                  struct store_ledger *out, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = read_ledger(c, &scope->organization_id, out, error);
    sql_reader_return(store, c);
    return status;
}

/* ---- keys that wait ---- */

/* 0: none. */
static enum store_status first_chosen(struct sql_connection *c, int64_t context,
                                      const struct known_attempts *known, uint64_t *out_span,
                                      struct store_error *error)
{
    struct sql_statement *s = sql_prepare(c, sql_waiting_sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        uint32_t attempt = ATTEMPT_UNKNOWN;
        if (sql_choose_result(s, known, &attempt)) {
            *out_span = column_int(s, 0);
            sql_reset(s);
            return STORE_OK;
        }
    }
    return status;
}

enum store_status sql_is_linkable(struct sql_connection *c, int64_t context,
                                  const struct link_key *key, bool *out, uint64_t *out_span,
                                  struct store_error *error)
{
    struct known_attempts known;
    enum store_status status = sql_attempts(c, key, &known, error);
    *out = false;
    *out_span = 0;
    if (status != STORE_OK) {
        return status;
    }
    if (key->attempt == 0 && known.count > 1) {
        status = first_chosen(c, context, &known, out_span, error);
        *out = *out_span != 0;
        return status;
    }
    for (size_t i = 0; i < known.count; i++) {
        bool same = key->attempt == 0 || key->attempt == known.attempts[i].number;
        *out = *out || (same && known.results[i]);
    }
    return STORE_OK;
}

/* The contexts of waiting spans come out of a small partial index, oldest context first. */
static enum store_status waiting_keys(struct sql_connection *c, size_t limit, store_key_fn visit,
                                      void *user, struct store_error *error)
{
    static const char sql[] =
        "SELECT c.ref, c.organization_id, c.run_id, c.test_id, c.configuration_id, c.attempt,"
        " w.oldest FROM (SELECT context_ref, min(ref) AS oldest FROM spans"
        "  WHERE context_ref IS NOT NULL AND result_ref IS NULL GROUP BY context_ref) w"
        " JOIN contexts c ON c.ref = w.context_ref WHERE EXISTS (SELECT 1 FROM contexts k"
        "  JOIN results r ON r.context_ref = k.ref WHERE k.run_id = c.run_id"
        "  AND k.test_id = c.test_id AND k.configuration_id = c.configuration_id"
        "  AND k.organization_id = c.organization_id AND c.attempt IN (0, k.attempt))"
        " ORDER BY c.ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    enum store_status status = STORE_OK;
    size_t found = 0;
    while (found < limit && sql_row(c, s, &status, error)) {
        struct link_key key = {column_uuid(s, 1), column_uuid(s, 2), column_uuid(s, 3),
                               column_uuid(s, 4), (uint32_t)column_int(s, 5)};
        bool linkable = false;
        uint64_t span = 0;
        status = sql_is_linkable(c, (int64_t)column_int(s, 0), &key, &linkable, &span, error);
        if (status != STORE_OK) {
            break;
        }
        if (linkable) {
            visit(user, &key, span ? span : column_int(s, 6));
            found++;
        }
    }
    sql_reset(s);
    return status;
}

enum store_status sql_waiting_keys(struct store *base, size_t limit, store_key_fn visit, void *user,
                                   struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = waiting_keys(c, limit, visit, user, error);
    sql_reader_return(store, c);
    return status;
}
