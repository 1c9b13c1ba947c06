/* Trace context and baggage over carriers and environments. The texts' vectors are wire's tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../support/trace_fixture.h"
#include <marline/propagation.h>

#define TRACE_ID "a1b2c3d4e5f60718293a4b5c6d7e8f90"
#define PARENT   "00-" TRACE_ID "-1f2e3d4c5b6a7988-01"

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

/* A carrier of a few fields. */
struct carrier {
    struct {
        char name[32];
        char value[600];
    } fields[8];
    size_t count;
};

static void add(struct carrier *c, const char *name, const char *value)
{
    (void)snprintf(c->fields[c->count].name, sizeof c->fields[0].name, "%s", name);
    (void)snprintf(c->fields[c->count].value, sizeof c->fields[0].value, "%s", value);
    c->count++;
}

static void set_field(void *user, const char *name, const char *value)
{
    struct carrier *c = user;
    for (size_t i = 0; i < c->count; i++) {
        if (strcasecmp(c->fields[i].name, name) == 0) {
            c->fields[i] = c->fields[--c->count];
            break;
        }
    }
    if (value) {
        add(c, name, value);
    }
}

static size_t get_field(void *user, const char *name, marline_string *out, size_t max)
{
    struct carrier *c = user;
    size_t count = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (strcasecmp(c->fields[i].name, name) == 0) {
            if (count < max) {
                out[count] = marline_text(c->fields[i].value);
            }
            count++;
        }
    }
    return count;
}

static const char *field(const struct carrier *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->fields[i].name, name) == 0) {
            return c->fields[i].value;
        }
    }
    return NULL;
}

static void extract_and_start(struct carrier *in, marline_span *out_span,
                              marline_context **out_context)
{
    marline_context *remote =
        marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_field, in);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = remote;
    *out_span = marline_span_start(f.tracer, "function.a", &options);
    *out_context = marline_context_with_span(remote, out_span);
    marline_context_unref(remote);
}

static void
given_remote_trace_when_extracted_then_child_continues_it_EM_02_EM_04_CTX_06(void **state)
{
    (void)state;
    struct carrier in = {.count = 0};
    add(&in, "Traceparent", PARENT);
    add(&in, "tracestate", "b=2");
    add(&in, "tracestate", "a=1");
    marline_span span;
    marline_context *context;
    extract_and_start(&in, &span, &context);
    struct carrier out = {.count = 0};
    marline_inject(MARLINE_PROPAGATE_ALL, context, set_field, &out);
    char id[MARLINE_SPAN_ID_TEXT_SIZE];
    marline_span_id_text(&span, id);
    char expected[64];
    (void)snprintf(expected, sizeof expected, "00-%s-%s-01", TRACE_ID, id);
    assert_string_equal(field(&out, "traceparent"), expected);
    assert_string_equal(field(&out, "tracestate"), "b=2,a=1");
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_string_is(data->trace_state, "b=2,a=1");
    assert_true(data->parent_is_remote);
    marline_context_unref(context);
}

static void given_span_alone_when_put_into_context_then_keeps_trace_state_CTX_06(void **state)
{
    (void)state;
    struct carrier in = {.count = 0};
    add(&in, "traceparent", PARENT);
    add(&in, "tracestate", "a=1");
    marline_span span;
    marline_context *context;
    extract_and_start(&in, &span, &context);
    marline_context_unref(context);
    context = marline_context_with_span(marline_context_root(), &span);
    struct carrier out = {.count = 0};
    marline_inject(MARLINE_PROPAGATE_TRACE_CONTEXT, context, set_field, &out);
    assert_string_equal(field(&out, "tracestate"), "a=1");
    marline_context_unref(context);
    marline_span_end(&span);
}

static void given_new_trace_when_injected_then_no_trace_state_of_the_old_EM_05(void **state)
{
    (void)state;
    struct carrier in = {.count = 0};
    add(&in, "traceparent", PARENT);
    add(&in, "tracestate", "a=1");
    marline_context *remote =
        marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_field, &in);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = remote;
    options.force_root = true;
    marline_span span = marline_span_start(f.tracer, "function.a", &options);
    marline_context *context = marline_context_with_span(remote, &span);
    struct carrier out = {.count = 0};
    add(&out, "tracestate", "stale=1"); /* EM-11 */
    marline_inject(MARLINE_PROPAGATE_TRACE_CONTEXT, context, set_field, &out);
    assert_null(field(&out, "tracestate"));
    marline_context_unref(context);
    marline_context_unref(remote);
    marline_span_end(&span);
    assert_int_equal(trace_fixture_span(&f, 0)->trace_state.size, 0);
}

static void given_bad_fields_when_extracted_then_parent_stays_EM_10_TP_32(void **state)
{
    (void)state;
    static const struct {
        const char *first;
        const char *second;
    } cases[] = {{NULL, NULL}, {"", NULL}, {PARENT "-x", NULL}, {PARENT, PARENT}};
    marline_span_context ids = {{7}, {7}, 1, true};
    marline_context *parent =
        marline_context_with_remote(marline_context_root(), &ids, (marline_string){NULL, 0});
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct carrier in = {.count = 0};
        add(&in, "tracestate", "a=1");
        if (cases[i].first) {
            add(&in, "traceparent", cases[i].first);
        }
        if (cases[i].second) {
            add(&in, "traceparent", cases[i].second);
        }
        marline_context *context = marline_extract(MARLINE_PROPAGATE_ALL, parent, get_field, &in);
        marline_span span = marline_span_current(context);
        assert_int_equal(span.context.trace_id[0], 7);
        marline_context_unref(context);
    }
    marline_context_unref(parent);
}

static void given_bad_tracestate_when_extracted_then_traceparent_stays_good_EM_05(void **state)
{
    (void)state;
    struct carrier in = {.count = 0};
    add(&in, "traceparent", PARENT);
    add(&in, "tracestate", "a=1,BAD=2");
    marline_span span;
    marline_context *context;
    extract_and_start(&in, &span, &context);
    assert_int_equal(span.context.trace_id[0], 0xa1);
    struct carrier out = {.count = 0};
    marline_inject(MARLINE_PROPAGATE_ALL, context, set_field, &out);
    assert_null(field(&out, "tracestate"));
    marline_context_unref(context);
    marline_span_end(&span);
}

static void given_no_valid_span_when_injected_then_nothing_is_set_EM_03(void **state)
{
    (void)state;
    struct carrier out = {.count = 0};
    add(&out, "traceparent", "stale");
    marline_inject(MARLINE_PROPAGATE_ALL, marline_context_root(), set_field, &out);
    assert_int_equal(out.count, 0);
    marline_inject(MARLINE_PROPAGATE_ALL, NULL, NULL, NULL);
}

static void given_unsampled_span_when_injected_then_sent_all_the_same_EM_03(void **state)
{
    (void)state;
    marline_span_context ids = {{1}, {2}, 0xfe, true};
    marline_context *context =
        marline_context_with_remote(marline_context_root(), &ids, (marline_string){NULL, 0});
    struct carrier out = {.count = 0};
    marline_inject(MARLINE_PROPAGATE_ALL, context, set_field, &out);
    assert_string_equal(field(&out, "traceparent"),
                        "00-01000000000000000000000000000000-0200000000000000-02"); /* EM-02 */
    marline_context_unref(context);
}

static void given_baggage_when_set_then_travels_and_is_inherited_EM_08(void **state)
{
    (void)state;
    marline_context *one = marline_context_with_baggage(NULL, "tenant", "a b", NULL);
    marline_context *two = marline_context_with_baggage(one, "k", "v", "p=1");
    marline_context *bad = marline_context_with_baggage(two, "not a token", "x", NULL);
    marline_test_context test = {"r", "t", "c", NULL, 0};
    marline_context *tested = marline_context_with_test(bad, &test);
    struct carrier out = {.count = 0};
    marline_inject(MARLINE_PROPAGATE_ALL, tested, set_field, &out);
    assert_string_equal(field(&out, "baggage"), "tenant=a%20b,k=v;p=1");
    marline_string value;
    assert_true(marline_context_baggage(tested, "tenant", &value));
    assert_string_is(value, "a b");
    assert_false(marline_context_baggage(marline_context_root(), "tenant", &value));
    marline_context *removed = marline_context_with_baggage(tested, "tenant", NULL, NULL);
    assert_false(marline_context_baggage(removed, "tenant", &value));
    assert_true(marline_context_baggage(removed, "k", &value));
    marline_context *none = marline_context_without_baggage(removed);
    assert_false(marline_context_baggage(none, "k", &value));
    marline_context *back = marline_extract(MARLINE_PROPAGATE_BAGGAGE, none, get_field, &out);
    assert_true(marline_context_baggage(back, "tenant", &value));
    assert_string_is(value, "a b");
    marline_context *all[] = {one, two, bad, tested, removed, none, back};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        marline_context_unref(all[i]);
    }
}

static bool has_entry(char *const *environment, const char *entry)
{
    for (; *environment; environment++) {
        if (strcmp(*environment, entry) == 0) {
            return true;
        }
    }
    return false;
}

static void
given_child_environment_when_made_then_stale_is_gone_and_comes_back_EV_05_EV_08(void **state)
{
    (void)state;
    static const char *const own[] = {"PATH=/bin", "TRACESTATE=stale=1", "TRACEPARENT=stale",
                                      "BAGGAGE=x=y", NULL};
    marline_span_context ids = {{1}, {2}, 3, true};
    marline_context *context =
        marline_context_with_remote(marline_context_root(), &ids, (marline_string){NULL, 0});
    char **environment = marline_environment_create(MARLINE_PROPAGATE_ALL, context, own);
    assert_non_null(environment);
    assert_true(has_entry(environment, "PATH=/bin"));
    assert_true(has_entry(environment,
                          "TRACEPARENT=00-01000000000000000000000000000000-0200000000000000-03"));
    assert_false(has_entry(environment, "TRACESTATE=stale=1"));
    assert_false(has_entry(environment, "BAGGAGE=x=y"));
    marline_context *child = marline_extract_environment(
        MARLINE_PROPAGATE_ALL, marline_context_root(), (const char *const *)environment);
    marline_span span = marline_span_current(child);
    assert_int_equal(span.context.trace_id[0], 1);
    assert_int_equal(span.context.flags, 3);
    assert_true(span.context.is_remote);
    marline_context_unref(child);
    marline_environment_free(environment);
    marline_context_unref(context);
}

static void given_no_span_made_when_passed_on_then_fields_as_they_came_EM_07_EM_11(void **state)
{
    (void)state;
    struct carrier in = {.count = 0};
    add(&in, "TRACEPARENT", PARENT);
    add(&in, "Tracestate", "b=2");
    add(&in, "tracestate", "a=1");
    marline_context *context =
        marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_field, &in);
    struct carrier out = {.count = 0};
    marline_inject(MARLINE_PROPAGATE_ALL, context, set_field, &out);
    assert_string_equal(field(&out, "traceparent"), PARENT);
    assert_string_equal(field(&out, "tracestate"), "b=2,a=1");
    marline_context_unref(context);
}

static void given_propagator_names_when_read_then_known_ones_chosen_EM_12(void **state)
{
    (void)state;
    struct {
        const char *text;
        marline_propagators expected;
    } cases[] = {{NULL, MARLINE_PROPAGATE_ALL},
                 {"", MARLINE_PROPAGATE_ALL},
                 {"none", MARLINE_PROPAGATE_NOTHING},
                 {"tracecontext", MARLINE_PROPAGATE_TRACE_CONTEXT},
                 {" Baggage , tracecontext,baggage", MARLINE_PROPAGATE_ALL},
                 {"b3,baggage", MARLINE_PROPAGATE_BAGGAGE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].text) {
            setenv("OTEL_PROPAGATORS", cases[i].text, 1);
        } else {
            unsetenv("OTEL_PROPAGATORS");
        }
        assert_int_equal(marline_propagators_from_environment(), cases[i].expected);
    }
    unsetenv("OTEL_PROPAGATORS");
}

#define PROPAGATION_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROPAGATION_TEST(
            given_remote_trace_when_extracted_then_child_continues_it_EM_02_EM_04_CTX_06),
        PROPAGATION_TEST(given_span_alone_when_put_into_context_then_keeps_trace_state_CTX_06),
        PROPAGATION_TEST(given_new_trace_when_injected_then_no_trace_state_of_the_old_EM_05),
        PROPAGATION_TEST(given_bad_fields_when_extracted_then_parent_stays_EM_10_TP_32),
        PROPAGATION_TEST(given_bad_tracestate_when_extracted_then_traceparent_stays_good_EM_05),
        PROPAGATION_TEST(given_no_valid_span_when_injected_then_nothing_is_set_EM_03),
        PROPAGATION_TEST(given_unsampled_span_when_injected_then_sent_all_the_same_EM_03),
        PROPAGATION_TEST(given_baggage_when_set_then_travels_and_is_inherited_EM_08),
        PROPAGATION_TEST(
            given_child_environment_when_made_then_stale_is_gone_and_comes_back_EV_05_EV_08),
        PROPAGATION_TEST(given_no_span_made_when_passed_on_then_fields_as_they_came_EM_07_EM_11),
        PROPAGATION_TEST(given_propagator_names_when_read_then_known_ones_chosen_EM_12),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
