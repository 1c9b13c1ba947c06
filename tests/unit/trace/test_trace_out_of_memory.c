/* Every allocation of the tracing half fails once: nothing crashes, leaks or lies in its counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../support/trace_fixture.h"
#include "base/memory.h"
#include <marline/exporters.h>
#include <marline/propagation.h>

enum { ALLOCATIONS_MAX = 2000 };

static atomic_int countdown; /* the allocation that fails; below 0: none */
static atomic_bool failed;

static bool is_this_one(void)
{
    if (atomic_fetch_sub(&countdown, 1) != 0) {
        return false;
    }
    atomic_store(&failed, true);
    return true;
}

static void *allocate(size_t size)
{
    return is_this_one() ? NULL : malloc(size);
}

static void *resize(void *block, size_t size)
{
    return is_this_one() ? NULL : realloc(block, size);
}

static const struct memory_functions failing = {allocate, resize, free};

static size_t no_fields(void *carrier, const char *name, marline_string *out, size_t max)
{
    (void)carrier;
    static const char *const fields[][2] = {
        {"traceparent", "00-a1b2c3d4e5f60718293a4b5c6d7e8f90-1f2e3d4c5b6a7988-01"},
        {"tracestate", "a=1,b=2"},
        {"baggage", "k=v,l=w%20x"}};
    for (size_t i = 0; max > 0 && i < 3; i++) {
        if (strcmp(fields[i][0], name) == 0) {
            *out = marline_text(fields[i][1]);
            return 1;
        }
    }
    return 0;
}

/* A span that spills in every way a span can. */
static void big_span(marline_tracer *tracer, marline_context *context)
{
    static char text[4000];
    memset(text, 't', sizeof text);
    marline_value items[3] = {{.type = MARLINE_VALUE_STRING, .as.string = {text, 2000}},
                              {.type = MARLINE_VALUE_STRING, .as.string = {text, 2000}}};
    marline_attribute list = {{"list", 4}, {.type = MARLINE_VALUE_ARRAY, .as.array = {items, 3}}};
    marline_attribute map = {{"map", 3}, {.type = MARLINE_VALUE_MAP, .as.map = {&list, 1}}};
    marline_link_data link = {
        .trace_id = {1}, .span_id = {1}, .attributes = &list, .attribute_count = 1};
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.parent = context;
    marline_span span = marline_span_start(tracer, "function.a", &options);
    marline_span_set_string(&span, "big", (marline_string){text, sizeof text});
    marline_span_set_string(&span, "no utf-8", (marline_string){"\xff", 1});
    marline_span_set_attribute(&span, &map);
    for (int i = 0; i < 20; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        marline_span_set_int(&span, key, i);
    }
    marline_span_add_event(&span, "event", 0, &list, 1);
    marline_span_add_link(&span, &link);
    marline_span_fail(&span, "type", "message");
    marline_span_end(&span);
}

static void trace_with(marline_provider *provider)
{
    marline_tracer *tracer = marline_tracer_get(provider, "oom", "1");
    marline_test_context test = {"run", "test", "configuration", "result", 1};
    marline_span_group *group = marline_span_group_create();
    marline_context *remote = marline_extract(MARLINE_PROPAGATE_ALL, NULL, no_fields, NULL);
    marline_context *tested = marline_context_with_test(remote, &test);
    marline_context *grouped = marline_context_with_group(tested, group);
    marline_context *context = marline_context_with_baggage(grouped, "more", "x", "p");
    assert_true(remote && tested && grouped && context); /* never NULL */
    big_span(tracer, context);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    {
        MARLINE_OBSERVE(observed, "function.observed");
        marline_context *captured = marline_context_current();
        big_span(tracer, captured);
        marline_context_unref(captured);
    }
    marline_scope_leave(&scope);
    char **environment = marline_environment_create(MARLINE_PROPAGATE_ALL, context, NULL);
    marline_environment_free(environment);
    marline_context_unref(context);
    marline_context_unref(grouped);
    marline_context_unref(tested);
    marline_context_unref(remote);
    marline_span_group_unref(group);
}

static void spool_all(void *user, const marline_span_data *spans, size_t count, uint64_t timeout_ms,
                      marline_export_result *out)
{
    (void)user;
    (void)spans;
    (void)timeout_ms;
    out->failed = count;
}

/* Nobody listens at this port: every export is refused, and tried but once. */
static const char nowhere[] = "http://127.0.0.1:1/";

/* In memory where there is such a place: a busy disk takes its time for every flush. */
static char spool_folder[64];
static char spool_path[96];

static void make_spool_folder(void)
{
    (void)snprintf(spool_folder, sizeof spool_folder, "%s/marline-oom-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(spool_folder));
    (void)snprintf(spool_path, sizeof spool_path, "%s/spool.db", spool_folder);
}

static void remove_spool_folder(void)
{
    static const char *const suffixes[] = {"", "-wal", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", spool_path, suffixes[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(spool_folder), 0);
}

static void add_exporters(marline_provider *provider)
{
    marline_exporter exporter = {.export_spans = spool_all};
    marline_batch_options spooled = MARLINE_BATCH_OPTIONS_INIT;
    spooled.spool_path = spool_path;
    (void)marline_provider_add_batch_processor(provider, &exporter, &spooled, NULL);
    marline_batch_options brief = MARLINE_BATCH_OPTIONS_INIT;
    brief.export_timeout_ms = 1;
    marline_otlp_exporter_options otlp = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    otlp.endpoint = nowhere;
    otlp.compression = MARLINE_OTLP_COMPRESSION_GZIP;
    if (marline_exporter_otlp_create(&otlp, &exporter, NULL) == MARLINE_OK) {
        (void)marline_provider_add_batch_processor(provider, &exporter, &brief, NULL);
    }
    const marline_platform_exporter_options platform = {
        .size = sizeof platform, .base_url = nowhere, .api_key = "k"};
    if (marline_exporter_platform_create(&platform, &exporter, NULL) == MARLINE_OK) {
        (void)marline_provider_add_batch_processor(provider, &exporter, &brief, NULL);
    }
}

/* NULL when out of memory. */
static marline_resource *detect(const marline_attribute *attribute)
{
    marline_resource *one = NULL;
    marline_resource *merged = NULL;
    if (marline_resource_create(attribute, 1, "schema", &one, NULL) == MARLINE_OK) {
        (void)marline_resource_merge(one, one, &merged, NULL);
    }
    marline_resource_destroy(one);
    return merged;
}

/* A whole life of a provider. */
static void live(void)
{
    marline_provider *provider = NULL;
    const marline_attribute attribute = {{"k", 1}, {.type = MARLINE_VALUE_BOOL}};
    marline_sampler half = marline_sampler_probability(1);
    marline_provider_options options = MARLINE_PROVIDER_OPTIONS_INIT;
    options.sampler = &half;
    options.resource = &attribute;
    options.resource_count = 1;
    marline_resource *detected = detect(&attribute);
    options.detected = detected;
    marline_status status = marline_provider_create(&options, &provider, NULL);
    marline_resource_destroy(detected);
    if (status != MARLINE_OK) {
        return;
    }
    marline_provider_set_global(provider);
    marline_tracer_options scope = MARLINE_TRACER_OPTIONS_INIT;
    scope.name = "scoped";
    scope.attributes = &attribute;
    scope.attribute_count = 1;
    assert_non_null(marline_tracer_get_with(provider, &scope));
    marline_exporter exporter;
    add_exporters(provider);
    if (marline_memory_exporter_create(&exporter)) {
        (void)marline_provider_add_batch_processor(provider, &exporter, NULL, NULL);
    }
    if (marline_exporter_file_create("spans.jsonl", &exporter, NULL) == MARLINE_OK) {
        (void)marline_provider_add_batch_processor(provider, &exporter, NULL, NULL);
    }
    trace_with(provider);
    (void)marline_provider_shutdown(provider, 10000);
    assert_delivery_balanced(provider);
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    assert_int_equal(d.in_flight, 0);
    marline_provider_destroy(provider);
}

static void given_nth_allocation_fails_when_tracing_then_survived_and_balanced(void **state)
{
    (void)state;
    make_spool_folder();
    marline__memory_install(&failing);
    int n = 0;
    do {
        atomic_store(&failed, false);
        atomic_store(&countdown, n++);
        live();
    } while (atomic_load(&failed) && n < ALLOCATIONS_MAX);
    atomic_store(&countdown, -1);
    marline__memory_install(NULL);
    remove_spool_folder();
    assert_true(n > 60); /* the sweep did fail something */
    assert_true(n < ALLOCATIONS_MAX);
}

static void given_failing_memory_when_exporters_are_made_then_no_memory_is_said(void **state)
{
    (void)state;
    marline__memory_install(&failing);
    marline_platform_exporter_options platform = {.size = sizeof platform,
                                                  .base_url = "http://127.0.0.1:1",
                                                  .api_key = "k",
                                                  .project_id = "p",
                                                  .environment = "e"};
    marline_exporter exporter;
    for (int kind = 0; kind < 2; kind++) {
        int n = 0;
        marline_status status;
        do {
            atomic_store(&countdown, n++);
            status = kind ? marline_exporter_otlp_create(NULL, &exporter, NULL)
                          : marline_exporter_platform_create(&platform, &exporter, NULL);
            assert_true(status == MARLINE_OK || status == MARLINE_ENOMEM);
        } while (status != MARLINE_OK && n < ALLOCATIONS_MAX);
        assert_true(n > 3);
        atomic_store(&countdown, -1);
        exporter.destroy(exporter.user);
    }
    marline__memory_install(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_nth_allocation_fails_when_tracing_then_survived_and_balanced),
        cmocka_unit_test(given_failing_memory_when_exporters_are_made_then_no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
