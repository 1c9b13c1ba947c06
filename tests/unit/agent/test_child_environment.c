/* What a program of an exec endpoint finds in its environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/child_environment.h"

static int set_up(void **state)
{
    static struct words inherited;
    static const char *const variables[] = {
        "PATH=/bin",        "SECRET=1", "RHESIS_API_KEY=rh-x", "TRACEPARENT=stale",
        "TRACESTATE=stale", "KEY=k",    "PATH=/second"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        words_add(&inherited, variables[i]);
    }
    *state = &inherited;
    return 0;
}

static int tear_down(void **state)
{
    words_deinit(*state);
    return 0;
}

static const char *value_of(const struct words *list, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        size_t size = strlen(name);
        if (strncmp(list->items[i], name, size) == 0 && list->items[i][size] == '=') {
            assert_null(found); /* each name once */
            found = list->items[i] + size + 1;
        }
    }
    return found;
}

static void given_agents_environment_when_built_then_only_the_list_passes(void **state)
{
    const struct words *inherited = *state;
    struct words pass = {0};
    words_add(&pass, "KEY");
    struct words out;
    child_environment_build(
        &(struct child_environment){.inherited = inherited->items, .pass = &pass}, &out);
    assert_string_equal(value_of(&out, "PATH"), "/bin");
    assert_string_equal(value_of(&out, "KEY"), "k");
    assert_null(value_of(&out, "SECRET"));
    assert_null(value_of(&out, "RHESIS_API_KEY"));
    assert_int_equal(out.count, 2);
    words_deinit(&out);
    words_deinit(&pass);
}

static void given_stale_trace_context_when_built_then_replaced(void **state)
{
    const struct words *inherited = *state;
    struct words pass = {0};
    words_add(&pass, "TRACESTATE");
    words_add(&pass, "TRACEPARENT");
    struct words carrier = {0};
    words_add(&carrier, "TRACEPARENT=new");
    struct words out;
    child_environment_build(&(struct child_environment){.inherited = inherited->items,
                                                        .pass = &pass,
                                                        .carrier = carrier.items},
                            &out);
    assert_string_equal(value_of(&out, "TRACEPARENT"), "new");
    words_deinit(&carrier);
    assert_null(value_of(&out, "TRACESTATE"));
    words_deinit(&out);
    words_deinit(&pass);
}

static void given_test_when_built_then_its_ids_present(void **state)
{
    const struct words *inherited = *state;
    struct words fixed = {0};
    words_add(&fixed, "RHESIS_TEST_ID=mine");
    words_add(&fixed, "PATH=/own");
    marline_test_context test = {.test_run_id = "r", .test_id = "t", .test_configuration_id = "c"};
    struct words out;
    child_environment_build(&(struct child_environment){.inherited = inherited->items,
                                                        .fixed = &fixed,
                                                        .project_id = "p",
                                                        .environment = "local",
                                                        .invocation_id = "i",
                                                        .test = &test},
                            &out);
    assert_string_equal(value_of(&out, "RHESIS_TEST_RUN_ID"), "r");
    assert_string_equal(value_of(&out, "RHESIS_TEST_ID"), "t");
    assert_string_equal(value_of(&out, "RHESIS_TEST_CONFIGURATION_ID"), "c");
    assert_null(value_of(&out, "RHESIS_TEST_RESULT_ID"));
    assert_string_equal(value_of(&out, "RHESIS_INVOCATION_ID"), "i");
    assert_string_equal(value_of(&out, "RHESIS_PROJECT_ID"), "p");
    assert_string_equal(value_of(&out, "RHESIS_ENVIRONMENT"), "local");
    assert_string_equal(value_of(&out, "PATH"), "/own");
    words_deinit(&out);
    words_deinit(&fixed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_agents_environment_when_built_then_only_the_list_passes),
        TEST(given_stale_trace_context_when_built_then_replaced),
        TEST(given_test_when_built_then_its_ids_present),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
