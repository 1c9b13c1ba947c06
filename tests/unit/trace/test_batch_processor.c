/* The batch processor with its thread: counts, bounds, and exporters that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../support/trace_fixture.h"
#include "trace/batch_processor.h"

enum { LONG_MS = 10000 };

/* An exporter with a gate: closed, an export waits until it opens, or is cancelled. */
struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool open;
    bool heeds_cancel;
    bool canceled;
    bool destroyed;
    size_t entered;
    size_t sizes[64];
    char scope[8]; /* of the last export's first span, read when the export ends */
    size_t resource_attributes;
    marline_export_result answer; /* counts above 0 are given as they are */
};

static void gate_export(void *user, const marline_span_data *spans, size_t count,
                        uint64_t timeout_ms, marline_export_result *out)
{
    (void)timeout_ms;
    struct gate *g = user;
    pthread_mutex_lock(&g->mutex);
    g->sizes[g->entered++ % 64] = count;
    pthread_cond_broadcast(&g->changed);
    while (!g->open && !g->canceled) {
        pthread_cond_wait(&g->changed, &g->mutex);
    }
    (void)snprintf(g->scope, sizeof g->scope, "%.*s", (int)spans->scope->name.size,
                   spans->scope->name.data);
    g->resource_attributes = spans->resource->attribute_count;
    if (!g->open) { /* one that is open lets through, however late: the machine may be busy */
        out->failed = count;
    } else if (g->answer.exported + g->answer.rejected + g->answer.failed > 0) {
        *out = g->answer;
    } else {
        out->exported = count;
    }
    pthread_mutex_unlock(&g->mutex);
}

static void gate_cancel(void *user)
{
    struct gate *g = user;
    pthread_mutex_lock(&g->mutex);
    g->canceled = g->heeds_cancel;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

static void gate_destroy(void *user)
{
    struct gate *g = user;
    pthread_mutex_lock(&g->mutex);
    g->destroyed = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

static void gate_set_open(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    g->open = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->mutex);
}

static void gate_wait_entered(struct gate *g, size_t count)
{
    pthread_mutex_lock(&g->mutex);
    while (g->entered < count) {
        pthread_cond_wait(&g->changed, &g->mutex);
    }
    pthread_mutex_unlock(&g->mutex);
}

struct fixture {
    struct gate gate;
    marline_provider *provider;
    marline_tracer *tracer;
};

static void open_provider(struct fixture *f, const marline_batch_options *options, bool open)
{
    f->gate = (struct gate){.open = open, .heeds_cancel = true};
    pthread_mutex_init(&f->gate.mutex, NULL);
    pthread_cond_init(&f->gate.changed, NULL);
    assert_int_equal(marline_provider_create(NULL, &f->provider, NULL), MARLINE_OK);
    f->tracer = marline_tracer_get(f->provider, "t", NULL);
    marline_exporter exporter = {.export_spans = gate_export,
                                 .cancel = gate_cancel,
                                 .destroy = gate_destroy,
                                 .user = &f->gate};
    assert_int_equal(marline_provider_add_batch_processor(f->provider, &exporter, options, NULL),
                     MARLINE_OK);
}

static void begin(struct fixture *f, uint32_t queue_max, uint32_t batch_max, bool open)
{
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.queue_max = queue_max;
    options.batch_max = batch_max;
    options.interval_ms = 3600 * 1000;
    open_provider(f, &options, open);
}

static void gate_wait_destroyed(struct gate *g)
{
    pthread_mutex_lock(&g->mutex);
    while (!g->destroyed) {
        pthread_cond_wait(&g->changed, &g->mutex);
    }
    pthread_mutex_unlock(&g->mutex);
}

/* A thread that a shutdown has left behind has the exporter until it ends. */
static void end(struct fixture *f)
{
    assert_delivery_balanced(f->provider);
    marline_provider_destroy(f->provider);
    gate_wait_destroyed(&f->gate);
    pthread_cond_destroy(&f->gate.changed);
    pthread_mutex_destroy(&f->gate.mutex);
}

static void make_spans(struct fixture *f, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        marline_span span = marline_span_start(f->tracer, "function.a", NULL);
        marline_span_end(&span);
    }
}

static void given_full_batch_when_spans_end_then_exported_without_a_tick_BSP_02(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2048, 512, true);
    make_spans(&f, 512);
    gate_wait_entered(&f.gate, 1);
    assert_int_equal(f.gate.sizes[0], 512);
    assert_int_equal(marline_provider_shutdown(f.provider, LONG_MS), MARLINE_OK);
    assert_delivery(f.provider, 512, 0);
    end(&f);
}

static void given_full_queue_when_span_ends_then_dropped_and_counted_BSP_03(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 4, 4, false);
    make_spans(&f, 4);
    gate_wait_entered(&f.gate, 1); /* four are in the export, the queue is empty */
    make_spans(&f, 7);
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.dropped[MARLINE_DROP_QUEUE_FULL], 3);
    assert_int_equal(d.in_flight, 8);
    assert_delivery_balanced(f.provider);
    gate_set_open(&f.gate);
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    assert_delivery(f.provider, 8, 3);
    end(&f);
}

static void given_flush_when_many_wait_then_several_exports_BSP_06(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 64, 10, true);
    make_spans(&f, 9);
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    assert_int_equal(f.gate.sizes[0], 9);
    make_spans(&f, 25);
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    assert_delivery(f.provider, 34, 0);
    for (size_t i = 0; i < f.gate.entered; i++) {
        assert_true(f.gate.sizes[i] <= 10);
    }
    end(&f);
}

static void given_stuck_export_when_flushed_then_deadline_wins_PRC_05(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 8, 4, false);
    make_spans(&f, 1);
    assert_int_equal(marline_provider_force_flush(f.provider, 20), MARLINE_ETIMEDOUT);
    assert_delivery_balanced(f.provider);
    gate_set_open(&f.gate);
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    assert_delivery(f.provider, 1, 0);
    end(&f);
}

static void given_exporter_that_heeds_cancel_when_shut_down_then_bounded(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 8, 4, false);
    make_spans(&f, 6);
    gate_wait_entered(&f.gate, 1);
    assert_int_equal(marline_provider_shutdown(f.provider, 20), MARLINE_ETIMEDOUT);
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.dropped[MARLINE_DROP_TIMEOUT], 4);
    assert_int_equal(d.dropped[MARLINE_DROP_SHUTDOWN], 2);
    assert_delivery(f.provider, 0, 6);
    end(&f);
}

static void
given_exporter_that_never_returns_when_shut_down_then_left_behind_API_07_SPN_11(void **state)
{
    (void)state;
    static struct fixture f; /* the exporter goes on after the test's own frame */
    begin(&f, 8, 4, false);
    f.gate.heeds_cancel = false;
    make_spans(&f, 6);
    gate_wait_entered(&f.gate, 1);
    assert_int_equal(marline_provider_shutdown(f.provider, 20), MARLINE_ETIMEDOUT);
    assert_delivery(f.provider, 0, 6);
    marline_provider_destroy(f.provider);
    assert_false(f.gate.destroyed);
    gate_set_open(&f.gate); /* now it returns, and the worker cleans up behind itself */
    gate_wait_destroyed(&f.gate);
    assert_string_equal(f.gate.scope, "t"); /* it read on when the provider was gone */
    assert_true(f.gate.resource_attributes > 0);
}

static void given_partial_answers_when_exported_then_each_span_counted_once_PRC_07(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 16, 16, true);
    f.gate.answer = (marline_export_result){.exported = 2, .rejected = 1, .failed = 1};
    make_spans(&f, 4);
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.exported, 2);
    assert_int_equal(d.dropped[MARLINE_DROP_REJECTED], 1);
    assert_int_equal(d.dropped[MARLINE_DROP_TIMEOUT], 1);
    f.gate.answer = (marline_export_result){.exported = 900, .rejected = 900, .failed = 1};
    make_spans(&f, 3); /* an exporter that lies cannot unbalance the count */
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    assert_delivery(f.provider, 5, 2);
    end(&f);
}

static void given_two_processors_when_one_hangs_then_the_other_delivers(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 64, 1, false);
    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.batch_max = 2;
    assert_int_equal(marline_provider_add_batch_processor(f.provider, &exporter, &options, NULL),
                     MARLINE_OK);
    make_spans(&f, 5);
    gate_wait_entered(&f.gate, 1);
    for (int i = 0; i < LONG_MS / 50 && marline_memory_exporter_count(memory) < 5; i++) {
        assert_int_equal(marline_provider_force_flush(f.provider, 50), MARLINE_ETIMEDOUT);
    }
    assert_int_equal(marline_memory_exporter_count(memory), 5);
    assert_int_equal(marline_provider_shutdown(f.provider, 20), MARLINE_ETIMEDOUT);
    assert_delivery(f.provider, 5, 0); /* one exporter had each of them */
    end(&f);
}

static void *make_many(void *user)
{
    make_spans(user, 5000);
    return NULL;
}

static void given_threads_when_ending_spans_then_none_is_lost_from_the_count(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 256, 64, true);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, &f), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(marline_provider_shutdown(f.provider, LONG_MS), MARLINE_OK);
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.started, 20000);
    assert_int_equal(d.in_flight, 0);
    assert_int_equal(d.exported + d.dropped[MARLINE_DROP_QUEUE_FULL], 20000);
    end(&f);
}

static void given_shutdown_when_spans_still_end_then_balance_holds(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 256, 64, true);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, make_many, &f), 0);
    }
    (void)marline_provider_shutdown(f.provider, LONG_MS);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.in_flight, 0);
    end(&f);
}

static void given_running_spans_when_provider_is_destroyed_then_handles_are_inert(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 16, 16, true);
    marline_span span = marline_span_start(f.tracer, "function.a", NULL);
    marline_provider_destroy(f.provider);
    assert_false(marline_span_is_recording(&span));
    marline_span_set_text(&span, "k", "v");
    marline_span_end(&span);
    pthread_cond_destroy(&f.gate.changed);
    pthread_mutex_destroy(&f.gate.mutex);
}

static void given_no_exporter_when_span_starts_then_not_recorded_API_05(void **state)
{
    (void)state;
    marline_provider *provider = NULL;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    marline_span span =
        marline_span_start(marline_tracer_get(provider, "t", NULL), "function.a", NULL);
    assert_false(marline_span_is_recording(&span));
    marline_span_end(&span);
    assert_delivery(provider, 0, 1);
    marline_provider_destroy(provider);
}

static void
given_variables_when_options_are_completed_then_rules_hold_ENV_01_ENV_03_ENV_04(void **state)
{
    (void)state;
    struct {
        const char *queue;
        const char *batch;
        uint32_t queue_max;
        uint32_t batch_max;
    } cases[] = {
        {NULL, NULL, 2048, 512}, {"", "", 2048, 512},        {"100", NULL, 100, 100},
        {"0", "0", 2048, 512},   {"-1", "x", 2048, 512},     {"99999999999", "5 ", 2048, 512},
        {"64", "7", 64, 7},      {"1.5", "0x10", 2048, 512},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsetenv("OTEL_BSP_MAX_QUEUE_SIZE");
        unsetenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
        if (cases[i].queue) {
            setenv("OTEL_BSP_MAX_QUEUE_SIZE", cases[i].queue, 1);
        }
        if (cases[i].batch) {
            setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", cases[i].batch, 1);
        }
        marline_batch_options out;
        marline__batch_options_complete(NULL, &out);
        assert_int_equal(out.queue_max, cases[i].queue_max);
        assert_int_equal(out.batch_max, cases[i].batch_max);
        assert_int_equal(out.interval_ms, 5000);
        assert_int_equal(out.export_timeout_ms, 30000);
    }
    unsetenv("OTEL_BSP_MAX_QUEUE_SIZE");
    unsetenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE");
    setenv("OTEL_BSP_SCHEDULE_DELAY", "250", 1);
    setenv("OTEL_BSP_EXPORT_TIMEOUT", "0", 1);
    marline_batch_options given = MARLINE_BATCH_OPTIONS_INIT;
    given.queue_max = 9;
    marline_batch_options out;
    marline__batch_options_complete(&given, &out);
    assert_int_equal(out.queue_max, 9);
    assert_int_equal(out.interval_ms, 250);
    assert_int_equal(out.export_timeout_ms, 0);
    unsetenv("OTEL_BSP_SCHEDULE_DELAY");
    unsetenv("OTEL_BSP_EXPORT_TIMEOUT");
}

static void given_wrong_arguments_when_processor_is_added_then_refused(void **state)
{
    (void)state;
    struct gate gate = {.open = true};
    pthread_mutex_init(&gate.mutex, NULL);
    pthread_cond_init(&gate.changed, NULL);
    marline_provider *provider = NULL;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    marline_exporter exporter = {.destroy = gate_destroy, .user = &gate};
    marline_error error = {0};
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, NULL, &error),
                     MARLINE_EINVAL);
    assert_true(gate.destroyed); /* taken on failure too */
    assert_true(error.text[0] != '\0');
    assert_int_equal(marline_provider_shutdown(provider, 0), MARLINE_OK);
    gate.destroyed = false;
    exporter.export_spans = gate_export;
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, NULL, &error),
                     MARLINE_ESTATE);
    assert_true(gate.destroyed);
    marline_provider_destroy(provider);
    pthread_cond_destroy(&gate.changed);
    pthread_mutex_destroy(&gate.mutex);
}

static void given_no_thread_when_pumped_then_exports_in_the_caller(void **state)
{
    (void)state;
    marline_provider *provider = NULL;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_true(marline_provider_pump(provider) == UINT64_MAX);
    assert_true(marline_provider_pump(NULL) == UINT64_MAX);
    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.no_thread = true;
    options.batch_max = 4;
    options.interval_ms = 3600 * 1000;
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, &options, NULL),
                     MARLINE_OK);
    struct fixture f = {.provider = provider, .tracer = marline_tracer_get(provider, "t", NULL)};
    make_spans(&f, 3);
    uint64_t next_ms = marline_provider_pump(provider);
    assert_in_range(next_ms, 3590 * 1000, 3600 * 1000);
    assert_int_equal(marline_memory_exporter_count(memory), 0);
    make_spans(&f, 6);
    (void)marline_provider_pump(provider);
    assert_int_equal(marline_memory_exporter_count(memory), 8); /* two full batches */
    assert_int_equal(marline_provider_force_flush(provider, LONG_MS), MARLINE_OK);
    assert_int_equal(marline_memory_exporter_count(memory), 9);
    make_spans(&f, 1);
    assert_delivery_balanced(provider);
    assert_int_equal(marline_provider_shutdown(provider, LONG_MS), MARLINE_OK);
    assert_delivery(provider, 10, 0);
    marline_provider_destroy(provider);
}

/* ---- without a thread ---- */

static void begin_without_thread(struct fixture *f)
{
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.no_thread = true;
    options.batch_max = 4;
    options.interval_ms = 3600 * 1000;
    open_provider(f, &options, false);
}

static void *pump_in_thread(void *user)
{
    (void)marline_provider_pump(user);
    return NULL;
}

static void given_no_thread_and_hanging_export_when_shut_down_then_cancelled_API_07(void **state)
{
    (void)state;
    struct fixture f;
    begin_without_thread(&f);
    make_spans(&f, 6);
    assert_int_equal(marline_provider_shutdown(f.provider, 200), MARLINE_ETIMEDOUT);
    assert_in_range(f.gate.entered, 0, 1); /* none, where the caller itself was late */
    assert_delivery(f.provider, 0, 6);
    end(&f);
}

static void given_pump_hangs_elsewhere_when_shut_down_then_cancelled_API_07(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t thread;
    begin_without_thread(&f);
    make_spans(&f, 6);
    assert_int_equal(pthread_create(&thread, NULL, pump_in_thread, f.provider), 0);
    gate_wait_entered(&f.gate, 1);
    assert_int_equal(marline_provider_shutdown(f.provider, 20), MARLINE_ETIMEDOUT);
    assert_delivery(f.provider, 0, 6);
    pthread_join(thread, NULL);
    end(&f);
}

static void given_pump_never_returns_when_shut_down_then_left_behind_API_07(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t thread;
    begin_without_thread(&f);
    f.gate.heeds_cancel = false;
    make_spans(&f, 6);
    assert_int_equal(pthread_create(&thread, NULL, pump_in_thread, f.provider), 0);
    gate_wait_entered(&f.gate, 1);
    assert_int_equal(marline_provider_shutdown(f.provider, 20), MARLINE_ETIMEDOUT);
    assert_delivery(f.provider, 0, 6);
    assert_false(f.gate.destroyed);
    gate_set_open(&f.gate);
    pthread_join(thread, NULL);
    assert_delivery(f.provider, 0, 6); /* what comes back late changes nothing */
    end(&f);
}

/* The pump may have looked before the flush was asked for: then the flush does the work itself. */
static void given_pumps_elsewhere_when_flushed_then_flush_is_never_forgotten(void **state)
{
    (void)state;
    enum { ROUNDS = 300 };
    struct fixture f;
    begin_without_thread(&f);
    f.gate.open = true;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t thread;
        make_spans(&f, 1);
        assert_int_equal(pthread_create(&thread, NULL, pump_in_thread, f.provider), 0);
        assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
        pthread_join(thread, NULL);
    }
    assert_delivery(f.provider, ROUNDS, 0);
    end(&f);
}

static void remember_timeout(void *user, const marline_span_data *spans, size_t count,
                             uint64_t timeout_ms, marline_export_result *out)
{
    (void)spans;
    *(uint64_t *)user = timeout_ms;
    out->exported = count;
}

static void given_no_thread_when_flushed_then_its_timeout_bounds_the_export_PRC_05(void **state)
{
    (void)state;
    uint64_t timeout_ms = 0;
    struct fixture f;
    assert_int_equal(marline_provider_create(NULL, &f.provider, NULL), MARLINE_OK);
    f.tracer = marline_tracer_get(f.provider, "t", NULL);
    marline_exporter exporter = {.export_spans = remember_timeout, .user = &timeout_ms};
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.no_thread = true;
    options.export_timeout_ms = 2 * LONG_MS;
    assert_int_equal(marline_provider_add_batch_processor(f.provider, &exporter, &options, NULL),
                     MARLINE_OK);
    make_spans(&f, 1);
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    assert_in_range(timeout_ms, 1, LONG_MS);
    assert_int_equal(marline_provider_shutdown(f.provider, LONG_MS), MARLINE_OK);
    marline_provider_destroy(f.provider);
}

/* An exporter that ignores its timeout is cancelled when that is over, and is used again. */
static void given_export_beyond_its_timeout_when_it_can_be_cancelled_then_it_is_BSP_05(void **state)
{
    (void)state;
    struct fixture f;
    f.gate = (struct gate){.heeds_cancel = true};
    pthread_mutex_init(&f.gate.mutex, NULL);
    pthread_cond_init(&f.gate.changed, NULL);
    assert_int_equal(marline_provider_create(NULL, &f.provider, NULL), MARLINE_OK);
    f.tracer = marline_tracer_get(f.provider, "t", NULL);
    marline_exporter exporter = {.export_spans = gate_export,
                                 .cancel = gate_cancel,
                                 .destroy = gate_destroy,
                                 .user = &f.gate};
    marline_batch_options options = MARLINE_BATCH_OPTIONS_INIT;
    options.export_timeout_ms = 1;
    assert_int_equal(marline_provider_add_batch_processor(f.provider, &exporter, &options, NULL),
                     MARLINE_OK);
    make_spans(&f, 3);
    assert_int_equal(marline_provider_force_flush(f.provider, LONG_MS), MARLINE_OK);
    marline_delivery d;
    marline_provider_delivery(f.provider, &d);
    assert_int_equal(d.dropped[MARLINE_DROP_TIMEOUT], 3);
    pthread_mutex_lock(&f.gate.mutex);
    f.gate.canceled = false;
    pthread_mutex_unlock(&f.gate.mutex);
    gate_set_open(&f.gate);
    make_spans(&f, 2);
    assert_int_equal(marline_provider_shutdown(f.provider, LONG_MS), MARLINE_OK);
    assert_delivery(f.provider, 2, 3);
    end(&f);
}

static marline_status gate_flush(void *user, uint64_t timeout_ms)
{
    (void)timeout_ms;
    struct gate *g = user;
    pthread_mutex_lock(&g->mutex);
    g->entered++;
    while (!g->open) {
        pthread_cond_wait(&g->changed, &g->mutex);
    }
    pthread_mutex_unlock(&g->mutex);
    return MARLINE_EIO;
}

static marline_provider *provider_with_flush(struct gate *g)
{
    marline_provider *provider = NULL;
    marline_exporter exporter = {.export_spans = gate_export, .force_flush = gate_flush, .user = g};
    pthread_mutex_init(&g->mutex, NULL);
    pthread_cond_init(&g->changed, NULL);
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, NULL, NULL),
                     MARLINE_OK);
    return provider;
}

static void given_exporters_flush_hangs_when_flushed_then_deadline_wins_PRC_05(void **state)
{
    (void)state;
    static struct gate gate; /* its worker may be on its way out when the test has ended */
    marline_provider *provider = provider_with_flush(&gate);
    assert_int_equal(marline_provider_force_flush(provider, 20), MARLINE_ETIMEDOUT);
    assert_int_equal(marline_provider_shutdown(provider, 20), MARLINE_ETIMEDOUT);
    assert_delivery(provider, 0, 0);
    gate_set_open(&gate);
    marline_provider_destroy(provider);
}

static void given_exporters_flush_fails_when_flushed_then_its_answer_is_given_PRC_05(void **state)
{
    (void)state;
    struct gate gate = {.open = true};
    marline_provider *provider = provider_with_flush(&gate);
    assert_int_equal(marline_provider_force_flush(provider, LONG_MS), MARLINE_EIO);
    marline_provider_destroy(provider);
}

/* ---- an exporter that traces ---- */

static marline_provider *traced;

static void traced_export(void *user, const marline_span_data *spans, size_t count,
                          uint64_t timeout_ms, marline_export_result *out)
{
    (void)spans;
    (void)timeout_ms;
    marline_span span = marline_span_start(user, "function.own", NULL);
    marline_span_end(&span);
    out->exported = count;
}

static void given_exporter_that_traces_when_simple_then_own_spans_are_dropped(void **state)
{
    (void)state;
    assert_int_equal(marline_provider_create(NULL, &traced, NULL), MARLINE_OK);
    marline_tracer *tracer = marline_tracer_get(traced, "t", NULL);
    marline_exporter exporter = {.export_spans = traced_export, .user = tracer};
    assert_int_equal(marline_provider_add_simple_processor(traced, &exporter, NULL), MARLINE_OK);
    marline_span span = marline_span_start(tracer, "function.a", NULL);
    marline_span_end(&span);
    marline_delivery d;
    marline_provider_delivery(traced, &d);
    assert_int_equal(d.exported, 1);
    assert_int_equal(d.dropped[MARLINE_DROP_REJECTED], 1);
    assert_delivery_balanced(traced);
    marline_provider_destroy(traced);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_full_batch_when_spans_end_then_exported_without_a_tick_BSP_02),
        cmocka_unit_test(given_full_queue_when_span_ends_then_dropped_and_counted_BSP_03),
        cmocka_unit_test(given_flush_when_many_wait_then_several_exports_BSP_06),
        cmocka_unit_test(given_stuck_export_when_flushed_then_deadline_wins_PRC_05),
        cmocka_unit_test(given_exporter_that_heeds_cancel_when_shut_down_then_bounded),
        cmocka_unit_test(
            given_exporter_that_never_returns_when_shut_down_then_left_behind_API_07_SPN_11),
        cmocka_unit_test(given_partial_answers_when_exported_then_each_span_counted_once_PRC_07),
        cmocka_unit_test(given_two_processors_when_one_hangs_then_the_other_delivers),
        cmocka_unit_test(given_threads_when_ending_spans_then_none_is_lost_from_the_count),
        cmocka_unit_test(given_shutdown_when_spans_still_end_then_balance_holds),
        cmocka_unit_test(given_running_spans_when_provider_is_destroyed_then_handles_are_inert),
        cmocka_unit_test(given_no_exporter_when_span_starts_then_not_recorded_API_05),
        cmocka_unit_test(
            given_variables_when_options_are_completed_then_rules_hold_ENV_01_ENV_03_ENV_04),
        cmocka_unit_test(given_wrong_arguments_when_processor_is_added_then_refused),
        cmocka_unit_test(given_no_thread_when_pumped_then_exports_in_the_caller),
        cmocka_unit_test(given_no_thread_and_hanging_export_when_shut_down_then_cancelled_API_07),
        cmocka_unit_test(given_pump_hangs_elsewhere_when_shut_down_then_cancelled_API_07),
        cmocka_unit_test(given_pump_never_returns_when_shut_down_then_left_behind_API_07),
        cmocka_unit_test(given_pumps_elsewhere_when_flushed_then_flush_is_never_forgotten),
        cmocka_unit_test(given_no_thread_when_flushed_then_its_timeout_bounds_the_export_PRC_05),
        cmocka_unit_test(
            given_export_beyond_its_timeout_when_it_can_be_cancelled_then_it_is_BSP_05),
        cmocka_unit_test(given_exporters_flush_hangs_when_flushed_then_deadline_wins_PRC_05),
        cmocka_unit_test(given_exporters_flush_fails_when_flushed_then_its_answer_is_given_PRC_05),
        cmocka_unit_test(given_exporter_that_traces_when_simple_then_own_spans_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
