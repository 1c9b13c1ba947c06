/* Environment variables as a carrier: EN-01 to EN-08, EV-06, EV-07. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "wire/env_carrier.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void given_en_01_to_06_when_normalised_then_variable_names_EV_01(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {
        {"traceparent", "TRACEPARENT"},
        {"x-b3-traceid", "X_B3_TRACEID"}, /* EN-02 */
        {"a.b/c", "A_B_C"},               /* EN-03 */
        {"3d", "_3D"},                    /* EN-04 */
        {"_a", "_A"},                     /* EN-05 */
        {"", "_"},                        /* EN-06 */
        {"\xc3\xa9", "__"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer out = BUFFER_INIT;
        marline__env_name(marline__slice_text(vectors[i][0]), &out);
        assert_string_equal(out.data, vectors[i][1]);
        assert_true(marline__env_name_is_normal(marline__buffer_slice(&out)));
        marline__buffer_deinit(&out);
    }
    assert_false(marline__env_name_is_normal(SLICE("")));
    assert_false(marline__env_name_is_normal(SLICE("3D")));
    assert_false(marline__env_name_is_normal(SLICE("Path")));
}

static void given_en_07_when_looked_up_then_only_the_normal_name_counts_EV_02(void **state)
{
    (void)state;
    static const char *const lower[] = {"traceparent=x", NULL};
    static const char *const upper[] = {"TRACEPARENTS=n", "TRACEPARENT", "TRACEPARENT=a=b",
                                        "_3D=", NULL};
    struct slice value;
    assert_false(marline__env_get(lower, SLICE("traceparent"), &value));
    assert_true(marline__env_get(upper, SLICE("traceparent"), &value));
    assert_true(marline__slice_is(value, "a=b"));
    assert_true(marline__env_get(upper, SLICE("3d"), &value));
    assert_int_equal(value.size, 0);
    assert_false(marline__env_get(upper, SLICE("3"), &value));
    assert_false(marline__env_get(upper, SLICE("tracestate"), &value));
}

static void given_en_08_when_walked_then_normal_names_only(void **state)
{
    (void)state;
    static const char *const environment[] = {"Path=/", "TRACEPARENT=x", "x-y=1", NULL};
    struct slice name;
    size_t position = 0;
    assert_true(marline__env_next(environment, &position, &name));
    assert_true(marline__slice_is(name, "TRACEPARENT"));
    assert_false(marline__env_next(environment, &position, &name));
}

static void given_stale_values_when_copied_then_removed_and_each_name_once_EV_06_EV_07(void **state)
{
    (void)state;
    static const char *const environment[] = {"A=1",           "TRACESTATE=old", "A=2",
                                              "TRACEPARENT=o", "PATH=/bin",      NULL};
    struct env_setting settings[] = {{SLICE("traceparent"), SLICE("00-new")},
                                     {SLICE("tracestate"), SLICE_EMPTY},
                                     {SLICE("baggage"), SLICE("k=v")}};
    char **copy = marline__env_copy(environment, settings, COUNT(settings));
    static const char *const expected[] = {"A=1", "PATH=/bin", "TRACEPARENT=00-new", "BAGGAGE=k=v"};
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_string_equal(copy[i], expected[i]);
    }
    assert_null(copy[COUNT(expected)]);
    marline__memory_free(copy);
}

static void given_empty_environment_when_copied_then_only_the_end(void **state)
{
    (void)state;
    static const char *const environment[] = {NULL};
    char **copy = marline__env_copy(environment, NULL, 0);
    assert_null(copy[0]);
    marline__memory_free(copy);
}

static void given_value_with_nul_when_copied_then_it_ends_there_EV_03_EV_11(void **state)
{
    (void)state;
    static const char *const environment[] = {"Z=1", NULL};
    struct env_setting settings[] = {{SLICE("a"), SLICE("x\0y")}, {SLICE("b"), SLICE("2")}};
    char **copy = marline__env_copy(environment, settings, COUNT(settings));
    assert_string_equal(copy[1], "A=x");
    assert_string_equal(copy[2], "B=2");
    marline__memory_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_en_01_to_06_when_normalised_then_variable_names_EV_01),
        cmocka_unit_test(given_en_07_when_looked_up_then_only_the_normal_name_counts_EV_02),
        cmocka_unit_test(given_en_08_when_walked_then_normal_names_only),
        cmocka_unit_test(
            given_stale_values_when_copied_then_removed_and_each_name_once_EV_06_EV_07),
        cmocka_unit_test(given_empty_environment_when_copied_then_only_the_end),
        cmocka_unit_test(given_value_with_nul_when_copied_then_it_ends_there_EV_03_EV_11),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
