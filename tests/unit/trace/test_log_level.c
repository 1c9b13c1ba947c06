/* OTEL_LOG_LEVEL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/log.h"
#include <marline/marline.h>

static unsigned seen; /* bit n: a line of level n arrived */

static void see(void *user, marline_log_level level, const char *text)
{
    (void)user;
    (void)text;
    seen |= 1u << level;
}

static unsigned log_all_with(const char *level)
{
    if (level) {
        assert_int_equal(setenv("OTEL_LOG_LEVEL", level, 1), 0);
    } else {
        assert_int_equal(unsetenv("OTEL_LOG_LEVEL"), 0);
    }
    seen = 0;
    marline_log_set(see, NULL);
    for (int i = LOG_ERROR; i <= LOG_DEBUG; i++) {
        marline__log((enum log_level)i, "line");
    }
    marline_log_set(NULL, NULL);
    return seen;
}

static void given_level_when_logging_then_less_important_lines_are_kept_back_ENV_05(void **state)
{
    (void)state;
    assert_int_equal(log_all_with(NULL), 0xf);
    assert_int_equal(log_all_with(""), 0xf);
    assert_int_equal(log_all_with("none"), 0);
    assert_int_equal(log_all_with("error"), 1);
    assert_int_equal(log_all_with("WARN"), 3);
    assert_int_equal(log_all_with("info"), 7);
    assert_int_equal(log_all_with("debug"), 0xf);
    assert_int_equal(log_all_with("chatty"), 0xf); /* not known: as unset */
    assert_int_equal(unsetenv("OTEL_LOG_LEVEL"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_level_when_logging_then_less_important_lines_are_kept_back_ENV_05),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
