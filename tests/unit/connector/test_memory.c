/* Every allocation of the connector refused in turn: nothing crashes, nothing leaks, and an
 * invocation that was taken still gets a result when there is memory for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "connector/invocation.h"
#include "connector/session.h"
#include "connector/span_text.h"
#include "support/failing_memory.h"
#include <marline/client.h>

enum { SWEEP_MAX = 2000 };

/* Runs a scenario once for each of its allocations, that one refused. */
static void sweep(void (*scenario)(void))
{
    size_t n = 0;
    bool failed = true;
    while (failed) {
        assert_in_range(++n, 1, SWEEP_MAX);
        failing_memory_install(n);
        scenario();
        failed = failing_memory_has_failed();
        size_t alive = failing_memory_alive();
        failing_memory_remove();
        if (alive != 0) {
            fail_msg("%zu block(s) leak when allocation %zu is refused", alive, n);
        }
    }
    assert_in_range(n, 2, SWEEP_MAX); /* the scenario allocates at all */
}

/* ---- session ---- */

static bool find_endpoint(void *user, struct slice name, struct session_endpoint *out)
{
    (void)user;
    *out = (struct session_endpoint){.key = 1, .timeout_ms = 1000};
    return marline__slice_is(name, "f");
}

static void write_registration(void *user, struct buffer *functions, struct buffer *metrics)
{
    (void)user;
    marline__buffer_append_text(functions, "[]");
    marline__buffer_append_text(metrics, "[]");
}

static const struct session_host host = {.find_endpoint = find_endpoint,
                                         .write_registration = write_registration};

static uint64_t now;

/* Performs what the session wants; a handler returns at once. */
static void pump(struct session *s)
{
    struct session_action action;
    struct slice text;
    while (marline__session_next_action(s, now, &action)) {
        if (action.type == SESSION_INVOKE) {
            struct session_job *job = action.job;
            const struct message_test_result result = {.invocation_id = job->test.invocation_id,
                                                       .success = true,
                                                       .output = SLICE("{\"output\":\"x\"}"),
                                                       .span_count = 2};
            marline__session_finished(s, now, &result);
            marline__session_job_free(job);
        }
    }
    for (int i = 0; i < 8 && marline__session_next_text(s, now, &text); i++) {
        (void)marline__session_written(s, now);
        now += NS_PER_S;
    }
}

static void receive(struct session *s, const char *text)
{
    marline__session_text(s, now, marline__slice_text(text));
    pump(s);
}

static void run_session(void)
{
    const struct session_options options = {.project_id = SLICE("p"),
                                            .environment = SLICE("development"),
                                            .agent_id = SLICE("a"),
                                            .sdk_version = SLICE("0"),
                                            .concurrency = 2,
                                            .queue_max = 2,
                                            .backoff_first_ns = NS_PER_S,
                                            .backoff_max_ns = NS_PER_S};
    now = 1000 * NS_PER_S;
    struct session *s = marline__session_create(&options, &host);
    if (!s) {
        return;
    }
    marline__session_start(s, now);
    pump(s);
    marline__session_opened(s, now);
    receive(s, "{\"type\":\"connected\",\"status\":\"success\",\"capabilities\":"
               "[\"result_ack\",\"span_count\",\"in_flight\",\"limits\"]}");
    receive(s, "{\"type\":\"registered\",\"status\":\"success\"}");
    receive(s, "{\"type\":\"execute_test\",\"test_run_id\":\"a\\u0062\",\"function_name\":\"f\","
               "\"inputs\":{\"_rhesis_test_context\":{\"test_run_id\":\"r\"}}}");
    receive(s, "{\"type\":\"execute_test\",\"test_run_id\":\"c\",\"function_name\":\"nix\","
               "\"inputs\":{}}");
    receive(s, "{\"type\":\"execute_metric\",\"metric_run_id\":\"m\",\"metric_name\":\"nix\","
               "\"inputs\":{}}");
    marline__session_closed(s, now, 0, 1006, false, SLICE_EMPTY);
    now += 10 * NS_PER_S;
    marline__session_tick(s, now);
    marline__session_stop(s, now, 0);
    pump(s);
    marline__session_destroy(s);
}

static void given_session_when_any_allocation_fails_then_no_crash_and_no_leak(void **state)
{
    (void)state;
    sweep(run_session);
}

/* ---- invocation ---- */

static marline_status handler(marline_call *call, void *user)
{
    (void)user;
    (void)marline_input_json(call, "name");
    (void)marline_inputs_json(call);
    (void)marline_call_parameters_json(call);
    return marline_output_format(call, "Hello, %s!", marline_input_text(call, "name", "you"));
}

static void run_invocation(void)
{
    static const char request[] =
        "{\"type\":\"execute_test\",\"test_run_id\":\"a\",\"function_name\":\"f\",\"inputs\":"
        "{\"name\":\"\\u00e4\",\"_rhesis_test_context\":{\"test_run_id\":\"r\",\"test_id\":\"t\","
        "\"test_configuration_id\":\"c\"}},\"parameters\":{\"p\":1}}";
    static const marline_parameter parameter = {"name", "str", NULL};
    const marline_endpoint endpoint = {.size = sizeof endpoint,
                                       .name = "f",
                                       .handler = handler,
                                       .parameters = &parameter,
                                       .parameter_count = 1};
    struct registry registry;
    struct buffer text = BUFFER_INIT;
    marline__registry_init(&registry);
    if (marline__registry_add(&registry, &endpoint, NULL) == MARLINE_OK) {
        struct session_job *job = marline__session_job_create(SLICE(request));
        struct endpoint *found = marline__registry_find(&registry, SLICE("f"));
        struct invocation *i = NULL;
        if (job) {
            i = marline__invocation_create(job, found);
        } else {
            marline__endpoint_unref(found);
        }
        if (i) {
            struct session_trace trace;
            struct message_test_result result;
            uint32_t count;
            marline__invocation_run(i, NULL);
            marline__invocation_result(i, &trace, &result);
            assert_true(result.success || result.error.size > 0);
            marline__span_text_arguments(marline__buffer_slice(&i->call.inputs), &text, &count);
        }
        marline__invocation_destroy(i);
    }
    marline__registry_write(&registry, &text);
    marline__buffer_deinit(&text);
    marline__registry_deinit(&registry);
}

static void given_invocation_when_any_allocation_fails_then_result_or_error(void **state)
{
    (void)state;
    sweep(run_invocation);
}

/* ---- client ---- */

static void make_client(void)
{
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    options.base_url = "http://127.0.0.1:1/x";
    options.api_key = "k";
    options.project_id = "11111111-1111-4111-8111-111111111111";
    options.outbox_path = "unused.db";
    options.tls_ca_file = "ca.pem";
    marline_client *client = NULL;
    marline_error error = {MARLINE_OK, ""};
    marline_status status = marline_client_create(&options, &client, &error);
    assert_true(status == MARLINE_OK || status == MARLINE_ENOMEM);
    assert_int_equal(error.code, status);
    marline_client_destroy(client);
}

static void given_client_when_any_allocation_fails_then_out_of_memory(void **state)
{
    (void)state;
    sweep(make_client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_session_when_any_allocation_fails_then_no_crash_and_no_leak),
        cmocka_unit_test(given_invocation_when_any_allocation_fails_then_result_or_error),
        cmocka_unit_test(given_client_when_any_allocation_fails_then_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
