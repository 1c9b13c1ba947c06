/* Entities that are listed, read, created, changed and deleted alike, whatever their kind
 * (wire-protocol §8.7); the kind is the first segment of the path. */
#include "base/clock.h"
#include "core/alloc.h"
#include "http/entity_save.h"

/* ---- reading ---- */

static void get_list(struct http_request *r)
{
    entity_answer_list(r, entity_kind_of(r), NULL);
}

static void get_one(struct http_request *r)
{
    enum entity_kind kind = entity_kind_of(r);
    struct entity_copy copy;
    if (entity_read_path(r, 0, kind, &copy)) {
        entity_answer(r, kind, &copy.row);
        entity_copy_deinit(&copy);
    }
}

/* ---- writing ---- */

/* Reads the body into the one draft of a save that is begun then. */
static void save_body(struct entity_save *save, enum entity_kind kind,
                      const struct store_scope *scope)
{
    struct http_request *r = save->request;
    const struct store_entity_row *before =
        marline__uuid_is_nil(&save->before.row.id) ? NULL : &save->before.row;
    struct body_faults faults;
    body_faults_init(&faults);
    entity_body_read(kind, http_request_body(r), "", before, &faults, &save->drafts[0]);
    if (faults.count) {
        body_faults_answer(&faults, r);
        entity_save_free(save);
    } else if (entity_save_place(save, &save->drafts[0], scope)) {
        entity_save_begin(save);
    } else {
        entity_save_free(save);
    }
    body_faults_deinit(&faults);
}

static void post_one(struct http_request *r)
{
    struct store_scope scope;
    if (body_is_object(r) && routes_read_scope(r, &scope)) {
        save_body(entity_save_create(r, 1), entity_kind_of(r), &scope);
    }
}

static void put_one(struct http_request *r)
{
    enum entity_kind kind = entity_kind_of(r);
    struct store_scope scope;
    struct uuid id;
    if (!body_is_object(r) || !body_path_uuid(r, 0, entity_id_parameter(kind), &id) ||
        !routes_read_scope(r, &scope)) {
        return;
    }
    struct entity_save *save = entity_save_create(r, 1);
    if (entity_read(r, &scope, kind, &id, &save->before)) {
        save_body(save, kind, &scope);
    } else {
        entity_save_free(save);
    }
}

/* ---- deleting ---- */

struct entity_removal {
    struct http_request *request;
    enum entity_kind kind;
    struct entity_copy copy;
    struct commit commit;
};

/* On the commit queue's thread, or on the caller's when the queue is full. */
static void deleted(struct commit *commit, void *user)
{
    struct entity_removal *d = user;
    const struct store_error *outcome = &commit->write.outcome;
    if (outcome->status == STORE_NOT_FOUND) { /* somebody else was faster */
        entity_answer_not_found(d->request, d->kind, &d->copy.row.id);
    } else if (outcome->status != STORE_OK) {
        routes_answer_store_error(d->request, outcome, NULL);
    } else {
        entity_answer(d->request, d->kind, &d->copy.row);
    }
    entity_copy_deinit(&d->copy);
    marline__memory_free(d);
}

static void delete_one(struct http_request *r)
{
    struct entity_removal *d = alloc_zeroed(sizeof(*d));
    struct store_write *write = &d->commit.write;
    d->request = r;
    d->kind = entity_kind_of(r);
    if (!entity_read_path(r, 0, d->kind, &d->copy)) {
        marline__memory_free(d);
        return;
    }
    write->type = STORE_DELETE_ENTITY;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->delete_entity = (struct store_delete_entity){http_request_identity(r)->organization_id,
                                                        d->kind, d->copy.row.id};
    d->commit.done = deleted;
    d->commit.user = d;
    if (!commit_queue_submit(http_request_server(r)->queue, &d->commit)) {
        write->outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        deleted(&d->commit, d);
    }
}

const struct route routes_entities[] = {
    {"GET", "/endpoints", ROUTE_KEY, get_list, "Endpoints, of agents and others"},
    {"POST", "/endpoints", ROUTE_KEY, post_one, "Create an endpoint"},
    {"GET", "/endpoints/{endpoint_id}", ROUTE_KEY, get_one, "One endpoint"},
    {"PUT", "/endpoints/{endpoint_id}", ROUTE_KEY, put_one, "Change an endpoint"},
    {"DELETE", "/endpoints/{endpoint_id}", ROUTE_KEY, delete_one, "Delete an endpoint"},
    {"GET", "/tests", ROUTE_KEY, get_list, "Tests"},
    {"POST", "/tests", ROUTE_KEY, post_one, "Create a test"},
    {"GET", "/tests/{test_id}", ROUTE_KEY, get_one, "One test"},
    {"PUT", "/tests/{test_id}", ROUTE_KEY, put_one, "Change a test"},
    {"DELETE", "/tests/{test_id}", ROUTE_KEY, delete_one, "Delete a test"},
    {"GET", "/test_sets", ROUTE_KEY, get_list, "Test sets"},
    {"POST", "/test_sets", ROUTE_KEY, post_one, "Create an empty test set"},
    {"GET", "/test_sets/{test_set_id}", ROUTE_KEY, get_one, "One test set"},
    {"PUT", "/test_sets/{test_set_id}", ROUTE_KEY, put_one, "Change a test set"},
    {"DELETE", "/test_sets/{test_set_id}", ROUTE_KEY, delete_one, "Delete a test set"},
    {"GET", "/test_configurations", ROUTE_KEY, get_list, "Test configurations"},
    {"POST", "/test_configurations", ROUTE_KEY, post_one,
     "Create a configuration: an endpoint, and the test set to run against it"},
    {"GET", "/test_configurations/{test_configuration_id}", ROUTE_KEY, get_one,
     "One test configuration"},
    {"PUT", "/test_configurations/{test_configuration_id}", ROUTE_KEY, put_one,
     "Change a test configuration"},
    {"DELETE", "/test_configurations/{test_configuration_id}", ROUTE_KEY, delete_one,
     "Delete a test configuration"},
    {"GET", "/test_runs", ROUTE_KEY, get_list, "Test runs"},
    {"GET", "/test_runs/{test_run_id}", ROUTE_KEY, get_one, "One test run"},
    {"GET", "/test_results", ROUTE_KEY, get_list, "Test results"},
    {"GET", "/test_results/{test_result_id}", ROUTE_KEY, get_one, "One test result"},
    {0},
};
