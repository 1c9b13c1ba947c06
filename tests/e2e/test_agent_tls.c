/* marline-agent with its own CA and a client certificate, in front of a real backend-mock: what
 * goes through, on both channels, and what is refused. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/tls_relay.h"
#include "agent_fixture.h"
#include "base/memory.h"
#include "programs/exit_code.h"

enum { TESTS = 3, SPANS_PER_TEST = 2, START_MS = 20000, STOP_MS = 30000 };

struct rig {
    struct agent_fixture *backend;
    struct tls_relay relay; /* in front of it; wants a client certificate */
    char url[64];
    struct program agent;
};

static int set_up(void **state)
{
    static struct rig rig;
    rig = (struct rig){.backend = agent_fixture_create()};
    if (!rig.backend) {
        return -1;
    }
    const char *colon = strrchr(rig.backend->base_url, ':');
    tls_relay_start(&rig.relay, (uint16_t)strtoul(colon + 1, NULL, 10), "localhost", true);
    (void)snprintf(rig.url, sizeof rig.url, "https://localhost:%u", rig.relay.port);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    program_stop(&rig->agent);
    tls_relay_stop(&rig->relay);
    agent_fixture_destroy(rig->backend);
    return 0;
}

/* ---- the folder of the configuration, which is not the working folder ---- */

static void copy_file(struct rig *rig, const char *from, const char *name)
{
    char *text = program_read_file(from);
    assert_true(agent_fixture_write(rig->backend, name, text));
    marline__memory_free(text);
}

/* All paths are relative; `tls` are the lines about certificates. */
static void write_config(struct rig *rig, const char *tls)
{
    char text[1024];
    (void)snprintf(text, sizeof text,
                   "base_url: %s\n"
                   "project_id: %s\n"
                   "api_key_file: agent.key\n"
                   "outbox: outbox.db\n"
                   "export_interval_ms: 100\n"
                   "%s"
                   "endpoints:\n"
                   "  - {name: echo, exec: [/bin/cat]}\n",
                   rig->url, rig->backend->project_id, tls);
    assert_true(agent_fixture_write(rig->backend, "agent.yaml", text));
    assert_true(agent_fixture_write(rig->backend, "agent.key", rig->backend->api_key));
    copy_file(rig, rig->relay.ca_file, "ca.pem");
    copy_file(rig, rig->relay.client_cert_file, "client.pem");
    copy_file(rig, rig->relay.client_key_file, "client.key");
}

/* ---- the agent ---- */

/* `flags` ends with NULL. Waits until its log has the text. */
static void start_agent(struct rig *rig, const char *const *flags, const char *text)
{
    char config[128];
    const char *arguments[12] = {"marline-agent", "run", "--config", config};
    (void)snprintf(config, sizeof config, "%s", agent_fixture_path(rig->backend, "agent.yaml"));
    for (size_t i = 4; *flags; i++) {
        arguments[i] = *flags++;
    }
    const char *log = agent_fixture_path(rig->backend, "agent.log");
    assert_true(program_start(&rig->agent, arguments, NULL, log));
    if (!program_wait_for_text(&rig->agent, log, text, START_MS)) {
        char *written = program_read_file(log);
        print_error("%s\n", written);
        marline__memory_free(written);
        fail_msg("the agent does not say '%s'", text);
    }
}

static void stop_agent(struct rig *rig)
{
    program_signal(&rig->agent, SIGTERM);
    assert_true(program_wait(&rig->agent, STOP_MS));
    assert_int_equal(program_exit_status(&rig->agent), EXIT_CODE_OK);
}

static bool has_all_linked(const cJSON *body, const void *user)
{
    (void)user;
    const cJSON *results = cJSON_GetObjectItem(body, "results");
    int linked = 0;
    for (int i = 0; i < cJSON_GetArraySize(results); i++) {
        const cJSON *result = cJSON_GetArrayItem(results, i);
        const cJSON *spans = cJSON_GetObjectItem(result, "spans");
        const cJSON *count = cJSON_GetObjectItem(result, "linked");
        bool ok = cJSON_IsNumber(spans) && spans->valueint == SPANS_PER_TEST &&
                  cJSON_IsNumber(count) && count->valueint == SPANS_PER_TEST;
        linked += ok;
    }
    return linked == TESTS;
}

static void assert_run_is_linked(struct rig *rig)
{
    static const char test[] = "{\"function_name\":\"echo\",\"inputs\":{\"input\":\"hi\"}}";
    char text[512];
    char path[96];
    (void)snprintf(text, sizeof text, "{\"project_id\":\"%s\",\"tests\":[%s,%s,%s]}",
                   rig->backend->project_id, test, test, test);
    cJSON *run = agent_fixture_call(rig->backend, "POST", "/mock/runs", text);
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItem(run, "test_run_id"));
    assert_non_null(id);
    (void)snprintf(path, sizeof path, "/mock/runs/%s", id);
    cJSON_Delete(run);
    assert_true(agent_fixture_wait(rig->backend, path, has_all_linked, NULL));
}

static void assert_both_channels_were_seen(const struct rig *rig)
{
    assert_true(atomic_load(&rig->relay.upgrades) > 0);
    assert_true(atomic_load(&rig->relay.posts) > 0);
}

/* The doctor ends at the first fault, so its exit code is final. */
static void assert_doctor_refuses(struct rig *rig, const char *finding, const char *advice)
{
    char config[128];
    (void)snprintf(config, sizeof config, "%s", agent_fixture_path(rig->backend, "agent.yaml"));
    const char *arguments[] = {"doctor", "--config", config, "--base-url", rig->url, NULL};
    agent_fixture_expect(rig->backend, arguments, NULL, EXIT_CODE_REFUSED, finding, advice);
}

/* ---- what goes through ---- */

static void given_tls_in_the_file_when_tests_run_then_both_channels_use_it(void **state)
{
    struct rig *rig = *state;
    const char *const flags[] = {NULL};
    write_config(rig, "ca_file: ca.pem\n"
                      "client_certificate_file: client.pem\n"
                      "client_key_file: client.key\n");
    start_agent(rig, flags, "ready for tests");
    assert_run_is_linked(rig);
    stop_agent(rig);
    assert_both_channels_were_seen(rig);
    assert_int_equal(access(agent_fixture_path(rig->backend, "outbox.db"), F_OK), 0);
}

static void given_tls_by_flags_when_tests_run_then_both_channels_use_it(void **state)
{
    struct rig *rig = *state;
    const char *const flags[] = {"--ca-file",
                                 rig->relay.ca_file,
                                 "--client-certificate-file",
                                 rig->relay.client_cert_file,
                                 "--client-key-file",
                                 rig->relay.client_key_file,
                                 NULL};
    write_config(rig, "");
    start_agent(rig, flags, "ready for tests");
    assert_run_is_linked(rig);
    stop_agent(rig);
    assert_both_channels_were_seen(rig);
}

/* ---- what is refused ---- */

static void assert_nothing_came_through(const struct rig *rig)
{
    assert_int_equal(atomic_load(&rig->relay.upgrades), 0);
    assert_int_equal(atomic_load(&rig->relay.posts), 0);
    assert_true(atomic_load(&rig->relay.refusals) > 0);
}

/* An authority of the same name, as when one has been made anew. */
static void given_another_authority_when_run_then_nothing_is_sent_and_the_cause_named(void **state)
{
    struct rig *rig = *state;
    struct tls_relay other;
    const char *const flags[] = {NULL};
    tls_relay_start(&other, 1, "localhost", false);
    write_config(rig, "ca_file: other.pem\n"
                      "client_certificate_file: client.pem\n"
                      "client_key_file: client.key\n");
    copy_file(rig, other.ca_file, "other.pem");
    tls_relay_stop(&other);
    start_agent(rig, flags, "the certificate is not trusted here: install the backend's CA");
    stop_agent(rig);
    assert_doctor_refuses(rig, "FAIL  http", "the certificate is not trusted here");
    assert_nothing_came_through(rig);
}

static void given_no_client_certificate_when_run_then_the_cause_named(void **state)
{
    struct rig *rig = *state;
    const char *const flags[] = {NULL};
    write_config(rig, "ca_file: ca.pem\n");
    start_agent(rig, flags, "the backend wants a client certificate");
    stop_agent(rig);
    assert_doctor_refuses(rig, "certificate required",
                          "give one by --client-certificate-file and --client-key-file");
    assert_nothing_came_through(rig);
}

static void given_a_file_that_is_missing_when_run_then_configuration_is_the_exit_code(void **state)
{
    struct rig *rig = *state;
    char config[128];
    char missing[128];
    struct process_outcome outcome;
    write_config(rig, "ca_file: no-such.pem\n");
    (void)snprintf(config, sizeof config, "%s", agent_fixture_path(rig->backend, "agent.yaml"));
    (void)snprintf(missing, sizeof missing, "%s: No such file",
                   agent_fixture_path(rig->backend, "no-such.pem"));
    const char *arguments[] = {"run", "--config", config, NULL};
    agent_fixture_run_agent(rig->backend, arguments, NULL, &outcome);
    assert_int_equal(outcome.end, PROCESS_EXITED);
    assert_int_equal(outcome.detail, EXIT_CODE_CONFIGURATION);
    assert_non_null(strstr(rig->backend->errors.data, missing));
    marline__buffer_deinit(&outcome.output);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_tls_in_the_file_when_tests_run_then_both_channels_use_it),
        TEST(given_tls_by_flags_when_tests_run_then_both_channels_use_it),
        TEST(given_another_authority_when_run_then_nothing_is_sent_and_the_cause_named),
        TEST(given_no_client_certificate_when_run_then_the_cause_named),
        TEST(given_a_file_that_is_missing_when_run_then_configuration_is_the_exit_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
