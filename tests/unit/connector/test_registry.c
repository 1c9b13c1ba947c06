/* Endpoints registered, refused, and written for the platform. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "connector/registry.h"

static marline_status handler(marline_call *call, void *user)
{
    (void)call;
    (void)user;
    return MARLINE_OK;
}

static marline_endpoint named(const char *name)
{
    return (marline_endpoint){.size = sizeof(marline_endpoint), .name = name, .handler = handler};
}

static void given_endpoints_when_written_then_golden_functions(void **state)
{
    (void)state;
    struct registry registry;
    marline__registry_init(&registry);
    static const marline_parameter parameters[] = {{"input", "str", NULL}, {"n", "int", "3"}};
    marline_endpoint full = named("answer");
    full.description = "demo";
    full.parameters = parameters;
    full.parameter_count = 2;
    full.return_type = "str";
    full.request_mapping = "{\"input\":\"{{ input }}\",\"n\":1}";
    full.response_mapping = "{\"output\":\"$\"}";
    marline_endpoint plain = named("b");
    assert_int_equal(marline__registry_add(&registry, &full, NULL), MARLINE_OK);
    assert_int_equal(marline__registry_add(&registry, &plain, NULL), MARLINE_OK);
    struct buffer out = BUFFER_INIT;
    marline__registry_write(&registry, &out);
    assert_string_equal(
        out.data,
        "[{\"name\":\"answer\",\"parameters\":{\"input\":{\"type\":\"str\",\"default\":null},"
        "\"n\":{\"type\":\"int\",\"default\":\"3\"}},\"return_type\":\"str\",\"metadata\":"
        "{\"description\":\"demo\",\"request_mapping\":{\"input\":\"{{ input }}\",\"n\":1},"
        "\"response_mapping\":{\"output\":\"$\"}}},"
        "{\"name\":\"b\",\"parameters\":{},\"return_type\":\"dict\",\"metadata\":"
        "{\"request_mapping\":{\"input\":\"{{ input }}\"},"
        "\"response_mapping\":{\"output\":\"$.output\"}}}]");
    marline__buffer_deinit(&out);
    marline__registry_deinit(&registry);
}

static void given_bad_endpoint_when_added_then_error_names_the_cause(void **state)
{
    (void)state;
    struct registry registry;
    marline__registry_init(&registry);
    char long_name[202];
    memset(long_name, 'x', 201);
    long_name[201] = '\0';
    marline_endpoint cases[8];
    for (size_t i = 0; i < 8; i++) {
        cases[i] = named("e");
    }
    static const marline_parameter nameless = {NULL, "str", NULL};
    cases[0].name = NULL;
    cases[1].name = "";
    cases[2].name = long_name;
    cases[3].name = "\xff";
    cases[4].handler = NULL;
    cases[5].request_mapping = "[]";
    cases[6].response_mapping = "{\"a\":";
    cases[7].parameters = &nameless;
    cases[7].parameter_count = 1;
    static const char *const parts[] = {
        "name",       "name", "name", "name", "handler", "request_mapping", "response_mapping",
        "parameter 1"};
    for (size_t i = 0; i < 8; i++) {
        marline_error error;
        assert_int_equal(marline__registry_add(&registry, &cases[i], &error), MARLINE_EINVAL);
        assert_non_null(strstr(error.text, parts[i]));
    }
    marline_endpoint sizeless = named("e");
    sizeless.size = 0;
    assert_int_equal(marline__registry_add(&registry, &sizeless, NULL), MARLINE_EINVAL);
    marline__registry_deinit(&registry);
}

static void given_taken_name_when_added_then_refused_until_removed(void **state)
{
    (void)state;
    struct registry registry;
    marline__registry_init(&registry);
    marline_endpoint e = named("e");
    marline_error error;
    assert_int_equal(marline__registry_add(&registry, &e, &error), MARLINE_OK);
    assert_int_equal(marline__registry_add(&registry, &e, &error), MARLINE_EINVAL);
    assert_string_equal(error.text, "an endpoint named 'e' is registered already");
    struct endpoint *held = marline__registry_find(&registry, SLICE("e"));
    assert_int_equal(marline__registry_remove(&registry, SLICE("e")), MARLINE_OK);
    assert_int_equal(marline__registry_remove(&registry, SLICE("e")), MARLINE_ENOTFOUND);
    assert_null(marline__registry_find(&registry, SLICE("e")));
    assert_string_equal(held->name, "e");
    marline__endpoint_unref(held);
    assert_int_equal(marline__registry_add(&registry, &e, &error), MARLINE_OK);
    marline__registry_deinit(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_endpoints_when_written_then_golden_functions),
        cmocka_unit_test(given_bad_endpoint_when_added_then_error_names_the_cause),
        cmocka_unit_test(given_taken_name_when_added_then_refused_until_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
