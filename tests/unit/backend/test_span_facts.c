/* What is read out of attributes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "core/span_facts.h"

static void assert_slice(struct slice s, const char *expected)
{
    assert_true(marline__slice_is(s, expected));
}

static void given_llm_span_when_read_then_all_facts(void **state)
{
    (void)state;
    struct span_facts facts;
    assert_int_equal(
        span_facts_read(SLICE(" {\"ai.operation.type\" : \"llm.invoke\",\"x\":{\"deep\":[NaN,1]},"
                              "\"ai.model.name\":\"gpt-4o\",\"ai.tool.name\":\"search\","
                              "\"ai.llm.tokens.input\":100,\"ai.llm.tokens.output\":50.0,"
                              "\"ai.llm.tokens.total\":15e1}\n"),
                        &facts),
        SPAN_FLAW_NONE);
    assert_slice(facts.operation, "llm.invoke");
    assert_slice(facts.model, "gpt-4o");
    assert_slice(facts.tool, "search");
    assert_true(facts.tokens_input == 100 && facts.tokens_output == 50);
    assert_true(facts.tokens_total == 150);
}

static void given_input_and_output_when_read_then_total_is_not_derived(void **state)
{
    (void)state;
    struct span_facts facts;
    assert_int_equal(
        span_facts_read(SLICE("{\"ai.llm.tokens.input\":7,\"ai.llm.tokens.output\":8}"), &facts),
        SPAN_FLAW_NONE);
    assert_true(facts.tokens_total == 0);
}

static void given_null_or_absent_when_read_then_empty_and_no_flaw(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "{}",
        "{\"ai.operation.type\":null,\"ai.model.name\":null,\"ai.llm.tokens.input\":null}",
        "{\"ai.operation.type\":\"\",\"ai.model.name\":7,\"ai.tool.name\":[\"x\"]}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct span_facts facts;
        assert_int_equal(span_facts_read(marline__slice_text(texts[i]), &facts), SPAN_FLAW_NONE);
        assert_int_equal(facts.operation.size + facts.model.size + facts.tool.size, 0);
        assert_true(facts.tokens_input == 0);
    }
}

static void given_member_twice_when_read_then_the_last_counts(void **state)
{
    (void)state;
    struct span_facts facts;
    assert_int_equal(span_facts_read(SLICE("{\"ai.llm.tokens.total\":-1,\"ai.model.name\":\"a\","
                                           "\"ai.llm.tokens.total\":2,\"ai.model.name\":\"b\"}"),
                                     &facts),
                     SPAN_FLAW_NONE);
    assert_true(facts.tokens_total == 2);
    assert_slice(facts.model, "b");
}

static void given_bad_tokens_when_read_then_counts_are_left_out_and_names_kept(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "-1",   "\"12\"", "1.5", "true", "NaN", "Infinity", "[1]", "{}", "9223372036854775808",
        "1e400"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct buffer text = BUFFER_INIT;
        struct span_facts facts;
        marline__buffer_append_format(&text,
                                      "{\"ai.model.name\":\"m\",\"ai.llm.tokens.input\":5,"
                                      "\"ai.llm.tokens.output\":%s,\"ai.llm.tokens.total\":6}",
                                      texts[i]);
        assert_int_equal(span_facts_read(marline__buffer_slice(&text), &facts), SPAN_FLAW_TOKENS);
        assert_slice(facts.model, "m");
        assert_true(facts.tokens_input + facts.tokens_output + facts.tokens_total == 0);
        marline__buffer_deinit(&text);
    }
}

static void given_broken_attributes_when_read_then_no_facts(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]",
                                        "null",
                                        " ",
                                        "{\"ai.model.name\":\"m\"",
                                        "{\"ai.model.name\":\"m\"}{}",
                                        "{\"ai.model.name\":\"m\",\"x\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct span_facts facts;
        assert_int_equal(span_facts_read(marline__slice_text(texts[i]), &facts),
                         SPAN_FLAW_ATTRIBUTES);
        assert_int_equal(facts.model.size, 0);
    }
}

static void given_each_flaw_when_named_then_a_text(void **state)
{
    (void)state;
    for (int flaw = 0; flaw < SPAN_FLAW_COUNT; flaw++) {
        assert_non_null(span_flaw_text((enum span_flaw)flaw));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_llm_span_when_read_then_all_facts),
        cmocka_unit_test(given_input_and_output_when_read_then_total_is_not_derived),
        cmocka_unit_test(given_null_or_absent_when_read_then_empty_and_no_flaw),
        cmocka_unit_test(given_member_twice_when_read_then_the_last_counts),
        cmocka_unit_test(given_bad_tokens_when_read_then_counts_are_left_out_and_names_kept),
        cmocka_unit_test(given_broken_attributes_when_read_then_no_facts),
        cmocka_unit_test(given_each_flaw_when_named_then_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
