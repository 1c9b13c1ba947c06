/* Turns and the root spans they belong to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/trace_turns.h"

enum { MS = 1000000 };

static struct trace_span root_at(uint64_t start_ms)
{
    return (struct trace_span){.start_unix_ns = start_ms * MS,
                               .attributes = SLICE("{\"rhesis.conversation.input\":\"a\\u0062\"}")};
}

static struct trace_turn turn_at(uint64_t start_ms, uint64_t end_ms, const char *output)
{
    return (struct trace_turn){.conversation_id = SLICE("c"),
                               .input = SLICE("ab"),
                               .output = output ? marline__slice_text(output) : SLICE_EMPTY,
                               .started_unix_ns = start_ms * MS,
                               .ended_unix_ns = end_ms * MS};
}

static void given_failed_turn_when_another_asks_the_same_then_its_root_shows_nothing(void **state)
{
    (void)state;
    const struct trace_turn turns[] = {turn_at(10, 20, NULL), turn_at(30, 40, "two")};
    struct trace_span spans[] = {root_at(12)};
    trace_turns_apply(turns, 2, spans, 1);
    assert_null(spans[0].conversation_output.data);
    assert_true(marline__slice_is(spans[0].conversation_id, "c"));
}

static void given_turns_at_the_same_time_when_applied_then_roots_in_their_order(void **state)
{
    (void)state;
    const struct trace_turn turns[] = {turn_at(10, 50, "one"), turn_at(20, 40, "two")};
    struct trace_span spans[] = {root_at(25), root_at(26)};
    trace_turns_apply(turns, 2, spans, 2);
    assert_true(marline__slice_is(spans[0].conversation_output, "one"));
    assert_true(marline__slice_is(spans[1].conversation_output, "two"));
}

static void given_other_question_or_inner_span_when_applied_then_no_output(void **state)
{
    (void)state;
    const struct trace_turn turns[] = {turn_at(10, 20, "one")};
    struct trace_span spans[] = {root_at(11), root_at(12)};
    spans[0].has_parent = true;
    spans[1].attributes = SLICE("{\"rhesis.conversation.input\":\"other\"}");
    trace_turns_apply(turns, 1, spans, 2);
    assert_null(spans[0].conversation_output.data);
    assert_null(spans[1].conversation_output.data);
}

static void given_one_of_two_roots_when_clocks_differ_then_no_output_yet(void **state)
{
    (void)state;
    const struct trace_turn turns[] = {turn_at(10, 20, "one"), turn_at(30, 40, "two")};
    struct trace_span spans[] = {root_at(1010), root_at(1030)};
    trace_turns_apply(turns, 2, spans, 1);
    assert_null(spans[0].conversation_output.data);
    trace_turns_apply(turns, 2, spans, 2);
    assert_true(marline__slice_is(spans[0].conversation_output, "one"));
    assert_true(marline__slice_is(spans[1].conversation_output, "two"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_failed_turn_when_another_asks_the_same_then_its_root_shows_nothing),
        cmocka_unit_test(given_turns_at_the_same_time_when_applied_then_roots_in_their_order),
        cmocka_unit_test(given_other_question_or_inner_span_when_applied_then_no_output),
        cmocka_unit_test(given_one_of_two_roots_when_clocks_differ_then_no_output_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
