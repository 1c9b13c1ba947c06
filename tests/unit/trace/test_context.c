/* Contexts, scopes, identity, tests, groups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../../support/trace_fixture.h"
#include "base/log.h"
#include <marline/work.h>

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

static void one_span(marline_context *context, const char *name)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = context;
    marline_attribute own = {{"own", 3}, {.type = MARLINE_VALUE_INT, .as.integer = 1}};
    options.attributes = &own;
    options.attribute_count = 1;
    marline_span span = marline_span_start(f.tracer, name, &options);
    marline_span_end(&span);
}

static void given_identity_when_span_starts_then_stamped_first_and_inherited(void **state)
{
    (void)state;
    marline_attribute identity[] = {
        {{"agent", 5}, {.type = MARLINE_VALUE_STRING, .as.string = {"a1", 2}}},
        {{"host", 4}, {.type = MARLINE_VALUE_STRING, .as.string = {"h1", 2}}}};
    marline_context *outer = marline_context_with_identity(marline_context_root(), identity, 2);
    identity[0].value.as.string = (marline_string){"a2", 2};
    marline_context *inner = marline_context_with_identity(outer, identity, 1);
    marline_context *bare = marline_context_without_identity(inner);
    one_span(outer, "function.outer");
    one_span(inner, "function.inner");
    one_span(bare, "function.bare");
    const marline_span_data *a = trace_fixture_span(&f, 0);
    assert_string_is(a->attributes[0].key, "agent");
    assert_string_is(a->attributes[1].key, "host");
    assert_string_is(a->attributes[2].key, "own");
    assert_span_text(a, "agent", "a1");
    const marline_span_data *b = trace_fixture_span(&f, 1);
    assert_span_text(b, "agent", "a2");
    assert_span_text(b, "host", "h1");
    assert_int_equal(trace_fixture_span(&f, 2)->attribute_count, 1);
    marline_context_unref(bare);
    marline_context_unref(inner);
    marline_context_unref(outer);
}

static void given_test_when_unsampled_parent_then_spans_are_recorded_all_the_same(void **state)
{
    (void)state;
    marline_span_context remote = {{1}, {2}, 0, true};
    marline_span parent = marline_span_remote(&remote);
    marline_test_context test = {"run", "test", "configuration", NULL, 3};
    marline_context *with_span = marline_context_with_span(NULL, &parent);
    marline_context *context = marline_context_with_test(with_span, &test);
    one_span(context, "function.a");
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_span_text(data, "rhesis.test.run_id", "run");
    assert_span_text(data, "rhesis.test.id", "test");
    assert_span_text(data, "rhesis.test.configuration_id", "configuration");
    assert_null(span_attribute(data, "rhesis.test.result_id"));
    assert_int_equal(span_attribute(data, "rhesis.test.attempt")->as.integer, 3);
    assert_int_equal(data->flags & 1, 1);
    marline_context_unref(context);
    marline_context_unref(with_span);
}

static void given_test_within_test_when_entered_then_nothing_of_the_outer_stays(void **state)
{
    (void)state;
    marline_test_context outer = {"run", "one", "c", "result", 1};
    marline_test_context inner = {"run", "two", NULL, NULL, 0};
    marline_context *a = marline_context_with_test(marline_context_root(), &outer);
    marline_context *b = marline_context_with_test(a, &inner);
    one_span(b, "function.a");
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_span_text(data, "rhesis.test.id", "two");
    assert_null(span_attribute(data, "rhesis.test.configuration_id"));
    assert_null(span_attribute(data, "rhesis.test.result_id"));
    assert_null(span_attribute(data, "rhesis.test.attempt"));
    marline_context_unref(b);
    marline_context_unref(a);
}

static void work(void)
{
    MARLINE_OBSERVE(step, "function.step");
    {
        MARLINE_OBSERVE(inner, "function.inner");
    }
}

static void *work_in_thread(void *user)
{
    marline_scope scope;
    marline_scope_enter(&scope, user);
    work();
    marline_scope_leave(&scope);
    one_span(NULL, "function.outside");
    return NULL;
}

static void given_context_when_handed_to_thread_then_its_spans_carry_the_test(void **state)
{
    (void)state;
    marline_test_context test = {"run", "test", "configuration", NULL, 0};
    marline_span_group *group = marline_span_group_create();
    marline_context *with_test = marline_context_with_test(NULL, &test);
    marline_context *context = marline_context_with_group(with_test, group);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    marline_observed root;
    marline_observe_begin(&root, "function.root");
    marline_context *captured = marline_context_current();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work_in_thread, captured), 0);
    work();
    pthread_join(thread, NULL);
    assert_int_equal(marline_span_group_started(group), 5);
    assert_int_equal(marline_span_group_ended(group), 4);
    marline_observe_end(&root);
    marline_scope_leave(&scope);
    assert_int_equal(marline_span_group_ended(group), 5);
    assert_int_equal(trace_fixture_count(&f), 6);
    for (size_t i = 0; i < 6; i++) {
        const marline_span_data *data = trace_fixture_span(&f, i);
        bool outside = data->name.size == strlen("function.outside");
        if (outside) {
            assert_null(span_attribute(data, "rhesis.test.id"));
            assert_false(data->has_parent);
            continue;
        }
        assert_span_text(data, "rhesis.test.id", "test");
        assert_memory_equal(data->trace_id, root.span.context.trace_id, 16);
    }
    marline_context_unref(captured);
    marline_context_unref(context);
    marline_context_unref(with_test);
    marline_span_group_unref(group);
}

static void given_observed_block_when_left_then_ok_and_outer_is_current_again(void **state)
{
    (void)state;
    marline_observed outer;
    marline_observe_begin(&outer, "function.outer");
    {
        MARLINE_OBSERVE(failing, "function.failing");
        marline_span_fail(&failing.span, "io", "broken");
    }
    marline_span current = marline_span_current(NULL);
    assert_memory_equal(current.context.span_id, outer.span.context.span_id, 8);
    marline_observe_end(&outer);
    marline_observe_end(&outer);
    current = marline_span_current(NULL);
    assert_int_equal(current.context.trace_id[0] | current.context.trace_id[7], 0);
    assert_int_equal(trace_fixture_span(&f, 0)->status, MARLINE_SPAN_STATUS_ERROR);
    assert_int_equal(trace_fixture_span(&f, 1)->status, MARLINE_SPAN_STATUS_OK);
}

static void given_scopes_when_left_in_wrong_order_then_tolerated_CTX_15(void **state)
{
    (void)state;
    marline_span_context ids = {{1}, {1}, 1, true};
    marline_span span = marline_span_remote(&ids);
    marline_context *context = marline_context_with_span(NULL, &span);
    marline_scope outer;
    marline_scope inner;
    marline_scope_enter(&outer, NULL);
    marline_scope_enter(&inner, context);
    marline_scope_leave(&outer);
    marline_span current = marline_span_current(NULL);
    assert_int_equal(current.context.trace_id[0], 1);
    marline_scope_leave(&inner);
    marline_scope_leave(&inner);
    current = marline_span_current(NULL);
    assert_int_equal(current.context.trace_id[0], 0);
    marline_context_unref(context);
}

static void given_ended_span_when_parent_then_still_valid_SPN_10(void **state)
{
    (void)state;
    marline_span parent = marline_span_start(f.tracer, "function.parent", NULL);
    marline_context *context = marline_context_with_span(NULL, &parent);
    marline_span_end(&parent);
    one_span(context, "function.child");
    assert_memory_equal(trace_fixture_span(&f, 1)->parent_span_id, parent.context.span_id, 8);
    marline_context_unref(context);
}

static void given_no_provider_when_observed_then_parent_ids_pass_through_API_10(void **state)
{
    (void)state;
    marline_provider_set_global(NULL);
    marline_span_context ids = {{1}, {1}, 1, true};
    marline_span span = marline_span_remote(&ids);
    marline_context *context = marline_context_with_span(NULL, &span);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    {
        MARLINE_OBSERVE(nothing, "function.nothing");
        assert_int_equal(nothing.span.context.trace_id[0], 1);
        assert_false(marline_span_is_recording(&nothing.span));
    }
    marline_scope_leave(&scope);
    marline_context_unref(context);
}

static void given_null_arguments_when_called_then_nothing_happens_API_09(void **state)
{
    (void)state;
    marline_context_unref(NULL);
    assert_null(marline_context_ref(NULL));
    marline_scope_enter(NULL, NULL);
    marline_scope_leave(NULL);
    assert_int_equal(marline_span_group_started(NULL), 0);
    marline_context *context = marline_context_with_test(NULL, NULL);
    marline_context *grouped = marline_context_with_group(context, NULL);
    marline_context *spanned = marline_context_with_span(grouped, NULL);
    one_span(spanned, "function.a");
    assert_int_equal(trace_fixture_count(&f), 1);
    marline_context_unref(spanned);
    marline_context_unref(grouped);
    marline_context_unref(context);
}

static void traced_job(void *user, bool canceled)
{
    (void)user;
    assert_false(canceled);
    MARLINE_OBSERVE(job, "function.job");
}

static void given_job_when_submitted_then_runs_under_the_submitters_context(void **state)
{
    (void)state;
    marline_pool *pool = marline_pool_create(2, 8);
    assert_non_null(pool);
    marline_test_context test = {"run", "test", "configuration", NULL, 0};
    marline_context *context = marline_context_with_test(NULL, &test);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    marline_observed root;
    marline_observe_begin(&root, "function.root");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(marline_pool_submit(pool, traced_job, NULL), MARLINE_OK);
    }
    while (marline_provider_force_flush(f.provider, 1000) == MARLINE_OK &&
           marline_memory_exporter_count(f.memory) < 4) {
    }
    marline_observe_end(&root);
    marline_scope_leave(&scope);
    assert_int_equal(marline_pool_destroy(pool, 10000), MARLINE_OK);
    for (size_t i = 0; i < 4; i++) {
        const marline_span_data *data = trace_fixture_span(&f, i);
        assert_memory_equal(data->parent_span_id, root.span.context.span_id, 8);
        assert_span_text(data, "rhesis.test.id", "test");
    }
    assert_null(marline_pool_create(0, 1));
    assert_int_equal(marline_pool_submit(NULL, traced_job, NULL), MARLINE_EINVAL);
    assert_int_equal(marline_pool_destroy(NULL, 0), MARLINE_OK);
    marline_context_unref(context);
}

static char logged[600];

static void keep_line(void *user, enum log_level level, const char *text)
{
    (void)user;
    if (level == LOG_ERROR) {
        (void)snprintf(logged, sizeof logged, "%s", text);
    }
}

static void given_error_when_recorded_then_on_the_span_and_in_the_log(void **state)
{
    (void)state;
    marline__log_install(keep_line, NULL);
    char trace_id[MARLINE_TRACE_ID_TEXT_SIZE];
    {
        MARLINE_OBSERVE(work, "function.work");
        marline_span_trace_id_text(&work.span, trace_id);
        marline_record_error("io", "disk %d is full", 3);
    }
    marline__log_install(NULL, NULL);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->status, MARLINE_SPAN_STATUS_ERROR);
    assert_string_is(data->status_message, "disk 3 is full");
    assert_span_text(data, "error.type", "io");
    assert_non_null(strstr(logged, "io: disk 3 is full trace_id="));
    assert_non_null(strstr(logged, trace_id));
}

#define CONTEXT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONTEXT_TEST(given_identity_when_span_starts_then_stamped_first_and_inherited),
        CONTEXT_TEST(given_test_when_unsampled_parent_then_spans_are_recorded_all_the_same),
        CONTEXT_TEST(given_test_within_test_when_entered_then_nothing_of_the_outer_stays),
        CONTEXT_TEST(given_context_when_handed_to_thread_then_its_spans_carry_the_test),
        CONTEXT_TEST(given_observed_block_when_left_then_ok_and_outer_is_current_again),
        CONTEXT_TEST(given_scopes_when_left_in_wrong_order_then_tolerated_CTX_15),
        CONTEXT_TEST(given_ended_span_when_parent_then_still_valid_SPN_10),
        CONTEXT_TEST(given_no_provider_when_observed_then_parent_ids_pass_through_API_10),
        CONTEXT_TEST(given_job_when_submitted_then_runs_under_the_submitters_context),
        CONTEXT_TEST(given_error_when_recorded_then_on_the_span_and_in_the_log),
        CONTEXT_TEST(given_null_arguments_when_called_then_nothing_happens_API_09),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
