/* The client over real sockets against a scripted backend: registration, invocations with their
 * spans, failures, timeouts, reconnects, and the stop. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../support/frame_server.h"
#include "connector/client_private.h"
#include <marline/marline.h>

#define PROJECT "11111111-1111-4111-8111-111111111111"
#define TEST_CONTEXT                                                                               \
    "\"_rhesis_test_context\":{\"test_run_id\":\"aaaaaaaa-0000-4000-8000-000000000001\","          \
    "\"test_id\":\"aaaaaaaa-0000-4000-8000-000000000002\","                                        \
    "\"test_configuration_id\":\"aaaaaaaa-0000-4000-8000-000000000003\",\"test_result_id\":null}"

enum { LONG_MS = 60000, HURRIED_MS = 1000, NO_TICK_MS = 3600 * 1000 };

struct rig {
    struct frame_server server;
    marline_provider *provider;
    marline_memory_exporter *memory;
    marline_client *client;
    struct buffer text;
    /* the gate at which the handler `gated` waits */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int entered;
    int left;
    bool saw_cancel;
};

/* ---- handlers ---- */

static void *work_elsewhere(void *user)
{
    marline_scope scope;
    marline_scope_enter(&scope, user);
    {
        MARLINE_OBSERVE(elsewhere, "function.elsewhere");
        (void)elsewhere;
    }
    marline_scope_leave(&scope);
    return NULL;
}

static marline_status greet(marline_call *call, void *user)
{
    (void)user;
    const char *name = marline_input_text(call, "name", "world");
    {
        MARLINE_OBSERVE(lookup, "function.lookup");
        marline_span_set_text(&lookup.span, "word", name);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work_elsewhere, marline_call_context(call)), 0);
    pthread_join(thread, NULL);
    return marline_output_format(call, "Hello, %s!", name);
}

static marline_status broken(marline_call *call, void *user)
{
    (void)user;
    return marline_fail(call, "no luck with %d", 7);
}

static marline_status gated(marline_call *call, void *user)
{
    struct rig *rig = user;
    pthread_mutex_lock(&rig->lock);
    rig->entered++;
    pthread_cond_broadcast(&rig->changed);
    while (!rig->open) {
        pthread_cond_wait(&rig->changed, &rig->lock);
    }
    rig->saw_cancel = marline_call_is_canceled(call);
    rig->left++;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
    return marline_output_text(call, "through");
}

static void gate_wait(struct rig *rig, const int *counter, int value)
{
    pthread_mutex_lock(&rig->lock);
    while (*counter < value) {
        pthread_cond_wait(&rig->changed, &rig->lock);
    }
    pthread_mutex_unlock(&rig->lock);
}

static void gate_open(struct rig *rig)
{
    pthread_mutex_lock(&rig->lock);
    rig->open = true;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

/* ---- fixture ---- */

static void add_endpoint(struct rig *rig, const char *name, marline_handler_fn handler,
                         uint32_t timeout_ms)
{
    const marline_endpoint endpoint = {.size = sizeof endpoint,
                                       .name = name,
                                       .handler = handler,
                                       .user = rig,
                                       .timeout_ms = timeout_ms};
    assert_int_equal(marline_client_add_endpoint(rig->client, &endpoint, NULL), MARLINE_OK);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->changed, NULL);
    frame_server_start(&rig->server);
    marline_exporter exporter;
    rig->memory = marline_memory_exporter_create(&exporter);
    assert_int_equal(marline_provider_create(NULL, &rig->provider, NULL), MARLINE_OK);
    const marline_batch_options batch = {.size = sizeof batch, .interval_ms = NO_TICK_MS};
    assert_int_equal(marline_provider_add_batch_processor(rig->provider, &exporter, &batch, NULL),
                     MARLINE_OK);
    marline_provider_set_global(rig->provider);
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    options.base_url = rig->server.url;
    options.api_key = "rh-key";
    options.project_id = PROJECT;
    options.provider = rig->provider;
    options.reconnect_first_ms = 1;
    options.reconnect_max_ms = 1;
    options.flush_wait_ms = LONG_MS;
    assert_int_equal(marline_client_create(&options, &rig->client, NULL), MARLINE_OK);
    add_endpoint(rig, "greet", greet, 0);
    add_endpoint(rig, "broken", broken, 0);
    add_endpoint(rig, "gated", gated, 0);
    add_endpoint(rig, "hurried", gated, HURRIED_MS);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    marline_client_destroy(rig->client);
    marline_provider_set_global(NULL);
    marline_provider_destroy(rig->provider);
    frame_server_stop(&rig->server);
    marline__buffer_deinit(&rig->text);
    pthread_cond_destroy(&rig->changed);
    pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

/* The server's side of a new connection, up to `registered`. */
static const char *serve_registration(struct rig *rig)
{
    frame_server_accept_open(&rig->server);
    frame_server_send_text(&rig->server, "{\"type\":\"connected\",\"status\":\"success\"}");
    const char *registration = frame_server_read_text(&rig->server, &rig->text);
    frame_server_send_text(&rig->server, "{\"type\":\"registered\",\"status\":\"success\"}");
    return registration;
}

static void connect_client(struct rig *rig)
{
    assert_int_equal(marline_client_start(rig->client, NULL), MARLINE_OK);
    (void)serve_registration(rig);
    assert_int_equal(marline_client_wait_registered(rig->client, LONG_MS, NULL), MARLINE_OK);
}

static void invoke(struct rig *rig, const char *id, const char *function, const char *inputs,
                   const char *more)
{
    char text[2048];
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"execute_test\",\"test_run_id\":\"%s\",\"function_name\":\"%s\","
                   "\"inputs\":{%s}%s}",
                   id, function, inputs, more);
    frame_server_send_text(&rig->server, text);
}

static const char *read_text(struct rig *rig)
{
    return frame_server_read_text(&rig->server, &rig->text);
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part)) {
        fail_msg("'%s' is not in '%s'", part, text);
    }
}

/* ---- spans ---- */

static const marline_span_data *find_span(struct rig *rig, const char *name)
{
    assert_int_equal(marline_provider_force_flush(rig->provider, LONG_MS), MARLINE_OK);
    const marline_span_data *span;
    for (size_t i = 0; (span = marline_memory_exporter_span(rig->memory, i)) != NULL; i++) {
        if (span->name.size == strlen(name) &&
            memcmp(span->name.data, name, span->name.size) == 0) {
            return span;
        }
    }
    fail_msg("no span named %s", name);
    return NULL;
}

static const marline_value *attribute(const marline_span_data *span, const char *key)
{
    for (uint32_t i = 0; i < span->attribute_count; i++) {
        const marline_attribute *a = &span->attributes[i];
        if (a->key.size == strlen(key) && memcmp(a->key.data, key, a->key.size) == 0) {
            return &a->value;
        }
    }
    return NULL;
}

static void assert_text_attribute(const marline_span_data *span, const char *key,
                                  const char *expected)
{
    const marline_value *value = attribute(span, key);
    if (!value || value->type != MARLINE_VALUE_STRING) {
        fail_msg("no text attribute %s", key);
    }
    assert_int_equal(value->as.string.size, strlen(expected));
    assert_memory_equal(value->as.string.data, expected, strlen(expected));
}

static void assert_test_attributes(const marline_span_data *span)
{
    assert_text_attribute(span, "rhesis.test.run_id", "aaaaaaaa-0000-4000-8000-000000000001");
    assert_text_attribute(span, "rhesis.test.id", "aaaaaaaa-0000-4000-8000-000000000002");
    assert_text_attribute(span, "rhesis.test.configuration_id",
                          "aaaaaaaa-0000-4000-8000-000000000003");
    assert_null(attribute(span, "rhesis.test.result_id"));
}

static void hex_of(const uint8_t *bytes, size_t size, char *out)
{
    for (size_t i = 0; i < size; i++) {
        (void)snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}

/* ---- connecting ---- */

static void given_backend_when_started_then_registers_with_headers_and_mappings(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(marline_client_start(rig->client, NULL), MARLINE_OK);
    const char *registration = serve_registration(rig);
    assert_has(registration, "{\"type\":\"register\",\"project_id\":\"" PROJECT
                             "\",\"environment\":\"development\",\"sdk_version\":\"");
    assert_has(registration, "{\"name\":\"greet\",\"parameters\":{},\"return_type\":\"dict\","
                             "\"metadata\":{\"request_mapping\":{\"input\":\"{{ input }}\"},"
                             "\"response_mapping\":{\"output\":\"$.output\"}}}");
    assert_memory_equal(rig->server.head.data, "GET /connector/ws HTTP/1.1\r\n", 28);
    assert_string_equal(frame_server_header(&rig->server, "Authorization"), "Bearer rh-key");
    assert_string_equal(frame_server_header(&rig->server, "X-Rhesis-Project"), PROJECT);
    assert_string_equal(frame_server_header(&rig->server, "X-Rhesis-Environment"), "development");
    assert_int_equal(marline_client_wait_registered(rig->client, LONG_MS, NULL), MARLINE_OK);
    assert_int_equal(marline_client_current_state(rig->client), MARLINE_CLIENT_REGISTERED);
}

static void given_project_in_upper_case_when_started_then_sent_in_lower_case(void **state)
{
    struct rig *rig = *state;
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    marline_client *client = NULL;
    options.base_url = rig->server.url;
    options.api_key = "rh-key";
    options.project_id = "ABCDEF00-0000-4000-8000-00000000000A";
    assert_int_equal(marline_client_create(&options, &client, NULL), MARLINE_OK);
    assert_int_equal(marline_client_start(client, NULL), MARLINE_OK);
    assert_has(serve_registration(rig), "\"project_id\":\"abcdef00-0000-4000-8000-00000000000a\"");
    assert_string_equal(frame_server_header(&rig->server, "X-Rhesis-Project"),
                        "abcdef00-0000-4000-8000-00000000000a");
    marline_client_destroy(client);
}

static void given_wrong_key_when_started_then_wait_says_so(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(marline_client_start(rig->client, NULL), MARLINE_OK);
    frame_server_accept(&rig->server);
    frame_server_send_line(&rig->server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    marline_error error;
    assert_int_equal(marline_client_wait_registered(rig->client, LONG_MS, &error), MARLINE_EAUTH);
    assert_has(error.text, "HTTP 403");
    assert_has(error.text, "API key");
    assert_int_equal(marline_client_current_state(rig->client), MARLINE_CLIENT_FAILED);
}

static void given_unknown_project_when_registering_then_wait_says_so(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(marline_client_start(rig->client, NULL), MARLINE_OK);
    frame_server_accept_open(&rig->server);
    frame_server_send_text(&rig->server, "{\"type\":\"connected\",\"status\":\"success\"}");
    (void)read_text(rig);
    frame_server_send_text(&rig->server, "{\"type\":\"registered\",\"status\":\"error\","
                                         "\"error\":\"Project x not found or not accessible\"}");
    marline_error error;
    assert_int_equal(marline_client_wait_registered(rig->client, LONG_MS, &error),
                     MARLINE_EREJECTED);
    assert_has(error.text, "Project x not found or not accessible");
}

static void given_nobody_listens_when_waiting_then_timeout_with_reason(void **state)
{
    struct rig *rig = *state;
    frame_server_refuse(&rig->server);
    assert_int_equal(marline_client_start(rig->client, NULL), MARLINE_OK);
    marline_error error = {MARLINE_OK, ""};
    for (int waited = 0; waited < LONG_MS && !strstr(error.text, "no connection"); waited += 50) {
        assert_int_equal(marline_client_wait_registered(rig->client, 50, &error),
                         MARLINE_ETIMEDOUT);
    }
    assert_has(error.text, "not registered within 50 ms: ");
    assert_has(error.text, "no connection");
}

static void given_endpoint_added_while_registered_then_registers_again(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    add_endpoint(rig, "late", greet, 0);
    assert_has(read_text(rig), "{\"name\":\"late\"");
    assert_int_equal(marline_client_remove_endpoint(rig->client, "late"), MARLINE_OK);
    assert_null(strstr(read_text(rig), "\"late\""));
}

/* ---- invocations ---- */

static void given_test_when_invoked_then_result_and_spans_carry_it(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "invoke_1", "greet", "\"name\":\"Ann\"," TEST_CONTEXT, "");
    const char *result = read_text(rig);
    assert_has(result, "{\"type\":\"test_result\",\"test_run_id\":\"invoke_1\","
                       "\"status\":\"success\",\"output\":{\"output\":\"Hello, Ann!\"},"
                       "\"error\":null,\"duration_ms\":");
    const marline_span_data *root = find_span(rig, "function.greet");
    char trace_id[33];
    char member[64];
    hex_of(root->trace_id, 16, trace_id);
    (void)snprintf(member, sizeof member, "\"trace_id\":\"%s\"}", trace_id);
    assert_has(result, member);
    assert_false(root->has_parent);
    assert_int_equal(root->kind, MARLINE_SPAN_KIND_INTERNAL);
    assert_int_equal(root->status, MARLINE_SPAN_STATUS_OK);
    assert_text_attribute(root, "function.name", "greet");
    assert_text_attribute(root, "function.kwargs", "{\"name\":\"Ann\"}");
    assert_text_attribute(root, "function.result", "{\"output\":\"Hello, Ann!\"}");
    assert_text_attribute(root, "function.result_preview", "{\"output\":\"Hello, Ann!\"}");
    assert_int_equal(attribute(root, "function.args_count")->as.integer, 0);
    assert_int_equal(attribute(root, "function.kwargs_count")->as.integer, 1);
    assert_test_attributes(root);
    static const char *const children[] = {"function.lookup", "function.elsewhere"};
    for (size_t i = 0; i < 2; i++) {
        const marline_span_data *child = find_span(rig, children[i]);
        assert_memory_equal(child->trace_id, root->trace_id, 16);
        assert_memory_equal(child->parent_span_id, root->span_id, 8);
        assert_test_attributes(child);
    }
    assert_int_equal(marline_memory_exporter_count(rig->memory), 3);
}

static void given_failing_handler_when_invoked_then_error_result_and_error_span(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "broken", TEST_CONTEXT, "");
    assert_has(read_text(rig), "\"status\":\"error\",\"output\":null,\"error\":\"no luck with 7\"");
    const marline_span_data *span = find_span(rig, "function.broken");
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_ERROR);
    assert_memory_equal(span->status_message.data, "handler_error: no luck with 7", 29);
    assert_text_attribute(span, "error.type", "handler_error");
    assert_null(attribute(span, "function.result_preview"));
    assert_int_equal(span->event_count, 1);
    assert_test_attributes(span);
}

static void given_wrong_input_when_invoked_then_error_names_it(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "greet", "\"name\":[1]", "");
    assert_has(read_text(rig), "\"error\":\"input 'name' must be a string, but is an array\"");
}

static void given_rubbish_and_unknown_function_then_the_rest_goes_on(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    frame_server_send_text(&rig->server, "not json");
    frame_server_send_text(&rig->server, "[]");
    frame_server_send_text(&rig->server, "{\"type\":\"execute_test\"}");
    invoke(rig, "i", "nix", "", "");
    assert_has(read_text(rig), "\"error\":\"Function 'nix' not found in registry\"");
    invoke(rig, "j", "greet", "", "");
    assert_has(read_text(rig), "Hello, world!");
}

static void given_tracing_disabled_when_invoked_then_no_spans_and_no_trace_id(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "gated", "\"_rhesis_disable_tracing\":true," TEST_CONTEXT, "");
    gate_open(rig);
    assert_has(read_text(rig), "\"trace_id\":null");
    assert_int_equal(marline_provider_force_flush(rig->provider, LONG_MS), MARLINE_OK);
    assert_int_equal(marline_memory_exporter_count(rig->memory), 0);
}

static void given_conversation_when_invoked_then_trace_goes_on_and_root_is_marked(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "greet",
           "\"_rhesis_conversation_context\":{\"conversation_id\":\"c-1\","
           "\"trace_id\":\"0AF7651916CD43DD8448EB211C80319C\",\"mapped_input\":\"hi\"}",
           "");
    assert_has(read_text(rig), "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"");
    const marline_span_data *root = find_span(rig, "function.greet");
    assert_true(root->has_parent);
    assert_memory_equal(root->parent_span_id, "\x00\x00\x00\x00\xca\xfe\xca\xfe", 8);
    assert_text_attribute(root, "rhesis.conversation.id", "c-1");
    assert_text_attribute(root, "rhesis.conversation.input", "hi");
    assert_true(attribute(root, "rhesis.conversation.is_turn_root")->as.boolean);
}

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static void given_trace_context_and_test_when_invoked_then_own_trace_with_link(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "greet", TEST_CONTEXT,
           ",\"headers\":{\"traceparent\":\"" TRACEPARENT "\",\"tracestate\":\"a=1, b=2\"}");
    (void)read_text(rig);
    const marline_span_data *root = find_span(rig, "function.greet");
    assert_false(root->has_parent);
    assert_int_equal(root->trace_state.size, 0); /* a trace of its own: EM-05 */
    assert_int_equal(root->links[0].trace_state.size, sizeof "a=1,b=2" - 1);
    assert_memory_equal(root->links[0].trace_state.data, "a=1,b=2", sizeof "a=1,b=2" - 1);
    assert_int_equal(root->kind, MARLINE_SPAN_KIND_CONSUMER);
    assert_int_equal(root->link_count, 1);
    assert_memory_equal(root->links[0].span_id, "\xb7\xad\x6b\x71\x69\x20\x33\x31", 8);
    assert_memory_not_equal(root->trace_id, root->links[0].trace_id, 16);
}

static void given_trigger_asks_to_continue_when_invoked_then_child_of_the_trigger(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "greet", TEST_CONTEXT,
           ",\"headers\":{\"traceparent\":\"" TRACEPARENT "\",\"trace_mode\":\"continue\"}");
    assert_has(read_text(rig), "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"");
    const marline_span_data *root = find_span(rig, "function.greet");
    assert_true(root->parent_is_remote);
    assert_memory_equal(root->parent_span_id, "\xb7\xad\x6b\x71\x69\x20\x33\x31", 8);
    assert_int_equal(root->link_count, 0);
    assert_test_attributes(root);
}

static marline_status tell_baggage(marline_call *call, void *user)
{
    (void)user;
    marline_string tenant = {"", 0};
    bool known = marline_context_baggage(NULL, "tenant", &tenant);
    return marline_output_format(call, "tenant %s%.*s", known ? "" : "unknown", (int)tenant.size,
                                 tenant.data);
}

static void given_trace_state_and_baggage_when_invoked_then_they_go_on(void **state)
{
    struct rig *rig = *state;
    const marline_endpoint endpoint = {
        .size = sizeof endpoint, .name = "tell", .handler = tell_baggage};
    assert_int_equal(marline_client_add_endpoint(rig->client, &endpoint, NULL), MARLINE_OK);
    connect_client(rig);
    invoke(rig, "i", "tell", TEST_CONTEXT,
           ",\"headers\":{\"traceparent\":\"" TRACEPARENT "\",\"trace_mode\":\"continue\","
           "\"tracestate\":\"a=1,b=2\",\"baggage\":\"tenant=t%20one;p=1\"}");
    assert_has(read_text(rig), "tenant t one");
    const marline_span_data *root = find_span(rig, "function.tell");
    assert_int_equal(root->trace_state.size, sizeof "a=1,b=2" - 1);
    assert_memory_equal(root->trace_state.data, "a=1,b=2", sizeof "a=1,b=2" - 1);
    invoke(rig, "j", "tell", TEST_CONTEXT, ""); /* nothing of it stays */
    assert_has(read_text(rig), "tenant unknown");
}

static void given_prompt_endpoint_when_result_arrives_then_its_spans_were_exported(void **state)
{
    struct rig *rig = *state;
    const marline_endpoint endpoint = {
        .size = sizeof endpoint, .name = "prompt", .handler = greet, .flush = MARLINE_FLUSH_PROMPT};
    assert_int_equal(marline_client_add_endpoint(rig->client, &endpoint, NULL), MARLINE_OK);
    connect_client(rig);
    invoke(rig, "i", "prompt", TEST_CONTEXT, "");
    (void)read_text(rig);
    assert_int_equal(marline_memory_exporter_count(rig->memory), 3);
    invoke(rig, "j", "greet", TEST_CONTEXT, "");
    (void)read_text(rig);
    assert_int_equal(marline_memory_exporter_count(rig->memory), 3); /* with the next batch */
}

static marline_status rate(marline_call *call, void *user)
{
    (void)user;
    (void)marline_score_details_json(call, "{\"why\":\"short\"}");
    return marline_score_number(call, (double)strlen(marline_input_text(call, "output", NULL)));
}

static void given_metric_when_executed_then_score_and_details(void **state)
{
    struct rig *rig = *state;
    const marline_metric metric = {
        .size = sizeof metric, .name = "brevity", .handler = rate, .wants_context = true};
    assert_int_equal(marline_client_add_metric(rig->client, &metric, NULL), MARLINE_OK);
    assert_int_equal(marline_client_start(rig->client, NULL), MARLINE_OK);
    assert_has(serve_registration(rig),
               "\"metrics\":[{\"name\":\"brevity\",\"parameters\":[\"input\",\"output\","
               "\"context\"],\"return_type\":\"MetricResult\",\"metadata\":{\"score_type\":"
               "\"numeric\",\"description\":\"\",\"class_name\":\"brevity\"}}]");
    frame_server_send_text(&rig->server,
                           "{\"type\":\"execute_metric\",\"metric_run_id\":\"m1\","
                           "\"metric_name\":\"brevity\",\"inputs\":{\"output\":\"abc\"}}");
    assert_has(read_text(rig), "{\"type\":\"metric_result\",\"metric_run_id\":\"m1\","
                               "\"status\":\"success\",\"score\":3.0,"
                               "\"details\":{\"why\":\"short\"},\"error\":null");
    frame_server_send_text(&rig->server, "{\"type\":\"execute_metric\",\"metric_run_id\":\"m2\","
                                         "\"metric_name\":\"brevity\",\"inputs\":{}}");
    assert_has(read_text(rig), "\"error\":\"input 'output' is missing\"");
}

/* ---- time ---- */

static void given_handler_over_its_time_then_error_cancel_and_late_return_discarded(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "hurried", TEST_CONTEXT, "");
    gate_wait(rig, &rig->entered, 1);
    const char *result = read_text(rig);
    assert_has(result, "\"error\":\"timed out after 1000 ms\"");
    assert_null(strstr(result, "\"trace_id\":null"));
    const marline_span_data *span = find_span(rig, "function.hurried"); /* ended already */
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_ERROR);
    gate_open(rig);
    gate_wait(rig, &rig->left, 1);
    assert_true(rig->saw_cancel);
    invoke(rig, "j", "greet", "", "");
    assert_has(read_text(rig), "\"test_run_id\":\"j\"");
}

static void given_connection_lost_in_mid_call_then_result_on_the_next_one(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "gated", "", "");
    gate_wait(rig, &rig->entered, 1);
    frame_server_drop(&rig->server);
    gate_open(rig);
    (void)serve_registration(rig);
    assert_has(read_text(rig), "\"test_run_id\":\"i\",\"status\":\"success\"");
}

static void given_ping_while_handler_runs_then_pong(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "gated", "", "");
    gate_wait(rig, &rig->entered, 1);
    frame_server_send_frame(&rig->server, FRAME_PING, "p", 1);
    assert_int_equal(frame_server_read_frame(&rig->server, &rig->text), FRAME_PONG);
    frame_server_send_text(&rig->server, "{\"type\":\"ping\"}");
    assert_string_equal(read_text(rig), "{\"type\":\"pong\"}");
    gate_open(rig);
    assert_has(read_text(rig), "through");
}

/* ---- stopping ---- */

/* A name server that says nothing until the gate opens. */
static void find_never(void *user, const char *host, struct look_up_answer *out)
{
    struct rig *rig = user;
    (void)host;
    pthread_mutex_lock(&rig->lock);
    rig->entered++;
    pthread_cond_broadcast(&rig->changed);
    while (!rig->open) {
        pthread_cond_wait(&rig->changed, &rig->lock);
    }
    out->error = "no such name";
    rig->left++;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

static void given_silent_name_server_when_stopped_then_stops_without_its_answer(void **state)
{
    struct rig *rig = *state;
    const struct name_source names = {find_never, rig};
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    options.base_url = "ws://backend.test:1";
    options.api_key = "rh-key";
    options.project_id = PROJECT;
    marline_client *client = NULL;
    assert_int_equal(marline_client_create(&options, &client, NULL), MARLINE_OK);
    client->websocket.names = &names;
    assert_int_equal(marline_client_start(client, NULL), MARLINE_OK);
    gate_wait(rig, &rig->entered, 1);
    assert_int_equal(marline_client_stop(client, LONG_MS), MARLINE_OK);
    assert_int_equal(marline_client_current_state(client), MARLINE_CLIENT_STOPPED);
    marline_client_destroy(client);
    gate_open(rig);
    gate_wait(rig, &rig->left, 1);
}

struct stopper {
    marline_client *client;
    uint64_t within_ms;
    marline_status status;
};

static void *stop_client(void *user)
{
    struct stopper *s = user;
    s->status = marline_client_stop(s->client, s->within_ms);
    return NULL;
}

static void given_running_handler_when_stop_then_result_first_and_close_1000(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "gated", "", "");
    gate_wait(rig, &rig->entered, 1);
    struct stopper stopper = {rig->client, LONG_MS, MARLINE_EIO};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_client, &stopper), 0);
    /* refused once the stop has been heard */
    invoke(rig, "j", "greet", "", "");
    for (int n = 0; !strstr(read_text(rig), "draining"); n++) {
        assert_has(rig->text.data, "Hello");
        char id[16];
        (void)snprintf(id, sizeof id, "j%d", n);
        invoke(rig, id, "greet", "", "");
    }
    gate_open(rig);
    assert_has(read_text(rig), "\"test_run_id\":\"i\",\"status\":\"success\"");
    assert_int_equal(frame_server_read_close(&rig->server), 1000);
    frame_server_send_close(&rig->server, 1000);
    frame_server_drop(&rig->server);
    pthread_join(thread, NULL);
    assert_int_equal(stopper.status, MARLINE_OK);
    assert_int_equal(marline_client_current_state(rig->client), MARLINE_CLIENT_STOPPED);
    marline_client_statistics statistics;
    marline_client_get_statistics(rig->client, &statistics);
    assert_int_equal(statistics.connections, 1);
    assert_int_equal(statistics.refused, 1);
    assert_true(statistics.invocations >= 2);
    assert_true(statistics.results_sent == statistics.invocations);
    assert_true(statistics.last_contact_unix_ns > 0);
    assert_int_equal(statistics.running + statistics.waiting + statistics.undelivered, 0);
}

static void given_stuck_handler_when_stop_at_once_then_error_result_and_timeout(void **state)
{
    struct rig *rig = *state;
    connect_client(rig);
    invoke(rig, "i", "gated", "", "");
    gate_wait(rig, &rig->entered, 1);
    struct stopper stopper = {rig->client, 0, MARLINE_OK};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_client, &stopper), 0);
    assert_has(read_text(rig), "canceled: the agent stopped before the handler returned");
    assert_int_equal(frame_server_read_close(&rig->server), 1000);
    frame_server_send_close(&rig->server, 1000);
    frame_server_drop(&rig->server);
    pthread_join(thread, NULL);
    assert_int_equal(stopper.status, MARLINE_ETIMEDOUT);
    gate_open(rig); /* the handler returns to nobody */
    gate_wait(rig, &rig->left, 1);
    assert_true(rig->saw_cancel);
}

static void given_never_started_when_stopped_or_destroyed_then_nothing(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(marline_client_stop(rig->client, 0), MARLINE_OK);
    marline_client_destroy(NULL);
}

/* ---- options ---- */

static void given_bad_options_when_create_then_error_names_the_option(void **state)
{
    (void)state;
    static const struct {
        const char *base_url;
        const char *api_key;
        const char *project_id;
        const char *environment;
        const char *part;
    } cases[] = {
        {NULL, "k", PROJECT, NULL, "base_url"},
        {"h:1", "k", PROJECT, NULL, "base_url 'h:1'"},
        {"http://h", NULL, PROJECT, NULL, "api_key"},
        {"http://h", "", PROJECT, NULL, "api_key"},
        {"http://h", "k", NULL, NULL, "project_id"},
        {"http://h", "k", "my-project", NULL, "project_id 'my-project'"},
        {"http://h", "k", PROJECT, "prod", "environment 'prod'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
        options.base_url = cases[i].base_url;
        options.api_key = cases[i].api_key;
        options.project_id = cases[i].project_id;
        options.environment = cases[i].environment;
        marline_client *client = NULL;
        marline_error error;
        assert_int_equal(marline_client_create(&options, &client, &error), MARLINE_EINVAL);
        assert_null(client);
        assert_has(error.text, cases[i].part);
    }
}

MARLINE_ENDPOINT(declared_one, .description = "by macro")
{
    return marline_output_text(call, "declared");
}

static void given_declared_endpoint_when_added_then_served_and_added_once(void **state)
{
    struct rig *rig = *state;
    assert_int_equal(marline_endpoint_declared_count(), 1);
    assert_string_equal(marline_endpoint_declared(0)->name, "declared_one");
    assert_null(marline_endpoint_declared(1));
    assert_int_equal(marline_client_add_declared(rig->client, NULL), MARLINE_OK);
    assert_int_equal(marline_client_add_declared(rig->client, NULL), MARLINE_OK);
    connect_client(rig);
    invoke(rig, "i", "declared_one", "", "");
    assert_has(read_text(rig), "{\"output\":\"declared\"}");
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(given_backend_when_started_then_registers_with_headers_and_mappings),
        RIGGED(given_project_in_upper_case_when_started_then_sent_in_lower_case),
        RIGGED(given_wrong_key_when_started_then_wait_says_so),
        RIGGED(given_unknown_project_when_registering_then_wait_says_so),
        RIGGED(given_nobody_listens_when_waiting_then_timeout_with_reason),
        RIGGED(given_endpoint_added_while_registered_then_registers_again),
        RIGGED(given_test_when_invoked_then_result_and_spans_carry_it),
        RIGGED(given_failing_handler_when_invoked_then_error_result_and_error_span),
        RIGGED(given_wrong_input_when_invoked_then_error_names_it),
        RIGGED(given_rubbish_and_unknown_function_then_the_rest_goes_on),
        RIGGED(given_tracing_disabled_when_invoked_then_no_spans_and_no_trace_id),
        RIGGED(given_conversation_when_invoked_then_trace_goes_on_and_root_is_marked),
        RIGGED(given_trace_context_and_test_when_invoked_then_own_trace_with_link),
        RIGGED(given_trace_state_and_baggage_when_invoked_then_they_go_on),
        RIGGED(given_trigger_asks_to_continue_when_invoked_then_child_of_the_trigger),
        RIGGED(given_prompt_endpoint_when_result_arrives_then_its_spans_were_exported),
        RIGGED(given_metric_when_executed_then_score_and_details),
        RIGGED(given_handler_over_its_time_then_error_cancel_and_late_return_discarded),
        RIGGED(given_connection_lost_in_mid_call_then_result_on_the_next_one),
        RIGGED(given_ping_while_handler_runs_then_pong),
        RIGGED(given_silent_name_server_when_stopped_then_stops_without_its_answer),
        RIGGED(given_running_handler_when_stop_then_result_first_and_close_1000),
        RIGGED(given_stuck_handler_when_stop_at_once_then_error_result_and_timeout),
        RIGGED(given_never_started_when_stopped_or_destroyed_then_nothing),
        RIGGED(given_declared_endpoint_when_added_then_served_and_added_once),
        cmocka_unit_test(given_bad_options_when_create_then_error_names_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
