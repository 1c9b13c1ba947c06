/* Metrics of all kinds from a configuration file, and where plugins may come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../support/http_peer.h"
#include "../support/program.h"
#include "agent_fixture.h"
#include "base/memory.h"
#include "programs/exit_code.h"

enum { START_MS = 20000 };

#define PLUGIN MARLINE_LIB_DIR "/plugin-brevity.so"

struct fixture {
    struct agent_fixture *backend;
    struct http_peer *service;
    struct program agent;
};

static const struct http_peer_step answers[] = {
    {.status = 200, .body = "{\"rating\":{\"value\":\"good\"},\"why\":{\"length\":3}}"},
};

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.backend = agent_fixture_create()};
    if (!f.backend) {
        return -1;
    }
    f.service = http_peer_start(answers, 1);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    program_stop(&f->agent);
    http_peer_stop(f->service);
    agent_fixture_destroy(f->backend);
    return 0;
}

static const char config[] =
    "plugins: [" PLUGIN "]\n"
    "metrics:\n"
    "  - {name: number, exec: [/bin/echo, '0.25'], score_type: numeric}\n"
    "  - {name: verdict, exec: [/bin/echo, 'true'], score_type: binary}\n"
    "  - {name: word, exec: [/bin/echo, fair], score_type: categorical}\n"
    "  - {name: explained, exec: [/bin/echo, '{\"score\":1,\"details\":{\"a\":2}}'],\n"
    "     wants: [expected_output, context]}\n"
    "  - {name: scoreless, exec: [/bin/echo, '{\"output\":1}']}\n"
    "  - {name: broken, exec: [/bin/sh, -c, 'echo no >&2; exit 3']}\n"
    "  - {name: saw, exec: [/bin/sh, -c, 'grep -c expected_output || true'], wants: "
    "[expected_output]}\n"
    "  - name: rated\n"
    "    http:\n"
    "      url: %s/rate\n"
    "      body: {text: '{{ output }}'}\n"
    "      response: {score: /rating/value, details: /why}\n";

static void start(struct fixture *f)
{
    char path[256];
    char log[256];
    (void)snprintf(path, sizeof path, "%s", agent_fixture_path(f->backend, "agent.yaml"));
    (void)snprintf(log, sizeof log, "%s", agent_fixture_path(f->backend, "agent.log"));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file, config, http_peer_url(f->service)) > 0);
    assert_int_equal(fclose(file), 0);
    const char *arguments[] = {"marline-agent",      "run",           "--config", path,
                               "--plugin-directory", MARLINE_LIB_DIR, NULL};
    assert_true(agent_fixture_start_agent(f->backend, &f->agent, arguments));
    assert_true(program_wait_for_text(&f->agent, log, "ready for tests", START_MS));
}

static void assert_metric(struct fixture *f, const char *name, const char *text)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"metric_name\":\"%s\",\"inputs\":{\"input\":\"q\",\"output\":\"abc\","
                   "\"expected_output\":\"e\",\"context\":[]}}",
                   name);
    cJSON *answer = agent_fixture_call(f->backend, "POST", "/mock/metrics", body);
    assert_non_null(answer);
    char *json = cJSON_PrintUnformatted(answer);
    if (!strstr(json, text)) {
        fail_msg("%s: %s is not in %s", name, text, json);
    }
    cJSON_free(json);
    cJSON_Delete(answer);
}

static void given_metrics_of_every_kind_when_asked_then_scores_and_details(void **state)
{
    struct fixture *f = *state;
    start(f);
    assert_metric(f, "number", "\"score\":0.25");
    assert_metric(f, "verdict", "\"score\":true");
    assert_metric(f, "word", "\"score\":\"fair\"");
    assert_metric(f, "explained", "\"score\":1,\"details\":{\"a\":2}");
    assert_metric(f, "saw", "\"score\":1");
    assert_metric(f, "rated", "\"score\":\"good\",\"details\":{\"length\":3}");
    assert_metric(f, "brevity", "\"score\":0.25,\"details\":{\"unit\":\"bytes\"}");
    assert_metric(f, "scoreless", "an object without a score");
    assert_metric(f, "broken", "broken exited with status 3");
}

/* The agent is to refuse its arguments, and to say why. */
static void assert_refused(struct fixture *f, const char *const *arguments, const char *why)
{
    struct process_outcome outcome;
    agent_fixture_run_agent(f->backend, arguments, NULL, &outcome);
    marline__buffer_deinit(&outcome.output);
    if (outcome.detail != EXIT_CODE_CONFIGURATION || !strstr(f->backend->errors.data, why)) {
        fail_msg("exit %d, %s", outcome.detail, f->backend->errors.data);
    }
}

static void assert_plugin_refused(struct fixture *f, const char *plugin, const char *why)
{
    const char *arguments[] = {"run", "--dry-run", "--plugin", plugin, NULL};
    assert_refused(f, arguments, why);
}

static void assert_refused_from(struct fixture *f, const char *plugin, const char *folder,
                                const char *why)
{
    const char *arguments[] = {"run",  "--dry-run", "--plugin", plugin, "--plugin-directory",
                               folder, NULL};
    assert_refused(f, arguments, why);
}

static void given_plugin_directory_when_a_plugin_lies_elsewhere_then_refused(void **state)
{
    struct fixture *f = *state;
    char link[256];
    (void)snprintf(link, sizeof link, "%s", agent_fixture_path(f->backend, "plugin.so"));
    assert_refused_from(f, PLUGIN, f->backend->folder, "lies outside of plugin_directory");
    assert_int_equal(symlink(PLUGIN, link), 0);
    assert_refused_from(f, link, f->backend->folder, "lies outside of plugin_directory");
    assert_refused_from(f, PLUGIN, "/no/such", "plugin_directory /no/such: No such file");
}

static void given_plugin_that_anybody_may_write_when_loaded_then_refused(void **state)
{
    struct fixture *f = *state;
    char path[256];
    (void)snprintf(path, sizeof path, "%s", agent_fixture_path(f->backend, "loose.so"));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0666), 0);
    assert_plugin_refused(f, path, "every user may write");
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(chmod(f->backend->folder, 0777), 0);
    assert_plugin_refused(f, path, "chmod o-w");
    assert_int_equal(chmod(f->backend->folder, 0700), 0);
}

#define AGENT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AGENT(given_metrics_of_every_kind_when_asked_then_scores_and_details),
        AGENT(given_plugin_directory_when_a_plugin_lies_elsewhere_then_refused),
        AGENT(given_plugin_that_anybody_may_write_when_loaded_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
