/* Precedence, checks and messages of settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/words.h"
#include "programs/options.h"

static const struct option_spec specs[] = {
    {.name = "base-url",
     .kind = OPTION_TEXT,
     .value_name = "URL",
     .environment = "TEST_BASE_URL",
     .default_text = "http://localhost:8080",
     .in_file = true,
     .help = "Backend"},
    {.name = "plugin", .kind = OPTION_LIST, .value_name = "FILE", .help = "Plugin"},
    {.name = "interval-ms",
     .kind = OPTION_WHOLE,
     .value_name = "MS",
     .environment = "TEST_INTERVAL",
     .default_text = "5000",
     .minimum = 1,
     .maximum = 60000,
     .in_file = true,
     .help = "Interval"},
    {.name = "scale",
     .kind = OPTION_REAL,
     .value_name = "FACTOR",
     .default_text = "1",
     .minimum = 0.01,
     .maximum = 10,
     .help = "Scale"},
    {.name = "json", .kind = OPTION_FLAG, .help = "JSON"},
};

struct fixture {
    struct options options;
    struct failure failure;
    struct words words;
};

static int set_up(void **state)
{
    static struct fixture f;
    unsetenv("TEST_BASE_URL");
    unsetenv("TEST_INTERVAL");
    f.failure = FAILURE_INIT;
    options_init(&f.options, specs, sizeof specs / sizeof specs[0]);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    options_deinit(&f->options);
    words_deinit(&f->words);
    return 0;
}

/* The words stay until tear_down: operands are borrowed. */
static bool read_line(struct fixture *f, const char *line)
{
    const char *error = NULL;
    words_deinit(&f->words);
    assert_true(words_split(line, &f->words, &error));
    return options_read_arguments(&f->options, (int)f->words.count, f->words.items, &f->failure);
}

static void given_nothing_set_when_asked_then_defaults(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(options_text(&f->options, "base-url"), "http://localhost:8080");
    assert_int_equal(options_whole(&f->options, "interval-ms"), 5000);
    assert_false(options_flag(&f->options, "json"));
    assert_null(options_text(&f->options, "plugin"));
}

static void given_all_origins_when_asked_then_flag_wins(void **state)
{
    struct fixture *f = *state;
    setenv("TEST_BASE_URL", "http://env", 1);
    assert_true(read_line(f, "--base-url http://flag"));
    assert_true(options_read_environment(&f->options, &f->failure));
    assert_true(
        options_set(&f->options, "base-url", "http://file", ORIGIN_FILE, "a.yaml:1", &f->failure));
    assert_string_equal(options_text(&f->options, "base-url"), "http://flag");
    assert_int_equal(options_value(&f->options, "base-url")->origin, ORIGIN_FLAG);
}

static void given_environment_and_file_when_asked_then_environment_wins(void **state)
{
    struct fixture *f = *state;
    setenv("TEST_BASE_URL", "http://env", 1);
    assert_true(
        options_set(&f->options, "base-url", "http://file", ORIGIN_FILE, "a.yaml:1", &f->failure));
    assert_string_equal(options_value(&f->options, "base-url")->where, "a.yaml:1");
    assert_true(options_read_environment(&f->options, &f->failure));
    assert_string_equal(options_text(&f->options, "base-url"), "http://env");
    assert_null(options_value(&f->options, "base-url")->where);
}

static void given_empty_variable_when_read_then_as_unset(void **state)
{
    struct fixture *f = *state;
    setenv("TEST_BASE_URL", "", 1);
    assert_true(options_read_environment(&f->options, &f->failure));
    assert_int_equal(options_value(&f->options, "base-url")->origin, ORIGIN_DEFAULT);
}

static void given_repeated_list_option_when_read_then_all_kept_in_order(void **state)
{
    struct fixture *f = *state;
    assert_true(read_line(f, "--plugin a.so --plugin=b.so --json"));
    const struct option_value *v = options_value(&f->options, "plugin");
    assert_int_equal(v->count, 2);
    assert_string_equal(v->texts[0], "a.so");
    assert_string_equal(v->texts[1], "b.so");
    assert_true(options_flag(&f->options, "json"));
}

static void given_unknown_option_when_read_then_nearest_suggested(void **state)
{
    struct fixture *f = *state;
    assert_false(read_line(f, "--base-ulr=x"));
    assert_int_equal(f->failure.code, EXIT_CODE_USAGE);
    assert_string_equal(f->failure.text, "unknown option --base-ulr; did you mean --base-url?");
}

static void given_missing_value_when_read_then_usage_shown(void **state)
{
    struct fixture *f = *state;
    assert_false(read_line(f, "--plugin"));
    assert_string_equal(f->failure.text, "--plugin needs a value: --plugin FILE");
}

static void given_bad_numbers_when_read_then_range_named(void **state)
{
    static const char *const bad[] = {"", "0", "-1", "5s", "1.5", "60001", "0x10", "1e3", " 5"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        f->failure = FAILURE_INIT;
        assert_false(
            options_set(&f->options, "interval-ms", bad[i], ORIGIN_FLAG, NULL, &f->failure));
        assert_int_equal(f->failure.code, EXIT_CODE_USAGE);
    }
    assert_string_equal(f->failure.text,
                        "--interval-ms: ' 5' is not a whole number from 1 to 60000");
    f->failure = FAILURE_INIT;
    assert_false(read_line(f, "--scale nan"));
    assert_string_equal(f->failure.text, "--scale: 'nan' is not a number from 0.01 to 10");
}

static void given_bad_value_in_environment_when_read_then_variable_named(void **state)
{
    struct fixture *f = *state;
    setenv("TEST_INTERVAL", "soon", 1);
    assert_false(options_read_environment(&f->options, &f->failure));
    assert_int_equal(f->failure.code, EXIT_CODE_CONFIGURATION);
    assert_string_equal(f->failure.text,
                        "TEST_INTERVAL: 'soon' is not a whole number from 1 to 60000");
}

static void given_bad_value_in_file_when_set_then_line_and_key_named(void **state)
{
    struct fixture *f = *state;
    assert_false(
        options_set(&f->options, "interval-ms", "x", ORIGIN_FILE, "a.yaml:3", &f->failure));
    assert_string_equal(f->failure.text,
                        "a.yaml:3: interval_ms: 'x' is not a whole number from 1 to 60000");
}

static void given_double_dash_when_read_then_the_rest_are_operands(void **state)
{
    struct fixture *f = *state;
    assert_true(read_line(f, "one -- --json -"));
    assert_int_equal(f->options.operand_count, 3);
    assert_string_equal(f->options.operands[1], "--json");
    assert_false(options_flag(&f->options, "json"));
}

static void given_flag_too_long_for_its_column_when_help_then_explained_below(void **state)
{
    (void)state;
    static const struct option_spec shown[] = {
        {.name = "client-certificate-file", .value_name = "FILE", .help = "Long"},
        {.name = "plugin", .kind = OPTION_LIST, .value_name = "FILE", .help = "Short"},
    };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    options_print_help(shown, 2, out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "  --client-certificate-file FILE\n"
                              "                              Long\n"
                              "  --plugin FILE               Short\n");
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(given_nothing_set_when_asked_then_defaults),
        TEST(given_all_origins_when_asked_then_flag_wins),
        TEST(given_environment_and_file_when_asked_then_environment_wins),
        TEST(given_empty_variable_when_read_then_as_unset),
        TEST(given_repeated_list_option_when_read_then_all_kept_in_order),
        TEST(given_unknown_option_when_read_then_nearest_suggested),
        TEST(given_missing_value_when_read_then_usage_shown),
        TEST(given_bad_numbers_when_read_then_range_named),
        TEST(given_bad_value_in_environment_when_read_then_variable_named),
        TEST(given_bad_value_in_file_when_set_then_line_and_key_named),
        TEST(given_double_dash_when_read_then_the_rest_are_operands),
        cmocka_unit_test(given_flag_too_long_for_its_column_when_help_then_explained_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
