/* Messages of the testing channel: exact texts both ways, and what a faulty peer may send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "wire/connector_message.h"
#include "wire/json_reader.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct decoded {
    struct connector_message message;
    struct buffer scratch;
    char reason[DECODE_REASON_SIZE];
    enum decode_status status;
};

static void decode(struct decoded *d, const char *text)
{
    *d = (struct decoded){.scratch = BUFFER_INIT};
    d->status =
        marline__message_decode(marline__slice_text(text), &d->scratch, &d->message, d->reason);
}

static void assert_slice(struct slice s, const char *expected)
{
    if (!marline__slice_is(s, expected) || (!s.data != !expected)) {
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(s), expected ? expected : "(null)");
    }
}

/* Each text is canonical: what it decodes to encodes to the same bytes. */
static const char *const golden[] = {
    "{\"type\":\"connected\",\"status\":\"success\"}",
    "{\"type\":\"connected\",\"status\":\"success\",\"connection_id\":"
    "\"5f0c9d2be1f24d77a4a1c2f0b7d3e611\",\"organization_id\":"
    "\"22222222-2222-4222-8222-222222222222\",\"user_id\":"
    "\"33333333-3333-4333-8333-333333333333\"}",
    "{\"type\":\"connected\",\"status\":\"success\",\"connection_id\":\"c\",\"capabilities\":"
    "[\"result_ack\",\"cancel\",\"drain\",\"trace_context\",\"deadline\",\"attempt\","
    "\"span_count\",\"in_flight\",\"limits\"],\"limits\":{\"rate_per_second\":50,"
    "\"message_size_max\":1048576,\"idle_timeout_ms\":300000}}",
    "{\"type\":\"register\",\"project_id\":\"11111111-1111-4111-8111-111111111111\","
    "\"environment\":\"development\",\"sdk_version\":\"0.4.2\",\"functions\":[{\"name\":"
    "\"answer\",\"parameters\":{\"input\":{\"type\":\"str\",\"default\":null}},\"return_type\":"
    "\"dict\",\"metadata\":{\"description\":\"demo\"}}],\"metrics\":[{\"name\":\"brevity\"}]}",
    "{\"type\":\"register\",\"project_id\":null,\"environment\":null,\"sdk_version\":\"0.4.2\","
    "\"functions\":[],\"metrics\":[]}",
    "{\"type\":\"register\",\"project_id\":\"p\",\"environment\":\"local\",\"sdk_version\":"
    "\"1\",\"functions\":[],\"metrics\":[],\"capabilities\":[\"drain\",\"in_flight\"],"
    "\"agent_id\":\"a-1\",\"concurrency\":4,\"in_flight\":[\"invoke_1\"]}",
    "{\"type\":\"registered\",\"status\":\"success\",\"sync_stats\":{\"created\":1,\"updated\":0,"
    "\"marked_inactive\":0,\"errors\":[]}}",
    "{\"type\":\"registered\",\"status\":\"success\",\"sync_stats\":{},\"connection_id\":\"c\"}",
    "{\"type\":\"registered\",\"status\":\"error\",\"sync_stats\":{},\"errors\":[{\"function\":"
    "\"f\",\"error\":\"e\"}],\"message\":\"Endpoint sync failed for 1 function(s)\"}",
    "{\"type\":\"registered\",\"status\":\"error\",\"error\":\"Project x not found or not "
    "accessible\"}",
    "{\"type\":\"execute_test\",\"test_run_id\":\"invoke_0a1b2c3d4e5f\",\"function_name\":"
    "\"answer\",\"inputs\":{\"input\":\"hi\",\"_rhesis_test_context\":{\"test_run_id\":"
    "\"aaaaaaaa-0000-4000-8000-000000000001\",\"test_id\":"
    "\"aaaaaaaa-0000-4000-8000-000000000002\",\"test_configuration_id\":"
    "\"aaaaaaaa-0000-4000-8000-000000000003\",\"test_result_id\":null},"
    "\"_rhesis_conversation_context\":{\"mapped_input\":\"hi\"}},\"parameters\":{},"
    "\"parameter_version\":null,\"parameter_experiment_id\":null,\"parameter_source\":null,"
    "\"parameter_source_environment\":null,\"parameter_schema\":null}",
    "{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\",\"inputs\":{},"
    "\"parameters\":{\"t\":{\"type\":\"number\",\"value\":0.10}},\"parameter_version\":\"3\","
    "\"parameter_experiment_id\":\"e\",\"parameter_source\":\"version\","
    "\"parameter_source_environment\":\"staging\",\"parameter_schema\":{\"fields\":[]},"
    "\"headers\":{\"traceparent\":\"tp\",\"tracestate\":\"ts\",\"baggage\":\"b\","
    "\"event_type\":\"et\",\"correlation_id\":\"ci\",\"service\":\"s\",\"trace_mode\":\"link\"},"
    "\"deadline_ms\":1500}",
    "{\"type\":\"test_result\",\"test_run_id\":\"invoke_0a1b2c3d4e5f\",\"status\":\"success\","
    "\"output\":{\"output\":\"HI\"},\"error\":null,\"duration_ms\":4.1,\"trace_id\":"
    "\"85094a4cbcd769b66394d2829bd934b9\"}",
    "{\"type\":\"test_result\",\"test_run_id\":\"i\",\"status\":\"error\",\"output\":null,"
    "\"error\":\"boom\",\"duration_ms\":0.0,\"trace_id\":null,\"span_count\":12}",
    "{\"type\":\"execute_metric\",\"metric_run_id\":\"m\",\"metric_name\":\"brevity\",\"inputs\":"
    "{\"input\":\"a\",\"output\":\"b\"}}",
    "{\"type\":\"metric_result\",\"metric_run_id\":\"m\",\"status\":\"success\",\"score\":0.5,"
    "\"details\":{\"why\":\"short\"},\"error\":null,\"duration_ms\":1.0}",
    "{\"type\":\"metric_result\",\"metric_run_id\":\"m\",\"status\":\"error\",\"score\":null,"
    "\"details\":{},\"error\":\"no\",\"duration_ms\":1.0}",
    "{\"type\":\"ping\"}",
    "{\"type\":\"pong\"}",
    "{\"type\":\"error\",\"detail\":\"Message too large (max 1048576 bytes)\"}",
    "{\"type\":\"result_ack\",\"test_run_id\":\"i\"}",
    "{\"type\":\"cancel\",\"test_run_id\":\"i\",\"reason\":\"timeout\"}",
    "{\"type\":\"cancel\",\"test_run_id\":\"i\"}",
    "{\"type\":\"drain\"}",
};

static void given_golden_texts_when_decoded_and_encoded_then_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        struct decoded d;
        struct buffer out = BUFFER_INIT;
        decode(&d, golden[i]);
        if (d.status != DECODE_OK || d.message.type == MESSAGE_UNKNOWN) {
            fail_msg("%s: %s", golden[i], d.reason);
        }
        marline__message_encode(&d.message, &out);
        assert_string_equal(out.data, golden[i]);
        marline__buffer_deinit(&out);
        marline__buffer_deinit(&d.scratch);
    }
}

static void given_texts_cut_at_every_offset_when_decoded_then_invalid_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden); i++) {
        for (size_t size = 0; size < strlen(golden[i]); size++) {
            struct buffer scratch = BUFFER_INIT;
            struct connector_message m;
            assert_int_equal(
                marline__message_decode((struct slice){golden[i], size}, &scratch, &m, NULL),
                DECODE_INVALID_JSON);
            marline__buffer_deinit(&scratch);
        }
    }
}

static void given_connected_when_decoded_then_identity_capabilities_and_limits(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"organization_id\": null, \"user_id\":\"\", \"connection_id\":\"c\","
               "\"capabilities\":[\"cancel\",\"new one\",7,\"limits\"],"
               "\"limits\":{\"rate_per_second\":50,\"message_size_max\":-1,"
               "\"idle_timeout_ms\":\"x\"},\"type\":\"connected\"}");
    assert_int_equal(d.status, DECODE_OK);
    assert_int_equal(d.message.type, MESSAGE_CONNECTED);
    assert_slice(d.message.connected.connection_id, "c");
    assert_slice(d.message.connected.organization_id, NULL);
    assert_slice(d.message.connected.user_id, "");
    assert_int_equal(d.message.connected.capabilities, CAPABILITY_CANCEL | CAPABILITY_LIMITS);
    assert_int_equal(d.message.connected.rate_per_second, 50);
    assert_int_equal(d.message.connected.message_size_max, 0);
    assert_int_equal(d.message.connected.idle_timeout_ms, 0);
    marline__buffer_deinit(&d.scratch);
}

static void given_escaped_strings_when_decoded_then_borrowed_from_stable_scratch(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"test\\u005fresult\",\"test_run_id\":\"i\\n\\u0000x\",\"status\":"
               "\"success\",\"output\":\"caf\\u00e9\",\"error\":\"\\ud83d\\ude00\","
               "\"duration_ms\":1,\"trace_id\":\"plain\"}");
    assert_int_equal(d.status, DECODE_OK);
    assert_int_equal(d.message.type, MESSAGE_TEST_RESULT);
    assert_true(marline__slice_equal(d.message.test_result.invocation_id, SLICE("i\n\0x")));
    assert_slice(d.message.test_result.output, "\"caf\\u00e9\"");
    assert_slice(d.message.test_result.error, "\xf0\x9f\x98\x80");
    assert_slice(d.message.test_result.trace_id, "plain");
    assert_slice(d.message.type_name, "test_result");
    marline__buffer_deinit(&d.scratch);
}

static void given_execute_test_when_decoded_then_reserved_keys_are_read(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\","
               "\"inputs\":{\"_rhesis_disable_tracing\":1,\"x\":{\"_rhesis_test_context\":7},"
               "\"_rhesis_test_context\":{\"test_run_id\":\"r\",\"test_id\":\"t\","
               "\"test_configuration_id\":null,\"test_result_id\":5,\"attempt\":2},"
               "\"_rhesis_conversation_context\":{\"conversation_id\":\"c\",\"trace_id\":null,"
               "\"mapped_input\":\"m\"}}}");
    const struct message_execute_test *m = &d.message.execute_test;
    assert_int_equal(d.status, DECODE_OK);
    assert_true(m->disable_tracing);
    assert_true(m->test.present);
    assert_slice(m->test.test_run_id, "r");
    assert_slice(m->test.test_id, "t");
    assert_slice(m->test.test_configuration_id, NULL);
    assert_slice(m->test.test_result_id, NULL);
    assert_int_equal(m->test.attempt, 2);
    assert_true(m->conversation.present);
    assert_slice(m->conversation.conversation_id, "c");
    assert_slice(m->conversation.trace_id, NULL);
    assert_slice(m->conversation.mapped_input, "m");
    marline__buffer_deinit(&d.scratch);
}

static void given_disable_tracing_values_when_decoded_then_as_python_truth(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool truth;
    } vectors[] = {
        {"true", true}, {"false", false}, {"null", false}, {"0", false},        {"0.0", false},
        {"-1", true},   {"NaN", true},    {"1e999", true}, {"\"\"", false},     {"\"no\"", true},
        {"[]", false},  {"[0]", true},    {"{}", false},   {"{\"a\":0}", true},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct decoded d;
        struct buffer text = BUFFER_INIT;
        marline__buffer_append_format(&text,
                                      "{\"type\":\"execute_test\",\"test_run_id\":\"i\","
                                      "\"function_name\":\"f\",\"inputs\":"
                                      "{\"_rhesis_disable_tracing\":%s}}",
                                      vectors[i].value);
        decode(&d, text.data);
        assert_int_equal(d.status, DECODE_OK);
        assert_int_equal(d.message.execute_test.disable_tracing, vectors[i].truth);
        marline__buffer_deinit(&text);
        marline__buffer_deinit(&d.scratch);
    }
}

static void given_old_parameter_names_when_decoded_then_todays(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\","
               "\"inputs\":{},\"parameters\":null,\"parameter_source\":\"label\","
               "\"parameter_source_label\":\"prod\"}");
    assert_int_equal(d.status, DECODE_OK);
    assert_slice(d.message.execute_test.parameter_source, "environment");
    assert_slice(d.message.execute_test.parameter_source_environment, "prod");
    assert_slice(d.message.execute_test.parameters, NULL);
    marline__buffer_deinit(&d.scratch);
}

static void given_non_finite_tokens_when_decoded_then_survived(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"test_result\",\"test_run_id\":\"i\",\"status\":\"success\","
               "\"output\":[NaN,-Infinity],\"duration_ms\":NaN}");
    assert_int_equal(d.status, DECODE_OK);
    assert_slice(d.message.test_result.output, "[NaN,-Infinity]");
    assert_true(d.message.test_result.duration_ms == 0);
    marline__buffer_deinit(&d.scratch);
}

static void given_faulty_members_when_decoded_then_reason_and_what_could_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } vectors[] = {
        {"{\"type\":\"register\",\"functions\":[]}", "sdk_version is missing"},
        {"{\"type\":\"register\",\"sdk_version\":\"1\"}", "functions is missing"},
        {"{\"type\":\"register\",\"sdk_version\":\"1\",\"functions\":{}}",
         "functions must be an array"},
        {"{\"type\":\"register\",\"sdk_version\":null,\"functions\":[]}", "sdk_version is missing"},
        {"{\"type\":\"register\",\"sdk_version\":\"1\",\"functions\":[],\"project_id\":7}",
         "project_id must be a string"},
        {"{\"type\":\"execute_test\",\"function_name\":\"f\",\"inputs\":{}}",
         "test_run_id is missing"},
        {"{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"inputs\":{}}",
         "function_name is missing"},
        {"{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\"}",
         "inputs is missing"},
        {"{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\","
         "\"inputs\":[]}",
         "inputs must be an object"},
        {"{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\",\"inputs\":"
         "{\"_rhesis_test_context\":\"x\"}}",
         "_rhesis_test_context must be an object"},
        {"{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\",\"inputs\":"
         "{},\"parameter_source\":\"elsewhere\"}",
         "parameter_source must be environment, experiment_id or version"},
        {"{\"type\":\"test_result\"}", "test_run_id is missing"},
        {"{\"type\":\"test_result\",\"test_run_id\":\"i\",\"duration_ms\":\"1\"}",
         "duration_ms must be a number"},
        {"{\"type\":\"execute_metric\",\"metric_run_id\":\"m\",\"inputs\":{}}",
         "metric_name is missing"},
        {"{\"type\":\"metric_result\",\"details\":{}}", "metric_run_id is missing"},
        {"{\"type\":\"result_ack\"}", "test_run_id is missing"},
        {"{\"type\":\"cancel\",\"test_run_id\":[]}", "test_run_id must be a string"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct decoded d;
        decode(&d, vectors[i].text);
        assert_int_equal(d.status, DECODE_INVALID);
        assert_int_not_equal(d.message.type, MESSAGE_UNKNOWN);
        assert_string_equal(d.reason, vectors[i].reason);
        marline__buffer_deinit(&d.scratch);
    }
    struct decoded d;
    decode(&d, "{\"type\":\"execute_test\",\"inputs\":5,\"test_run_id\":\"i\"}");
    assert_int_equal(d.status, DECODE_INVALID);
    assert_slice(d.message.execute_test.invocation_id, "i");
    marline__buffer_deinit(&d.scratch);
}

static void given_register_without_required_members_when_decoded_then_flags_say_so(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"register\",\"project_id\":\"p\",\"functions\":[]}");
    assert_int_equal(d.status, DECODE_INVALID);
    assert_slice(d.message.registration.project_id, "p");
    assert_true(d.message.registration.has_functions);
    assert_false(d.message.registration.has_sdk_version);
    marline__buffer_deinit(&d.scratch);
}

static void given_extensions_of_wrong_type_when_decoded_then_absent(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"execute_test\",\"test_run_id\":\"i\",\"function_name\":\"f\","
               "\"inputs\":{},\"headers\":[],\"deadline_ms\":1.5}");
    assert_int_equal(d.status, DECODE_OK);
    assert_int_equal(d.message.execute_test.deadline_ms, 0);
    assert_slice(d.message.execute_test.headers.traceparent, NULL);
    decode(&d, "{\"type\":\"register\",\"sdk_version\":\"1\",\"functions\":[],\"capabilities\":"
               "\"all\",\"agent_id\":1,\"concurrency\":4294967296,\"in_flight\":\"i\"}");
    assert_int_equal(d.status, DECODE_OK);
    assert_int_equal(d.message.registration.capabilities, 0);
    assert_slice(d.message.registration.agent_id, NULL);
    assert_int_equal(d.message.registration.concurrency, 0);
    assert_slice(d.message.registration.in_flight, NULL);
    marline__buffer_deinit(&d.scratch);
}

static void given_unknown_or_missing_type_when_decoded_then_unknown(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}", "{\"type\":null}", "{\"type\":5}",
                                        "{\"type\":\"hello\",\"x\":1}",
                                        "{\"type\":\"ping\",\"type\":1}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct decoded d;
        decode(&d, texts[i]);
        assert_int_equal(d.status, DECODE_OK);
        assert_int_equal(d.message.type, MESSAGE_UNKNOWN);
    }
    struct decoded d;
    decode(&d, texts[3]);
    assert_slice(d.message.type_name, "hello");
}

static void given_no_object_when_decoded_then_told_apart_from_no_json(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "[1]");
    assert_int_equal(d.status, DECODE_NOT_OBJECT);
    decode(&d, "\"ping\"");
    assert_int_equal(d.status, DECODE_NOT_OBJECT);
    decode(&d, "ping");
    assert_int_equal(d.status, DECODE_INVALID_JSON);
    decode(&d, "{\"type\":\"ping\"} x");
    assert_int_equal(d.status, DECODE_INVALID_JSON);
    decode(&d, "");
    assert_int_equal(d.status, DECODE_INVALID_JSON);
}

static void given_status_values_when_decoded_then_only_error_is_an_error(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"test_result\",\"test_run_id\":\"i\",\"status\":\"weird\"}");
    assert_true(d.message.test_result.success);
    decode(&d, "{\"type\":\"test_result\",\"test_run_id\":\"i\"}");
    assert_true(d.message.test_result.success);
    decode(&d, "{\"type\":\"test_result\",\"test_run_id\":\"i\",\"status\":\"error\"}");
    assert_false(d.message.test_result.success);
    decode(&d, "{\"type\":\"registered\"}");
    assert_true(d.message.registered.success);
}

static void given_registered_with_message_only_when_decoded_then_error_text(void **state)
{
    (void)state;
    struct decoded d;
    decode(&d, "{\"type\":\"registered\",\"status\":\"error\",\"message\":\"m\"}");
    assert_slice(d.message.registered.error, "m");
    decode(&d, "{\"type\":\"registered\",\"status\":\"error\",\"message\":\"m\",\"error\":\"e\"}");
    assert_slice(d.message.registered.error, "e");
    decode(&d, "{\"type\":\"registered\",\"status\":\"error\",\"error\":\"e\",\"message\":\"m\"}");
    assert_slice(d.message.registered.error, "e");
}

static void given_inputs_when_stripped_then_only_the_three_keys_go(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    assert_true(marline__message_strip_inputs(
        SLICE("{ \"a\" : 1.0 ,\"_rhesis_test_context\":{\"x\":[]},\"_rhesis_other\":2,"
              "\"_rhesis_conversation\\u005fcontext\":{},\"_rhesis_disable_tracing\":true,"
              "\"k\\n\":\"caf\\u00e9\"}"),
        &out));
    assert_string_equal(out.data, "{\"a\":1.0,\"_rhesis_other\":2,\"k\\n\":\"caf\\u00e9\"}");
    marline__buffer_clear(&out);
    assert_true(marline__message_strip_inputs(SLICE("{}"), &out));
    assert_string_equal(out.data, "{}");
    assert_false(marline__message_strip_inputs(SLICE("[]"), &out));
    marline__buffer_deinit(&out);
}

static void given_user_inputs_when_dispatched_then_platform_keys_are_replaced(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct message_test_context test = {.present = true,
                                        .test_run_id = SLICE("r"),
                                        .test_id = SLICE("t"),
                                        .test_configuration_id = SLICE("c"),
                                        .attempt = 3};
    struct message_conversation_context conversation = {.present = true,
                                                        .mapped_input = SLICE("hi")};
    assert_true(marline__message_inputs(
        SLICE("{\"input\":\"hi\",\"_rhesis_test_context\":{},\"_rhesis_x\":1,"
              "\"\\u005frhesis_y\":2}"),
        &test, &conversation, &out));
    assert_string_equal(out.data,
                        "{\"input\":\"hi\",\"_rhesis_test_context\":{\"test_run_id\":\"r\","
                        "\"test_id\":\"t\",\"test_configuration_id\":\"c\",\"test_result_id\":"
                        "null,\"attempt\":3},\"_rhesis_conversation_context\":"
                        "{\"mapped_input\":\"hi\"}}");
    marline__buffer_clear(&out);
    assert_true(marline__message_inputs(SLICE_EMPTY, NULL, NULL, &out));
    assert_string_equal(out.data, "{}");
    marline__buffer_deinit(&out);
}

static void given_functions_when_walked_then_each_entry_and_its_faults(void **state)
{
    (void)state;
    static const struct slice functions = SLICE_INIT(
        "[ {\"name\":\"a\\n\",\"parameters\":{\"x\":{}},\"return_type\":\"dict\",\"metadata\":"
        "{\"k\":[1]}} , {\"name\":\"b\"},7,{\"name\":null},{\"name\":\"z\"} ]");
    struct buffer scratch = BUFFER_INIT;
    char reason[DECODE_REASON_SIZE];
    struct message_function f;
    size_t position = 0;
    assert_true(marline__message_next_function(functions, &position, &f, &scratch, reason));
    assert_slice(f.name, "a\n");
    assert_slice(f.parameters, "{\"x\":{}}");
    assert_slice(f.return_type, "dict");
    assert_slice(f.metadata, "{\"k\":[1]}");
    assert_true(marline__message_next_function(functions, &position, &f, &scratch, reason));
    assert_slice(f.name, "b");
    assert_slice(f.parameters, NULL);
    assert_false(marline__message_next_function(functions, &position, &f, &scratch, reason));
    assert_string_equal(reason, "function must be an object");
    assert_false(marline__message_next_function(functions, &position, &f, &scratch, reason));
    assert_string_equal(reason, "name is missing");
    assert_true(marline__message_next_function(functions, &position, &f, &scratch, reason));
    assert_slice(f.name, "z");
    assert_false(marline__message_next_function(functions, &position, &f, &scratch, reason));
    assert_string_equal(reason, "");
    position = 0;
    assert_false(marline__message_next_function(SLICE("[]"), &position, &f, &scratch, reason));
    assert_string_equal(reason, "");
    marline__buffer_deinit(&scratch);
}

static void given_function_when_encoded_then_all_four_members(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct message_function f = {.name = SLICE("answer")};
    marline__message_encode_function(&f, &out);
    assert_string_equal(out.data, "{\"name\":\"answer\",\"parameters\":{},\"return_type\":\"Any\","
                                  "\"metadata\":{}}");
    marline__buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_golden_texts_when_decoded_and_encoded_then_same_bytes),
        cmocka_unit_test(given_texts_cut_at_every_offset_when_decoded_then_invalid_json),
        cmocka_unit_test(given_connected_when_decoded_then_identity_capabilities_and_limits),
        cmocka_unit_test(given_escaped_strings_when_decoded_then_borrowed_from_stable_scratch),
        cmocka_unit_test(given_execute_test_when_decoded_then_reserved_keys_are_read),
        cmocka_unit_test(given_disable_tracing_values_when_decoded_then_as_python_truth),
        cmocka_unit_test(given_old_parameter_names_when_decoded_then_todays),
        cmocka_unit_test(given_non_finite_tokens_when_decoded_then_survived),
        cmocka_unit_test(given_faulty_members_when_decoded_then_reason_and_what_could_be_read),
        cmocka_unit_test(given_register_without_required_members_when_decoded_then_flags_say_so),
        cmocka_unit_test(given_extensions_of_wrong_type_when_decoded_then_absent),
        cmocka_unit_test(given_unknown_or_missing_type_when_decoded_then_unknown),
        cmocka_unit_test(given_no_object_when_decoded_then_told_apart_from_no_json),
        cmocka_unit_test(given_status_values_when_decoded_then_only_error_is_an_error),
        cmocka_unit_test(given_registered_with_message_only_when_decoded_then_error_text),
        cmocka_unit_test(given_inputs_when_stripped_then_only_the_three_keys_go),
        cmocka_unit_test(given_user_inputs_when_dispatched_then_platform_keys_are_replaced),
        cmocka_unit_test(given_functions_when_walked_then_each_entry_and_its_faults),
        cmocka_unit_test(given_function_when_encoded_then_all_four_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
