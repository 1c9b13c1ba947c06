/* Options of `serve` that change what is served: who may use the control routes, and prices. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
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
#include "support/http_peer.h"

/* An address of this machine that is not a loopback one; false when it has none. */
static bool find_own_address(struct sockaddr_in *out)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    assert_int_equal(getifaddrs(&all), 0);
    for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        found = i->ifa_addr && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) &&
                !(i->ifa_flags & IFF_LOOPBACK);
        if (found) {
            memcpy(out, i->ifa_addr, sizeof(*out));
        }
    }
    freeifaddrs(all);
    return found;
}

/* The status of GET /mock/ledger, asked for from that address. */
static int status_from(const struct backend_process *b, struct sockaddr_in address)
{
    char request[512];
    char answer[64] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_port = htons(b->port);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    int size = snprintf(request, sizeof(request),
                        "GET /mock/ledger HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
                        b->api_key);
    assert_int_equal(send(fd, request, (size_t)size, MSG_NOSIGNAL), size);
    assert_int_equal(recv(fd, answer, 12, MSG_WAITALL), 12); /* "HTTP/1.1 200" */
    close(fd);
    return (int)strtol(answer + 9, NULL, 10);
}

static void expect_from_own_address(const char *who, int status)
{
    struct backend_process b;
    struct sockaddr_in address;
    if (!find_own_address(&address)) {
        skip();
    }
    backend_process_start(&b, (const char *const[]){"--store", "sqlite::memory:", "--listen",
                                                    "0.0.0.0:0", "--mock-api", who, NULL});
    assert_int_equal(status_from(&b, address), status);
    assert_int_equal(backend_process_stop(&b), 0);
}

static void given_caller_elsewhere_when_control_is_for_loopback_then_403(void **state)
{
    (void)state;
    expect_from_own_address("loopback", 403);
}

static void given_caller_elsewhere_when_control_is_for_any_then_served(void **state)
{
    (void)state;
    expect_from_own_address("any", 200);
}

static void given_control_switched_off_then_404_and_the_rest_is_served(void **state)
{
    (void)state;
    struct backend_process b;
    backend_process_start(
        &b, (const char *const[]){"--store", "sqlite::memory:", "--mock-api", "off", NULL});
    backend_expect(&b, "GET", "/mock/ledger", NULL, 404, "{\"detail\":\"Not Found\"}");
    backend_expect(&b, "POST", "/telemetry/traces", backend_one_span, 200, "received");
    assert_int_equal(backend_process_stop(&b), 0);
}

static void expect_refused(const char *option, const char *value, const char *text)
{
    struct buffer error = BUFFER_INIT;
    assert_int_equal(
        backend_process_run((const char *const[]){"serve", "--listen", "127.0.0.1:0", "--store",
                                                  "sqlite::memory:", option, value, NULL},
                            &error),
        2);
    marline__buffer_append_byte(&error, '\0');
    if (!strstr(error.data, text)) {
        fail_msg("%s", error.data);
    }
    marline__buffer_deinit(&error);
}

static void given_unknown_word_for_control_then_the_known_ones_are_named(void **state)
{
    (void)state;
    expect_refused("--mock-api", "localhost", "none of loopback|any|off");
}

/* ---- prices ---- */

static const char priced_trace[] =
    "{\"spans\":[{\"trace_id\":\"000000000000000000000000000000aa\",\"span_id\":"
    "\"00000000000000a2\",\"span_name\":\"ai.llm.invoke\","
    "\"start_time\":\"2026-01-01T00:00:01Z\",\"end_time\":\"2026-01-01T00:00:02Z\","
    "\"attributes\":{\"ai.operation.type\":\"llm.invoke\",\"ai.model.name\":\"house-model\","
    "\"ai.llm.tokens.input\":100,\"ai.llm.tokens.output\":50}}]}";

static void write_prices(char path[32], const char *text)
{
    (void)snprintf(path, 32, "prices-%d.json", (int)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void given_price_file_when_its_model_is_called_then_the_trace_has_its_cost(void **state)
{
    (void)state;
    struct backend_process b;
    char path[32];
    write_prices(path, "{\"house-model\":{\"input_cost_per_token\":0.001,"
                       "\"output_cost_per_token\":0.002}}");
    backend_process_start(
        &b, (const char *const[]){"--store", "sqlite::memory:", "--price-file", path, NULL});
    backend_expect(&b, "POST", "/telemetry/traces", priced_trace, 200, "received");
    backend_expect(&b, "GET",
                   "/telemetry/traces/000000000000000000000000000000aa?project_id=" BACKEND_PROJECT,
                   NULL, 200, "\"total_cost_usd\":0.2");
    assert_int_equal(backend_process_stop(&b), 0);
    (void)unlink(path);
}

static void given_price_file_that_cannot_be_used_then_the_fix_is_named(void **state)
{
    (void)state;
    char path[32];
    expect_refused("--price-file", "no-such-file.json", "No such file");
    write_prices(path, "[1]");
    expect_refused("--price-file", path, "input_cost_per_token");
    write_prices(path, "{\"m\":");
    expect_refused("--price-file", path, "at byte 5");
    (void)unlink(path);
}

/* ---- forwarding ---- */

static const char linked_trace[] =
    "{\"spans\":[{\"trace_id\":\"000000000000000000000000000000ab\",\"span_id\":"
    "\"00000000000000a2\",\"span_name\":\"function.passed_on\",\"environment\":\"staging\","
    "\"start_time\":\"2026-01-01T00:00:01Z\",\"end_time\":\"2026-01-01T00:00:02Z\","
    "\"attributes\":{\"n\":7,\"list\":[1,\"two\"]}}]}";

static void given_second_backend_when_spans_are_forwarded_then_it_has_them_too(void **state)
{
    (void)state;
    struct backend_process first;
    struct backend_process second;
    struct backend_answer answer;
    static const char path[] =
        "/telemetry/traces/000000000000000000000000000000ab?project_id=" BACKEND_PROJECT;
    backend_process_start(&second,
                          (const char *const[]){"--store", "sqlite::memory:", "--otlp-anonymous",
                                                BACKEND_PROJECT, NULL});
    backend_process_start(&first, (const char *const[]){"--store", "sqlite::memory:",
                                                        "--forward-otlp", second.base_url, NULL});
    backend_expect(&first, "POST", "/telemetry/traces", linked_trace, 200, "received");
    backend_wait_for(&second, path, "function.passed_on", &answer);
    assert_non_null(strstr(answer.body.data, "\"environment\":\"staging\""));
    assert_non_null(strstr(answer.body.data, "\"list\":[1,\"two\"]"));
    backend_answer_deinit(&answer);
    backend_expect(&first, "GET", "/metrics", NULL, 200, "marline_forwarded_spans_total");
    assert_int_equal(backend_process_stop(&first), 0);
    assert_int_equal(backend_process_stop(&second), 0);
}

static void given_webhook_that_is_no_url_then_the_fix_is_named(void **state)
{
    (void)state;
    expect_refused("--webhook", "ftp://x", "--webhook must be an http:// or https:// URL");
}

static void given_forwarding_to_no_url_then_the_fix_is_named(void **state)
{
    (void)state;
    expect_refused("--forward-otlp", "localhost:4318", "no http:// or https:// URL");
}

/* ---- tracing itself ---- */

static void given_self_tracing_when_a_caller_sends_spans_then_its_trace_goes_on_here(void **state)
{
    (void)state;
    struct backend_process watched;
    struct backend_process collector;
    struct backend_answer answer;
    char headers[256];
    static const char path[] =
        "/telemetry/traces/4bf92f3577b34da6a3ce929d0e0e4736?project_id=" BACKEND_PROJECT;
    backend_process_start(&collector,
                          (const char *const[]){"--store", "sqlite::memory:", "--otlp-anonymous",
                                                BACKEND_PROJECT, NULL});
    backend_process_start(&watched,
                          (const char *const[]){"--store", "sqlite::memory:", "--trace-otlp",
                                                collector.base_url, NULL});
    (void)snprintf(headers, sizeof(headers),
                   "Authorization: Bearer %s\r\n"
                   "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
                   watched.api_key);
    backend_expect_raw(&watched, "POST /telemetry/traces", headers, linked_trace,
                       sizeof(linked_trace) - 1, (const char *const[]){"HTTP/1.1 200", NULL});
    backend_wait_for(&watched, "/metrics", "marline_enrichments_total 1", &answer);
    backend_answer_deinit(&answer);
    assert_int_equal(backend_process_stop(&watched), 0); /* which flushes */
    backend_wait_for(&collector, path, "POST /telemetry/traces", &answer);
    const char *const expected[] = {
        "\"span_kind\":\"SERVER\"",         "\"http.response.status_code\":200",
        "\"client.address\":\"127.0.0.1\"", "\"store insert_spans\"",
        "\"marline.batch.stored\":1",
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        if (!strstr(answer.body.data, expected[i])) {
            fail_msg("no %s in %s", expected[i], answer.body.data);
        }
    }
    backend_answer_deinit(&answer);
    backend_expect(&collector, "GET", "/telemetry/traces?search=enrich%20traces", NULL, 200,
                   "\"root_operation\":\"enrich traces\"");
    assert_int_equal(backend_process_stop(&collector), 0);
}

static void given_self_tracing_when_a_test_runs_then_its_messages_are_spans(void **state)
{
    (void)state;
    struct backend_process watched;
    struct backend_process collector;
    struct ws_peer agent;
    struct buffer text = BUFFER_INIT;
    struct buffer execute = BUFFER_INIT;
    struct backend_answer answer;
    char run[64];
    char trace[64];
    char path[160];
    static const struct http_peer_step accept_all[] = {{HTTP_PEER_ANSWER, 204, NULL, ""}};
    struct http_peer *webhook = http_peer_start(accept_all, 1);
    backend_process_start(&collector,
                          (const char *const[]){"--store", "sqlite::memory:", "--otlp-anonymous",
                                                BACKEND_PROJECT, NULL});
    backend_process_start(&watched,
                          (const char *const[]){"--store", "sqlite::memory:", "--trace-otlp",
                                                collector.base_url, "--webhook",
                                                http_peer_url(webhook), NULL});
    backend_connect_agent(&watched, &agent, &text);
    backend_register_agent(&agent, &text);
    backend_start_run(&watched, &agent, run, &execute);
    backend_send_result(&agent, execute.data, backend_success);
    backend_wait_for_run(&watched, run, "", "\"completed\"", &answer);
    backend_answer_deinit(&answer);
    assert_true(http_peer_wait(webhook, 1));
    assert_non_null(strstr(http_peer_body(webhook, 0), run));
    backend_wait_for_run(&watched, run, "", "\"delivered\":true", &answer);
    backend_answer_deinit(&answer);
    assert_int_equal(backend_process_stop(&watched), 0); /* which flushes */
    backend_wait_for(&collector, "/telemetry/traces?search=send%20execute_test", "\"total\":1",
                     &answer);
    backend_answer_deinit(&answer);
    backend_wait_for(&collector, "/telemetry/traces?search=process%20test_result", "\"total\":1",
                     &answer);
    backend_copy_member(answer.body.data, "trace_id", trace, sizeof(trace));
    backend_answer_deinit(&answer);
    (void)snprintf(path, sizeof(path), "/telemetry/traces/%s?project_id=%s", trace,
                   BACKEND_PROJECT);
    backend_expect(&collector, "GET", path, NULL, 200, "\"marline.rate_limit.remaining\":4");
    backend_expect(&collector, "GET", path, NULL, 200, "\"links\":[{\"trace_id\":\"");
    backend_expect(&collector, "GET", "/telemetry/traces?search=notify%20webhook", NULL, 200,
                   "\"total\":1");
    http_peer_stop(webhook);
    ws_peer_deinit(&agent);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&execute);
    assert_int_equal(backend_process_stop(&collector), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_caller_elsewhere_when_control_is_for_loopback_then_403),
        cmocka_unit_test(given_caller_elsewhere_when_control_is_for_any_then_served),
        cmocka_unit_test(given_control_switched_off_then_404_and_the_rest_is_served),
        cmocka_unit_test(given_unknown_word_for_control_then_the_known_ones_are_named),
        cmocka_unit_test(given_price_file_when_its_model_is_called_then_the_trace_has_its_cost),
        cmocka_unit_test(given_price_file_that_cannot_be_used_then_the_fix_is_named),
        cmocka_unit_test(given_second_backend_when_spans_are_forwarded_then_it_has_them_too),
        cmocka_unit_test(given_forwarding_to_no_url_then_the_fix_is_named),
        cmocka_unit_test(given_webhook_that_is_no_url_then_the_fix_is_named),
        cmocka_unit_test(given_self_tracing_when_a_caller_sends_spans_then_its_trace_goes_on_here),
        cmocka_unit_test(given_self_tracing_when_a_test_runs_then_its_messages_are_spans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
