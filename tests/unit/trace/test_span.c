/* Spans as an exporter sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/trace_fixture.h"
#include "trace/context.h"

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

static void given_span_when_ended_then_exported_with_what_was_set_SPN_05_SPN_14(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.greet", NULL);
    marline_span_set_text(&span, "text", "value");
    marline_span_set_int(&span, "int", -5);
    marline_span_set_double(&span, "double", 0.5);
    marline_span_set_bool(&span, "bool", false);
    fake_clock_advance(&f.clock, 250 * NS_PER_MS);
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_string_is(data->name, "function.greet");
    assert_int_equal(data->kind, MARLINE_SPAN_KIND_INTERNAL);
    assert_int_equal(data->start_unix_ns, 1767225600 * NS_PER_S);
    assert_int_equal(data->end_unix_ns, 1767225600 * NS_PER_S + 250 * NS_PER_MS);
    assert_int_equal(data->attribute_count, 4);
    assert_span_text(data, "text", "value");
    assert_int_equal(span_attribute(data, "int")->as.integer, -5);
    assert_true(span_attribute(data, "double")->as.real == 0.5);
    assert_int_equal(span_attribute(data, "bool")->type, MARLINE_VALUE_BOOL);
    assert_string_is(data->scope->name, "tests");
    assert_memory_equal(data->span_id, span.context.span_id, 8);
    assert_false(data->has_parent);
    assert_delivery(f.provider, 1, 0);
}

static void given_root_when_started_then_sampled_and_random_CTX_09(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    assert_int_equal(span.context.flags, 3);
    assert_false(span.context.is_remote);
    marline_span_end(&span);
}

static void given_current_span_when_child_starts_then_same_trace_CTX_06(void **state)
{
    (void)state;
    MARLINE_OBSERVE(outer, "function.outer");
    marline_span child = marline_span_start(f.tracer, "function.inner", NULL);
    marline_span_end(&child);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_memory_equal(data->trace_id, outer.span.context.trace_id, 16);
    assert_memory_equal(data->parent_span_id, outer.span.context.span_id, 8);
    assert_true(data->has_parent);
    assert_false(data->parent_is_remote);
    assert_memory_not_equal(data->span_id, outer.span.context.span_id, 8);
}

static void given_span_when_started_then_not_current_CTX_11_CTX_12(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span current = marline_span_current(NULL);
    assert_memory_not_equal(current.context.span_id, span.context.span_id, 8);
    marline_span_end(&span);
}

static void given_force_root_when_started_then_new_trace_CTX_13(void **state)
{
    (void)state;
    MARLINE_OBSERVE(outer, "function.outer");
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.force_root = true;
    marline_span root = marline_span_start(f.tracer, "function.root", &options);
    assert_memory_not_equal(root.context.trace_id, outer.span.context.trace_id, 16);
    marline_span_end(&root);
}

static void
given_remote_parent_when_child_starts_then_flags_follow_CTX_04_CTX_05_CTX_10_CTX_14(void **state)
{
    (void)state;
    struct {
        uint8_t in;
        uint8_t out;
        bool recording;
    } cases[] = {{1, 1, true}, {3, 3, true}, {0, 0, false}, {2, 2, false}, {0xff, 3, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        marline_span_context remote = {{1}, {2}, cases[i].in, false};
        marline_span parent = marline_span_remote(&remote);
        assert_true(parent.context.is_remote);
        marline_context *context = marline_context_with_span(NULL, &parent);
        marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
        options.parent = context;
        marline_span child = marline_span_start(f.tracer, "function.child", &options);
        assert_int_equal(child.context.flags, cases[i].out);
        assert_int_equal(marline_span_is_recording(&child), cases[i].recording);
        assert_memory_equal(child.context.trace_id, remote.trace_id, 16);
        assert_false(child.context.is_remote);
        marline_span_end(&child);
        marline_context_unref(context);
    }
    assert_true(trace_fixture_span(&f, 0)->parent_is_remote);
    assert_delivery(f.provider, 3, 2);
}

static void given_ended_span_when_changed_then_ignored_SPN_07_SPN_10(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span copy = span;
    marline_span_end(&span);
    marline_span_set_text(&copy, "late", "x");
    marline_span_update_name(&copy, "function.late");
    marline_span_set_status(&copy, MARLINE_SPAN_STATUS_ERROR, "late");
    marline_span_end(&copy);
    assert_false(marline_span_is_recording(&copy));
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_string_is(data->name, "function.a");
    assert_int_equal(data->attribute_count, 0);
    assert_int_equal(data->status, MARLINE_SPAN_STATUS_UNSET);
    assert_delivery(f.provider, 1, 0);
}

static void given_reused_record_when_old_handle_changes_it_then_ignored(void **state)
{
    (void)state;
    marline_span old = marline_span_start(f.tracer, "function.old", NULL);
    marline_span_end(&old);
    (void)trace_fixture_count(&f);
    marline_span spans[64];
    bool reused = false;
    for (size_t i = 0; i < 64; i++) {
        spans[i] = marline_span_start(f.tracer, "function.new", NULL);
        reused |= spans[i].record == old.record;
    }
    assert_true(reused);
    marline_span_set_text(&old, "stray", "x");
    marline_span_end(&old);
    for (size_t i = 0; i < 64; i++) {
        assert_true(marline_span_is_recording(&spans[i]));
        marline_span_end(&spans[i]);
    }
    for (size_t i = 1; i < 65; i++) {
        assert_int_equal(trace_fixture_span(&f, i)->attribute_count, 0);
    }
}

/* A span with all that a span can have. */
static marline_span start_rich_span(void)
{
    marline_span_context remote = {{1}, {2}, 1, true};
    marline_span parent = marline_span_remote(&remote);
    struct facts *facts = marline__facts_copy(NULL, false, 0);
    assert_true(marline__facts_set_state(facts, remote.trace_id, marline_text("a=b")));
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = marline__context_derive(NULL, &parent, facts);
    marline_span span = marline_span_start(f.tracer, "function.rich", &options);
    marline_context_unref(options.parent);
    marline_span_set_text(&span, "key", "value");
    marline_span_fail(&span, "type", "message");
    marline_span_add_link(&span, &(marline_link_data){.trace_id = {1}, .span_id = {1}});
    return span;
}

static void given_record_of_rich_span_when_reused_then_nothing_of_it_is_left(void **state)
{
    (void)state;
    marline_span rich = start_rich_span();
    marline_span_end(&rich);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_true(data->has_parent && data->parent_is_remote && data->status_message.size > 0);
    assert_string_is(data->trace_state, "a=b");
    marline_span spans[64];
    size_t reused = 64;
    for (size_t i = 0; i < 64; i++) {
        spans[i] = marline_span_start(f.tracer, "function.plain", NULL);
        reused = spans[i].record == rich.record ? i : reused;
    }
    assert_true(reused < 64);
    for (size_t i = 0; i < 64; i++) {
        marline_span_end(&spans[i]);
    }
    static const uint8_t no_id[8];
    data = trace_fixture_span(&f, 1 + reused);
    assert_memory_equal(data->span_id, spans[reused].context.span_id, 8);
    assert_memory_equal(data->parent_span_id, no_id, 8);
    assert_false(data->has_parent || data->parent_is_remote);
    assert_int_equal(data->trace_state.size, 0);
    assert_string_is(data->name, "function.plain");
    assert_int_equal(data->status, MARLINE_SPAN_STATUS_UNSET);
    assert_int_equal(data->status_message.size, 0);
    assert_int_equal(data->attribute_count + data->event_count + data->link_count, 0);
}

static void given_same_key_when_set_again_then_overwritten_SPN_03(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_set_text(&span, "k", "short");
    marline_span_set_text(&span, "k", "a good deal longer than before");
    marline_span_set_text(&span, "k", "x");
    marline_span_set_int(&span, "n", 1);
    marline_span_set_text(&span, "n", "now a text");
    marline_span_set_text(&span, "K", "other");
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->attribute_count, 3);
    assert_span_text(data, "k", "x");
    assert_span_text(data, "n", "now a text");
    assert_span_text(data, "K", "other");
}

static void given_overwriting_for_long_when_lengths_vary_then_memory_is_bounded(void **state)
{
    (void)state;
    static char text[512];
    memset(text, 'x', sizeof text - 1);
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    for (size_t i = 0; i < 100000; i++) {
        marline_span_set_string(&span, "k", (marline_string){text, i % 500});
    }
    struct span_record *record = span.record;
    assert_true(record->arena.allocated < 64 * 1024);
    marline_span_end(&span);
    assert_int_equal(trace_fixture_span(&f, 0)->dropped_attributes, 0);
}

static void given_nested_values_when_set_then_copied_deeply_SPN_04(void **state)
{
    (void)state;
    char word[] = "one";
    marline_value items[] = {
        {.type = MARLINE_VALUE_STRING, .as.string = {word, 3}},
        {.type = MARLINE_VALUE_EMPTY},
        {.type = MARLINE_VALUE_INT, .as.integer = 7},
    };
    marline_attribute members[] = {
        {{"k", 1}, {.type = MARLINE_VALUE_ARRAY, .as.array = {items, 3}}},
        {{"k", 1}, {.type = MARLINE_VALUE_BOOL, .as.boolean = true}},
        {{"list", 4}, {.type = MARLINE_VALUE_ARRAY, .as.array = {items, 3}}},
    };
    marline_attribute attribute = {{"map", 3}, {.type = MARLINE_VALUE_MAP, .as.map = {members, 3}}};
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_set_attribute(&span, &attribute);
    memset(word, '?', 3);
    marline_span_end(&span);
    const marline_value *map = span_attribute(trace_fixture_span(&f, 0), "map");
    assert_int_equal(map->as.map.count, 2);
    assert_int_equal(map->as.map.items[0].value.type, MARLINE_VALUE_BOOL);
    const marline_value *list = &map->as.map.items[1].value;
    assert_int_equal(list->as.array.count, 3);
    assert_string_is(list->as.array.items[0].as.string, "one");
    assert_int_equal(list->as.array.items[1].type, MARLINE_VALUE_EMPTY);
}

static void given_status_table_when_set_then_precedence_SPN_08(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_set_status(&span, MARLINE_SPAN_STATUS_ERROR, "first");
    marline_span_set_status(&span, MARLINE_SPAN_STATUS_UNSET, NULL);
    marline_span_set_status(&span, MARLINE_SPAN_STATUS_ERROR, "second");
    marline_span_end(&span);
    span = marline_span_start(f.tracer, "function.b", NULL);
    marline_span_set_status(&span, MARLINE_SPAN_STATUS_ERROR, "gone");
    marline_span_set_status(&span, MARLINE_SPAN_STATUS_OK, "ignored");
    marline_span_set_status(&span, MARLINE_SPAN_STATUS_ERROR, "too late");
    marline_span_end(&span);
    const marline_span_data *a = trace_fixture_span(&f, 0);
    assert_int_equal(a->status, MARLINE_SPAN_STATUS_ERROR);
    assert_string_is(a->status_message, "second");
    const marline_span_data *b = trace_fixture_span(&f, 1);
    assert_int_equal(b->status, MARLINE_SPAN_STATUS_OK);
    assert_string_is(b->status_message, "");
}

static void given_exception_when_recorded_then_event_and_no_status_SPN_12(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_record_exception(&span, "io", "disk on fire");
    marline_span_record_exception(&span, NULL, NULL);
    fake_clock_advance(&f.clock, 5);
    marline_span_add_event(&span, "later", 0, NULL, 0);
    marline_span_add_event(&span, "given", 42, NULL, 0);
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->status, MARLINE_SPAN_STATUS_UNSET);
    assert_int_equal(data->event_count, 3);
    assert_string_is(data->events[0].name, "exception");
    assert_string_is(data->events[0].attributes[0].key, "exception.type");
    assert_string_is(data->events[0].attributes[1].value.as.string, "disk on fire");
    assert_int_equal(data->events[1].time_unix_ns, data->start_unix_ns + 5);
    assert_int_equal(data->events[2].time_unix_ns, 42);
}

static void given_failure_when_reported_then_event_status_and_type_SPN_13(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_fail(&span, "timeout", "no answer");
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->status, MARLINE_SPAN_STATUS_ERROR);
    assert_string_is(data->status_message, "no answer");
    assert_span_text(data, "error.type", "timeout");
    assert_int_equal(data->event_count, 1);
}

static void given_links_when_added_at_start_and_later_then_in_order_SPN_01_SPN_06(void **state)
{
    (void)state;
    marline_link_data links[2] = {{.trace_id = {1}, .span_id = {1}, .trace_state = {"a=b", 3}},
                                  {.trace_id = {2}, .span_id = {2}}};
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.links = links;
    options.link_count = 1;
    options.kind = MARLINE_SPAN_KIND_CONSUMER;
    marline_span span = marline_span_start(f.tracer, "function.a", &options);
    marline_span_add_link(&span, &links[1]);
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->kind, MARLINE_SPAN_KIND_CONSUMER);
    assert_int_equal(data->link_count, 2);
    assert_string_is(data->links[0].trace_state, "a=b");
    assert_int_equal(data->links[1].trace_id[0], 2);
}

static void given_130_attributes_when_set_then_128_kept_LIM_01(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    for (int i = 0; i < 130; i++) {
        char key[2] = {(char)('A' + i / 32), (char)('A' + i % 32)};
        marline_attribute attribute = {{key, 2}, {.type = MARLINE_VALUE_INT, .as.integer = i}};
        marline_span_set_attribute(&span, &attribute);
    }
    marline_attribute again = {{"AA", 2}, {.type = MARLINE_VALUE_INT, .as.integer = 999}};
    marline_span_set_attribute(&span, &again); /* overwriting works at the limit */
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->attribute_count, 128);
    assert_int_equal(data->dropped_attributes, 2);
    assert_int_equal(data->attributes[0].value.as.integer, 999);
    assert_int_equal(data->attributes[127].value.as.integer, 127);
}

static void given_130_events_and_links_when_added_then_128_kept_LIM_01(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_link_data link = {.trace_id = {1}, .span_id = {1}};
    for (uint64_t i = 0; i < 130; i++) {
        marline_span_add_event(&span, "e", i + 1, NULL, 0);
        marline_span_add_link(&span, &link);
    }
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->event_count, 128);
    assert_int_equal(data->dropped_events, 2);
    assert_int_equal(data->events[127].time_unix_ns, 128);
    assert_int_equal(data->link_count, 128);
    assert_int_equal(data->dropped_links, 2);
}

static void given_bad_arguments_when_called_then_nothing_happens_API_09(void **state)
{
    (void)state;
    marline_span none = marline_span_start(NULL, NULL, NULL);
    assert_false(marline_span_is_recording(&none));
    marline_span_end(NULL);
    marline_span_set_text(NULL, "k", "v");
    marline_span_add_event(&none, NULL, 0, NULL, 3);
    marline_span_add_link(&none, NULL);
    marline_span_fail(&none, NULL, NULL);
    marline_observe_end(NULL);
    marline_span span = marline_span_start(f.tracer, NULL, NULL);
    marline_span_set_text(&span, NULL, "v");
    marline_span_set_text(&span, "", "v");
    marline_span_set_text(&span, "null", NULL);
    marline_span_set_attribute(&span, NULL);
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_string_is(data->name, "");
    assert_int_equal(data->attribute_count, 1);
    assert_span_text(data, "null", "");
}

static void given_huge_value_when_set_then_kept_whole(void **state)
{
    (void)state;
    size_t size = 10 * 1024 * 1024;
    char *text = calloc(1, size);
    assert_non_null(text);
    memset(text, 'v', size);
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_span_set_string(&span, "big", (marline_string){text, size});
    marline_span_end(&span);
    free(text);
    assert_int_equal(span_attribute(trace_fixture_span(&f, 0), "big")->as.string.size, size);
}

static void given_start_time_when_given_then_kept_SPN_02(void **state)
{
    (void)state;
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.start_unix_ns = 5;
    marline_span span = marline_span_start(f.tracer, "function.a", &options);
    marline_span_end_at(&span, 3);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->start_unix_ns, 5);
    assert_int_equal(data->end_unix_ns, 3);
}

static void given_wall_clock_set_back_when_span_ends_then_end_after_start_SPN_02(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    f.clock.monotonic_ns += 10;
    f.clock.wall_ns -= 3600 * NS_PER_S;
    marline_span_end(&span);
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_int_equal(data->end_unix_ns, data->start_unix_ns + 10);
}

static void given_many_ids_when_drawn_then_valid_and_distinct_CTX_01_CTX_03(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static marline_span spans[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        spans[i] = marline_span_start(f.tracer, "function.a", NULL);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(spans[i].context.span_id, spans[j].context.span_id, 8);
            assert_memory_not_equal(spans[i].context.trace_id, spans[j].context.trace_id, 16);
        }
    }
    char text[MARLINE_TRACE_ID_TEXT_SIZE];
    marline_span_trace_id_text(&spans[0], text);
    assert_int_equal(strspn(text, "0123456789abcdef"), 32);
    for (size_t i = 0; i < COUNT; i++) {
        marline_span_end(&spans[i]);
    }
}

struct hammer {
    marline_span *span;
    int id;
};

static void *hammer(void *user)
{
    struct hammer *h = user;
    for (int i = 0; i < 2000; i++) {
        char key[2] = {(char)('a' + h->id), (char)('a' + i % 16)};
        marline_attribute attribute = {{key, 2}, {.type = MARLINE_VALUE_INT, .as.integer = i}};
        marline_span_set_attribute(h->span, &attribute);
        if (i == 1500 && h->id == 0) {
            marline_span_end(h->span);
        }
    }
    return NULL;
}

static void given_one_span_when_changed_and_ended_by_threads_then_whole_API_08(void **state)
{
    (void)state;
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    pthread_t threads[4];
    struct hammer hammers[4];
    for (int i = 0; i < 4; i++) {
        hammers[i] = (struct hammer){&span, i};
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &hammers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_true(data->attribute_count >= 16 && data->attribute_count <= 64);
    assert_delivery(f.provider, 1, 0);
}

static void given_shut_down_provider_when_spans_start_or_end_then_counted_API_06(void **state)
{
    (void)state;
    marline_span running = marline_span_start(f.tracer, "function.a", NULL);
    assert_int_equal(marline_provider_shutdown(f.provider, 1000), MARLINE_OK);
    assert_int_equal(marline_provider_shutdown(f.provider, 1000), MARLINE_ESTATE);
    assert_delivery_balanced(f.provider);
    marline_span late = marline_span_start(f.tracer, "function.b", NULL);
    assert_false(marline_span_is_recording(&late));
    marline_span_end(&running);
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.dropped[MARLINE_DROP_SHUTDOWN], 1);
    assert_int_equal(d.in_flight, 0);
}

static void given_tracers_when_got_then_one_per_name_and_never_null_API_02(void **state)
{
    (void)state;
    marline_tracer *a = marline_tracer_get(f.provider, "a", "1");
    assert_ptr_equal(a, marline_tracer_get(f.provider, "a", "1"));
    assert_ptr_not_equal(a, marline_tracer_get(f.provider, "a", "2"));
    assert_non_null(marline_tracer_get(f.provider, NULL, NULL));
    assert_null(marline_tracer_get(NULL, "a", NULL));
    marline_span span = marline_span_start(a, "function.a", NULL);
    marline_span_end(&span);
    assert_string_is(trace_fixture_span(&f, 0)->scope->version, "1"); /* API-04 */
}

static void given_tracer_when_provider_can_record_then_enabled_API_05(void **state)
{
    (void)state;
    assert_true(marline_tracer_is_enabled(f.tracer));
    assert_false(marline_tracer_is_enabled(NULL));
    marline_provider *bare = NULL;
    assert_int_equal(marline_provider_create(NULL, &bare, NULL), MARLINE_OK);
    assert_false(marline_tracer_is_enabled(marline_tracer_get(bare, "t", NULL)));
    marline_provider_destroy(bare);
    assert_int_equal(marline_provider_shutdown(f.provider, 1000), MARLINE_OK);
    assert_false(marline_tracer_is_enabled(f.tracer));
}

#define SPAN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPAN_TEST(given_span_when_ended_then_exported_with_what_was_set_SPN_05_SPN_14),
        SPAN_TEST(given_root_when_started_then_sampled_and_random_CTX_09),
        SPAN_TEST(given_current_span_when_child_starts_then_same_trace_CTX_06),
        SPAN_TEST(given_span_when_started_then_not_current_CTX_11_CTX_12),
        SPAN_TEST(given_force_root_when_started_then_new_trace_CTX_13),
        SPAN_TEST(
            given_remote_parent_when_child_starts_then_flags_follow_CTX_04_CTX_05_CTX_10_CTX_14),
        SPAN_TEST(given_ended_span_when_changed_then_ignored_SPN_07_SPN_10),
        SPAN_TEST(given_reused_record_when_old_handle_changes_it_then_ignored),
        SPAN_TEST(given_record_of_rich_span_when_reused_then_nothing_of_it_is_left),
        SPAN_TEST(given_same_key_when_set_again_then_overwritten_SPN_03),
        SPAN_TEST(given_overwriting_for_long_when_lengths_vary_then_memory_is_bounded),
        SPAN_TEST(given_nested_values_when_set_then_copied_deeply_SPN_04),
        SPAN_TEST(given_status_table_when_set_then_precedence_SPN_08),
        SPAN_TEST(given_exception_when_recorded_then_event_and_no_status_SPN_12),
        SPAN_TEST(given_failure_when_reported_then_event_status_and_type_SPN_13),
        SPAN_TEST(given_links_when_added_at_start_and_later_then_in_order_SPN_01_SPN_06),
        SPAN_TEST(given_130_attributes_when_set_then_128_kept_LIM_01),
        SPAN_TEST(given_130_events_and_links_when_added_then_128_kept_LIM_01),
        SPAN_TEST(given_bad_arguments_when_called_then_nothing_happens_API_09),
        SPAN_TEST(given_huge_value_when_set_then_kept_whole),
        SPAN_TEST(given_start_time_when_given_then_kept_SPN_02),
        SPAN_TEST(given_wall_clock_set_back_when_span_ends_then_end_after_start_SPN_02),
        SPAN_TEST(given_many_ids_when_drawn_then_valid_and_distinct_CTX_01_CTX_03),
        SPAN_TEST(given_one_span_when_changed_and_ended_by_threads_then_whole_API_08),
        SPAN_TEST(given_tracers_when_got_then_one_per_name_and_never_null_API_02),
        SPAN_TEST(given_tracer_when_provider_can_record_then_enabled_API_05),
        SPAN_TEST(given_shut_down_provider_when_spans_start_or_end_then_counted_API_06),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
