/* Spans passed on: in order, again when the receiver was away, and never for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/forwarder.h"
#include "support/http_peer.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void send_text(struct forwarder *f, const char *text, size_t spans)
{
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_text(&body, text);
    forwarder_send(f, &body, spans);
    assert_null(body.data);
}

static struct forwarder *start(const char *url)
{
    char error[256] = "";
    struct forwarder *f = forwarder_start(url, error);
    if (!f) {
        fail_msg("%s", error);
    }
    return f;
}

static void given_receiver_when_spans_come_then_posted_in_order(void **state)
{
    (void)state;
    static const struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 200, NULL, ""}};
    struct http_peer *peer = http_peer_start(script, COUNT(script));
    struct forwarder *f = start(http_peer_url(peer));
    send_text(f, "one", 2);
    send_text(f, "two", 3);
    assert_true(http_peer_wait(peer, 2));
    forwarder_stop(f);
    assert_non_null(strstr(http_peer_head(peer, 0), "POST /v1/traces HTTP/1.1"));
    assert_non_null(strstr(http_peer_head(peer, 0), "Content-Type: application/x-protobuf"));
    assert_string_equal(http_peer_body(peer, 0), "one");
    assert_string_equal(http_peer_body(peer, 1), "two");
    http_peer_stop(peer);
}

static void given_receiver_away_when_it_is_back_then_nothing_is_lost(void **state)
{
    (void)state;
    static const struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 503, NULL, ""},
                                                   {HTTP_PEER_CLOSE, 0, NULL, NULL},
                                                   {HTTP_PEER_ANSWER, 200, NULL, ""}};
    struct http_peer *peer = http_peer_start(script, COUNT(script));
    struct forwarder *f = start(http_peer_url(peer));
    send_text(f, "one", 2);
    send_text(f, "two", 3);
    assert_true(http_peer_wait(peer, 4));
    forwarder_stop(f);
    assert_string_equal(http_peer_body(peer, 2), "one");
    assert_string_equal(http_peer_body(peer, 3), "two");
    http_peer_stop(peer);
}

static void given_refusal_then_dropped_and_the_next_goes_on(void **state)
{
    (void)state;
    static const struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 400, NULL, ""},
                                                   {HTTP_PEER_ANSWER, 200, NULL, ""},
                                                   {HTTP_PEER_HANG, 0, NULL, NULL}};
    struct http_peer *peer = http_peer_start(script, COUNT(script));
    struct forwarder *f = start(http_peer_url(peer));
    send_text(f, "one", 2);
    send_text(f, "two", 3);
    send_text(f, "three", 4);
    assert_true(http_peer_wait(peer, 3)); /* the first two have been counted */
    struct forwarder_counters counters = forwarder_counters(f);
    assert_int_equal(counters.dropped, 2);
    assert_int_equal(counters.spans, 3);
    assert_int_equal(counters.waiting, 4);
    forwarder_stop(f); /* in bounded time although the receiver hangs, or the test runs out of it */
    http_peer_stop(peer);
}

static void given_more_than_fits_then_counted_as_dropped(void **state)
{
    (void)state;
    static const struct http_peer_step script[] = {{HTTP_PEER_HANG, 0, NULL, NULL}};
    struct http_peer *peer = http_peer_start(script, COUNT(script));
    struct forwarder *f = start(http_peer_url(peer));
    struct buffer large = BUFFER_INIT;
    assert_true(marline__buffer_reserve(&large, FORWARD_WAITING_MAX));
    memset(large.data, 'x', FORWARD_WAITING_MAX);
    large.size = FORWARD_WAITING_MAX;
    forwarder_send(f, &large, 7);
    send_text(f, "no room", 5);
    assert_int_equal(forwarder_counters(f).dropped, 5);
    assert_int_equal(forwarder_counters(f).waiting, 7);
    forwarder_stop(f);
    http_peer_stop(peer);
}

static void given_no_url_then_a_sentence_says_so(void **state)
{
    (void)state;
    char error[256] = "";
    assert_null(forwarder_start("localhost:4318", error));
    assert_non_null(strstr(error, "no http:// or https:// URL"));
    assert_null(forwarder_start("ws://localhost", error));
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_text(&body, "x");
    forwarder_send(NULL, &body, 1);
    assert_null(body.data);
    forwarder_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_receiver_when_spans_come_then_posted_in_order),
        cmocka_unit_test(given_receiver_away_when_it_is_back_then_nothing_is_lost),
        cmocka_unit_test(given_refusal_then_dropped_and_the_next_goes_on),
        cmocka_unit_test(given_more_than_fits_then_counted_as_dropped),
        cmocka_unit_test(given_no_url_then_a_sentence_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
