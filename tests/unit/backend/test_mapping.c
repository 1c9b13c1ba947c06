/* Request and response mappings of endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/mapping.h"

struct mapping_case {
    const char *mapping;
    const char *value; /* request or output */
    const char *expected;
};

static void assert_mapped(void (*map)(struct slice, struct slice, struct buffer *),
                          const struct mapping_case *c)
{
    struct buffer out = BUFFER_INIT;
    map(marline__slice_text(c->mapping), marline__slice_text(c->value), &out);
    if (out.size != strlen(c->expected) || memcmp(out.data, c->expected, out.size) != 0) {
        fail_msg("%s of %s: %.*s", c->mapping, c->value, (int)out.size, out.data);
    }
    marline__buffer_deinit(&out);
}

static void given_requests_when_mapped_then_the_inputs(void **state)
{
    (void)state;
    static const struct mapping_case cases[] = {
        {"{\"q\":\"{{ input }}\"}", "{\"input\":\"hi\"}", "{\"q\":\"hi\"}"},
        {"{\"q\":\"{{input}}\"}", "{\"input\":\"a\\\"b\"}", "{\"q\":\"a\\\"b\"}"},
        {"{\"q\":\"{{ input }}\"}", "{\"input\":\"42\"}", "{\"q\":42}"},
        {"{\"q\":\"{{ input }}\"}", "{\"input\":\"{\\\"a\\\":1}\"}", "{\"q\":{\"a\":1}}"},
        {"{\"q\":\"{{ input }}\"}", "{\"input\":{\"a\": 1.50}}", "{\"q\":{\"a\": 1.50}}"},
        {"{\"q\":\"{{ input }}\",\"c\":\"{{ conversation_id }}\"}", "{\"input\":\"x\"}",
         "{\"q\":\"x\"}"},
        {"{\"k\":\"const\",\"n\":3,\"m\":\"Say {{ input }}\"}", "{\"input\":\"x\"}",
         "{\"k\":\"const\",\"n\":3,\"m\":\"Say {{ input }}\"}"},
        {"", "{\"input\":\"x\",\"user_id\":\"u\",\"test_id\":1}",
         "{\"input\":\"x\",\"test_id\":1}"},
        {"{}", "{\"input\":\"x\"}", "{}"},
        {"[1]", "{\"input\":\"x\"}", "{\"input\":\"x\"}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_mapped(mapping_inputs, &cases[i]);
    }
}

static void given_outputs_when_mapped_then_the_answer(void **state)
{
    (void)state;
    static const struct mapping_case cases[] = {
        {"{\"output\":\"$.output\"}", "{\"output\":\"HI\",\"x\":1}", "\"output\":\"HI\","},
        {"{\"output\":\"$.a.b\"}", "{\"a\":{\"b\":[1]}}", "\"output\":[1],"},
        {"{\"output\":\"$\"}", "\"text\"", "\"output\":\"text\","},
        {"{\"output\":\"$.missing\"}", "{\"a\":1}", "\"output\":null,"},
        {"{\"output\":\"$.a.b.c\"}", "{\"a\":1}", "\"output\":null,"},
        {"{\"output\":\"$[0]\"}", "[1]", "\"output\":null,"},
        {"{\"fixed\":\"word\"}", "{}", "\"fixed\":\"word\","},
        {"", "{\"a\":1,\"b\":2}", "\"a\":1,\"b\":2,"},
        {"", "\"text\"", "\"output\":\"text\","},
        {"", "", "\"output\":null,"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_mapped(mapping_answer, &cases[i]);
    }
}

static void given_member_twice_when_looked_up_then_the_last(void **state)
{
    (void)state;
    struct slice value = mapping_member(SLICE("{\"a\":1,\"a\":2}"), "a");
    assert_true(marline__slice_is(value, "2"));
    assert_int_equal(mapping_member(SLICE("[]"), "a").size, 0);
    assert_int_equal(mapping_member(SLICE("{\"a\":"), "a").size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_requests_when_mapped_then_the_inputs),
        cmocka_unit_test(given_outputs_when_mapped_then_the_answer),
        cmocka_unit_test(given_member_twice_when_looked_up_then_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
