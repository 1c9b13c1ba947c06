/* AI helpers and captured arguments, as the platform wants them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "../../support/trace_fixture.h"
#include "wire/platform_trace.h"
#include <marline/ai.h>

static struct trace_fixture f;

static int setup(void **state)
{
    (void)state;
    trace_fixture_begin(&f, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trace_fixture_end(&f);
    return 0;
}

static void given_llm_call_when_traced_then_priced_attributes(void **state)
{
    (void)state;
    {
        MARLINE_AI(call, MARLINE_AI_LLM_INVOKE, .provider = "acme", .model = "small-1");
        marline_ai_set_tokens(&call.span, &(marline_ai_tokens){.input = 120, .output = 48});
    }
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_string_is(data->name, "ai.llm.invoke");
    assert_int_equal(data->kind, MARLINE_SPAN_KIND_INTERNAL);
    assert_int_equal(data->status, MARLINE_SPAN_STATUS_OK);
    assert_span_text(data, "ai.operation.type", "llm.invoke");
    assert_span_text(data, "ai.model.provider", "acme");
    assert_span_text(data, "ai.model.name", "small-1");
    assert_null(span_attribute(data, "ai.tool.name"));
    assert_int_equal(span_attribute(data, "ai.llm.tokens.input")->as.integer, 120);
    assert_int_equal(span_attribute(data, "ai.llm.tokens.output")->as.integer, 48);
    assert_int_equal(span_attribute(data, "ai.llm.tokens.total")->as.integer, 168);
}

static void given_every_operation_when_traced_then_platform_takes_its_name(void **state)
{
    (void)state;
    enum { OPERATIONS = MARLINE_AI_AGENT_INVOKE + 1 };
    for (int operation = 0; operation <= OPERATIONS; operation++) { /* one beyond the last */
        MARLINE_AI(span, (marline_ai_operation)operation, .tool = "search", .agent = "a");
    }
    for (size_t i = 0; i <= OPERATIONS; i++) {
        const marline_span_data *data = trace_fixture_span(&f, i);
        assert_true(
            marline__platform_span_name_is_valid((struct slice){data->name.data, data->name.size}));
        const marline_value *type = span_attribute(data, "ai.operation.type");
        assert_int_equal(type != NULL, i < OPERATIONS);
        if (type) {
            assert_int_equal(type->as.string.size + 3, data->name.size);
            assert_memory_equal(type->as.string.data, data->name.data + 3, type->as.string.size);
        }
    }
}

static void given_odd_token_counts_when_set_then_never_negative(void **state)
{
    (void)state;
    {
        MARLINE_AI(call, MARLINE_AI_LLM_INVOKE, .model = NULL);
        marline_ai_set_tokens(&call.span, &(marline_ai_tokens){.input = -5, .output = INT64_MAX});
        marline_ai_set_tokens(&call.span, NULL);
        marline_ai_set_tokens(NULL, &(marline_ai_tokens){.input = 1, .output = 1});
    }
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(span_attribute(data, "ai.llm.tokens.input")->as.integer, 0);
    assert_true(span_attribute(data, "ai.llm.tokens.total")->as.integer == INT64_MAX);
}

/* `count` letters of two bytes each. */
static const char *letters(size_t count)
{
    static char text[2 * 2001 + 1];
    for (size_t i = 0; i < count; i++) {
        memcpy(text + 2 * i, "\xc3\xb8", 2);
    }
    text[2 * count] = '\0';
    return text;
}

static void capture(const char *text)
{
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_set_arguments(&span, text);
    marline_span_set_result(&span, text);
    marline_span_end(&span);
}

static void given_texts_when_captured_then_cut_by_characters(void **state)
{
    (void)state;
    capture(letters(2000));
    capture(letters(2001));
    capture("");
    capture(NULL);
    const marline_span_data *fits = trace_fixture_span(&f, 0);
    assert_int_equal(span_attribute(fits, "function.kwargs")->as.string.size, 4000);
    assert_int_equal(span_attribute(fits, "function.result")->as.string.size, 4000);
    assert_int_equal(span_attribute(fits, "function.result_preview")->as.string.size, 2000);
    const marline_span_data *cut = trace_fixture_span(&f, 1);
    marline_string arguments = span_attribute(cut, "function.kwargs")->as.string;
    assert_int_equal(arguments.size, 4000 + strlen("...[truncated]"));
    assert_memory_equal(arguments.data + 4000, "...[truncated]", strlen("...[truncated]"));
    assert_null(span_attribute(cut, "function.result"));
    assert_int_equal(span_attribute(cut, "function.result_preview")->as.string.size, 2000);
    assert_span_text(trace_fixture_span(&f, 2), "function.result", "");
    assert_int_equal(trace_fixture_span(&f, 3)->attribute_count, 0);
}

#define AI_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AI_TEST(given_llm_call_when_traced_then_priced_attributes),
        AI_TEST(given_every_operation_when_traced_then_platform_takes_its_name),
        AI_TEST(given_odd_token_counts_when_set_then_never_negative),
        AI_TEST(given_texts_when_captured_then_cut_by_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
