/* The tables of the SQLite store, as numbered migrations applied at opening.
 *
 * Ids are 16-byte blobs, times nanoseconds since 1970. What many spans share is stored once and
 * pointed to by a small number (`ref`): the context (key of the link), the source (project,
 * environment, resource), the post. That keeps a span's row narrow, which is what ingest speed
 * hangs on. The readable_* views show the same with ids as text. */
#include "store/store_sqlite.h"

#include <inttypes.h>
#include <stdio.h>

enum { APPLICATION_ID = 0x4d61726c }; /* "Marl": the file is ours */

/* One statement per entry; NULL ends. A published migration is never edited. */
static const char *const version_1[] = {
    "CREATE TABLE projects("
    "  ref INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, organization_id BLOB NOT NULL,"
    "  name TEXT NOT NULL, created_at INTEGER NOT NULL);",
    "CREATE TABLE tokens("
    "  key_prefix INTEGER NOT NULL, key_sha256 BLOB NOT NULL UNIQUE,"
    "  organization_id BLOB NOT NULL, user_id BLOB NOT NULL, project_id BLOB,"
    "  name TEXT NOT NULL, created_at INTEGER NOT NULL);",
    "CREATE INDEX tokens_by_prefix ON tokens(key_prefix);",
    "CREATE TABLE runs("
    "  id BLOB PRIMARY KEY, organization_id BLOB NOT NULL, project_id BLOB NOT NULL,"
    "  environment TEXT NOT NULL, concurrency INTEGER NOT NULL, status INTEGER NOT NULL,"
    "  created_at INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER) WITHOUT ROWID;",
    "CREATE TABLE run_tests("
    "  run_id BLOB NOT NULL, position INTEGER NOT NULL, test_id BLOB NOT NULL,"
    "  configuration_id BLOB NOT NULL, function_name TEXT NOT NULL, inputs TEXT NOT NULL,"
    "  timeout_ms INTEGER NOT NULL, PRIMARY KEY(run_id, position)) WITHOUT ROWID;",
    "CREATE TABLE contexts("
    "  ref INTEGER PRIMARY KEY, organization_id BLOB NOT NULL, run_id BLOB NOT NULL,"
    "  test_id BLOB NOT NULL, configuration_id BLOB NOT NULL, attempt INTEGER NOT NULL,"
    "  UNIQUE(run_id, test_id, configuration_id, organization_id, attempt));",
    "CREATE TABLE events("
    "  ref INTEGER PRIMARY KEY, context_ref INTEGER NOT NULL, type INTEGER NOT NULL,"
    "  at INTEGER NOT NULL, invocation_id TEXT, status INTEGER);",
    "CREATE INDEX events_by_context ON events(context_ref);",
    "CREATE TABLE results("
    "  ref INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, context_ref INTEGER NOT NULL,"
    "  duplicate_of INTEGER, project_id BLOB, status INTEGER NOT NULL,"
    "  function_name TEXT NOT NULL, output TEXT, error TEXT, duration_ms REAL NOT NULL,"
    "  trace_id TEXT, span_count INTEGER NOT NULL, stored_at INTEGER NOT NULL);",
    "CREATE INDEX results_by_context ON results(context_ref);",
    "CREATE UNIQUE INDEX results_canonical ON results(context_ref) WHERE duplicate_of IS NULL;",
    "CREATE TABLE sources("
    "  ref INTEGER PRIMARY KEY, hash INTEGER NOT NULL, organization_id BLOB NOT NULL,"
    "  project_id BLOB, environment TEXT NOT NULL, resource TEXT NOT NULL);",
    "CREATE INDEX sources_by_hash ON sources(hash);",
    "CREATE TABLE posts("
    "  ref INTEGER PRIMARY KEY, organization_id BLOB NOT NULL, id TEXT NOT NULL,"
    "  at INTEGER NOT NULL, received INTEGER NOT NULL, stored INTEGER NOT NULL,"
    "  duplicate INTEGER NOT NULL, rejected INTEGER NOT NULL);",
    "CREATE TABLE organizations(ref INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);",
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
    "CREATE VIRTUAL TABLE spans_text USING fts5(text, content='');",
    "CREATE TABLE progress(name TEXT PRIMARY KEY, ref INTEGER NOT NULL) WITHOUT ROWID;",
    "INSERT INTO progress VALUES('spans_text', 0);",
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

static const char *const *const migrations[] = {version_1};
enum { SCHEMA_VERSION = sizeof migrations / sizeof migrations[0] };

static enum store_status read_pragma(struct connection *c, const char *text, int64_t *out,
                                     struct store_error *error)
{
    sqlite3_stmt *s = connection_statement(c, text, error);
    if (!s) {
        return error->status;
    }
    enum store_status status = STORE_OK;
    *out = statement_row(c, s, &status, error) ? sqlite3_column_int64(s, 0) : 0;
    (void)sqlite3_reset(s);
    return status;
}

static enum store_status check_owner(struct connection *c, int64_t version,
                                     struct store_error *error)
{
    static const char application_sql[] = "PRAGMA application_id";
    static const char tables_sql[] = "SELECT count(*) FROM sqlite_schema";
    int64_t application = 0;
    int64_t tables = 0;
    enum store_status status = read_pragma(c, application_sql, &application, error);
    if (status == STORE_OK) {
        status = read_pragma(c, tables_sql, &tables, error);
    }
    if (status != STORE_OK) {
        return status;
    }
    if (tables > 0 && application != APPLICATION_ID) {
        return error_set(error, STORE_BROKEN,
                         "%s is the database of another program; name another file with --store",
                         c->name);
    }
    if (version > SCHEMA_VERSION) {
        return error_set(error, STORE_BROKEN,
                         "%s was written by a newer marline-backend-mock (schema %" PRId64
                         ", this one knows %d); use that, or another file",
                         c->name, version, SCHEMA_VERSION);
    }
    return STORE_OK;
}

static enum store_status apply(struct connection *c, size_t index, struct store_error *error)
{
    char mark[96];
    (void)snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %zu",
                   APPLICATION_ID, index + 1);
    enum store_status status = STORE_OK;
    for (const char *const *sql = migrations[index]; status == STORE_OK && *sql; sql++) {
        status = connection_execute(c, *sql, error);
    }
    return status == STORE_OK ? connection_execute(c, mark, error) : status;
}

/* The version is read inside the transaction that upgrades: two processes may open a new file at
 * the same time. */
enum store_status sqlite_migrate(struct connection *c, struct store_error *error)
{
    static const char version_sql[] = "PRAGMA user_version";
    enum store_status status = connection_execute(c, "BEGIN IMMEDIATE", error);
    if (status != STORE_OK) {
        return status;
    }
    int64_t version = 0;
    status = read_pragma(c, version_sql, &version, error);
    if (status == STORE_OK) {
        status = check_owner(c, version, error);
    }
    for (size_t i = (size_t)version; status == STORE_OK && i < SCHEMA_VERSION; i++) {
        status = apply(c, i, error);
    }
    if (status == STORE_OK) {
        return connection_execute(c, "COMMIT", error);
    }
    struct store_error ignored; /* the first error is the one to tell */
    (void)connection_execute(c, "ROLLBACK", &ignored);
    return status;
}
