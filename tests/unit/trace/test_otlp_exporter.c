/* The OTLP exporter: its settings by table, its traffic against a scripted peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../../support/http_peer.h"
#include "base/clock.h"
#include "trace/otlp_settings.h"
#include "trace/retry.h"
#include "wire/otlp.h"
#include <marline/exporters.h>

static void set_variable(const char *name, const char *value)
{
    if (value) {
        setenv(name, value, 1);
    } else {
        unsetenv(name);
    }
}

/* ---- settings ---- */

static void given_endpoints_when_read_then_urls_as_specified_EP(void **state)
{
    (void)state;
    struct {
        const char *id;
        const char *base;
        const char *traces;
        const char *url;
    } cases[] = {
        {"EP-01", NULL, NULL, "http://localhost:4318/v1/traces"},
        {"EP-02", "http://h:4318", NULL, "http://h:4318/v1/traces"},
        {"EP-03", "http://h:4318/", NULL, "http://h:4318/v1/traces"},
        {"EP-04", "http://h:4318/a/b", NULL, "http://h:4318/a/b/v1/traces"},
        {"EP-05", "http://h:4318/a/b/", NULL, "http://h:4318/a/b/v1/traces"},
        {"EP-06", NULL, "http://h:4318", "http://h:4318"},
        {"EP-07", NULL, "http://h:4318/x/", "http://h:4318/x/"},
        {"EP-08", NULL, "https://h/v1/traces", "https://h/v1/traces"},
        {"EP-09", "http://h", NULL, "http://h/v1/traces"},
        {"EP-10", "http://a", "http://b/x", "http://b/x"},
        {"EP-11", "http://a", "", "http://a/v1/traces"},
        {"EP-12", "h:4318", NULL, "http://localhost:4318/v1/traces"},
        {"EP-13", "ftp://h", NULL, "http://localhost:4318/v1/traces"},
        {"EP-14", "http://h/a?b=c", NULL, "http://h/a?b=c/v1/traces"},
        {"EP-15", "http://[::1]:4318", NULL, "http://[::1]:4318/v1/traces"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", cases[i].base);
        set_variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", cases[i].traces);
        struct otlp_settings s;
        assert_int_equal(marline__otlp_settings_init(&s, NULL, NULL), MARLINE_OK);
        if (strcmp(s.url, cases[i].url) != 0) {
            fail_msg("%s: %s", cases[i].id, s.url);
        }
        marline__otlp_settings_deinit(&s);
    }
    set_variable("OTEL_EXPORTER_OTLP_ENDPOINT", NULL);
    set_variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", NULL);
}

static void given_variables_when_read_then_traces_form_beats_general(void **state)
{
    (void)state;
    struct otlp_settings s;
    set_variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    set_variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    set_variable("OTEL_EXPORTER_OTLP_TIMEOUT", "77");
    set_variable("OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca");
    assert_int_equal(marline__otlp_settings_init(&s, NULL, NULL), MARLINE_OK);
    assert_int_equal(s.format, OTLP_JSON);
    assert_true(s.gzip);
    assert_int_equal(s.timeout_ms, 77);
    assert_string_equal(s.ca_file, "/ca");
    marline__otlp_settings_deinit(&s);
    set_variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"); /* unsupported: default */
    set_variable("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none");
    set_variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0");
    assert_int_equal(marline__otlp_settings_init(&s, NULL, NULL), MARLINE_OK);
    assert_int_equal(s.format, OTLP_PROTOBUF);
    assert_false(s.gzip);
    assert_int_equal(s.timeout_ms, 0);
    marline__otlp_settings_deinit(&s);
    static const char *const names[] = {
        "OTEL_EXPORTER_OTLP_PROTOCOL",        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TIMEOUT",         "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsetenv(names[i]);
    }
}

static void given_header_variable_when_read_then_bad_pairs_are_skipped(void **state)
{
    (void)state;
    set_variable("OTEL_EXPORTER_OTLP_HEADERS",
                 " api-key = s%20x ,bad,authorization=Basic%20dTpw==,=v,x=%G0,y=a%0d%0ab,"
                 "content-type=text/plain,API-KEY=last,b d=1");
    const char *given[] = {"X-Own: 1"};
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    options.headers = given;
    options.header_count = 1;
    struct otlp_settings s;
    assert_int_equal(marline__otlp_settings_init(&s, &options, NULL), MARLINE_OK);
    assert_int_equal(s.header_count, 3);
    assert_string_equal(s.headers[0], "API-KEY: last");
    assert_string_equal(s.headers[1], "authorization: Basic dTpw==");
    assert_string_equal(s.headers[2], "X-Own: 1");
    marline__otlp_settings_deinit(&s);
    set_variable("OTEL_EXPORTER_OTLP_HEADERS", NULL);
}

static void given_bad_options_when_created_then_refused_ENV_06(void **state)
{
    (void)state;
    static const char *const bad_headers[] = {"no colon", "X: a\r\nY: b", "Host: x", ": v",
                                              "Content-Encoding: br"};
    marline_exporter exporter;
    marline_error error = {0};
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    options.endpoint = "localhost:4318";
    assert_int_equal(marline_exporter_otlp_create(&options, &exporter, &error), MARLINE_EINVAL);
    assert_true(error.text[0] != '\0');
    options.endpoint = NULL;
    options.header_count = 1;
    for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++) {
        options.headers = &bad_headers[i];
        assert_int_equal(marline_exporter_otlp_create(&options, &exporter, NULL), MARLINE_EINVAL);
    }
}

/* ---- retries ---- */

static void given_statuses_when_judged_then_only_the_listed_are_retried_CLI_07(void **state)
{
    (void)state;
    static const int retried[] = {429, 502, 503, 504};
    static const int refused[] = {400, 401, 403, 404, 408, 413, 415, 500, 501, 505, 301, 307};
    struct retry r;
    uint64_t wait_ns = 0;
    for (size_t i = 0; i < sizeof retried / sizeof retried[0]; i++) {
        struct retry_outcome outcome = {.http_status = retried[i]};
        marline__retry_begin(&r, &marline__retry_otlp, 0, TIME_NEVER);
        assert_int_equal(marline__retry_judge(&r, &outcome, 0, 0, &wait_ns), RETRY_AGAIN);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct retry_outcome outcome = {.http_status = refused[i]};
        marline__retry_begin(&r, &marline__retry_otlp, 0, TIME_NEVER);
        assert_int_equal(marline__retry_judge(&r, &outcome, 0, 0, &wait_ns), RETRY_REFUSED);
    }
    struct retry_outcome lost = {.transport = MARLINE_EIO};
    marline__retry_begin(&r, &marline__retry_otlp, 0, TIME_NEVER);
    for (int attempt = 1; attempt < 5; attempt++) { /* CLI-09: jitter below a growing bound */
        assert_int_equal(marline__retry_judge(&r, &lost, 0, UINT64_MAX, &wait_ns), RETRY_AGAIN);
        assert_true(wait_ns <= 5 * NS_PER_S);
    }
    assert_int_equal(marline__retry_judge(&r, &lost, 0, 0, &wait_ns), RETRY_GIVE_UP);
}

static void given_retry_after_when_read_then_both_forms_CLI_08(void **state)
{
    (void)state;
    uint64_t now = 784111777 * NS_PER_S; /* Sun, 06 Nov 1994 08:49:37 GMT */
    struct {
        const char *text;
        bool ok;
        uint64_t seconds;
    } cases[] = {
        {"0", true, 0},
        {"120", true, 120},
        {"Sun, 06 Nov 1994 08:49:47 GMT", true, 10},
        {"Sun, 06 Nov 1994 08:49:30 GMT", true, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"1.5", false, 0},
        {"99999999999", false, 0},
        {"Sun, 06 Nov 1994 08:49:47 CET", false, 0},
        {"Sun, 06 Foo 1994 08:49:47 GMT", false, 0},
        {"soon", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns = 0;
        bool ok = marline__retry_after_parse(marline__slice_text(cases[i].text), now, &ns);
        assert_int_equal(ok, cases[i].ok);
        if (ok) {
            assert_int_equal(ns, cases[i].seconds * NS_PER_S);
        }
    }
    struct retry r;
    uint64_t wait_ns = 0;
    struct retry_outcome outcome = {
        .http_status = 503, .has_retry_after = true, .retry_after_ns = 7 * NS_PER_S};
    marline__retry_begin(&r, &marline__retry_otlp, 0, 10 * NS_PER_S);
    assert_int_equal(marline__retry_judge(&r, &outcome, 0, 0, &wait_ns), RETRY_AGAIN);
    assert_int_equal(wait_ns, 7 * NS_PER_S);
    assert_int_equal(marline__retry_judge(&r, &outcome, 4 * NS_PER_S, 0, &wait_ns),
                     RETRY_GIVE_UP); /* longer than the time left */
}

/* ---- over a socket ---- */

struct fixture {
    struct http_peer *peer;
    marline_exporter exporter;
    marline_export_result result;
};

static void begin(struct fixture *f, const struct http_peer_step *script, size_t count,
                  marline_otlp_exporter_options options)
{
    *f = (struct fixture){.peer = http_peer_start(script, count)};
    char url[96];
    (void)snprintf(url, sizeof url, "%s/v1/traces", http_peer_url(f->peer));
    options.endpoint = url;
    assert_int_equal(marline_exporter_otlp_create(&options, &f->exporter, NULL), MARLINE_OK);
}

static void end(struct fixture *f)
{
    f->exporter.destroy(f->exporter.user);
    http_peer_stop(f->peer);
}

static const marline_scope_data scope;
static const marline_resource_data resource;

static void export_two(struct fixture *f, uint64_t timeout_ms)
{
    marline_span_data spans[2] = {{.trace_id = {1},
                                   .span_id = {1},
                                   .flags = 3,
                                   .name = {"any name", 8},
                                   .kind = MARLINE_SPAN_KIND_CLIENT,
                                   .start_unix_ns = 1,
                                   .end_unix_ns = 2,
                                   .scope = &scope,
                                   .resource = &resource}};
    spans[1] = spans[0];
    spans[1].span_id[0] = 2;
    f->result = (marline_export_result){0};
    f->exporter.export_spans(f->exporter.user, spans, 2, timeout_ms, &f->result);
    assert_int_equal(f->result.exported + f->result.rejected + f->result.failed, 2);
}

static size_t decoded_spans(enum otlp_format format, struct slice body)
{
    struct otlp_request request;
    assert_int_equal(marline__otlp_decode(format, body, &request), OTLP_DECODE_OK);
    size_t count = request.count;
    marline__otlp_request_deinit(&request);
    return count;
}

static struct slice body_of(struct fixture *f, size_t index)
{
    return (struct slice){http_peer_body(f->peer, index), http_peer_body_size(f->peer, index)};
}

static void given_protobuf_when_exported_then_request_decodes_CLI_01(void **state)
{
    (void)state;
    struct http_peer_step script[] = {
        {HTTP_PEER_ANSWER, 200, "Content-Type: application/x-protobuf\r\n", NULL}};
    struct fixture f;
    begin(&f, script, 1, (marline_otlp_exporter_options)MARLINE_OTLP_EXPORTER_OPTIONS_INIT);
    export_two(&f, 5000);
    assert_int_equal(f.result.exported, 2);
    const char *head = http_peer_head(f.peer, 0);
    assert_non_null(strstr(head, "POST /v1/traces HTTP/1.1"));
    assert_non_null(strstr(head, "Content-Type: application/x-protobuf"));
    assert_non_null(strstr(head, "User-Agent: OTel-OTLP-Exporter-C/")); /* CLI-12 */
    assert_null(strstr(head, "Content-Encoding"));
    assert_int_equal(decoded_spans(OTLP_PROTOBUF, body_of(&f, 0)), 2);
    end(&f);
}

static void given_json_and_gzip_when_exported_then_unpacks_and_decodes_CLI_02(void **state)
{
    (void)state;
    struct http_peer_step script[] = {
        {HTTP_PEER_ANSWER, 200, "Content-Type: application/json\r\n", "{}"}};
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    options.protocol = MARLINE_OTLP_HTTP_JSON;
    options.compression = MARLINE_OTLP_COMPRESSION_GZIP;
    struct fixture f;
    begin(&f, script, 1, options);
    export_two(&f, 5000);
    assert_int_equal(f.result.exported, 2);
    assert_non_null(strstr(http_peer_head(f.peer, 0), "Content-Encoding: gzip"));
    struct slice packed = body_of(&f, 0);
    char plain[4096];
    z_stream z;
    memset(&z, 0, sizeof z);
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)packed.data;
    z.avail_in = (uInt)packed.size;
    z.next_out = (Bytef *)plain;
    z.avail_out = sizeof plain;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(decoded_spans(OTLP_JSON, (struct slice){plain, z.total_out}), 2);
    (void)inflateEnd(&z);
    end(&f);
}

static void given_partial_success_when_answered_then_counted_and_not_resent_CLI_06(void **state)
{
    (void)state;
    struct http_peer_step script[] = {
        {HTTP_PEER_ANSWER, 200, "Content-Type: application/json\r\n",
         "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"bad id\"}}"},
        {HTTP_PEER_ANSWER, 200, "Content-Type: application/json\r\n", "{\"partialSuccess\":{}}"},
        {HTTP_PEER_ANSWER, 200, "Content-Type: application/json\r\n", "no OTLP"}};
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    options.protocol = MARLINE_OTLP_HTTP_JSON;
    struct fixture f;
    begin(&f, script, 3, options);
    export_two(&f, 5000);
    assert_int_equal(f.result.exported, 1);
    assert_int_equal(f.result.rejected, 1);
    assert_string_equal(f.result.reason, "bad id");
    export_two(&f, 5000); /* CLI-05 */
    assert_int_equal(f.result.exported, 2);
    export_two(&f, 5000); /* CLI-15: undecodable, still a success */
    assert_int_equal(f.result.exported, 2);
    assert_int_equal(http_peer_request_count(f.peer), 3);
    end(&f);
}

static void given_request_over_the_limit_when_exported_then_not_sent_CLI_03(void **state)
{
    (void)state;
    enum { SPANS = 65, VALUE_SIZE = 1024 * 1024 };
    static char value[VALUE_SIZE];
    static marline_span_data spans[SPANS];
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, NULL}};
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    options.compression = MARLINE_OTLP_COMPRESSION_GZIP; /* the limit is before compression */
    memset(value, 'v', sizeof value);
    const marline_attribute attribute = {
        {"k", 1}, {.type = MARLINE_VALUE_STRING, .as.string = {value, sizeof value}}};
    for (int i = 0; i < SPANS; i++) {
        spans[i] = (marline_span_data){.trace_id = {1},
                                       .span_id = {(uint8_t)(i + 1)},
                                       .name = {"n", 1},
                                       .kind = MARLINE_SPAN_KIND_CLIENT,
                                       .attributes = &attribute,
                                       .attribute_count = 1,
                                       .scope = &scope,
                                       .resource = &resource};
    }
    struct fixture f;
    begin(&f, script, 1, options);
    f.result = (marline_export_result){0};
    f.exporter.export_spans(f.exporter.user, spans, SPANS, 30000, &f.result);
    assert_int_equal(f.result.rejected, SPANS);
    assert_non_null(strstr(f.result.reason, "more than OTLP allows"));
    assert_int_equal(http_peer_request_count(f.peer), 0);
    export_two(&f, 30000); /* it goes on */
    assert_int_equal(f.result.exported, 2);
    end(&f);
}

static void given_answers_that_are_none_when_exported_then_counted_with_reason_CLI_14(void **state)
{
    (void)state;
    static const struct http_peer_step cases[] = {
        {HTTP_PEER_ANSWER, 302, "Location: http://127.0.0.1:1/\r\n", NULL},
        {HTTP_PEER_ANSWER, 307, "Location: /v1/other\r\n", NULL},
        {HTTP_PEER_ANSWER, 500, NULL, "\x08\x03\xff\xff garbage"},
        {HTTP_PEER_ANSWER, 404, "Content-Type: text/html\r\n", "<html>"},
        {HTTP_PEER_RAW, 0, NULL, "SSH-2.0-OpenSSH_9.2\r\n"},
        {HTTP_PEER_RAW, 0, NULL,
         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
         "Content-Length: 4\r\n\r\nabcd"},
        {HTTP_PEER_RAW, 0, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nshort"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
        struct fixture f;
        begin(&f, &cases[i], 1, options);
        export_two(&f, 400);
        assert_int_equal(f.result.exported, 0);
        assert_true(f.result.reason[0] != '\0');
        end(&f);
    }
}

static void given_collector_that_never_answers_when_exported_then_bounded_CLI_10(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_HANG, 0, NULL, NULL}};
    marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
    struct fixture f;
    begin(&f, script, 1, options);
    export_two(&f, 50);
    assert_int_equal(f.result.failed, 2);
    assert_true(f.result.reason[0] != '\0');
    end(&f);
}

static void given_refusal_when_answered_then_not_resent_and_explained_CLI_15(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 500, "Content-Type: application/json\r\n",
                                       "{\"code\":13,\"message\":\"no room\"}"},
                                      {HTTP_PEER_ANSWER, 307, "Location: /x\r\n", NULL}};
    struct fixture f;
    begin(&f, script, 2, (marline_otlp_exporter_options)MARLINE_OTLP_EXPORTER_OPTIONS_INIT);
    export_two(&f, 5000);
    assert_int_equal(f.result.rejected, 2);
    assert_non_null(strstr(f.result.reason, "HTTP 500: no room"));
    export_two(&f, 5000); /* CLI-14 */
    assert_int_equal(f.result.rejected, 2);
    assert_int_equal(http_peer_request_count(f.peer), 2);
    end(&f);
}

static void given_overload_when_told_to_wait_0_s_then_sent_again_CLI_08_PRC_06(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 503, "Retry-After: 0\r\n", NULL},
                                      {HTTP_PEER_ANSWER, 200, NULL, NULL}};
    struct fixture f;
    begin(&f, script, 2, (marline_otlp_exporter_options)MARLINE_OTLP_EXPORTER_OPTIONS_INIT);
    export_two(&f, 5000);
    assert_int_equal(f.result.exported, 2);
    assert_int_equal(http_peer_request_count(f.peer), 2);
    end(&f);
}

static void given_wait_beyond_the_deadline_when_told_then_fails_now_CLI_08(void **state)
{
    (void)state;
    struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 429, "Retry-After: 3600\r\n", NULL}};
    struct fixture f;
    begin(&f, script, 1, (marline_otlp_exporter_options)MARLINE_OTLP_EXPORTER_OPTIONS_INIT);
    export_two(&f, 5000);
    assert_int_equal(f.result.failed, 2);
    assert_int_equal(http_peer_request_count(f.peer), 1);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_endpoints_when_read_then_urls_as_specified_EP),
        cmocka_unit_test(given_variables_when_read_then_traces_form_beats_general),
        cmocka_unit_test(given_header_variable_when_read_then_bad_pairs_are_skipped),
        cmocka_unit_test(given_bad_options_when_created_then_refused_ENV_06),
        cmocka_unit_test(given_statuses_when_judged_then_only_the_listed_are_retried_CLI_07),
        cmocka_unit_test(given_retry_after_when_read_then_both_forms_CLI_08),
        cmocka_unit_test(given_protobuf_when_exported_then_request_decodes_CLI_01),
        cmocka_unit_test(given_json_and_gzip_when_exported_then_unpacks_and_decodes_CLI_02),
        cmocka_unit_test(given_partial_success_when_answered_then_counted_and_not_resent_CLI_06),
        cmocka_unit_test(given_request_over_the_limit_when_exported_then_not_sent_CLI_03),
        cmocka_unit_test(given_answers_that_are_none_when_exported_then_counted_with_reason_CLI_14),
        cmocka_unit_test(given_collector_that_never_answers_when_exported_then_bounded_CLI_10),
        cmocka_unit_test(given_refusal_when_answered_then_not_resent_and_explained_CLI_15),
        cmocka_unit_test(given_overload_when_told_to_wait_0_s_then_sent_again_CLI_08_PRC_06),
        cmocka_unit_test(given_wait_beyond_the_deadline_when_told_then_fails_now_CLI_08),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
