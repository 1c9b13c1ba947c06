/* The hash table from text to pointers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/text_map.h"

static void given_many_keys_when_put_then_each_is_found_and_can_be_removed(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static int values[COUNT];
    struct text_map map;
    text_map_init(&map);
    char key[16];
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_null(text_map_put(&map, marline__slice_text(key), &values[i]));
    }
    assert_int_equal(map.count, COUNT);
    for (int i = 0; i < COUNT; i += 2) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_ptr_equal(text_map_remove(&map, marline__slice_text(key)), &values[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(key, sizeof(key), "key-%d", i);
        assert_ptr_equal(text_map_get(&map, marline__slice_text(key)), i % 2 ? &values[i] : NULL);
    }
    text_map_deinit(&map);
}

static void given_known_key_when_put_again_then_old_value_comes_back(void **state)
{
    (void)state;
    int first = 1;
    int second = 2;
    struct text_map map;
    text_map_init(&map);
    assert_null(text_map_put(&map, SLICE("a"), &first));
    assert_ptr_equal(text_map_put(&map, SLICE("a"), &second), &first);
    assert_ptr_equal(text_map_get(&map, SLICE("a")), &second);
    assert_int_equal(map.count, 1);
    text_map_deinit(&map);
}

static void given_empty_key_when_put_then_it_is_a_key_like_any_other(void **state)
{
    (void)state;
    int value = 1;
    struct text_map map;
    text_map_init(&map);
    assert_null(text_map_put(&map, SLICE_EMPTY, &value));
    assert_ptr_equal(text_map_get(&map, SLICE("")), &value);
    text_map_deinit(&map);
}

static void given_entries_when_visited_then_each_once_and_the_current_may_go(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    static int values[COUNT];
    struct text_map map;
    text_map_init(&map);
    char key[16];
    for (int i = 0; i < COUNT; i++) {
        values[i] = 0;
        (void)snprintf(key, sizeof(key), "%d", i);
        text_map_put(&map, marline__slice_text(key), &values[i]);
    }
    struct text_map_cursor cursor;
    struct slice found;
    text_map_begin(&map, &cursor);
    for (int *value; (value = text_map_next(&map, &cursor, &found));) {
        (*value)++;
        assert_ptr_equal(text_map_remove(&map, found), value);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(values[i], 1);
    }
    assert_int_equal(map.count, 0);
    text_map_deinit(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_many_keys_when_put_then_each_is_found_and_can_be_removed),
        cmocka_unit_test(given_known_key_when_put_again_then_old_value_comes_back),
        cmocka_unit_test(given_empty_key_when_put_then_it_is_a_key_like_any_other),
        cmocka_unit_test(given_entries_when_visited_then_each_once_and_the_current_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
