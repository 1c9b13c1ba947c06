#include "trace_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { FLUSH_MS = 10000 };

static uint64_t fake_monotonic(void *user)
{
    return ((struct fake_clock *)user)->monotonic_ns;
}

static uint64_t fake_wall(void *user)
{
    return ((struct fake_clock *)user)->wall_ns;
}

void fake_clock_init(struct fake_clock *clock)
{
    clock->monotonic_ns = 1000 * NS_PER_S;
    clock->wall_ns = 1767225600 * NS_PER_S;
    clock->clock = (struct clock){fake_monotonic, fake_wall, clock};
}

void fake_clock_advance(struct fake_clock *clock, uint64_t ns)
{
    clock->monotonic_ns += ns;
    clock->wall_ns += ns;
}

void trace_fixture_begin(struct trace_fixture *f, const marline_provider_options *options)
{
    fake_clock_init(&f->clock);
    assert_int_equal(marline__provider_create(options, &f->clock.clock, &f->provider, NULL),
                     MARLINE_OK);
    marline_exporter exporter;
    f->memory = marline_memory_exporter_create(&exporter);
    assert_non_null(f->memory);
    assert_int_equal(marline_provider_add_batch_processor(f->provider, &exporter, NULL, NULL),
                     MARLINE_OK);
    f->tracer = marline_tracer_get(f->provider, "tests", "1");
    marline_provider_set_global(f->provider);
}

void trace_fixture_end(struct trace_fixture *f)
{
    (void)marline_provider_shutdown(f->provider, FLUSH_MS); /* a test may have done it */
    assert_delivery_balanced(f->provider);
    marline_provider_destroy(f->provider);
}

size_t trace_fixture_count(struct trace_fixture *f)
{
    marline_status status = marline_provider_force_flush(f->provider, FLUSH_MS);
    assert_true(status == MARLINE_OK || status == MARLINE_ESTATE);
    return marline_memory_exporter_count(f->memory);
}

const marline_span_data *trace_fixture_span(struct trace_fixture *f, size_t index)
{
    assert_true(index < trace_fixture_count(f));
    return marline_memory_exporter_span(f->memory, index);
}

const marline_value *span_attribute(const marline_span_data *span, const char *key)
{
    for (uint32_t i = 0; i < span->attribute_count; i++) {
        marline_string name = span->attributes[i].key;
        if (name.size == strlen(key) && memcmp(name.data, key, name.size) == 0) {
            return &span->attributes[i].value;
        }
    }
    return NULL;
}

void assert_string_is(marline_string s, const char *expected)
{
    assert_int_equal(s.size, strlen(expected));
    assert_memory_equal(s.data ? s.data : "", expected, s.size);
}

void assert_span_text(const marline_span_data *span, const char *key, const char *expected)
{
    const marline_value *value = span_attribute(span, key);
    assert_non_null(value);
    assert_int_equal(value->type, MARLINE_VALUE_STRING);
    assert_string_is(value->as.string, expected);
}

static uint64_t total_dropped(const marline_delivery *d)
{
    uint64_t total = 0;
    for (int i = 0; i < MARLINE_DROP_REASONS; i++) {
        total += d->dropped[i];
    }
    return total;
}

void assert_delivery_balanced(marline_provider *provider)
{
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    assert_int_equal(d.started, d.exported + d.spooled + total_dropped(&d) + d.in_flight);
    assert_int_equal(d.in_flight, marline__provider_count_records(provider));
}

void assert_delivery(marline_provider *provider, uint64_t exported, uint64_t dropped)
{
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    assert_int_equal(d.exported, exported);
    assert_int_equal(d.spooled, 0);
    assert_int_equal(total_dropped(&d), dropped);
    assert_int_equal(d.in_flight, 0);
    assert_delivery_balanced(provider);
}

void skip_fork_under_sanitizers(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
}
