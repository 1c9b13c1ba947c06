/* marline-agent doctor where TLS is what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/tls_relay.h"
#include "agent_fixture.h"
#include "programs/exit_code.h"

struct rig {
    struct agent_fixture *backend;
    struct tls_relay relay; /* in front of it */
    char url[64];
};

static int set_up(void **state)
{
    static struct rig rig;
    rig = (struct rig){.backend = agent_fixture_create()};
    *state = &rig;
    return rig.backend ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    tls_relay_stop(&rig->relay);
    agent_fixture_destroy(rig->backend);
    return 0;
}

static void start(struct rig *rig, const char *host, bool wants_client_certificate)
{
    const char *colon = strrchr(rig->backend->base_url, ':');
    tls_relay_start(&rig->relay, (uint16_t)strtoul(colon + 1, NULL, 10), host,
                    wants_client_certificate);
    (void)snprintf(rig->url, sizeof rig->url, "https://localhost:%u", rig->relay.port);
}

static void given_unknown_authority_when_examined_then_trust_is_the_advice(void **state)
{
    struct rig *rig = *state;
    start(rig, "localhost", false);
    const char *arguments[] = {"doctor", "--base-url", rig->url, NULL};
    agent_fixture_expect(rig->backend, arguments, NULL, EXIT_CODE_REFUSED, "FAIL  http",
                         "the certificate is not trusted here: install the backend's CA");
}

static void given_certificate_of_another_host_when_examined_then_said_so(void **state)
{
    struct rig *rig = *state;
    start(rig, "elsewhere.example", false);
    const char *arguments[] = {"doctor",    "--base-url",       rig->url,
                               "--ca-file", rig->relay.ca_file, NULL};
    agent_fixture_expect(rig->backend, arguments, NULL, EXIT_CODE_REFUSED, "FAIL  http",
                         "mend its certificate");
}

static void given_client_certificate_wanted_when_none_is_given_then_http_fails(void **state)
{
    struct rig *rig = *state;
    start(rig, "localhost", true);
    const char *arguments[] = {"doctor",    "--base-url",       rig->url,
                               "--ca-file", rig->relay.ca_file, NULL};
    agent_fixture_expect(rig->backend, arguments, NULL, EXIT_CODE_REFUSED, "FAIL  http",
                         "the backend wants a client certificate");
}

/* All that TLS needs is given: the doctor gets as far as the key. */
static void given_own_authority_when_trusted_then_the_next_fault_is_found(void **state)
{
    struct rig *rig = *state;
    start(rig, "localhost", true);
    const char *arguments[] = {"doctor",
                               "--base-url",
                               rig->url,
                               "--ca-file",
                               rig->relay.ca_file,
                               "--client-certificate-file",
                               rig->relay.client_cert_file,
                               "--client-key-file",
                               rig->relay.client_key_file,
                               NULL};
    agent_fixture_expect(rig->backend, arguments, "RHESIS_API_KEY=rh-wrong", EXIT_CODE_REFUSED,
                         "ok    http      TLS verified", "FAIL  key");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_unknown_authority_when_examined_then_trust_is_the_advice),
        TEST(given_certificate_of_another_host_when_examined_then_said_so),
        TEST(given_client_certificate_wanted_when_none_is_given_then_http_fails),
        TEST(given_own_authority_when_trusted_then_the_next_fault_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
