/* Lines that fit a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "programs/wrap.h"

/* Returns owned. */
static char *wrapped(const char *text, size_t column, size_t indent)
{
    char *out = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&out, &size);
    assert_non_null(stream);
    wrap_print(stream, text, column, indent);
    assert_int_equal(fclose(stream), 0);
    return out;
}

static void assert_wrapped(const char *text, size_t column, size_t indent, const char *expected)
{
    char *out = wrapped(text, column, indent);
    assert_string_equal(out, expected);
    free(out);
}

#define FORTY "0123456789012345678901234567890123456789"

static void given_text_that_fits_when_wrapped_then_one_line(void **state)
{
    (void)state;
    assert_wrapped("a  b\nc", 10, 10, "a b c\n");
    assert_wrapped("", 10, 10, "\n");
    assert_wrapped(FORTY, 40, 4, FORTY "\n"); /* the last column is used */
}

static void given_text_too_long_when_wrapped_then_next_line_is_indented(void **state)
{
    (void)state;
    assert_wrapped(FORTY " " FORTY, 0, 4, FORTY "\n    " FORTY "\n");
    assert_wrapped("a " FORTY, 39, 2, "a\n  " FORTY "\n");
}

static void given_word_longer_than_a_line_when_wrapped_then_kept_whole(void **state)
{
    (void)state;
    assert_wrapped("a " FORTY FORTY FORTY " b", 0, 1, "a\n " FORTY FORTY FORTY "\n b\n");
}

static void given_bytes_of_utf8_when_wrapped_then_code_points_count(void **state)
{
    (void)state;
    assert_wrapped("… " FORTY " 012345678901234567890123456789012345…", 0, 2,
                   "… " FORTY " 012345678901234567890123456789012345…\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_text_that_fits_when_wrapped_then_one_line),
        cmocka_unit_test(given_text_too_long_when_wrapped_then_next_line_is_indented),
        cmocka_unit_test(given_word_longer_than_a_line_when_wrapped_then_kept_whole),
        cmocka_unit_test(given_bytes_of_utf8_when_wrapped_then_code_points_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
