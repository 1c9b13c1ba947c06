/* The HTTP client over TLS: own authority, unknown authority, wrong host, client certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../support/http_peer.h"
#include "../../support/tls_relay.h"
#include "io/http_client.h"

struct rig {
    struct http_peer *peer;
    struct tls_relay relay;
    marline_error error;
};

static const struct http_peer_step script[] = {
    {HTTP_PEER_ANSWER, 200, "Connection: close\r\n", "hello"}};

static void begin(struct rig *rig, const char *host, bool wants_client)
{
    rig->peer = http_peer_start(script, 1);
    const char *port = strrchr(http_peer_url(rig->peer), ':') + 1;
    tls_relay_start(&rig->relay, (uint16_t)strtoul(port, NULL, 10), host, wants_client);
}

static void end(struct rig *rig)
{
    tls_relay_stop(&rig->relay);
    http_peer_stop(rig->peer);
}

static marline_status get(struct rig *rig, bool trust, bool present)
{
    char url[64];
    const struct http_client_options options = {
        .tls = {.ca_file = trust ? rig->relay.ca_file : NULL,
                .certificate_file = present ? rig->relay.client_cert_file : NULL,
                .key_file = present ? rig->relay.client_key_file : NULL}};
    struct http_client *client = marline__http_client_create(&options);
    struct http_response response = HTTP_RESPONSE_INIT;
    (void)snprintf(url, sizeof url, "https://localhost:%u/", rig->relay.port);
    const struct http_request request = {.url = url, .timeout_ms = 10000};
    rig->error = (marline_error){0};
    marline_status status = marline__http_client_perform(client, &request, &response, &rig->error);
    if (status == MARLINE_OK) {
        assert_int_equal(response.status, 200);
        assert_string_equal(response.body.data, "hello");
    }
    marline__http_response_deinit(&response);
    marline__http_client_destroy(client);
    return status;
}

static void given_own_authority_when_asked_then_answered_CLI_13(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, "localhost", false);
    assert_int_equal(get(&rig, true, false), MARLINE_OK);
    end(&rig);
}

static void given_unknown_authority_when_asked_then_refused_for_good_CLI_13(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, "localhost", false);
    assert_int_equal(get(&rig, false, false), MARLINE_EAUTH);
    assert_true(rig.error.text[0] != '\0');
    assert_int_equal(http_peer_request_count(rig.peer), 0);
    end(&rig);
}

static void given_certificate_of_another_host_when_asked_then_refused_CLI_13(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, "elsewhere.example", false);
    assert_int_equal(get(&rig, true, false), MARLINE_EAUTH);
    assert_int_equal(http_peer_request_count(rig.peer), 0);
    end(&rig);
}

static void given_peer_that_wants_a_certificate_when_asked_then_ours_is_shown_CLI_13(void **state)
{
    (void)state;
    struct rig rig;
    begin(&rig, "localhost", true);
    assert_int_equal(get(&rig, true, true), MARLINE_OK);
    assert_int_not_equal(get(&rig, true, false), MARLINE_OK);
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_own_authority_when_asked_then_answered_CLI_13),
        cmocka_unit_test(given_unknown_authority_when_asked_then_refused_for_good_CLI_13),
        cmocka_unit_test(given_certificate_of_another_host_when_asked_then_refused_CLI_13),
        cmocka_unit_test(given_peer_that_wants_a_certificate_when_asked_then_ours_is_shown_CLI_13),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
