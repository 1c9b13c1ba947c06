/* Bad input from all sides through the public API: texts that are none, collectors that answer
 * slowly, never, with garbage, with lies, with redirects; a clock that jumps. Nothing may crash,
 * hang, or go uncounted: each test ends with a balance in which every span is settled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../support/http_peer.h"
#include "../../support/trace_fixture.h"
#include <marline/exporters.h>

enum { LONG_MS = 20000, SHORT_MS = 300, SPANS = 5, HUGE = 10 * 1024 * 1024 };

/* ---- texts ---- */

static const marline_string bad_texts[] = {
    {NULL, 0},           {"", 0},         {"\xff", 1},     {"\xc3", 1},
    {"\xed\xa0\x80", 3}, {"\0", 1},       {"a\0b\x80", 4}, {"\xf5\x80\x80\x80", 4},
    {"\r\n\t\x01", 4},   {"\xc0\xaf", 2},
};

enum { BAD_TEXTS = sizeof bad_texts / sizeof *bad_texts };

/* Each as key and as value, of attributes, events, links, status and exception. */
static void trace_bad_texts(marline_tracer *tracer)
{
    for (size_t i = 0; i < BAD_TEXTS; i++) {
        char name[8] = "";
        memcpy(name, bad_texts[i].size ? bad_texts[i].data : "", bad_texts[i].size);
        marline_span span = marline_span_start(tracer, bad_texts[i].data ? name : NULL, NULL);
        marline_attribute items[BAD_TEXTS];
        for (size_t k = 0; k < BAD_TEXTS; k++) {
            items[k] = (marline_attribute){
                bad_texts[k], {.type = MARLINE_VALUE_STRING, .as.string = bad_texts[i]}};
            marline_span_set_attribute(&span, &items[k]);
        }
        marline_link_data link = marline_link_to(&span);
        link.trace_state = bad_texts[i];
        link.attributes = items;
        link.attribute_count = BAD_TEXTS;
        marline_span_add_link(&span, &link);
        marline_span_add_event(&span, name, 0, items, BAD_TEXTS);
        marline_span_set_text(&span, name, name);
        marline_span_record_exception(&span, name, name);
        marline_span_fail(&span, name, name);
        marline_span_update_name(&span, name);
        marline_span_end(&span);
        marline_span_end(&span);
        marline_span_set_text(&span, name, name);
    }
}

/* ---- collectors ---- */

static const char lies[] = "{\"partialSuccess\":{\"rejectedSpans\":\"9223372036854775807\","
                           "\"errorMessage\":\"all of the many\"}}";

struct collector {
    const char *what;
    struct http_peer_step step;
    bool takes_otlp; /* these answers are a success */
    bool takes_platform;
};

#define JSON "Content-Type: application/json\r\n"

static const struct collector collectors[] = {
    {"never", {HTTP_PEER_HANG, 0, NULL, NULL}, false, false},
    {"slowly, without end", {HTTP_PEER_TRICKLE, 200, JSON, NULL}, false, false},
    {"hangs up", {HTTP_PEER_CLOSE, 0, NULL, NULL}, false, false},
    {"another protocol", {HTTP_PEER_RAW, 0, NULL, "SSH-2.0-OpenSSH_9.2\r\n"}, false, false},
    {"half a head", {HTTP_PEER_RAW, 0, NULL, "HTTP/1.1 200 OK\r\nContent-Le"}, false, false},
    {"less than announced",
     {HTTP_PEER_RAW, 0, NULL, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"},
     false,
     false},
    {"a redirect to itself",
     {HTTP_PEER_ANSWER, 308, "Location: /v1/traces\r\n", NULL},
     false,
     false},
    {"a redirect to nowhere",
     {HTTP_PEER_ANSWER, 302, "Location: \x01\xff\r\n", NULL},
     false,
     false},
    {"a refusal in garbage", {HTTP_PEER_ANSWER, 400, JSON, "\x08\x03\xff\xff{]"}, false, false},
    {"an error in garbage",
     {HTTP_PEER_ANSWER, 503, "Retry-After: -1e9\r\n", "\xff\xfe"},
     false,
     false},
    {"garbage as a success", {HTTP_PEER_ANSWER, 200, JSON, "\x08\x03\xff\xff{]"}, true, true},
    {"a success that lies", {HTTP_PEER_ANSWER, 200, JSON, lies}, false, true},
    {"a success, slowly", {HTTP_PEER_TRICKLE, 200, JSON, "{\"partialSuccess\":{}}"}, true, true},
};

static void add_exporter(marline_provider *provider, const char *url, bool platform)
{
    marline_exporter exporter;
    marline_batch_options batch = MARLINE_BATCH_OPTIONS_INIT;
    batch.interval_ms = 3600 * 1000;
    if (platform) {
        const marline_platform_exporter_options options = {
            .size = sizeof options, .base_url = url, .api_key = "k"};
        assert_int_equal(marline_exporter_platform_create(&options, &exporter, NULL), MARLINE_OK);
    } else {
        marline_otlp_exporter_options options = MARLINE_OTLP_EXPORTER_OPTIONS_INIT;
        options.endpoint = url;
        options.protocol = MARLINE_OTLP_HTTP_JSON;
        assert_int_equal(marline_exporter_otlp_create(&options, &exporter, NULL), MARLINE_OK);
    }
    assert_int_equal(marline_provider_add_batch_processor(provider, &exporter, &batch, NULL),
                     MARLINE_OK);
}

static void make_spans(marline_provider *provider)
{
    marline_tracer *tracer = marline_tracer_get(provider, "t", NULL);
    for (int i = 0; i < SPANS; i++) {
        marline_span span = marline_span_start(tracer, "function.a", NULL);
        marline_span_end(&span);
    }
}

/* That a shutdown comes back at all, from a collector that never lets go, is the point; a success
 * has all the time it needs. */
static void assert_survives(const struct collector *c, bool platform)
{
    bool taken = platform ? c->takes_platform : c->takes_otlp;
    bool lied = !platform && c->step.body == lies;
    struct http_peer *peer = http_peer_start(&c->step, 1);
    marline_provider *provider = NULL;
    assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
    add_exporter(provider, http_peer_url(peer), platform);
    make_spans(provider);
    marline_status status = marline_provider_shutdown(provider, taken || lied ? LONG_MS : SHORT_MS);
    marline_delivery d;
    marline_provider_delivery(provider, &d);
    if (d.exported != (taken ? SPANS : 0) || d.in_flight != 0 || (status == MARLINE_OK) != taken) {
        fail_msg("%s, %s: %d, %d exported, %d in flight", c->what, platform ? "platform" : "OTLP",
                 status, (int)d.exported, (int)d.in_flight);
    }
    assert_delivery(provider, taken ? SPANS : 0, taken ? 0 : SPANS);
    marline_provider_destroy(provider);
    http_peer_stop(peer);
}

static void given_collector_that_misbehaves_when_shut_down_then_bounded_and_counted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof collectors / sizeof *collectors; i++) {
        assert_survives(&collectors[i], false);
        assert_survives(&collectors[i], true);
    }
}

/* What a platform may refuse for its name is rejected; all else arrives, in bytes that are text. */
static void given_bad_texts_when_exported_everywhere_then_each_span_is_settled(void **state)
{
    (void)state;
    static const struct http_peer_step take = {HTTP_PEER_ANSWER, 200, JSON, "{}"};
    for (int platform = 0; platform < 2; platform++) {
        struct http_peer *peer = http_peer_start(&take, 1);
        marline_provider *provider = NULL;
        assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
        add_exporter(provider, http_peer_url(peer), platform);
        trace_bad_texts(marline_tracer_get(provider, "\xff", "\xc0"));
        make_spans(provider);
        (void)marline_provider_shutdown(provider, LONG_MS);
        size_t rejected = platform ? BAD_TEXTS : 0;
        assert_delivery(provider, BAD_TEXTS + SPANS - rejected, rejected);
        assert_int_equal(http_peer_request_count(peer), 1);
        const char *body = http_peer_body(peer, 0);
        assert_int_equal(strlen(body), http_peer_body_size(peer, 0));
        assert_null(strchr(body, '\xff'));
        marline_provider_destroy(provider);
        http_peer_stop(peer);
    }
}

static void given_huge_value_when_exported_everywhere_then_it_arrives(void **state)
{
    (void)state;
    static const struct http_peer_step take = {HTTP_PEER_ANSWER, 200, JSON, "{}"};
    char *text = malloc(HUGE);
    assert_non_null(text);
    memset(text, 'v', HUGE);
    for (int platform = 0; platform < 2; platform++) {
        struct http_peer *peer = http_peer_start(&take, 1);
        marline_provider *provider = NULL;
        assert_int_equal(marline_provider_create(NULL, &provider, NULL), MARLINE_OK);
        add_exporter(provider, http_peer_url(peer), platform);
        marline_span span =
            marline_span_start(marline_tracer_get(provider, "t", NULL), "function.a", NULL);
        marline_span_set_string(&span, "big", (marline_string){text, HUGE});
        marline_span_end(&span);
        assert_int_equal(marline_provider_shutdown(provider, LONG_MS), MARLINE_OK);
        assert_delivery(provider, 1, 0);
        assert_true(http_peer_body_size(peer, 0) > HUGE);
        marline_provider_destroy(provider);
        http_peer_stop(peer);
    }
    free(text);
}

/* ---- a clock ---- */

static void given_wall_clock_that_jumps_when_spans_run_then_durations_stay_right(void **state)
{
    (void)state;
    static const int64_t jumps_s[] = {86400, -2 * 86400, 365 * 86400, -3600, 1, -1};
    enum { JUMPS = sizeof jumps_s / sizeof *jumps_s };
    struct trace_fixture f;
    trace_fixture_begin(&f, NULL);
    for (size_t i = 0; i < JUMPS; i++) {
        marline_span outer = marline_span_start(f.tracer, "function.outer", NULL);
        fake_clock_advance(&f.clock, NS_PER_S);
        f.clock.wall_ns += (uint64_t)jumps_s[i] * NS_PER_S;
        marline_span inner = marline_span_start(f.tracer, "function.inner", NULL);
        fake_clock_advance(&f.clock, NS_PER_S);
        f.clock.wall_ns -= (uint64_t)jumps_s[i] * NS_PER_S / 2;
        marline_span_end(&inner);
        marline_span_end(&outer);
    }
    for (size_t i = 0; i < JUMPS; i++) {
        const marline_span_data *inner = trace_fixture_span(&f, 2 * i);
        const marline_span_data *outer = trace_fixture_span(&f, 2 * i + 1);
        assert_string_is(inner->name, "function.inner");
        assert_int_equal(inner->end_unix_ns - inner->start_unix_ns, NS_PER_S);
        assert_int_equal(outer->end_unix_ns - outer->start_unix_ns, 2 * NS_PER_S);
    }
    assert_delivery(f.provider, 2 * JUMPS, 0);
    trace_fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_collector_that_misbehaves_when_shut_down_then_bounded_and_counted),
        cmocka_unit_test(given_bad_texts_when_exported_everywhere_then_each_span_is_settled),
        cmocka_unit_test(given_huge_value_when_exported_everywhere_then_it_arrives),
        cmocka_unit_test(given_wall_clock_that_jumps_when_spans_run_then_durations_stay_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
