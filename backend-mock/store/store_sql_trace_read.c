/* What the SQLite store is asked about traces: the list, one in full, the metrics. */
#include "store/store_sql.h"

#include <ctype.h>
#include <string.h>

#include "base/buffer.h"
#include "core/alloc.h"

static struct slice json_or(struct slice json, struct slice empty)
{
    return json.data ? json : empty;
}

/* ---- the list ---- */

/* The turns of a span's trace; a conversation's spans belong to it although they do not say so. */
#define ITS_TURNS                                                                                  \
    "turns u WHERE u.organization_id = ?1 AND u.trace_id = t.trace_id"                             \
    " AND u.project_id = src.project_id"
#define CONVERSATION                                                                               \
    "coalesce(s.conversation_id, (SELECT u.conversation_id FROM " ITS_TURNS                        \
    " AND u.conversation_id IS NOT NULL ORDER BY u.ref LIMIT 1))"

/* Which spans may stand for their trace: its parentless ones; if it has none (yet), the earliest.
 * Then the conditions; then of each trace the newest; then the page. HEX, FIND, MEMBER and WORDS
 * are what the two databases spell differently. CROSS JOIN keeps SQLite from beginning with all
 * spans of the organization. */
#define LIST_SQL(HEX, FIND, MEMBER, WORDS)                                                             \
    "WITH candidate(ref) AS MATERIALIZED ("                                                            \
    " SELECT ref FROM spans WHERE ?4 = 0 AND parent_span_id IS NULL"                                   \
    "  AND start_at BETWEEN ?5 AND ?6"                                                                 \
    " UNION ALL SELECT (SELECT x.ref FROM spans x WHERE x.trace_ref = t.ref"                           \
    "  ORDER BY x.start_at, x.ref LIMIT 1) FROM traces t WHERE ?4 = 0 AND t.has_root = 0"              \
    " UNION ALL SELECT ref FROM spans WHERE ?4 = 1 AND start_at BETWEEN ?5 AND ?6),"                   \
    " matching AS ("                                                                                   \
    " SELECT s.ref, s.start_at, row_number() OVER (PARTITION BY CASE WHEN ?4 = 1 THEN s.ref"           \
    "   ELSE s.trace_ref END ORDER BY s.start_at DESC, s.ref DESC) AS place FROM candidate k"          \
    "  CROSS JOIN spans s CROSS JOIN traces t CROSS JOIN organizations o CROSS JOIN sources src"       \
    "  LEFT JOIN contexts c ON c.ref = s.context_ref LEFT JOIN results r ON r.ref = s.result_ref"      \
    "  WHERE s.ref = k.ref AND t.ref = s.trace_ref AND o.ref = t.organization_ref AND o.id = ?1"       \
    "  AND src.ref = s.source_ref AND " SQL_IN_SCOPE " AND s.start_at BETWEEN ?5 AND ?6"               \
    "  AND s.duration_ns BETWEEN ?7 AND ?8 AND (?9 IS NULL OR s.status = ?9)"                          \
    "  AND (?10 IS NULL OR src.environment = ?10) AND (?11 IS NULL OR s.conversation_id = ?11"         \
    "   OR EXISTS (SELECT 1 FROM " ITS_TURNS " AND u.conversation_id = ?11))"                          \
    "  AND (?12 IS NULL OR s.name = ?12) AND (?13 IS NULL OR c.run_id = ?13)"                          \
    "  AND (?14 IS NULL OR c.test_id = ?14) AND (?15 IS NULL OR r.id = ?15)"                           \
    "  AND (?16 IS NULL OR CASE WHEN s.context_ref IS NULL THEN 0 ELSE 1 END = ?16)"                   \
    "  AND (?17 IS NULL OR CASE WHEN " CONVERSATION " IS NULL THEN 0 ELSE 1 END = ?17)"                \
    "  AND (?18 IS NULL OR " FIND "(" HEX ", ?18) > 0 OR EXISTS (SELECT 1 FROM " ITS_TURNS             \
    "    AND " FIND "(lower(coalesce(u.output, '')), ?18) > 0) OR EXISTS ("                            \
    "   SELECT 1 FROM spans x WHERE x.trace_ref = s.trace_ref AND ("                                   \
    "    " FIND "(lower(x.name), ?18) > 0"                                                             \
    "    OR " FIND "(lower(coalesce(x.status_message, '')), ?18) > 0"                                  \
    "    OR " FIND "(lower(coalesce(" MEMBER(                                                          \
        "rhesis.conversation.input") ", '')), ?18) > 0"                                                \
                                     "    OR " FIND "(lower(coalesce(" MEMBER(                         \
                                         "rhesis.conversation.output") ", '')), ?18) > 0"              \
                                                                       "    OR " FIND                  \
                                                                       "(lower(coalesce(" MEMBER(      \
                                                                           "function.result_"          \
                                                                           "preview") ", '')), "       \
                                                                                      "?18) > "        \
                                                                                      "0)))"           \
                                                                                      "  AND "         \
                                                                                      "(?19 IS "       \
                                                                                      "NULL OR "       \
                                                                                      "s.trace_"       \
                                                                                      "ref IN "        \
                                                                                      "(" WORDS        \
                                                                                      ")))"            \
                                                                                      " SELECT "       \
                                                                                      "t.trace_"       \
                                                                                      "id, "           \
                                                                                      "src."           \
                                                                                      "project_"       \
                                                                                      "id, "           \
                                                                                      "src."           \
                                                                                      "environmen"     \
                                                                                      "t,"             \
                                                                                      " " CONVERSATION \
                                                                                      ", "             \
                                                                                      "s.start_"       \
                                                                                      "at,"            \
                                                                                      "  "             \
                                                                                      "s."             \
                                                                                      "duration_"      \
                                                                                      "ns, "           \
                                                                                      "s.name, "       \
                                                                                      "s.status, "     \
                                                                                      "s."             \
                                                                                      "attributes"     \
                                                                                      ", "             \
                                                                                      "c.run_id, "     \
                                                                                      "c.test_id,"     \
                                                                                      " r.id,"         \
                                                                                      "  (SELECT "     \
                                                                                      "count(*) "      \
                                                                                      "FROM "          \
                                                                                      "spans x "       \
                                                                                      "JOIN "          \
                                                                                      "sources "       \
                                                                                      "src ON "        \
                                                                                      "src.ref = "     \
                                                                                      "x.source_"      \
                                                                                      "ref"            \
                                                                                      "   WHERE "      \
                                                                                      "x.trace_"       \
                                                                                      "ref = "         \
                                                                                      "s.trace_"       \
                                                                                      "ref "           \
                                                                                      "AND"            \
                                                                                      " " SQL_IN_SCOPE \
                                                                                      "), "            \
                                                                                      "e.cost_"        \
                                                                                      "usd, "          \
                                                                                      "e.cost_"        \
                                                                                      "eur, "          \
                                                                                      "m.total"        \
                                                                                      " FROM "         \
                                                                                      "(SELECT "       \
                                                                                      "ref, "          \
                                                                                      "start_at, "     \
                                                                                      "count(*) "      \
                                                                                      "OVER () "       \
                                                                                      "AS total "      \
                                                                                      "FROM "          \
                                                                                      "matching "      \
                                                                                      "WHERE "         \
                                                                                      "place = 1"      \
                                                                                      "  ORDER "       \
                                                                                      "BY "            \
                                                                                      "start_at "      \
                                                                                      "DESC, ref "     \
                                                                                      "DESC "          \
                                                                                      "LIMIT ?20 "     \
                                                                                      "OFFSET "        \
                                                                                      "?21) m"         \
                                                                                      " JOIN "         \
                                                                                      "spans s "       \
                                                                                      "ON s.ref "      \
                                                                                      "= m.ref "       \
                                                                                      "JOIN "          \
                                                                                      "traces t "      \
                                                                                      "ON t.ref "      \
                                                                                      "= "             \
                                                                                      "s.trace_"       \
                                                                                      "ref"            \
                                                                                      " JOIN "         \
                                                                                      "sources "       \
                                                                                      "src ON "        \
                                                                                      "src.ref = "     \
                                                                                      "s.source_"      \
                                                                                      "ref LEFT "      \
                                                                                      "JOIN "          \
                                                                                      "contexts "      \
                                                                                      "c ON "          \
                                                                                      "c.ref = "       \
                                                                                      "s.context_"     \
                                                                                      "ref"            \
                                                                                      " LEFT "         \
                                                                                      "JOIN "          \
                                                                                      "results r "     \
                                                                                      "ON r.ref "      \
                                                                                      "= "             \
                                                                                      "s.result_"      \
                                                                                      "ref LEFT "      \
                                                                                      "JOIN "          \
                                                                                      "enrichment"     \
                                                                                      "s e ON "        \
                                                                                      "e.trace_"       \
                                                                                      "ref = "         \
                                                                                      "t.ref"          \
                                                                                      " ORDER BY "     \
                                                                                      "m.start_"       \
                                                                                      "at DESC, "      \
                                                                                      "m.ref DESC"

/* Most spans lack the member, and to look for its name is quicker than to parse. */
#define SQLITE_MEMBER(KEY)                                                                         \
    "CASE WHEN instr(x.attributes, '" KEY "') > 0 AND json_valid(x.attributes)"                    \
    " THEN x.attributes ->> '$.\"" KEY "\"' END"
static const char list_sqlite[] =
    LIST_SQL("lower(hex(t.trace_id))", "instr", SQLITE_MEMBER,
             "SELECT x.trace_ref FROM spans_text f JOIN spans x ON x.ref = f.rowid"
             " WHERE f.text MATCH ?19");

#define POSTGRES_MEMBER(KEY)                                                                       \
    "CASE WHEN strpos(x.attributes, '" KEY "') > 0"                                                \
    " THEN text_as_jsonb(x.attributes) ->> '" KEY "' END"
static const char list_postgres[] =
    LIST_SQL("encode(t.trace_id, 'hex')", "strpos", POSTGRES_MEMBER,
             "SELECT x.trace_ref FROM spans_text f JOIN spans x ON x.ref = f.span_ref"
             " WHERE f.words @@ plainto_tsquery('simple', ?19)");

/* As instr and lower in SQLite: ASCII only. */
static void lower_text(struct slice text, struct buffer *out)
{
    for (size_t i = 0; i < text.size; i++) {
        marline__buffer_append_byte(out, (char)tolower((unsigned char)text.data[i]));
    }
}

/* Every word quoted, so that no text is a syntax error and none is an operator. */
static void quote_words(struct slice text, struct buffer *out)
{
    bool inside = false;
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.data[i];
        bool space = byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r' || byte == '\0';
        if (inside == space) {
            marline__buffer_append_text(out, inside ? "\" " : "\"");
            inside = !inside;
        }
        if (!space) {
            marline__buffer_append_byte(out, byte);
        }
        if (byte == '"') {
            marline__buffer_append_byte(out, byte);
        }
    }
    marline__buffer_append_text(out, inside ? "\"" : "");
}

static void bind_choice(struct sql_statement *s, int at, bool any, bool value)
{
    bind_int_or_null(s, at, any, value);
}

static void bind_times(struct sql_statement *s, int at, const struct store_trace_filter *f)
{
    bool bounded = f->start_before_unix_ns && f->start_before_unix_ns < INT64_MAX;
    bind_int(s, at, f->start_after_unix_ns);
    bind_int(s, at + 1, bounded ? f->start_before_unix_ns : INT64_MAX);
}

static void bind_filter(struct sql_statement *s, const struct store_trace_filter *f,
                        const struct buffer *search, const struct buffer *text)
{
    bind_int(s, 4, f->all_spans);
    bind_times(s, 5, f);
    bind_int(s, 7, f->has_duration_min ? f->duration_min_ns : 0);
    bind_int(s, 8, f->has_duration_max ? f->duration_max_ns : INT64_MAX);
    bind_int_or_null(s, 9, !f->has_status, f->status);
    bind_text(s, 10, f->environment);
    bind_text(s, 11, f->conversation_id);
    bind_text(s, 12, search->size > 0 ? SLICE_EMPTY : f->span_name);
    bind_uuid_or_null(s, 13, &f->run_id);
    bind_uuid_or_null(s, 14, &f->test_id);
    bind_uuid_or_null(s, 15, &f->result_id);
    bind_choice(s, 16, f->source == TRACE_SOURCE_ALL, f->source == TRACE_SOURCE_TEST);
    bind_choice(s, 17, f->turns == TRACE_TURNS_ALL, f->turns == TRACE_TURNS_MULTI);
    bind_text(s, 18, search->size > 0 ? marline__buffer_slice(search) : SLICE_EMPTY);
    bind_text(s, 19, text->size > 0 ? marline__buffer_slice(text) : SLICE_EMPTY);
    bind_int(s, 20, f->limit);
    bind_int(s, 21, f->offset);
}

static void fill_trace_row(struct sql_statement *s, struct store_trace_row *row)
{
    *row = (struct store_trace_row){
        .project_id = column_uuid(s, 1),
        .environment = column_text(s, 2),
        .conversation_id = column_text(s, 3),
        .start_unix_ns = column_int(s, 4),
        .duration_ns = column_int(s, 5),
        .name = column_text(s, 6),
        .status = (uint8_t)column_int(s, 7),
        .attributes = json_or(column_text(s, 8), SLICE("{}")),
        .run_id = column_uuid(s, 9),
        .test_id = column_uuid(s, 10),
        .result_id = column_uuid(s, 11),
        .span_count = (size_t)column_int(s, 12),
        .cost_usd = column_double(s, 13),
        .cost_eur = column_double(s, 14),
    };
    (void)column_blob(s, 0, row->trace_id, sizeof row->trace_id);
}

static enum store_status list_traces(struct sql_connection *c, const struct store_scope *scope,
                                     const struct store_trace_filter *filter, uint64_t *out_total,
                                     store_trace_row_fn visit, void *user,
                                     struct store_error *error)
{
    struct sql_statement *s = sql_prepare(c, sql_choose(c, list_sqlite, list_postgres), error);
    if (!s) {
        return error->status;
    }
    struct buffer search = BUFFER_INIT;
    struct buffer text = BUFFER_INIT;
    lower_text(filter->search, &search);
    quote_words(filter->text, &text);
    bind_scope(s, scope);
    bind_filter(s, filter, &search, &text);
    enum store_status status = STORE_OK;
    *out_total = 0;
    while (sql_row(c, s, &status, error)) {
        struct store_trace_row row;
        fill_trace_row(s, &row);
        *out_total = column_int(s, 15);
        visit(user, &row);
    }
    marline__buffer_deinit(&search);
    marline__buffer_deinit(&text);
    return status;
}

enum store_status sql_list_traces(struct store *base, const struct store_scope *scope,
                                  const struct store_trace_filter *filter, uint64_t *out_total,
                                  store_trace_row_fn visit, void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = list_traces(c, scope, filter, out_total, visit, user, error);
    sql_reader_return(store, c);
    return status;
}

/* ---- one trace ---- */

static enum store_status read_head(struct sql_connection *c, const struct store_scope *scope,
                                   const uint8_t trace_id[16],
                                   const struct store_trace_visitor *visitor,
                                   struct store_error *error)
{
    static const char sql[] =
        "SELECT (SELECT count(*) FROM spans s JOIN sources src ON src.ref = s.source_ref"
        "  WHERE s.trace_ref = t.ref AND " SQL_IN_SCOPE "),"
        " e.spans = (SELECT count(*) FROM spans s WHERE s.trace_ref = t.ref), e.data, e.cost_usd,"
        " e.cost_eur, e.at FROM organizations o JOIN traces t ON t.organization_ref = o.ref"
        " LEFT JOIN enrichments e ON e.trace_ref = t.ref WHERE o.id = ?1 AND t.trace_id = ?4";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_scope(s, scope);
    bind_blob(s, 4, trace_id, 16);
    enum store_status status = STORE_OK;
    struct store_trace_head head = {0};
    if (sql_row(c, s, &status, error)) {
        bool current = column_int(s, 1) != 0;
        head = (struct store_trace_head){
            .span_count = (size_t)column_int(s, 0),
            .enriched = current ? column_text(s, 2) : SLICE_EMPTY,
            .enriched_unix_ns = current ? (uint64_t)column_int(s, 5) : 0,
            .cost_usd = current ? column_double(s, 3) : 0,
            .cost_eur = current ? column_double(s, 4) : 0,
        };
        if (head.span_count > 0 && visitor->head) {
            visitor->head(visitor->user, &head);
        }
        sql_reset(s);
    }
    return status == STORE_OK && head.span_count == 0
               ? error_set(error, STORE_NOT_FOUND, "no such trace")
               : status;
}

static void fill_span_detail(struct sql_statement *s, struct store_span_detail *d)
{
    *d = (struct store_span_detail){
        .row_id = store_row_id(column_int(s, 0)),
        .kind = (uint8_t)column_int(s, 3),
        .status = (uint8_t)column_int(s, 4),
        .start_unix_ns = column_int(s, 5),
        .end_unix_ns = column_int(s, 5) + column_int(s, 6),
        .project_id = column_uuid(s, 7),
        .name = column_text(s, 8),
        .environment = column_text(s, 9),
        .conversation_id = column_text(s, 10),
        .status_message = column_text(s, 11),
        .attributes = json_or(column_text(s, 12), SLICE("{}")),
        .events = json_or(column_text(s, 13), SLICE("[]")),
        .links = json_or(column_text(s, 14), SLICE("[]")),
        .resource = column_text(s, 15),
        .inherited = column_int(s, 16) != 0,
        .has_key = !column_is_null(s, 17),
        .key = {column_uuid(s, 17), column_uuid(s, 18), column_uuid(s, 19), column_uuid(s, 20),
                (uint32_t)column_int(s, 21)},
        .has_result = !column_is_null(s, 22),
        .result_id = column_uuid(s, 22),
        .link_source = (enum link_point)column_int(s, 23),
        .declared_span_count = (uint32_t)column_int(s, 24),
    };
    (void)column_blob(s, 1, d->span_id, sizeof d->span_id);
    d->has_parent = column_blob(s, 2, d->parent_span_id, sizeof d->parent_span_id);
}

static enum store_status read_spans(struct sql_connection *c, const struct store_scope *scope,
                                    const uint8_t trace_id[16],
                                    const struct store_trace_visitor *visitor,
                                    struct store_error *error)
{
    static const char sql[] =
        "SELECT s.ref, s.span_id, s.parent_span_id, s.kind, s.status, s.start_at, s.duration_ns,"
        " src.project_id, s.name, src.environment, s.conversation_id, s.status_message,"
        " s.attributes, s.events, s.links, src.resource, s.inherited, c.organization_id, c.run_id,"
        " c.test_id, c.configuration_id, c.attempt, r.id, s.link_source, r.span_count"
        " FROM organizations o JOIN traces t ON t.organization_ref = o.ref"
        " JOIN spans s ON s.trace_ref = t.ref JOIN sources src ON src.ref = s.source_ref"
        " LEFT JOIN contexts c ON c.ref = s.context_ref LEFT JOIN results r ON r.ref = s.result_ref"
        " WHERE o.id = ?1 AND t.trace_id = ?4 AND " SQL_IN_SCOPE " ORDER BY s.start_at, s.ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_scope(s, scope);
    bind_blob(s, 4, trace_id, 16);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        struct store_span_detail detail;
        fill_span_detail(s, &detail);
        visitor->span(visitor->user, &detail);
    }
    return status;
}

static enum store_status read_back_links(struct sql_connection *c, const struct store_scope *scope,
                                         const uint8_t trace_id[16],
                                         const struct store_trace_visitor *visitor,
                                         struct store_error *error)
{
#define COLUMNS "SELECT t.trace_id, s.span_id, s.name, s.links FROM span_links l"
#define REST                                                                                       \
    " JOIN traces t ON t.ref = s.trace_ref JOIN organizations o ON o.ref = t.organization_ref"     \
    " JOIN sources src ON src.ref = s.source_ref"                                                  \
    " WHERE l.trace_id = ?4 AND o.id = ?1 AND " SQL_IN_SCOPE " ORDER BY s.start_at, s.ref"
    static const char sqlite[] = COLUMNS " JOIN spans s ON s.ref = l.span_ref" REST;
    /* Fenced: without statistics, a new database reads all spans of the organization instead. */
    static const char postgres[] =
        COLUMNS " CROSS JOIN LATERAL (SELECT * FROM spans WHERE ref = l.span_ref OFFSET 0) s" REST;
#undef COLUMNS
#undef REST
    struct sql_statement *s = sql_prepare(c, sql_choose(c, sqlite, postgres), error);
    if (!s) {
        return error->status;
    }
    bind_scope(s, scope);
    bind_blob(s, 4, trace_id, 16);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        struct store_back_link link = {.name = column_text(s, 2),
                                       .links = json_or(column_text(s, 3), SLICE("[]"))};
        (void)column_blob(s, 0, link.trace_id, sizeof link.trace_id);
        (void)column_blob(s, 1, link.span_id, sizeof link.span_id);
        visitor->linked_from(visitor->user, &link);
    }
    return status;
}

enum store_status sql_read_trace(struct store *base, const struct store_scope *scope,
                                 const uint8_t trace_id[16],
                                 const struct store_trace_visitor *visitor,
                                 struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status =
        sql_execute(c, c->driver->begin_read, error); /* one snapshot for all */
    if (status == STORE_OK) {
        status = read_head(c, scope, trace_id, visitor, error);
        if (status == STORE_OK && visitor->span) {
            status = read_spans(c, scope, trace_id, visitor, error);
        }
        if (status == STORE_OK && visitor->linked_from) {
            status = read_back_links(c, scope, trace_id, visitor, error);
        }
        if (status == STORE_OK && visitor->turn) {
            status = sql_visit_turns(c, scope, trace_id, visitor, error);
        }
        struct store_error ignored; /* a transaction that only read has nothing to lose */
        (void)sql_execute(c, "COMMIT", &ignored);
    }
    sql_reader_return(store, c);
    return status;
}

/* ---- metrics ---- */

#define METRIC_SPANS                                                                               \
    " FROM organizations o JOIN traces t ON t.organization_ref = o.ref"                            \
    " JOIN spans s ON s.trace_ref = t.ref JOIN sources src ON src.ref = s.source_ref"              \
    " WHERE o.id = ?1 AND " SQL_IN_SCOPE " AND s.start_at BETWEEN ?4 AND ?5"                       \
    " AND (?6 IS NULL OR src.environment = ?6)"

static enum store_status visit_metric_rows(struct sql_connection *c,
                                           const struct store_scope *scope,
                                           const struct store_trace_filter *filter,
                                           struct store_metrics *out, store_metric_fn visit,
                                           void *user, struct store_error *error)
{
    static const char sql[] = "SELECT s.duration_ns, s.status, s.attributes" METRIC_SPANS;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_scope(s, scope);
    bind_times(s, 4, filter);
    bind_text(s, 6, filter->environment);
    enum store_status status = STORE_OK;
    while (sql_row(c, s, &status, error)) {
        const struct store_metric_row row = {column_int(s, 0), (uint8_t)column_int(s, 1),
                                             json_or(column_text(s, 2), SLICE("{}"))};
        out->spans++;
        visit(user, &row);
    }
    return status;
}

static enum store_status sum_traces(struct sql_connection *c, const struct store_scope *scope,
                                    const struct store_trace_filter *filter,
                                    struct store_metrics *out, struct store_error *error)
{
    static const char sql[] = "SELECT count(*), coalesce(sum(e.cost_usd), 0) FROM"
                              " (SELECT DISTINCT s.trace_ref AS ref" METRIC_SPANS ") m"
                              " LEFT JOIN enrichments e ON e.trace_ref = m.ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_scope(s, scope);
    bind_times(s, 4, filter);
    bind_text(s, 6, filter->environment);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        out->traces = column_int(s, 0);
        out->cost_usd = column_double(s, 1);
        sql_reset(s);
    }
    return status;
}

enum store_status sql_read_metrics(struct store *base, const struct store_scope *scope,
                                   const struct store_trace_filter *filter,
                                   struct store_metrics *out, store_metric_fn visit, void *user,
                                   struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    *out = (struct store_metrics){0};
    enum store_status status = sql_execute(c, c->driver->begin_read, error);
    if (status == STORE_OK) {
        status = visit_metric_rows(c, scope, filter, out, visit, user, error);
        if (status == STORE_OK) {
            status = sum_traces(c, scope, filter, out, error);
        }
        struct store_error ignored; /* a transaction that only read has nothing to lose */
        (void)sql_execute(c, "COMMIT", &ignored);
    }
    sql_reader_return(store, c);
    return status;
}
