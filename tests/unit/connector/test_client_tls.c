/* The testing channel over TLS: own authority, wrong authority, wrong host, client certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../support/frame_server.h"
#include "../../support/tls_relay.h"
#include <marline/marline.h>

enum { LONG_MS = 30000, SHORT_MS = 300 };

struct rig {
    struct frame_server server;
    struct tls_relay relay;
    struct buffer text;
    marline_client *client;
};

static void start(struct rig *rig, const char *host, bool wants_client, bool trust, bool present)
{
    char url[64];
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    frame_server_start(&rig->server);
    tls_relay_start(&rig->relay, rig->server.port, host, wants_client);
    (void)snprintf(url, sizeof url, "https://localhost:%u", rig->relay.port);
    options.base_url = url;
    options.api_key = "rh-key";
    options.project_id = "11111111-1111-4111-8111-111111111111";
    options.tls_ca_file = trust ? rig->relay.ca_file : NULL;
    options.tls_cert_file = present ? rig->relay.client_cert_file : NULL;
    options.tls_key_file = present ? rig->relay.client_key_file : NULL;
    assert_int_equal(marline_client_create(&options, &rig->client, NULL), MARLINE_OK);
    marline_error error = {MARLINE_OK, ""};
    if (marline_client_start(rig->client, &error) != MARLINE_OK) {
        fail_msg("%s", error.text);
    }
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    frame_server_stop(&rig->server);
    marline_client_destroy(rig->client);
    tls_relay_stop(&rig->relay);
    marline__buffer_deinit(&rig->text);
    free(rig);
    return 0;
}

static void assert_registers(struct rig *rig)
{
    frame_server_accept_open(&rig->server);
    frame_server_send_text(&rig->server, "{\"type\":\"connected\",\"status\":\"success\"}");
    (void)frame_server_read_text(&rig->server, &rig->text);
    frame_server_send_text(&rig->server, "{\"type\":\"registered\",\"status\":\"success\"}");
    marline_error error = {MARLINE_OK, ""};
    if (marline_client_wait_registered(rig->client, LONG_MS, &error) != MARLINE_OK) {
        fail_msg("%s", error.text);
    }
}

static void assert_refuses(struct rig *rig, const char *why)
{
    marline_error error = {MARLINE_OK, ""};
    for (int waited = 0; waited < LONG_MS && !strstr(error.text, why); waited += SHORT_MS) {
        assert_int_equal(marline_client_wait_registered(rig->client, SHORT_MS, &error),
                         MARLINE_ETIMEDOUT);
    }
    if (!strstr(error.text, why)) {
        fail_msg("%s", error.text);
    }
}

static void given_own_authority_when_trusted_then_registers(void **state)
{
    start(*state, "localhost", false, true, false);
    assert_registers(*state);
}

static void given_unknown_authority_then_no_connection(void **state)
{
    start(*state, "localhost", false, false, false);
    assert_refuses(*state, "issuer certificate");
}

static void given_certificate_of_another_host_then_no_connection(void **state)
{
    start(*state, "elsewhere.example", false, true, false);
    assert_refuses(*state, "hostname mismatch");
}

static void given_client_certificate_wanted_when_presented_then_registers(void **state)
{
    start(*state, "localhost", true, true, true);
    assert_registers(*state);
}

static void given_client_certificate_wanted_when_missing_then_no_connection(void **state)
{
    struct rig *rig = *state;
    start(rig, "localhost", true, true, false);
    marline_error error;
    assert_int_equal(marline_client_wait_registered(rig->client, SHORT_MS, &error),
                     MARLINE_ETIMEDOUT);
}

static void given_missing_tls_file_when_started_then_error_names_it(void **state)
{
    (void)state;
    marline_client_options options = MARLINE_CLIENT_OPTIONS_INIT;
    options.base_url = "https://localhost:1";
    options.api_key = "rh-key";
    options.project_id = "11111111-1111-4111-8111-111111111111";
    options.tls_ca_file = "no-such-file.pem";
    marline_client *client = NULL;
    marline_error error;
    assert_int_equal(marline_client_create(&options, &client, NULL), MARLINE_OK);
    assert_int_equal(marline_client_start(client, &error), MARLINE_EIO);
    assert_non_null(strstr(error.text, "no-such-file.pem"));
    marline_client_destroy(client);
}

#define RIGGED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIGGED(given_own_authority_when_trusted_then_registers),
        RIGGED(given_unknown_authority_then_no_connection),
        RIGGED(given_certificate_of_another_host_then_no_connection),
        RIGGED(given_client_certificate_wanted_when_presented_then_registers),
        RIGGED(given_client_certificate_wanted_when_missing_then_no_connection),
        cmocka_unit_test(given_missing_tls_file_when_started_then_error_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
