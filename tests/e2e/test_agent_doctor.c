/* marline-agent doctor: a true cause, an advice and an exit code for each of many broken set-ups.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/http_peer.h"
#include "agent_fixture.h"
#include "programs/exit_code.h"

static int set_up(void **state)
{
    *state = agent_fixture_create();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    agent_fixture_destroy(*state);
    return 0;
}

static void given_everything_in_order_when_examined_then_all_checks_pass(void **state)
{
    const char *arguments[] = {"doctor", "--exec", "a=/bin/cat", NULL};
    agent_fixture_expect(*state, arguments, NULL, EXIT_CODE_OK, "ok    testing   the WebSocket",
                         "");
    agent_fixture_expect(*state, arguments, NULL, EXIT_CODE_OK, "ok    tracing",
                         "1 of the configuration");
}

struct broken {
    const char *arguments[6];
    const char *variable;
    int exit_code;
    const char *finding;
    const char *advice;
};

static void given_broken_settings_when_examined_then_the_cause_is_named(void **state)
{
    static const struct broken cases[] = {
        {{"doctor"},
         "RHESIS_API_KEY=",
         EXIT_CODE_CONFIGURATION,
         "FAIL  settings  no API key",
         "--api-key-file"},
        {{"doctor", "--api-key-file", "/no/such"},
         "RHESIS_API_KEY=",
         EXIT_CODE_CONFIGURATION,
         "FAIL  settings  key file /no/such",
         "No such file"},
        {{"doctor", "--base-url", "ftp://h"},
         NULL,
         EXIT_CODE_CONFIGURATION,
         "FAIL  settings",
         "RHESIS_BASE_URL"},
        {{"doctor", "--project-id", "x"},
         NULL,
         EXIT_CODE_CONFIGURATION,
         "FAIL  settings",
         "is not a UUID"},
        {{"doctor", "--plugin", "/no/such.so"},
         NULL,
         EXIT_CODE_CONFIGURATION,
         "FAIL  endpoints",
         "No such file"},
        {{"doctor", "--base-url", "http://no-such-host.invalid"},
         "RES_OPTIONS=timeout:1 attempts:1", /* machines without any name server are slow to say so
                                              */
         EXIT_CODE_UNREACHABLE,
         "FAIL  name      no-such-host.invalid",
         "DNS"},
        {{"doctor", "--base-url", "http://127.0.0.1:9"},
         NULL,
         EXIT_CODE_UNREACHABLE,
         "FAIL  reach     127.0.0.1 port 9: Connection refused",
         "nothing listens there"},
        {{"doctor"}, "RHESIS_API_KEY=rh-wrong", EXIT_CODE_REFUSED, "FAIL  key", "RHESIS_API_KEY"},
        {{"doctor", "--project-id", "99999999-9999-4999-8999-999999999999"},
         NULL,
         EXIT_CODE_REFUSED,
         "may not use the project 99999999",
         "RHESIS_PROJECT_ID"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        agent_fixture_expect(*state, cases[i].arguments, cases[i].variable, cases[i].exit_code,
                             cases[i].finding, cases[i].advice);
    }
}

/* A service that is almost a backend. */
static void assert_peer(struct agent_fixture *f, const struct http_peer_step *script, size_t count,
                        int exit_code, const char *finding, const char *advice)
{
    struct http_peer *peer = http_peer_start(script, count);
    const char *arguments[] = {"doctor", "--base-url", http_peer_url(peer), NULL};
    agent_fixture_expect(f, arguments, NULL, exit_code, finding, advice);
    http_peer_stop(peer);
}

/* The service takes one connection at a time. */
#define CLOSE "Connection: close\r\n"

static const struct http_peer_step well = {HTTP_PEER_ANSWER, 200, CLOSE, "{}"};

static void given_another_service_when_examined_then_said_so(void **state)
{
    const struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 404, NULL, "not here"}};
    assert_peer(*state, script, 1, EXIT_CODE_CONFIGURATION, "FAIL  http",
                "another service answers there");
}

static void given_no_http_when_examined_then_said_so(void **state)
{
    const struct http_peer_step script[] = {{HTTP_PEER_RAW, 0, NULL, "220 mail ready\r\n\r\n"}};
    assert_peer(*state, script, 1, EXIT_CODE_UNREACHABLE, "FAIL  http", "this is no HTTP server");
}

static void given_tls_asked_of_plain_http_when_examined_then_scheme_questioned(void **state)
{
    struct agent_fixture *f = *state;
    char url[160];
    (void)snprintf(url, sizeof url, "https%s", f->base_url + strlen("http"));
    const char *arguments[] = {"doctor", "--base-url", url, NULL};
    agent_fixture_expect(f, arguments, NULL, EXIT_CODE_UNREACHABLE, "FAIL  http", "check scheme");
}

static void given_broken_backend_when_examined_then_its_log_is_the_advice(void **state)
{
    const struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 500, NULL, ""}};
    assert_peer(*state, script, 1, EXIT_CODE_UNREACHABLE, "FAIL  http", "backend's log");
}

static void given_no_trace_route_when_examined_then_tracing_fails(void **state)
{
    const struct http_peer_step script[] = {well, well, well, {HTTP_PEER_ANSWER, 404, NULL, ""}};
    assert_peer(*state, script, 4, EXIT_CODE_CONFIGURATION, "FAIL  tracing", "any proxy");
}

static void given_proxy_without_upgrades_when_examined_then_testing_fails(void **state)
{
    const struct http_peer_step script[] = {
        well, well, well, {HTTP_PEER_ANSWER, 422, CLOSE, "{}"}, {HTTP_PEER_ANSWER, 502, NULL, ""}};
    assert_peer(*state, script, 5, EXIT_CODE_UNREACHABLE, "the upgrade is answered HTTP 502",
                "must pass WebSocket upgrades");
}

static void given_clock_far_off_when_examined_then_warning_and_the_rest_goes_on(void **state)
{
    const struct http_peer_step script[] = {
        {HTTP_PEER_ANSWER, 200, "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n", "{}"},
        {HTTP_PEER_ANSWER, 401, NULL, "{}"}};
    assert_peer(*state, script, 2, EXIT_CODE_REFUSED, "WARN  clock     the clocks differ by",
                "FAIL  key");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_everything_in_order_when_examined_then_all_checks_pass),
        cmocka_unit_test(given_broken_settings_when_examined_then_the_cause_is_named),
        cmocka_unit_test(given_another_service_when_examined_then_said_so),
        cmocka_unit_test(given_no_http_when_examined_then_said_so),
        cmocka_unit_test(given_tls_asked_of_plain_http_when_examined_then_scheme_questioned),
        cmocka_unit_test(given_broken_backend_when_examined_then_its_log_is_the_advice),
        cmocka_unit_test(given_no_trace_route_when_examined_then_tracing_fails),
        cmocka_unit_test(given_proxy_without_upgrades_when_examined_then_testing_fails),
        cmocka_unit_test(given_clock_far_off_when_examined_then_warning_and_the_rest_goes_on),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
