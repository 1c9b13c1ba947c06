/* marline-agent check against a backend that has nothing but the platform's own API: the
 * backend-mock with its control routes switched off stands for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/lying_relay.h"
#include "../support/program.h"
#include "agent_fixture.h"
#include "base/memory.h"
#include "programs/exit_code.h"

static int set_up(void **state)
{
    *state = agent_fixture_create_with("--mock-api=off");
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    agent_fixture_destroy(*state);
    return 0;
}

static void given_platform_api_alone_when_checked_then_links_are_judged_by_it(void **state)
{
    static const char *const not_judged[] = {"retried", "result-twice", "cut", "store-fails",
                                             "backend-restart"};
    const char *arguments[] = {"check", "--json", "--scenario=all", "--export-interval-ms=600",
                               NULL};
    cJSON *json = agent_fixture_check(*state, arguments, EXIT_CODE_OK);
    assert_non_null(json);
    size_t skipped = 0;
    const cJSON *s;
    cJSON_ArrayForEach(s, cJSON_GetObjectItem(json, "scenarios"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(s, "name"));
        bool is_skipped = cJSON_IsString(cJSON_GetObjectItem(s, "skipped"));
        if (is_skipped) {
            assert_string_equal(name, not_judged[skipped++]);
        } else if (strcmp(name, "no-result") != 0) {
            assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(s, "spans")),
                             cJSON_GetNumberValue(cJSON_GetObjectItem(s, "linked")));
        }
        if (strcmp(name, "mixed") == 0) {
            assert_int_equal(cJSON_GetNumberValue(cJSON_GetObjectItem(s, "linked")), 14);
        }
    }
    assert_int_equal(skipped, sizeof not_judged / sizeof not_judged[0]);
    cJSON_Delete(json);
}

static void given_platform_api_alone_when_checked_then_a_note_says_what_it_cannot_tell(void **state)
{
    const char *arguments[] = {"check", "--flush=prompt", "--scenario=fast",
                               "--export-interval-ms=400", NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(*state, arguments, NULL, &outcome);
    marline__buffer_append_byte(&outcome.output, '\0');
    assert_int_equal(outcome.detail, EXIT_CODE_OK);
    assert_non_null(strstr(outcome.output.data, "This one has no control routes"));
    assert_non_null(strstr(outcome.output.data, "3 of 3 spans carry their test's result"));
    marline__buffer_deinit(&outcome.output);
}

/* A backend whose list shows a result for no span: nothing is linked there. */
static void given_links_that_are_not_made_when_checked_then_it_fails(void **state)
{
    struct agent_fixture *f = *state;
    const char *colon = strrchr(f->base_url, ':');
    struct lying_relay *relay = lying_relay_start((uint16_t)strtoul(colon + 1, NULL, 10),
                                                  "\"test_result_id\":\"", "\"test_result_ix\":\"");
    char url[64];
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)lying_relay_port(relay));
    const char *arguments[] = {
        "check", "--json", "--scenario=slow", "--export-interval-ms=400", "--base-url", url, NULL};
    cJSON *json = agent_fixture_check(f, arguments, EXIT_CODE_CHECK_FAILED);
    assert_non_null(json);
    assert_non_null(strstr(f->errors.data, "is stored, and linked to none; which point is at fault "
                                           "the platform's API does not show"));
    assert_true(lying_relay_lies(relay) > 0);
    lying_relay_stop(relay);
    cJSON_Delete(json);
}

static void given_platform_api_alone_when_a_schedule_is_wanted_then_refused(void **state)
{
    struct agent_fixture *f = *state;
    const char *arguments[] = {"check", "--schedule=RSRS", NULL};
    struct process_outcome outcome;
    agent_fixture_run_agent(f, arguments, NULL, &outcome);
    assert_int_equal(outcome.detail, EXIT_CODE_CONFIGURATION);
    assert_non_null(strstr(f->errors.data, "--schedule needs the gates"));
    marline__buffer_deinit(&outcome.output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_platform_api_alone_when_checked_then_links_are_judged_by_it),
        cmocka_unit_test(
            given_platform_api_alone_when_checked_then_a_note_says_what_it_cannot_tell),
        cmocka_unit_test(given_links_that_are_not_made_when_checked_then_it_fails),
        cmocka_unit_test(given_platform_api_alone_when_a_schedule_is_wanted_then_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
