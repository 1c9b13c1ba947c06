/* How an operator holds marline-agent run: signals, reload, health, the service manager, --once. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/program.h"
#include "agent_fixture.h"
#include "base/clock.h"
#include "base/memory.h"
#include "io/http_client.h"
#include "programs/exit_code.h"

enum { START_MS = 20000, STOP_MS = 30000 };

struct fixture {
    struct agent_fixture *backend;
    struct program agent;
    char config[256];
    char log[256];
};

static const char one_endpoint[] = "endpoints:\n"
                                   "  - {name: echo, exec: [/bin/cat]}\n";
static const char hanging_endpoint[] =
    "endpoints:\n"
    "  - {name: hang, exec: [/usr/bin/tail, -f, /dev/null], timeout_ms: 60000}\n";

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.backend = agent_fixture_create()};
    if (!f.backend) {
        return -1;
    }
    (void)snprintf(f.config, sizeof f.config, "%s/agent.yaml", f.backend->folder);
    (void)snprintf(f.log, sizeof f.log, "%s/agent.log", f.backend->folder);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    program_stop(&f->agent);
    agent_fixture_destroy(f->backend);
    return 0;
}

static void write_config(struct fixture *f, const char *text)
{
    assert_true(agent_fixture_write(f->backend, "agent.yaml", text));
}

/* Up to two more arguments. */
static void start(struct fixture *f, const char *config, const char *first, const char *second)
{
    const char *arguments[] = {"marline-agent", "run", "--config", f->config, first, second, NULL};
    write_config(f, config);
    assert_true(agent_fixture_start_agent(f->backend, &f->agent, arguments));
    assert_true(program_wait_for_text(&f->agent, f->log, "ready for tests", START_MS));
}

static void assert_passes(struct fixture *f, const char *name)
{
    cJSON *result = agent_fixture_run_test(f->backend, name, "{\"input\":\"x\"}");
    assert_non_null(result);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(result, "status")), "Pass");
    cJSON_Delete(result);
}

static void given_new_configuration_when_hup_then_served_on_the_same_connection(void **state)
{
    struct fixture *f = *state;
    start(f, one_endpoint, NULL, NULL);
    assert_passes(f, "echo");
    write_config(f, "endpoints:\n"
                    "  - {name: second, exec: [/bin/cat]}\n"
                    "  - {name: echo, exec: [/bin/echo, changed]}\n");
    program_signal(&f->agent, SIGHUP);
    assert_true(program_wait_for_text(&f->agent, f->log, "configuration reloaded: 2", START_MS));
    assert_passes(f, "second");
    cJSON *result = agent_fixture_run_test(f->backend, "echo", "{}");
    const cJSON *output = cJSON_GetObjectItem(result, "output");
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(output, "output")), "changed");
    cJSON_Delete(result);
    char *log = program_read_file(f->log);
    const char *first = strstr(log, "testing channel: connecting");
    assert_non_null(first);
    assert_null(strstr(first + 1, "testing channel: connecting"));
    marline__memory_free(log);
}

static void given_broken_configuration_when_hup_then_the_old_one_stays(void **state)
{
    struct fixture *f = *state;
    start(f, one_endpoint, NULL, NULL);
    write_config(f, "endpoints: nonsense\n");
    program_signal(&f->agent, SIGHUP);
    assert_true(program_wait_for_text(&f->agent, f->log, "configuration not reloaded", START_MS));
    assert_passes(f, "echo");
}

static void given_once_when_a_result_was_sent_then_exit_0(void **state)
{
    struct fixture *f = *state;
    start(f, one_endpoint, "--once", NULL);
    assert_passes(f, "echo");
    assert_true(program_wait(&f->agent, STOP_MS));
    assert_int_equal(program_exit_status(&f->agent), EXIT_CODE_OK);
}

static cJSON *start_run(struct fixture *f, const char *name)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"project_id\":\"%s\",\"tests\":[{\"function_name\":\"%s\",\"inputs\":{}}]}",
                   f->backend->project_id, name);
    return agent_fixture_call(f->backend, "POST", "/mock/runs", body);
}

static void given_work_that_hangs_when_signaled_twice_then_canceled_and_exit_0(void **state)
{
    struct fixture *f = *state;
    start(f, hanging_endpoint, "--log-level=debug", NULL);
    cJSON_Delete(start_run(f, "hang"));
    assert_true(program_wait_for_text(&f->agent, f->log, "hang: invocation", START_MS));
    program_signal(&f->agent, SIGTERM);
    assert_true(program_wait_for_text(&f->agent, f->log, "SIGTERM received", START_MS));
    uint64_t start_ns = marline__clock_monotonic_ns(marline__clock_system());
    program_signal(&f->agent, SIGTERM);
    assert_true(program_wait(&f->agent, STOP_MS));
    uint64_t used = marline__clock_monotonic_ns(marline__clock_system()) - start_ns;
    assert_true(used < 20 * NS_PER_S); /* the drain alone would take 30 s */
    assert_int_equal(program_exit_status(&f->agent), EXIT_CODE_OK);
}

static const char stubborn_endpoint[] =
    "endpoints:\n"
    "  - {name: hang, exec: [/bin/sh, -c, 'trap \"\" TERM; exec tail -f /dev/null']}\n";

static void given_work_that_ignores_term_when_signaled_thrice_then_left_at_once(void **state)
{
    struct fixture *f = *state;
    start(f, stubborn_endpoint, "--log-level=debug", NULL);
    cJSON_Delete(start_run(f, "hang"));
    assert_true(program_wait_for_text(&f->agent, f->log, "hang: invocation", START_MS));
    program_signal(&f->agent, SIGTERM);
    assert_true(program_wait_for_text(&f->agent, f->log, "SIGTERM received", START_MS));
    program_signal(&f->agent, SIGTERM);
    assert_true(program_wait_for_text(&f->agent, f->log, "second signal", START_MS));
    program_signal(&f->agent, SIGTERM);
    assert_true(program_wait(&f->agent, STOP_MS));
    int status = program_exit_status(&f->agent);
    /* it may have been about to end by itself */
    assert_true(status == 128 + SIGTERM || status == EXIT_CODE_OK || status == -1);
}

/* The status of one GET, with the body in `out`, which ends with a NUL. */
static int get(struct fixture *f, const char *base, const char *path, struct buffer *out)
{
    char url[160];
    struct http_response response = HTTP_RESPONSE_INIT;
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    struct http_request request = {.url = url, .timeout_ms = START_MS};
    assert_int_equal(marline__http_client_perform(f->backend->http, &request, &response, NULL), 0);
    marline__buffer_clear(out);
    marline__buffer_append_slice(out, marline__buffer_slice(&response.body));
    int status = response.status;
    marline__http_response_deinit(&response);
    return status;
}

/* Until the agent knows of the backend's acknowledgement, which may come after the run's end. */
static void wait_for_delivery(struct fixture *f, const char *base, struct buffer *body)
{
    enum { LOOK_MS = 20 };
    for (int i = 0; i < START_MS / LOOK_MS; i++) {
        assert_int_equal(get(f, base, "/metrics", body), 200);
        if (strstr(body->data, "\nmarline_agent_results_undelivered 0\n")) {
            return;
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
    fail_msg("never delivered: %s", body->data);
}

static void given_health_port_when_asked_then_life_readiness_and_metrics(void **state)
{
    struct fixture *f = *state;
    struct buffer body = BUFFER_INIT;
    char base[64];
    start(f, one_endpoint, "--health-listen", "127.0.0.1:0");
    assert_passes(f, "echo");
    char *log = program_read_file(f->log);
    const char *port = strstr(log, "health on port ");
    assert_non_null(port);
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%ld",
                   strtol(port + strlen("health on port "), NULL, 10));
    marline__memory_free(log);
    assert_int_equal(get(f, base, "/healthz", &body), 200);
    assert_string_equal(body.data, "{\"healthy\":true,\"state\":\"registered\",\"away_s\":0}\n");
    assert_int_equal(get(f, base, "/readyz", &body), 200);
    wait_for_delivery(f, base, &body);
    assert_non_null(strstr(body.data, "\nmarline_agent_registered 1\n"));
    assert_non_null(strstr(body.data, "\nmarline_agent_invocations_total 1\n"));
    assert_non_null(strstr(body.data, "\nmarline_agent_spans_started_total 2\n"));
    assert_null(strstr(body.data, "\nmarline_agent_last_contact_seconds 0\n"));
    assert_int_equal(get(f, base, "/none", &body), 404);
    program_stop(&f->backend->backend);
    assert_true(program_wait_for_text(&f->agent, f->log, "connecting again", START_MS));
    marline__buffer_deinit(&body);
}

static void expect_state(int fd, const char *text)
{
    char message[256] = "";
    ssize_t size = recv(fd, message, sizeof message - 1, 0);
    assert_true(size > 0);
    if (!strstr(message, text)) {
        fail_msg("the manager heard '%s' instead of %s", message, text);
    }
}

static void given_service_manager_when_run_then_ready_watchdog_and_stopping(void **state)
{
    struct fixture *f = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", f->backend->folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {20, 0};
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
    start(f, one_endpoint, NULL, NULL);
    assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
    expect_state(fd, "READY=1");
    program_signal(&f->agent, SIGTERM);
    expect_state(fd, "STOPPING=1");
    assert_true(program_wait(&f->agent, STOP_MS));
    (void)close(fd);
}

static void given_foreign_project_when_run_then_the_log_names_cause_and_fix(void **state)
{
    struct fixture *f = *state;
    const char *arguments[] = {"marline-agent",
                               "run",
                               "--exec",
                               "a=/bin/cat",
                               "--project-id",
                               "99999999-9999-4999-8999-999999999999",
                               NULL};
    assert_true(agent_fixture_start_agent(f->backend, &f->agent, arguments));
    assert_true(program_wait_for_text(&f->agent, f->log, "check RHESIS_PROJECT_ID", START_MS));
}

/* As doctor would, in the agent's own log, and once. */
static void given_backend_out_of_reach_when_run_then_the_log_names_cause_and_fix(void **state)
{
    static const struct {
        const char *url;
        const char *text;
    } cases[] = {
        {"http://127.0.0.1:9",
         "127.0.0.1 port 9: Connection refused; nothing listens there: start the backend"},
        {"http://no-such-host.invalid", "check the host in RHESIS_BASE_URL"},
        {"https:", "check scheme"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[160];
        bool is_tls = strcmp(cases[i].url, "https:") == 0;
        (void)snprintf(url, sizeof url, "%s%s", cases[i].url,
                       is_tls ? f->backend->base_url + strlen("http:") : "");
        const char *arguments[] = {"marline-agent", "run", "--exec", "a=/bin/cat",
                                   "--base-url",    url,   NULL};
        assert_true(agent_fixture_start_agent(f->backend, &f->agent, arguments));
        assert_true(program_wait_for_text(&f->agent, f->log, cases[i].text, START_MS));
        program_stop(&f->agent);
    }
}

static void given_dry_run_when_started_then_the_plan_and_exit_0(void **state)
{
    struct fixture *f = *state;
    struct process_outcome outcome;
    write_config(f, one_endpoint);
    const char *arguments[] = {"run",       "--config", f->config,
                               "--dry-run", "--plugin", MARLINE_LIB_DIR "/plugin-greet.so",
                               NULL};
    agent_fixture_run_agent(f->backend, arguments, NULL, &outcome);
    assert_int_equal(outcome.detail, EXIT_CODE_OK);
    marline__buffer_append_byte(&outcome.output, '\0');
    assert_non_null(strstr(outcome.output.data, "settings are in order: project "));
    assert_non_null(strstr(outcome.output.data, "echo                     exec    /bin/cat"));
    assert_non_null(strstr(outcome.output.data, "timeout 120000 ms, output up to 921600 bytes"));
    assert_non_null(strstr(outcome.output.data, "greet                    plugin, loaded"));
    marline__buffer_deinit(&outcome.output);
}

static void given_settings_when_shown_then_origins_and_no_secret(void **state)
{
    struct fixture *f = *state;
    struct process_outcome outcome;
    write_config(f, "concurrency: 3\n");
    const char *arguments[] = {
        "config", "show", "--origin", "--config", f->config, "--log-format=json", NULL};
    agent_fixture_run_agent(f->backend, arguments, NULL, &outcome);
    marline__buffer_append_byte(&outcome.output, '\0');
    assert_int_equal(outcome.detail, EXIT_CODE_OK);
    assert_non_null(strstr(outcome.output.data, "# RHESIS_BASE_URL\n"));
    assert_non_null(strstr(outcome.output.data, "concurrency: 3  # "));
    assert_non_null(strstr(outcome.output.data, "agent.yaml:1\n"));
    assert_non_null(strstr(outcome.output.data, "log_format: json  # flag\n"));
    assert_non_null(strstr(outcome.output.data, "export_interval_ms: 5000  # default\n"));
    assert_non_null(strstr(outcome.output.data, "api_key: (set, not shown)"));
    assert_null(strstr(outcome.output.data, f->backend->api_key));
    marline__buffer_deinit(&outcome.output);
}

static void given_json_log_when_invoked_then_lines_are_objects_and_carry_the_trace(void **state)
{
    struct fixture *f = *state;
    start(f, "endpoints:\n  - {name: talk, exec: [/bin/sh, -c, 'echo hi >&2; echo out']}\n",
          "--log-format=json", NULL);
    cJSON *result = agent_fixture_run_test(f->backend, "talk", "{}");
    const char *trace_id = cJSON_GetStringValue(cJSON_GetObjectItem(result, "trace_id"));
    assert_non_null(trace_id);
    char *log = program_read_file(f->log);
    const char *line = strstr(log, "talk: hi");
    assert_non_null(line);
    assert_non_null(strstr(line, trace_id));
    cJSON *first = cJSON_ParseWithLength(log, strcspn(log, "\n"));
    assert_true(cJSON_IsString(cJSON_GetObjectItem(first, "time")));
    assert_true(cJSON_IsString(cJSON_GetObjectItem(first, "level")));
    cJSON_Delete(first);
    marline__memory_free(log);
    cJSON_Delete(result);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_new_configuration_when_hup_then_served_on_the_same_connection),
        TEST(given_broken_configuration_when_hup_then_the_old_one_stays),
        TEST(given_once_when_a_result_was_sent_then_exit_0),
        TEST(given_work_that_hangs_when_signaled_twice_then_canceled_and_exit_0),
        TEST(given_work_that_ignores_term_when_signaled_thrice_then_left_at_once),
        TEST(given_health_port_when_asked_then_life_readiness_and_metrics),
        TEST(given_service_manager_when_run_then_ready_watchdog_and_stopping),
        TEST(given_foreign_project_when_run_then_the_log_names_cause_and_fix),
        TEST(given_backend_out_of_reach_when_run_then_the_log_names_cause_and_fix),
        TEST(given_dry_run_when_started_then_the_plan_and_exit_0),
        TEST(given_settings_when_shown_then_origins_and_no_secret),
        TEST(given_json_log_when_invoked_then_lines_are_objects_and_carry_the_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
