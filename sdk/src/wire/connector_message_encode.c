/* Encoding of the testing channel's messages; see connector_message.h. Members stand in the order
 * in which the platform's own programs write them. */
#include "wire/connector_message.h"

#include <assert.h>

#include "wire/json_reader.h"
#include "wire/json_writer.h"

/* A NULL string is null. */
static void member_nullable(struct json_writer *w, const char *key, struct slice value)
{
    if (value.data) {
        marline__json_member_string(w, key, value);
    } else {
        marline__json_member_null(w, key);
    }
}

static void member_optional(struct json_writer *w, const char *key, struct slice value)
{
    if (value.data) {
        marline__json_member_string(w, key, value);
    }
}

static void member_raw_or(struct json_writer *w, const char *key, struct slice json,
                          const char *otherwise)
{
    marline__json_member_raw(w, key, json.size > 0 ? json : marline__slice_text(otherwise));
}

static void member_raw_optional(struct json_writer *w, const char *key, struct slice json)
{
    if (json.size > 0) {
        marline__json_member_raw(w, key, json);
    }
}

static void member_count(struct json_writer *w, const char *key, uint32_t value)
{
    if (value > 0) {
        marline__json_member_int(w, key, value);
    }
}

static void member_status(struct json_writer *w, bool success)
{
    marline__json_member_text(w, "status", success ? "success" : "error");
}

static void member_capabilities(struct json_writer *w, uint32_t capabilities)
{
    if (capabilities == 0) {
        return;
    }
    marline__json_key(w, "capabilities");
    marline__json_begin_array(w);
    for (size_t i = 0; marline__capability_name(i); i++) {
        if (capabilities & 1u << i) {
            marline__json_text(w, marline__capability_name(i));
        }
    }
    marline__json_end_array(w);
}

static void encode_connected(struct json_writer *w, const struct message_connected *m)
{
    member_status(w, true);
    member_optional(w, "connection_id", m->connection_id);
    member_optional(w, "organization_id", m->organization_id);
    member_optional(w, "user_id", m->user_id);
    member_capabilities(w, m->capabilities);
    if (m->rate_per_second > 0 || m->message_size_max > 0 || m->idle_timeout_ms > 0) {
        marline__json_key(w, "limits");
        marline__json_begin_object(w);
        member_count(w, "rate_per_second", m->rate_per_second);
        member_count(w, "message_size_max", m->message_size_max);
        member_count(w, "idle_timeout_ms", m->idle_timeout_ms);
        marline__json_end_object(w);
    }
}

static void encode_register(struct json_writer *w, const struct message_register *m)
{
    member_nullable(w, "project_id", m->project_id);
    member_nullable(w, "environment", m->environment);
    marline__json_member_string(w, "sdk_version", m->sdk_version);
    member_raw_or(w, "functions", m->functions, "[]");
    member_raw_or(w, "metrics", m->metrics, "[]");
    member_capabilities(w, m->capabilities);
    member_optional(w, "agent_id", m->agent_id);
    member_count(w, "concurrency", m->concurrency);
    member_raw_optional(w, "in_flight", m->in_flight);
}

/* A refusal carries `error`; a registration that failed in part lists the `errors` and sums them
 * up in `message` (§2.5). */
static void encode_registered(struct json_writer *w, const struct message_registered *m)
{
    member_status(w, m->success);
    member_raw_optional(w, "sync_stats", m->sync_stats);
    member_raw_optional(w, "errors", m->errors);
    member_optional(w, m->errors.size > 0 ? "message" : "error", m->error);
    member_optional(w, "connection_id", m->connection_id);
}

static void encode_headers(struct json_writer *w, const struct message_headers *h)
{
    if (!h->traceparent.data && !h->tracestate.data && !h->baggage.data && !h->event_type.data &&
        !h->correlation_id.data && !h->service.data && !h->trace_mode.data) {
        return;
    }
    marline__json_key(w, "headers");
    marline__json_begin_object(w);
    member_optional(w, "traceparent", h->traceparent);
    member_optional(w, "tracestate", h->tracestate);
    member_optional(w, "baggage", h->baggage);
    member_optional(w, "event_type", h->event_type);
    member_optional(w, "correlation_id", h->correlation_id);
    member_optional(w, "service", h->service);
    member_optional(w, "trace_mode", h->trace_mode);
    marline__json_end_object(w);
}

static void encode_execute_test(struct json_writer *w, const struct message_execute_test *m)
{
    marline__json_member_string(w, "test_run_id", m->invocation_id);
    marline__json_member_string(w, "function_name", m->function_name);
    member_raw_or(w, "inputs", m->inputs, "{}");
    member_raw_or(w, "parameters", m->parameters, "{}");
    member_nullable(w, "parameter_version", m->parameter_version);
    member_nullable(w, "parameter_experiment_id", m->parameter_experiment_id);
    member_nullable(w, "parameter_source", m->parameter_source);
    member_nullable(w, "parameter_source_environment", m->parameter_source_environment);
    marline__json_member_raw(w, "parameter_schema", m->parameter_schema);
    encode_headers(w, &m->headers);
    member_count(w, "deadline_ms", m->deadline_ms);
}

static void encode_test_result(struct json_writer *w, const struct message_test_result *m)
{
    marline__json_member_string(w, "test_run_id", m->invocation_id);
    member_status(w, m->success);
    marline__json_member_raw(w, "output", m->output);
    member_nullable(w, "error", m->error);
    marline__json_member_double(w, "duration_ms", m->duration_ms);
    member_nullable(w, "trace_id", m->trace_id);
    member_count(w, "span_count", m->span_count);
}

static void encode_execute_metric(struct json_writer *w, const struct message_execute_metric *m)
{
    marline__json_member_string(w, "metric_run_id", m->metric_run_id);
    marline__json_member_string(w, "metric_name", m->metric_name);
    member_raw_or(w, "inputs", m->inputs, "{}");
}

static void encode_metric_result(struct json_writer *w, const struct message_metric_result *m)
{
    marline__json_member_string(w, "metric_run_id", m->metric_run_id);
    member_status(w, m->success);
    marline__json_member_raw(w, "score", m->score);
    member_raw_or(w, "details", m->details, "{}");
    member_nullable(w, "error", m->error);
    marline__json_member_double(w, "duration_ms", m->duration_ms);
}

static void encode_members(struct json_writer *w, const struct connector_message *m)
{
    switch (m->type) {
    case MESSAGE_CONNECTED:
        encode_connected(w, &m->connected);
        break;
    case MESSAGE_REGISTER:
        encode_register(w, &m->registration);
        break;
    case MESSAGE_REGISTERED:
        encode_registered(w, &m->registered);
        break;
    case MESSAGE_EXECUTE_TEST:
        encode_execute_test(w, &m->execute_test);
        break;
    case MESSAGE_TEST_RESULT:
        encode_test_result(w, &m->test_result);
        break;
    case MESSAGE_EXECUTE_METRIC:
        encode_execute_metric(w, &m->execute_metric);
        break;
    case MESSAGE_METRIC_RESULT:
        encode_metric_result(w, &m->metric_result);
        break;
    case MESSAGE_ERROR:
        marline__json_member_string(w, "detail", m->error.detail);
        break;
    case MESSAGE_RESULT_ACK:
        marline__json_member_string(w, "test_run_id", m->result_ack.invocation_id);
        member_optional(w, "reason", m->result_ack.reason);
        break;
    case MESSAGE_CANCEL:
        marline__json_member_string(w, "test_run_id", m->cancel.invocation_id);
        member_optional(w, "reason", m->cancel.reason);
        break;
    case MESSAGE_PING:
    case MESSAGE_PONG:
    case MESSAGE_DRAIN:
    case MESSAGE_UNKNOWN:
        break;
    }
}

void marline__message_encode(const struct connector_message *message, struct buffer *out)
{
    struct json_writer w;
    assert(message->type != MESSAGE_UNKNOWN);
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "type", marline__message_type_name(message->type));
    encode_members(&w, message);
    marline__json_end_object(&w);
}

void marline__message_encode_function(const struct message_function *function, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_string(&w, "name", function->name);
    member_raw_or(&w, "parameters", function->parameters, "{}");
    marline__json_member_string(&w, "return_type",
                                function->return_type.data ? function->return_type : SLICE("Any"));
    member_raw_or(&w, "metadata", function->metadata, "{}");
    marline__json_end_object(&w);
}

/* ---- inputs and their reserved keys ---- */

static bool is_reserved_key(struct slice raw_key)
{
    return marline__json_key_is(raw_key, "_rhesis_disable_tracing") ||
           marline__json_key_is(raw_key, "_rhesis_test_context") ||
           marline__json_key_is(raw_key, "_rhesis_conversation_context");
}

static bool is_platform_key(struct slice raw_key)
{
    return marline__json_key_starts(raw_key, "_rhesis_");
}

/* Writes the members whose key is not left out into the object that is open, bytes unchanged. */
static bool copy_members(struct slice object, bool (*leave_out)(struct slice raw_key),
                         struct json_writer *w)
{
    struct json_reader r;
    struct slice raw_key;
    struct slice value;
    marline__json_reader_init(&r, object, JSON_ALLOW_NON_FINITE);
    if (!marline__json_enter_object(&r)) {
        return false;
    }
    while (marline__json_next_member(&r, &raw_key)) {
        if (marline__json_skip(&r, &value) && !leave_out(raw_key)) {
            marline__json_key_raw(w, raw_key);
            marline__json_raw(w, value);
        }
    }
    return marline__json_finish(&r);
}

bool marline__message_strip_inputs(struct slice inputs, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    bool good = copy_members(inputs, is_reserved_key, &w);
    marline__json_end_object(&w);
    return good && !out->failed;
}

static void encode_test_context(struct json_writer *w, const struct message_test_context *test)
{
    marline__json_key(w, "_rhesis_test_context");
    marline__json_begin_object(w);
    member_nullable(w, "test_run_id", test->test_run_id);
    member_nullable(w, "test_id", test->test_id);
    member_nullable(w, "test_configuration_id", test->test_configuration_id);
    member_nullable(w, "test_result_id", test->test_result_id);
    member_count(w, "attempt", test->attempt);
    marline__json_end_object(w);
}

static void encode_conversation(struct json_writer *w,
                                const struct message_conversation_context *conversation)
{
    marline__json_key(w, "_rhesis_conversation_context");
    marline__json_begin_object(w);
    member_optional(w, "conversation_id", conversation->conversation_id);
    member_optional(w, "trace_id", conversation->trace_id);
    member_optional(w, "mapped_input", conversation->mapped_input);
    marline__json_end_object(w);
}

bool marline__message_inputs(struct slice user_inputs, const struct message_test_context *test,
                             const struct message_conversation_context *conversation,
                             struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    bool good = user_inputs.size == 0 || copy_members(user_inputs, is_platform_key, &w);
    if (test && test->present) {
        encode_test_context(&w, test);
    }
    if (conversation && conversation->present) {
        encode_conversation(&w, conversation);
    }
    marline__json_end_object(&w);
    return good && !out->failed;
}
