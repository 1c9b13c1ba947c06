/* Writing documents: saving, deleting, members of test sets, and what an agent's registration makes
 * of its endpoints. */
#include "core/alloc.h"
#include "store/store_sql.h"

/* ---- saving ---- */

static void bind_document(struct sql_statement *s, const struct store_entity *e, int at)
{
    bind_uuid_or_null(s, at, &e->project_id);
    bind_text(s, at + 1, e->name.data ? e->name : SLICE(""));
    bind_text(s, at + 2, e->status);
    bind_text(s, at + 3, e->environment);
    bind_text(s, at + 4, e->body.size ? e->body : SLICE("{}"));
    bind_uuid_or_null(s, at + 5, &e->endpoint_id);
    bind_uuid_or_null(s, at + 6, &e->test_set_id);
}

static enum store_status insert_entity(struct sql_connection *c, const struct uuid *organization,
                                       uint64_t at, const struct store_entity *e, int64_t *out_ref,
                                       struct store_error *error)
{
    static const char sql[] =
        "INSERT INTO entities(organization_id, kind, id, created_at, updated_at, project_id, name,"
        " status, environment, body, endpoint_id, test_set_id)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING ref";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, organization);
    bind_int(s, 2, e->kind);
    bind_uuid(s, 3, &e->id);
    bind_int(s, 4, at);
    bind_int(s, 5, at);
    bind_document(s, e, 6);
    enum store_status status = sql_run_returning(c, s, out_ref, error);
    return status == STORE_OK && *out_ref == 0 ? error_set(error, STORE_CONFLICT, "the id is taken")
                                               : status;
}

static enum store_status update_entity(struct sql_connection *c, const struct uuid *organization,
                                       uint64_t at, const struct store_entity *e,
                                       struct store_error *error)
{
    static const char sql[] =
        "UPDATE entities SET updated_at = ?, project_id = ?, name = ?, status = ?, environment = ?,"
        " body = ?, endpoint_id = ?, test_set_id = ?"
        " WHERE organization_id = ? AND kind = ? AND id = ? AND deleted_at IS NULL";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, at);
    bind_document(s, e, 2);
    bind_uuid(s, 9, organization);
    bind_int(s, 10, e->kind);
    bind_uuid(s, 11, &e->id);
    enum store_status status = sql_run(c, s, error);
    return status == STORE_OK && sql_changes(c) == 0
               ? error_set(error, STORE_NOT_FOUND, "no such entity")
               : status;
}

/* ---- members ---- */

static enum store_status find_set(struct sql_connection *c, const struct uuid *organization,
                                  const struct uuid *id, int64_t *out_ref,
                                  struct store_error *error)
{
    static const char sql[] = "SELECT ref FROM entities WHERE organization_id = ? AND kind = ?"
                              " AND id = ? AND deleted_at IS NULL";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, organization);
    bind_int(s, 2, ENTITY_TEST_SET);
    bind_uuid(s, 3, id);
    enum store_status status = sql_run_returning(c, s, out_ref, error);
    return status == STORE_OK && *out_ref == 0
               ? error_set(error, STORE_NOT_FOUND, "no such test set")
               : status;
}

/* A test of the set's own project; 0 for any other. */
static enum store_status find_test(struct sql_connection *c, const struct store_set_members *m,
                                   int64_t set, const struct uuid *id, int64_t *out_ref,
                                   struct store_error *error)
{
    static const char sql[] =
        "SELECT t.ref FROM entities t JOIN entities s ON s.ref = ?"
        " AND s.project_id IS NOT DISTINCT FROM t.project_id"
        " WHERE t.organization_id = ? AND t.kind = ? AND t.id = ? AND t.deleted_at IS NULL";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, set);
    bind_uuid(s, 2, &m->organization_id);
    bind_int(s, 3, ENTITY_TEST);
    bind_uuid(s, 4, id);
    return sql_run_returning(c, s, out_ref, error);
}

static enum store_status change_member(struct sql_connection *c, int64_t set, int64_t test,
                                       bool remove, struct store_error *error)
{
    static const char insert[] = "INSERT INTO test_set_tests(set_ref, test_ref) VALUES(?, ?)"
                                 " ON CONFLICT DO NOTHING";
    static const char delete[] = "DELETE FROM test_set_tests WHERE set_ref = ? AND test_ref = ?";
    struct sql_statement *s = sql_prepare(c, remove ? delete : insert, error);
    if (!s) {
        return error->status;
    }
    bind_ref(s, 1, set);
    bind_ref(s, 2, test);
    return sql_run(c, s, error);
}

enum store_status sql_set_members(struct sql_store *store, struct store_write *write,
                                  struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct store_set_members *m = &write->set_members;
    int64_t set = 0;
    enum store_status status = find_set(c, &m->organization_id, &m->set_id, &set, error);
    m->changed = 0;
    for (size_t i = 0; status == STORE_OK && i < m->count; i++) {
        int64_t test = 0;
        status = find_test(c, m, set, &m->test_ids[i], &test, error);
        if (status == STORE_OK && test) {
            status = change_member(c, set, test, m->remove, error);
            m->changed += status == STORE_OK ? sql_changes(c) : 0;
        }
    }
    return status;
}

static enum store_status save_new(struct sql_connection *c, const struct store_save_entities *save,
                                  const struct store_entity *e, uint64_t at,
                                  struct store_error *error)
{
    int64_t ref = 0;
    int64_t set = 0;
    enum store_status status = insert_entity(c, &save->organization_id, at, e, &ref, error);
    if (status != STORE_OK || e->kind != ENTITY_TEST || marline__uuid_is_nil(&save->set_id)) {
        return status;
    }
    status = find_set(c, &save->organization_id, &save->set_id, &set, error);
    return status == STORE_OK ? change_member(c, set, ref, false, error) : status;
}

enum store_status sql_save_entities(struct sql_store *store, struct store_write *write,
                                    struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    const struct store_save_entities *save = &write->save_entities;
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < save->count; i++) {
        const struct store_entity *e = &save->entities[i];
        status = save->update
                     ? update_entity(c, &save->organization_id, write->at_unix_ns, e, error)
                     : save_new(c, save, e, write->at_unix_ns, error);
    }
    return status;
}

enum store_status sql_delete_entity(struct sql_store *store, struct store_write *write,
                                    struct store_error *error)
{
    static const char sql[] = "UPDATE entities SET deleted_at = ? WHERE organization_id = ?"
                              " AND kind = ? AND id = ? AND deleted_at IS NULL";
    struct sql_connection *c = store->writer.connection;
    const struct store_delete_entity *d = &write->delete_entity;
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, write->at_unix_ns);
    bind_uuid(s, 2, &d->organization_id);
    bind_int(s, 3, d->kind);
    bind_uuid(s, 4, &d->id);
    enum store_status status = sql_run(c, s, error);
    return status == STORE_OK && sql_changes(c) == 0
               ? error_set(error, STORE_NOT_FOUND, "no such entity")
               : status;
}

/* ---- endpoints of an agent ---- */

/* Everything that agents registered there is taken for gone; whoever comes again is Active. */
static enum store_status mark_inactive(struct sql_connection *c,
                                       const struct store_sync_endpoints *sync,
                                       struct store_error *error)
{
    static const char sql[] = "UPDATE entities SET status = 'Inactive' WHERE organization_id = ?"
                              " AND project_id = ? AND kind = ? AND environment = ?"
                              " AND status = 'Active' AND deleted_at IS NULL";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &sync->organization_id);
    bind_uuid(s, 2, &sync->project_id);
    bind_int(s, 3, ENTITY_ENDPOINT);
    bind_text(s, 4, sync->environment);
    return sql_run(c, s, error);
}

struct known_endpoint {
    int64_t ref; /* 0 = not there */
    bool was_active;
};

/* Deleted ones too: they come back. */
static enum store_status find_known(struct sql_connection *c,
                                    const struct store_sync_endpoints *sync, const struct uuid *id,
                                    struct known_endpoint *out, struct store_error *error)
{
    static const char sql[] = "SELECT ref, status = 'Active' AND deleted_at IS NULL FROM entities"
                              " WHERE organization_id = ? AND kind = ? AND id = ?";
    *out = (struct known_endpoint){0};
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_uuid(s, 1, &sync->organization_id);
    bind_int(s, 2, ENTITY_ENDPOINT);
    bind_uuid(s, 3, id);
    enum store_status status = STORE_OK;
    if (sql_row(c, s, &status, error)) {
        out->ref = (int64_t)column_int(s, 0);
        out->was_active = column_int(s, 1) != 0;
        sql_reset(s);
    }
    return status;
}

static enum store_status renew(struct sql_connection *c, int64_t ref, uint64_t at,
                               const struct store_entity *e, bool has_mappings,
                               struct store_error *error)
{
    static const char sql[] =
        "UPDATE entities SET updated_at = ?, status = 'Active', deleted_at = NULL,"
        " body = CASE WHEN ? = 1 THEN ? ELSE body END WHERE ref = ?";
    struct sql_statement *s = sql_prepare(c, sql, error);
    if (!s) {
        return error->status;
    }
    bind_int(s, 1, at);
    bind_int(s, 2, has_mappings);
    bind_text(s, 3, e->body);
    bind_ref(s, 4, ref);
    return sql_run(c, s, error);
}

static enum store_status renew_all(struct sql_connection *c, const struct store_write *write,
                                   const struct known_endpoint *known, struct store_error *error)
{
    const struct store_sync_endpoints *sync = &write->sync_endpoints;
    enum store_status status = STORE_OK;
    for (size_t i = 0; status == STORE_OK && i < sync->count; i++) {
        int64_t ref = 0;
        status = known[i].ref ? renew(c, known[i].ref, write->at_unix_ns, &sync->endpoints[i],
                                      sync->has_mappings[i], error)
                              : insert_entity(c, &sync->organization_id, write->at_unix_ns,
                                              &sync->endpoints[i], &ref, error);
    }
    return status;
}

enum store_status sql_sync_endpoints(struct sql_store *store, struct store_write *write,
                                     struct store_error *error)
{
    struct sql_connection *c = store->writer.connection;
    struct store_sync_endpoints *sync = &write->sync_endpoints;
    struct known_endpoint *known = alloc_array(sync->count + 1, sizeof(*known));
    enum store_status status = STORE_OK;
    size_t still_active = 0;
    sync->created = sync->updated = sync->marked_inactive = 0;
    for (size_t i = 0; status == STORE_OK && i < sync->count; i++) {
        status = find_known(c, sync, &sync->endpoints[i].id, &known[i], error);
        sync->updated += known[i].ref != 0;
        still_active += known[i].was_active;
    }
    sync->created = sync->count - sync->updated;
    if (status == STORE_OK) {
        status = mark_inactive(c, sync, error);
        sync->marked_inactive = status == STORE_OK ? sql_changes(c) - still_active : 0;
    }
    if (status == STORE_OK) {
        status = renew_all(c, write, known, error);
    }
    marline__memory_free(known);
    return status;
}
