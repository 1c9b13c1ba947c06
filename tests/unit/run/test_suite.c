/* Files of tests: what they come to as a run, and where they are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "run/suite.h"

/* In the empty folder that each test program runs in. */
static const char path[] = "suite.yaml";

static void write_suite(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void given_file_when_read_then_run_with_defaults(void **state)
{
    struct suite suite;
    struct failure failure = FAILURE_INIT;
    struct buffer body = BUFFER_INIT;
    (void)state;
    write_suite("tests:\n"
                "  - name: greets\n"
                "    endpoint: greet\n"
                "    inputs: {name: Ada, n: 1.50}\n"
                "    expect: {pointer: /output, equals: \"Hello, Ada!\"}\n"
                "    metrics: [{name: brevity, min: 0.2}]\n"
                "    retries: 0\n"
                "  - endpoint: shout\n"
                "    repeat: 2\n"
                "    timeout_ms: 50\n"
                "concurrency: 3\n"
                "timeout_ms: 700\n"
                "retries: 2\n"
                "name: smoke\n"
                "environment: staging\n"
                "webhook: http://127.0.0.1:9/done\n");
    assert_true(suite_read(&suite, path, &failure));
    assert_int_equal(suite.count, 3);
    suite_write_run(&suite, "p", &body);
    assert_string_equal(
        body.data,
        "{\"project_id\":\"p\",\"name\":\"smoke\",\"environment\":\"staging\","
        "\"webhook\":\"http://127.0.0.1:9/done\",\"concurrency\":3,\"tests\":["
        "{\"name\":\"greets\",\"function_name\":\"greet\",\"inputs\":{\"name\":\"Ada\",\"n\":1.50},"
        "\"expect\":{\"pointer\":\"/output\",\"equals\":\"Hello, Ada!\"},"
        "\"metrics\":[{\"name\":\"brevity\",\"min\":0.2}],\"timeout_ms\":700,\"retries\":0},"
        "{\"name\":\"shout (1 of 2)\",\"function_name\":\"shout\",\"inputs\":{},\"timeout_ms\":50,"
        "\"retries\":2},"
        "{\"name\":\"shout (2 of 2)\",\"function_name\":\"shout\",\"inputs\":{},\"timeout_ms\":50,"
        "\"retries\":2}]}");
    marline__buffer_deinit(&body);
    suite_deinit(&suite);
}

static void given_json_when_read_then_as_good_as_yaml(void **state)
{
    struct suite suite;
    struct failure failure = FAILURE_INIT;
    (void)state;
    write_suite("{\"tests\": [{\"endpoint\": \"greet\",\n \"inputs\": {\"a\": [1, null, true]}}]}");
    assert_true(suite_read(&suite, path, &failure));
    assert_string_equal(suite.tests[0].inputs, "{\"a\":[1,null,true]}");
    assert_string_equal(suite.tests[0].name, "greet");
    assert_int_equal(suite.tests[0].timeout_ms, SUITE_TIMEOUT_DEFAULT_MS);
    assert_int_equal(suite.concurrency, 1);
    suite_deinit(&suite);
}

static void given_wrong_file_when_read_then_line_and_key_are_named(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "suite.yaml: the file is empty; put 'tests:' in it, with a list; see "
             "marline-backend-mock run "
             "--help"},
        {"tests: []\n", "suite.yaml:1: the file has no tests"},
        {"- endpoint: x\n", "suite.yaml:1: the file must be a mapping (key: value), not a list"},
        {"tests:\n  - endpont: x\n",
         "suite.yaml:2: unknown key 'endpont' of a test; did you mean 'endpoint'?"},
        {"tests:\n  - name: x\n",
         "suite.yaml:2: a test needs an endpoint: the name of the function to call"},
        {"concurency: 2\ntests: [{endpoint: x}]\n",
         "suite.yaml:1: unknown key 'concurency' of the file; did you mean 'concurrency'?"},
        {"concurrency: 0\ntests: [{endpoint: x}]\n",
         "suite.yaml:1: concurrency must be a whole number from 1 to 1000, not '0'"},
        {"tests:\n  - endpoint: x\n    timeout_ms: 2s\n",
         "suite.yaml:3: timeout_ms must be a whole number from 1 to 86400000, not '2s'"},
        {"tests:\n  - endpoint: x\n    retries: 11\n",
         "suite.yaml:3: retries must be a whole number from 0 to 10, not '11'"},
        {"tests:\n  - endpoint: x\n    inputs: [1]\n",
         "suite.yaml:3: inputs must be a mapping: the function's arguments by name"},
        {"tests:\n  - endpoint: x\n    expect:\n      - {equals: 1}\n      - {equal: 1}\n",
         "suite.yaml:5: unknown key 'equal' of an expectation; did you mean 'equals'?"},
        {"tests:\n  - endpoint: x\n    expect:\n      - {equals: 1}\n      - {min: low}\n",
         "suite.yaml:5: expect.min must be a number"},
        {"tests:\n  - endpoint: x\n    expect: {pointer: /a}\n",
         "suite.yaml:3: expect says nothing: give equals, contains, min, max or exists"},
        {"tests:\n  - endpoint: x\n    expect: hello\n",
         "suite.yaml:3: an expectation must be a mapping (key: value), not a single value"},
        {"tests:\n  - endpoint: x\n    metrics: {nam: m}\n",
         "suite.yaml:3: unknown key 'nam' of a metric; did you mean 'name'?"},
        {"tests:\n  - endpoint: x\n    metrics: {min: 1}\n",
         "suite.yaml:3: metrics.name is required"},
        {"webhook: ftp://x\ntests: [{endpoint: x}]\n",
         "suite.yaml:1: webhook must be an http:// or https:// URL"},
        {"tests:\n  - endpoint: x\n    repeat: 100000\n  - endpoint: y\n",
         "suite.yaml:4: the file has more than 100000 tests"},
        {"tests: [a: b\n",
         "suite.yaml:2: did not find expected ',' or ']'; close the [ or { that was opened before"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct suite suite;
        struct failure failure = FAILURE_INIT;
        write_suite(cases[i].text);
        assert_false(suite_read(&suite, path, &failure));
        assert_string_equal(failure.text, cases[i].message);
        assert_int_equal(failure.code, EXIT_CODE_CONFIGURATION);
    }
}

static void given_no_file_when_read_then_named(void **state)
{
    struct suite suite;
    struct failure failure = FAILURE_INIT;
    (void)state;
    assert_false(suite_read(&suite, "nowhere.yaml", &failure));
    assert_string_equal(failure.text,
                        "nowhere.yaml: No such file or directory; name the file with the tests");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_file_when_read_then_run_with_defaults),
        cmocka_unit_test(given_json_when_read_then_as_good_as_yaml),
        cmocka_unit_test(given_wrong_file_when_read_then_line_and_key_are_named),
        cmocka_unit_test(given_no_file_when_read_then_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
