/* marline-agent dead-letters beside a running agent, and without one: what is retried goes on in
 * the trace of its failure, as the backend sees it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/program.h"
#include "agent_fixture.h"
#include "base/memory.h"
#include "programs/exit_code.h"

enum { START_MS = 20000 };

struct fixture {
    struct agent_fixture *backend;
    struct program agent;
    char config[256];
    char log[256];
    char outbox[256];
};

static const char without_it[] = "endpoints:\n  - {name: echo, exec: [/bin/cat]}\n";
static const char with_it[] = "endpoints:\n  - {name: later, exec: [/bin/cat]}\n";

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.backend = agent_fixture_create()};
    if (!f.backend) {
        return -1;
    }
    (void)snprintf(f.config, sizeof f.config, "%s/agent.yaml", f.backend->folder);
    (void)snprintf(f.log, sizeof f.log, "%s/agent.log", f.backend->folder);
    (void)snprintf(f.outbox, sizeof f.outbox, "%s/outbox.db", f.backend->folder);
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

/* Its log starts anew. */
static void start_agent(struct fixture *f, const char *config)
{
    const char *arguments[] = {
        "marline-agent",        "run", "--config", f->config, "--outbox", f->outbox,
        "--export-interval-ms", "100", NULL};
    write_config(f, config);
    (void)unlink(f->log);
    assert_true(agent_fixture_start_agent(f->backend, &f->agent, arguments));
    assert_true(program_wait_for_text(&f->agent, f->log, "ready for tests", START_MS));
}

/* The command's exit code is to be `code`, and its output is to hold the text. */
static void dead_letters(struct fixture *f, const char *verb, const char *number, int code,
                         const char *text)
{
    struct process_outcome outcome;
    const char *arguments[] = {"dead-letters", verb, "--outbox", f->outbox, NULL, NULL};
    if (number) {
        arguments[2] = number;
        arguments[3] = "--outbox";
        arguments[4] = f->outbox;
    }
    agent_fixture_run_agent(f->backend, arguments, NULL, &outcome);
    marline__buffer_append_byte(&outcome.output, '\0');
    if (outcome.detail != code || !strstr(outcome.output.data, text)) {
        fail_msg("dead-letters %s: exit %d, %s%s", verb, outcome.detail, outcome.output.data,
                 f->backend->errors.data);
    }
    marline__buffer_deinit(&outcome.output);
}

/* Leaves dead letter 1, and the run's path in `out`. The result names the trace of the failure. */
static void be_refused(struct fixture *f, char out[128], char out_trace_id[64])
{
    cJSON *result = agent_fixture_run_test(f->backend, "later", "{\"input\":\"x\"}");
    assert_non_null(result);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(result, "status")), "Error");
    (void)snprintf(out, 128, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(result, "path")));
    const char *trace_id = cJSON_GetStringValue(cJSON_GetObjectItem(result, "trace_id"));
    (void)snprintf(out_trace_id, 64, "%s", trace_id ? trace_id : "none");
    cJSON_Delete(result);
    assert_true(program_wait_for_text(&f->agent, f->log, "is refused: Function 'later' not found",
                                      START_MS));
    dead_letters(f, "list", NULL, EXIT_CODE_OK, "Function 'later' not found");
    dead_letters(f, "show", "1", EXIT_CODE_OK, "\"_rhesis_test_context\"");
}

struct expected_spans {
    int count;
};

static bool are_linked(const cJSON *body, const void *user)
{
    const struct expected_spans *e = user;
    const cJSON *result = cJSON_GetArrayItem(cJSON_GetObjectItem(body, "results"), 0);
    const cJSON *spans = cJSON_GetObjectItem(result, "spans");
    const cJSON *linked = cJSON_GetObjectItem(result, "linked");
    return cJSON_IsNumber(spans) && spans->valueint == e->count && cJSON_IsNumber(linked) &&
           linked->valueint == e->count;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
    return text ? text : "";
}

/* At the backend there is one trace: the failure, and under it the retry, which links to it. */
static void assert_retry_continues_failure(struct fixture *f, const char *run_path,
                                           const char *trace_id, int span_count)
{
    const struct expected_spans expected = {span_count};
    char path[192];
    assert_true(agent_fixture_wait(f->backend, run_path, are_linked, &expected));
    (void)snprintf(path, sizeof path, "/telemetry/traces?project_id=%s", f->backend->project_id);
    cJSON *list = agent_fixture_call(f->backend, "GET", path, NULL);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(list, "traces")), 1);
    const cJSON *trace = cJSON_GetArrayItem(cJSON_GetObjectItem(list, "traces"), 0);
    (void)snprintf(path, sizeof path, "/telemetry/traces/%s?project_id=%s",
                   text_of(trace, "trace_id"), f->backend->project_id);
    cJSON *detail = agent_fixture_call(f->backend, "GET", path, NULL);
    const cJSON *roots = cJSON_GetObjectItem(detail, "root_spans");
    assert_int_equal(cJSON_GetArraySize(roots), 1);
    const cJSON *failure = cJSON_GetArrayItem(roots, 0);
    assert_string_equal(text_of(failure, "status_code"), "ERROR");
    const cJSON *retry = failure; /* each refused attempt is the child of the one before */
    while (cJSON_GetArraySize(cJSON_GetObjectItem(retry, "children")) > 0 &&
           strcmp(text_of(retry, "status_code"), "ERROR") == 0) {
        const cJSON *next = cJSON_GetArrayItem(cJSON_GetObjectItem(retry, "children"), 0);
        const cJSON *link = cJSON_GetArrayItem(cJSON_GetObjectItem(next, "links"), 0);
        assert_string_equal(text_of(link, "trace_id"), text_of(detail, "trace_id"));
        assert_string_equal(text_of(link, "span_id"), text_of(retry, "span_id"));
        retry = next;
    }
    assert_string_equal(text_of(retry, "status_code"), "OK");
    assert_string_equal(text_of(retry, "span_name"), "function.later");
    assert_string_equal(text_of(detail, "trace_id"), trace_id);
    cJSON_Delete(detail);
    cJSON_Delete(list);
}

static void
given_running_agent_when_another_process_retries_then_the_trace_of_the_failure_goes_on(void **state)
{
    struct fixture *f = *state;
    char run[128];
    char trace_id[64];
    start_agent(f, without_it);
    be_refused(f, run, trace_id);
    dead_letters(f, "retry", "1", EXIT_CODE_CHECK_FAILED, "refused again, now dead letter 2");
    write_config(f, with_it);
    program_signal(&f->agent, SIGHUP);
    assert_true(program_wait_for_text(&f->agent, f->log, "configuration reloaded", START_MS));
    dead_letters(f, "retry", "2", EXIT_CODE_OK, "taken by the agent; goes on in trace");
    dead_letters(f, "list", NULL, EXIT_CODE_OK, "no dead letters");
    dead_letters(f, "retry", "2", EXIT_CODE_USAGE, "");
    /* two failures, the retry, and the program that it called */
    assert_retry_continues_failure(f, run, trace_id, 4);
}

static void given_no_agent_when_retried_then_the_next_to_start_continues_the_trace(void **state)
{
    struct fixture *f = *state;
    char run[128];
    char trace_id[64];
    start_agent(f, without_it);
    be_refused(f, run, trace_id);
    program_stop(&f->agent);
    dead_letters(f, "retry", "all", EXIT_CODE_OK, "waits for an agent of ws://");
    dead_letters(f, "show", "1", EXIT_CODE_OK, "waits for an agent");
    start_agent(f, with_it);
    assert_true(program_wait_for_text(&f->agent, f->log, "succeeded", START_MS));
    dead_letters(f, "list", NULL, EXIT_CODE_OK, "no dead letters");
    assert_retry_continues_failure(f, run, trace_id, 3);
}

static void given_help_asked_for_when_printed_then_its_own_options_alone(void **state)
{
    struct fixture *f = *state;
    struct process_outcome outcome;
    const char *arguments[] = {"dead-letters", "list", "--help", NULL};
    agent_fixture_run_agent(f->backend, arguments, NULL, &outcome);
    marline__buffer_append_byte(&outcome.output, '\0');
    assert_non_null(strstr(outcome.output.data, "--outbox FILE"));
    assert_null(strstr(outcome.output.data, "--plugin"));
    marline__buffer_deinit(&outcome.output);
}

#define AGENT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AGENT(
            given_running_agent_when_another_process_retries_then_the_trace_of_the_failure_goes_on),
        AGENT(given_help_asked_for_when_printed_then_its_own_options_alone),
        AGENT(given_no_agent_when_retried_then_the_next_to_start_continues_the_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
