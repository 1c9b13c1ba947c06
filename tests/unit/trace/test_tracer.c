/* Tracers by their whole scope, id generators of the program's own, processors that see a span end,
 * what the log says of limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/trace_fixture.h"
#include "base/log.h"

/* ---- scopes ---- */

static void given_scope_when_spans_end_then_it_travels_with_them_API_02_API_04(void **state)
{
    (void)state;
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline_attribute attributes[] = {
        {{"library", 7}, {.type = MARLINE_VALUE_STRING, .as.string = {"curl", 4}}},
        {{"major", 5}, {.type = MARLINE_VALUE_INT, .as.integer = 8}}};
    marline_tracer_options options = MARLINE_TRACER_OPTIONS_INIT;
    options.name = "http";
    options.version = "2";
    options.schema_url = "https://opentelemetry.io/schemas/1.44.0";
    options.attributes = attributes;
    options.attribute_count = 2;
    marline_tracer *tracer = marline_tracer_get_with(f.provider, &options);
    attributes[0].value.as.string.data = "gone"; /* was copied */
    marline_span span = marline_span_start(tracer, "function.a", NULL);
    marline_span_end(&span);
    const marline_scope_data *scope = trace_fixture_span(&f, 0)->scope;
    assert_string_is(scope->name, "http");
    assert_string_is(scope->version, "2");
    assert_string_is(scope->schema_url, "https://opentelemetry.io/schemas/1.44.0");
    assert_int_equal(scope->attribute_count, 2);
    assert_string_is(scope->attributes[0].value.as.string, "curl");
    assert_int_equal(scope->attributes[1].value.as.integer, 8);
    trace_fixture_end(&f);
}

static void given_scopes_when_equal_then_one_tracer_API_02(void **state)
{
    (void)state;
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline_value items[2] = {{.type = MARLINE_VALUE_DOUBLE, .as.real = 1.5},
                              {.type = MARLINE_VALUE_BOOL, .as.boolean = true}};
    marline_attribute list = {{"list", 4}, {.type = MARLINE_VALUE_ARRAY, .as.array = {items, 2}}};
    marline_attribute map = {{"map", 3}, {.type = MARLINE_VALUE_MAP, .as.map = {&list, 1}}};
    marline_tracer_options options = MARLINE_TRACER_OPTIONS_INIT;
    options.name = "n";
    options.attributes = &map;
    options.attribute_count = 1;
    marline_tracer *one = marline_tracer_get_with(f.provider, &options);
    assert_ptr_equal(marline_tracer_get_with(f.provider, &options), one);
    items[1].as.boolean = false;
    assert_ptr_not_equal(marline_tracer_get_with(f.provider, &options), one);
    items[1].as.boolean = true;
    options.schema_url = "s";
    assert_ptr_not_equal(marline_tracer_get_with(f.provider, &options), one);
    options.attribute_count = 0;
    options.schema_url = NULL;
    assert_ptr_equal(marline_tracer_get_with(f.provider, &options),
                     marline_tracer_get(f.provider, "n", NULL));
    options.size = 1; /* not initialised: a tracer all the same */
    assert_non_null(marline_tracer_get_with(f.provider, &options));
    assert_non_null(marline_tracer_get_with(f.provider, NULL));
    assert_null(marline_tracer_get_with(NULL, NULL));
    trace_fixture_end(&f);
}

static void given_two_providers_when_tracing_then_each_has_its_own_API_01(void **state)
{
    (void)state;
    struct trace_fixture one;
    struct trace_fixture two;
    trace_fixture_begin(&one, NULL);
    trace_fixture_begin(&two, NULL);
    assert_ptr_equal(marline_provider_global(), two.provider); /* the last one that was set */
    marline_span span = marline_span_start(one.tracer, "function.one", NULL);
    marline_span_end(&span);
    assert_int_equal(trace_fixture_count(&one), 1);
    assert_int_equal(trace_fixture_count(&two), 0);
    trace_fixture_end(&two);
    assert_null(marline_provider_global());
    trace_fixture_end(&one);
}

static void given_ids_when_asked_for_then_bytes_and_lower_case_text_CTX_02(void **state)
{
    (void)state;
    const marline_span_context ids = {.trace_id = {0xAB, [15] = 0x0F}, .span_id = {[7] = 0xC0}};
    marline_span span = marline_span_remote(&ids);
    char trace_id[MARLINE_TRACE_ID_TEXT_SIZE];
    char span_id[MARLINE_SPAN_ID_TEXT_SIZE];
    marline_span_trace_id_text(&span, trace_id);
    marline_span_id_text(&span, span_id);
    assert_string_equal(trace_id, "ab00000000000000000000000000000f");
    assert_string_equal(span_id, "00000000000000c0");
    assert_memory_equal(span.context.trace_id, ids.trace_id, 16);
}

static void given_limits_when_set_then_the_resource_is_exempt_LIM_07_RES_06(void **state)
{
    (void)state;
    struct trace_fixture f;
    const marline_attribute attributes[] = {
        {{"a", 1}, {.type = MARLINE_VALUE_STRING, .as.string = {"long value", 10}}},
        {{"b", 1}, {.type = MARLINE_VALUE_INT, .as.integer = 1}},
        {{"c", 1}, {.type = MARLINE_VALUE_INT, .as.integer = 1}}};
    marline_span_limits limits = MARLINE_SPAN_LIMITS_INIT;
    limits.attributes = 1;
    limits.value_length = 2;
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.limits = &limits;
    options.resource = attributes;
    options.resource_count = 3;
    trace_fixture_begin(&f, &options);
    for (int i = 0; i < 2; i++) {
        marline_span span = marline_span_start(f.tracer, "function.a", NULL);
        marline_span_end(&span);
    }
    const marline_resource_data *resource = trace_fixture_span(&f, 0)->resource;
    assert_true(resource->attribute_count >= 3);
    bool whole = false;
    for (uint32_t i = 0; i < resource->attribute_count; i++) {
        whole |= resource->attributes[i].value.type == MARLINE_VALUE_STRING &&
                 resource->attributes[i].value.as.string.size == 10 &&
                 memcmp(resource->attributes[i].value.as.string.data, "long value", 10) == 0;
    }
    assert_true(whole);
    trace_fixture_end(&f);
}

/* ---- ids ---- */

struct counter {
    uint8_t next;
    unsigned zeros; /* ids of zeros that come first */
    int destroyed;
};

static void count_into(struct counter *c, uint8_t *out, size_t size)
{
    memset(out, 0, size);
    if (c->zeros > 0) {
        c->zeros--;
        return;
    }
    out[size - 1] = ++c->next;
}

static void next_trace_id(void *user, uint8_t out[16])
{
    count_into(user, out, 16);
}

static void next_span_id(void *user, uint8_t out[8])
{
    count_into(user, out, 8);
}

static void destroy_counter(void *user)
{
    ((struct counter *)user)->destroyed++;
}

static void given_own_generator_when_spans_start_then_its_ids_CTX_03(void **state)
{
    (void)state;
    struct trace_fixture f;
    struct counter counter = {0};
    const marline_id_generator ids = {.trace_id = next_trace_id,
                                      .span_id = next_span_id,
                                      .destroy = destroy_counter,
                                      .user = &counter};
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.ids = &ids;
    trace_fixture_begin(&f, &options);
    marline_span root = marline_span_start(f.tracer, "function.a", NULL);
    assert_int_equal(root.context.trace_id[15], 1);
    assert_int_equal(root.context.span_id[7], 2);
    assert_int_equal(root.context.flags, 1); /* sampled, and not random: CTX-09 */
    marline_span_end(&root);
    counter.zeros = 1; /* is drawn again */
    root = marline_span_start(f.tracer, "function.b", NULL);
    assert_int_equal(root.context.trace_id[15], 3);
    marline_span_end(&root);
    counter.zeros = 1000; /* then the library's own */
    root = marline_span_start(f.tracer, "function.c", NULL);
    static const uint8_t zeros[16];
    assert_memory_not_equal(root.context.trace_id, zeros, 16);
    assert_memory_not_equal(root.context.span_id, zeros, 8);
    marline_span_end(&root);
    trace_fixture_end(&f);
    assert_int_equal(counter.destroyed, 1);
}

static void given_generator_without_functions_when_created_then_refused(void **state)
{
    (void)state;
    const marline_id_generator ids = {.trace_id = next_trace_id};
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    marline_provider *provider = NULL;
    options.ids = &ids;
    assert_int_equal(marline_provider_create(&options, &provider, NULL), MARLINE_EINVAL);
    assert_null(provider);
}

/* ---- on_ending ---- */

struct witness {
    char order[16];
    const char *letters; /* for ending and end */
    struct witness *log; /* where the order is written */
};

static void note(struct witness *w, char letter)
{
    size_t size = strlen(w->log->order);
    assert_true(size + 1 < sizeof w->log->order);
    w->log->order[size] = letter;
}

static void see_ending(void *user, marline_span *span)
{
    struct witness *w = user;
    note(w, w->letters[0]);
    assert_true(marline_span_is_recording(span));
    marline_span_set_text(span, "last", "word");
    marline_span_end(span); /* it is ending: ignored */
}

static void see_end(void *user, const marline_span_data *span)
{
    struct witness *w = user;
    note(w, w->letters[1]);
    assert_span_text(span, "last", "word");
    assert_int_equal(span->end_unix_ns, 77);
}

static void given_processors_when_span_ends_then_all_endings_before_any_end_PRC_02(void **state)
{
    (void)state;
    struct trace_fixture f;
    struct witness one = {.letters = "aA", .log = &one};
    struct witness two = {.letters = "bB", .log = &one};
    trace_fixture_begin(&f, NULL);
    marline_span_processor processor = {.on_ending = see_ending, .on_end = see_end, .user = &one};
    assert_int_equal(marline_provider_add_processor(f.provider, &processor, NULL), MARLINE_OK);
    processor.user = &two;
    assert_int_equal(marline_provider_add_processor(f.provider, &processor, NULL), MARLINE_OK);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.start_unix_ns = 5;
    marline_span span = marline_span_start(f.tracer, "function.a", &options);
    marline_span_end_at(&span, 77);
    assert_string_equal(one.order, "abAB");
    assert_false(marline_span_is_recording(&span));
    marline_span_end(&span);
    assert_string_equal(one.order, "abAB");
    assert_span_text(trace_fixture_span(&f, 0), "last", "word");
    trace_fixture_end(&f);
}

/* ---- limits ---- */

static unsigned limit_lines;

static void count_limit_lines(void *user, enum log_level level, const char *text)
{
    (void)user;
    (void)level;
    limit_lines += strstr(text, "to its limits") != NULL;
}

static void given_much_is_dropped_when_span_ends_then_one_line_LIM_05(void **state)
{
    (void)state;
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline__log_install(count_limit_lines, NULL);
    limit_lines = 0;
    for (int n = 0; n < 2; n++) {
        marline_span span = marline_span_start(f.tracer, "function.a", NULL);
        for (int i = 0; i < 300; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "k%d", i);
            marline_span_set_int(&span, key, i);
            marline_span_add_event(&span, key, 0, NULL, 0);
        }
        assert_int_equal(limit_lines, n);
        marline_span_end(&span);
        assert_int_equal(limit_lines, n + 1);
    }
    marline_span quiet = marline_span_start(f.tracer, "function.b", NULL);
    marline_span_end(&quiet);
    assert_int_equal(limit_lines, 2);
    marline__log_install(NULL, NULL);
    trace_fixture_end(&f);
}

static void given_a_million_attributes_when_set_then_128_kept_LIM_01(void **state)
{
    (void)state;
    enum { MILLION = 1000000 };
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    for (int i = 0; i < MILLION; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        marline_span_set_int(&span, key, i);
    }
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->attribute_count, 128);
    assert_int_equal(data->dropped_attributes, MILLION - 128);
    trace_fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_scope_when_spans_end_then_it_travels_with_them_API_02_API_04),
        cmocka_unit_test(given_scopes_when_equal_then_one_tracer_API_02),
        cmocka_unit_test(given_two_providers_when_tracing_then_each_has_its_own_API_01),
        cmocka_unit_test(given_ids_when_asked_for_then_bytes_and_lower_case_text_CTX_02),
        cmocka_unit_test(given_limits_when_set_then_the_resource_is_exempt_LIM_07_RES_06),
        cmocka_unit_test(given_own_generator_when_spans_start_then_its_ids_CTX_03),
        cmocka_unit_test(given_generator_without_functions_when_created_then_refused),
        cmocka_unit_test(given_processors_when_span_ends_then_all_endings_before_any_end_PRC_02),
        cmocka_unit_test(given_much_is_dropped_when_span_ends_then_one_line_LIM_05),
        cmocka_unit_test(given_a_million_attributes_when_set_then_128_kept_LIM_01),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
