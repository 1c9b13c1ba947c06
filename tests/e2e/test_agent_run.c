/* marline-agent run against a real backend-mock: plugins, programs, failures, and the drain. */
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

enum { START_MS = 20000, STOP_MS = 30000 };

struct fixture {
    struct agent_fixture *backend;
    struct program agent;
};

static const char config[] =
    "endpoints:\n"
    "  - {name: echo, exec: [/bin/cat]}\n"
    "  - {name: plain, exec: [/bin/echo, just text]}\n"
    "  - {name: silent, exec: ['/bin/true']}\n"
    "  - {name: failing, exec: [/bin/sh, -c, 'echo ValueError: bad input >&2; exit 3']}\n"
    "  - {name: dying, exec: [/bin/sh, -c, 'kill -ABRT $$']}\n"
    "  - {name: grumbling, exec: [/bin/sh, -c, 'echo only here >&2']}\n"
    "  - {name: garbled, exec: [/bin/sh, -c, 'printf \"a\\\\377b\"']}\n"
    "  - {name: unclosed, exec: [/bin/sh, -c, 'printf \"{\\\\042output\\\\042: 1\"']}\n"
    "  - {name: loud, output_max_bytes: 1000, exec: [/bin/sh, -c, 'yes | head -c 3000000']}\n"
    "  - {name: deaf, exec: [/bin/sh, -c, 'exec <&-; echo heard nothing']}\n"
    "  - {name: leaving, exec: [/bin/sh, -c, 'tail -f /dev/null & echo left']}\n"
    "  - {name: hanging, exec: [/usr/bin/tail, -f, /dev/null], timeout_ms: 300}\n"
    "  - {name: lines, process: long_lived, exec: [/bin/sh, lines.sh]}\n"
    "  - name: context\n"
    "    exec: [/bin/sh, -c, 'echo \"$TRACEPARENT $RHESIS_TEST_ID $RHESIS_API_KEY\"']\n";

/* Counts its calls; one that holds "fail" is answered with an error, "lie" with a foreign id. */
static const char lines_script[] =
    "n=0\n"
    "while read -r l; do\n"
    "  n=$((n+1)); id=$(echo \"$l\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')\n"
    "  case $l in\n"
    "  *fail*) echo \"{\\\"id\\\":\\\"$id\\\",\\\"error\\\":\\\"no luck\\\"}\";;\n"
    "  *lie*) echo '{\"id\":\"other\",\"output\":1}';;\n"
    "  *) echo \"{\\\"id\\\":\\\"$id\\\",\\\"output\\\":{\\\"output\\\":$n}}\";;\n"
    "  esac\n"
    "done\n";

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.backend = agent_fixture_create()};
    if (!f.backend || !agent_fixture_write(f.backend, "agent.yaml", config) ||
        !agent_fixture_write(f.backend, "lines.sh", lines_script)) {
        return -1;
    }
    char path[256];
    (void)snprintf(path, sizeof path, "%s", agent_fixture_path(f.backend, "agent.yaml"));
    const char *arguments[] = {"marline-agent",
                               "run",
                               "--config",
                               path,
                               "--plugin",
                               MARLINE_LIB_DIR "/plugin-greet.so",
                               "--export-interval-ms",
                               "600000", /* only the drain may flush */
                               NULL};
    *state = &f;
    return agent_fixture_start_agent(f.backend, &f.agent, arguments) &&
                   program_wait_for_text(&f.agent, agent_fixture_path(f.backend, "agent.log"),
                                         "ready for tests", START_MS)
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    program_stop(&f->agent);
    agent_fixture_destroy(f->backend);
    return 0;
}

static void assert_result(struct fixture *f, const char *function_name, const char *inputs,
                          const char *status, const char *member, const char *text)
{
    cJSON *result = agent_fixture_run_test(f->backend, function_name, inputs);
    assert_non_null(result);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(result, "status")), status);
    char *json = cJSON_PrintUnformatted(cJSON_GetObjectItem(result, member));
    assert_non_null(json);
    if (!strstr(json, text)) {
        fail_msg("%s: %s is %s, without %s", function_name, member, json, text);
    }
    cJSON_free(json);
    cJSON_Delete(result);
}

static void given_plugin_when_invoked_then_its_output_is_the_result(void **state)
{
    assert_result(*state, "greet", "{\"input\":\"Ada\"}", "Pass", "output", "Hello, Ada!");
    assert_result(*state, "squares", "{\"n\":3}", "Pass", "output", "14");
    assert_result(*state, "squares", "{\"n\":0}", "Error", "error", "n must be from 1 to");
}

static void given_program_when_invoked_then_its_output_is_the_result(void **state)
{
    assert_result(*state, "echo", "{\"input\":\"x\\u00e9\",\"n\":12345678901234567}", "Pass",
                  "output", "\"input\":\"x");
    assert_result(*state, "plain", "{}", "Pass", "output", "{\"output\":\"just text\"}");
}

static void given_program_when_invoked_then_it_knows_test_and_trace_but_no_key(void **state)
{
    struct fixture *f = *state;
    cJSON *result = agent_fixture_run_test(f->backend, "context", "{}");
    assert_non_null(result);
    const char *output =
        cJSON_GetStringValue(cJSON_GetObjectItem(cJSON_GetObjectItem(result, "output"), "output"));
    const char *trace_id = cJSON_GetStringValue(cJSON_GetObjectItem(result, "trace_id"));
    const char *test_id = cJSON_GetStringValue(cJSON_GetObjectItem(result, "test_id"));
    assert_non_null(output);
    assert_non_null(trace_id);
    assert_non_null(test_id);
    assert_true(strncmp(output, "00-", 3) == 0);
    assert_true(strncmp(output + 3, trace_id, 32) == 0);
    assert_non_null(strstr(output, test_id));
    assert_null(strstr(output, f->backend->api_key));
    cJSON_Delete(result);
}

static void given_programs_that_fail_when_invoked_then_the_error_names_the_cause(void **state)
{
    assert_result(*state, "failing", "{}", "Error", "error",
                  "failing exited with status 3; last line of stderr: ValueError: bad input");
    assert_result(*state, "dying", "{}", "Error", "error", "dying was ended by signal 6");
    assert_result(*state, "silent", "{}", "Error", "error", "wrote nothing to stdout");
    assert_result(*state, "hanging", "{}", "Error", "error", "hanging timed out after 300 ms");
    assert_result(*state, "echo", "{\"input\":\"still here\"}", "Pass", "output", "still here");
}

static void given_programs_that_misbehave_when_invoked_then_each_result_is_sound(void **state)
{
    assert_result(*state, "grumbling", "{}", "Error", "error",
                  "a result is expected there; last line of stderr: only here");
    assert_result(*state, "garbled", "{}", "Pass", "output", "\"a\357\277\275b\"");
    assert_result(*state, "unclosed", "{}", "Pass", "output", "\"{\\\"output\\\": 1\"");
    assert_result(*state, "loud", "{}", "Error", "error", "more than 1000 bytes");
    assert_result(*state, "deaf", "{\"input\":\"hello\"}", "Pass", "output", "heard nothing");
    assert_result(*state, "leaving", "{}", "Pass", "output", "\"left\"");
    assert_result(*state, "echo", "{\"input\":\"still here\"}", "Pass", "output", "still here");
}

static void given_long_lived_program_when_invoked_often_then_it_stays(void **state)
{
    assert_result(*state, "lines", "{}", "Pass", "output", "{\"output\":1}");
    assert_result(*state, "lines", "{}", "Pass", "output", "{\"output\":2}");
    assert_result(*state, "lines", "{\"do\":\"fail\"}", "Error", "error", "no luck");
    assert_result(*state, "lines", "{}", "Pass", "output", "{\"output\":4}");
    assert_result(*state, "lines", "{\"do\":\"lie\"}", "Error", "error",
                  "answered with a line that is not");
    assert_result(*state, "lines", "{}", "Pass", "output", "{\"output\":1}");
}

static bool all_linked(const cJSON *body, const void *user)
{
    (void)user;
    const cJSON *result = cJSON_GetArrayItem(cJSON_GetObjectItem(body, "results"), 0);
    const cJSON *spans = cJSON_GetObjectItem(result, "spans");
    const cJSON *linked = cJSON_GetObjectItem(result, "linked");
    return cJSON_IsNumber(spans) && cJSON_IsNumber(linked) && spans->valueint == 2 &&
           linked->valueint == 2;
}

static void given_term_when_running_then_spans_are_flushed_and_exit_is_0(void **state)
{
    struct fixture *f = *state;
    cJSON *result = agent_fixture_run_test(f->backend, "plain", "{}");
    assert_non_null(result);
    assert_int_equal(cJSON_GetObjectItem(result, "spans")->valueint, 0);
    program_signal(&f->agent, SIGTERM);
    assert_true(program_wait(&f->agent, STOP_MS));
    assert_int_equal(program_exit_status(&f->agent), EXIT_CODE_OK);
    /* The invocation's span and the program's: both arrived with the drain, both are linked. */
    assert_true(agent_fixture_wait(
        f->backend, cJSON_GetStringValue(cJSON_GetObjectItem(result, "path")), all_linked, NULL));
    cJSON_Delete(result);
}

struct refusal {
    const char *arguments[8];
    const char *environment[2];
    int exit_code;
    const char *text;
};

static void given_bad_input_when_started_then_cause_named_and_exit_code_documented(void **state)
{
    static const struct refusal refusals[] = {
        {{"run"}, {NULL}, EXIT_CODE_CONFIGURATION, "nothing to serve"},
        {{"run", "--plugin", "/no/such.so"}, {NULL}, EXIT_CODE_CONFIGURATION, "No such file"},
        {{"run", "--plugin", MARLINE_LIB_DIR "/plugin-greet.so", "--exec", "greet=/bin/cat"},
         {NULL},
         EXIT_CODE_CONFIGURATION,
         "a plugin declares an endpoint 'greet' too"},
        {{"run", "--exec", "a=/bin/cat", "--outbox", "/no/such/box.db"},
         {NULL},
         EXIT_CODE_CONFIGURATION,
         "does its folder exist"},
        {{"run", "--plugin", "/etc/passwd"}, {NULL}, EXIT_CODE_CONFIGURATION, "-shared -fPIC"},
        {{"run", "--plugin", MARLINE_LIB_DIR "/libmarline.so"},
         {NULL},
         EXIT_CODE_CONFIGURATION,
         "declares no endpoint"},
        {{"run", "--plugin", MARLINE_LIB_DIR "/plugin-greet.so", "--plugin",
          MARLINE_LIB_DIR "/./plugin-greet.so"},
         {NULL},
         EXIT_CODE_CONFIGURATION,
         "is listed already at --plugin; list it once"},
        {{"run", "--exec", "a=/no/such"}, {NULL}, EXIT_CODE_CONFIGURATION, "cannot run /no/such"},
        {{"run", "--config", "/no/such.yaml"}, {NULL}, EXIT_CODE_CONFIGURATION, "No such file"},
        {{"run", "--plugn", "a"}, {NULL}, EXIT_CODE_USAGE, "See: marline-agent run --help"},
        {{"run", "--exec", "a=/bin/cat"},
         {"RHESIS_API_KEY="},
         EXIT_CODE_CONFIGURATION,
         "set RHESIS_API_KEY, or name a file that holds it with --api-key-file, "
         "RHESIS_API_KEY_FILE or api_key_file"},
        {{"run", "--exec", "a=/bin/cat"}, {"RHESIS_API_KEY=rh-wrong"}, EXIT_CODE_REFUSED, "403"},
        {{"run", "--exec", "a=/bin/cat"},
         {"RHESIS_API_KEY=rh-wrong"},
         EXIT_CODE_REFUSED,
         "refuses this agent; give a valid key by RHESIS_API_KEY, --api-key-file, "
         "RHESIS_API_KEY_FILE or api_key_file"},
        {{"run", "--exec", "a=/bin/cat", "--environment", "moon"},
         {NULL},
         EXIT_CODE_CONFIGURATION,
         "environment 'moon'"},
        {{"rnu"}, {NULL}, EXIT_CODE_USAGE, "did you mean 'run'?"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct process_outcome outcome;
        agent_fixture_run_agent(f->backend, refusals[i].arguments, refusals[i].environment,
                                &outcome);
        if (outcome.end != PROCESS_EXITED || outcome.detail != refusals[i].exit_code ||
            !strstr(f->backend->errors.data, refusals[i].text)) {
            fail_msg("case %zu: exit %d, %s", i, outcome.detail, f->backend->errors.data);
        }
        marline__buffer_deinit(&outcome.output);
    }
}

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}

static void
given_key_that_is_refused_when_run_then_told_once_with_every_way_to_give_one(void **state)
{
    struct fixture *f = *state;
    const char *arguments[] = {"run", "--exec", "a=/bin/cat", NULL};
    const char *environment[] = {"RHESIS_API_KEY=rh-wrong", NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(f->backend, arguments, environment, &outcome);
    assert_int_equal(outcome.detail, EXIT_CODE_REFUSED);
    assert_int_equal(count_of(f->backend->errors.data, "HTTP 403"), 1);
    assert_int_equal(count_of(f->backend->errors.data, "--api-key-file"), 1);
    marline__buffer_deinit(&outcome.output);
}

/* Code points of the longest line. */
static size_t longest_line(const char *text)
{
    size_t longest = 0;
    size_t columns = 0;
    for (; *text; text++) {
        columns = *text == '\n' ? 0 : columns + (((unsigned char)*text & 0xC0u) != 0x80u);
        longest = columns > longest ? columns : longest;
    }
    return longest;
}

static void given_help_when_asked_then_it_fits_a_terminal_and_has_exit_codes(void **state)
{
    static const char *const commands[] = {"run", "check", "doctor", "config", "dead-letters"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const char *arguments[] = {commands[i], "--help", NULL};
        struct process_outcome outcome;
        agent_fixture_run_agent(f->backend, arguments, NULL, &outcome);
        marline__buffer_append_byte(&outcome.output, '\0');
        assert_int_equal(outcome.detail, EXIT_CODE_OK);
        assert_non_null(strstr(outcome.output.data, "  marline-agent "));
        assert_non_null(strstr(outcome.output.data, "Exit codes:"));
        /* dead-letters asks no backend */
        bool is_local = strcmp(commands[i], "dead-letters") == 0;
        assert_non_null(
            strstr(outcome.output.data, is_local ? "MARLINE_OUTBOX" : "RHESIS_API_KEY"));
        assert_in_range(longest_line(outcome.output.data), 40, 80);
        marline__buffer_deinit(&outcome.output);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_plugin_when_invoked_then_its_output_is_the_result),
        cmocka_unit_test(given_program_when_invoked_then_its_output_is_the_result),
        cmocka_unit_test(given_program_when_invoked_then_it_knows_test_and_trace_but_no_key),
        cmocka_unit_test(given_programs_that_fail_when_invoked_then_the_error_names_the_cause),
        cmocka_unit_test(given_programs_that_misbehave_when_invoked_then_each_result_is_sound),
        cmocka_unit_test(given_long_lived_program_when_invoked_often_then_it_stays),
        cmocka_unit_test(given_bad_input_when_started_then_cause_named_and_exit_code_documented),
        cmocka_unit_test(
            given_key_that_is_refused_when_run_then_told_once_with_every_way_to_give_one),
        cmocka_unit_test(given_help_when_asked_then_it_fits_a_terminal_and_has_exit_codes),
        cmocka_unit_test(given_term_when_running_then_spans_are_flushed_and_exit_is_0),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
