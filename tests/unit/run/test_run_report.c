/* What a person sees of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/run_report.h"

static void given_run_when_printed_then_table_and_sum(void **state)
{
    static const char body[] =
        "{\"status\":\"completed\",\"results\":["
        "{\"name\":\"good\",\"status\":\"Pass\",\"reason\":null,\"duration_ms\":12.4,"
        "\"attempts\":[{},{}],\"spans\":3,\"linked\":3,\"complete\":true},"
        "{\"name\":\"bad \\u001b[2J\",\"status\":\"Fail\",\"reason\":\"expected\\n1\","
        "\"duration_ms\":61000,\"attempts\":[{}],\"spans\":4,\"linked\":1,\"complete\":false},"
        "{\"name\":null,\"function_name\":\"f\",\"status\":null,\"attempts\":[],\"spans\":0,"
        "\"linked\":0,\"complete\":null}]}";
    static const char expected[] =
        "\n    TEST                  STATUS       TIME  TRIES  LINKED\n"
        "  ✔ good                  Pass        12 ms      2       3\n"
        "  ✘ bad ?[2J              Fail      61.0 s       1       1 of 4\n"
        "    expected 1\n"
        "  - f                     Skipped         -      0       -\n"
        "\n  1 passed, 1 failed, 1 skipped of 3 in 1.50 s · 4 of 7 spans linked\n";
    struct run_report report;
    char *text = NULL;
    size_t size = 0;
    (void)state;
    assert_true(run_report_read(&report, SLICE(body)));
    assert_int_equal(report.count, 3);
    assert_false(report.is_complete);
    FILE *out = open_memstream(&text, &size);
    run_report_print(&report, 1.5, false, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
    run_report_deinit(&report);
}

static void given_spans_that_are_declared_but_missing_when_read_then_incomplete(void **state)
{
    struct run_report report;
    (void)state;
    assert_true(run_report_read(
        &report, SLICE("{\"results\":[{\"name\":\"a\",\"status\":\"Pass\",\"spans\":1,\"linked\":1,"
                       "\"complete\":false}]}")));
    assert_false(report.is_complete);
    run_report_deinit(&report);
}

static void given_no_run_when_read_then_refused(void **state)
{
    static const char *const bodies[] = {"", "{}", "[]", "{\"results\":{}}", "{\"results\":["};
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct run_report report;
        assert_false(run_report_read(&report, marline__slice_text(bodies[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_run_when_printed_then_table_and_sum),
        cmocka_unit_test(given_spans_that_are_declared_but_missing_when_read_then_incomplete),
        cmocka_unit_test(given_no_run_when_read_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
