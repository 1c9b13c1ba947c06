/* Lists of entities: a filter, an order and a page become one statement. Its text is put together
 * from the constants of this file alone; whatever a caller chose is bound to it. */
#include <assert.h>

#include "base/buffer.h"
#include "core/alloc.h"
#include "store/store_sql.h"

/* ---- fields ---- */

/* A column that begins with '$' is a path into the body. */
#define COMMON_FIELDS(alias, created, updated)                                                     \
    {"id", FILTER_UUID, alias ".id"}, {"project_id", FILTER_UUID, alias ".project_id"},            \
        {"created_at", FILTER_TIME, created},                                                      \
    {                                                                                              \
        "updated_at", FILTER_TIME, updated                                                         \
    }
#define DOCUMENT_FIELDS                                                                            \
    COMMON_FIELDS("e", "e.created_at", "e.updated_at"), {"name", FILTER_TEXT, "e.name"},           \
    {                                                                                              \
        "description", FILTER_TEXT, "$.description"                                                \
    }

static const struct filter_field endpoint_fields[] = {
    DOCUMENT_FIELDS,
    {"status", FILTER_TEXT, "e.status"},
    {"status/name", FILTER_TEXT, "e.status"},
    {"environment", FILTER_TEXT, "e.environment"},
    {"connection_type", FILTER_TEXT, "$.connection_type"},
    {"url", FILTER_TEXT, "$.url"},
};
static const struct filter_field test_fields[] = {
    DOCUMENT_FIELDS,
    {"category", FILTER_TEXT, "$.category"},
    {"category/name", FILTER_TEXT, "$.category"},
    {"topic", FILTER_TEXT, "$.topic"},
    {"topic/name", FILTER_TEXT, "$.topic"},
    {"requirement", FILTER_TEXT, "$.requirement"},
    {"requirement/name", FILTER_TEXT, "$.requirement"},
    {"test_type", FILTER_TEXT, "$.test_type"},
    {"test_type/type_value", FILTER_TEXT, "$.test_type"},
    {"prompt/content", FILTER_TEXT, "$.prompt.content"},
};
static const struct filter_field test_set_fields[] = {
    DOCUMENT_FIELDS,
    {"short_description", FILTER_TEXT, "$.short_description"},
    {"test_set_type", FILTER_TEXT, "$.test_set_type"},
    {"test_set_type/type_value", FILTER_TEXT, "$.test_set_type"},
};
static const struct filter_field configuration_fields[] = {
    DOCUMENT_FIELDS,
    {"endpoint_id", FILTER_UUID, "e.endpoint_id"},
    {"test_set_id", FILTER_UUID, "e.test_set_id"},
};

/* Tests of run u that are over and whose last attempt came to Error. */
#define RUN_ERRORS                                                                                 \
    "(SELECT count(*) FROM contexts c JOIN results r"                                              \
    " ON r.context_ref = c.ref AND r.duplicate_of IS NULL"                                         \
    " WHERE c.run_id = u.id AND c.organization_id = u.organization_id AND r.status = 2"            \
    " AND NOT EXISTS(SELECT 1 FROM contexts d JOIN results s"                                      \
    " ON s.context_ref = d.ref AND s.duplicate_of IS NULL WHERE d.run_id = c.run_id"               \
    " AND d.test_id = c.test_id AND d.configuration_id = c.configuration_id"                       \
    " AND d.organization_id = c.organization_id AND d.attempt > c.attempt))"
#define RUN_TESTS "(SELECT count(*) FROM run_tests t WHERE t.run_id = u.id)"
/* The platform's words; a run that came over REST and has no tests has none. */
#define RUN_STATUS                                                                                 \
    "(CASE WHEN u.status = 0 AND " RUN_TESTS " = 0 THEN NULL WHEN u.status = 0 THEN 'Queued'"      \
    " WHEN u.status IN (1, 4) THEN 'Progress' WHEN u.status = 3 THEN 'Cancelled'"                  \
    " WHEN " RUN_ERRORS " = 0 THEN 'Completed'"                                                    \
    " WHEN " RUN_ERRORS " < " RUN_TESTS " THEN 'Partial' ELSE 'Failed' END)"
#define RUN_UPDATED "coalesce(u.finished_at, u.started_at, u.created_at)"

static const struct filter_field run_fields[] = {
    COMMON_FIELDS("u", "u.created_at", RUN_UPDATED),
    {"name", FILTER_TEXT, "u.name"},
    {"status", FILTER_TEXT, RUN_STATUS},
    {"status/name", FILTER_TEXT, RUN_STATUS},
    {"environment", FILTER_TEXT, "u.environment"},
    {"test_configuration_id", FILTER_UUID, "u.configuration_id"},
};

#define RESULT_STATUS "(CASE r.status WHEN 0 THEN 'Pass' WHEN 1 THEN 'Fail' ELSE 'Error' END)"

static const struct filter_field result_fields[] = {
    COMMON_FIELDS("r", "r.stored_at", "r.stored_at"),
    {"status", FILTER_TEXT, RESULT_STATUS},
    {"status/name", FILTER_TEXT, RESULT_STATUS},
    {"test_run_id", FILTER_UUID, "c.run_id"},
    {"test_id", FILTER_UUID, "c.test_id"},
    {"test_configuration_id", FILTER_UUID, "c.configuration_id"},
    {"attempt", FILTER_NUMBER, "c.attempt"},
};

/* ---- where the kinds are ---- */

struct source {
    const struct filter_field *fields;
    size_t field_count;
    const char *columns;
    const char *from; /* with a condition to which others can be added */
    const char *organization;
    const char *project;
    const char *id;
    const char *creation; /* rows in order of creation, from an index */
    void (*fill)(struct sql_statement *s, struct store_entity_row *row);
};

static void fill_document(struct sql_statement *s, struct store_entity_row *row)
{
    *row = (struct store_entity_row){
        .id = column_uuid(s, 0),
        .project_id = column_uuid(s, 1),
        .name = column_text(s, 2),
        .status = column_text(s, 3),
        .created_unix_ns = column_int(s, 4),
        .updated_unix_ns = column_int(s, 5),
        .is_deleted = !column_is_null(s, 6),
        .body = column_text(s, 7),
        .endpoint_id = column_uuid(s, 8),
        .test_set_id = column_uuid(s, 9),
        .test_count = (size_t)column_int(s, 10),
        .environment = column_text(s, 11),
    };
}

static void fill_run(struct sql_statement *s, struct store_entity_row *row)
{
    *row = (struct store_entity_row){
        .id = column_uuid(s, 0),
        .project_id = column_uuid(s, 1),
        .name = column_is_null(s, 2) ? SLICE("") : column_text(s, 2),
        .status = column_text(s, 3),
        .created_unix_ns = column_int(s, 4),
        .updated_unix_ns = column_int(s, 5),
        .configuration_id = column_uuid(s, 6),
        .test_count = (size_t)column_int(s, 7),
        .body = column_text(s, 8),
        .environment = column_text(s, 9),
    };
}

static void fill_result(struct sql_statement *s, struct store_entity_row *row)
{
    *row = (struct store_entity_row){
        .id = column_uuid(s, 0),
        .project_id = column_uuid(s, 1),
        .name = SLICE(""),
        .status = column_text(s, 2),
        .created_unix_ns = column_int(s, 3),
        .updated_unix_ns = column_int(s, 3),
        .run_id = column_uuid(s, 4),
        .test_id = column_uuid(s, 5),
        .configuration_id = column_uuid(s, 6),
        .attempt = (uint32_t)column_int(s, 7),
        .output = column_text(s, 8),
        .metrics = column_text(s, 9),
        .error = column_text(s, 10),
        .trace_id = column_text(s, 11),
        .duration_ms = column_double(s, 12),
        .duplicate_of = column_uuid(s, 13),
    };
}

#define SET_TESTS                                                                                  \
    "(SELECT count(*) FROM test_set_tests m JOIN entities t ON t.ref = m.test_ref"                 \
    " WHERE m.set_ref = e.ref AND t.deleted_at IS NULL)"
#define DOCUMENT_SOURCE(kind_fields, number)                                                       \
    {                                                                                              \
        .fields = (kind_fields), .field_count = sizeof(kind_fields) / sizeof((kind_fields)[0]),    \
        .columns =                                                                                 \
            "e.id, e.project_id, e.name, e.status, e.created_at, e.updated_at,"                    \
            " e.deleted_at, e.body, e.endpoint_id, e.test_set_id, " SET_TESTS ", e.environment",   \
        .from = "entities e WHERE e.kind = " number, .organization = "e.organization_id",          \
        .project = "e.project_id", .id = "e.id", .creation = "e.ref", .fill = fill_document        \
    }

static const struct source sources[] = {
    [ENTITY_ENDPOINT] = DOCUMENT_SOURCE(endpoint_fields, "0"),
    [ENTITY_TEST] = DOCUMENT_SOURCE(test_fields, "1"),
    [ENTITY_TEST_SET] = DOCUMENT_SOURCE(test_set_fields, "2"),
    [ENTITY_TEST_CONFIGURATION] = DOCUMENT_SOURCE(configuration_fields, "3"),
    [ENTITY_TEST_RUN] = {.fields = run_fields,
                         .field_count = sizeof(run_fields) / sizeof(run_fields[0]),
                         .columns = "u.id, u.project_id, u.name, " RUN_STATUS ", u.created_at,"
                                    " " RUN_UPDATED ", u.configuration_id, " RUN_TESTS
                                    ", u.attributes, u.environment",
                         .from = "runs u WHERE 1 = 1",
                         .organization = "u.organization_id",
                         .project = "u.project_id",
                         .id = "u.id",
                         .creation = "u.created_at",
                         .fill = fill_run},
    [ENTITY_TEST_RESULT] = {.fields = result_fields,
                            .field_count = sizeof(result_fields) / sizeof(result_fields[0]),
                            .columns = "r.id, r.project_id, " RESULT_STATUS ", r.stored_at,"
                                       " c.run_id, c.test_id, c.configuration_id, c.attempt,"
                                       " r.output, r.metrics, r.error, r.trace_id, r.duration_ms,"
                                       " (SELECT d.id FROM results d WHERE d.ref = r.duplicate_of)",
                            .from = "results r JOIN contexts c ON c.ref = r.context_ref"
                                    " WHERE 1 = 1",
                            .organization = "c.organization_id",
                            .project = "r.project_id",
                            .id = "r.id",
                            .creation = "r.ref",
                            .fill = fill_result},
};

const struct filter_field *store_entity_fields(enum entity_kind kind, size_t *out_count)
{
    *out_count = sources[kind].field_count;
    return sources[kind].fields;
}

/* ---- a statement under construction ---- */

/* "ends with" needs its text twice; beside the filter: scope, id, set, page. */
enum { VALUES_MAX = 2 * FILTER_VALUES_MAX + 6 };
_Static_assert((int)VALUES_MAX <= (int)SQL_PARAMETERS_MAX, "more values than a statement takes");

/* Values follow each other as their marks do in the text. */
struct select {
    struct buffer text;
    enum sql_dialect dialect;
    struct {
        enum filter_type type;
        struct filter_value value;
    } values[VALUES_MAX];
    size_t count;
};

static void add(struct select *q, const char *text)
{
    marline__buffer_append_text(&q->text, text);
}

static void add_value(struct select *q, enum filter_type type, const struct filter_value *value)
{
    assert(q->count < VALUES_MAX);
    q->values[q->count].type = type;
    q->values[q->count++].value = *value;
    add(q, "?");
}

static void add_uuid(struct select *q, const struct uuid *id)
{
    const struct filter_value value = {.uuid = *id};
    add_value(q, FILTER_UUID, &value);
}

static void add_number(struct select *q, uint64_t number)
{
    const struct filter_value value = {.time_ns = number};
    add_value(q, FILTER_TIME, &value);
}

/* A path such as "$.a.b", into the body. */
static void add_member(struct select *q, const char *path)
{
    if (q->dialect == SQL_SQLITE) {
        marline__buffer_append_format(&q->text, "json_extract(e.body, '%s')", path);
        return;
    }
    add(q, "(text_as_jsonb(e.body) #>> '{");
    for (const char *at = path + 2; *at; at++) {
        marline__buffer_append_byte(&q->text, *at);
        if (*at == '.') {
            q->text.data[q->text.size - 1] = ',';
        }
    }
    add(q, "}')");
}

/* Texts are compared by their bytes in both databases. */
static void add_field(struct select *q, const struct filter_field *field, enum filter_case letters)
{
    static const char *const functions[] = {"(", "lower(", "upper("};
    add(q, functions[letters]);
    if (field->column[0] == '$') {
        add_member(q, field->column);
    } else {
        add(q, field->column);
    }
    add(q, field->type == FILTER_TEXT && q->dialect == SQL_POSTGRES ? " COLLATE \"C\")" : ")");
}

static void add_text_test(struct select *q, const struct filter_node *node,
                          const struct filter_field *field)
{
    if (node->op == FILTER_ENDS) { /* the text behind what is left of the right length */
        add(q, "substr(");
        add_field(q, field, node->letters);
        add(q, ", 1 + length(");
        add_field(q, field, node->letters);
        add(q, ") - length(");
        add_value(q, FILTER_TEXT, &node->value);
        add(q, ")) = ");
        add_value(q, FILTER_TEXT, &node->value);
        return;
    }
    add(q, q->dialect == SQL_SQLITE ? "instr(" : "strpos(");
    add_field(q, field, node->letters);
    add(q, ", ");
    add_value(q, FILTER_TEXT, &node->value);
    add(q, node->op == FILTER_STARTS ? ") = 1" : ") > 0");
}

static void add_comparison(struct select *q, const struct filter_node *node,
                           const struct filter_field *field)
{
    static const char *const operators[] = {" = ", " <> ", " > ", " >= ", " < ", " <= "};
    if (node->op >= FILTER_CONTAINS) {
        add_text_test(q, node, field);
        return;
    }
    add_field(q, field, node->letters);
    if (node->value.is_null) {
        add(q, node->op == FILTER_EQ ? " IS NULL" : " IS NOT NULL");
        return;
    }
    add(q, operators[node->op - FILTER_EQ]);
    add_value(q, field->type, &node->value);
}

/* No deeper than FILTER_DEPTH_MAX, and as long as a chain of and's and or's. */
static void add_filter(struct select *q, const struct odata_filter *f,
                       const struct filter_field *fields, uint8_t index)
{
    const struct filter_node *node = &f->nodes[index];
    add(q, node->op == FILTER_NOT ? "(NOT " : "(");
    if (node->op >= FILTER_EQ) {
        add_comparison(q, node, &fields[node->field]);
    } else {
        add_filter(q, f, fields, node->left);
    }
    if (node->op <= FILTER_AND) {
        add(q, node->op == FILTER_AND ? " AND " : " OR ");
        add_filter(q, f, fields, node->right);
    }
    add(q, ")");
}

/* ---- conditions and order ---- */

static void add_scope(struct select *q, const struct source *from, const struct store_scope *scope)
{
    add(q, " AND ");
    add(q, from->organization);
    add(q, " = ");
    add_uuid(q, &scope->organization_id);
    if (!marline__uuid_is_nil(&scope->project_id)) {
        add(q, " AND ");
        add(q, from->project);
        add(q, " = ");
        add_uuid(q, &scope->project_id);
    } else if (scope->only_without_project) {
        add(q, " AND ");
        add(q, from->project);
        add(q, " IS NULL");
    }
}

static void add_conditions(struct select *q, const struct store_scope *scope,
                           const struct store_entity_query *query)
{
    const struct source *from = &sources[query->kind];
    add_scope(q, from, scope);
    if (!marline__uuid_is_nil(&query->id)) {
        add(q, " AND ");
        add(q, from->id);
        add(q, " = ");
        add_uuid(q, &query->id);
    } else if (query->kind < ENTITY_DOCUMENT_COUNT) {
        add(q, " AND e.deleted_at IS NULL");
    }
    if (!marline__uuid_is_nil(&query->set_id)) {
        add(q, " AND e.ref IN (SELECT m.test_ref FROM test_set_tests m JOIN entities o"
               " ON o.ref = m.set_ref WHERE o.id = ");
        add_uuid(q, &query->set_id);
        add(q, ")");
    }
    if (query->filter) {
        add(q, " AND ");
        add_filter(q, query->filter, from->fields, query->filter->root);
    }
}

static void add_page(struct select *q, const struct store_entity_query *query)
{
    const struct source *from = &sources[query->kind];
    const char *direction = query->descending ? " DESC" : " ASC";
    add(q, " ORDER BY ");
    if (query->sort && strcmp(query->sort->name, "created_at") != 0) {
        add_field(q, query->sort, FILTER_AS_IS);
        add(q, direction);
        add(q, " NULLS LAST, ");
    }
    add(q, from->creation);
    add(q, direction);
    add(q, ", ");
    add(q, from->id); /* runs of the same instant */
    add(q, " LIMIT ");
    add_number(q, query->limit);
    add(q, " OFFSET ");
    add_number(q, query->skip);
}

/* ---- asking ---- */

static void bind_all(const struct select *q, struct sql_statement *s)
{
    for (size_t i = 0; i < q->count; i++) {
        const struct filter_value *value = &q->values[i].value;
        int at = (int)i + 1;
        switch (q->values[i].type) {
        case FILTER_TEXT:
            bind_text(s, at, value->text);
            break;
        case FILTER_UUID:
            bind_uuid(s, at, &value->uuid);
            break;
        case FILTER_TIME:
            bind_int(s, at, value->time_ns);
            break;
        case FILTER_NUMBER:
            bind_double(s, at, value->number);
            break;
        }
    }
}

/* NULL and *error when it cannot be had; to be freed with the driver's free_statement. */
static struct sql_statement *prepare(struct sql_connection *c, const struct select *q,
                                     struct store_error *error)
{
    alloc_check_buffer(&q->text);
    struct sql_statement *s = c->driver->prepare(c, q->text.data, SQL_ONCE, error);
    if (s) {
        bind_all(q, s);
    }
    return s;
}

static void begin_select(struct select *q, struct sql_connection *c, const char *columns,
                         const struct store_scope *scope, const struct store_entity_query *query)
{
    *q = (struct select){.text = BUFFER_INIT, .dialect = c->driver->dialect};
    add(q, "SELECT ");
    add(q, columns);
    add(q, " FROM ");
    add(q, sources[query->kind].from);
    add_conditions(q, scope, query);
}

static enum store_status count_all(struct sql_connection *c, const struct store_scope *scope,
                                   const struct store_entity_query *query, uint64_t *out_total,
                                   struct store_error *error)
{
    struct select q;
    begin_select(&q, c, "count(*)", scope, query);
    enum store_status status = STORE_OK;
    struct sql_statement *s = prepare(c, &q, error);
    if (!s) {
        status = error->status;
    } else {
        if (sql_row(c, s, &status, error)) {
            *out_total = column_int(s, 0);
        }
        c->driver->free_statement(s);
    }
    marline__buffer_deinit(&q.text);
    return status;
}

static enum store_status visit_page(struct sql_connection *c, const struct store_scope *scope,
                                    const struct store_entity_query *query, store_entity_fn visit,
                                    void *user, struct store_error *error)
{
    struct select q;
    begin_select(&q, c, sources[query->kind].columns, scope, query);
    add_page(&q, query);
    enum store_status status = STORE_OK;
    struct sql_statement *s = prepare(c, &q, error);
    if (!s) {
        status = error->status;
    } else {
        while (sql_row(c, s, &status, error)) {
            struct store_entity_row row;
            sources[query->kind].fill(s, &row);
            visit(user, &row);
        }
        c->driver->free_statement(s);
    }
    marline__buffer_deinit(&q.text);
    return status;
}

enum store_status sql_list_entities(struct store *base, const struct store_scope *scope,
                                    const struct store_entity_query *query, uint64_t *out_total,
                                    store_entity_fn visit, void *user, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = visit_page(c, scope, query, visit, user, error);
    if (status == STORE_OK && out_total) {
        status = count_all(c, scope, query, out_total, error);
    }
    sql_reader_return(store, c);
    return status;
}
