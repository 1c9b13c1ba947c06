/* The SQLite store's transactions, and all writes but spans and links. */
#include "store/store_sql.h"

#include <assert.h>
#include <string.h>

#include "core/alloc.h"

/* ---- projects, tokens, runs ---- */

static enum store_status create_organization(struct sql_connection *c, const struct uuid *id,
                                             struct store_error *error)
{
    static const char sql[] = "INSERT INTO organizations(id) VALUES(?) ON CONFLICT DO NOTHING";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, id);
    return sql_run(c, s, error);
}

/* STORE_OK when the project is one of the organization's. */
static enum store_status check_project(struct sql_connection *c, const struct uuid *organization_id,
                                       const struct uuid *project_id, struct store_error *error)
{
    static const char sql[] = "SELECT 1 FROM projects WHERE id = ? AND organization_id = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, project_id);
    bind_uuid(s, 2, organization_id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        sql_reset(s);
        return STORE_OK;
    }
    return status == STORE_OK ? error_set(error, STORE_NOT_FOUND, "no such project") : status;
}

static enum store_status create_project(struct sql_store *store, struct store_write *write,
                                        struct store_error *error)
{
    static const char sql[] = "INSERT INTO projects(id, organization_id, name, created_at)"
                              " VALUES(?, ?, ?, ?) ON CONFLICT DO NOTHING";
    struct sql_connection *c = store->writer.connection;
    const struct store_create_project *p = &write->create_project;
    enum store_status status = create_organization(c, &p->organization_id, error);
    if (status != STORE_OK) {
        return status;
    }
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &p->project_id);
    bind_uuid(s, 2, &p->organization_id);
    bind_text(s, 3, p->name);
    bind_int(s, 4, write->at_unix_ns);
    status = sql_run(c, s, error);
    if (status != STORE_OK || sql_changes(c) == 1) {
        return status;
    }
    status = check_project(c, &p->organization_id, &p->project_id, error);
    return status == STORE_NOT_FOUND
               ? error_set(error, STORE_CONFLICT, "the project belongs to another organization")
               : status;
}

/* The first eight bytes of a digest find its row; the comparison that decides is constant-time. */
static uint64_t key_prefix(const uint8_t sha256[32])
{
    uint64_t prefix = 0;
    memcpy(&prefix, sha256, sizeof prefix);
    return prefix;
}

static enum store_status create_token(struct sql_store *store, struct store_write *write,
                                      struct store_error *error)
{
    static const char sql[] = "INSERT INTO tokens(key_prefix, key_sha256, organization_id, user_id,"
                              " project_id, name, created_at) VALUES(?, ?, ?, ?, ?, ?, ?)"
                              " ON CONFLICT DO NOTHING";
    struct sql_connection *c = store->writer.connection;
    const struct store_create_token *t = &write->create_token;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, key_prefix(t->key_sha256));
    bind_blob(s, 2, t->key_sha256, sizeof t->key_sha256);
    bind_uuid(s, 3, &t->organization_id);
    bind_uuid(s, 4, &t->user_id);
    bind_uuid_or_null(s, 5, &t->project_id);
    bind_text(s, 6, t->name);
    bind_int(s, 7, write->at_unix_ns);
    return sql_run(c, s, error);
}

static bool digests_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++) {
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    }
    return difference == 0;
}

static enum store_status find_token(struct sql_connection *c, const uint8_t key_sha256[32],
                                    struct store_token *out, struct store_error *error)
{
    static const char sql[] = "SELECT key_sha256, organization_id, user_id, project_id FROM tokens"
                              " WHERE key_prefix = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, key_prefix(key_sha256));
    enum store_status status = STORE_OK;
    bool found = false;
    while (sql_row(c, s, &status, error)) {
        uint8_t digest[32];
        if (column_blob(s, 0, digest, sizeof digest) && digests_equal(digest, key_sha256, 32)) {
            found = true;
            out->organization_id = column_uuid(s, 1);
            out->user_id = column_uuid(s, 2);
            out->project_id = column_uuid(s, 3);
        }
    }
    return status != STORE_OK || found ? status
                                       : error_set(error, STORE_NOT_FOUND, "unknown API key");
}

enum store_status sql_find_token(struct store *base, const uint8_t key_sha256[32],
                                 struct store_token *out, struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    struct sql_connection *c = sql_reader_take(store, error);
    if (!c) {
        return error->status;
    }
    enum store_status status = find_token(c, key_sha256, out, error);
    sql_reader_return(store, c);
    return status;
}

static enum store_status insert_run_test(struct sql_connection *c, const struct uuid *run_id,
                                         size_t position, const struct store_run_test *test,
                                         struct store_error *error)
{
    static const char sql[] = "INSERT INTO run_tests(run_id, position, test_id, configuration_id,"
                              " function_name, inputs, timeout_ms, retries, name, criteria)"
                              " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, run_id);
    bind_int(s, 2, position);
    bind_uuid(s, 3, &test->test_id);
    bind_uuid(s, 4, &test->configuration_id);
    bind_text(s, 5, test->function_name);
    bind_text(s, 6, test->inputs);
    bind_int(s, 7, test->timeout_ms);
    bind_int(s, 8, test->retries);
    bind_text(s, 9, test->name);
    bind_text(s, 10, test->criteria);
    return sql_run(c, s, error);
}

static enum store_status create_run(struct sql_store *store, struct store_write *write,
                                    struct store_error *error)
{
    static const char sql[] = "INSERT INTO runs(id, organization_id, project_id, environment,"
                              " concurrency, status, created_at, configuration_id, name,"
                              " attributes, webhook, backend)"
                              " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    struct sql_connection *c = store->writer.connection;
    const struct store_create_run *r = &write->create_run;
    enum store_status status = check_project(c, &r->organization_id, &r->project_id, error);
    if (status != STORE_OK) {
        return status;
    }
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &r->run_id);
    bind_uuid(s, 2, &r->organization_id);
    bind_uuid(s, 3, &r->project_id);
    bind_text(s, 4, r->environment);
    bind_int(s, 5, r->concurrency);
    bind_int(s, 6, RUN_QUEUED);
    bind_int(s, 7, write->at_unix_ns);
    bind_uuid_or_null(s, 8, &r->configuration_id);
    bind_text(s, 9, r->name);
    bind_text(s, 10, r->attributes);
    bind_text(s, 11, r->webhook);
    bind_text(s, 12, r->backend.data ? r->backend : SLICE(""));
    status = sql_run(c, s, error);
    for (size_t i = 0; status == STORE_OK && i < r->test_count; i++) {
        status = insert_run_test(c, &r->run_id, i, &r->tests[i], error);
    }
    return status;
}

static enum store_status set_run_status(struct sql_store *store, struct store_write *write,
                                        struct store_error *error)
{
    static const char sql[] =
        "UPDATE runs SET status = ?3,"
        " started_at = CASE WHEN ?3 IN (1, 2) THEN coalesce(started_at, ?4) ELSE started_at END,"
        " finished_at = CASE WHEN ?3 IN (2, 3) THEN coalesce(finished_at, ?4) ELSE finished_at END"
        " WHERE id = ?1 AND organization_id = ?2";
    struct sql_connection *c = store->writer.connection;
    const struct store_set_run_status *r = &write->set_run_status;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &r->run_id);
    bind_uuid(s, 2, &r->organization_id);
    bind_int(s, 3, r->status);
    bind_int(s, 4, write->at_unix_ns);
    enum store_status status = sql_run(c, s, error);
    if (status == STORE_OK && sql_changes(c) == 0) {
        return error_set(error, STORE_NOT_FOUND, "no such test run");
    }
    return status;
}

static enum store_status set_run_notice(struct sql_store *store, struct store_write *write,
                                        struct store_error *error)
{
    static const char sql[] = "UPDATE runs SET notice = ?3 WHERE id = ?1 AND organization_id = ?2";
    struct sql_connection *c = store->writer.connection;
    const struct store_set_run_notice *r = &write->set_run_notice;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &r->run_id);
    bind_uuid(s, 2, &r->organization_id);
    bind_text(s, 3, r->notice);
    enum store_status status = sql_run(c, s, error);
    if (status == STORE_OK && sql_changes(c) == 0) {
        return error_set(error, STORE_NOT_FOUND, "no such test run");
    }
    return status;
}

/* ---- events and results ---- */

struct event_row {
    const struct link_key *key;
    enum store_event_type type;
    struct slice invocation_id;
    struct slice agent_id;
    enum result_status status;
};

static enum store_status insert_event(struct sql_store *store, const struct store_write *write,
                                      const struct event_row *event, struct store_error *error)
{
    static const char sql[] = "INSERT INTO events(context_ref, type, at, invocation_id, agent_id,"
                              " status) VALUES(?, ?, ?, ?, ?, ?)";
    struct sql_connection *c = store->writer.connection;
    int64_t context = 0;
    enum store_status status = sql_context(store, event->key, &context, error);
    if (status != STORE_OK) {
        return status;
    }
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    bind_int(s, 2, event->type);
    bind_int(s, 3, write->at_unix_ns);
    bind_text(s, 4, event->invocation_id);
    bind_text(s, 5, event->agent_id);
    bind_int(s, 6, event->status);
    return sql_run(c, s, error);
}

static enum store_status record_invoked(struct sql_store *store, struct store_write *write,
                                        struct store_error *error)
{
    const struct event_row event = {.key = &write->record_invoked.key,
                                    .type = EVENT_INVOKED,
                                    .invocation_id = write->record_invoked.invocation_id,
                                    .agent_id = write->record_invoked.agent_id};
    return insert_event(store, write, &event, error);
}

static enum store_status record_received(struct sql_store *store, struct store_write *write,
                                         struct store_error *error)
{
    const struct event_row event = {.key = &write->record_received.key,
                                    .type = EVENT_RESULT_RECEIVED,
                                    .status = write->record_received.status};
    return insert_event(store, write, &event, error);
}

/* Inserts one row; a conflict, with the canonical index or with the id, inserts nothing. */
static enum store_status insert_result_row(struct sql_connection *c,
                                           const struct store_write *write, const struct uuid *id,
                                           int64_t context, int64_t duplicate_of,
                                           struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO results(id, context_ref, duplicate_of, project_id, status, function_name,"
        " output, error, duration_ms, trace_id, span_count, stored_at, metrics)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    const struct store_insert_result *r = &write->insert_result;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, id);
    bind_ref(s, 2, context);
    bind_ref(s, 3, duplicate_of);
    bind_uuid_or_null(s, 4, &r->project_id);
    bind_int(s, 5, r->status);
    bind_text(s, 6, r->function_name.data ? r->function_name : SLICE(""));
    bind_text(s, 7, r->output.size > 0 ? r->output : SLICE_EMPTY);
    bind_text(s, 8, r->error);
    bind_double(s, 9, r->duration_ms);
    bind_text(s, 10, r->trace_id);
    bind_int(s, 11, r->span_count);
    bind_int(s, 12, write->at_unix_ns);
    bind_text(s, 13, r->metrics.size > 0 ? r->metrics : SLICE_EMPTY);
    return sql_run(c, s, error);
}

static enum store_status find_canonical(struct sql_connection *c, int64_t context, int64_t *out_ref,
                                        struct uuid *out_id, struct store_error *error)
{
    static const char sql[] =
        "SELECT ref, id FROM results WHERE context_ref = ? AND duplicate_of IS NULL";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, context);
    enum store_status status = STORE_OK;
    if (!sql_row(c, s, &status, error)) {
        return status == STORE_OK ? error_set(error, STORE_CONFLICT, "the result's id is taken")
                                  : status;
    }
    *out_ref = (int64_t)column_int(s, 0);
    *out_id = column_uuid(s, 1);
    sql_reset(s);
    return STORE_OK;
}

/* The unique index on canonical results decides who is first; nothing is read beforehand. */
static enum store_status insert_result(struct sql_store *store, struct store_write *write,
                                       struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct store_insert_result *r = &write->insert_result;
    if (r->key.attempt == 0) {
        return error_set(error, STORE_INVALID, "a result needs the number of its attempt");
    }
    int64_t context = 0;
    enum store_status status = sql_context(store, &r->key, &context, error);
    if (status != STORE_OK) {
        return status;
    }
    struct uuid id = link_key_result_id(&r->key);
    status = insert_result_row(c, write, &id, context, 0, error);
    r->is_duplicate = status == STORE_OK && sql_changes(c) == 0;
    r->result_id = id;
    if (!r->is_duplicate) {
        return status;
    }
    int64_t canonical = 0;
    status = find_canonical(c, context, &canonical, &r->duplicate_of, error);
    r->result_id = r->spare_id;
    return status == STORE_OK ? insert_result_row(c, write, &r->spare_id, context, canonical, error)
                              : status;
}

static enum store_status record_rejected(struct sql_store *store, struct store_write *write,
                                         struct store_error *error)
{
    static const char sql[] = "INSERT INTO posts(organization_id, id, at, received, stored,"
                              " duplicate, rejected) VALUES(?1, ?2, ?3, ?4, 0, 0, ?4)";
    struct sql_connection *c = store->writer.connection;
    const struct store_record_rejected *r = &write->record_rejected;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &r->organization_id);
    bind_text(s, 2, r->post_id.data ? r->post_id : SLICE(""));
    bind_int(s, 3, write->at_unix_ns);
    bind_int(s, 4, r->spans);
    return sql_run(c, s, error);
}

/* ---- the transaction ---- */

typedef enum store_status (*write_fn)(struct sql_store *store, struct store_write *write,
                                      struct store_error *error);

static const write_fn write_functions[] = {
    [STORE_CREATE_PROJECT] = create_project,
    [STORE_CREATE_TOKEN] = create_token,
    [STORE_CREATE_RUN] = create_run,
    [STORE_SET_RUN_STATUS] = set_run_status,
    [STORE_SET_RUN_NOTICE] = set_run_notice,
    [STORE_RECORD_INVOKED] = record_invoked,
    [STORE_RECORD_RECEIVED] = record_received,
    [STORE_INSERT_RESULT] = insert_result,
    [STORE_INSERT_SPANS] = sql_insert_spans,
    [STORE_RECORD_REJECTED] = record_rejected,
    [STORE_LINK] = sql_link,
    [STORE_RECORD_ATTEMPT] = sql_record_attempt,
    [STORE_ENRICH] = sql_enrich,
    [STORE_INDEX_TEXT] = sql_index_text,
    [STORE_SAVE_ENTITIES] = sql_save_entities,
    [STORE_DELETE_ENTITY] = sql_delete_entity,
    [STORE_SET_MEMBERS] = sql_set_members,
    [STORE_SYNC_ENDPOINTS] = sql_sync_endpoints,
    [STORE_RECORD_TURN] = sql_record_turn,
};

/* ---- the keys of many writes at once ---- */

struct keys {
    const struct link_key **at; /* owned; borrows the keys */
    size_t count;
};

static const struct link_key *key_of(const struct store_write *write)
{
    switch (write->type) {
    case STORE_RECORD_INVOKED:
        return &write->record_invoked.key;
    case STORE_RECORD_RECEIVED:
        return &write->record_received.key;
    case STORE_INSERT_RESULT:
        return write->insert_result.key.attempt ? &write->insert_result.key : NULL;
    case STORE_LINK:
        return &write->link.key;
    case STORE_RECORD_ATTEMPT:
        return &write->record_attempt.key;
    default:
        return NULL;
    }
}

static void add_keys(struct keys *keys, const struct store_write *write)
{
    const struct store_insert_spans *in = &write->insert_spans;
    for (size_t i = 0; write->type == STORE_INSERT_SPANS && i < in->count; i++) {
        if (in->spans[i].has_key && !in->spans[i].inherited) {
            keys->at[keys->count++] = &in->spans[i].key;
        }
    }
    const struct link_key *key = key_of(write);
    if (key) {
        keys->at[keys->count++] = key;
    }
}

/* Before anything else of a transaction: whoever has the first key of those that are new waits for
 * nobody who has a later one. */
static enum store_status warm_contexts(struct sql_store *store, struct store_write *const *writes,
                                       size_t count, struct store_error *error)
{
    struct keys keys = {.count = 0};
    size_t max = 0;
    if (!sql_takes_rows(store->writer.connection)) {
        return STORE_OK;
    }
    for (size_t i = 0; i < count; i++) {
        max += writes[i]->type == STORE_INSERT_SPANS ? writes[i]->insert_spans.count : 1;
    }
    keys.at = alloc_array(max + 1, sizeof(struct link_key *));
    for (size_t i = 0; i < count; i++) {
        add_keys(&keys, writes[i]);
    }
    enum store_status status = sql_contexts_warm(store, keys.at, keys.count, error);
    marline__memory_free(keys.at);
    return status;
}

/* ---- one write after the other ---- */

/* An error of the database itself rather than of one write: the batch has no future. */
static bool is_fatal(struct sql_connection *c, enum store_status status)
{
    return status == STORE_BUSY || status == STORE_FULL || status == STORE_BROKEN ||
           !c->driver->in_transaction(c);
}

static enum store_status carry_out(struct sql_store *store, struct store_write *write)
{
    write->outcome = (struct store_error){STORE_OK, ""};
    return write_functions[write->type](store, write, &write->outcome);
}

/* The first of the writes, and those that go together with it. Returns how many. */
static size_t carry_out_first(struct sql_store *store, struct store_write *const *writes,
                              size_t count, enum store_status *out_status,
                              struct store_error *error)
{
    size_t links = sql_links_together(store->writer.connection, writes, count);
    if (links > 1) {
        *out_status = sql_link_all(store, writes, links, error);
        return links;
    }
    *out_status = carry_out(store, writes[0]);
    *error = writes[0]->outcome;
    return 1;
}

/* One write under its savepoint. Returns the error of the batch; that of the write is in it. */
static enum store_status carry_out_guarded(struct sql_store *store, struct store_write *write,
                                           struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    enum store_status status = sql_execute(c, "SAVEPOINT one", error);
    if (status != STORE_OK) {
        return status;
    }
    status = carry_out(store, write);
    if (status != STORE_OK) {
        intern_clear(&store->writer.intern);
        if (is_fatal(c, status)) {
            *error = write->outcome;
            return status;
        }
        status = sql_execute(c, "ROLLBACK TO SAVEPOINT one", error);
        if (status != STORE_OK) {
            return status;
        }
    }
    return sql_execute(c, "RELEASE SAVEPOINT one", error);
}

static enum store_status roll_back(struct sql_store *store, enum store_status why)
{
    struct sql_connection *c = store->writer.connection;
    struct store_error ignored; /* the first error is the one to tell */
    intern_clear(&store->writer.intern);
    if (c->driver->in_transaction(c)) {
        (void)sql_execute(c, "ROLLBACK", &ignored);
    }
    return why;
}

static enum store_status transact_guarded(struct sql_store *store,
                                          struct store_write *const *writes, size_t count,
                                          struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    enum store_status status = sql_execute(c, c->driver->begin_write, error);
    if (status == STORE_OK) {
        status = warm_contexts(store, writes, count, error);
    }
    for (size_t i = 0; status == STORE_OK && i < count; i++) {
        status = carry_out_guarded(store, writes[i], error);
    }
    if (status == STORE_OK) {
        status = sql_execute(c, "COMMIT", error);
    }
    return status == STORE_OK ? STORE_OK : roll_back(store, status);
}

/* Almost no write fails, and a savepoint makes SQLite keep a copy of every page that changes under
 * it (a third of the time, measured), so the batch is first tried without. When a write fails that
 * would spoil its neighbours, all is undone and carried out again, each write under its own. */
static enum store_status transact(struct sql_store *store, struct store_write *const *writes,
                                  size_t count, struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    c->driver->refresh(c);
    if (c->driver->dialect == SQL_POSTGRES) {
        intern_forget_traces(&store->writer.intern);
    }
    enum store_status status = sql_execute(c, c->driver->begin_write, error);
    if (status == STORE_OK) {
        status = warm_contexts(store, writes, count, error);
    }
    if (status != STORE_OK) {
        return roll_back(store, status);
    }
    for (size_t i = 0; i < count;) {
        i += carry_out_first(store, writes + i, count - i, &status, error);
        if (status != STORE_OK) {
            bool fatal = is_fatal(c, status);
            (void)roll_back(store, status);
            return fatal ? status : transact_guarded(store, writes, count, error);
        }
    }
    status = sql_execute(c, "COMMIT", error);
    return status == STORE_OK ? STORE_OK : roll_back(store, status);
}

enum { RETRIES_MAX = 5 }; /* against other backends on the same database */

enum store_status sql_write_all(struct store *base, struct store_write *const *writes, size_t count,
                                struct store_error *error)
{
    struct sql_store *store = (struct sql_store *)base;
    if (count == 0) {
        return STORE_OK;
    }
    (void)pthread_mutex_lock(&store->writer.mutex);
    enum store_status status = transact(store, writes, count, error);
    struct sql_connection *c = store->writer.connection;
    for (int i = 0; i < RETRIES_MAX && status != STORE_OK && c->driver->is_retriable(c); i++) {
        status = transact(store, writes, count, error);
    }
    (void)pthread_mutex_unlock(&store->writer.mutex);
    for (size_t i = 0; status != STORE_OK && i < count; i++) {
        writes[i]->outcome = *error;
    }
    return status;
}
