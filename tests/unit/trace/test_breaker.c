/* The circuit breaker: each arrow, under times given by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "trace/breaker.h"

#define START_NS    (1000 * NS_PER_S)
#define LONGEST     UINT64_MAX /* random bits are taken modulo, so tests name the exact rest */
#define PAUSE_WHOLE (BREAKER_PAUSE_FIRST_NS / 2) /* the random part at its most */

static void fail_times(struct breaker *b, unsigned times, uint64_t now_ns)
{
    for (unsigned i = 0; i < times; i++) {
        assert_true(marline__breaker_begin(b, now_ns));
        marline__breaker_failed(b, now_ns, 0);
    }
}

static void given_closed_when_failures_are_not_in_a_row_then_stays_closed(void **state)
{
    (void)state;
    struct breaker b;
    marline__breaker_init(&b);
    for (int i = 0; i < 10; i++) {
        fail_times(&b, BREAKER_FAILURES_MAX - 1, START_NS);
        assert_true(marline__breaker_begin(&b, START_NS));
        marline__breaker_succeeded(&b);
    }
    assert_int_equal(b.state, BREAKER_CLOSED);
    assert_int_equal(b.successes, 10);
    assert_int_equal(marline__breaker_retry_ns(&b), 0);
}

static void given_closed_when_failures_come_in_a_row_then_opens(void **state)
{
    (void)state;
    struct breaker b;
    marline__breaker_init(&b);
    fail_times(&b, BREAKER_FAILURES_MAX, START_NS);
    assert_int_equal(b.state, BREAKER_OPEN);
    assert_false(marline__breaker_begin(&b, START_NS));
    assert_int_equal(marline__breaker_retry_ns(&b), START_NS + BREAKER_PAUSE_FIRST_NS / 2);
}

static void given_open_when_pause_is_over_then_one_probe(void **state)
{
    (void)state;
    struct breaker b;
    marline__breaker_init(&b);
    fail_times(&b, BREAKER_FAILURES_MAX, START_NS);
    uint64_t retry_ns = marline__breaker_retry_ns(&b);
    assert_false(marline__breaker_begin(&b, retry_ns - 1));
    assert_true(marline__breaker_begin(&b, retry_ns));
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    assert_false(marline__breaker_begin(&b, retry_ns + 3600 * NS_PER_S));
    assert_true(marline__breaker_retry_ns(&b) == TIME_NEVER);
}

static void given_probe_when_it_succeeds_then_closed_and_patient_again(void **state)
{
    (void)state;
    struct breaker b;
    marline__breaker_init(&b);
    fail_times(&b, BREAKER_FAILURES_MAX, START_NS);
    assert_true(marline__breaker_begin(&b, b.retry_ns));
    marline__breaker_succeeded(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
    fail_times(&b, BREAKER_FAILURES_MAX, START_NS);
    assert_int_equal(b.pause_ns, BREAKER_PAUSE_FIRST_NS);
}

static void given_probe_when_it_fails_then_open_at_once_for_twice_as_long(void **state)
{
    (void)state;
    struct breaker b;
    marline__breaker_init(&b);
    fail_times(&b, BREAKER_FAILURES_MAX, START_NS);
    uint64_t expected_ns = BREAKER_PAUSE_FIRST_NS;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(b.pause_ns, expected_ns);
        uint64_t now_ns = b.retry_ns;
        assert_true(marline__breaker_begin(&b, now_ns));
        marline__breaker_failed(&b, now_ns, 0);
        assert_int_equal(b.state, BREAKER_OPEN);
        expected_ns =
            2 * expected_ns < BREAKER_PAUSE_MAX_NS ? 2 * expected_ns : BREAKER_PAUSE_MAX_NS;
    }
    assert_int_equal(b.pause_ns, BREAKER_PAUSE_MAX_NS);
}

static void given_random_bits_when_opened_then_pause_between_half_and_whole(void **state)
{
    (void)state;
    static const uint64_t random[] = {0, 1, PAUSE_WHOLE, PAUSE_WHOLE + 1, LONGEST};
    for (size_t i = 0; i < sizeof random / sizeof *random; i++) {
        struct breaker b;
        marline__breaker_init(&b);
        fail_times(&b, BREAKER_FAILURES_MAX - 1, START_NS);
        marline__breaker_failed(&b, START_NS, random[i]);
        assert_true(b.retry_ns >= START_NS + BREAKER_PAUSE_FIRST_NS / 2);
        assert_true(b.retry_ns <= START_NS + BREAKER_PAUSE_FIRST_NS);
    }
}

static void given_open_when_forced_then_probe_at_any_time(void **state)
{
    (void)state;
    struct breaker b;
    marline__breaker_init(&b);
    marline__breaker_force(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
    fail_times(&b, BREAKER_FAILURES_MAX, START_NS);
    marline__breaker_force(&b);
    assert_int_equal(b.state, BREAKER_HALF_OPEN);
    marline__breaker_failed(&b, START_NS, 0);
    assert_int_equal(b.state, BREAKER_OPEN);
    marline__breaker_force(&b);
    marline__breaker_succeeded(&b);
    assert_int_equal(b.state, BREAKER_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_closed_when_failures_are_not_in_a_row_then_stays_closed),
        cmocka_unit_test(given_closed_when_failures_come_in_a_row_then_opens),
        cmocka_unit_test(given_open_when_pause_is_over_then_one_probe),
        cmocka_unit_test(given_probe_when_it_succeeds_then_closed_and_patient_again),
        cmocka_unit_test(given_probe_when_it_fails_then_open_at_once_for_twice_as_long),
        cmocka_unit_test(given_random_bits_when_opened_then_pause_between_half_and_whole),
        cmocka_unit_test(given_open_when_forced_then_probe_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
