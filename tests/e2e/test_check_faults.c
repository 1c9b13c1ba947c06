/* marline-agent check, each scenario both ways: it passes on a good backend, and fails with the
 * right explanation on one that has the fault which the scenario exists to find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "../support/lying_relay.h"
#include "../support/program.h"
#include "agent_fixture.h"
#include "base/memory.h"
#include "programs/exit_code.h"

static int set_up(void **state)
{
    *state = agent_fixture_create();
    return *state ? 0 : -1;
}

/* What a test before this one has switched on is no concern of this one. */
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

/* ---- with the fault ---- */

enum switch_kind { SWITCH_POINTS, SWITCH_FAULT };

struct broken {
    const char *scenario;
    enum switch_kind kind;
    const char *body;    /* of the request that switches the fault on */
    const char *failure; /* in what the check says */
    const char *rule;
};

static void post(struct agent_fixture *f, const char *method, const char *path, const char *body)
{
    cJSON *answer = agent_fixture_call(f, method, path, body);
    assert_non_null(answer);
    cJSON_Delete(answer);
}

static void assert_broken(struct agent_fixture *f, const char *const *arguments,
                          const char *failure, const char *rule)
{
    cJSON *json = agent_fixture_check(f, arguments, EXIT_CODE_CHECK_FAILED);
    assert_non_null(json);
    const cJSON *scenario = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "scenarios"), 0);
    const cJSON *failures = cJSON_GetObjectItem(scenario, "failures");
    bool is_explained = false;
    const cJSON *item;
    cJSON_ArrayForEach(item, failures)
    {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(item, "text"));
        const char *broken_rule = cJSON_GetStringValue(cJSON_GetObjectItem(item, "rule"));
        is_explained |= strstr(text, failure) && broken_rule && strcmp(broken_rule, rule) == 0;
    }
    if (!is_explained) {
        char *text = cJSON_Print(failures);
        print_message("%s\n", text);
        free(text);
        fail_msg("no failure of %s with '%s'", rule, failure);
    }
    cJSON_Delete(json);
}

static void given_each_fault_when_checked_then_its_scenario_explains_it(void **state)
{
    static const struct broken cases[] = {
        {"spread", SWITCH_POINTS, "{\"result\":false,\"sweep\":false}", "span function.check.first",
         "I1"},
        {"spread", SWITCH_POINTS, "{\"ingest\":false,\"sweep\":false}", "span function.check.audit",
         "I1"},
        {"retried", SWITCH_POINTS, "{\"ingest\":false,\"sweep\":false}",
         "point 2 (spans stored) is at fault", "I1"},
        {"agent-restart", SWITCH_POINTS, "{\"ingest\":false,\"sweep\":false}",
         "was stored after the result, and is linked to none", "I1"},
        {"no-spans", SWITCH_FAULT,
         "{\"on\":\"received\",\"match\":\"test_result\",\"action\":\"withhold\",\"times\":0}",
         "has status Error instead of Pass", "I7"},
        {"cut", SWITCH_FAULT,
         "{\"on\":\"received\",\"match\":\"test_result\",\"action\":\"withhold\",\"from\":60,"
         "\"times\":0}",
         "has status Error instead of Pass", "I7"},
        {"export-twice", SWITCH_FAULT,
         "{\"on\":\"http\",\"match\":\"/telemetry/traces\",\"action\":\"status\",\"code\":409,"
         "\"from\":2,\"times\":0}",
         "a POST that repeats stored spans was refused", "I4"},
        {"store-fails", SWITCH_FAULT,
         "{\"on\":\"store\",\"match\":\"spans.store\",\"action\":\"fail\",\"times\":0}",
         "never reached the backend; the tracing channel is at fault", "I6"},
    };
    struct agent_fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct broken *c = &cases[i];
        const char *arguments[] = {
            "check",     "--json", "--export-interval-ms=400", "--patience-ms=4000", "--scenario",
            c->scenario, NULL};
        post(f, c->kind == SWITCH_POINTS ? "PUT" : "POST",
             c->kind == SWITCH_POINTS ? "/mock/link-points" : "/mock/faults", c->body);
        assert_broken(f, arguments, c->failure, c->rule);
        post(f, "POST", "/mock/reset", "{}");
    }
}

/* Faults that the backend-mock does not have are put into its mouth. */
static void given_backend_that_errs_when_checked_then_its_scenario_explains_it(void **state)
{
    static const struct {
        const char *scenario;
        const char *truth;
        const char *lie;
        const char *failure;
        const char *rule;
    } cases[] = {
        {"result-twice", "\"type\":\"result_received\"", "\"type\":\"result_stored\"  ",
         "test 1 has 2 results for 1 attempt", "I4"},
        {"no-result", "\"verdict\":\"no_result\"", "\"verdict\":\"linked\"   ",
         "calls spans of a test without a result 'linked'", "I2"},
    };
    struct agent_fixture *f = *state;
    const char *colon = strrchr(f->base_url, ':');
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lying_relay *relay =
            lying_relay_start((uint16_t)strtoul(colon + 1, NULL, 10), cases[i].truth, cases[i].lie);
        char url[64];
        (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", (unsigned)lying_relay_port(relay));
        const char *arguments[] = {"check", "--json",     "--export-interval-ms=400", "--base-url",
                                   url,     "--scenario", cases[i].scenario,          NULL};
        assert_broken(f, arguments, cases[i].failure, cases[i].rule);
        assert_true(lying_relay_lies(relay) > 0);
        lying_relay_stop(relay);
    }
}

/* One that keeps nothing: what it acknowledged is gone with its process. */
static void given_forgetful_backend_when_restarted_then_the_check_says_so(void **state)
{
    struct agent_fixture *f = *state;
    const char *path = agent_fixture_path(f, "forgetful");
    FILE *script = fopen(path, "we");
    assert_non_null(script);
    (void)fprintf(script, "#!/bin/sh\nexec %s \"$@\" --store sqlite::memory: --api-key rh-fixed\n",
                  MARLINE_BIN_DIR "/marline-backend-mock");
    assert_int_equal(fclose(script), 0);
    assert_int_equal(chmod(path, 0700), 0);
    const char *arguments[] = {"check",
                               "--json",
                               "--self-contained",
                               "--backend-program",
                               path,
                               "--export-interval-ms=600",
                               "--scenario=backend-restart",
                               NULL};
    assert_broken(f, arguments, "the backend does not know the run any more", "I6");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reset, NULL)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_each_fault_when_checked_then_its_scenario_explains_it),
        TEST(given_backend_that_errs_when_checked_then_its_scenario_explains_it),
        TEST(given_forgetful_backend_when_restarted_then_the_check_says_so),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
