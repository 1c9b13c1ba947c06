/* marline-backend-mock run: a whole run of tests in one command, with an agent of its own or
 * against a backend that runs already. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../support/http_peer.h"
#include "agent_fixture.h"
#include "base/memory.h"

enum { RUN_MS = 90000 };

static const char agent_config[] =
    "endpoints:\n"
    "  - name: upper\n"
    "    exec: [tr, a-z, A-Z]\n"
    "  - name: broken\n"
    "    exec: ['false']\n"
    "  - name: endless\n"
    "    exec: [sh, -c, 'echo it has begun >&2; exec tail -f /dev/null']\n";

static const char passing[] = "name: passing\n"
                              "concurrency: 2\n"
                              "tests:\n"
                              "  - name: shouts\n"
                              "    endpoint: upper\n"
                              "    inputs: {input: hi}\n"
                              "    expect: {pointer: /INPUT, equals: HI}\n"
                              "  - name: breaks as it should\n"
                              "    endpoint: broken\n"
                              "    expect: {of: error, contains: status 1}\n";

/* In the empty folder that the test runs in. */
static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Starts `run` with the arguments behind it; its words go to run.log. */
static void start(struct program *p, const char *const *arguments, const char *const *environment)
{
    const char *argv[16] = {"marline-backend-mock", "run"};
    for (size_t i = 0; arguments[i]; i++) {
        argv[i + 2] = arguments[i];
    }
    (void)remove("run.log");
    assert_true(program_start(p, argv, environment, "run.log"));
}

/* Its exit code, and every text in what it wrote; `texts` ends with NULL. */
static void expect_end(struct program *p, int code, const char *const *texts)
{
    bool ended = program_wait(p, RUN_MS);
    char *log = program_read_file("run.log");
    if (!ended || program_exit_status(p) != code) {
        fail_msg("exit %d: %s", program_exit_status(p), log);
    }
    for (size_t i = 0; texts[i]; i++) {
        if (!strstr(log, texts[i])) {
            fail_msg("no '%s' in: %s", texts[i], log);
        }
    }
    marline__memory_free(log);
}

static void expect_run(const char *const *arguments, int code, const char *const *texts)
{
    struct program p;
    start(&p, arguments, NULL);
    expect_end(&p, code, texts);
}

static void expect_in_file(const char *path, const char *text)
{
    char *content = program_read_file(path);
    if (!strstr(content, text)) {
        fail_msg("no '%s' in: %s", text, content);
    }
    marline__memory_free(content);
}

static int write_files(void **state)
{
    (void)state;
    write_file("agent.yaml", agent_config);
    write_file("passing.yaml", passing);
    return 0;
}

static void given_passing_file_when_run_then_0_and_all_linked(void **state)
{
    (void)state;
    expect_run((const char *const[]){"passing.yaml", "--with-agent", "agent.yaml", "--junit",
                                     "report.xml", "--require-links", NULL},
               0,
               (const char *const[]){"✔ shouts", "✔ breaks as it should", "2 passed of 2 in",
                                     "4 of 4 spans linked", NULL});
    expect_in_file("report.xml", "<testsuite name=\"passing\"");
    expect_in_file("report.xml", "tests=\"2\" failures=\"0\" errors=\"0\" skipped=\"0\"");
}

static void given_failing_file_when_run_then_1_and_reasons(void **state)
{
    (void)state;
    write_file("failing.yaml", "tests:\n"
                               "  - name: shouts\n"
                               "    endpoint: upper\n"
                               "    inputs: {input: hi}\n"
                               "    expect: {pointer: /INPUT, equals: hi}\n"
                               "  - {name: breaks, endpoint: broken, retries: 1}\n");
    expect_run((const char *const[]){"failing.yaml", "--with-agent", "agent.yaml", "--junit",
                                     "report.xml", NULL},
               1,
               (const char *const[]){"✘ shouts", "/INPUT: expected \"hi\", found \"HI\"",
                                     "! breaks", "broken exited with status 1",
                                     "1 failed, 1 in error of 2", NULL});
    expect_in_file("report.xml", "<failure message=\"/INPUT: expected &quot;hi&quot;");
    expect_in_file("report.xml", "<rerunError ");
}

static void given_json_when_run_then_stdout_is_the_run(void **state)
{
    (void)state;
    expect_run((const char *const[]){"passing.yaml", "--with-agent", "agent.yaml", "--json", NULL},
               0, (const char *const[]){"\"status\":\"completed\"", NULL});
    char *log = program_read_file("run.log");
    cJSON *json = cJSON_Parse(log);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "results")), 2);
    cJSON_Delete(json);
    marline__memory_free(log);
}

static void given_webhook_when_run_then_told_before_the_end(void **state)
{
    static const struct http_peer_step script[] = {{HTTP_PEER_ANSWER, 204, NULL, NULL}};
    static const struct http_peer_step refusing[] = {{HTTP_PEER_ANSWER, 404, NULL, NULL}};
    char suite[256];
    struct http_peer *peer = http_peer_start(script, 1);
    (void)state;
    (void)snprintf(suite, sizeof suite, "webhook: %s/\ntests: [{endpoint: upper}]\n",
                   http_peer_url(peer));
    write_file("webhook.yaml", suite);
    expect_run((const char *const[]){"webhook.yaml", "--with-agent", "agent.yaml", NULL}, 0,
               (const char *const[]){"1 passed of 1", NULL});
    assert_int_equal(http_peer_request_count(peer), 1);
    assert_non_null(strstr(http_peer_body(peer, 0), "\"tests\":1,\"passed\":1"));
    http_peer_stop(peer);
    peer = http_peer_start(refusing, 1);
    (void)snprintf(suite, sizeof suite, "webhook: %s/\ntests: [{endpoint: upper}]\n",
                   http_peer_url(peer));
    write_file("webhook.yaml", suite);
    expect_run((const char *const[]){"webhook.yaml", "--with-agent", "agent.yaml", NULL}, 0,
               (const char *const[]){
                   "the webhook was not told of the end: the receiver answers 404", NULL});
    http_peer_stop(peer);
}

static void given_mistake_when_run_then_exit_code_and_cause(void **state)
{
    static const struct {
        const char *arguments[6];
        int code;
        const char *text;
    } cases[] = {
        {{"wrong.yaml", "--with-agent", "agent.yaml"},
         3,
         "wrong.yaml:3: unknown key 'expects' of a test; did you mean 'expect'?"},
        {{"nowhere.yaml", "--with-agent", "agent.yaml"}, 3, "nowhere.yaml: No such file"},
        {{"passing.yaml"}, 2, "give --with-agent CONFIG, --against URL, or both"},
        {{NULL}, 2, "the file of tests is missing"},
        {{"passing.yaml", "again.yaml"}, 2, "'again.yaml' is one too many"},
        {{"passing.yaml", "--with-agnet", "agent.yaml"}, 2, "did you mean --with-agent?"},
        {{"passing.yaml", "--with-agent", "nowhere.yaml"}, 3, "nowhere.yaml: No such file"},
        {{"passing.yaml", "--with-agent", "agent.yaml", "--agent-program", "/nowhere/agent"},
         4,
         "ended with exit code 127 before the tests began"},
        {{"passing.yaml", "--with-agent", "wrong.yaml"}, 3, "wrong.yaml:1: unknown key 'tests'"},
        {{"unserved.yaml", "--with-agent", "agent.yaml", "--ready-timeout-ms", "500"},
         4,
         "endpoint 'upperr'"},
        {{"passing.yaml", "--against", "http://127.0.0.1:1", "--api-key", "rh-x"},
         4,
         "cannot connect to 127.0.0.1:1"},
        {{"passing.yaml", "--with-agent", "agent.yaml", "--junit", "/nowhere/report.xml"},
         3,
         "cannot write /nowhere/report.xml: No such file"},
    };
    (void)state;
    write_file("wrong.yaml", "tests:\n  - endpoint: upper\n    expects: {}\n");
    write_file("unserved.yaml", "tests: [{endpoint: upperr}]\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_run(cases[i].arguments, cases[i].code, (const char *const[]){cases[i].text, NULL});
    }
}

static void expect_no_word(const char *text)
{
    char *log = program_read_file("run.log");
    if (strstr(log, text)) {
        fail_msg("'%s' in: %s", text, log);
    }
    marline__memory_free(log);
}

static void given_report_that_cannot_be_written_when_run_then_told_before_the_tests(void **state)
{
    (void)state;
    expect_run((const char *const[]){"passing.yaml", "--with-agent", "agent.yaml", "--junit",
                                     "nowhere/report.xml", NULL},
               3, (const char *const[]){"cannot write nowhere/report.xml: No such file", NULL});
    expect_no_word("passed");
}

static void given_running_backend_when_run_against_it_then_its_verdict(void **state)
{
    struct agent_fixture *f = agent_fixture_create();
    struct program p;
    char key[160];
    char url[160];
    (void)state;
    assert_non_null(f);
    (void)snprintf(key, sizeof key, "RHESIS_API_KEY=%s", f->api_key);
    (void)snprintf(url, sizeof url, "%s", f->base_url);
    const char *const environment[] = {key, NULL};
    start(
        &p,
        (const char *const[]){"passing.yaml", "--against", url, "--with-agent", "agent.yaml", NULL},
        environment);
    expect_end(&p, 0, (const char *const[]){"2 passed of 2", url, NULL});
    const char *const wrong[] = {"RHESIS_API_KEY=rh-wrong", NULL};
    start(&p, (const char *const[]){"passing.yaml", "--against", url, NULL}, wrong);
    expect_end(&p, 5, (const char *const[]){"refused the key", NULL});
    agent_fixture_destroy(f);
}

/* The agent's log says when the endless test is under way. */
static void given_run_when_signalled_then_cancelled_and_reported(void **state)
{
    static const struct {
        int signal_number;
        int code;
    } cases[] = {{SIGINT, 130}, {SIGTERM, 143}};
    (void)state;
    write_file("endless.yaml", "tests:\n"
                               "  - {endpoint: endless, name: the endless}\n"
                               "  - {endpoint: upper, name: the last}\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct program p;
        (void)remove("agent.log");
        start(&p,
              (const char *const[]){"endless.yaml", "--with-agent", "agent.yaml", "--agent-log",
                                    "agent.log", NULL},
              NULL);
        assert_true(program_wait_for_text(&p, "agent.log", "it has begun", RUN_MS));
        program_signal(&p, cases[i].signal_number);
        expect_end(&p, cases[i].code,
                   (const char *const[]){"! the endless", "cancelled", "- the last", NULL});
    }
}

static void given_run_that_waits_when_signalled_then_nobody_is_blamed(void **state)
{
    struct program p;
    (void)state;
    write_file("unserved.yaml", "tests: [{endpoint: upperr}]\n");
    start(&p, (const char *const[]){"unserved.yaml", "--with-agent", "agent.yaml", NULL}, NULL);
    assert_true(program_wait_for_text(&p, "run.log", "agent    marline-agent run", RUN_MS));
    program_signal(&p, SIGINT);
    expect_end(&p, 130, (const char *const[]){"interrupted before the ", NULL});
    expect_no_word("not reached");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_passing_file_when_run_then_0_and_all_linked),
        cmocka_unit_test(given_failing_file_when_run_then_1_and_reasons),
        cmocka_unit_test(given_json_when_run_then_stdout_is_the_run),
        cmocka_unit_test(given_webhook_when_run_then_told_before_the_end),
        cmocka_unit_test(given_mistake_when_run_then_exit_code_and_cause),
        cmocka_unit_test(given_running_backend_when_run_against_it_then_its_verdict),
        cmocka_unit_test(given_report_that_cannot_be_written_when_run_then_told_before_the_tests),
        cmocka_unit_test(given_run_when_signalled_then_cancelled_and_reported),
        cmocka_unit_test(given_run_that_waits_when_signalled_then_nobody_is_blamed),
    };
    return cmocka_run_group_tests(tests, write_files, NULL);
}
