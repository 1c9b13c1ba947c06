/* The tracing channel, served: reading traces back, compression, OTLP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/backend_fixture.h"

static const char llm_trace[] =
    "{\"spans\":[{\"trace_id\":\"000000000000000000000000000000aa\",\"span_id\":"
    "\"00000000000000a1\",\"span_name\":\"function.ask\",\"environment\":\"staging\","
    "\"start_time\":\"2026-01-01T00:00:00Z\",\"end_time\":\"2026-01-01T00:00:12.3Z\"},"
    "{\"trace_id\":\"000000000000000000000000000000aa\",\"span_id\":\"00000000000000a2\","
    "\"parent_span_id\":\"00000000000000a1\",\"span_name\":\"ai.llm.invoke\","
    "\"start_time\":\"2026-01-01T00:00:01Z\",\"end_time\":\"2026-01-01T00:00:02Z\","
    "\"status_code\":\"ERROR\",\"status_message\":\"boom\",\"links\":[{\"trace_id\":"
    "\"0123456789abcdef0123456789abcdef\",\"span_id\":\"0123456789abcdef\"}],"
    "\"attributes\":{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"gpt-4o\","
    "\"ai.llm.tokens.input\":100,\"ai.llm.tokens.output\":50}}]}";

static void given_trace_when_read_then_list_detail_and_metrics_show_it(void **state)
{
    struct backend_process *b = *state;
    struct backend_answer answer;
    backend_expect(b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    backend_expect(b, "POST", "/telemetry/traces", llm_trace, 200, "\"span_count\":2");
    backend_expect(b, "GET", "/telemetry/traces", NULL, 200,
                   "\"total\":2,\"limit\":100,\"offset\":0}");
    backend_expect(b, "GET", "/telemetry/traces?environment=staging&limit=1", NULL, 200,
                   "\"root_operation\":\"function.ask\"");
    backend_expect(b, "GET", "/telemetry/traces?search=BOOM", NULL, 200, "\"total\":1");
    backend_expect(b, "GET", "/telemetry/traces?search=%27%20OR%201%3D1%20--", NULL, 200,
                   "\"total\":0");
    backend_request(
        b, "GET", "/telemetry/traces/000000000000000000000000000000aa?project_id=" BACKEND_PROJECT,
        NULL, NULL, &answer);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body.data, "\"type\":\"slow_span\""));
    assert_non_null(strstr(answer.body.data, "\"models_used\":[\"gpt-4o\"]"));
    assert_non_null(strstr(answer.body.data, "\"total_cost_usd\":0.00075"));
    assert_non_null(strstr(answer.body.data, "\"cut_by_window\":false"));
    backend_answer_deinit(&answer);
    backend_expect(
        b, "GET", "/telemetry/traces/0123456789abcdef0123456789abcdef?project_id=" BACKEND_PROJECT,
        NULL, 200, "\"linked_from\":[{\"trace_id\":\"000000000000000000000000000000aa\"");
    backend_expect(b, "GET", "/telemetry/metrics?project_id=" BACKEND_PROJECT, NULL, 200,
                   "\"total_spans\":3");
    backend_expect(b, "GET", "/mock/links/0123456789abcdef0123456789abcdef", NULL, 200,
                   "\"verdict\":\"no_context\"");
}

static void given_bad_trace_queries_when_sent_then_the_documented_answers(void **state)
{
    struct backend_process *b = *state;
    static const char trace[] = "/telemetry/traces/0123456789abcdef0123456789abcdef";
    char path[160];
    backend_expect(b, "GET", "/telemetry/traces?limit=0", NULL, 422,
                   "\"loc\":[\"query\",\"limit\"]");
    backend_expect(b, "GET", "/telemetry/traces?limit=1001", NULL, 422, "limit");
    backend_expect(b, "GET", "/telemetry/traces?offset=x", NULL, 422, "offset");
    backend_expect(b, "GET", "/telemetry/traces?test_run_id=x", NULL, 500,
                   "An unexpected error occurred.");
    backend_expect(b, "GET", "/telemetry/traces?project_id=x", NULL, 400,
                   "Invalid project_id format");
    backend_expect(b, "GET", "/telemetry/traces?project_id=" BACKEND_UNKNOWN, NULL, 403,
                   "not a member");
    backend_expect(b, "GET", "/telemetry/traces?status_code=BAD", NULL, 422, "status_code");
    backend_expect(b, "GET", trace, NULL, 422, "Field required");
    (void)snprintf(path, sizeof(path), "%s?project_id=%s", trace, BACKEND_PROJECT);
    backend_expect(b, "GET", path, NULL, 404,
                   "{\"detail\":\"Trace 0123456789abcdef0123456789abcdef not found\"}");
    backend_expect(b, "GET", "/mock/links/zz", NULL, 404, "Trace zz not found");
}

static void post_encoded(const struct backend_process *b, const char *encoding, const void *data,
                         size_t size, const char *expected)
{
    char headers[256];
    (void)snprintf(headers, sizeof(headers), "Authorization: Bearer %s\r\nContent-Encoding: %s\r\n",
                   b->api_key, encoding);
    backend_expect_raw(b, "POST /telemetry/traces", headers, data, size,
                       (const char *const[]){expected, NULL});
}

static void given_compressed_bodies_when_posted_then_decoded_or_refused_SRV_13_SRV_17(void **state)
{
    struct backend_process *b = *state;
    static const uint8_t empty_list[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
                                         0x02, 0x03, 0xab, 0x56, 0x2a, 0x2e, 0x48, 0xcc,
                                         0x2b, 0x56, 0xb2, 0x8a, 0x8e, 0xad, 0x05, 0x00,
                                         0x57, 0x4b, 0x81, 0x32, 0x0c, 0x00, 0x00, 0x00};
    post_encoded(b, "GZIP", empty_list, sizeof(empty_list), "too_short");
    post_encoded(b, "gzip", empty_list, sizeof(empty_list) - 9, "HTTP/1.1 400");
    post_encoded(b, "gzip", "{\"spans\":[]}", 12, "The body is no valid gzip");
    post_encoded(b, "identity", "{\"spans\":[]}", 12, "too_short");
    post_encoded(b, "br", "x", 1, "HTTP/1.1 415");
}

static const char otlp_json[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":"
    "{\"stringValue\":\"shop\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"s\"},\"spans\":["
    "{\"traceId\":\"000000000000000000000000000000bb\",\"spanId\":\"00000000000000b1\","
    "\"name\":\"GET /cart\",\"kind\":2,\"startTimeUnixNano\":\"1767225600000000000\","
    "\"endTimeUnixNano\":\"1767225601000000000\"},"
    "{\"traceId\":\"00000000000000000000000000000000\",\"spanId\":\"00000000000000b2\","
    "\"name\":\"zero\",\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":\"2\"}]}]}]}";

static void
given_otlp_when_posted_then_stored_and_answered_in_its_own_type_SRV_02_SRV_15_SRV_18(void **state)
{
    struct backend_process *b = *state;
    static const char accepted[] = "{\"partialSuccess\":{\"rejectedSpans\":\"1\"";
    char key[256];
    char headers[512];
    backend_expect(b, "POST", "/v1/traces", otlp_json, 200, accepted);
    backend_expect(b, "POST", "/telemetry/traces", otlp_json, 200, accepted);
    backend_expect(b, "POST", "/v1/traces", "{}", 200, "{}");
    backend_expect(b, "GET", "/mock/ledger", NULL, 200,
                   "{\"received\":4,\"stored\":1,\"rejected\":2,\"duplicate\":1");
    backend_expect(b, "GET",
                   "/telemetry/traces/000000000000000000000000000000bb?project_id=" BACKEND_PROJECT,
                   NULL, 200, "\"span_name\":\"GET /cart\",\"span_kind\":\"SERVER\"");
    (void)snprintf(key, sizeof(key), "Authorization: Bearer %s\r\n", b->api_key);
    (void)snprintf(headers, sizeof(headers), "%sContent-Type: application/x-protobuf\r\n", key);
    backend_expect_raw(b, "POST /v1/traces", headers, "", 0,
                       (const char *const[]){"HTTP/1.1 200", "Content-Type: application/x-protobuf",
                                             "Content-Length: 0", NULL});
    backend_expect_raw(
        b, "POST /v1/traces", headers, "\xff\xff", 2,
        (const char *const[]){"HTTP/1.1 400", "Content-Type: application/x-protobuf", NULL});
}

static void given_bad_otlp_when_posted_then_a_status_names_the_cause_SRV_05_SRV_14(void **state)
{
    struct backend_process *b = *state;
    static const char json_type[] = "Content-Type: application/json; charset=utf-8\r\n";
    char key[256];
    (void)snprintf(key, sizeof(key), "Authorization: Bearer %s\r\n", b->api_key);
    backend_expect(b, "POST", "/v1/traces", "{", 400, "\"code\":3");
    backend_expect(b, "GET", "/v1/nope", NULL, 404, "\"code\":5"); /* SRV-10 */
    backend_expect_raw(
        b, "POST /v1/traces", json_type, "{}", 2,
        (const char *const[]){"HTTP/1.1 401", "\"code\":16", "Not authenticated", NULL});
    backend_expect_raw(b, "POST /v1/traces", key, "{}", 2, /* SRV-12 */
                       (const char *const[]){"HTTP/1.1 415", "Content-Type: application/json",
                                             "\"code\":12", NULL});
    backend_expect_raw(b, "GET /v1/traces", key, "", 0, /* SRV-11 */
                       (const char *const[]){"HTTP/1.1 405", "Allow: POST", "\"code\":12", NULL});
}

static void given_anonymous_project_when_otlp_comes_without_key_then_it_is_stored(void **state)
{
    (void)state;
    struct backend_process b;
    backend_process_start(&b, (const char *const[]){"--store", "sqlite::memory:",
                                                    "--otlp-anonymous", BACKEND_PROJECT, NULL});
    backend_expect_raw(&b, "POST /v1/traces", "Content-Type: application/json\r\n", otlp_json,
                       sizeof(otlp_json) - 1, (const char *const[]){"HTTP/1.1 200", NULL});
    backend_expect_raw(&b, "POST /v1/traces",
                       "Content-Type: application/json\r\nAuthorization: Bearer rh-x\r\n", "{}", 2,
                       (const char *const[]){"HTTP/1.1 401", NULL});
    backend_expect(&b, "GET", "/mock/ledger", NULL, 200, "\"stored\":1");
    assert_int_equal(backend_process_stop(&b), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BACKEND_TEST(given_trace_when_read_then_list_detail_and_metrics_show_it),
        BACKEND_TEST(given_bad_trace_queries_when_sent_then_the_documented_answers),
        BACKEND_TEST(given_compressed_bodies_when_posted_then_decoded_or_refused_SRV_13_SRV_17),
        BACKEND_TEST(
            given_otlp_when_posted_then_stored_and_answered_in_its_own_type_SRV_02_SRV_15_SRV_18),
        BACKEND_TEST(given_bad_otlp_when_posted_then_a_status_names_the_cause_SRV_05_SRV_14),
        cmocka_unit_test(given_anonymous_project_when_otlp_comes_without_key_then_it_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
