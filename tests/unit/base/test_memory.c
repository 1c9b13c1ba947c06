/* Allocation through the replaceable table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "support/failing_memory.h"

static void given_new_memory_when_read_then_all_zero(void **state)
{
    (void)state;
    unsigned char *block = marline__memory_array(16, 4);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(block[i], 0);
    }
    marline__memory_free(block);
    block = marline__memory_zeroed(0);
    assert_non_null(block);
    marline__memory_free(block);
    marline__memory_free(NULL);
}

static void given_overflowing_array_when_asked_for_then_null(void **state)
{
    (void)state;
    assert_null(marline__memory_array(SIZE_MAX / 2, 3));
}

static void given_text_when_copied_then_owned_and_terminated(void **state)
{
    (void)state;
    char *text = marline__memory_text("abc");
    assert_string_equal(text, "abc");
    marline__memory_free(text);
    text = marline__memory_slice((struct slice){"abcdef", 2});
    assert_string_equal(text, "ab");
    marline__memory_free(text);
    text = marline__memory_slice(SLICE_EMPTY);
    assert_string_equal(text, "");
    marline__memory_free(text);
    assert_null(marline__memory_text(NULL));
}

static void given_failing_allocator_when_used_then_null_and_old_block_stays(void **state)
{
    (void)state;
    failing_memory_install(2);
    char *text = marline__memory_text("abc");
    assert_null(marline__memory_resize(text, 100));
    assert_true(failing_memory_has_failed());
    assert_string_equal(text, "abc");
    assert_int_equal(failing_memory_alive(), 1);
    marline__memory_free(text);
    failing_memory_install(1);
    assert_null(marline__memory_zeroed(8));
    failing_memory_install(1);
    assert_null(marline__memory_text("x"));
    failing_memory_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_new_memory_when_read_then_all_zero),
        cmocka_unit_test(given_overflowing_array_when_asked_for_then_null),
        cmocka_unit_test(given_text_when_copied_then_owned_and_terminated),
        cmocka_unit_test(given_failing_allocator_when_used_then_null_and_old_block_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
