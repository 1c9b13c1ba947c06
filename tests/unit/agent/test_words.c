/* Command lines without a shell, and suggestions for misspelt words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/words.h"
#include "programs/nearest.h"

static void given_plain_words_when_split_then_parted_at_spaces(void **state)
{
    (void)state;
    struct words w;
    const char *error = NULL;
    assert_true(words_split("  python3\tanswer.py  -x ", &w, &error));
    assert_int_equal(w.count, 3);
    assert_string_equal(w.items[0], "python3");
    assert_string_equal(w.items[1], "answer.py");
    assert_string_equal(w.items[2], "-x");
    assert_null(w.items[3]);
    words_deinit(&w);
}

static void given_quotes_and_escapes_when_split_then_kept_together(void **state)
{
    (void)state;
    struct words w;
    const char *error = NULL;
    assert_true(words_split("a 'b  \\c' \"d \\\"e\\\" $HOME\" f\\ g '' h'i'\"j\"", &w, &error));
    assert_int_equal(w.count, 6);
    assert_string_equal(w.items[1], "b  \\c");
    assert_string_equal(w.items[2], "d \"e\" $HOME");
    assert_string_equal(w.items[3], "f g");
    assert_string_equal(w.items[4], "");
    assert_string_equal(w.items[5], "hij");
    words_deinit(&w);
}

static void given_open_quote_when_split_then_refused(void **state)
{
    (void)state;
    struct words w;
    const char *error = NULL;
    assert_false(words_split("a 'b", &w, &error));
    assert_string_equal(error, "a quote is not closed");
    assert_false(words_split("a \"b", &w, &error));
    assert_string_equal(error, "a quote is not closed");
}

static void given_no_word_when_split_then_refused(void **state)
{
    (void)state;
    struct words w;
    const char *error = NULL;
    assert_false(words_split(" \t ", &w, &error));
    assert_string_equal(error, "it is empty");
}

static const char *const known[] = {"base-url", "plugin", "project-id", "exec"};

static const char *nearest(const char *word)
{
    return nearest_word(word, known, 4, sizeof known[0]);
}

static void given_typing_error_when_searched_then_nearest_known_word(void **state)
{
    (void)state;
    assert_string_equal(nearest("base-ulr"), "base-url");
    assert_string_equal(nearest("plugins"), "plugin");
    assert_string_equal(nearest("proyect-id"), "project-id");
    assert_string_equal(nearest("exce"), "exec");
}

static void given_another_word_when_searched_then_none(void **state)
{
    (void)state;
    assert_null(nearest("verbose"));
    assert_null(nearest("exit")); /* two of four letters: not exec */
    assert_null(nearest("plan"));
    assert_null(nearest("url"));
    assert_null(nearest(""));
    assert_null(nearest("a-word-that-is-very-long-a-word-that-is-very-long-a-word-that-is-long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_plain_words_when_split_then_parted_at_spaces),
        cmocka_unit_test(given_quotes_and_escapes_when_split_then_kept_together),
        cmocka_unit_test(given_open_quote_when_split_then_refused),
        cmocka_unit_test(given_no_word_when_split_then_refused),
        cmocka_unit_test(given_typing_error_when_searched_then_nearest_known_word),
        cmocka_unit_test(given_another_word_when_searched_then_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
