/* Samplers, alone and in a provider; limits; OTEL_SDK_DISABLED. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/trace_fixture.h"
#include "base/random.h"

static marline_sampling decide(const marline_sampler *s, const uint8_t *trace_id,
                               const marline_span_context *parent, uint64_t now_ns)
{
    struct fake_clock clock;
    fake_clock_init(&clock);
    clock.monotonic_ns = now_ns;
    marline_sampling_input input = {.parent = parent, .trace_id = trace_id, .clock = &clock.clock};
    marline_sampling_output output = {0};
    return s->decide(s->user, &input, &output);
}

static void random_id(struct random_seeded *seed, uint8_t out[16])
{
    struct random_source source = {marline__random_seeded(seed, seed->state).fill, seed};
    marline__random_fill(&source, out, 16);
}

static void given_ratios_when_deciding_then_share_is_right_and_nested_SMP_06(void **state)
{
    (void)state;
    marline_sampler tenth = marline_sampler_ratio(0.1);
    marline_sampler half = marline_sampler_ratio(0.5);
    struct random_seeded seed = {7};
    int tenths = 0;
    int halves = 0;
    for (int i = 0; i < 10000; i++) {
        uint8_t id[16];
        random_id(&seed, id);
        bool in_tenth = decide(&tenth, id, NULL, 0) == MARLINE_SAMPLING_RECORD_AND_SAMPLE;
        bool in_half = decide(&half, id, NULL, 0) == MARLINE_SAMPLING_RECORD_AND_SAMPLE;
        tenths += in_tenth;
        halves += in_half;
        assert_true(in_half || !in_tenth); /* a subset */
    }
    assert_in_range(tenths, 850, 1150);
    assert_in_range(halves, 4800, 5200);
}

static void given_ratio_when_extreme_then_none_or_all_SMP_06(void **state)
{
    (void)state;
    static const uint8_t low[16] = {1};
    static const uint8_t high[16] = {1,    0,    0,    0,    0,    0,    0,    0,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    double all[] = {1, 2, (double)NAN, (double)INFINITY};
    double none[] = {0, -1, -(double)INFINITY};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        marline_sampler s = marline_sampler_ratio(all[i]);
        assert_int_equal(decide(&s, low, NULL, 0), MARLINE_SAMPLING_RECORD_AND_SAMPLE);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        marline_sampler s = marline_sampler_ratio(none[i]);
        assert_int_equal(decide(&s, high, NULL, 0), MARLINE_SAMPLING_DROP);
    }
}

static void given_half_when_deciding_then_threshold_on_low_56_bits_SMP_08(void **state)
{
    (void)state;
    marline_sampler half = marline_sampler_ratio(0.5);
    uint8_t id[16];
    memset(id, 0xff, sizeof id);
    id[9] = 0x7f; /* the top byte of the low 56 bits */
    assert_int_equal(decide(&half, id, NULL, 0), MARLINE_SAMPLING_DROP);
    memset(id, 0, sizeof id);
    id[9] = 0x80;
    assert_int_equal(decide(&half, id, NULL, 0), MARLINE_SAMPLING_RECORD_AND_SAMPLE);
}

static void given_parent_when_parent_based_then_its_bit_decides_SMP_05(void **state)
{
    (void)state;
    static const uint8_t id[16] = {1};
    marline_sampler root = marline_sampler_always_off();
    marline_sampler s;
    assert_int_equal(marline_sampler_parent_based(&root, &s), MARLINE_OK);
    assert_int_equal(decide(&s, id, NULL, 0), MARLINE_SAMPLING_DROP);
    for (int flags = 0; flags < 4; flags++) {
        for (int remote = 0; remote < 2; remote++) {
            marline_span_context parent = {{1}, {1}, (uint8_t)flags, remote != 0};
            assert_int_equal(decide(&s, id, &parent, 0), flags & 1
                                                             ? MARLINE_SAMPLING_RECORD_AND_SAMPLE
                                                             : MARLINE_SAMPLING_DROP);
        }
    }
    s.destroy(s.user);
}

static int count_sampled(const marline_sampler *s, uint64_t now_ns, int tries)
{
    static const uint8_t id[16] = {1};
    int sampled = 0;
    for (int i = 0; i < tries; i++) {
        sampled += decide(s, id, NULL, now_ns) == MARLINE_SAMPLING_RECORD_AND_SAMPLE;
    }
    return sampled;
}

static void given_rate_when_exceeded_then_only_that_many_pass(void **state)
{
    (void)state;
    marline_sampler s;
    assert_int_equal(marline_sampler_rate_limited(10, 5, &s), MARLINE_OK);
    uint64_t now = 1000 * NS_PER_S;
    assert_int_equal(count_sampled(&s, now, 100), 5); /* the burst */
    assert_int_equal(count_sampled(&s, now + NS_PER_S / 10, 100), 1);
    int total = 0;
    for (int i = 0; i < 1000; i++) { /* 10 s */
        total += count_sampled(&s, now + NS_PER_S + (uint64_t)i * 10 * NS_PER_MS, 3);
    }
    assert_in_range(total, 100, 106);
    assert_int_equal(count_sampled(&s, now + 3600 * NS_PER_S, 100), 5); /* never more than full */
    s.destroy(s.user);
    assert_int_equal(marline_sampler_rate_limited(0, 1, &s), MARLINE_EINVAL);
}

static void given_variables_when_read_then_sampler_as_specified_ENV_05_SMP_04(void **state)
{
    (void)state;
    struct {
        const char *name;
        const char *argument;
        const char *description;
    } cases[] = {
        {NULL, "0.5", "ParentBased{root=AlwaysOnSampler}"},
        {"", NULL, "ParentBased{root=AlwaysOnSampler}"},
        {"always_on", NULL, "AlwaysOnSampler"},
        {"ALWAYS_OFF", NULL, "AlwaysOffSampler"},
        {"traceidratio", "0.25", "TraceIdRatioBased{0.250000}"},
        {"traceidratio", "1.5", "TraceIdRatioBased{1.000000}"},
        {"traceidratio", "-0.1", "TraceIdRatioBased{1.000000}"},
        {"traceidratio", "x", "TraceIdRatioBased{1.000000}"},
        {"traceidratio", NULL, "TraceIdRatioBased{1.000000}"},
        {"parentbased_always_off", NULL, "ParentBased{root=AlwaysOffSampler}"},
        {"parentbased_traceidratio", "0.0001", "ParentBased{root=TraceIdRatioBased{0.000100}}"},
        {"parentbased_ratelimited", "7", "ParentBased{root=RateLimited{7/s,7}}"},
        {"jaeger_remote", NULL, "ParentBased{root=AlwaysOnSampler}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsetenv("OTEL_TRACES_SAMPLER");
        unsetenv("OTEL_TRACES_SAMPLER_ARG");
        if (cases[i].name) {
            setenv("OTEL_TRACES_SAMPLER", cases[i].name, 1);
        }
        if (cases[i].argument) {
            setenv("OTEL_TRACES_SAMPLER_ARG", cases[i].argument, 1);
        }
        marline_sampler s;
        assert_int_equal(marline_sampler_from_environment(&s), MARLINE_OK);
        assert_string_equal(s.description, cases[i].description);
        if (s.destroy) {
            s.destroy(s.user);
        }
    }
    unsetenv("OTEL_TRACES_SAMPLER");
    unsetenv("OTEL_TRACES_SAMPLER_ARG");
}

/* ---- in a provider ---- */

struct own_sampler {
    marline_sampling answer;
    marline_string seen_name;
    size_t seen_attributes;
    size_t seen_links;
    bool destroyed;
};

static marline_sampling own_decide(void *user, const marline_sampling_input *input,
                                   marline_sampling_output *out)
{
    static const marline_attribute added = {{"sampler", 7},
                                            {.type = MARLINE_VALUE_INT, .as.integer = 1}};
    struct own_sampler *own = user;
    own->seen_name = input->name;
    own->seen_attributes = input->attribute_count;
    own->seen_links = input->link_count;
    out->attributes = &added;
    out->attribute_count = 1;
    return own->answer;
}

static void own_destroy(void *user)
{
    ((struct own_sampler *)user)->destroyed = true;
}

static void begin_with(struct trace_fixture *f, struct own_sampler *own)
{
    marline_sampler sampler = {own_decide, own_destroy, own, "own"};
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.sampler = &sampler;
    trace_fixture_begin(f, &options);
}

static void given_own_sampler_when_span_starts_then_it_sees_and_adds_SMP_03(void **state)
{
    (void)state;
    struct trace_fixture f;
    struct own_sampler own = {.answer = MARLINE_SAMPLING_RECORD_AND_SAMPLE};
    begin_with(&f, &own);
    marline_attribute attribute = {{"k", 1}, {.type = MARLINE_VALUE_BOOL}};
    marline_link_data link = {.trace_id = {1}, .span_id = {1}};
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.attributes = &attribute;
    options.attribute_count = 1;
    options.links = &link;
    options.link_count = 1;
    marline_span span = marline_span_start(f.tracer, "function.a", &options);
    assert_string_is(own.seen_name, "function.a");
    assert_int_equal(own.seen_attributes, 1);
    assert_int_equal(own.seen_links, 1);
    marline_span_end(&span);
    assert_non_null(span_attribute(trace_fixture_span(&f, 0), "sampler"));
    trace_fixture_end(&f);
    assert_true(own.destroyed);
}

static void given_drop_when_span_starts_then_it_has_ids_and_is_counted_CTX_07_CTX_08(void **state)
{
    (void)state;
    struct trace_fixture f;
    struct own_sampler own = {.answer = MARLINE_SAMPLING_DROP};
    begin_with(&f, &own);
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    assert_false(marline_span_is_recording(&span));
    assert_int_equal(span.context.flags, 2);
    static const uint8_t zero[8];
    assert_memory_not_equal(span.context.span_id, zero, 8);
    marline_span_end(&span);
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.dropped[MARLINE_DROP_UNSAMPLED], 1);
    assert_delivery(f.provider, 0, 1);
    trace_fixture_end(&f);
}

static void given_test_when_sampler_says_drop_then_recorded_all_the_same(void **state)
{
    (void)state;
    struct trace_fixture f;
    struct own_sampler own = {.answer = MARLINE_SAMPLING_DROP};
    begin_with(&f, &own);
    marline_test_context test = {"r", "t", "c", NULL, 0};
    marline_context *context = marline_context_with_test(NULL, &test);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = context;
    marline_span span = marline_span_start(f.tracer, "function.a", &options);
    assert_int_equal(span.context.flags, 3);
    marline_span_end(&span);
    assert_delivery_balanced(f.provider);
    assert_int_equal(trace_fixture_count(&f), 1);
    marline_context_unref(context);
    trace_fixture_end(&f);
}

struct seen {
    int started;
    int ended;
    uint8_t flags;
    bool shut_down;
    bool destroyed;
};

static void see_start(void *user, marline_span *span, marline_context *parent)
{
    (void)parent;
    struct seen *seen = user;
    seen->started++;
    marline_span_set_text(span, "from", "on_start");
}

static void see_end(void *user, const marline_span_data *span)
{
    struct seen *seen = user;
    seen->ended++;
    seen->flags = span->flags;
    assert_span_text(span, "from", "on_start");
}

static marline_status see_shutdown(void *user, uint64_t timeout_ms)
{
    (void)timeout_ms;
    ((struct seen *)user)->shut_down = true;
    return MARLINE_OK;
}

static void see_destroy(void *user)
{
    ((struct seen *)user)->destroyed = true;
}

static marline_span_processor seer(struct seen *seen)
{
    return (marline_span_processor){.on_start = see_start,
                                    .on_end = see_end,
                                    .shutdown = see_shutdown,
                                    .destroy = see_destroy,
                                    .user = seen};
}

static void
given_record_only_when_ended_then_processors_see_only_SMP_01_SMP_02_PRC_08_API_03(void **state)
{
    (void)state;
    struct trace_fixture f;
    struct own_sampler own = {.answer = MARLINE_SAMPLING_RECORD_ONLY};
    begin_with(&f, &own);
    struct seen seen = {0};
    marline_span_processor processor = seer(&seen);
    assert_int_equal(marline_provider_add_processor(f.provider, &processor, NULL), MARLINE_OK);
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    assert_true(marline_span_is_recording(&span));
    assert_int_equal(span.context.flags, 2);
    marline_span_end(&span);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(trace_fixture_count(&f), 0);
    assert_delivery(f.provider, 0, 1);
    trace_fixture_end(&f);
    assert_true(seen.shut_down);
    assert_true(seen.destroyed);
}

static void given_own_processor_alone_when_spans_end_then_seen_and_balanced_PRC_01(void **state)
{
    (void)state;
    marline_provider *provider = NULL;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    struct seen seen = {0};
    marline_span_processor processor = seer(&seen);
    assert_int_equal(marline_provider_add_processor(provider, &processor, NULL), MARLINE_OK);
    marline_tracer *tracer = marline_tracer_get(provider, "t", NULL);
    for (int i = 0; i < 3; i++) {
        marline_span span = marline_span_start(tracer, "function.a", NULL);
        assert_int_equal(seen.started, i + 1);
        marline_span_end(&span);
        assert_int_equal(seen.ended, i + 1);
    }
    assert_int_equal(seen.flags, 3);
    assert_delivery(provider, 3, 0);
    marline_span running = marline_span_start(tracer, "function.a", NULL);
    assert_int_equal(marline_provider_shutdown(provider, 0), MARLINE_OK);
    marline_span_end(&running); /* PRC-04: ignored quietly */
    assert_int_equal(seen.ended, 3);
    marline_provider_destroy(provider);
}

static void given_simple_processor_when_span_ends_then_exported_by_then_PRC_03(void **state)
{
    (void)state;
    marline_provider *provider = NULL;
    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_simple_processor(provider, &exporter, NULL), MARLINE_OK);
    marline_tracer *tracer = marline_tracer_get(provider, "t", NULL);
    marline_span span = marline_span_start(tracer, "function.a", NULL);
    marline_span late = marline_span_start(tracer, "function.late", NULL);
    marline_span_end(&span);
    assert_int_equal(marline_memory_exporter_count(memory), 1);
    assert_int_equal(marline_provider_force_flush(provider, 0), MARLINE_OK);
    assert_int_equal(marline_provider_shutdown(provider, 1000), MARLINE_OK);
    marline_span_end(&late);
    assert_int_equal(marline_memory_exporter_count(memory), 1);
    assert_delivery(provider, 1, 1);
    marline_provider_destroy(provider);
}

static void given_limits_when_set_then_applied_LIM_03_LIM_04(void **state)
{
    (void)state;
    marline_span_limits limits = MARLINE_SPAN_LIMITS_INIT;
    limits.value_length = 3;
    limits.value_depth = 2;
    limits.attributes = 4;
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.limits = &limits;
    struct trace_fixture f;
    trace_fixture_begin(&f, &options);
    marline_value innermost = {.type = MARLINE_VALUE_INT, .as.integer = 1};
    marline_value deep = {.type = MARLINE_VALUE_ARRAY, .as.array = {&innermost, 1}};
    marline_value texts[] = {
        {.type = MARLINE_VALUE_STRING, .as.string = {"abcdef", 6}},
        {.type = MARLINE_VALUE_ARRAY, .as.array = {&deep, 1}},
    };
    marline_attribute list = {{"list", 4}, {.type = MARLINE_VALUE_ARRAY, .as.array = {texts, 2}}};
    marline_attribute bytes = {{"bytes", 5},
                               {.type = MARLINE_VALUE_BYTES, .as.string = {"123456", 6}}};
    marline_span span = marline_span_start(f.tracer, "function.long-name", NULL);
    marline_span_set_text(&span, "text", "K\xc3\xb8ge by");
    marline_span_set_attribute(&span, &list);
    marline_span_set_attribute(&span, &bytes);
    marline_span_set_int(&span, "n", 123456);
    marline_span_set_int(&span, "too-many", 1);
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_string_is(data->name, "function.long-name");
    assert_span_text(data, "text", "K\xc3\xb8g");
    assert_int_equal(span_attribute(data, "bytes")->as.string.size, 3);
    assert_int_equal(span_attribute(data, "n")->as.integer, 123456);
    const marline_value *items = span_attribute(data, "list")->as.array.items;
    assert_string_is(items[0].as.string, "abc");
    assert_int_equal(items[1].type, MARLINE_VALUE_ARRAY);
    assert_int_equal(items[1].as.array.items[0].type, MARLINE_VALUE_EMPTY);
    assert_int_equal(data->dropped_attributes, 1); /* LIM-02: cutting is no drop */
    trace_fixture_end(&f);
}

static void given_limit_variables_when_read_then_specific_beats_general_LIM_06(void **state)
{
    (void)state;
    setenv("OTEL_ATTRIBUTE_COUNT_LIMIT", "10", 1);
    setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "20", 1);
    marline_span_limits l = marline_span_limits_from_environment();
    assert_int_equal(l.attributes, 10);
    assert_int_equal(l.value_length, 20);
    setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0", 1);
    setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-5", 1);
    setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "1", 1);
    setenv("OTEL_SPAN_LINK_COUNT_LIMIT", "2", 1);
    setenv("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "3", 1);
    setenv("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "4", 1);
    l = marline_span_limits_from_environment();
    assert_int_equal(l.attributes, 0);
    assert_int_equal(l.value_length, 20);
    assert_int_equal(l.events, 1);
    assert_int_equal(l.links, 2);
    assert_int_equal(l.event_attributes, 3);
    assert_int_equal(l.link_attributes, 4);
    static const char *const names[] = {
        "OTEL_ATTRIBUTE_COUNT_LIMIT",       "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",  "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",      "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
    l = marline_span_limits_from_environment();
    assert_int_equal(l.attributes, 128);
    assert_int_equal(l.value_length, UINT32_MAX);
}

static void given_sdk_disabled_when_span_starts_then_ids_pass_through_EV_12(void **state)
{
    (void)state;
    setenv("OTEL_SDK_DISABLED", "True", 1);
    marline_provider *provider = NULL;
    marline_exporter exporter;
    assert_non_null(marline_memory_exporter_create(&exporter));
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    unsetenv("OTEL_SDK_DISABLED");
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, NULL, NULL),
                     MARLINE_OK);
    marline_span_context ids = {{1}, {2}, 1, true};
    marline_span remote = marline_span_remote(&ids);
    marline_context *context = marline_context_with_span(NULL, &remote);
    marline_test_context test = {"r", "t", "c", NULL, 0};
    marline_context *tested = marline_context_with_test(context, &test);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = tested;
    marline_tracer *tracer = marline_tracer_get(provider, "t", NULL);
    marline_span span = marline_span_start(tracer, "function.a", &options);
    assert_memory_equal(span.context.span_id, ids.span_id, 8);
    assert_false(marline_span_is_recording(&span)); /* stronger than a test */
    assert_int_equal(marline_provider_force_flush(provider, 0), MARLINE_OK);
    assert_int_equal(marline_provider_shutdown(provider, 0), MARLINE_OK);
    marline_provider_destroy(provider);
    marline_context_unref(tested);
    marline_context_unref(context);
}

static marline_memory_exporter *add_hourly_batches(marline_provider *provider, bool prompt)
{
    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.interval_ms = 3600 * 1000;
    options.prompt = prompt;
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, &options, NULL),
                     MARLINE_OK);
    return memory;
}

/* Without a prompt export this never ends, and the test runner's limit fails it. */
static void wait_for_count(marline_memory_exporter *memory, size_t count)
{
    while (marline_memory_exporter_count(memory) < count) {
        (void)sched_yield();
    }
}

static void given_prompt_group_when_last_span_ends_then_exported_without_tick(void **state)
{
    (void)state;
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline_memory_exporter *memory = add_hourly_batches(f.provider, false);
    marline_span_group *group = marline_span_group_create();
    marline_span_group_set_prompt(group, true);
    marline_context *context = marline_context_with_group(NULL, group);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    {
        MARLINE_OBSERVE(root, "function.root");
        MARLINE_OBSERVE(child, "function.child");
    }
    marline_scope_leave(&scope);
    wait_for_count(memory, 2);
    marline_context_unref(context);
    marline_span_group_unref(group);
    trace_fixture_end(&f);
}

static void given_prompt_processor_when_root_ends_then_exported_without_tick(void **state)
{
    (void)state;
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline_memory_exporter *memory = add_hourly_batches(f.provider, true);
    {
        MARLINE_OBSERVE(root, "function.root");
        MARLINE_OBSERVE(child, "function.child");
    }
    wait_for_count(memory, 2);
    trace_fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_ratios_when_deciding_then_share_is_right_and_nested_SMP_06),
        cmocka_unit_test(given_ratio_when_extreme_then_none_or_all_SMP_06),
        cmocka_unit_test(given_half_when_deciding_then_threshold_on_low_56_bits_SMP_08),
        cmocka_unit_test(given_parent_when_parent_based_then_its_bit_decides_SMP_05),
        cmocka_unit_test(given_rate_when_exceeded_then_only_that_many_pass),
        cmocka_unit_test(given_variables_when_read_then_sampler_as_specified_ENV_05_SMP_04),
        cmocka_unit_test(given_own_sampler_when_span_starts_then_it_sees_and_adds_SMP_03),
        cmocka_unit_test(given_drop_when_span_starts_then_it_has_ids_and_is_counted_CTX_07_CTX_08),
        cmocka_unit_test(given_test_when_sampler_says_drop_then_recorded_all_the_same),
        cmocka_unit_test(
            given_record_only_when_ended_then_processors_see_only_SMP_01_SMP_02_PRC_08_API_03),
        cmocka_unit_test(given_own_processor_alone_when_spans_end_then_seen_and_balanced_PRC_01),
        cmocka_unit_test(given_simple_processor_when_span_ends_then_exported_by_then_PRC_03),
        cmocka_unit_test(given_limits_when_set_then_applied_LIM_03_LIM_04),
        cmocka_unit_test(given_limit_variables_when_read_then_specific_beats_general_LIM_06),
        cmocka_unit_test(given_sdk_disabled_when_span_starts_then_ids_pass_through_EV_12),
        cmocka_unit_test(given_prompt_group_when_last_span_ends_then_exported_without_tick),
        cmocka_unit_test(given_prompt_processor_when_root_ends_then_exported_without_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
