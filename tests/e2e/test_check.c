/* marline-agent check against a real backend-mock: it passes, and it can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../support/program.h"
#include "agent_fixture.h"
#include "base/memory.h"
#include "programs/exit_code.h"

#define INTERVAL "--export-interval-ms=600"

static int set_up(void **state)
{
    *state = agent_fixture_create();
    return *state ? 0 : -1;
}

/* What a test before this one has switched off is no concern of this one. */
static int reset(void **state)
{
    cJSON *answer = agent_fixture_call(*state, "POST", "/mock/reset", "{}");
    cJSON_Delete(answer);
    return answer ? 0 : -1;
}

static int tear_down(void **state)
{
    agent_fixture_destroy(*state);
    return 0;
}

/* The exit code, or a failure with all that was said. */
static void assert_exit(const struct agent_fixture *f, const struct process_outcome *outcome,
                        int exit_code)
{
    if (outcome->end != PROCESS_EXITED || outcome->detail != exit_code) {
        fail_msg("exit %d, %s\n%.*s", outcome->detail, f->errors.data,
                 SLICE_ARG(marline__buffer_slice(&outcome->output)));
    }
}

static void switch_points(struct agent_fixture *f, const char *setting)
{
    cJSON *answer = agent_fixture_call(f, "PUT", "/mock/link-points", setting);
    assert_non_null(answer);
    cJSON_Delete(answer);
}

static const cJSON *scenario(const cJSON *json, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(json, "scenarios"))
    {
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(item, "name")), name) == 0) {
            return item;
        }
    }
    fail_msg("no scenario %s", name);
    return NULL;
}

static int number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);
    assert_true(cJSON_IsNumber(item));
    return item->valueint;
}

static int linked_by(const cJSON *json, const char *name, const char *point)
{
    return number(cJSON_GetObjectItem(scenario(json, name), "linked_by"), point);
}

static void given_working_backend_when_checked_then_every_point_does_its_work(void **state)
{
    const char *arguments[] = {"check", "--json", INTERVAL, NULL};
    cJSON *json = agent_fixture_check(*state, arguments, EXIT_CODE_OK);
    assert_non_null(json);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "ok")));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "scenarios")), 8);
    assert_int_equal(linked_by(json, "fast", "result"), 0);
    assert_int_equal(linked_by(json, "fast", "ingest"), 3);
    assert_int_equal(linked_by(json, "slow", "result"), 2);
    assert_int_equal(linked_by(json, "slow", "ingest"), 2);
    assert_int_equal(number(scenario(json, "boundary"), "linked"), 3);
    assert_int_equal(number(scenario(json, "mixed"), "tests"), 4);
    assert_int_equal(number(scenario(json, "mixed"), "spans"), 14);
    assert_int_equal(number(scenario(json, "mixed"), "linked"), 14);
    assert_int_equal(linked_by(json, "mixed", "sweep"), 0);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(scenario(json, "slow"), "events")) >= 8);
    cJSON_Delete(json);
}

static void assert_fails(struct agent_fixture *f, const char *const *arguments,
                         const char *scenario, const char *fault)
{
    struct process_outcome outcome;
    agent_fixture_run_agent(f, arguments, NULL, &outcome);
    assert_exit(f, &outcome, EXIT_CODE_CHECK_FAILED);
    assert_non_null(strstr(outcome.output.data, "\"ok\":false"));
    assert_non_null(strstr(f->errors.data, scenario));
    assert_non_null(strstr(f->errors.data, fault));
    marline__buffer_deinit(&outcome.output);
}

static void given_point_1_off_when_checked_then_slow_fails(void **state)
{
    switch_points(*state, "{\"result\":false}");
    const char *arguments[] = {"check", "--json",     INTERVAL, "--scenario",
                               "fast",  "--scenario", "slow",   NULL};
    assert_fails(*state, arguments, "slow: span function.check.plan",
                 "point 1 (result stored) is at fault");
    assert_null(strstr(((struct agent_fixture *)*state)->errors.data, "fast: "));
}

static void given_point_2_off_when_checked_then_fast_fails(void **state)
{
    switch_points(*state, "{\"ingest\":false}");
    const char *arguments[] = {"check", "--json", INTERVAL, "--scenario", "fast", NULL};
    assert_fails(*state, arguments, "fast: span ", "point 2 (spans stored) is at fault");
}

static void given_prompt_flush_when_checked_then_all_linked_at_once(void **state)
{
    const char *arguments[] = {"check", "--json", INTERVAL, "--flush=prompt", NULL};
    cJSON *json = agent_fixture_check(*state, arguments, EXIT_CODE_OK);
    assert_non_null(json);
    assert_int_equal(number(scenario(json, "mixed"), "linked"), 14);
    assert_int_equal(linked_by(json, "mixed", "sweep"), 0);
    cJSON_Delete(json);
}

/* Point 2 is off as well: milliseconds lie between spans and result, and on a busy machine it would
 * save every test. */
static void given_points_off_when_checked_with_prompt_flush_then_point_1_is_at_fault(void **state)
{
    switch_points(*state, "{\"result\":false,\"ingest\":false,\"sweep\":false}");
    const char *arguments[] = {"check", "--json", INTERVAL, "--flush=prompt", NULL};
    assert_fails(*state, arguments, ": span ", "point 1 (result stored) is at fault");
}

static void given_all_points_off_when_checked_then_every_span_is_named_unlinked(void **state)
{
    switch_points(*state, "{\"result\":false,\"ingest\":false,\"sweep\":false}");
    const char *arguments[] = {"check", "--json", INTERVAL, "--scenario", "mixed", NULL};
    cJSON *json = agent_fixture_check(*state, arguments, EXIT_CODE_CHECK_FAILED);
    assert_non_null(json);
    assert_int_equal(number(scenario(json, "mixed"), "linked"), 0);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(scenario(json, "mixed"), "unlinked")),
                     14);
    cJSON_Delete(json);
}

static void given_junit_asked_for_when_checked_then_one_case_per_scenario(void **state)
{
    const char *path = agent_fixture_path(*state, "check.xml");
    const char *arguments[] = {"check", INTERVAL, "--scenario=fast", "--junit", path, NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(*state, arguments, NULL, &outcome);
    assert_exit(*state, &outcome, EXIT_CODE_OK);
    assert_non_null(strstr(outcome.output.data, "PASS"));
    assert_null(strstr(outcome.output.data, "\033")); /* no terminal, no colours */
    marline__buffer_deinit(&outcome.output);
    char *xml = program_read_file(path);
    assert_non_null(strstr(xml, "tests=\"1\" failures=\"0\""));
    assert_non_null(strstr(xml, "<testcase classname=\"marline.check\" name=\"fast\""));
    marline__memory_free(xml);
}

static double time_of(const cJSON *event)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(event, "at_ms"));
}

/* Read from the trace, and put where it belongs among the events of the backend's timeline. */
static void assert_enrichment_in_order(const cJSON *events)
{
    const cJSON *e;
    cJSON_ArrayForEach(e, events)
    {
        if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(e, "type")), "enriched") == 0) {
            assert_true(e == events->child || time_of(e->prev) <= time_of(e));
            assert_true(!e->next || time_of(e->next) > time_of(e));
        }
    }
}

/* Each order on the real programs; the point that comes first when both are stored links all. */
static void given_any_order_of_steps_when_played_then_all_linked_by_the_point_it_names(void **state)
{
    static const struct {
        const char *letters;
        const char *point;
    } orders[] = {{"RRSS", "ingest"}, {"RSRS", "result"}, {"RSSR", "ingest"},
                  {"SRRS", "result"}, {"SRSR", "ingest"}, {"SSRR", "result"}};
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        const char *arguments[] = {"check", "--json", "--schedule", orders[i].letters, NULL};
        cJSON *json = agent_fixture_check(*state, arguments, EXIT_CODE_OK);
        assert_non_null(json);
        const cJSON *played = scenario(json, "schedule");
        const cJSON *by = cJSON_GetObjectItem(played, "linked_by");
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(played, "spans")), 2);
        assert_enrichment_in_order(cJSON_GetObjectItem(played, "events"));
        assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(by, orders[i].point)), 2);
        cJSON_Delete(json);
    }
}

struct refusal {
    const char *arguments[8];
    const char *environment[2];
    int exit_code;
    const char *text; /* in the message */
};

static void given_bad_input_when_checked_then_cause_named_and_exit_code_documented(void **state)
{
    static const struct refusal refusals[] = {
        {{"check", "--scenario", "fats"}, {NULL}, EXIT_CODE_USAGE, "did you mean 'fast'?"},
        {{"check", "--export-interval", "5"},
         {NULL},
         EXIT_CODE_USAGE,
         "did you mean --export-interval-ms?"},
        {{"check", "--time-scale", "0"}, {NULL}, EXIT_CODE_USAGE, "not a number from 0.01 to 10"},
        {{"check", "--base-url", "http://127.0.0.1:9"}, {NULL}, EXIT_CODE_UNREACHABLE, "127.0.0.1"},
        {{"check", "--base-url", "localhost"}, {NULL}, EXIT_CODE_CONFIGURATION, "http(s)://"},
        {{"check"}, {"RHESIS_API_KEY=rh-wrong"}, EXIT_CODE_REFUSED, "refused the key"},
        {{"check", "--project-id", "99999999-9999-4999-8999-999999999999"},
         {NULL},
         EXIT_CODE_REFUSED,
         "99999999-9999-4999-8999-999999999999 not found or not accessible; check "
         "RHESIS_PROJECT_ID"},
        {{"check", "--project-id", "mine"}, {NULL}, EXIT_CODE_CONFIGURATION, "is not a UUID"},
        {{"check", "--schedule", "RRRS"}, {NULL}, EXIT_CODE_USAGE, "such as RSRS"},
        {{"check", "extra"}, {NULL}, EXIT_CODE_USAGE, "See: marline-agent check"},
    };
    struct agent_fixture *f = *state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct process_outcome outcome;
        agent_fixture_run_agent(f, refusals[i].arguments, refusals[i].environment, &outcome);
        assert_int_equal(outcome.end, PROCESS_EXITED);
        if (!strstr(f->errors.data, refusals[i].text) || outcome.detail != refusals[i].exit_code) {
            fail_msg("case %zu: exit %d, %s", i, outcome.detail, f->errors.data);
        }
        marline__buffer_deinit(&outcome.output);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_working_backend_when_checked_then_every_point_does_its_work),
        TEST(given_point_1_off_when_checked_then_slow_fails),
        TEST(given_point_2_off_when_checked_then_fast_fails),
        TEST(given_prompt_flush_when_checked_then_all_linked_at_once),
        TEST(given_points_off_when_checked_with_prompt_flush_then_point_1_is_at_fault),
        TEST(given_all_points_off_when_checked_then_every_span_is_named_unlinked),
        TEST(given_junit_asked_for_when_checked_then_one_case_per_scenario),
        TEST(given_any_order_of_steps_when_played_then_all_linked_by_the_point_it_names),
        TEST(given_bad_input_when_checked_then_cause_named_and_exit_code_documented),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
