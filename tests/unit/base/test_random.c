/* Randomness: repeatable from a seed, uniform below a bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/random.h"

static void given_seed_when_drawn_then_splitmix64(void **state)
{
    (void)state;
    struct random_seeded seeded;
    struct random_source random = marline__random_seeded(&seeded, 1234567);
    /* The published sequence of splitmix64 for this seed. */
    assert_true(marline__random_u64(&random) == 6457827717110365317u);
    assert_true(marline__random_u64(&random) == 3203168211198807973u);
    assert_true(marline__random_u64(&random) == 9817491932198370423u);
}

static void given_same_seed_when_drawn_then_same_bytes(void **state)
{
    (void)state;
    struct random_seeded states[2];
    struct random_source a = marline__random_seeded(&states[0], 42);
    struct random_source b = marline__random_seeded(&states[1], 42);
    char first[37];
    char second[37];
    marline__random_fill(&a, first, sizeof first);
    marline__random_fill(&b, second, sizeof second);
    assert_memory_equal(first, second, sizeof first);
}

static void given_bound_when_drawn_then_every_value_and_none_beyond(void **state)
{
    (void)state;
    struct random_seeded seeded;
    struct random_source random = marline__random_seeded(&seeded, 1);
    int counts[6] = {0};
    for (int i = 0; i < 60000; i++) {
        uint64_t value = marline__random_below(&random, 6);
        assert_in_range(value, 0, 5);
        counts[value]++;
    }
    for (int i = 0; i < 6; i++) {
        assert_in_range(counts[i], 9500, 10500);
    }
    assert_int_equal(marline__random_below(&random, 1), 0);
    assert_true(marline__random_below(&random, UINT64_MAX) < UINT64_MAX);
}

static void given_system_source_when_drawn_twice_then_different(void **state)
{
    (void)state;
    uint64_t a = marline__random_u64(marline__random_system());
    uint64_t b = marline__random_u64(marline__random_system());
    assert_true(a != b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_seed_when_drawn_then_splitmix64),
        cmocka_unit_test(given_same_seed_when_drawn_then_same_bytes),
        cmocka_unit_test(given_bound_when_drawn_then_every_value_and_none_beyond),
        cmocka_unit_test(given_system_source_when_drawn_twice_then_different),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
