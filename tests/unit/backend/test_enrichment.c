/* Enrichment: golden JSON (wire-protocol §7.4), every rule and boundary, flawed spans. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/enrichment.h"
#include "support/failing_memory.h"

#define MS 1000000u

/* Prices of the specification's example, and others; one for a model without a name, which no span
 * may be given. */
static struct price_table *example_prices(void)
{
    struct price_load_report report;
    struct price_table *table = price_table_create();
    struct slice text = SLICE("{\"gpt-4o\":{\"input_cost_per_token\":2.5e-06,"
                              "\"output_cost_per_token\":1e-05},"
                              "\"tiny\":{\"input_cost_per_token\":4e-07},"
                              "\"\":{\"input_cost_per_token\":1e-06},"
                              "\"m\\u00f6del\":{\"input_cost_per_token\":1e-06}}");
    assert_non_null(table);
    assert_int_equal(price_table_load(table, text, &report), PRICE_LOAD_OK);
    return table;
}

/* A child named function.f of 1 ms; the id is one digit repeated. */
static struct enrichment_span span_with(char digit, const char *attributes)
{
    struct enrichment_span span = {.has_parent = true,
                                   .duration_ns = MS,
                                   .name = SLICE("function.f"),
                                   .attributes = marline__slice_text(attributes)};
    uint8_t nibble = (uint8_t)(digit - '0');
    memset(span.span_id, nibble << 4 | nibble, sizeof span.span_id);
    return span;
}

static struct enrichment_totals assert_enriched(struct enrichment_span *spans, size_t count,
                                                const char *expected)
{
    struct buffer out = BUFFER_INIT;
    struct enrichment_totals totals;
    struct price_table *prices = example_prices();
    struct enrichment_options options = {prices, USD_TO_EUR_DEFAULT};
    assert_true(enrichment_build(spans, count, &options, &out, &totals));
    assert_string_equal(out.data, expected);
    marline__buffer_deinit(&out);
    price_table_destroy(prices);
    return totals;
}

#define METRICS_OF(count) "\"metrics\":{\"total_duration_ms\":" #count ".0,\"span_count\":" #count
#define FUNCTION_NAME     "\"span_name\":\"function.f\","

static void given_the_specified_trace_when_built_then_its_exact_json(void **state)
{
    (void)state;
    struct enrichment_span spans[] = {
        span_with('2', "{\"function.name\":\"answer\"}"),
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"gpt-4o\","
                       "\"ai.llm.tokens.input\":100,\"ai.llm.tokens.output\":50,"
                       "\"ai.llm.tokens.total\":150}"),
        span_with('3', "{\"ai.operation.type\":\"tool.invoke\",\"ai.tool.name\":\"search\"}"),
    };
    spans[0].has_parent = false;
    spans[0].name = SLICE("function.answer");
    spans[0].duration_ns = 12300ull * MS;
    spans[1].duration_ns = 250 * MS;
    spans[2].duration_ns = 100 * MS;
    struct enrichment_totals totals = assert_enriched(
        spans, 3,
        "{\"costs\":{\"total_cost_usd\":0.00075,\"total_cost_eur\":0.00069,"
        "\"breakdown\":[{\"span_id\":\"1111111111111111\",\"model_name\":\"gpt-4o\","
        "\"input_tokens\":100,\"output_tokens\":50,"
        "\"input_cost_usd\":0.00025,\"output_cost_usd\":0.0005,\"total_cost_usd\":0.00075,"
        "\"input_cost_eur\":0.00023,\"output_cost_eur\":0.00046,\"total_cost_eur\":0.00069}]},"
        "\"anomalies\":[{\"type\":\"slow_span\",\"span_id\":\"2222222222222222\","
        "\"span_name\":\"function.answer\","
        "\"message\":\"Span took 12.3s (threshold: 10s)\",\"duration_ms\":12300.0}],"
        "\"metrics\":{\"total_duration_ms\":12650.0,\"span_count\":3,\"error_count\":0},"
        "\"models_used\":[\"gpt-4o\"],\"tools_used\":[\"search\"],"
        "\"operation_types\":[\"llm.invoke\",\"tool.invoke\"],"
        "\"root_operation\":\"function.answer\"}");
    assert_true(totals.has_costs);
    assert_true(totals.total_cost_usd == 0.00075 && totals.total_cost_eur == 0.00069);
    assert_true(totals.span_count == 3 && totals.error_count == 0 && totals.anomaly_count == 1);
    assert_true(totals.total_duration_ms == 12650.0);
    assert_true(totals.total_tokens == 150 && totals.root_tokens == 0);
    assert_true(totals.has_root && totals.root == 0 && totals.flawed_count == 0);
}

static void given_no_spans_when_built_then_metrics_alone(void **state)
{
    (void)state;
    struct enrichment_totals totals = assert_enriched(
        NULL, 0, "{\"metrics\":{\"total_duration_ms\":0.0,\"span_count\":0,\"error_count\":0}}");
    assert_false(totals.has_root);
}

static void given_exactly_ten_seconds_when_built_then_not_slow(void **state)
{
    (void)state;
    struct enrichment_span span = span_with('1', "{}");
    span.duration_ns = 10000ull * MS;
    (void)assert_enriched(
        &span, 1,
        "{\"metrics\":{\"total_duration_ms\":10000.0,\"span_count\":1,\"error_count\":0}}");
}

static void given_a_little_over_ten_seconds_when_built_then_slow(void **state)
{
    (void)state;
    struct enrichment_span span = span_with('1', "{}");
    span.duration_ns = 10000ull * MS + 1000;
    (void)assert_enriched(
        &span, 1,
        "{\"anomalies\":[{\"type\":\"slow_span\",\"span_id\":\"1111111111111111\"," FUNCTION_NAME
        "\"message\":\"Span took 10.0s (threshold: 10s)\",\"duration_ms\":10000.001}],"
        "\"metrics\":{\"total_duration_ms\":10000.001,\"span_count\":1,\"error_count\":0}}");
}

static void given_exactly_ten_thousand_tokens_when_built_then_not_high(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.llm.tokens.total\":10000}");
    struct enrichment_totals totals =
        assert_enriched(&span, 1,
                        "{" METRICS_OF(1) ",\"error_count\":0},"
                                          "\"operation_types\":[\"llm.invoke\"]}");
    assert_true(totals.total_tokens == 10000);
}

static void given_more_than_ten_thousand_tokens_when_built_then_high(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.llm.tokens.total\":10001}");
    (void)assert_enriched(
        &span, 1,
        "{\"anomalies\":[{\"type\":\"high_token_usage\","
        "\"span_id\":\"1111111111111111\"," FUNCTION_NAME
        "\"message\":\"High token usage: 10001 tokens (threshold: 10,000)\","
        "\"total_tokens\":10001}]," METRICS_OF(1) ",\"error_count\":0},"
                                                  "\"operation_types\":[\"llm.invoke\"]}");
}

static void given_total_is_missing_when_built_then_it_is_not_derived(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.llm.tokens.input\":9000,"
                       "\"ai.llm.tokens.output\":9000}");
    struct enrichment_totals totals = assert_enriched(
        &span, 1, "{" METRICS_OF(1) ",\"error_count\":0},\"operation_types\":[\"llm.invoke\"]}");
    assert_true(totals.total_tokens == 0);
}

static void given_other_operation_when_built_then_neither_cost_nor_token_anomaly(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"ai.llm.invoke\",\"ai.model.name\":\"gpt-4o\","
                       "\"ai.llm.tokens.input\":5,\"ai.llm.tokens.total\":20000}");
    struct enrichment_totals totals =
        assert_enriched(&span, 1,
                        "{" METRICS_OF(1) ",\"error_count\":0},\"models_used\":[\"gpt-4o\"],"
                                          "\"operation_types\":[\"ai.llm.invoke\"]}");
    assert_false(totals.has_costs);
    assert_true(totals.total_tokens == 20000);
}

static void given_span_that_is_all_three_when_built_then_slow_tokens_error(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.llm.tokens.total\":12345}");
    span.duration_ns = 10250ull * MS; /* 10.25 is a tie: to even */
    span.is_error = true;
    span.status_message = SLICE("ValueError: \"no\"\n");
    struct enrichment_totals totals = assert_enriched(
        &span, 1,
        "{\"anomalies\":["
        "{\"type\":\"slow_span\",\"span_id\":\"1111111111111111\"," FUNCTION_NAME
        "\"message\":\"Span took 10.2s (threshold: 10s)\",\"duration_ms\":10250.0},"
        "{\"type\":\"high_token_usage\",\"span_id\":\"1111111111111111\"," FUNCTION_NAME
        "\"message\":\"High token usage: 12345 tokens (threshold: 10,000)\","
        "\"total_tokens\":12345},"
        "{\"type\":\"error\",\"span_id\":\"1111111111111111\"," FUNCTION_NAME
        "\"message\":\"Span failed: ValueError: \\\"no\\\"\\n\","
        "\"error_message\":\"ValueError: \\\"no\\\"\\n\"}],"
        "\"metrics\":{\"total_duration_ms\":10250.0,\"span_count\":1,\"error_count\":1},"
        "\"operation_types\":[\"llm.invoke\"]}");
    assert_true(totals.anomaly_count == 3 && totals.error_count == 1);
}

static void given_error_without_message_when_built_then_unknown_error(void **state)
{
    (void)state;
    struct enrichment_span spans[] = {span_with('1', "{}"), span_with('2', "{}")};
    spans[0].is_error = spans[1].is_error = true;
    spans[1].status_message = SLICE("");
    (void)assert_enriched(
        spans, 2,
        "{\"anomalies\":["
        "{\"type\":\"error\",\"span_id\":\"1111111111111111\"," FUNCTION_NAME
        "\"message\":\"Span failed: Unknown error\"},"
        "{\"type\":\"error\",\"span_id\":\"2222222222222222\"," FUNCTION_NAME
        "\"message\":\"Span failed: Unknown error\",\"error_message\":\"\"}]," METRICS_OF(
            2) ",\"error_count\":2}}");
}

static void given_known_model_without_tokens_when_built_then_an_entry_of_zeros(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"gpt-4o\"}");
    struct enrichment_totals totals = assert_enriched(
        &span, 1,
        "{\"costs\":{\"total_cost_usd\":0.0,\"total_cost_eur\":0.0,"
        "\"breakdown\":[{\"span_id\":\"1111111111111111\",\"model_name\":\"gpt-4o\","
        "\"input_tokens\":0,\"output_tokens\":0,"
        "\"input_cost_usd\":0.0,\"output_cost_usd\":0.0,\"total_cost_usd\":0.0,"
        "\"input_cost_eur\":0.0,\"output_cost_eur\":0.0,\"total_cost_eur\":0.0}]}," METRICS_OF(
            1) ",\"error_count\":0},\"models_used\":[\"gpt-4o\"],\"operation_types\":[\"llm."
               "invoke\"]}");
    assert_true(totals.has_costs && totals.total_cost_usd == 0);
}

static void given_unknown_model_when_built_then_no_costs(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"none\","
                       "\"ai.llm.tokens.input\":5}");
    struct enrichment_totals totals =
        assert_enriched(&span, 1,
                        "{" METRICS_OF(1) ",\"error_count\":0},\"models_used\":[\"none\"],"
                                          "\"operation_types\":[\"llm.invoke\"]}");
    assert_false(totals.has_costs);
    assert_int_equal(span.flaw, SPAN_FLAW_NONE);
}

#define TINY_COST(id)                                                                              \
    "{\"span_id\":\"" id "\",\"model_name\":\"tiny\",\"input_tokens\":1,\"output_tokens\":0,"      \
    "\"input_cost_usd\":0.0,\"output_cost_usd\":0.0,\"total_cost_usd\":0.0,"                       \
    "\"input_cost_eur\":0.0,\"output_cost_eur\":0.0,\"total_cost_eur\":0.0}"

static void given_costs_below_the_rounding_when_built_then_total_of_the_unrounded(void **state)
{
    (void)state;
    static const char tiny[] = "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"tiny\","
                               "\"ai.llm.tokens.input\":1}";
    struct enrichment_span spans[] = {span_with('1', tiny), span_with('2', tiny),
                                      span_with('3', tiny)};
    (void)assert_enriched(
        spans, 3,
        "{\"costs\":{\"total_cost_usd\":1e-06,\"total_cost_eur\":1e-06,\"breakdown\":"
        "[" TINY_COST("1111111111111111") "," TINY_COST("2222222222222222") "," TINY_COST(
            "3333333333333333") "]}," METRICS_OF(3) ",\"error_count\":0},\"models_used\":["
                                                    "\"tiny\"],\"operation_types\":[\"llm."
                                                    "invoke\"]}");
}

static void given_names_in_any_order_and_spelling_when_built_then_sorted_and_once(void **state)
{
    (void)state;
    struct enrichment_span spans[] = {
        span_with('1', "{\"ai.tool.name\":\"zoom\",\"ai.operation.type\":\"tool.invoke\"}"),
        span_with('2', "{\"ai.tool.name\":\"b\\u00fccher\",\"ai.model.name\":\"b\"}"),
        span_with('3', "{\"ai.tool.name\":\"b\xc3\xbc"
                       "cher\",\"ai.model.name\":\"ab\"}"),
        span_with('4', "{\"ai.tool.name\":\"\\ud83d\\ude00\",\"ai.model.name\":\"a\"}"),
        span_with('5', "{\"ai.tool.name\":\"zoom\",\"ai.model.name\":\"a\"}"),
    };
    (void)assert_enriched(spans, 5,
                          "{" METRICS_OF(5) ",\"error_count\":0},"
                                            "\"models_used\":[\"a\",\"ab\",\"b\"],"
                                            "\"tools_used\":[\"b\xc3\xbc"
                                            "cher\",\"zoom\","
                                            "\"\xf0\x9f\x98\x80\"],"
                                            "\"operation_types\":[\"tool.invoke\"]}");
}

static void given_escaped_unicode_model_when_built_then_priced_by_its_decoded_name(void **state)
{
    (void)state;
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm\\u002einvoke\","
                       "\"ai.model.name\":\"m\\u00f6del\",\"ai.llm.tokens.input\":1000000}");
    struct enrichment_totals totals = assert_enriched(
        &span, 1,
        "{\"costs\":{\"total_cost_usd\":1.0,\"total_cost_eur\":0.92,"
        "\"breakdown\":[{\"span_id\":\"1111111111111111\",\"model_name\":\"m\xc3\xb6"
        "del\","
        "\"input_tokens\":1000000,\"output_tokens\":0,"
        "\"input_cost_usd\":1.0,\"output_cost_usd\":0.0,\"total_cost_usd\":1.0,"
        "\"input_cost_eur\":0.92,\"output_cost_eur\":0.0,\"total_cost_eur\":0.92}]}," METRICS_OF(
            1) ",\"error_count\":0},\"models_used\":[\"m\xc3\xb6"
               "del\"],"
               "\"operation_types\":[\"llm.invoke\"]}");
    assert_true(totals.total_cost_usd == 1.0);
}

static void given_several_roots_when_built_then_the_earliest_names_the_trace(void **state)
{
    (void)state;
    struct enrichment_span spans[] = {
        span_with('1', "{}"), span_with('2', "{\"ai.llm.tokens.total\":7}"), span_with('3', "{}")};
    spans[1].has_parent = spans[2].has_parent = false;
    spans[1].name = SLICE("function.gr\xc3\xbc\xc3\x9f"
                          "e");
    struct enrichment_totals totals = assert_enriched(
        spans, 3,
        "{" METRICS_OF(3) ",\"error_count\":0},\"root_operation\":\"function.gr\xc3\xbc\xc3\x9f"
                          "e\"}");
    assert_true(totals.root == 1 && totals.root_tokens == 7);
}

static void given_flawed_spans_when_built_then_skipped_and_the_rest_enriched(void **state)
{
    (void)state;
    struct enrichment_span spans[] = {
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"gpt-4o\","
                       "\"ai.llm.tokens.input\":-5,\"ai.llm.tokens.total\":20000}"),
        span_with('2', "{\"ai.model.name\":\"broken\""),
        span_with('3', "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"tiny\","
                       "\"ai.llm.tokens.input\":1}"),
    };
    spans[1].has_parent = false;
    spans[1].is_error = true;
    struct enrichment_totals totals = assert_enriched(
        spans, 3,
        "{\"costs\":{\"total_cost_usd\":0.0,\"total_cost_eur\":0.0,\"breakdown\":[" TINY_COST(
            "3333333333333333") "]},"
                                "\"anomalies\":[{\"type\":\"error\",\"span_id\":"
                                "\"2222222222222222\"," FUNCTION_NAME
                                "\"message\":\"Span failed: Unknown error\"}]," METRICS_OF(
                                    3) ",\"error_count\":1},\"models_used\":[\"gpt-4o\",\"tiny\"],"
                                       "\"operation_types\":[\"llm.invoke\"],\"root_operation\":"
                                       "\"function.f\"}");
    assert_int_equal(totals.flawed_count, 2);
    assert_int_equal(spans[0].flaw, SPAN_FLAW_TOKENS);
    assert_int_equal(spans[1].flaw, SPAN_FLAW_ATTRIBUTES);
    assert_int_equal(spans[2].flaw, SPAN_FLAW_NONE);
}

static void given_no_price_table_when_built_then_no_costs(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct enrichment_totals totals;
    struct enrichment_options options = {NULL, USD_TO_EUR_DEFAULT};
    struct enrichment_span span =
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"gpt-4o\"}");
    assert_true(enrichment_build(&span, 1, &options, &out, &totals));
    assert_false(totals.has_costs);
    marline__buffer_deinit(&out);
}

static void given_each_allocation_failing_when_built_then_clean(void **state)
{
    (void)state;
    struct price_table *prices = example_prices();
    struct enrichment_options options = {prices, USD_TO_EUR_DEFAULT};
    struct enrichment_span spans[] = {
        span_with('1', "{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"m\\u00f6del\"}"),
        span_with('2', "{}")};
    spans[1].is_error = true;
    spans[1].status_message = SLICE("a reason that does not fit into the first block of a buffer, "
                                    "which has a hundred and twenty-eight bytes and holds a text");
    bool swept = false;
    for (size_t n = 1; !swept; n++) {
        struct buffer out = BUFFER_INIT;
        struct enrichment_totals totals = {.span_count = 99};
        failing_memory_install(n);
        bool built = enrichment_build(spans, 2, &options, &out, &totals);
        swept = !failing_memory_has_failed();
        assert_true(built == swept && out.failed == !swept);
        assert_int_equal(totals.span_count, built ? 2 : 99);
        marline__buffer_deinit(&out);
        assert_int_equal(failing_memory_alive(), 0);
        failing_memory_remove();
    }
    price_table_destroy(prices);
}

static void given_stored_enrichment_when_asked_then_current_only_if_nothing_is_new(void **state)
{
    (void)state;
    assert_true(enrichment_is_current(SLICE("{\"metrics\":{}}"), 0));
    assert_false(enrichment_is_current(SLICE("{\"metrics\":{}}"), 1));
    assert_false(enrichment_is_current(SLICE("{}"), 0));
    assert_false(enrichment_is_current(SLICE(" { } "), 0));
    assert_false(enrichment_is_current(SLICE("null"), 0));
    assert_false(enrichment_is_current(SLICE("[1]"), 0));
    assert_false(enrichment_is_current(SLICE_EMPTY, 0));
}

static void given_stored_enrichment_when_costs_read_then_its_totals(void **state)
{
    (void)state;
    struct enrichment_costs costs = enrichment_read_costs(
        SLICE("{\"costs\":{\"total_cost_usd\":0.00075,\"total_cost_eur\":1e-06,"
              "\"breakdown\":[{\"total_cost_usd\":5.0}]},\"metrics\":{\"total_cost_usd\":6.0}}"));
    assert_true(costs.total_usd == 0.00075 && costs.total_eur == 1e-06);
}

static void given_no_costs_or_no_enrichment_when_costs_read_then_zero(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "null",
        "{\"metrics\":{}}",
        "{\"costs\":null}",
        "{\"costs\":{\"total_cost_usd\":\"1\",\"total_cost_eur\":2.0}}",
        "{\"costs\":{\"total_cost_usd\":1.0}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct enrichment_costs costs = enrichment_read_costs(marline__slice_text(texts[i]));
        assert_true(costs.total_usd == 0 && costs.total_eur == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_the_specified_trace_when_built_then_its_exact_json),
        cmocka_unit_test(given_no_spans_when_built_then_metrics_alone),
        cmocka_unit_test(given_exactly_ten_seconds_when_built_then_not_slow),
        cmocka_unit_test(given_a_little_over_ten_seconds_when_built_then_slow),
        cmocka_unit_test(given_exactly_ten_thousand_tokens_when_built_then_not_high),
        cmocka_unit_test(given_more_than_ten_thousand_tokens_when_built_then_high),
        cmocka_unit_test(given_total_is_missing_when_built_then_it_is_not_derived),
        cmocka_unit_test(given_other_operation_when_built_then_neither_cost_nor_token_anomaly),
        cmocka_unit_test(given_span_that_is_all_three_when_built_then_slow_tokens_error),
        cmocka_unit_test(given_error_without_message_when_built_then_unknown_error),
        cmocka_unit_test(given_known_model_without_tokens_when_built_then_an_entry_of_zeros),
        cmocka_unit_test(given_unknown_model_when_built_then_no_costs),
        cmocka_unit_test(given_costs_below_the_rounding_when_built_then_total_of_the_unrounded),
        cmocka_unit_test(given_names_in_any_order_and_spelling_when_built_then_sorted_and_once),
        cmocka_unit_test(given_escaped_unicode_model_when_built_then_priced_by_its_decoded_name),
        cmocka_unit_test(given_several_roots_when_built_then_the_earliest_names_the_trace),
        cmocka_unit_test(given_flawed_spans_when_built_then_skipped_and_the_rest_enriched),
        cmocka_unit_test(given_no_price_table_when_built_then_no_costs),
        cmocka_unit_test(given_each_allocation_failing_when_built_then_clean),
        cmocka_unit_test(given_stored_enrichment_when_asked_then_current_only_if_nothing_is_new),
        cmocka_unit_test(given_stored_enrichment_when_costs_read_then_its_totals),
        cmocka_unit_test(given_no_costs_or_no_enrichment_when_costs_read_then_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
