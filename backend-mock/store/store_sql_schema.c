/* The tables of the SQL stores, as numbered migrations applied at opening.
 *
 * Times are nanoseconds since 1970. What many spans share is stored once and pointed to by a small
 * number (`ref`): the context (key of the link), the trace, the source (project, environment,
 * resource), the post. That keeps a span's row narrow, which is what ingest speed hangs on. Written
 * in SQLite's words, with UUID for ids; for PostgreSQL the types are replaced. In SQLite ids are
 * 16-byte blobs, and the readable_* views show them as text. */
#include "store/store_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

enum { APPLICATION_ID = 0x4d61726c }; /* "Marl": the file is ours */

/* One statement per entry; NULL ends. A published migration is never edited. */
static const char *const version_1[] = {
    "CREATE TABLE projects("
    "  ref INTEGER PRIMARY KEY, id UUID NOT NULL UNIQUE, organization_id UUID NOT NULL,"
    "  name TEXT NOT NULL, created_at INTEGER NOT NULL);",
    "CREATE TABLE tokens("
    "  key_prefix INTEGER NOT NULL, key_sha256 BLOB NOT NULL UNIQUE,"
    "  organization_id UUID NOT NULL, user_id UUID NOT NULL, project_id UUID,"
    "  name TEXT NOT NULL, created_at INTEGER NOT NULL);",
    "CREATE INDEX tokens_by_prefix ON tokens(key_prefix);",
    "CREATE TABLE runs("
    "  id UUID PRIMARY KEY, organization_id UUID NOT NULL, project_id UUID NOT NULL,"
    "  environment TEXT NOT NULL, concurrency INTEGER NOT NULL, status INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER) WITHOUT ROWID;",
    "CREATE TABLE run_tests("
    "  run_id UUID NOT NULL, position INTEGER NOT NULL, test_id UUID NOT NULL,"
    "  configuration_id UUID NOT NULL, function_name TEXT NOT NULL, inputs TEXT NOT NULL,"
    "  timeout_ms INTEGER NOT NULL, PRIMARY KEY(run_id, position)) WITHOUT ROWID;",
    "CREATE TABLE contexts("
    "  ref INTEGER PRIMARY KEY, organization_id UUID NOT NULL, run_id UUID NOT NULL,"
    "  test_id UUID NOT NULL, configuration_id UUID NOT NULL, attempt INTEGER NOT NULL,"
    "  UNIQUE(run_id, test_id, configuration_id, organization_id, attempt));",
    "CREATE TABLE events("
    "  ref INTEGER PRIMARY KEY, context_ref INTEGER NOT NULL, type INTEGER NOT NULL,"
    "  at INTEGER NOT NULL, invocation_id TEXT, status INTEGER);",
    "CREATE INDEX events_by_context ON events(context_ref);",
    "CREATE TABLE results("
    "  ref INTEGER PRIMARY KEY, id UUID NOT NULL UNIQUE, context_ref INTEGER NOT NULL,"
    "  duplicate_of INTEGER, project_id UUID, status INTEGER NOT NULL,"
    "  function_name TEXT NOT NULL, output TEXT, error TEXT, duration_ms REAL NOT NULL,"
    "  trace_id TEXT, span_count INTEGER NOT NULL, stored_at INTEGER NOT NULL);",
    "CREATE INDEX results_by_context ON results(context_ref);",
    "CREATE UNIQUE INDEX results_canonical ON results(context_ref) WHERE duplicate_of IS NULL;",
    "CREATE TABLE sources("
    "  ref INTEGER PRIMARY KEY, hash INTEGER NOT NULL, organization_id UUID NOT NULL,"
    "  project_id UUID, environment TEXT NOT NULL, resource TEXT NOT NULL);",
    "CREATE INDEX sources_by_hash ON sources(hash);",
    "CREATE TABLE posts("
    "  ref INTEGER PRIMARY KEY, organization_id UUID NOT NULL, id TEXT NOT NULL,"
    "  at INTEGER NOT NULL, received INTEGER NOT NULL, stored INTEGER NOT NULL,"
    "  duplicate INTEGER NOT NULL, rejected INTEGER NOT NULL);",
    "CREATE TABLE organizations(ref INTEGER PRIMARY KEY, id UUID NOT NULL UNIQUE);",
    /* context_ref: that of all spans of the trace which have one; -1 when they differ. */
    "CREATE TABLE traces("
    "  ref INTEGER PRIMARY KEY, organization_ref INTEGER NOT NULL, trace_id BLOB NOT NULL,"
    "  has_root INTEGER NOT NULL, context_ref INTEGER, UNIQUE(organization_ref, trace_id));",
    "CREATE TABLE spans("
    "  ref INTEGER PRIMARY KEY, trace_ref INTEGER NOT NULL, span_id BLOB NOT NULL,"
    "  parent_span_id BLOB, source_ref INTEGER NOT NULL, post_ref INTEGER NOT NULL,"
    "  context_ref INTEGER, inherited INTEGER, result_ref INTEGER, link_source INTEGER,"
    "  kind INTEGER NOT NULL, status INTEGER NOT NULL, start_at INTEGER NOT NULL,"
    "  duration_ns INTEGER NOT NULL, name TEXT NOT NULL, status_message TEXT,"
    "  conversation_id TEXT, attributes TEXT, events TEXT, links TEXT);",
    /* Traces of which only inner spans came; few, and not for long. */
    "CREATE INDEX traces_rootless ON traces(ref) WHERE has_root = 0;",
    /* The identity of a span, and the way to those of a trace. */
    "CREATE UNIQUE INDEX spans_identity ON spans(trace_ref, span_id);",
    "CREATE INDEX spans_roots ON spans(start_at) WHERE parent_span_id IS NULL;",
    "CREATE INDEX spans_by_context ON spans(context_ref, result_ref, link_source)"
    "  WHERE context_ref IS NOT NULL;",
    /* Small in a healthy store: what the linking points and the sweeper look at. */
    "CREATE INDEX spans_waiting ON spans(context_ref)"
    "  WHERE context_ref IS NOT NULL AND result_ref IS NULL;",
    "CREATE TABLE link_attempts("
    "  ref INTEGER PRIMARY KEY, context_ref INTEGER NOT NULL, point INTEGER NOT NULL,"
    "  at INTEGER NOT NULL, result_found INTEGER NOT NULL, spans_found INTEGER NOT NULL,"
    "  linked INTEGER NOT NULL, error TEXT);",
    "CREATE INDEX link_attempts_by_context ON link_attempts(context_ref);",
    "CREATE TABLE span_links(trace_id BLOB NOT NULL, span_ref INTEGER NOT NULL,"
    "  PRIMARY KEY(trace_id, span_ref)) WITHOUT ROWID;",
    "CREATE TABLE enrichments("
    "  trace_ref INTEGER PRIMARY KEY, spans INTEGER NOT NULL, data TEXT NOT NULL,"
    "  cost_usd REAL NOT NULL, cost_eur REAL NOT NULL, at INTEGER NOT NULL);",
    "CREATE TABLE progress(name TEXT PRIMARY KEY, ref INTEGER NOT NULL) WITHOUT ROWID;",
    "INSERT INTO progress VALUES('spans_text', 0);",
    NULL,
};

static const char *const version_1_sqlite[] = {
    "CREATE VIRTUAL TABLE spans_text USING fts5(text, content='');",
    "CREATE VIEW readable_spans AS SELECT lower(hex(t.trace_id)) AS trace_id,"
    "  lower(hex(s.span_id)) AS span_id, lower(hex(s.parent_span_id)) AS parent_span_id, s.name,"
    "  lower(hex(c.run_id)) AS test_run_id, lower(hex(c.test_id)) AS test_id,"
    "  lower(hex(c.configuration_id)) AS test_configuration_id, c.attempt,"
    "  lower(hex(r.id)) AS test_result_id, s.link_source, s.attributes"
    "  FROM spans s JOIN traces t ON t.ref = s.trace_ref LEFT JOIN contexts c ON c.ref = "
    "s.context_ref"
    "  LEFT JOIN results r ON r.ref = s.result_ref;",
    "CREATE VIEW readable_results AS SELECT lower(hex(r.id)) AS id,"
    "  lower(hex(c.run_id)) AS test_run_id, lower(hex(c.test_id)) AS test_id,"
    "  lower(hex(c.configuration_id)) AS test_configuration_id, c.attempt, r.status, r.output,"
    "  r.error, r.duplicate_of, r.stored_at FROM results r"
    "  JOIN contexts c ON c.ref = r.context_ref;",
    NULL,
};

/* Attributes are kept as they came, which JSONB does not (order, repeated keys, digits, \\u0000);
 * JSONB and words for searching are made from them later, off the acknowledged path. */
static const char *const version_1_postgres[] = {
    "CREATE FUNCTION text_as_jsonb(t TEXT) RETURNS JSONB LANGUAGE plpgsql IMMUTABLE AS $$"
    " BEGIN RETURN t::jsonb; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$;",
    "CREATE TABLE spans_text("
    "  span_ref BIGINT PRIMARY KEY, words TSVECTOR NOT NULL, attributes JSONB);",
    "CREATE INDEX spans_text_words ON spans_text USING GIN(words);",
    "CREATE INDEX spans_text_attributes ON spans_text USING GIN(attributes jsonb_path_ops);",
    NULL,
};

static const char *const version_2[] = {
    "ALTER TABLE run_tests ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE events ADD COLUMN agent_id TEXT;", /* of invocations: who they went to */
    NULL,
};

static const char *const version_3[] = {
    /* Documents of the platform's REST API; `kind` is enum entity_kind. What is in a column is not
       in the body. A row that was deleted stays: its id is gone, not unknown. */
    "CREATE TABLE entities("
    "  ref INTEGER PRIMARY KEY, id UUID NOT NULL UNIQUE, organization_id UUID NOT NULL,"
    "  project_id UUID, kind INTEGER NOT NULL, name TEXT NOT NULL, status TEXT, environment TEXT,"
    "  body TEXT NOT NULL, endpoint_id UUID, test_set_id UUID, created_at INTEGER NOT NULL,"
    "  updated_at INTEGER NOT NULL, deleted_at INTEGER);",
    "CREATE INDEX entities_by_kind ON entities(organization_id, project_id, kind, ref);",
    "CREATE TABLE test_set_tests("
    "  ref INTEGER PRIMARY KEY, set_ref INTEGER NOT NULL, test_ref INTEGER NOT NULL,"
    "  UNIQUE(set_ref, test_ref));",
    "ALTER TABLE runs ADD COLUMN configuration_id UUID;",
    "ALTER TABLE runs ADD COLUMN name TEXT;",
    "ALTER TABLE runs ADD COLUMN attributes TEXT;",
    "ALTER TABLE results ADD COLUMN metrics TEXT;",
    "CREATE INDEX runs_by_creation ON runs(organization_id, created_at);",
    NULL,
};

/* Traces that have spans which their enrichment has not seen. The revision counts POSTs, so that an
 * enrichment does not hide what came while it was computed. */
static const char *const version_4[] = {
    "CREATE TABLE stale_traces(trace_ref INTEGER PRIMARY KEY, revision INTEGER NOT NULL);",
    "INSERT INTO stale_traces SELECT t.ref, 1 FROM traces t"
    "  LEFT JOIN enrichments e ON e.trace_ref = t.ref WHERE coalesce(e.spans, 0) <"
    "  (SELECT count(*) FROM spans s WHERE s.trace_ref = t.ref);",
    NULL,
};

static const char *const version_5[] = {
    "ALTER TABLE run_tests ADD COLUMN name TEXT;",
    "ALTER TABLE run_tests ADD COLUMN criteria TEXT;",
    "ALTER TABLE runs ADD COLUMN webhook TEXT;",
    "ALTER TABLE runs ADD COLUMN notice TEXT;",
    NULL,
};

static const char *const version_6[] = {
    /* What endpoints were asked and answered; output NULL: they failed. Joined with spans by the
       trace's id, which may come before or after. */
    "CREATE TABLE turns("
    "  ref INTEGER PRIMARY KEY, id UUID NOT NULL UNIQUE, organization_id UUID NOT NULL,"
    "  project_id UUID NOT NULL, conversation_id TEXT, trace_id BLOB NOT NULL,"
    "  input TEXT NOT NULL, output TEXT, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL);",
    "CREATE INDEX turns_by_trace ON turns(organization_id, trace_id);",
    "CREATE INDEX turns_by_conversation ON turns(organization_id, project_id, conversation_id, ref)"
    "  WHERE conversation_id IS NOT NULL;",
    NULL,
};

static const char *const version_7[] = {
    /* Which of several backends runs it: only that one takes it up again. */
    "ALTER TABLE runs ADD COLUMN backend TEXT NOT NULL DEFAULT '';",
    NULL,
};

static const char *const nothing[] = {NULL};

static const struct {
    const char *const *common;
    const char *const *sqlite;
    const char *const *postgres;
} migrations[] = {
    {version_1, version_1_sqlite, version_1_postgres},
    {version_2, nothing, nothing},
    {version_3, nothing, nothing},
    {version_4, nothing, nothing},
    {version_5, nothing, nothing},
    {version_6, nothing, nothing},
    {version_7, nothing, nothing},
};
enum { SCHEMA_VERSION = sizeof migrations / sizeof migrations[0] };

/* ---- the words of the two databases ---- */

static void append_for_postgres(struct buffer *out, const char *sql)
{
    static const struct {
        const char *sqlite;
        const char *postgres;
    } words[] = {
        {"INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"},
        {"INTEGER", "BIGINT"},
        {"REAL", "DOUBLE PRECISION"},
        {"BLOB", "BYTEA"},
        {" WITHOUT ROWID", ""},
    };
    while (*sql) {
        size_t skip = 0;
        for (size_t i = 0; i < sizeof words / sizeof words[0] && skip == 0; i++) {
            if (strncmp(sql, words[i].sqlite, strlen(words[i].sqlite)) == 0) {
                marline__buffer_append_text(out, words[i].postgres);
                skip = strlen(words[i].sqlite);
            }
        }
        if (skip == 0) {
            marline__buffer_append_byte(out, *sql);
            skip = 1;
        }
        sql += skip;
    }
}

static enum store_status execute_all(struct sql_connection *c, const char *const *script,
                                     bool translate, struct store_error *error)
{
    enum store_status status = STORE_OK;
    for (; status == STORE_OK && *script; script++) {
        struct buffer text = BUFFER_INIT;
        if (translate) {
            append_for_postgres(&text, *script);
        }
        status = sql_execute(c, translate ? text.data : *script, error);
        marline__buffer_deinit(&text);
    }
    return status;
}

/* ---- migrating ---- */

struct present {
    int64_t version;
    int64_t application;
    int64_t tables; /* 0: the database is empty */
};

static enum store_status read_present(struct sql_connection *c, struct present *out,
                                      struct store_error *error)
{
    static const char sqlite[] = "SELECT user_version, application_id,"
                                 " (SELECT count(*) FROM sqlite_schema)"
                                 " FROM pragma_user_version, pragma_application_id";
    static const char postgres[] = "SELECT coalesce(max(version), 0), 0, 0 FROM schema_version";
    struct sql_statement *s = sql_prepare(c, sql_choose(c, sqlite, postgres), error);
    if (!s) {
        return error->status;
    }
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        out->version = (int64_t)column_int(s, 0);
        out->application = (int64_t)column_int(s, 1);
        out->tables = (int64_t)column_int(s, 2);
        sql_reset(s);
    }
    return status;
}

static enum store_status check_owner(struct sql_connection *c, const struct present *present,
                                     struct store_error *error)
{
    if (present->tables > 0 && present->application != APPLICATION_ID) {
        return error_set(error, STORE_BROKEN,
                         "%s is the database of another program; name another file with --store",
                         c->name);
    }
    if (present->version > SCHEMA_VERSION) {
        return error_set(error, STORE_BROKEN,
                         "%s was written by a newer marline-backend-mock (schema %" PRId64
                         ", this one knows %d); use that, or another database",
                         c->name, present->version, SCHEMA_VERSION);
    }
    return STORE_OK;
}

static enum store_status apply(struct sql_connection *c, size_t index, struct store_error *error)
{
    bool is_sqlite = c->driver->dialect == SQL_SQLITE;
    char mark[96];
    if (is_sqlite) {
        (void)snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %zu",
                       APPLICATION_ID, index + 1);
    } else {
        (void)snprintf(mark, sizeof mark, "INSERT INTO schema_version VALUES(%zu)", index + 1);
    }
    enum store_status status = execute_all(c, migrations[index].common, !is_sqlite, error);
    if (status == STORE_OK) {
        status = execute_all(c, is_sqlite ? migrations[index].sqlite : migrations[index].postgres,
                             false, error);
    }
    return status == STORE_OK ? sql_execute(c, mark, error) : status;
}

/* In PostgreSQL everything lives in a schema of its own; the lock, in SQLite the transaction's
 * own, keeps apart two processes that start on a new database. */
static enum store_status lock_and_prepare(struct sql_connection *c, struct store_error *error)
{
    static const char postgres[] =
        "SELECT pg_advisory_xact_lock(5577006791947779410);"
        " CREATE SCHEMA IF NOT EXISTS marline;"
        " CREATE TABLE IF NOT EXISTS schema_version(version BIGINT PRIMARY KEY)";
    return c->driver->dialect == SQL_SQLITE ? STORE_OK : sql_execute(c, postgres, error);
}

enum store_status sql_migrate(struct sql_connection *c, struct store_error *error)
{
    struct present present = {0};
    enum store_status status = sql_execute(c, c->driver->begin_write, error);
    if (status != STORE_OK) {
        return status;
    }
    status = lock_and_prepare(c, error);
    if (status == STORE_OK) {
        status = read_present(c, &present, error);
    }
    if (status == STORE_OK) {
        status = check_owner(c, &present, error);
    }
    for (size_t i = (size_t)present.version; status == STORE_OK && i < SCHEMA_VERSION; i++) {
        status = apply(c, i, error);
    }
    if (status == STORE_OK) {
        return sql_execute(c, "COMMIT", error);
    }
    struct store_error ignored; /* the first error is the one to tell */
    (void)sql_execute(c, "ROLLBACK", &ignored);
    return status;
}
