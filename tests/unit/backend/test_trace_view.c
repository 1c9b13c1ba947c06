/* The bodies of the trace queries: exact member lists, null rules, golden bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "core/trace_view.h"
#include "support/failing_memory.h"
#include "wire/json_reader.h"

#define T0 (1767225600ull * NS_PER_S) /* 2026-01-01T00:00:00Z */

static void assert_body(struct buffer *out, const char *expected)
{
    assert_false(out->failed);
    assert_string_equal(out->data, expected);
    assert_true(marline__json_is_valid(marline__buffer_slice(out), JSON_STRICT));
    marline__buffer_deinit(out);
}

static struct uuid uuid_of(const char *text)
{
    struct uuid id;
    assert_true(marline__uuid_parse(marline__slice_text(text), &id));
    return id;
}

/* ---- the list ---- */

static struct trace_summary full_summary(void)
{
    return (struct trace_summary){
        .trace_id = {0xab, [15] = 1},
        .project_id = uuid_of("11111111-1111-4111-8111-111111111111"),
        .environment = SLICE("development"),
        .conversation_id = SLICE("conv-1"),
        .start_unix_ns = T0 + 1500000,
        .duration_ns = 12300000000ull,
        .root_operation = SLICE("function.answer"),
        .status = 2,
        .attributes =
            SLICE("{\"rhesis.conversation.input\":\"h\\u00e9\",\"ai.llm.tokens.total\":9}"),
        .span_count = 3,
        .total_cost_usd = 0.00075,
        .total_cost_eur = 0.00069,
        .test_run_id = uuid_of("22222222-2222-4222-8222-222222222222"),
        .test_result_id = uuid_of("33333333-3333-4333-8333-333333333333"),
        .test_id = uuid_of("44444444-4444-4444-8444-444444444444"),
        .endpoint_id = uuid_of("55555555-5555-4555-8555-555555555555"),
        .endpoint_name = SLICE("answer"),
    };
}

static void given_full_row_when_listed_then_every_member(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_summary row = full_summary();
    struct trace_page page = {&row, 1, 7, 100, 0};
    assert_true(trace_list_write(&page, &out));
    assert_body(&out, "{\"traces\":[{\"trace_id\":\"ab000000000000000000000000000001\","
                      "\"project_id\":\"11111111-1111-4111-8111-111111111111\","
                      "\"environment\":\"development\",\"conversation_id\":\"conv-1\","
                      "\"conversation_input\":\"h\\u00e9\","
                      "\"start_time\":\"2026-01-01T00:00:00.001500Z\",\"duration_ms\":12300.0,"
                      "\"span_count\":3,\"root_operation\":\"function.answer\","
                      "\"status_code\":\"ERROR\",\"total_tokens\":9,\"total_cost_usd\":0.00075,"
                      "\"total_cost_eur\":0.00069,\"has_errors\":true,"
                      "\"test_run_id\":\"22222222-2222-4222-8222-222222222222\","
                      "\"test_result_id\":\"33333333-3333-4333-8333-333333333333\","
                      "\"test_id\":\"44444444-4444-4444-8444-444444444444\","
                      "\"endpoint_id\":\"55555555-5555-4555-8555-555555555555\","
                      "\"endpoint_name\":\"answer\",\"trace_metrics_status\":null,"
                      "\"has_reviews\":false,\"last_review\":null,\"matches_review\":null,"
                      "\"tags_count\":0,\"comments_count\":0}],"
                      "\"total\":7,\"limit\":100,\"offset\":0}");
}

static void given_bare_row_when_listed_then_nulls_and_zero_cost_and_tokens_null(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_summary row = {.start_unix_ns = T0,
                                .status = 1,
                                .span_count = 1,
                                .attributes = SLICE("{\"ai.llm.tokens.total\":0}")};
    struct trace_page page = {&row, 1, 1, 1, 5};
    assert_true(trace_list_write(&page, &out));
    assert_body(&out, "{\"traces\":[{\"trace_id\":\"00000000000000000000000000000000\","
                      "\"project_id\":null,\"environment\":null,\"conversation_id\":null,"
                      "\"conversation_input\":null,\"start_time\":\"2026-01-01T00:00:00Z\","
                      "\"duration_ms\":0.0,\"span_count\":1,\"root_operation\":null,"
                      "\"status_code\":\"OK\",\"total_tokens\":null,\"total_cost_usd\":null,"
                      "\"total_cost_eur\":null,\"has_errors\":false,\"test_run_id\":null,"
                      "\"test_result_id\":null,\"test_id\":null,\"endpoint_id\":null,"
                      "\"endpoint_name\":null,\"trace_metrics_status\":null,"
                      "\"has_reviews\":false,\"last_review\":null,\"matches_review\":null,"
                      "\"tags_count\":0,\"comments_count\":0}],"
                      "\"total\":1,\"limit\":1,\"offset\":5}");
}

static void given_page_past_the_end_when_listed_then_total_is_zero(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_page page = {NULL, 0, 7, 100, 900};
    assert_true(trace_list_write(&page, &out));
    assert_body(&out, "{\"traces\":[],\"total\":0,\"limit\":100,\"offset\":900}");
}

static void given_broken_attributes_when_listed_then_what_they_tell_is_null(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_summary row = full_summary();
    struct trace_page page = {&row, 1, 1, 100, 0};
    row.attributes = SLICE("{\"rhesis.conversation.input\":\"x\"");
    assert_true(trace_list_write(&page, &out));
    assert_non_null(strstr(out.data, "\"conversation_input\":null,"));
    assert_non_null(strstr(out.data, "\"total_tokens\":null,"));
    marline__buffer_deinit(&out);
}

/* ---- the detail ---- */

#define NODE_TAIL                                                                                  \
    "],\"trace_metrics\":null,\"trace_reviews\":null,\"last_review\":null,"                        \
    "\"matches_review\":null,\"review_summary\":null,\"tags\":[],\"comments\":[]}"
#define NO_REVIEWS                                                                                 \
    "\"trace_metrics_status\":null,\"trace_reviews\":null,\"last_review\":null,"                   \
    "\"matches_review\":null,\"review_summary\":null,"

static struct trace_span span_of(uint8_t id, uint8_t parent, uint64_t start_ms, uint64_t end_ms)
{
    return (struct trace_span){.span_id = {[7] = id},
                               .parent_span_id = {[7] = parent},
                               .has_parent = parent != 0,
                               .name = SLICE("function.f"),
                               .kind = 1,
                               .status = 1,
                               .start_unix_ns = T0 + start_ms * NS_PER_MS,
                               .end_unix_ns = T0 + end_ms * NS_PER_MS,
                               .environment = SLICE("local")};
}

static void given_full_trace_when_detailed_then_every_member_and_the_tree(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_span spans[] = {span_of(2, 1, 500, 1000), span_of(1, 0, 0, 1500)};
    spans[0].id = uuid_of("66666666-6666-4666-8666-666666666666");
    spans[0].name = SLICE("ai.llm.invoke");
    spans[0].kind = 3;
    spans[0].status = 2;
    spans[0].status_message = SLICE("ValueError: no");
    spans[0].conversation_id = SLICE("conv-2");
    spans[0].environment = SLICE("other");
    spans[0].attributes = SLICE("{\"ai.llm.tokens.total\": 150}");
    spans[0].events = SLICE("[{\"name\":\"exception\"}]");
    spans[1].attributes = SLICE("{\"ai.llm.tokens.total\":7}");
    spans[1].links = SLICE("[{\"trace_id\":\"cd\",\"span_id\":\"ef\",\"attributes\":{}}]");
    struct trace_back_link back = {.trace_id = {0xcd},
                                   .span_id = {[7] = 9},
                                   .span_name = SLICE("function.later"),
                                   .linked_span_id = {[7] = 1}};
    struct trace_detail detail = {
        .trace_id = {0xab, [15] = 1},
        .project_id = uuid_of("11111111-1111-4111-8111-111111111111"),
        .spans = spans,
        .count = 2,
        .total_cost_usd = 0.00075,
        .project = SLICE("{\"id\":\"p\"}"),
        .endpoint = SLICE("{\"id\":\"e\"}"),
        .test_run = SLICE("{\"id\":\"r\"}"),
        .test_result = SLICE("{\"id\":\"s\"}"),
        .test = SLICE("{\"id\":\"t\"}"),
        .linked_from = &back,
        .linked_from_count = 1,
        .enriched_data = SLICE("{\"metrics\":{}}"),
        .enriched_unix_ns = 1500000000,
        .declared_span_count = 3,
        .declared_span_found = 2,
        .cut_by_window = true,
    };
    assert_true(trace_detail_write(&detail, &out));
    assert_body(
        &out,
        "{\"trace_id\":\"ab000000000000000000000000000001\","
        "\"project_id\":\"11111111-1111-4111-8111-111111111111\",\"environment\":\"local\","
        "\"conversation_id\":\"conv-2\",\"start_time\":\"2026-01-01T00:00:00Z\","
        "\"end_time\":\"2026-01-01T00:00:01.500000Z\",\"duration_ms\":1500.0,\"span_count\":2,"
        "\"error_count\":1,\"total_tokens\":157,\"total_cost_usd\":0.00075,\"root_spans\":["
        "{\"id\":null,\"span_id\":\"0000000000000001\",\"span_name\":\"function.f\","
        "\"span_kind\":\"INTERNAL\",\"start_time\":\"2026-01-01T00:00:00Z\","
        "\"end_time\":\"2026-01-01T00:00:01.500000Z\",\"duration_ms\":1500.0,"
        "\"status_code\":\"OK\",\"status_message\":null,"
        "\"attributes\":{\"ai.llm.tokens.total\":7},\"events\":[],"
        "\"links\":[{\"trace_id\":\"cd\",\"span_id\":\"ef\",\"attributes\":{}}],\"children\":["
        "{\"id\":\"66666666-6666-4666-8666-666666666666\",\"span_id\":\"0000000000000002\","
        "\"span_name\":\"ai.llm.invoke\",\"span_kind\":\"CLIENT\","
        "\"start_time\":\"2026-01-01T00:00:00.500000Z\","
        "\"end_time\":\"2026-01-01T00:00:01Z\",\"duration_ms\":500.0,\"status_code\":\"ERROR\","
        "\"status_message\":\"ValueError: no\",\"attributes\":{\"ai.llm.tokens.total\": 150},"
        "\"events\":[{\"name\":\"exception\"}],\"links\":[],\"children\":[" NODE_TAIL NODE_TAIL
        "]," NO_REVIEWS
        "\"project\":{\"id\":\"p\"},\"endpoint\":{\"id\":\"e\"},\"test_run\":{\"id\":\"r\"},"
        "\"test_result\":{\"id\":\"s\"},\"test\":{\"id\":\"t\"},"
        "\"linked_from\":[{\"trace_id\":\"cd000000000000000000000000000000\","
        "\"span_id\":\"0000000000000009\",\"span_name\":\"function.later\","
        "\"linked_span_id\":\"0000000000000001\"}],\"enriched_data\":{\"metrics\":{}},"
        "\"enriched_at_ms\":1500.0,\"declared_span_count\":3,\"complete\":false,\"cut_by_window\":"
        "true}");
}

static void given_bare_trace_when_detailed_then_nulls_and_zeros(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_span span = {.name = SLICE("function.f"), .start_unix_ns = T0, .end_unix_ns = T0};
    struct trace_detail detail = {.spans = &span, .count = 1};
    assert_true(trace_detail_write(&detail, &out));
    assert_body(&out,
                "{\"trace_id\":\"00000000000000000000000000000000\",\"project_id\":null,"
                "\"environment\":null,\"conversation_id\":null,"
                "\"start_time\":\"2026-01-01T00:00:00Z\",\"end_time\":\"2026-01-01T00:00:00Z\","
                "\"duration_ms\":0.0,\"span_count\":1,\"error_count\":0,\"total_tokens\":0,"
                "\"total_cost_usd\":0.0,\"root_spans\":["
                "{\"id\":null,\"span_id\":\"0000000000000000\",\"span_name\":\"function.f\","
                "\"span_kind\":\"INTERNAL\",\"start_time\":\"2026-01-01T00:00:00Z\","
                "\"end_time\":\"2026-01-01T00:00:00Z\",\"duration_ms\":0.0,"
                "\"status_code\":\"UNSET\",\"status_message\":null,\"attributes\":{},"
                "\"events\":[],\"links\":[],\"children\":[" NODE_TAIL "]," NO_REVIEWS
                "\"project\":null,\"endpoint\":null,\"test_run\":null,\"test_result\":null,"
                "\"test\":null,\"linked_from\":[],\"enriched_data\":null,"
                "\"enriched_at_ms\":null,\"declared_span_count\":null,\"complete\":null,\"cut_by_"
                "window\":false}");
}

/* The span ids of the tree in writing order, one hex digit each, with the brackets of children. */
static void assert_shape(const struct trace_detail *detail, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    struct buffer shape = BUFFER_INIT;
    assert_true(trace_detail_write(detail, &out));
    assert_true(marline__json_is_valid(marline__buffer_slice(&out), JSON_STRICT));
    for (const char *at = out.data; *at != '\0'; at++) {
        if (strncmp(at, "\"span_id\":\"000000000000000", 26) == 0) {
            marline__buffer_append(&shape, at + 26, 1);
        } else if (strncmp(at, "\"children\":[", 12) == 0) {
            marline__buffer_append_byte(&shape, '(');
        } else if (strncmp(at, "],\"trace_metrics\":", 18) == 0) {
            marline__buffer_append_byte(&shape, ')');
        }
    }
    assert_string_equal(shape.data, expected);
    marline__buffer_deinit(&shape);
    marline__buffer_deinit(&out);
}

static void given_spans_in_any_order_when_detailed_then_tree_sorted_orphan_is_root(void **state)
{
    (void)state;
    const struct trace_span spans[] = {
        span_of(5, 0xf, 15, 16), /* its parent is not stored */
        span_of(4, 2, 30, 40),   span_of(3, 1, 25, 35), span_of(2, 1, 20, 50),
        span_of(6, 5, 99, 99),   span_of(1, 0, 10, 60),
    };
    struct trace_detail detail = {.spans = spans, .count = 6};
    assert_shape(&detail, "1(2(4())3())5(6())");
}

static void given_several_conversations_when_detailed_then_the_earliest_span_with_one(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_span spans[] = {span_of(3, 1, 30, 40), span_of(2, 1, 20, 30),
                                 span_of(1, 0, 10, 60), span_of(4, 1, 50, 55)};
    struct trace_detail detail = {.spans = spans, .count = 4};
    spans[0].conversation_id = SLICE("late");
    spans[1].conversation_id = SLICE("early");
    assert_true(trace_detail_write(&detail, &out));
    assert_non_null(strstr(out.data, "\"conversation_id\":\"early\","));
    marline__buffer_deinit(&out);
}

static void given_very_deep_trace_when_detailed_then_whole(void **state)
{
    (void)state;
    enum { DEPTH = 5000 };
    struct trace_span *spans = marline__memory_array(DEPTH, sizeof spans[0]);
    struct buffer out = BUFFER_INIT;
    struct trace_detail detail = {.spans = spans, .count = DEPTH};
    size_t open = 0;
    assert_non_null(spans);
    for (size_t i = 0; i < DEPTH; i++) {
        uint64_t parent = i - 1;
        spans[i] = span_of(0, 0, i, DEPTH);
        memcpy(spans[i].span_id, &i, sizeof spans[i].span_id);
        memcpy(spans[i].parent_span_id, &parent, sizeof spans[i].parent_span_id);
        spans[i].has_parent = i > 0;
    }
    assert_true(trace_detail_write(&detail, &out));
    for (const char *at = out.data; (at = strstr(at, "\"children\":[{")) != NULL; at++) {
        open++;
    }
    assert_int_equal(open, DEPTH - 1);
    marline__buffer_deinit(&out);
    marline__memory_free(spans);
}

static void given_bad_raw_json_when_detailed_then_null_and_the_document_stays_valid(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_span span = span_of(1, 0, 0, 1);
    struct trace_detail detail = {.spans = &span, .count = 1, .enriched_data = SLICE("{")};
    span.attributes = SLICE("{\"x\":NaN}");
    span.events = SLICE("[}");
    assert_true(trace_detail_write(&detail, &out));
    assert_true(marline__json_is_valid(marline__buffer_slice(&out), JSON_STRICT));
    assert_non_null(strstr(out.data, "\"attributes\":null,\"events\":null,\"links\":[],"));
    assert_non_null(strstr(out.data, "\"enriched_data\":null,"));
    marline__buffer_deinit(&out);
}

static void given_end_before_start_when_detailed_then_no_negative_duration(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_span span = span_of(1, 0, 5, 1);
    struct trace_detail detail = {.spans = &span, .count = 1};
    assert_true(trace_detail_write(&detail, &out));
    assert_null(strstr(out.data, "\"duration_ms\":1"));
    assert_non_null(strstr(out.data, "\"duration_ms\":0.0"));
    marline__buffer_deinit(&out);
}

static void given_declared_count_reached_when_detailed_then_complete(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_span span = span_of(1, 0, 0, 1);
    struct trace_detail detail = {.spans = &span,
                                  .count = 1,
                                  .declared_span_count = 2,
                                  .declared_span_found = 2,
                                  .cut_by_window = true};
    assert_true(trace_detail_write(&detail, &out));
    assert_non_null(
        strstr(out.data, "\"declared_span_count\":2,\"complete\":true,\"cut_by_window\":true}"));
    marline__buffer_deinit(&out);
}

static void given_each_allocation_failing_when_detailed_then_clean(void **state)
{
    (void)state;
    const struct trace_span spans[] = {span_of(1, 0, 0, 1), span_of(2, 1, 0, 1)};
    struct trace_detail detail = {.spans = spans, .count = 2};
    bool swept = false;
    for (size_t n = 1; !swept; n++) {
        struct buffer out = BUFFER_INIT;
        failing_memory_install(n);
        bool written = trace_detail_write(&detail, &out);
        swept = !failing_memory_has_failed();
        assert_true(written == swept && out.failed == !swept);
        marline__buffer_deinit(&out);
        assert_int_equal(failing_memory_alive(), 0);
        failing_memory_remove();
    }
}

/* ---- the metrics ---- */

static void given_spans_when_measured_then_rounded_and_continuous(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    uint64_t durations[] = {40000000, 10000000, 30000000, 20001234};
    struct operation_count operations[] = {{SLICE("tool.invoke"), 1},
                                           {SLICE_EMPTY, 1},
                                           {SLICE("llm.invoke"), 1},
                                           {SLICE("tool.invoke"), 2},
                                           {SLICE("unknown"), 4}};
    struct trace_metrics metrics = {2, 157, 0.00075, 1, durations, 4, operations, 5};
    assert_true(trace_metrics_write(&metrics, &out));
    assert_body(&out, "{\"total_traces\":2,\"total_spans\":4,\"total_tokens\":157,"
                      "\"total_cost_usd\":0.00075,\"error_rate\":0.25,\"avg_duration_ms\":25.0,"
                      "\"p50_duration_ms\":25.0,\"p95_duration_ms\":38.5,"
                      "\"p99_duration_ms\":39.7,"
                      "\"operation_breakdown\":{\"llm.invoke\":1,\"tool.invoke\":3,"
                      "\"unknown\":5}}");
}

static void given_thirds_when_measured_then_four_and_two_decimals(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    uint64_t durations[] = {1000000, 1000000, 2000000};
    struct trace_metrics metrics = {
        .total_traces = 1, .error_count = 2, .durations_ns = durations, .span_count = 3};
    assert_true(trace_metrics_write(&metrics, &out));
    assert_body(&out, "{\"total_traces\":1,\"total_spans\":3,\"total_tokens\":0,"
                      "\"total_cost_usd\":0.0,\"error_rate\":0.6667,\"avg_duration_ms\":1.33,"
                      "\"p50_duration_ms\":1.0,\"p95_duration_ms\":1.9,\"p99_duration_ms\":1.98,"
                      "\"operation_breakdown\":{}}");
}

static void given_one_span_when_measured_then_all_percentiles_are_it(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    uint64_t duration = 1234567;
    struct trace_metrics metrics = {.durations_ns = &duration, .span_count = 1};
    assert_true(trace_metrics_write(&metrics, &out));
    assert_non_null(strstr(out.data, "\"avg_duration_ms\":1.23,\"p50_duration_ms\":1.23,"
                                     "\"p95_duration_ms\":1.23,\"p99_duration_ms\":1.23,"));
    marline__buffer_deinit(&out);
}

static void given_nothing_when_measured_then_zeros(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct trace_metrics metrics = {0};
    assert_true(trace_metrics_write(&metrics, &out));
    assert_body(&out, "{\"total_traces\":0,\"total_spans\":0,\"total_tokens\":0,"
                      "\"total_cost_usd\":0.0,\"error_rate\":0.0,\"avg_duration_ms\":0.0,"
                      "\"p50_duration_ms\":0.0,\"p95_duration_ms\":0.0,\"p99_duration_ms\":0.0,"
                      "\"operation_breakdown\":{}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_full_row_when_listed_then_every_member),
        cmocka_unit_test(given_bare_row_when_listed_then_nulls_and_zero_cost_and_tokens_null),
        cmocka_unit_test(given_page_past_the_end_when_listed_then_total_is_zero),
        cmocka_unit_test(given_broken_attributes_when_listed_then_what_they_tell_is_null),
        cmocka_unit_test(given_full_trace_when_detailed_then_every_member_and_the_tree),
        cmocka_unit_test(given_bare_trace_when_detailed_then_nulls_and_zeros),
        cmocka_unit_test(given_spans_in_any_order_when_detailed_then_tree_sorted_orphan_is_root),
        cmocka_unit_test(given_several_conversations_when_detailed_then_the_earliest_span_with_one),
        cmocka_unit_test(given_very_deep_trace_when_detailed_then_whole),
        cmocka_unit_test(given_bad_raw_json_when_detailed_then_null_and_the_document_stays_valid),
        cmocka_unit_test(given_end_before_start_when_detailed_then_no_negative_duration),
        cmocka_unit_test(given_declared_count_reached_when_detailed_then_complete),
        cmocka_unit_test(given_each_allocation_failing_when_detailed_then_clean),
        cmocka_unit_test(given_spans_when_measured_then_rounded_and_continuous),
        cmocka_unit_test(given_thirds_when_measured_then_four_and_two_decimals),
        cmocka_unit_test(given_one_span_when_measured_then_all_percentiles_are_it),
        cmocka_unit_test(given_nothing_when_measured_then_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
