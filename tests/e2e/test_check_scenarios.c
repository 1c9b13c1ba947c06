/* marline-agent check as a first command: a backend of its own, every scenario, both ways to flush.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/program.h"
#include "agent_fixture.h"
#include "base/memory.h"
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

static void given_good_backend_of_its_own_when_checked_then_every_scenario_passes(void **state)
{
    const char *arguments[] = {"check",  "--self-contained",         "--scenario=all",
                               "--json", "--export-interval-ms=600", NULL};
    cJSON *json = agent_fixture_check(*state, arguments, EXIT_CODE_OK);
    assert_non_null(json);
    const cJSON *scenarios = cJSON_GetObjectItem(json, "scenarios");
    const cJSON *s;
    assert_int_equal(cJSON_GetArraySize(scenarios), 14);
    cJSON_ArrayForEach(s, scenarios)
    {
        assert_false(cJSON_IsString(cJSON_GetObjectItem(s, "skipped")));
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(s, "failures")), 0);
        assert_true(cJSON_GetNumberValue(cJSON_GetObjectItem(s, "tests")) >= 1);
    }
    cJSON_Delete(json);
}

static void given_backend_of_somebody_else_when_told_to_kill_it_then_not_judged(void **state)
{
    const char *arguments[] = {"check",
                               "--json",
                               "--export-interval-ms=200",
                               "--scenario=backend-restart",
                               "--scenario=no-result",
                               NULL};
    cJSON *json = agent_fixture_check(*state, arguments, EXIT_CODE_OK);
    assert_non_null(json);
    const cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "scenarios"), 0);
    assert_non_null(
        strstr(cJSON_GetStringValue(cJSON_GetObjectItem(first, "skipped")), "--self-contained"));
    cJSON_Delete(json);
    /* Nothing judged at all is no success. */
    const char *alone[] = {"check", "--scenario=backend-restart", NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(*state, alone, NULL, &outcome);
    assert_int_equal(outcome.detail, EXIT_CODE_CONFIGURATION);
    marline__buffer_deinit(&outcome.output);
}

static void given_no_backend_program_when_self_contained_then_said_so(void **state)
{
    struct agent_fixture *f = *state;
    const char *arguments[] = {"check", "--self-contained", "--backend-program", "/no/such", NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(f, arguments, NULL, &outcome);
    assert_int_equal(outcome.detail, EXIT_CODE_UNREACHABLE);
    assert_non_null(strstr(f->errors.data, "/no/such did not start"));
    marline__buffer_deinit(&outcome.output);
}

static void given_both_ways_to_flush_when_checked_then_compared(void **state)
{
    const char *arguments[] = {"check",
                               "--flush=both",
                               "--export-interval-ms=400",
                               "--scenario=spread",
                               "--scenario=no-spans",
                               NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(*state, arguments, NULL, &outcome);
    marline__buffer_append_byte(&outcome.output, '\0');
    if (outcome.detail != EXIT_CODE_OK) {
        fail_msg("exit %d, %s", outcome.detail, outcome.output.data);
    }
    assert_non_null(strstr(outcome.output.data, "--flush batch                --flush prompt"));
    assert_non_null(strstr(outcome.output.data, "spread              5/5"));
    assert_non_null(strstr(outcome.output.data, "exports of spans"));
    marline__buffer_deinit(&outcome.output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_good_backend_of_its_own_when_checked_then_every_scenario_passes),
        cmocka_unit_test(given_backend_of_somebody_else_when_told_to_kill_it_then_not_judged),
        cmocka_unit_test(given_no_backend_program_when_self_contained_then_said_so),
        cmocka_unit_test(given_both_ways_to_flush_when_checked_then_compared),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
