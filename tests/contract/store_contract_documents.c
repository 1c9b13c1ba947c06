/* Contract: the platform's entities: saved, listed by filter, order and page, deleted; members of
 * test sets; the endpoints of an agent; runs and results as entities. */
#include <stdio.h>
#include <string.h>

#include "store_contract.h"

enum { NAME_SIZE = 64 };

struct found {
    struct store_entity_row rows[16];
    char names[16][NAME_SIZE];
    char bodies[16][NAME_SIZE];
    char statuses[16][NAME_SIZE];
    size_t count;
    uint64_t total;
};

static void copy(struct slice text, char out[NAME_SIZE])
{
    assert_true(text.size < NAME_SIZE);
    (void)snprintf(out, NAME_SIZE, "%.*s", SLICE_ARG(text));
}

static void add(void *user, const struct store_entity_row *row)
{
    struct found *found = user;
    assert_true(found->count < 16);
    copy(row->name, found->names[found->count]);
    copy(row->body, found->bodies[found->count]);
    copy(row->status, found->statuses[found->count]);
    found->rows[found->count++] = *row;
}

static void list_in(struct fixture *f, const struct store_scope *scope,
                    const struct store_entity_query *query, struct found *out)
{
    struct store_error error = {STORE_OK, ""};
    memset(out, 0, sizeof *out);
    if (store_list_entities(f->store, scope, query, &out->total, add, out, &error) != STORE_OK) {
        fail_msg("%s", error.text);
    }
}

static void list(struct fixture *f, const struct store_entity_query *query, struct found *out)
{
    list_in(f, &f->scope, query, out);
}

static struct store_entity make_test(struct fixture *f, uint32_t number, const char *name)
{
    return (struct store_entity){.kind = ENTITY_TEST,
                                 .id = id_of(number),
                                 .project_id = f->project,
                                 .name = marline__slice_text(name),
                                 .body = SLICE("{\"category\":\"Safety\"}")};
}

static enum store_status save(struct fixture *f, const struct store_entity *entities, size_t count,
                              bool update)
{
    struct store_write write = {.type = STORE_SAVE_ENTITIES,
                                .at_unix_ns = f->now += 1000,
                                .save_entities = {.organization_id = f->organization,
                                                  .entities = entities,
                                                  .count = count,
                                                  .update = update}};
    return store_write_one(f->store, &write);
}

static void save_named_tests(struct fixture *f, const char *const *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct store_entity test = make_test(f, 100 + i, names[i]);
        assert_int_equal(save(f, &test, 1, false), STORE_OK);
    }
}

/* ---- one entity ---- */

static void given_entity_when_saved_then_read_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct store_entity e = {.kind = ENTITY_TEST_CONFIGURATION,
                             .id = id_of(5),
                             .project_id = f->project,
                             .name = SLICE("nightly"),
                             .status = SLICE("Active"),
                             .body = SLICE("{\"attributes\":{\"a\":1.50}}"),
                             .endpoint_id = id_of(6),
                             .test_set_id = id_of(7)};
    assert_int_equal(save(f, &e, 1, false), STORE_OK);
    struct found found;
    list(
        f,
        &(struct store_entity_query){.kind = ENTITY_TEST_CONFIGURATION, .id = id_of(5), .limit = 1},
        &found);
    assert_int_equal(found.count, 1);
    const struct store_entity_row *row = &found.rows[0];
    assert_uuid_equal(row->id, id_of(5));
    assert_uuid_equal(row->project_id, f->project);
    assert_uuid_equal(row->endpoint_id, id_of(6));
    assert_uuid_equal(row->test_set_id, id_of(7));
    assert_int_equal(row->created_unix_ns, f->now);
    assert_false(row->is_deleted);
    assert_string_equal(found.names[0], "nightly");
    assert_string_equal(found.statuses[0], "Active");
    assert_string_equal(found.bodies[0], "{\"attributes\":{\"a\":1.50}}");
}

static void given_taken_id_when_saved_then_conflict_and_nothing_of_the_write(void **state)
{
    struct fixture *f = *state;
    struct store_entity first = make_test(f, 1, "first");
    assert_int_equal(save(f, &first, 1, false), STORE_OK);
    const struct store_entity both[] = {make_test(f, 2, "new"), make_test(f, 1, "again")};
    assert_int_equal(save(f, both, 2, false), STORE_CONFLICT);
    struct found found;
    list(f, &(struct store_entity_query){.kind = ENTITY_TEST, .limit = 10}, &found);
    assert_int_equal(found.total, 1);
    assert_string_equal(found.names[0], "first");
}

static void given_entity_when_updated_then_new_values_and_times(void **state)
{
    struct fixture *f = *state;
    struct store_entity e = make_test(f, 1, "first");
    assert_int_equal(save(f, &e, 1, true), STORE_NOT_FOUND);
    assert_int_equal(save(f, &e, 1, false), STORE_OK);
    uint64_t created = f->now;
    e.name = SLICE("second");
    assert_int_equal(save(f, &e, 1, true), STORE_OK);
    struct found found;
    list(f, &(struct store_entity_query){.kind = ENTITY_TEST, .limit = 10}, &found);
    assert_string_equal(found.names[0], "second");
    assert_int_equal(found.rows[0].created_unix_ns, created);
    assert_int_equal(found.rows[0].updated_unix_ns, f->now);
}

static enum store_status delete_test(struct fixture *f, const struct uuid *organization,
                                     uint32_t number)
{
    struct store_write write = {.type = STORE_DELETE_ENTITY,
                                .at_unix_ns = f->now += 1000,
                                .delete_entity = {*organization, ENTITY_TEST, id_of(number)}};
    return store_write_one(f->store, &write);
}

static void given_entity_when_deleted_then_gone_from_lists_and_known_by_id(void **state)
{
    struct fixture *f = *state;
    const struct uuid foreign = id_of(0xa0000002);
    struct store_entity e = make_test(f, 1, "first");
    assert_int_equal(save(f, &e, 1, false), STORE_OK);
    assert_int_equal(delete_test(f, &foreign, 1), STORE_NOT_FOUND);
    assert_int_equal(delete_test(f, &f->organization, 1), STORE_OK);
    assert_int_equal(delete_test(f, &f->organization, 1), STORE_NOT_FOUND);
    assert_int_equal(save(f, &e, 1, true), STORE_NOT_FOUND);
    struct found found;
    list(f, &(struct store_entity_query){.kind = ENTITY_TEST, .limit = 10}, &found);
    assert_int_equal(found.total, 0);
    list(f, &(struct store_entity_query){.kind = ENTITY_TEST, .id = id_of(1), .limit = 1}, &found);
    assert_int_equal(found.count, 1);
    assert_true(found.rows[0].is_deleted);
}

/* ---- scope ---- */

static void given_foreign_scopes_when_listed_then_nothing(void **state)
{
    struct fixture *f = *state;
    struct store_entity owned = make_test(f, 1, "of the project");
    struct store_entity without = make_test(f, 2, "without project");
    without.project_id = (struct uuid){{0}};
    assert_int_equal(save(f, &owned, 1, false), STORE_OK);
    assert_int_equal(save(f, &without, 1, false), STORE_OK);
    create_run(f, 1);
    struct link_key key = key_of(f, 1, 1);
    (void)insert_result(f, &key);
    const struct {
        struct store_scope scope;
        size_t tests;
        size_t runs;
    } cases[] = {
        {{.organization_id = f->organization, .project_id = f->project}, 1, 1},
        {{.organization_id = f->organization}, 2, 1},
        {{.organization_id = f->organization, .only_without_project = true}, 1, 0},
        {{.organization_id = f->organization, .project_id = id_of(0xb0000002)}, 0, 0},
        {{.organization_id = id_of(0xa0000002), .project_id = f->project}, 0, 0},
        {{.organization_id = id_of(0xa0000002)}, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct found found;
        list_in(f, &cases[i].scope, &(struct store_entity_query){.kind = ENTITY_TEST, .limit = 10},
                &found);
        assert_int_equal(found.total, cases[i].tests);
        assert_int_equal(found.count, cases[i].tests);
        list_in(f, &cases[i].scope,
                &(struct store_entity_query){.kind = ENTITY_TEST_RUN, .limit = 10}, &found);
        assert_int_equal(found.total, cases[i].runs);
        list_in(f, &cases[i].scope,
                &(struct store_entity_query){.kind = ENTITY_TEST, .id = id_of(1), .limit = 1},
                &found);
        assert_int_equal(found.count, i < 2);
    }
}

/* ---- filters, order, pages ---- */

static void filter_is(struct fixture *f, enum entity_kind kind, const char *text, const char *names)
{
    struct odata_filter filter;
    size_t count = 0;
    const struct filter_field *fields = store_entity_fields(kind, &count);
    if (!odata_filter_parse(marline__slice_text(text), fields, count, &filter)) {
        fail_msg("%s: %s", text, filter.error);
    }
    struct found found;
    char joined[256] = "";
    list(f, &(struct store_entity_query){.kind = kind, .filter = &filter, .limit = 10}, &found);
    for (size_t i = 0; i < found.count; i++) {
        size_t used = strlen(joined);
        (void)snprintf(joined + used, sizeof joined - used, "%s;", found.names[i]);
    }
    if (strcmp(joined, names) != 0 || found.total != found.count) {
        fail_msg("%s: %s, not %s", text, joined, names);
    }
}

static void given_filters_when_listed_then_the_rows_they_mean(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"Alpha", "beta", "it's", "100%_", "\xc3\x84rger"};
    static const char *const cases[][2] = {
        {"name eq 'beta'", "beta;"},
        {"name eq 'BETA'", ""},
        {"tolower(name) eq 'alpha'", "Alpha;"},
        {"toupper(name) eq 'BETA'", "beta;"},
        {"name ne 'beta' and name ne 'Alpha'", "it's;100%_;\xc3\x84rger;"},
        {"name eq 'it''s'", "it's;"},
        {"name eq '\xc3\x84rger'", "\xc3\x84rger;"},
        {"contains(name,'%')", "100%_;"},
        {"contains(name,'a')", "Alpha;beta;"},
        {"startswith(name,'Al')", "Alpha;"},
        {"startswith(name,'l')", ""},
        {"endswith(name,'ta')", "beta;"},
        {"endswith(name,'')", "Alpha;beta;it's;100%_;\xc3\x84rger;"},
        {"endswith(name,'longer than any name')", ""},
        {"name lt 'a'", "Alpha;100%_;"},
        {"not (name lt 'a')", "beta;it's;\xc3\x84rger;"},
        {"name in ('Alpha','beta','x')", "Alpha;beta;"},
        {"category eq 'Safety' and name eq 'beta'", "beta;"},
        {"category/name eq 'Other'", ""},
        {"topic eq null and name eq 'beta'", "beta;"},
        {"topic ne null", ""},
        {"prompt/content eq null and name eq 'beta'", "beta;"},
        {"created_at gt 2100-01-01T00:00:00Z", ""},
        {"created_at ge 1970-01-01T00:00:00Z and name eq 'beta'", "beta;"},
        {"name eq '''; DROP TABLE entities; --'", ""},
        {"name eq 'a'' OR ''1''=''1'", ""},
    };
    save_named_tests(f, names, 5);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        filter_is(f, ENTITY_TEST, cases[i][0], cases[i][1]);
    }
}

static void given_every_field_when_filtered_and_sorted_by_then_the_database_knows_it(void **state)
{
    struct fixture *f = *state;
    static const char *const values[] = {"'x'", "'aaaaaaaa-0000-4000-8000-000000000001'",
                                         "2026-01-01T00:00:00Z", "1"};
    for (int kind = 0; kind < ENTITY_KIND_COUNT; kind++) {
        size_t count = 0;
        const struct filter_field *fields = store_entity_fields((enum entity_kind)kind, &count);
        for (size_t i = 0; i < count; i++) {
            char text[256];
            struct odata_filter filter;
            struct found found;
            (void)snprintf(text, sizeof text, "%s eq %s and %s ne %s and %s ne null",
                           fields[i].name, values[fields[i].type], fields[i].name,
                           values[fields[i].type], fields[i].name);
            assert_true(odata_filter_parse(marline__slice_text(text), fields, count, &filter));
            list(f,
                 &(struct store_entity_query){.kind = (enum entity_kind)kind,
                                              .filter = &filter,
                                              .sort = &fields[i],
                                              .descending = i % 2,
                                              .limit = 10},
                 &found);
            assert_int_equal(found.total, 0);
        }
    }
}

static void given_filter_of_most_values_when_listed_then_carried_out(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"axe"};
    char text[FILTER_SIZE_MAX] = "";
    save_named_tests(f, names, 1);
    for (int i = 0; i < FILTER_VALUES_MAX; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, sizeof text - used, "%sendswith(name,'%s')", i ? " or " : "",
                       i == FILTER_VALUES_MAX - 1 ? "xe" : "no");
    }
    filter_is(f, ENTITY_TEST, text, "axe;");
}

static void sorted_is(struct fixture *f, const struct store_entity_query *query, const char *names,
                      size_t total)
{
    struct found found;
    char joined[256] = "";
    list(f, query, &found);
    for (size_t i = 0; i < found.count; i++) {
        size_t used = strlen(joined);
        (void)snprintf(joined + used, sizeof joined - used, "%s;", found.names[i]);
    }
    assert_string_equal(joined, names);
    assert_int_equal(found.total, total);
}

static void given_order_and_page_when_listed_then_that_part_and_the_whole_count(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"b", "D", "a", "c"};
    size_t count = 0;
    const struct filter_field *fields = store_entity_fields(ENTITY_TEST, &count);
    const struct filter_field *by_name = fields;
    while (strcmp(by_name->name, "name") != 0) {
        by_name++;
    }
    save_named_tests(f, names, 4);
    struct store_entity_query query = {.kind = ENTITY_TEST, .limit = 10};
    sorted_is(f, &query, "b;D;a;c;", 4);
    query.descending = true;
    sorted_is(f, &query, "c;a;D;b;", 4);
    query.sort = by_name;
    sorted_is(f, &query, "c;b;a;D;", 4);
    query.descending = false;
    sorted_is(f, &query, "D;a;b;c;", 4);
    query.limit = 2;
    query.skip = 1;
    sorted_is(f, &query, "a;b;", 4);
    query.skip = 4;
    sorted_is(f, &query, "", 4);
    query.limit = 0;
    query.skip = 0;
    sorted_is(f, &query, "", 4);
}

/* ---- test sets ---- */

static size_t change_members(struct fixture *f, const struct uuid *tests, size_t count, bool remove)
{
    struct store_write write = {.type = STORE_SET_MEMBERS,
                                .set_members = {.organization_id = f->organization,
                                                .set_id = id_of(50),
                                                .test_ids = tests,
                                                .count = count,
                                                .remove = remove}};
    must_write(f, &write);
    return write.set_members.changed;
}

static void save_set(struct fixture *f)
{
    const struct store_entity entities[] = {{.kind = ENTITY_TEST_SET,
                                             .id = id_of(50),
                                             .project_id = f->project,
                                             .name = SLICE("set"),
                                             .body = SLICE("{}")},
                                            make_test(f, 1, "one"),
                                            make_test(f, 2, "two")};
    struct store_write write = {.type = STORE_SAVE_ENTITIES,
                                .save_entities = {.organization_id = f->organization,
                                                  .entities = entities,
                                                  .count = 3,
                                                  .set_id = id_of(50)}};
    must_write(f, &write);
}

static void given_set_when_members_change_then_counted_and_listed(void **state)
{
    struct fixture *f = *state;
    save_set(f);
    struct store_entity other = make_test(f, 3, "three");
    assert_int_equal(save(f, &other, 1, false), STORE_OK);
    const struct store_entity_query members = {
        .kind = ENTITY_TEST, .set_id = id_of(50), .limit = 10};
    sorted_is(f, &members, "one;two;", 2);
    const struct uuid change[] = {id_of(3), id_of(1), id_of(99)};
    assert_int_equal(change_members(f, change, 3, false), 1);
    sorted_is(f, &members, "one;two;three;", 3);
    assert_int_equal(change_members(f, change, 3, true), 2);
    sorted_is(f, &members, "two;", 1);
    struct found found;
    list(f, &(struct store_entity_query){.kind = ENTITY_TEST_SET, .limit = 10}, &found);
    assert_int_equal(found.rows[0].test_count, 1);
    assert_int_equal(delete_test(f, &f->organization, 2), STORE_OK);
    sorted_is(f, &members, "", 0);
}

static void given_unknown_set_when_members_change_then_not_found(void **state)
{
    struct fixture *f = *state;
    const struct uuid test = id_of(1);
    struct store_write write = {.type = STORE_SET_MEMBERS,
                                .set_members = {.organization_id = f->organization,
                                                .set_id = id_of(77),
                                                .test_ids = &test,
                                                .count = 1}};
    assert_int_equal(store_write_one(f->store, &write), STORE_NOT_FOUND);
    save_set(f);
    write.set_members.organization_id = id_of(0xa0000002);
    write.set_members.set_id = id_of(50);
    assert_int_equal(store_write_one(f->store, &write), STORE_NOT_FOUND);
}

/* ---- endpoints of agents ---- */

static struct store_sync_endpoints sync_endpoints(struct fixture *f, uint32_t first, uint32_t count,
                                                  const char *environment, const char *body)
{
    struct store_entity endpoints[4];
    bool has_mappings[4];
    assert_true(count <= 4);
    for (uint32_t i = 0; i < count; i++) {
        has_mappings[i] = body != NULL;
        endpoints[i] = (struct store_entity){.kind = ENTITY_ENDPOINT,
                                             .id = id_of(first + i),
                                             .project_id = f->project,
                                             .name = SLICE("endpoint"),
                                             .status = SLICE("Active"),
                                             .environment = marline__slice_text(environment),
                                             .body = marline__slice_text(body ? body : "{}")};
    }
    struct store_write write = {.type = STORE_SYNC_ENDPOINTS,
                                .at_unix_ns = f->now += 1000,
                                .sync_endpoints = {.organization_id = f->organization,
                                                   .project_id = f->project,
                                                   .environment = marline__slice_text(environment),
                                                   .endpoints = endpoints,
                                                   .has_mappings = has_mappings,
                                                   .count = count}};
    must_write(f, &write);
    return write.sync_endpoints;
}

static void expect_sync(struct store_sync_endpoints sync, size_t created, size_t updated,
                        size_t inactive)
{
    assert_int_equal(sync.created, created);
    assert_int_equal(sync.updated, updated);
    assert_int_equal(sync.marked_inactive, inactive);
}

static void given_registrations_when_synced_then_what_is_left_out_is_inactive(void **state)
{
    struct fixture *f = *state;
    struct found found;
    expect_sync(sync_endpoints(f, 1, 2, "development", "{\"v\":1}"), 2, 0, 0);
    expect_sync(sync_endpoints(f, 11, 1, "staging", "{\"v\":1}"), 1, 0, 0);
    expect_sync(sync_endpoints(f, 2, 2, "development", "{\"v\":2}"), 1, 1, 1);
    expect_sync(sync_endpoints(f, 2, 2, "development", NULL), 0, 2, 0);
    list(f, &(struct store_entity_query){.kind = ENTITY_ENDPOINT, .limit = 10}, &found);
    static const char *const expected[][2] = {{"Inactive", "{\"v\":1}"},
                                              {"Active", "{\"v\":2}"},
                                              {"Active", "{\"v\":1}"},
                                              {"Active", "{\"v\":2}"}};
    assert_int_equal(found.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(found.statuses[i], expected[i][0]);
        assert_string_equal(found.bodies[i], expected[i][1]);
    }
    expect_sync(sync_endpoints(f, 1, 0, "development", NULL), 0, 0, 2);
    expect_sync(sync_endpoints(f, 1, 1, "development", NULL), 0, 1, 0);
}

/* ---- runs and results ---- */

static void set_run_status(struct fixture *f, enum run_status status)
{
    struct store_write write = {.type = STORE_SET_RUN_STATUS,
                                .set_run_status = {f->organization, id_of(1), status}};
    must_write(f, &write);
}

static void expect_run_status(struct fixture *f, const char *status)
{
    struct found found;
    list(f, &(struct store_entity_query){.kind = ENTITY_TEST_RUN, .limit = 10}, &found);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.statuses[0], status);
}

static void insert_status(struct fixture *f, uint32_t test, uint32_t attempt,
                          enum result_status status)
{
    struct store_write write = {.type = STORE_INSERT_RESULT,
                                .at_unix_ns = f->now += 1000,
                                .insert_result = {.project_id = f->project,
                                                  .key = key_of(f, test, attempt),
                                                  .status = status,
                                                  .output = SLICE("{\"a\":1}"),
                                                  .metrics = SLICE("{\"m\":2}"),
                                                  .spare_id = id_of(f->next_span++ + 5000)}};
    must_write(f, &write);
}

static void given_run_when_it_goes_on_then_the_platforms_words(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    expect_run_status(f, "Queued");
    set_run_status(f, RUN_RUNNING);
    expect_run_status(f, "Progress");
    set_run_status(f, RUN_CANCELLING);
    expect_run_status(f, "Progress");
    insert_status(f, 1, 1, RESULT_ERROR);
    insert_status(f, 1, 2, RESULT_PASS);
    insert_status(f, 2, 1, RESULT_FAIL);
    set_run_status(f, RUN_COMPLETED);
    expect_run_status(f, "Completed");
    filter_is(f, ENTITY_TEST_RUN, "status eq 'Completed'", ";");
    filter_is(f, ENTITY_TEST_RUN, "status/name eq 'Failed'", "");
}

static void given_errors_when_run_is_over_then_partial_or_failed(void **state)
{
    struct fixture *f = *state;
    create_run(f, 2);
    insert_status(f, 1, 1, RESULT_ERROR);
    set_run_status(f, RUN_COMPLETED);
    expect_run_status(f, "Partial");
    insert_status(f, 2, 1, RESULT_ERROR);
    expect_run_status(f, "Failed");
}

static void given_results_when_listed_then_filtered_by_their_run(void **state)
{
    struct fixture *f = *state;
    struct found found;
    struct odata_filter filter;
    char text[128];
    char run[UUID_TEXT_SIZE];
    size_t count = 0;
    insert_status(f, 1, 1, RESULT_PASS);
    insert_status(f, 1, 1, RESULT_FAIL);
    insert_status(f, 2, 1, RESULT_ERROR);
    const struct link_key key = key_of(f, 1, 1);
    marline__uuid_format(&key.run, run);
    const struct filter_field *fields = store_entity_fields(ENTITY_TEST_RESULT, &count);
    (void)snprintf(text, sizeof text, "test_run_id eq '%s' and attempt eq 1", run);
    assert_true(odata_filter_parse(marline__slice_text(text), fields, count, &filter));
    list(f,
         &(struct store_entity_query){.kind = ENTITY_TEST_RESULT, .filter = &filter, .limit = 10},
         &found);
    assert_int_equal(found.count, 3);
    assert_string_equal(found.statuses[0], "Pass");
    assert_true(marline__uuid_is_nil(&found.rows[0].duplicate_of));
    assert_uuid_equal(found.rows[1].duplicate_of, found.rows[0].id);
    assert_string_equal(found.statuses[2], "Error");
    assert_uuid_equal(found.rows[2].test_id, key_of(f, 2, 1).test);
    assert_uuid_equal(found.rows[2].configuration_id, key_of(f, 2, 1).configuration);
}

int run_document_contract(const struct store_kind *kind)
{
    fixture_use(kind);
    const struct CMUnitTest tests[] = {
        CONTRACT_TEST(given_entity_when_saved_then_read_as_it_was),
        CONTRACT_TEST(given_taken_id_when_saved_then_conflict_and_nothing_of_the_write),
        CONTRACT_TEST(given_entity_when_updated_then_new_values_and_times),
        CONTRACT_TEST(given_entity_when_deleted_then_gone_from_lists_and_known_by_id),
        CONTRACT_TEST(given_foreign_scopes_when_listed_then_nothing),
        CONTRACT_TEST(given_filters_when_listed_then_the_rows_they_mean),
        CONTRACT_TEST(given_every_field_when_filtered_and_sorted_by_then_the_database_knows_it),
        CONTRACT_TEST(given_filter_of_most_values_when_listed_then_carried_out),
        CONTRACT_TEST(given_order_and_page_when_listed_then_that_part_and_the_whole_count),
        CONTRACT_TEST(given_set_when_members_change_then_counted_and_listed),
        CONTRACT_TEST(given_unknown_set_when_members_change_then_not_found),
        CONTRACT_TEST(given_registrations_when_synced_then_what_is_left_out_is_inactive),
        CONTRACT_TEST(given_run_when_it_goes_on_then_the_platforms_words),
        CONTRACT_TEST(given_errors_when_run_is_over_then_partial_or_failed),
        CONTRACT_TEST(given_results_when_listed_then_filtered_by_their_run),
    };
    return cmocka_run_group_tests_name(kind->name, tests, NULL, NULL);
}
