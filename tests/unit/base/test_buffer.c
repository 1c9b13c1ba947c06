/* The growing run of bytes and its sticky failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "support/failing_memory.h"

static void given_appends_when_read_then_bytes_in_order_and_nul_behind(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_text(&b, "a");
    marline__buffer_append(&b, "\0b", 2);
    marline__buffer_append_slice(&b, SLICE_EMPTY);
    marline__buffer_append_byte(&b, 'c');
    assert_true(marline__slice_equal(marline__buffer_slice(&b), SLICE("a\0bc")));
    assert_int_equal(b.data[b.size], 0);
    marline__buffer_deinit(&b);
    assert_null(b.data);
}

static void given_numbers_when_appended_then_decimal(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_unsigned(&b, 0);
    marline__buffer_append_byte(&b, ' ');
    marline__buffer_append_unsigned(&b, UINT64_MAX);
    marline__buffer_append_byte(&b, ' ');
    marline__buffer_append_signed(&b, INT64_MIN);
    marline__buffer_append_byte(&b, ' ');
    marline__buffer_append_signed(&b, INT64_MAX);
    marline__buffer_append_format(&b, " %s=%d", "x", 7);
    assert_string_equal(b.data,
                        "0 18446744073709551615 -9223372036854775808 9223372036854775807 x=7");
    marline__buffer_deinit(&b);
}

static void given_many_appends_when_grown_then_nothing_is_lost(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    for (int i = 0; i < 5000; i++) {
        marline__buffer_append_byte(&b, (char)i);
    }
    assert_int_equal(b.size, 5000);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(b.data[i], (char)i);
    }
    marline__buffer_deinit(&b);
}

static void given_content_when_consumed_then_rest_moves_to_the_front(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_text(&b, "abcdef");
    marline__buffer_consume(&b, 0);
    marline__buffer_consume(&b, 4);
    assert_string_equal(b.data, "ef");
    marline__buffer_consume(&b, 2);
    assert_int_equal(b.size, 0);
    marline__buffer_deinit(&b);
}

static void given_content_when_taken_then_buffer_is_empty_and_text_owned(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_text(&b, "abc");
    char *text = marline__buffer_take(&b);
    assert_string_equal(text, "abc");
    assert_int_equal(b.size, 0);
    assert_null(b.data);
    marline__memory_free(text);
    text = marline__buffer_take(&b);
    assert_string_equal(text, "");
    marline__memory_free(text);
}

static void given_no_memory_when_appended_then_failure_sticks_until_cleared(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    failing_memory_install(2);
    marline__buffer_append_text(&b, "kept");
    assert_false(marline__buffer_reserve(&b, 1000));
    assert_true(b.failed);
    marline__buffer_append_text(&b, "ignored");
    marline__buffer_append_format(&b, "%d", 1);
    assert_string_equal(b.data, "kept");
    assert_null(marline__buffer_take(&b));
    assert_int_equal(failing_memory_alive(), 0);
    marline__buffer_append_text(&b, "again");
    assert_string_equal(b.data, "again");
    marline__buffer_deinit(&b);
    assert_int_equal(failing_memory_alive(), 0);
    failing_memory_remove();
}

static void given_absurd_size_when_reserved_then_failed_not_wrapped(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_byte(&b, 'x');
    assert_false(marline__buffer_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    marline__buffer_clear(&b);
    assert_false(b.failed);
    assert_int_equal(b.size, 0);
    marline__buffer_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_appends_when_read_then_bytes_in_order_and_nul_behind),
        cmocka_unit_test(given_numbers_when_appended_then_decimal),
        cmocka_unit_test(given_many_appends_when_grown_then_nothing_is_lost),
        cmocka_unit_test(given_content_when_consumed_then_rest_moves_to_the_front),
        cmocka_unit_test(given_content_when_taken_then_buffer_is_empty_and_text_owned),
        cmocka_unit_test(given_no_memory_when_appended_then_failure_sticks_until_cleared),
        cmocka_unit_test(given_absurd_size_when_reserved_then_failed_not_wrapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
