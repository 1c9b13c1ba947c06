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
#include "io/tls_fault.h"

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

static marline_status get_with(struct rig *rig, struct http_tls_options tls)
{
    char url[64];
    const struct http_client_options options = {.tls = tls};
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

static marline_status get(struct rig *rig, bool trust, bool present)
{
    const struct http_tls_options tls = {.ca_file = trust ? rig->relay.ca_file : NULL,
                                         .certificate_file =
                                             present ? rig->relay.client_cert_file : NULL,
                                         .key_file = present ? rig->relay.client_key_file : NULL};
    return get_with(rig, tls);
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

/* The wrong files: each is refused for good, and the text names what to mend. A server's word on
 * our certificate may be lost with the connection, so those are in no test of the whole way. */
static void
given_files_that_do_not_fit_when_asked_then_refused_and_the_fix_named_CLI_13(void **state)
{
    (void)state;
    struct rig rig;
    struct rig other;
    begin(&rig, "localhost", true);
    begin(&other, "localhost", true);
    const char *ca = rig.relay.ca_file;
    const char *certificate = rig.relay.client_cert_file;
    const char *key = rig.relay.client_key_file;
    const struct {
        struct http_tls_options tls;
        const char *advice;
    } cases[] = {
        {{"missing.pem", certificate, key}, "the CA file cannot be used: give a readable PEM"},
        {{key, certificate, key}, "the CA file cannot be used"},
        {{other.relay.ca_file, certificate, key}, "a CA has the right name, but another key"},
        {{ca, "missing.pem", key}, "the client certificate cannot be used: give a readable PEM"},
        {{ca, key, key}, "the client certificate cannot be used"},
        {{ca, certificate, "missing.pem"}, "the key of the client certificate cannot be used"},
        {{ca, certificate, other.relay.client_key_file}, "give the PEM file of that very key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        marline_status status = get_with(&rig, cases[i].tls);
        if (status != MARLINE_EAUTH || rig.error.code != status ||
            !strstr(rig.error.text, cases[i].advice)) {
            fail_msg("%d, without '%s': %s", status, cases[i].advice, rig.error.text);
        }
    }
    assert_int_equal(http_peer_request_count(rig.peer), 0);
    end(&other);
    end(&rig);
}

static void given_words_of_openssl_when_read_then_fault_and_worth_of_a_retry_CLI_13(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *advice; /* NULL = no fault of TLS */
        bool is_for_good;
    } cases[] = {
        {"OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 alert certificate required",
         "it wants a client certificate", true},
        {"OpenSSL SSL_read: error:0A00041B:SSL routines::tlsv1 alert decrypt error",
         "it refuses the client certificate", true},
        {"OpenSSL SSL_read: error:0A000418:SSL routines::tlsv1 alert unknown ca",
         "it refuses the client certificate", true},
        {"SSL certificate problem: certificate has expired", "its certificate has expired", true},
        {"SSL certificate problem: self-signed certificate in certificate chain",
         "its certificate is of no known CA", true},
        {"error:0A00010B:SSL routines::wrong version number", "it answers without TLS", false},
        {"Connection reset by peer", NULL, false},
        {"", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tls_fault *fault = marline__tls_fault_of(cases[i].text);
        assert_int_equal(fault != NULL, cases[i].advice != NULL);
        if (fault) {
            assert_non_null(strstr(fault->advice, cases[i].advice));
            assert_int_equal(fault->is_for_good, cases[i].is_for_good);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_own_authority_when_asked_then_answered_CLI_13),
        cmocka_unit_test(given_unknown_authority_when_asked_then_refused_for_good_CLI_13),
        cmocka_unit_test(given_certificate_of_another_host_when_asked_then_refused_CLI_13),
        cmocka_unit_test(given_peer_that_wants_a_certificate_when_asked_then_ours_is_shown_CLI_13),
        cmocka_unit_test(
            given_files_that_do_not_fit_when_asked_then_refused_and_the_fix_named_CLI_13),
        cmocka_unit_test(given_words_of_openssl_when_read_then_fault_and_worth_of_a_retry_CLI_13),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
