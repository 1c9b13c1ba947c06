/* Typed inputs, outputs and errors of a handler, without a client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "connector/call.h"

static const char inputs[] =
    "{\"text\":\"gr\\u00fc\\u00df\",\"empty\":\"\",\"int\":9007199254740993,\"whole\":3.0,"
    "\"half\":0.5,\"yes\":true,\"nothing\":null,\"list\":[1,2],\"object\":{\"a\": 1},"
    "\"nul\":\"a\\u0000b\",\"twice\":1,\"twice\":2,\"huge\":18446744073709551616}";

static int set_up(void **state)
{
    marline_call *call = calloc(1, sizeof *call);
    marline__call_init(call);
    marline__buffer_append_text(&call->inputs, inputs);
    *state = call;
    return 0;
}

static int tear_down(void **state)
{
    marline__call_deinit(*state);
    free(*state);
    return 0;
}

static void given_inputs_when_read_by_type_then_exact_values(void **state)
{
    marline_call *call = *state;
    assert_string_equal(marline_input_text(call, "text", NULL), "gr\xc3\xbc\xc3\x9f");
    assert_string_equal(marline_input_text(call, "empty", NULL), "");
    assert_true(marline_input_int(call, "int", 0) == 9007199254740993);
    assert_int_equal(marline_input_int(call, "whole", 0), 3);
    assert_true(marline_input_double(call, "half", 0) == 0.5);
    assert_true(marline_input_double(call, "int", 0) == 9007199254740992.0);
    assert_true(marline_input_bool(call, "yes", false));
    assert_string_equal(marline_input_json(call, "object"), "{\"a\": 1}");
    assert_string_equal(marline_input_json(call, "nothing"), "null");
    assert_int_equal(marline_input_int(call, "twice", 0), 2);
    assert_string_equal(marline_inputs_json(call), inputs);
    assert_false(call->failed);
}

static void given_missing_or_null_when_read_then_default(void **state)
{
    marline_call *call = *state;
    assert_string_equal(marline_input_text(call, "absent", "d"), "d");
    assert_string_equal(marline_input_text(call, "nothing", "d"), "d");
    assert_int_equal(marline_input_int(call, "absent", 7), 7);
    assert_true(marline_input_double(call, "nothing", 1.5) == 1.5);
    assert_true(marline_input_bool(call, "absent", true));
    assert_null(marline_input_json(call, "absent"));
    assert_true(marline_input_exists(call, "nothing"));
    assert_false(marline_input_exists(call, "absent"));
    assert_false(call->failed);
}

static void given_number_or_boolean_when_read_as_text_then_its_json(void **state)
{
    marline_call *call = *state;
    assert_string_equal(marline_input_text(call, "half", NULL), "0.5");
    assert_string_equal(marline_input_text(call, "yes", NULL), "true");
    assert_false(call->failed);
}

static void read_missing(marline_call *call)
{
    assert_string_equal(marline_input_text(call, "absent", NULL), "");
}
static void read_list_as_text(marline_call *call)
{
    assert_string_equal(marline_input_text(call, "list", "d"), "d");
}
static void read_text_as_int(marline_call *call)
{
    assert_int_equal(marline_input_int(call, "text", 5), 5);
}
static void read_half_as_int(marline_call *call)
{
    assert_int_equal(marline_input_int(call, "half", 5), 5);
}
static void read_huge_as_int(marline_call *call)
{
    assert_int_equal(marline_input_int(call, "huge", 5), 5);
}
static void read_text_as_double(marline_call *call)
{
    assert_true(marline_input_double(call, "text", 5) == 5.0);
}
static void read_int_as_bool(marline_call *call)
{
    assert_true(marline_input_bool(call, "int", true));
}
static void read_nul(marline_call *call)
{
    (void)marline_input_text(call, "nul", NULL);
}

static void given_wrong_input_when_read_then_error_names_it(void **state)
{
    (void)state;
    static const struct {
        void (*read)(marline_call *call);
        const char *error;
    } cases[] = {
        {read_missing, "input 'absent' is missing"},
        {read_list_as_text, "input 'list' must be a string, but is an array"},
        {read_text_as_int, "input 'text' must be a whole number, but is a string"},
        {read_half_as_int, "input 'half' must be a whole number of 64 bits, but is 0.5"},
        {read_huge_as_int,
         "input 'huge' must be a whole number of 64 bits, but is 18446744073709551616"},
        {read_text_as_double, "input 'text' must be a number that a double can hold, but is a "
                              "string"},
        {read_int_as_bool, "input 'int' must be a boolean, but is a number"},
        {read_nul, "input 'nul' holds a NUL character"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        void *call = NULL;
        (void)set_up(&call);
        cases[i].read(call);
        assert_string_equal(((marline_call *)call)->error, cases[i].error);
        (void)tear_down(&call);
    }
}

static void given_output_when_set_then_json_and_last_wins(void **state)
{
    marline_call *call = *state;
    assert_int_equal(marline_output_text(call, "a\"b"), MARLINE_OK);
    assert_string_equal(call->output, "{\"output\":\"a\\\"b\"}");
    assert_int_equal(marline_output_format(call, "%d-%s", 4, "x"), MARLINE_OK);
    assert_string_equal(call->output, "{\"output\":\"4-x\"}");
    assert_int_equal(marline_output_json(call, "[1, 2]"), MARLINE_OK);
    assert_string_equal(call->output, "[1, 2]");
    assert_false(call->failed);
}

static void given_invalid_json_when_output_then_call_fails(void **state)
{
    marline_call *call = *state;
    assert_int_equal(marline_output_json(call, "{\"a\":"), MARLINE_EINVAL);
    assert_true(call->failed);
    assert_string_equal(call->error, "the handler's output is not valid JSON");
}

static void given_two_failures_then_the_first_counts(void **state)
{
    marline_call *call = *state;
    assert_int_equal(marline_fail(call, "first %d", 1), MARLINE_EIO);
    (void)marline_fail(call, "second");
    assert_string_equal(call->error, "first 1");
}

static marline_status return_full(marline_call *call, void *user)
{
    (void)call;
    *(int *)user += 1;
    return MARLINE_EFULL;
}

static void given_handler_that_returns_a_status_then_its_text(void **state)
{
    marline_call *call = *state;
    int calls = 0;
    const struct endpoint endpoint = {.handler = return_full, .user = &calls};
    marline__call_run(call, &endpoint);
    assert_int_equal(calls, 1);
    assert_string_equal(call->error, "the handler failed: full");
}

static void given_required_parameter_missing_when_run_then_handler_is_not_called(void **state)
{
    marline_call *call = *state;
    int calls = 0;
    char name[] = "absent";
    char *required[] = {name};
    const struct endpoint endpoint = {
        .handler = return_full, .user = &calls, .required = required, .required_count = 1};
    marline__call_run(call, &endpoint);
    assert_int_equal(calls, 0);
    assert_string_equal(call->error, "required input 'absent' is missing");
}

#define CALL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CALL(given_inputs_when_read_by_type_then_exact_values),
        CALL(given_missing_or_null_when_read_then_default),
        CALL(given_number_or_boolean_when_read_as_text_then_its_json),
        cmocka_unit_test(given_wrong_input_when_read_then_error_names_it),
        CALL(given_output_when_set_then_json_and_last_wins),
        CALL(given_invalid_json_when_output_then_call_fails),
        CALL(given_two_failures_then_the_first_counts),
        CALL(given_handler_that_returns_a_status_then_its_text),
        CALL(given_required_parameter_missing_when_run_then_handler_is_not_called),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
