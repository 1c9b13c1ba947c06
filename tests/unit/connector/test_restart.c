/* A client with an outbox over restarts and kill -9, against a scripted backend that acknowledges.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../support/frame_server.h"
#include <marline/marline.h>

enum { LONG_MS = 10000 };

struct rig {
    struct frame_server server;
    char folder[64];
    char outbox[96];
    struct buffer text;
    int calls; /* of the handler, in this process; between stop and start */
};

static marline_status count(marline_call *call, void *user)
{
    ++*(int *)user;
    return marline_output_text(call, "x");
}

static marline_status hang(marline_call *call, void *user)
{
    (void)user;
    while (!marline_call_is_canceled(call)) {
        (void)pause();
    }
    return MARLINE_ECANCELED;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    frame_server_start(&rig->server);
    (void)snprintf(rig->folder, sizeof rig->folder, "restart-XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->outbox, sizeof rig->outbox, "%s/outbox.db", rig->folder);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < 4; i++) {
        char file[128];
        (void)snprintf(file, sizeof file, "%s%s", rig->outbox, suffixes[i]);
        (void)unlink(file);
    }
    assert_int_equal(rmdir(rig->folder), 0);
    frame_server_stop(&rig->server);
    marline__buffer_deinit(&rig->text);
    free(rig);
    return 0;
}

static marline_client *start_client(struct rig *rig, marline_provider *provider)
{
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    options.base_url = rig->server.url;
    options.api_key = "rh-key";
    options.project_id = "11111111-1111-4111-8111-111111111111";
    options.outbox_path = rig->outbox;
    options.provider = provider;
    marline_client *client = NULL;
    marline_error error = {MARLINE_OK, ""};
    if (marline_client_create(&options, &client, &error) != MARLINE_OK) {
        fail_msg("%s", error.text);
    }
    const marline_endpoint counted = {
        .size = sizeof counted, .name = "count", .handler = count, .user = &rig->calls};
    const marline_endpoint hanging = {.size = sizeof hanging, .name = "hang", .handler = hang};
    assert_int_equal(marline_client_add_endpoint(client, &counted, NULL), MARLINE_OK);
    assert_int_equal(marline_client_add_endpoint(client, &hanging, NULL), MARLINE_OK);
    if (marline_client_start(client, &error) != MARLINE_OK) {
        fail_msg("%s", error.text);
    }
    return client;
}

static void serve_registration(struct rig *rig)
{
    frame_server_accept_open(&rig->server);
    frame_server_send_text(&rig->server,
                           "{\"type\":\"connected\",\"status\":\"success\",\"capabilities\":"
                           "[\"result_ack\",\"in_flight\",\"limits\"]}");
    /* One that waited in vain for what was just said registers twice, at first without them. */
    while (!strstr(frame_server_read_text(&rig->server, &rig->text), "\"capabilities\"")) {
    }
    frame_server_send_text(&rig->server, "{\"type\":\"registered\",\"status\":\"success\"}");
}

static void invoke(struct rig *rig, const char *id, const char *function)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"execute_test\",\"test_run_id\":\"%s\",\"function_name\":\"%s\","
                   "\"inputs\":{\"_rhesis_test_context\":{\"test_run_id\":\"run-1\",\"test_id\":"
                   "\"test-1\",\"test_configuration_id\":\"configuration-1\"}}}",
                   id, function);
    frame_server_send_text(&rig->server, text);
}

static const char *read_text(struct rig *rig)
{
    return frame_server_read_text(&rig->server, &rig->text);
}

static void acknowledge(struct rig *rig, const char *id)
{
    char text[128];
    (void)snprintf(text, sizeof text, "{\"type\":\"result_ack\",\"test_run_id\":\"%s\"}", id);
    frame_server_send_text(&rig->server, text);
}

/* All that the client was sent before is worked through when this returns. */
static void settle(struct rig *rig)
{
    frame_server_send_text(&rig->server, "{\"type\":\"ping\"}");
    assert_string_equal(read_text(rig), "{\"type\":\"pong\"}");
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("'%s' is not in '%s'", part, text);
    }
}

static void
given_unacknowledged_result_when_restarted_then_sent_again_and_not_executed(void **state)
{
    struct rig *rig = *state;
    marline_client *client = start_client(rig, NULL);
    serve_registration(rig);
    invoke(rig, "a", "count");
    assert_has(read_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\"");
    frame_server_drop(&rig->server); /* no acknowledgement */
    marline_client_destroy(client);
    client = start_client(rig, NULL);
    serve_registration(rig);
    assert_has(read_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\"");
    acknowledge(rig, "a");
    settle(rig);
    marline_client_destroy(client);
    client = start_client(rig, NULL);
    serve_registration(rig);
    settle(rig); /* nothing is sent by itself any more */
    invoke(rig, "a", "count");
    assert_has(read_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\"");
    marline_client_destroy(client);
    assert_int_equal(rig->calls, 1);
}

/* In a process of its own: runs a client until it is killed. */
static pid_t start_agent(struct rig *rig)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)start_client(rig, NULL);
        for (;;) {
            (void)pause();
        }
    }
    return child;
}

static void kill_agent(pid_t child)
{
    int status;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void given_running_invocation_when_killed_then_reported_with_its_span(void **state)
{
    struct rig *rig = *state;
    pid_t child = start_agent(rig);
    serve_registration(rig);
    invoke(rig, "a", "hang");
    settle(rig); /* the invocation was taken before */
    kill_agent(child);

    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    marline_provider *provider;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_simple_processor(provider, &exporter, NULL), MARLINE_OK);
    marline_client *client = start_client(rig, provider);
    serve_registration(rig);
    const char *result = read_text(rig);
    assert_has(result, "\"test_run_id\":\"a\",\"status\":\"error\"");
    assert_has(result, "\"error\":\"agent restarted: ");
    assert_int_equal(marline_memory_exporter_count(memory), 1);
    const marline_span_data *span = marline_memory_exporter_span(memory, 0);
    assert_memory_equal(span->name.data, "function.hang", 13);
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_ERROR);
    assert_true(span->end_unix_ns > span->start_unix_ns);
    assert_memory_equal(span->attributes[0].key.data, "rhesis.test.run_id", 18);
    assert_memory_equal(span->attributes[0].value.as.string.data, "run-1", 5);
    invoke(rig, "a", "hang"); /* a repeat is not executed */
    acknowledge(rig, "a");
    settle(rig);
    marline_client_destroy(client);
    marline_provider_destroy(provider);
}

static void given_stored_result_when_killed_then_delivered_by_the_next_process(void **state)
{
    struct rig *rig = *state;
    pid_t child = start_agent(rig);
    serve_registration(rig);
    invoke(rig, "a", "count");
    assert_has(read_text(rig), "\"success\"");
    kill_agent(child);
    marline_client *client = start_client(rig, NULL);
    serve_registration(rig);
    assert_has(read_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\"");
    acknowledge(rig, "a");
    settle(rig);
    marline_client_destroy(client);
    assert_int_equal(rig->calls, 0); /* executed by the other process alone */
}

static marline_provider *start_provider(marline_memory_exporter **out_memory)
{
    marline_exporter exporter;
    marline_provider *provider;
    *out_memory = marline_memory_exporter_create(&exporter);
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_simple_processor(provider, &exporter, NULL), MARLINE_OK);
    return provider;
}

/* A process that traces, and takes its spans with it when it dies. */
static pid_t start_tracing_agent(struct rig *rig)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        marline_memory_exporter *memory;
        (void)start_client(rig, start_provider(&memory));
        for (;;) {
            (void)pause();
        }
    }
    return child;
}

/* Starts a client, lets it work through the outbox, and counts the spans that it makes of it; the
 * first is checked against the result. */
static size_t spans_of_restart(struct rig *rig, const char *result, bool is_owed)
{
    marline_memory_exporter *memory;
    char trace_id[MARLINE_TRACE_ID_TEXT_SIZE] = "";
    marline_provider *provider = start_provider(&memory);
    marline_client *client = start_client(rig, provider);
    serve_registration(rig);
    if (is_owed) {
        assert_has(read_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\"");
        acknowledge(rig, "a");
    }
    settle(rig);
    size_t count = marline_memory_exporter_count(memory);
    const marline_span_data *span = marline_memory_exporter_span(memory, 0);
    for (size_t i = 0; span && i < 16; i++) {
        (void)snprintf(trace_id + 2 * i, 3, "%02x", span->trace_id[i]);
    }
    if (span) {
        assert_memory_equal(span->name.data, "function.count", 14);
        assert_int_equal(span->status, MARLINE_SPAN_STATUS_OK);
        assert_memory_equal(span->attributes[0].value.as.string.data, "run-1", 5);
        assert_has(result, trace_id);
        assert_true(span->end_unix_ns >= span->start_unix_ns);
    }
    marline_client_destroy(client);
    marline_provider_destroy(provider);
    return count;
}

static void
given_result_when_killed_before_its_span_was_exported_then_span_recorded_again(void **state)
{
    struct rig *rig = *state;
    char result[1024];
    pid_t child = start_tracing_agent(rig);
    serve_registration(rig);
    invoke(rig, "a", "count");
    (void)snprintf(result, sizeof result, "%s", read_text(rig));
    kill_agent(child);
    assert_int_equal(spans_of_restart(rig, result, true), 1);
    assert_int_equal(spans_of_restart(rig, result, false), 0); /* that end was orderly */
}

static void find_letter(void *user, const marline_dead_letter *letter)
{
    assert_string_equal(letter->invocation_id, "a");
    assert_string_equal(letter->reason, "Function 'late' not found in registry");
    assert_int_equal(strlen(letter->traceparent), 55);
    *(int64_t *)user = letter->number;
}

static void given_dead_letter_when_retried_then_executed_in_the_trace_of_its_failure(void **state)
{
    struct rig *rig = *state;
    marline_exporter exporter;
    marline_memory_exporter *memory = marline_memory_exporter_create(&exporter);
    marline_provider *provider;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    assert_int_equal(marline_provider_add_simple_processor(provider, &exporter, NULL), MARLINE_OK);
    marline_client *client = start_client(rig, provider);
    serve_registration(rig);
    invoke(rig, "a", "late");
    assert_has(read_text(rig), "not found in registry");
    acknowledge(rig, "a");
    settle(rig);
    int64_t number = 0;
    assert_int_equal(marline_dead_letters_list(rig->outbox, find_letter, &number, NULL),
                     MARLINE_OK);
    marline_error error;
    assert_int_equal(marline_client_retry_dead_letter(client, number + 1, &error),
                     MARLINE_ENOTFOUND);
    const marline_endpoint late = {
        .size = sizeof late, .name = "late", .handler = count, .user = &rig->calls};
    assert_int_equal(marline_client_add_endpoint(client, &late, NULL), MARLINE_OK);
    (void)read_text(rig); /* the registration */
    assert_int_equal(marline_client_retry_dead_letter(client, number, &error), MARLINE_OK);
    assert_has(read_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\"");
    acknowledge(rig, "a");
    settle(rig);
    marline_client_destroy(client);
    assert_int_equal(rig->calls, 1);
    const marline_span_data *failure = marline_memory_exporter_span(memory, 0);
    const marline_span_data *retry = marline_memory_exporter_span(memory, 1);
    assert_int_equal(failure->status, MARLINE_SPAN_STATUS_ERROR);
    assert_memory_equal(retry->trace_id, failure->trace_id, 16);
    assert_memory_equal(retry->parent_span_id, failure->span_id, 8);
    assert_int_equal(retry->link_count, 1);
    assert_memory_equal(retry->links[0].span_id, failure->span_id, 8);
    marline_provider_destroy(provider);
}

/* Whoever retries at once is not told that the refused invocation is still at work. */
static void given_refusal_on_its_way_when_retried_then_executed_once_acknowledged(void **state)
{
    struct rig *rig = *state;
    marline_client *client = start_client(rig, NULL);
    serve_registration(rig);
    invoke(rig, "a", "late");
    assert_has(read_text(rig), "not found in registry");
    const marline_endpoint late = {
        .size = sizeof late, .name = "late", .handler = count, .user = &rig->calls};
    assert_int_equal(marline_client_add_endpoint(client, &late, NULL), MARLINE_OK);
    (void)read_text(rig); /* the registration */
    assert_int_equal(marline_client_retry_dead_letter(client, 1, NULL), MARLINE_OK);
    settle(rig);
    acknowledge(rig, "a");
    assert_has(read_text(rig), "\"test_run_id\":\"a\",\"status\":\"success\"");
    acknowledge(rig, "a");
    settle(rig);
    marline_client_destroy(client);
    assert_int_equal(rig->calls, 1);
}

static void given_outbox_in_use_when_started_then_refused(void **state)
{
    struct rig *rig = *state;
    marline_client *client = start_client(rig, NULL);
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    options.base_url = rig->server.url;
    options.api_key = "rh-key";
    options.project_id = "11111111-1111-4111-8111-111111111111";
    options.outbox_path = rig->outbox;
    marline_client *second;
    marline_error error;
    assert_int_equal(marline_client_create(&options, &second, NULL), MARLINE_OK);
    assert_int_equal(marline_client_start(second, &error), MARLINE_ESTATE);
    assert_has(error.text, "in use by another process");
    marline_client_destroy(second);
    marline_client_destroy(client);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(given_unacknowledged_result_when_restarted_then_sent_again_and_not_executed),
        RIGGED(given_running_invocation_when_killed_then_reported_with_its_span),
        RIGGED(given_stored_result_when_killed_then_delivered_by_the_next_process),
        RIGGED(given_result_when_killed_before_its_span_was_exported_then_span_recorded_again),
        RIGGED(given_dead_letter_when_retried_then_executed_in_the_trace_of_its_failure),
        RIGGED(given_refusal_on_its_way_when_retried_then_executed_once_acknowledged),
        RIGGED(given_outbox_in_use_when_started_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
