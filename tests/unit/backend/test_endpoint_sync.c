/* What a registration makes of its functions: one endpoint per name, with an id that is derived. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/endpoint_sync.h"

static const struct endpoint_owner owner = {.organization_id = {{1}},
                                            .project_id = {{2}},
                                            .project_name = {"Shop", 4},
                                            .environment = {"staging", 7}};

#define FUNCTION(name, metadata)                                                                   \
    "{\"name\":\"" name "\",\"parameters\":{\"x\":{}},\"return_type\":\"dict\",\"metadata\":"      \
    "" metadata "}"

static struct endpoint_sync *sync_of(const char *functions, struct store_sync_endpoints *out)
{
    struct endpoint_sync *sync = endpoint_sync_create(&owner, marline__slice_text(functions));
    endpoint_sync_fill(sync, out);
    return sync;
}

static void given_functions_when_synced_then_named_after_the_project_and_active(void **state)
{
    (void)state;
    struct store_sync_endpoints out;
    struct endpoint_sync *sync = sync_of(
        "[" FUNCTION("pay",
                     "{\"request_mapping\":{\"a\":\"{{ input }}\"},\"description\":\"d\"}") "]",
        &out);
    assert_int_equal(out.count, 1);
    assert_true(out.has_mappings[0]);
    assert_true(marline__slice_is(out.endpoints[0].name, "Shop (pay)"));
    assert_true(marline__slice_is(out.endpoints[0].status, "Active"));
    assert_true(marline__slice_is(out.environment, "staging"));
    assert_true(marline__slice_is(
        out.endpoints[0].body,
        "{\"connection_type\":\"SDK\",\"description\":\"d\",\"request_mapping\":{\"a\":"
        "\"{{ input }}\"},\"response_mapping\":null,\"endpoint_metadata\":{\"sdk_connection\":{"
        "\"project_id\":\"02000000-0000-0000-0000-000000000000\",\"environment\":\"staging\","
        "\"function_name\":\"pay\"},\"function_schema\":{\"parameters\":{\"x\":{}},"
        "\"return_type\":\"dict\"}}}"));
    endpoint_sync_destroy(sync);
}

static void given_name_twice_when_synced_then_once_and_the_last_counts(void **state)
{
    (void)state;
    struct store_sync_endpoints out;
    struct endpoint_sync *sync =
        sync_of("[" FUNCTION("a", "{\"request_mapping\":{}}") "," FUNCTION("b", "{}") "," FUNCTION(
                    "a", "{\"description\":\"last\"}") "]",
                &out);
    assert_int_equal(out.count, 2);
    assert_false(out.has_mappings[0]);
    assert_non_null(memmem(out.endpoints[0].body.data, out.endpoints[0].body.size, "last", 4));
    endpoint_sync_destroy(sync);
}

static void given_same_function_when_synced_again_then_same_id_but_elsewhere_another(void **state)
{
    (void)state;
    struct store_sync_endpoints one;
    struct store_sync_endpoints two;
    struct store_sync_endpoints three;
    struct endpoint_owner elsewhere = owner;
    elsewhere.environment = SLICE("local");
    struct endpoint_sync *a = sync_of("[" FUNCTION("a", "{}") "]", &one);
    struct endpoint_sync *b = sync_of("[" FUNCTION("a", "{\"description\":\"x\"}") "]", &two);
    struct endpoint_sync *c = endpoint_sync_create(&elsewhere, SLICE("[" FUNCTION("a", "{}") "]"));
    endpoint_sync_fill(c, &three);
    assert_memory_equal(one.endpoints[0].id.bytes, two.endpoints[0].id.bytes, 16);
    assert_memory_not_equal(one.endpoints[0].id.bytes, three.endpoints[0].id.bytes, 16);
    endpoint_sync_destroy(a);
    endpoint_sync_destroy(b);
    endpoint_sync_destroy(c);
}

static void given_no_functions_or_nan_when_synced_then_none_and_null(void **state)
{
    (void)state;
    struct store_sync_endpoints out;
    struct endpoint_sync *none = sync_of("[]", &out);
    assert_int_equal(out.count, 0);
    endpoint_sync_destroy(none);
    struct endpoint_sync *nan =
        sync_of("[" FUNCTION("a", "{\"request_mapping\":{\"t\":NaN}}") "]", &out);
    assert_int_equal(out.count, 1);
    assert_non_null(
        memmem(out.endpoints[0].body.data, out.endpoints[0].body.size, "{\"t\":null}", 10));
    endpoint_sync_destroy(nan);
    endpoint_sync_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_functions_when_synced_then_named_after_the_project_and_active),
        cmocka_unit_test(given_name_twice_when_synced_then_once_and_the_last_counts),
        cmocka_unit_test(given_same_function_when_synced_again_then_same_id_but_elsewhere_another),
        cmocka_unit_test(given_no_functions_or_nan_when_synced_then_none_and_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
