/* See entity_save.h. */
#include "http/entity_save.h"

#include "base/clock.h"
#include "core/alloc.h"

struct entity_save *entity_save_create(struct http_request *r, size_t count)
{
    struct entity_save *save = alloc_zeroed(sizeof(*save));
    save->request = r;
    save->server = http_request_server(r);
    save->count = count;
    save->drafts = alloc_array(count, sizeof(*save->drafts));
    save->entities = alloc_array(count, sizeof(*save->entities));
    return save;
}

void entity_save_free(struct entity_save *save)
{
    for (size_t i = 0; i < save->count; i++) {
        entity_draft_deinit(&save->drafts[i]);
    }
    entity_copy_deinit(&save->before);
    marline__memory_free(save->drafts);
    marline__memory_free(save->entities);
    marline__memory_free(save);
}

/* ---- what a draft refers to ---- */

static void note_any(void *user, const struct store_project *row)
{
    (void)row;
    *(bool *)user = true;
}

/* The project that the body names must be one that the key may see. */
static bool check_project(struct entity_save *save, const struct uuid *project)
{
    struct store_scope scope = routes_scope(save->request);
    struct store_error error;
    bool found = false;
    bool foreign = !marline__uuid_is_nil(&scope.project_id) &&
                   !marline__uuid_equal(&scope.project_id, project);
    scope.project_id = *project;
    if (!foreign &&
        store_list_projects(save->server->store, &scope, note_any, &found, &error) != STORE_OK) {
        routes_answer_store_error(save->request, &error, NULL);
        return false;
    }
    if (!found) {
        char text[UUID_TEXT_SIZE];
        marline__uuid_format(project, text);
        http_answer_detail(save->request, 403, "User is not a member of project %s", text);
    }
    return found;
}

static void note_row(void *user, const struct store_entity_row *row)
{
    *(bool *)user = !row->is_deleted;
}

static bool check_reference(struct entity_save *save, const struct store_scope *scope,
                            enum entity_kind kind, const struct uuid *id)
{
    const struct store_entity_query query = {.kind = kind, .id = *id, .limit = 1};
    struct store_error error;
    bool found = false;
    if (marline__uuid_is_nil(id)) {
        return true;
    }
    if (store_list_entities(save->server->store, scope, &query, NULL, note_row, &found, &error) !=
        STORE_OK) {
        routes_answer_store_error(save->request, &error, NULL);
        return false;
    }
    if (!found) {
        char text[UUID_TEXT_SIZE];
        marline__uuid_format(id, text);
        http_answer_detail(save->request, 400, "Invalid %s: there is no %s",
                           entity_id_parameter(kind), text);
    }
    return found;
}

bool entity_save_place(struct entity_save *save, struct entity_draft *draft,
                       const struct store_scope *scope)
{
    struct store_entity *e = &draft->entity;
    struct store_scope own = *scope;
    if (draft->has_project && !marline__uuid_is_nil(&e->project_id)) {
        if (!check_project(save, &e->project_id)) {
            return false;
        }
    } else if (marline__uuid_is_nil(&e->project_id)) {
        e->project_id = scope->project_id;
    }
    own.project_id = e->project_id;
    own.only_without_project = marline__uuid_is_nil(&e->project_id);
    return check_reference(save, &own, ENTITY_ENDPOINT, &e->endpoint_id) &&
           check_reference(save, &own, ENTITY_TEST_SET, &e->test_set_id);
}

/* ---- storing ---- */

void entity_save_row(const struct entity_save *save, size_t index, struct store_entity_row *out)
{
    const struct store_entity *e = &save->entities[index];
    uint64_t now = save->commit.write.at_unix_ns;
    bool is_new = marline__uuid_is_nil(&save->before.row.id);
    *out = (struct store_entity_row){
        .id = e->id,
        .project_id = e->project_id,
        .name = e->name,
        .status = e->status,
        .environment = e->environment,
        .created_unix_ns = is_new ? now : save->before.row.created_unix_ns,
        .updated_unix_ns = now,
        .body = e->body,
        .endpoint_id = e->endpoint_id,
        .test_set_id = e->test_set_id,
        .test_count = is_new ? save->count - 1 : save->before.row.test_count,
    };
}

/* On the commit queue's thread, or on the caller's when the queue is full. */
static void stored(struct commit *commit, void *user)
{
    struct entity_save *save = user;
    const struct store_error *outcome = &commit->write.outcome;
    enum entity_kind kind = save->entities[0].kind;
    if (outcome->status == STORE_NOT_FOUND) { /* deleted in the meantime */
        entity_answer_not_found(save->request, kind, &save->entities[0].id);
    } else if (outcome->status != STORE_OK) {
        routes_answer_store_error(save->request, outcome, NULL);
    } else if (!save->done) {
        struct store_entity_row row;
        entity_save_row(save, 0, &row);
        entity_answer(save->request, kind, &row);
    }
    if (save->done) {
        save->done(save, outcome->status == STORE_OK);
    } else {
        entity_save_free(save);
    }
}

void entity_save_begin(struct entity_save *save)
{
    struct store_write *write = &save->commit.write;
    for (size_t i = 0; i < save->count; i++) {
        save->entities[i] = save->drafts[i].entity;
    }
    write->type = STORE_SAVE_ENTITIES;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->save_entities = (struct store_save_entities){
        .organization_id = http_request_identity(save->request)->organization_id,
        .entities = save->entities,
        .count = save->count,
        .update = !marline__uuid_is_nil(&save->before.row.id),
        .set_id = save->set_id};
    save->commit.done = stored;
    save->commit.user = save;
    if (!commit_queue_submit(save->server->queue, &save->commit)) {
        write->outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        stored(&save->commit, save);
    }
}
