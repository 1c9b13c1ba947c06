/* Both sides of a fork go on tracing (BSP-07). The child reports with its exit status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../support/http_peer.h"
#include "../../support/trace_fixture.h"

enum { FLUSH_MS = 10000 };

static void one_span(marline_tracer *tracer, const char *name)
{
    marline_span span = marline_span_start(tracer, name, NULL);
    marline_span_set_text(&span, "k", "v");
    marline_span_end(&span);
}

static int exit_status(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void given_waiting_spans_when_forked_then_only_the_parent_exports_them(void **state)
{
    (void)state;
    skip_fork_under_sanitizers();
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    one_span(f.tracer, "function.before");
    marline_span running = marline_span_start(f.tracer, "function.running", NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        marline_delivery d;
        marline_provider_delivery(f.provider, &d);
        bool ok = d.started == 0 && d.in_flight == 0 && !marline_span_is_recording(&running);
        marline_span_end(&running);
        one_span(f.tracer, "function.child");
        ok &= marline_provider_force_flush(f.provider, FLUSH_MS) == MARLINE_OK;
        ok &= marline_memory_exporter_count(f.memory) == 1;
        ok &= marline_provider_shutdown(f.provider, FLUSH_MS) == MARLINE_OK;
        marline_provider_delivery(f.provider, &d);
        ok &= d.started == 1 && d.exported == 1 && d.in_flight == 0;
        marline_provider_destroy(f.provider);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(exit_status(pid), 0);
    marline_span_end(&running);
    one_span(f.tracer, "function.after");
    assert_int_equal(trace_fixture_count(&f), 3);
    assert_delivery(f.provider, 3, 0);
    trace_fixture_end(&f);
}

static void given_fork_when_both_draw_ids_then_they_differ_CTX_03(void **state)
{
    (void)state;
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    one_span(f.tracer, "function.before");
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    marline_span span = marline_span_start(f.tracer, "function.both", NULL);
    if (pid == 0) {
        bool ok = write(ends[1], &span.context, sizeof span.context) == sizeof span.context;
        _exit(ok ? 0 : 1);
    }
    marline_span_context theirs;
    assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
    assert_memory_not_equal(theirs.trace_id, span.context.trace_id, 16);
    assert_memory_not_equal(theirs.span_id, span.context.span_id, 8);
    assert_int_equal(exit_status(pid), 0);
    close(ends[0]);
    close(ends[1]);
    marline_span_end(&span);
    trace_fixture_end(&f);
}

static atomic_bool stop;

static void *keep_tracing(void *user)
{
    while (!atomic_load(&stop)) {
        one_span(user, "function.busy");
    }
    return NULL;
}

static void given_threads_that_trace_when_forked_again_and_again_then_children_trace(void **state)
{
    (void)state;
    skip_fork_under_sanitizers();
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    pthread_t threads[2];
    atomic_store(&stop, false);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, keep_tracing, f.tracer), 0);
    }
    for (int round = 0; round < 30; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            alarm(20);
            one_span(f.tracer, "function.child");
            bool ok = marline_provider_force_flush(f.provider, FLUSH_MS) == MARLINE_OK &&
                      marline_memory_exporter_count(f.memory) == 1;
            _exit(ok ? 0 : 1);
        }
        assert_int_equal(exit_status(pid), 0);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    trace_fixture_end(&f);
}

static void given_kept_connection_when_forked_then_child_opens_its_own(void **state)
{
    (void)state;
    skip_fork_under_sanitizers();
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, "Connection: close\r\n", NULL}};
    struct http_peer *peer = http_peer_start(script, 1);
    marline_platform_exporter_options options = {
        .size = sizeof options, .base_url = http_peer_url(peer), .api_key = "k"};
    marline_exporter exporter;
    assert_int_equal(marline_exporter_platform_create(&options, &exporter, NULL), MARLINE_OK);
    marline_provider *provider = NULL;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, NULL, NULL),
                     MARLINE_OK);
    marline_tracer *tracer = marline_tracer_get(provider, "t", NULL);
    one_span(tracer, "function.parent");
    assert_int_equal(marline_provider_force_flush(provider, FLUSH_MS), MARLINE_OK);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        one_span(tracer, "function.child");
        bool ok = marline_provider_shutdown(provider, FLUSH_MS) == MARLINE_OK;
        marline_provider_destroy(provider);
        _exit(ok ? 0 : 1);
    }
    assert_int_equal(exit_status(pid), 0);
    one_span(tracer, "function.parent");
    assert_int_equal(marline_provider_shutdown(provider, FLUSH_MS), MARLINE_OK);
    assert_delivery(provider, 2, 0);
    assert_int_equal(http_peer_request_count(peer), 3);
    assert_non_null(strstr(http_peer_body(peer, 1), "function.child"));
    marline_provider_destroy(provider);
    http_peer_stop(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_waiting_spans_when_forked_then_only_the_parent_exports_them),
        cmocka_unit_test(given_fork_when_both_draw_ids_then_they_differ_CTX_03),
        cmocka_unit_test(given_threads_that_trace_when_forked_again_and_again_then_children_trace),
        cmocka_unit_test(given_kept_connection_when_forked_then_child_opens_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
