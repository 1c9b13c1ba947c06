/* Endpoints: created, updated and made inactive by complete lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/endpoint_registry.h"

static const struct uuid organization = {{1}};
static const struct uuid other_organization = {{2}};
static const struct uuid project = {{3}};

#define FUNCTION(name)                                                                             \
    "{\"name\":\"" name "\",\"parameters\":{},\"return_type\":\"Any\",\"metadata\":{\"d\":1}}"

static int make(void **state)
{
    *state = endpoint_registry_create();
    return 0;
}

static int drop(void **state)
{
    endpoint_registry_destroy(*state);
    return 0;
}

static void sync_as(struct endpoint_registry *r, const char *environment, const char *functions,
                    size_t created, size_t updated, size_t inactive)
{
    struct endpoint_owner owner = {organization, project, marline__slice_text(environment)};
    struct endpoint_sync sync = endpoint_registry_sync(r, &owner, marline__slice_text(functions));
    assert_int_equal(sync.created, created);
    assert_int_equal(sync.updated, updated);
    assert_int_equal(sync.marked_inactive, inactive);
}

static void given_lists_when_registered_then_created_updated_and_inactive(void **state)
{
    struct endpoint_registry *r = *state;
    sync_as(r, "development", "[" FUNCTION("a") "," FUNCTION("b") "]", 2, 0, 0);
    sync_as(r, "development", "[" FUNCTION("a") "," FUNCTION("b") "]", 0, 2, 0);
    sync_as(r, "development", "[" FUNCTION("b") "," FUNCTION("c") "]", 1, 1, 1);
    sync_as(r, "development", "[]", 0, 0, 2);
    sync_as(r, "development", "[" FUNCTION("a") "]", 0, 1, 0);
}

static void given_other_environment_when_registered_then_the_first_is_untouched(void **state)
{
    struct endpoint_registry *r = *state;
    sync_as(r, "development", "[" FUNCTION("a") "]", 1, 0, 0);
    sync_as(r, "staging", "[" FUNCTION("a") "]", 1, 0, 0);
    const struct endpoint *first = endpoint_registry_next(r, NULL);
    const struct endpoint *second = endpoint_registry_next(r, first);
    assert_true(first->active);
    assert_true(second->active);
    assert_null(endpoint_registry_next(r, second));
    assert_false(marline__uuid_equal(&first->id, &second->id));
}

static void given_name_twice_when_registered_then_one_endpoint(void **state)
{
    struct endpoint_registry *r = *state;
    sync_as(r, "development", "[" FUNCTION("a") "," FUNCTION("a") "]", 1, 0, 0);
}

static void given_endpoint_when_looked_up_then_by_its_own_organization_only(void **state)
{
    struct endpoint_registry *r = *state;
    sync_as(r, "development", "[" FUNCTION("a") "]", 1, 0, 0);
    struct uuid id = endpoint_registry_next(r, NULL)->id;
    assert_non_null(endpoint_registry_find(r, &organization, &id));
    assert_null(endpoint_registry_find(r, &other_organization, &id));
    assert_null(endpoint_registry_find(r, &organization, &project));
}

static void given_second_registry_when_registered_then_the_same_id(void **state)
{
    struct endpoint_registry *r = *state;
    struct endpoint_registry *again = endpoint_registry_create();
    sync_as(r, "development", "[" FUNCTION("a") "]", 1, 0, 0);
    sync_as(again, "development", "[" FUNCTION("a") "]", 1, 0, 0);
    assert_true(marline__uuid_equal(&endpoint_registry_next(r, NULL)->id,
                                    &endpoint_registry_next(again, NULL)->id));
    endpoint_registry_destroy(again);
}

int main(void)
{
#define REGISTRY_TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)
    const struct CMUnitTest tests[] = {
        REGISTRY_TEST(given_lists_when_registered_then_created_updated_and_inactive),
        REGISTRY_TEST(given_other_environment_when_registered_then_the_first_is_untouched),
        REGISTRY_TEST(given_name_twice_when_registered_then_one_endpoint),
        REGISTRY_TEST(given_endpoint_when_looked_up_then_by_its_own_organization_only),
        REGISTRY_TEST(given_second_registry_when_registered_then_the_same_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
