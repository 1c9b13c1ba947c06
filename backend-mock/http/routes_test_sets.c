/* /test_sets: created with their tests in one go, and their members (wire-protocol §8.7). */
#include <stdio.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "http/entity_save.h"
#include "wire/json_reader.h"

enum { BULK_TESTS_MAX = 10000 }; /* one transaction, during which other writers wait */

/* ---- reading an array of the body ---- */

/* The elements of body.`name`; false, with a fault, when it is no list of up to BULK_TESTS_MAX. */
static bool open_list(struct slice body, const char *name, struct body_faults *faults,
                      struct json_reader *out, size_t *out_count)
{
    struct json_member m;
    marline__json_find_members(body, &name, 1, &m);
    *out_count = 0;
    if (m.type != JSON_ARRAY) {
        body_faults_add(faults, m.type == JSON_ERROR ? "missing" : "list_type", name,
                        m.type == JSON_ERROR ? "Field required" : "Input should be a valid list",
                        NULL);
        return false;
    }
    marline__json_reader_init(out, m.raw, JSON_TRUSTED);
    (void)marline__json_enter_array(out);
    while (marline__json_next_element(out)) {
        (void)marline__json_skip(out, NULL);
        ++*out_count;
    }
    if (*out_count > BULK_TESTS_MAX) {
        body_faults_add(faults, "too_long", name,
                        "List should have at most 10000 items after validation",
                        "{\"field_type\":\"List\",\"max_length\":\"10000\"}");
        return false;
    }
    marline__json_reader_init(out, m.raw, JSON_TRUSTED);
    return marline__json_enter_array(out);
}

/* ---- POST /test_sets/bulk ---- */

static void read_tests(struct entity_save *save, struct json_reader *list,
                       struct body_faults *faults)
{
    struct slice text;
    for (size_t i = 1; marline__json_next_element(list); i++) {
        char where[32];
        bool is_object = marline__json_peek(list) == JSON_OBJECT;
        (void)snprintf(where, sizeof(where), "tests.%zu", i - 1);
        (void)marline__json_skip(list, &text);
        if (is_object) {
            entity_body_read(ENTITY_TEST, text, where, NULL, faults, &save->drafts[i]);
        } else {
            body_faults_add(faults, "model_attributes_type", where,
                            "Input should be a valid dictionary or object to extract fields from",
                            NULL);
        }
    }
}

/* All drafts go into one project: that of the set. */
static bool place_all(struct entity_save *save, const struct store_scope *scope)
{
    if (!entity_save_place(save, &save->drafts[0], scope)) {
        return false;
    }
    for (size_t i = 1; i < save->count; i++) {
        save->drafts[i].entity.project_id = save->drafts[0].entity.project_id;
    }
    return true;
}

static void post_bulk(struct http_request *r)
{
    struct store_scope scope;
    struct json_reader list;
    struct body_faults faults;
    size_t count = 0;
    if (!body_is_object(r) || !routes_read_scope(r, &scope)) {
        return;
    }
    body_faults_init(&faults);
    bool has_tests = open_list(http_request_body(r), "tests", &faults, &list, &count);
    struct entity_save *save = entity_save_create(r, has_tests ? 1 + count : 1);
    entity_body_read(ENTITY_TEST_SET, http_request_body(r), "", NULL, &faults, &save->drafts[0]);
    save->set_id = save->drafts[0].entity.id;
    if (has_tests) {
        read_tests(save, &list, &faults);
    }
    if (faults.count) {
        body_faults_answer(&faults, r);
        entity_save_free(save);
    } else if (place_all(save, &scope)) {
        entity_save_begin(save);
    } else {
        entity_save_free(save);
    }
    body_faults_deinit(&faults);
}

/* ---- members ---- */

static void get_tests(struct http_request *r)
{
    struct entity_copy set;
    if (entity_read_path(r, 0, ENTITY_TEST_SET, &set)) {
        entity_answer_list(r, ENTITY_TEST, &set.row.id);
        entity_copy_deinit(&set);
    }
}

struct member_change {
    struct http_request *request;
    bool remove;
    struct uuid *ids;
    size_t count;
    struct entity_copy set;
    struct commit commit;
};

static void free_change(struct member_change *c)
{
    marline__memory_free(c->ids);
    entity_copy_deinit(&c->set);
    marline__memory_free(c);
}

static void answer_change(struct member_change *c)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    char message[96];
    size_t changed = c->commit.write.set_members.changed;
    size_t before = c->set.row.test_count;
    (void)snprintf(message, sizeof(message), "%zu of %zu tests %s", changed, c->count,
                   c->remove ? "removed" : "added");
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_bool(&w, "success", true);
    marline__json_member_int(&w, "total_tests",
                             (int64_t)(c->remove ? before - changed : before + changed));
    marline__json_member_int(&w, c->remove ? "removed_associations" : "new_associations",
                             (int64_t)changed);
    marline__json_member_text(&w, "message", message);
    marline__json_end_object(&w);
    http_answer_json(c->request, 200, &body);
}

/* On the commit queue's thread, or on the caller's when the queue is full. */
static void changed(struct commit *commit, void *user)
{
    struct member_change *c = user;
    const struct store_error *outcome = &commit->write.outcome;
    if (outcome->status == STORE_OK) {
        answer_change(c);
    } else if (outcome->status == STORE_NOT_FOUND) {
        entity_answer_not_found(c->request, ENTITY_TEST_SET, &c->set.row.id);
    } else {
        routes_answer_store_error(c->request, outcome, NULL);
    }
    free_change(c);
}

/* False when it has answered. */
static bool read_ids(struct member_change *c)
{
    struct json_reader list;
    struct body_faults faults;
    struct slice raw;
    body_faults_init(&faults);
    if (open_list(http_request_body(c->request), "test_ids", &faults, &list, &c->count)) {
        c->ids = alloc_array(c->count + 1, sizeof(*c->ids));
        for (size_t i = 0; marline__json_next_element(&list); i++) {
            bool ok = marline__json_peek(&list) == JSON_STRING;
            char where[32];
            (void)snprintf(where, sizeof(where), "test_ids.%zu", i);
            (void)marline__json_skip(&list, &raw);
            if (!ok ||
                !marline__uuid_parse((struct slice){raw.data + 1, raw.size - 2}, &c->ids[i])) {
                body_faults_add(&faults, "uuid_parsing", where, "Input should be a valid UUID",
                                NULL);
            }
        }
    }
    bool ok = faults.count == 0;
    if (!ok) {
        body_faults_answer(&faults, c->request);
    }
    body_faults_deinit(&faults);
    return ok;
}

static void change_members(struct http_request *r, bool remove)
{
    struct member_change *c = alloc_zeroed(sizeof(*c));
    struct store_write *write = &c->commit.write;
    c->request = r;
    c->remove = remove;
    if (!body_is_object(r) || !read_ids(c) || !entity_read_path(r, 0, ENTITY_TEST_SET, &c->set)) {
        free_change(c);
        return;
    }
    write->type = STORE_SET_MEMBERS;
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    write->set_members =
        (struct store_set_members){.organization_id = http_request_identity(r)->organization_id,
                                   .set_id = c->set.row.id,
                                   .test_ids = c->ids,
                                   .count = c->count,
                                   .remove = remove};
    c->commit.done = changed;
    c->commit.user = c;
    if (!commit_queue_submit(http_request_server(r)->queue, &c->commit)) {
        write->outcome = (struct store_error){STORE_BUSY, "too many writes wait"};
        changed(&c->commit, c);
    }
}

static void post_associate(struct http_request *r)
{
    change_members(r, false);
}

static void post_disassociate(struct http_request *r)
{
    change_members(r, true);
}

const struct route routes_test_sets[] = {
    {"POST", "/test_sets/bulk", ROUTE_KEY, post_bulk, "Create a test set with its tests"},
    {"GET", "/test_sets/{test_set_id}/tests", ROUTE_KEY, get_tests, "Tests of a set"},
    {"POST", "/test_sets/{test_set_id}/associate", ROUTE_KEY, post_associate, "Add tests to a set"},
    {"POST", "/test_sets/{test_set_id}/disassociate", ROUTE_KEY, post_disassociate,
     "Take tests out of a set"},
    {0},
};
