/* What tests expect: how it is read, and how answers and scores are judged by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/verdict.h"

static struct criteria *parse(const char *text)
{
    char error[CRITERIA_ERROR_SIZE];
    struct criteria *c = criteria_parse(marline__slice_text(text), error);
    if (!c) {
        fail_msg("%s: %s", text, error);
    }
    return c;
}

static void given_wrong_criteria_when_parsed_then_member_is_named(void **state)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"[]", "must be an object with expect and metrics"},
        {"{\"expect\":1}", "expect[0] must be an object"},
        {"{\"expect\":{}}", "expect[0] says nothing: give equals, contains, min, max or exists"},
        {"{\"expect\":[{\"equals\":1},{\"equal\":1}]}",
         "expect[1] has the unknown member 'equal'; there are pointer, of, equals, contains, min, "
         "max and exists"},
        {"{\"expect\":[{\"pointer\":\"a\",\"equals\":1}]}",
         "expect[0].pointer must be a JSON pointer, such as /output or /items/0/id"},
        {"{\"expect\":[{\"pointer\":7,\"equals\":1}]}", "expect[0].pointer must be a string"},
        {"{\"expect\":[{\"min\":\"1\"}]}", "expect[0].min must be a number"},
        {"{\"expect\":[{\"min\":2,\"max\":1}]}", "expect[0].min must not be above max"},
        {"{\"expect\":[{\"exists\":1}]}", "expect[0].exists must be true or false"},
        {"{\"expect\":[{\"of\":\"input\",\"min\":1}]}",
         "expect[0].of must be output, text, error or duration_ms"},
        {"{\"expect\":[{\"of\":\"error\",\"pointer\":\"/a\",\"equals\":1}]}",
         "expect[0].pointer points into the output only"},
        {"{\"metrics\":[{\"min\":1}]}", "metrics[0].name is required"},
        {"{\"metrics\":[{\"name\":\"\"}]}", "metrics[0].name must be a text of 1 to 255 bytes"},
        {"{\"metrics\":[{\"name\":\"m\",\"threshold\":\"x\"}]}",
         "metrics[0].threshold must be a number"},
        {"{\"metrics\":[{\"name\":\"m\",\"max\":null}]}", "metrics[0].max must be a number"},
        {"{\"metrics\":[\"m\"]}", "metrics[0] must be an object"},
        {"{\"metrics\":[{\"name\":\"m\",\"is\":1}]}",
         "metrics[0] has the unknown member 'is'; there are name, min (or threshold), max, equals, "
         "contains, expected_output and context"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char error[CRITERIA_ERROR_SIZE];
        assert_null(criteria_parse(marline__slice_text(cases[i].text), error));
        assert_string_equal(error, cases[i].error);
    }
}

/* Judges {"output": …} or an error by expectations alone. */
static void assert_verdict(const char *text, const struct verdict_answer *answer,
                           enum result_status status, const char *reason)
{
    struct criteria *c = parse(text);
    struct verdict v;
    verdict_begin(&v, c, answer);
    verdict_end(&v);
    if (v.status != status || strcmp(v.reason.data ? v.reason.data : "", reason) != 0) {
        fail_msg("%s: %s, %s", text, result_status_name(v.status), v.reason.data);
    }
    assert_true(marline__json_is_valid(marline__buffer_slice(&v.metrics), JSON_STRICT));
    verdict_deinit(&v);
    criteria_destroy(c);
}

static void given_output_when_judged_then_verdict_and_reason(void **state)
{
    static const struct {
        const char *criteria;
        enum result_status status;
        const char *reason;
    } cases[] = {
        {"{}", RESULT_PASS, ""},
        {"{\"expect\":{\"pointer\":\"/text\",\"equals\":\"Hello\"}}", RESULT_PASS, ""},
        {"{\"expect\":[{\"pointer\":\"/text\",\"equals\":\"hello\"}]}", RESULT_FAIL,
         "/text: expected \"hello\", found \"Hello\""},
        {"{\"expect\":[{\"equals\":{\"text\":\"Hello\",\"user\":{\"age\":41},\"n\":3}}]}",
         RESULT_FAIL, "output: at /user/age within it: expected 41, found 42"},
        {"{\"expect\":[{\"pointer\":\"/nothing\",\"equals\":1}]}", RESULT_FAIL,
         "/nothing: nothing there; expected 1; the output is "
         "{\"text\":\"Hello\",\"n\":3,\"user\":{\"age\":42}}"},
        {"{\"expect\":[{\"pointer\":\"/nothing\",\"exists\":true}]}", RESULT_FAIL,
         "/nothing: nothing there; expected a value; the output is "
         "{\"text\":\"Hello\",\"n\":3,\"user\":{\"age\":42}}"},
        {"{\"expect\":[{\"pointer\":\"/nothing\",\"exists\":false}]}", RESULT_PASS, ""},
        {"{\"expect\":[{\"pointer\":\"/n\",\"exists\":false}]}", RESULT_FAIL,
         "/n: expected nothing, found 3"},
        {"{\"expect\":[{\"pointer\":\"/text\",\"contains\":\"ell\"}]}", RESULT_PASS, ""},
        {"{\"expect\":[{\"pointer\":\"/text\",\"contains\":\"bye\"}]}", RESULT_FAIL,
         "/text: expected to contain \"bye\", found \"Hello\""},
        {"{\"expect\":[{\"contains\":{\"user\":{\"age\":42}}}]}", RESULT_PASS, ""},
        {"{\"expect\":[{\"pointer\":\"/n\",\"min\":3,\"max\":3}]}", RESULT_PASS, ""},
        {"{\"expect\":[{\"pointer\":\"/n\",\"min\":3.5}]}", RESULT_FAIL,
         "/n: expected at least 3.5, found 3"},
        {"{\"expect\":[{\"pointer\":\"/text\",\"max\":1}]}", RESULT_FAIL,
         "/text: expected a number, at most 1, found \"Hello\""},
        {"{\"expect\":[{\"of\":\"duration_ms\",\"max\":10}]}", RESULT_FAIL,
         "duration_ms: expected at most 10, found 12.5"},
        {"{\"expect\":[{\"of\":\"error\",\"contains\":\"x\"}]}", RESULT_FAIL,
         "error: nothing there; expected something with \"x\""},
        {"{\"expect\":[{\"pointer\":\"/n\",\"equals\":1},{\"pointer\":\"/n\",\"equals\":2},"
         "{\"pointer\":\"/n\",\"equals\":3}]}",
         RESULT_FAIL, "/n: expected 1, found 3 (and 1 more)"},
    };
    const struct verdict_answer answer = {
        .success = true,
        .output = SLICE("{\"text\":\"Hello\",\"n\":3,\"user\":{\"age\":42}}"),
        .duration_ms = 12.5};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_verdict(cases[i].criteria, &answer, cases[i].status, cases[i].reason);
    }
}

static void given_failed_answer_when_judged_then_error_unless_expected(void **state)
{
    const struct verdict_answer answer = {.error = SLICE("no such user")};
    (void)state;
    assert_verdict("{}", &answer, RESULT_ERROR, "no such user");
    assert_verdict("{\"expect\":{\"exists\":true}}", &answer, RESULT_ERROR, "no such user");
    assert_verdict("{\"expect\":{\"of\":\"error\",\"contains\":\"user\"}}", &answer, RESULT_PASS,
                   "");
    assert_verdict("{\"expect\":{\"of\":\"error\",\"equals\":\"x\"}}", &answer, RESULT_FAIL,
                   "error: expected \"x\", found \"no such user\"");
    assert_verdict("{\"expect\":{\"of\":\"error\",\"exists\":false}}", &answer, RESULT_ERROR,
                   "no such user");
}

static void given_long_value_when_it_differs_then_cut_between_characters(void **state)
{
    char output[600] = "\"";
    struct verdict v;
    struct criteria *c = parse("{\"expect\":{\"equals\":0}}");
    (void)state;
    for (size_t i = 0; i < 200; i++) {
        strncat(output, "é", sizeof output - strlen(output) - 1);
    }
    strncat(output, "\"", sizeof output - strlen(output) - 1);
    const struct verdict_answer answer = {.success = true, .output = marline__slice_text(output)};
    verdict_begin(&v, c, &answer);
    verdict_end(&v);
    assert_non_null(strstr(v.reason.data, "é… (402 bytes)"));
    assert_true(marline__utf8_is_valid(marline__buffer_slice(&v.reason)));
    verdict_deinit(&v);
    criteria_destroy(c);
}

static void given_metrics_when_asked_then_in_order_with_inputs(void **state)
{
    struct criteria *c = parse("{\"metrics\":[{\"name\":\"brevity\",\"threshold\":0.5},"
                               "{\"name\":\"match\",\"expected_output\":\"HI\",\"equals\":true,"
                               "\"context\":[\"a\"]}]}");
    const struct verdict_answer answer = {.success = true, .output = SLICE("{\"output\":\"hi\"}")};
    const struct verdict_score good = {.success = true, .score = SLICE("0.7")};
    const struct verdict_score bad = {.success = true, .score = SLICE("false")};
    struct verdict v;
    struct buffer inputs = BUFFER_INIT;
    (void)state;
    verdict_begin(&v, c, &answer);
    assert_string_equal(verdict_metric(&v), "brevity");
    verdict_metric_inputs(&v, SLICE("{\"input\":\"x\"}"), answer.output, &inputs);
    assert_string_equal(inputs.data, "{\"input\":\"x\",\"output\":\"hi\"}");
    verdict_add_score(&v, &good);
    assert_string_equal(verdict_metric(&v), "match");
    marline__buffer_clear(&inputs);
    verdict_metric_inputs(&v, SLICE("{\"n\":1}"), SLICE("[2]"), &inputs);
    assert_string_equal(inputs.data, "{\"input\":{\"n\":1},\"output\":[2],"
                                     "\"expected_output\":\"HI\",\"context\":[\"a\"]}");
    verdict_add_score(&v, &bad);
    assert_null(verdict_metric(&v));
    verdict_end(&v);
    assert_int_equal(v.status, RESULT_FAIL);
    assert_string_equal(v.reason.data, "metric match: expected true, found false");
    assert_string_equal(
        v.metrics.data,
        "{\"execution_time\":0.0,\"metrics\":{\"brevity\":{\"score\":0.7,\"threshold\":0.5,"
        "\"min\":0.5,\"duration_ms\":0.0,\"details\":{},\"is_successful\":true},"
        "\"match\":{\"score\":false,\"equals\":true,\"duration_ms\":0.0,\"details\":{},"
        "\"is_successful\":false,\"reason\":\"expected true, found false\"}},"
        "\"reason\":\"metric match: expected true, found false\"}");
    marline__buffer_deinit(&inputs);
    verdict_deinit(&v);
    criteria_destroy(c);
}

static void given_expected_output_of_the_test_when_metric_has_none_then_it_gets_that(void **state)
{
    struct criteria *c = parse("{\"metrics\":[{\"name\":\"a\"},{\"name\":\"b\","
                               "\"expected_output\":\"own\"}],\"expected_output\":\"test's\"}");
    static const char *const expected[] = {"\"expected_output\":\"test's\"}",
                                           "\"expected_output\":\"own\"}"};
    const struct verdict_answer answer = {.success = true, .output = SLICE("1")};
    const struct verdict_score good = {.success = true, .score = SLICE("true")};
    struct verdict v;
    (void)state;
    verdict_begin(&v, c, &answer);
    for (size_t i = 0; i < 2; i++) {
        struct buffer inputs = BUFFER_INIT;
        verdict_metric_inputs(&v, SLICE("{}"), answer.output, &inputs);
        assert_non_null(strstr(inputs.data, expected[i]));
        verdict_add_score(&v, &good);
        marline__buffer_deinit(&inputs);
    }
    verdict_end(&v);
    assert_int_equal(v.status, RESULT_PASS);
    verdict_deinit(&v);
    criteria_destroy(c);
}

static void given_scores_when_judged_then_verdict(void **state)
{
    static const struct {
        const char *metric; /* members after the name */
        const char *score;
        const char *details;
        enum result_status status;
        const char *reason;
    } cases[] = {
        {",\"min\":0.5", "0.5", "{}", RESULT_PASS, ""},
        {",\"min\":0.5", "0.4", "{}", RESULT_FAIL, "metric m: expected at least 0.5, found 0.4"},
        {",\"min\":0.5", "\"high\"", "{}", RESULT_FAIL,
         "metric m: expected a number, at least 0.5, found \"high\""},
        {",\"equals\":\"good\"", "\"good\"", "{}", RESULT_PASS, ""},
        {"", "true", "{}", RESULT_PASS, ""},
        {"", "false", "{}", RESULT_FAIL, "metric m: failed, score false"},
        {"", "0.9", "{\"is_successful\":true}", RESULT_PASS, ""},
        {"", "0.1", "{\"is_successful\":false}", RESULT_FAIL, "metric m: failed, score 0.1"},
        {"", "0.1", "{}", RESULT_ERROR,
         "metric m: score 0.1 is no verdict: give min, max, equals or contains"},
        {",\"min\":0.5", NULL, "{}", RESULT_ERROR, "metric m: not computed: no agent"},
    };
    const struct verdict_answer answer = {.success = true};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128] = "{\"metrics\":[{\"name\":\"m\"";
        strncat(text, cases[i].metric, sizeof text - strlen(text) - 1);
        strncat(text, "}]}", sizeof text - strlen(text) - 1);
        struct criteria *c = parse(text);
        struct verdict v;
        struct verdict_score score = {.success = cases[i].score != NULL,
                                      .score = marline__slice_text(cases[i].score),
                                      .details = marline__slice_text(cases[i].details),
                                      .error = SLICE("no agent")};
        verdict_begin(&v, c, &answer);
        verdict_add_score(&v, &score);
        verdict_end(&v);
        assert_int_equal(v.status, cases[i].status);
        assert_string_equal(v.reason.data ? v.reason.data : "", cases[i].reason);
        assert_true(marline__json_is_valid(marline__buffer_slice(&v.metrics), JSON_STRICT));
        verdict_deinit(&v);
        criteria_destroy(c);
    }
}

static void given_failure_and_broken_metric_when_judged_then_error_is_told(void **state)
{
    struct criteria *c = parse("{\"expect\":{\"equals\":1},\"metrics\":[{\"name\":\"m\"}]}");
    const struct verdict_answer answer = {.success = true, .output = SLICE("2")};
    const struct verdict_score score = {.error = SLICE("gone")};
    struct verdict v;
    (void)state;
    verdict_begin(&v, c, &answer);
    verdict_add_score(&v, &score);
    verdict_end(&v);
    assert_int_equal(v.status, RESULT_ERROR);
    assert_string_equal(v.reason.data, "metric m: not computed: gone (and 1 more)");
    verdict_deinit(&v);
    criteria_destroy(c);
}

static void given_failed_answer_when_judged_then_no_metric_is_asked(void **state)
{
    struct criteria *c = parse("{\"metrics\":[{\"name\":\"m\"}]}");
    const struct verdict_answer answer = {.error = SLICE("boom")};
    struct verdict v;
    (void)state;
    verdict_begin(&v, c, &answer);
    assert_null(verdict_metric(&v));
    verdict_end(&v);
    assert_int_equal(v.status, RESULT_ERROR);
    verdict_deinit(&v);
    criteria_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_wrong_criteria_when_parsed_then_member_is_named),
        cmocka_unit_test(given_output_when_judged_then_verdict_and_reason),
        cmocka_unit_test(given_failed_answer_when_judged_then_error_unless_expected),
        cmocka_unit_test(given_long_value_when_it_differs_then_cut_between_characters),
        cmocka_unit_test(given_metrics_when_asked_then_in_order_with_inputs),
        cmocka_unit_test(given_expected_output_of_the_test_when_metric_has_none_then_it_gets_that),
        cmocka_unit_test(given_scores_when_judged_then_verdict),
        cmocka_unit_test(given_failure_and_broken_metric_when_judged_then_error_is_told),
        cmocka_unit_test(given_failed_answer_when_judged_then_no_metric_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
