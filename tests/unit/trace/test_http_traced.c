/* The traced HTTP client against a scripted peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/http_peer.h"
#include "../../support/trace_fixture.h"
#include <marline/http.h>

static void given_request_when_sent_then_client_span_and_context_in_headers(void **state)
{
    (void)state;
    struct http_peer_step script[] = {
        {HTTP_PEER_ANSWER, 200, "Content-Type: text/plain\r\n", "hello"}};
    struct http_peer *peer = http_peer_start(script, 1);
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline_http_client *client = marline_http_client_create(NULL);
    const char *headers[] = {"X-Own: 1"};
    char url[128];
    (void)snprintf(url, sizeof url, "http://user:secret@%s/a?q=1",
                   http_peer_url(peer) + strlen("http://"));
    marline_http_request request = MARLINE_HTTP_REQUEST_INIT;
    request.url = url;
    request.headers = headers;
    request.header_count = 1;
    request.body = "data";
    request.body_size = 4;
    request.timeout_ms = 5000;
    marline_http_response response = {0};
    marline_observed outer;
    marline_observe_begin(&outer, "function.outer");
    assert_int_equal(marline_http_send(client, &request, &response, NULL), MARLINE_OK);
    marline_observe_end(&outer);
    assert_int_equal(response.status, 200);
    assert_string_is(response.body, "hello");
    assert_string_is(response.content_type, "text/plain");
    const marline_span_data *data = trace_fixture_span(&f, 0);
    assert_string_is(data->name, "function.http.POST");
    assert_int_equal(data->kind, MARLINE_SPAN_KIND_CLIENT);
    assert_memory_equal(data->parent_span_id, outer.span.context.span_id, 8);
    assert_int_equal(data->status, MARLINE_SPAN_STATUS_UNSET); /* SPN-09 */
    assert_span_text(data, "http.request.method", "POST");
    assert_span_text(data, "server.address", "127.0.0.1");
    assert_int_equal(span_attribute(data, "server.port")->as.integer,
                     strtol(strrchr(http_peer_url(peer), ':') + 1, NULL, 10));
    marline_string full = span_attribute(data, "url.full")->as.string;
    assert_memory_equal(full.data, "http://REDACTED:REDACTED@127.0.0.1:",
                        strlen("http://REDACTED:REDACTED@127.0.0.1:"));
    assert_int_equal(span_attribute(data, "http.response.status_code")->as.integer, 200);
    assert_null(span_attribute(data, "error.type"));
    marline_span sent = {0};
    memcpy(sent.context.trace_id, data->trace_id, 16);
    memcpy(sent.context.span_id, data->span_id, 8);
    char trace_id[MARLINE_TRACE_ID_TEXT_SIZE];
    char span_id[MARLINE_SPAN_ID_TEXT_SIZE];
    marline_span_trace_id_text(&sent, trace_id);
    marline_span_id_text(&sent, span_id);
    char expected[96];
    (void)snprintf(expected, sizeof expected, "traceparent: 00-%s-%s-03", trace_id, span_id);
    assert_non_null(strstr(http_peer_head(peer, 0), expected));
    assert_non_null(strstr(http_peer_head(peer, 0), "X-Own: 1"));
    assert_string_equal(http_peer_body(peer, 0), "data");
    marline_http_client_destroy(client);
    trace_fixture_end(&f);
    http_peer_stop(peer);
}

static void given_failures_when_sent_then_status_and_type_say_so(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 503, NULL, NULL},
                                      {HTTP_PEER_HANG, 0, NULL, NULL}};
    struct http_peer *peer = http_peer_start(script, 2);
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    marline_http_client *client = marline_http_client_create(f.tracer);
    marline_http_request request = MARLINE_HTTP_REQUEST_INIT;
    marline_http_response response = {0};
    marline_error error = {0};
    request.url = http_peer_url(peer);
    request.span_name = "function.own";
    assert_int_equal(marline_http_send(client, &request, &response, NULL), MARLINE_OK);
    request.timeout_ms = 50;
    assert_int_equal(marline_http_send(client, &request, &response, &error), MARLINE_ETIMEDOUT);
    request.url = "ftp://h/";
    assert_int_equal(marline_http_send(client, &request, &response, &error), MARLINE_EINVAL);
    request.url = NULL;
    assert_int_equal(marline_http_send(client, &request, &response, &error), MARLINE_EINVAL);
    assert_int_equal(marline_http_send(NULL, &request, &response, &error), MARLINE_EINVAL);
    const char *types[] = {"503", "ETIMEDOUT", "EINVAL", "EINVAL"};
    for (size_t i = 0; i < 4; i++) {
        const marline_span_data *data = trace_fixture_span(&f, i);
        assert_string_is(data->name, "function.own");
        assert_int_equal(data->status, MARLINE_SPAN_STATUS_ERROR);
        assert_span_text(data, "error.type", types[i]);
    }
    assert_non_null(strstr(trace_fixture_span(&f, 1)->status_message.data, "127.0.0.1"));
    marline_http_client_destroy(client);
    marline_http_client_destroy(NULL);
    trace_fixture_end(&f);
    http_peer_stop(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_request_when_sent_then_client_span_and_context_in_headers),
        cmocka_unit_test(given_failures_when_sent_then_status_and_type_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
