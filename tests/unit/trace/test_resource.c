/* Resources and the OTEL_RESOURCE_ATTRIBUTES vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/trace_fixture.h"
#include "trace/environment.h"
#include "trace/resource.h"

struct vector {
    const char *id;
    const char *text;
    const char *pairs[5]; /* key, value, key, value, NULL; first NULL: the whole is an error */
};

static const struct vector vectors[] = {
    {"RA-01", "a=1,b=2", {"a", "1", "b", "2", NULL}},
    {"RA-02", "a=x%2Cy%3Dz", {"a", "x,y=z", NULL}},
    {"RA-03", "a%2Eb=1", {"a.b", "1", NULL}},
    {"RA-04", "a=K%C3%B8ge", {"a", "K\xc3\xb8ge", NULL}},
    {"RA-05", "a=p;q", {"a", "p;q", NULL}},
    {"RA-06", "a=p+q", {"a", "p+q", NULL}},
    {"RA-07", "a=1,b", {NULL}},
    {"RA-08", "a=1,b=%G0", {NULL}},
    {"RA-09", "a=1,=2", {NULL}},
    {"RA-10", "a=%FF", {NULL}},
    {"RA-10 overlong", "a=%C0%80", {NULL}},
    {"RA-10 surrogate", "a=%ED%A0%80", {NULL}},
    {"RA-10 cut", "a=%E2%82", {NULL}},
    {"RA-11", "a=1=2", {NULL}},
    {"RA-12", " a = 1 , b=2", {"a", "1", "b", "2", NULL}},
    {"RA-13", "a=1,a=2", {"a", "2", NULL}},
    {"RA-14", "a=1,", {"a", "1", NULL}},
    {"RA-15", "a=", {"a", "", NULL}},
    {"cut percent", "a=%2", {NULL}},
};

static void check(const struct vector *v)
{
    struct span_memory arena;
    struct attribute_list list;
    marline__span_memory_init(&arena, NULL, 0);
    marline__attributes_init(&list, &arena, UINT32_MAX);
    bool expected = v->pairs[0] != NULL;
    if (marline__resource_parse(marline__slice_text(v->text), &list) != expected) {
        fail_msg("%s: %s", v->id, v->text);
    }
    uint32_t count = 0;
    for (; v->pairs[2 * count]; count++) {
        if (count >= list.count) {
            fail_msg("%s: pair %u is missing", v->id, count);
        }
        assert_string_is(list.items[count].key, v->pairs[2 * count]);
        assert_string_is(list.items[count].value.as.string, v->pairs[2 * count + 1]);
    }
    assert_int_equal(list.count, count);
    marline__span_memory_deinit(&arena);
}

static void given_vectors_when_parsed_then_as_specified_RA(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        check(&vectors[i]);
    }
}

static const marline_value *find(const marline_resource_data *resource, const char *key)
{
    marline_span_data span = {.attributes = resource->attributes,
                              .attribute_count = resource->attribute_count};
    return span_attribute(&span, key);
}

static void assert_resource(const marline_provider_options *options, const char *key,
                            const char *expected)
{
    struct span_memory arena;
    marline_resource_data resource;
    marline__span_memory_init(&arena, NULL, 0);
    assert_true(marline__resource_build(options, &arena, &resource));
    const marline_value *value = find(&resource, key);
    assert_non_null(value);
    assert_string_is(value->as.string, expected);
    marline__span_memory_deinit(&arena);
}

static void given_nothing_when_built_then_defaults_RES_01_RES_02_RES_03(void **state)
{
    (void)state;
    assert_resource(NULL, "service.name", "unknown_service:test_resource");
    assert_resource(NULL, "telemetry.sdk.name", "marline");
    assert_resource(NULL, "telemetry.sdk.language", "c");
    assert_resource(NULL, "telemetry.sdk.version", MARLINE_VERSION);
    assert_int_equal(setenv("OTEL_RESOURCE_ATTRIBUTES", "", 1), 0); /* RA-17: as unset */
    assert_resource(NULL, "service.name", "unknown_service:test_resource");
    assert_int_equal(unsetenv("OTEL_RESOURCE_ATTRIBUTES"), 0);
}

static void given_sources_when_built_then_code_beats_environment_RES_04_RES_05_RA_16(void **state)
{
    (void)state;
    marline_attribute more = {{"a", 1}, {.type = MARLINE_VALUE_STRING, .as.string = {"", 0}}};
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,a=1,b=2", 1);
    assert_resource(&options, "service.name", "x");
    setenv("OTEL_SERVICE_NAME", "y", 1);
    assert_resource(&options, "service.name", "y");
    options.service_name = "z";
    options.resource = &more;
    options.resource_count = 1;
    assert_resource(&options, "service.name", "z");
    assert_resource(&options, "a", ""); /* RES-04: the updating one wins even when empty */
    assert_resource(&options, "b", "2");
    setenv("OTEL_RESOURCE_ATTRIBUTES", "a=1,b", 1);
    setenv("OTEL_SERVICE_NAME", "", 1);
    assert_resource(NULL, "service.name", "unknown_service:test_resource");
    unsetenv("OTEL_RESOURCE_ATTRIBUTES");
    unsetenv("OTEL_SERVICE_NAME");
}

/* ---- merging ---- */

static marline_attribute text_attribute(const char *key, const char *value)
{
    return (marline_attribute){marline_text(key),
                               {.type = MARLINE_VALUE_STRING, .as.string = marline_text(value)}};
}

static marline_resource *make(const char *key, const char *value, const char *schema_url)
{
    marline_resource *made = NULL;
    const marline_attribute attributes[] = {text_attribute(key, value), text_attribute(key, value),
                                            text_attribute("shared", value)};
    assert_int_equal(marline_resource_create(attributes, 3, schema_url, &made, NULL), MARLINE_OK);
    return made;
}

static const char *text_of(const marline_resource *resource, const char *key)
{
    static char text[64];
    const marline_value *value = find(marline_resource_view(resource), key);
    if (!value) {
        return NULL;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)value->as.string.size, value->as.string.data);
    return text;
}

static void given_two_resources_when_merged_then_union_and_updating_wins_RES_04(void **state)
{
    (void)state;
    marline_resource *merged = NULL;
    marline_resource *old = make("host", "h", NULL);
    marline_resource *updating = make("cloud", "", NULL);
    assert_int_equal(marline_resource_merge(old, updating, &merged, NULL), MARLINE_OK);
    marline_resource_destroy(old);
    marline_resource_destroy(updating);
    assert_int_equal(marline_resource_view(merged)->attribute_count, 3);
    assert_string_equal(text_of(merged, "host"), "h");
    assert_string_equal(text_of(merged, "cloud"), "");
    assert_string_equal(text_of(merged, "shared"), ""); /* although it is empty */
    marline_resource_destroy(merged);
}

static void given_schema_urls_when_merged_then_as_specified_RES_04(void **state)
{
    (void)state;
    static const struct {
        const char *old;
        const char *updating;
        const char *merged; /* NULL = an error */
    } cases[] = {{NULL, NULL, ""},     {"s/1", NULL, "s/1"},  {NULL, "s/2", "s/2"},
                 {"", "s/2", "s/2"},   {"s/1", "", "s/1"},    {"s/1", "s/1", "s/1"},
                 {"s/1", "s/2", NULL}, {"s/1", "s/11", NULL}, {"s/11", "s/1", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        marline_error error = {0};
        marline_resource *merged = NULL;
        marline_resource *old = make("a", "1", cases[i].old);
        marline_resource *updating = make("b", "2", cases[i].updating);
        marline_status status = marline_resource_merge(old, updating, &merged, &error);
        assert_int_equal(status, cases[i].merged ? MARLINE_OK : MARLINE_EINVAL);
        if (cases[i].merged) {
            assert_string_is(marline_resource_view(merged)->schema_url, cases[i].merged);
        } else {
            assert_null(merged);
            assert_int_equal(error.code, MARLINE_EINVAL);
            assert_non_null(strstr(error.text, cases[i].old));
            assert_non_null(strstr(error.text, cases[i].updating));
        }
        marline_resource_destroy(merged);
        marline_resource_destroy(updating);
        marline_resource_destroy(old);
    }
}

static void given_nothing_when_merged_then_empty_or_the_other_RES_04_API_09(void **state)
{
    (void)state;
    marline_resource *merged = NULL;
    marline_resource *one = make("a", "1", "s");
    const marline_attribute attribute = text_attribute("a", "1");
    assert_int_equal(marline_resource_merge(NULL, NULL, &merged, NULL), MARLINE_OK);
    assert_int_equal(marline_resource_view(merged)->attribute_count, 0);
    marline_resource_destroy(merged);
    assert_int_equal(marline_resource_merge(one, NULL, &merged, NULL), MARLINE_OK);
    assert_int_equal(marline_resource_view(merged)->attribute_count, 2);
    assert_string_is(marline_resource_view(merged)->schema_url, "s");
    marline_resource_destroy(merged);
    assert_int_equal(marline_resource_merge(one, one, NULL, NULL), MARLINE_EINVAL);
    assert_int_equal(marline_resource_create(NULL, 1, NULL, &merged, NULL), MARLINE_EINVAL);
    assert_int_equal(marline_resource_create(&attribute, 1, NULL, NULL, NULL), MARLINE_EINVAL);
    assert_null(marline_resource_view(NULL));
    marline_resource_destroy(NULL);
    marline_resource_destroy(one);
}

static void given_detected_resource_when_provider_is_made_then_between_RES_04_RES_05(void **state)
{
    (void)state;
    struct trace_fixture f;
    const marline_attribute given = text_attribute("given", "code");
    const marline_attribute found[] = {text_attribute("a", "detected"),
                                       text_attribute("given", "x"),
                                       text_attribute("service.name", "detected")};
    marline_resource *detected = NULL;
    assert_int_equal(marline_resource_create(found, 3, "https://schema/1", &detected, NULL),
                     MARLINE_OK);
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.detected = detected;
    options.resource = &given;
    options.resource_count = 1;
    setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,a=1,b=2", 1);
    trace_fixture_begin(&f, &options);
    unsetenv("OTEL_RESOURCE_ATTRIBUTES");
    marline_resource_destroy(detected); /* it was copied */
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_end(&span);
    const marline_resource_data *resource = trace_fixture_span(&f, 0)->resource;
    assert_string_is(resource->schema_url, "https://schema/1");
    assert_string_is(find(resource, "service.name")->as.string, "detected");
    assert_string_is(find(resource, "a")->as.string, "detected");
    assert_string_is(find(resource, "b")->as.string, "2");
    assert_string_is(find(resource, "given")->as.string, "code");
    assert_non_null(find(resource, "telemetry.sdk.name"));
    trace_fixture_end(&f);
}

static void given_two_resources_when_built_then_instance_ids_differ_RES_07(void **state)
{
    (void)state;
    struct span_memory arena;
    marline_resource_data one;
    marline_resource_data two;
    marline__span_memory_init(&arena, NULL, 0);
    assert_true(marline__resource_build(NULL, &arena, &one));
    assert_true(marline__resource_build(NULL, &arena, &two));
    marline_string a = find(&one, "service.instance.id")->as.string;
    marline_string b = find(&two, "service.instance.id")->as.string;
    assert_int_equal(a.size, 36);
    assert_memory_not_equal(a.data, b.data, 36);
    marline__span_memory_deinit(&arena);
}

static void given_flags_when_read_then_only_true_is_true_ENV_02(void **state)
{
    (void)state;
    struct {
        const char *text;
        bool expected;
    } cases[] = {{"true", true}, {"TRUE", true}, {"True", true}, {"false", false}, {"", false},
                 {"1", false},   {"yes", false}, {"on", false},  {" true", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("OTEL_SDK_DISABLED", cases[i].text, 1);
        assert_int_equal(marline__environment_flag("OTEL_SDK_DISABLED"), cases[i].expected);
    }
    unsetenv("OTEL_SDK_DISABLED");
    assert_false(marline__environment_flag("OTEL_SDK_DISABLED"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_vectors_when_parsed_then_as_specified_RA),
        cmocka_unit_test(given_nothing_when_built_then_defaults_RES_01_RES_02_RES_03),
        cmocka_unit_test(given_sources_when_built_then_code_beats_environment_RES_04_RES_05_RA_16),
        cmocka_unit_test(given_two_resources_when_merged_then_union_and_updating_wins_RES_04),
        cmocka_unit_test(given_schema_urls_when_merged_then_as_specified_RES_04),
        cmocka_unit_test(given_nothing_when_merged_then_empty_or_the_other_RES_04_API_09),
        cmocka_unit_test(given_detected_resource_when_provider_is_made_then_between_RES_04_RES_05),
        cmocka_unit_test(given_two_resources_when_built_then_instance_ids_differ_RES_07),
        cmocka_unit_test(given_flags_when_read_then_only_true_is_true_ENV_02),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
