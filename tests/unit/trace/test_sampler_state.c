/* Samplers and the trace state: what they see of it, what they write, who inherits it; samplers of
 * one's own for each kind of parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "../../support/trace_fixture.h"
#include <marline/propagation.h>

static void begin(struct trace_fixture *f, const marline_sampler *sampler)
{
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.sampler = sampler;
    trace_fixture_begin(f, &options);
}

/* The last field that was injected under the name, "" for none. */
struct carrier {
    char traceparent[64];
    char tracestate[512];
};

static void set_field(void *user, const char *name, const char *value)
{
    struct carrier *c = user;
    char *field = strcmp(name, "traceparent") == 0 ? c->traceparent : c->tracestate;
    size_t size = strcmp(name, "traceparent") == 0 ? sizeof c->traceparent : sizeof c->tracestate;
    if (strcmp(name, "baggage") != 0) {
        (void)snprintf(field, size, "%s", value ? value : "");
    }
}

static struct carrier inject(marline_context *context)
{
    struct carrier c = {"", ""};
    marline_inject(MARLINE_PROPAGATE_TRACE_CONTEXT, context, set_field, &c);
    return c;
}

static marline_context *remote(const char *trace_state, uint8_t flags, const uint8_t trace_id[16])
{
    marline_span_context ids = {.span_id = {1}, .flags = flags, .is_remote = true};
    memcpy(ids.trace_id, trace_id, 16);
    return marline_context_with_remote(marline_context_root(), &ids, marline_text(trace_state));
}

static const uint8_t high_id[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 1};
static const uint8_t low_id[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 1};

static marline_span start_under(struct trace_fixture *f, marline_context *parent)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = parent;
    return marline_span_start(f->tracer, "function.a", &options);
}

/* ---- probability ---- */

static void given_half_when_sampled_then_threshold_in_trace_state_SMP_07_TST_05(void **state)
{
    (void)state;
    struct trace_fixture f;
    marline_sampler half = marline_sampler_probability(0.5);
    begin(&f, &half);
    marline_context *parent = remote("a=1,ot=xy:z", 3, high_id);
    marline_span span = start_under(&f, parent);
    assert_true(marline_span_is_recording(&span));
    marline_context *inside = marline_context_with_span(parent, &span);
    struct carrier c = inject(inside);
    assert_string_equal(c.tracestate, "ot=th:8;xy:z,a=1");
    marline_span_end(&span);
    assert_string_is(trace_fixture_span(&f, 0)->trace_state, "ot=th:8;xy:z,a=1");
    marline_context_unref(inside);
    marline_context_unref(parent);
    trace_fixture_end(&f);
}

static void given_randomness_in_state_when_deciding_then_it_goes_before_the_id_SMP_07(void **state)
{
    (void)state;
    struct trace_fixture f;
    marline_sampler half = marline_sampler_probability(0.5);
    begin(&f, &half);
    static const struct {
        const uint8_t *trace_id;
        const char *trace_state;
        bool sampled;
    } cases[] = {
        {high_id, "", true},
        {low_id, "", false},
        {high_id, "ot=rv:7fffffffffffff", false},
        {low_id, "ot=rv:80000000000000", true},
        {low_id, "ot=rv:80", false}, /* malformed: the id decides */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        marline_context *parent = remote(cases[i].trace_state, 2, cases[i].trace_id);
        marline_span span = start_under(&f, parent);
        assert_int_equal(marline_span_is_recording(&span), cases[i].sampled);
        marline_span_end(&span);
        marline_context_unref(parent);
    }
    trace_fixture_end(&f);
}

static void given_extreme_ratios_when_sampling_then_all_or_nearly_none_SMP_07(void **state)
{
    (void)state;
    marline_sampling_output output = {0};
    marline_sampling_input input = {.trace_id = low_id};
    marline_sampler all = marline_sampler_probability(1);
    assert_int_equal(all.decide(all.user, &input, &output), MARLINE_SAMPLING_RECORD_AND_SAMPLE);
    assert_true(output.has_threshold);
    assert_int_equal(output.threshold, 0);
    marline_sampler least = marline_sampler_probability(0);
    assert_int_equal(least.decide(least.user, &input, &output), MARLINE_SAMPLING_DROP);
    static const uint8_t highest[16] = {1, 0,    0,    0,    0,    0,    0,    0,
                                        0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    input.trace_id = highest;
    assert_int_equal(least.decide(least.user, &input, &output), MARLINE_SAMPLING_RECORD_AND_SAMPLE);
}

/* ---- a sampler's own trace state ---- */

struct own_state {

    char seen_text[64];
    const marline_string *gives;
};

static marline_sampling give_state(void *user, const marline_sampling_input *input,
                                   marline_sampling_output *out)
{
    struct own_state *own = user;
    (void)snprintf(own->seen_text, sizeof own->seen_text, "%.*s", (int)input->trace_state.size,
                   input->trace_state.size ? input->trace_state.data : "");
    out->trace_state = own->gives;
    return MARLINE_SAMPLING_RECORD_AND_SAMPLE;
}

static void given_own_state_when_children_start_then_they_inherit_it_CTX_06(void **state)
{
    (void)state;
    struct trace_fixture f;
    const marline_string text = {"mine=1", 6};
    struct own_state own = {.gives = &text};
    marline_sampler sampler = {give_state, NULL, &own, "own"};
    begin(&f, &sampler);
    marline_context *parent = remote("a=1", 3, high_id);
    marline_scope scope;
    marline_scope_enter(&scope, parent);
    {
        MARLINE_OBSERVE(outer, "function.outer");
        assert_string_equal(own.seen_text, "a=1");
        assert_string_equal(inject(NULL).tracestate, "mine=1");
        own.gives = NULL;
        MARLINE_OBSERVE(inner, "function.inner");
        assert_string_equal(own.seen_text, "mine=1");
        assert_string_equal(inject(NULL).tracestate, "mine=1");
    }
    assert_string_equal(inject(NULL).tracestate, "a=1"); /* outside nothing has changed */
    marline_scope_leave(&scope);
    assert_string_is(trace_fixture_span(&f, 0)->trace_state, "mine=1");
    marline_context_unref(parent);
    trace_fixture_end(&f);
}

static void given_empty_state_when_returned_then_cleared_CTX_06(void **state)
{
    (void)state;
    struct trace_fixture f;
    const marline_string nothing = {"", 0};
    struct own_state own = {.gives = &nothing};
    marline_sampler sampler = {give_state, NULL, &own, "own"};
    begin(&f, &sampler);
    marline_context *parent = remote("a=1", 3, high_id);
    marline_span span = start_under(&f, parent);
    marline_context *inside = marline_context_with_span(parent, &span);
    assert_string_equal(inject(inside).tracestate, "");
    marline_span_end(&span);
    assert_int_equal(trace_fixture_span(&f, 0)->trace_state.size, 0);
    marline_context_unref(inside);
    marline_context_unref(parent);
    trace_fixture_end(&f);
}

/* ---- parents ---- */

static int destroyed;

static void count_destroyed(void *user)
{
    (void)user;
    destroyed++;
}

static void given_samplers_for_parents_when_deciding_then_each_for_its_kind_SMP_05(void **state)
{
    (void)state;
    marline_sampler on = marline_sampler_always_on();
    marline_sampler off = marline_sampler_always_off();
    marline_sampler counted = off;
    counted.destroy = count_destroyed;
    marline_sampler sampler;
    const marline_parent_based_options options = {.size = sizeof options,
                                                  .root = &off,
                                                  .remote_sampled = &counted,
                                                  .remote_unsampled = &on,
                                                  .local_sampled = &off,
                                                  .local_unsampled = &on};
    assert_int_equal(marline_sampler_parent_based_with(&options, &sampler), MARLINE_OK);
    for (int i = 0; i < 4; i++) {
        marline_span_context parent = {.flags = (uint8_t)(i & 1), .is_remote = i >= 2};
        marline_sampling_input input = {.parent = &parent, .trace_id = low_id};
        marline_sampling_output output = {0};
        assert_int_equal(sampler.decide(sampler.user, &input, &output),
                         parent.flags & 1 ? MARLINE_SAMPLING_DROP
                                          : MARLINE_SAMPLING_RECORD_AND_SAMPLE);
    }
    destroyed = 0;
    sampler.destroy(sampler.user);
    assert_int_equal(destroyed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_half_when_sampled_then_threshold_in_trace_state_SMP_07_TST_05),
        cmocka_unit_test(given_randomness_in_state_when_deciding_then_it_goes_before_the_id_SMP_07),
        cmocka_unit_test(given_extreme_ratios_when_sampling_then_all_or_nearly_none_SMP_07),
        cmocka_unit_test(given_own_state_when_children_start_then_they_inherit_it_CTX_06),
        cmocka_unit_test(given_empty_state_when_returned_then_cleared_CTX_06),
        cmocka_unit_test(given_samplers_for_parents_when_deciding_then_each_for_its_kind_SMP_05),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
