/* The price table: LiteLLM's format, look-up, tiers, bad files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "core/price_builtin.h"
#include "core/price_table.h"
#include "support/failing_memory.h"

static struct price_table *load(const char *text)
{
    struct price_load_report report;
    struct price_table *table = price_table_create();
    assert_non_null(table);
    assert_int_equal(price_table_load(table, marline__slice_text(text), &report), PRICE_LOAD_OK);
    return table;
}

static void assert_cost(const struct price_table *table, const char *model, uint64_t input_tokens,
                        uint64_t output_tokens, double input, double output)
{
    const struct model_price *price = price_table_find(table, marline__slice_text(model));
    assert_non_null(price);
    struct token_cost cost = model_price_cost(price, input_tokens, output_tokens);
    assert_true(cost.input == input);
    assert_true(cost.output == output);
}

static void given_builtin_table_when_gpt_4o_priced_then_as_specified(void **state)
{
    (void)state;
    struct price_table *table = price_table_create_builtin();
    assert_cost(table, "gpt-4o", 100, 50, 100 * 2.5e-06, 50 * 1e-05);
    price_table_destroy(table);
}

static void given_builtin_text_when_loaded_then_nothing_is_left_out(void **state)
{
    (void)state;
    struct price_load_report report;
    struct price_table *table = price_table_create();
    assert_int_equal(price_table_load(table, marline__slice_text(price_builtin_text), &report),
                     PRICE_LOAD_OK);
    assert_true(report.models >= 30);
    assert_int_equal(report.unpriced, 0);
    assert_int_equal(report.flawed, 0);
    price_table_destroy(table);
}

static void given_unknown_model_when_looked_up_then_null(void **state)
{
    (void)state;
    struct price_table *table = load("{\"m\":{\"input_cost_per_token\":1e-06}}");
    assert_null(price_table_find(table, SLICE("n")));
    assert_null(price_table_find(table, SLICE("M")));
    assert_null(price_table_find(table, SLICE("m2")));
    assert_null(price_table_find(table, SLICE("m/n")));
    assert_null(price_table_find(table, SLICE("")));
    price_table_destroy(table);
}

static void given_provider_prefix_when_looked_up_then_exact_name_goes_first(void **state)
{
    (void)state;
    struct price_table *table = load("{\"m\":{\"input_cost_per_token\":0.25},"
                                     "\"azure/m\":{\"input_cost_per_token\":0.5}}");
    assert_cost(table, "azure/m", 1, 0, 0.5, 0);
    assert_cost(table, "openai/m", 1, 0, 0.25, 0);
    assert_cost(table, "proxy/openai/m", 1, 0, 0.25, 0);
    assert_cost(table, "proxy/azure/m", 1, 0, 0.5, 0);
    price_table_destroy(table);
}

static void given_thresholds_when_priced_then_strictly_above_all_tokens_cost_more(void **state)
{
    (void)state;
    struct price_table *table = load("{\"m\":{\"output_cost_per_token\":0.5,"
                                     "\"input_cost_per_token_above_200k_tokens\":0.75,"
                                     "\"input_cost_per_token_above_200k_tokens_priority\":0.9,"
                                     "\"input_cost_per_token_above_1000_tokens\":0.5,"
                                     "\"output_cost_per_token_above_200k_tokens\":1.0,"
                                     "\"input_cost_per_token\":0.25}}");
    assert_cost(table, "m", 1000, 2, 1000 * 0.25, 2 * 0.5);
    assert_cost(table, "m", 1001, 2, 1001 * 0.5, 2 * 0.5); /* the tier names no output price */
    assert_cost(table, "m", 200000, 2, 200000 * 0.5, 2 * 0.5);
    assert_cost(table, "m", 200001, 300000, 200001 * 0.75, 300000 * 1.0);
    assert_cost(table, "m", 1, 300000, 0.25, 300000 * 0.5); /* the output decides no tier */
    price_table_destroy(table);
}

static void given_tiered_pricing_when_priced_then_range_of_the_input_counts(void **state)
{
    (void)state;
    struct price_table *table =
        load("{\"m\":{\"tiered_pricing\":["
             "{\"range\":[32000.0,128000.0],\"input_cost_per_token\":0.5,"
             "\"output_cost_per_token\":0.75},"
             "{\"range\":[0,32000.0],\"input_cost_per_token\":0.25,"
             "\"output_cost_per_token\":0.5,\"cache_read_input_token_cost\":0.1}]}}");
    assert_cost(table, "m", 0, 10, 0, 10 * 0.5);
    assert_cost(table, "m", 32000, 10, 32000 * 0.25, 10 * 0.5);
    assert_cost(table, "m", 32001, 10, 32001 * 0.5, 10 * 0.75);
    assert_cost(table, "m", 999999, 10, 999999 * 0.5, 10 * 0.75); /* beyond the last range */
    price_table_destroy(table);
}

static void given_models_without_price_or_with_bad_ones_when_loaded_then_none_is_found(void **state)
{
    (void)state;
    struct price_load_report report;
    struct price_table *table = price_table_create();
    struct slice text =
        SLICE("{\"sample_spec\":{\"input_cost_per_token\":0.0},"
              "\"image\":{\"mode\":\"image_generation\",\"output_cost_per_image\":1},"
              "\"nulls\":{\"input_cost_per_token\":null,\"tiered_pricing\":null},"
              "\"negative\":{\"input_cost_per_token\":-1e-06},"
              "\"text\":{\"output_cost_per_token\":\"1e-06\"},"
              "\"huge\":{\"input_cost_per_token\":2.5},"
              "\"scalar\":1,"
              "\"band\":{\"tiered_pricing\":[{\"input_cost_per_token\":1e-06}]},"
              "\"good\":{\"input_cost_per_token\":1e-06}}");
    assert_int_equal(price_table_load(table, text, &report), PRICE_LOAD_OK);
    assert_int_equal(report.models, 1);
    assert_int_equal(report.unpriced, 3);
    assert_int_equal(report.flawed, 4);
    assert_null(price_table_find(table, SLICE("sample_spec")));
    assert_null(price_table_find(table, SLICE("image")));
    assert_cost(table, "good", 1, 1, 1e-06, 0);
    price_table_destroy(table);
}

static void given_model_without_price_when_looked_up_then_no_other_name_is_tried(void **state)
{
    (void)state;
    struct price_load_report report;
    struct price_table *table = load("{\"m\":{\"input_cost_per_token\":0.5},"
                                     "\"azure/m\":{\"output_cost_per_image\":1}}");
    assert_null(price_table_find(table, SLICE("azure/m")));
    assert_non_null(price_table_find(table, SLICE("openai/m")));
    struct slice flawed = SLICE("{\"m\":{\"input_cost_per_token\":-0.5}}");
    assert_int_equal(price_table_load(table, flawed, &report), PRICE_LOAD_OK);
    assert_null(price_table_find(table, SLICE("m")));
    price_table_destroy(table);
}

static void given_too_many_tiers_when_loaded_then_model_left_out(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT;
    struct price_load_report report;
    struct price_table *table = price_table_create();
    marline__buffer_append_text(&text, "{\"m\":{\"input_cost_per_token\":0.5");
    for (int i = 0; i <= PRICE_TIERS_MAX; i++) {
        marline__buffer_append_format(&text, ",\"input_cost_per_token_above_%dk_tokens\":0.5", i);
    }
    marline__buffer_append_text(&text, "}}");
    assert_int_equal(price_table_load(table, marline__buffer_slice(&text), &report), PRICE_LOAD_OK);
    assert_int_equal(report.flawed, 1);
    assert_null(price_table_find(table, SLICE("m")));
    marline__buffer_deinit(&text);
    price_table_destroy(table);
}

static void given_malformed_file_when_loaded_then_said_where_and_nothing_added(void **state)
{
    (void)state;
    struct price_load_report report;
    struct price_table *table = load("{\"m\":{\"input_cost_per_token\":0.5}}");
    static const char *const bad[] = {"", "[]", "{\"n\":{\"input_cost_per_token\":0.5}",
                                      "{\"n\":{\"input_cost_per_token\":0.5}}x",
                                      "{\"n\":{\"input_cost_per_token\":0.5},\"o\":{,}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(price_table_load(table, marline__slice_text(bad[i]), &report),
                         PRICE_LOAD_MALFORMED);
        assert_non_null(report.error);
        assert_null(price_table_find(table, SLICE("n")));
        assert_non_null(price_table_find(table, SLICE("m")));
    }
    assert_int_equal(report.error_offset, 39); /* the comma in {,} */
    price_table_destroy(table);
}

static void given_second_file_when_loaded_then_its_prices_replace(void **state)
{
    (void)state;
    struct price_load_report report;
    struct price_table *table = price_table_create_builtin();
    struct slice text = SLICE("{\"gpt-4o\":{\"input_cost_per_token\":0.25},"
                              "\"mein \\u00dcbersetzer\":{\"input_cost_per_token\":0.5},"
                              "\"gpt-4o\":{\"input_cost_per_token\":0.75}}");
    assert_int_equal(price_table_load(table, text, &report), PRICE_LOAD_OK);
    assert_cost(table, "gpt-4o", 1, 1, 0.75, 0);
    assert_cost(table,
                "mein \xc3\x9c"
                "bersetzer",
                1, 1, 0.5, 0);
    assert_non_null(price_table_find(table, SLICE("gpt-4o-mini")));
    price_table_destroy(table);
}

static void given_more_models_than_the_limit_when_loaded_then_refused_whole(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT;
    struct price_load_report report;
    struct price_table *table = price_table_create();
    for (int i = 0; i <= PRICE_MODELS_MAX; i++) {
        marline__buffer_append_format(&text, "%c\"m%d\":{\"input_cost_per_token\":0}",
                                      i == 0 ? '{' : ',', i);
    }
    marline__buffer_append_byte(&text, '}');
    assert_int_equal(price_table_load(table, marline__buffer_slice(&text), &report),
                     PRICE_LOAD_TOO_MANY);
    assert_null(price_table_find(table, SLICE("m0")));
    marline__buffer_deinit(&text);
    price_table_destroy(table);
}

static void given_each_allocation_failing_when_loaded_then_clean(void **state)
{
    (void)state;
    struct slice text = SLICE("{\"gpt-4o\":{\"input_cost_per_token\":0.5},"
                              "\"new\":{\"input_cost_per_token\":0.5}}");
    bool swept = false;
    for (size_t n = 1; !swept; n++) {
        struct price_load_report report;
        failing_memory_install(n);
        struct price_table *table = price_table_create_builtin();
        bool loaded = table && price_table_load(table, text, &report) == PRICE_LOAD_OK;
        swept = !failing_memory_has_failed();
        assert_true(loaded == swept);
        assert_true(!table || (price_table_find(table, SLICE("new")) != NULL) == loaded);
        price_table_destroy(table);
        assert_int_equal(failing_memory_alive(), 0);
        failing_memory_remove();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_builtin_table_when_gpt_4o_priced_then_as_specified),
        cmocka_unit_test(given_builtin_text_when_loaded_then_nothing_is_left_out),
        cmocka_unit_test(given_unknown_model_when_looked_up_then_null),
        cmocka_unit_test(given_provider_prefix_when_looked_up_then_exact_name_goes_first),
        cmocka_unit_test(given_thresholds_when_priced_then_strictly_above_all_tokens_cost_more),
        cmocka_unit_test(given_tiered_pricing_when_priced_then_range_of_the_input_counts),
        cmocka_unit_test(
            given_models_without_price_or_with_bad_ones_when_loaded_then_none_is_found),
        cmocka_unit_test(given_model_without_price_when_looked_up_then_no_other_name_is_tried),
        cmocka_unit_test(given_too_many_tiers_when_loaded_then_model_left_out),
        cmocka_unit_test(given_malformed_file_when_loaded_then_said_where_and_nothing_added),
        cmocka_unit_test(given_second_file_when_loaded_then_its_prices_replace),
        cmocka_unit_test(given_more_models_than_the_limit_when_loaded_then_refused_whole),
        cmocka_unit_test(given_each_allocation_failing_when_loaded_then_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
