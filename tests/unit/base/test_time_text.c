/* ISO-8601 timestamps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "base/clock.h"
#include "base/time_text.h"

static void given_whole_second_when_formatted_then_no_fraction(void **state)
{
    (void)state;
    char text[TIME_TEXT_SIZE];
    marline__time_format(1767225600 * NS_PER_S, text);
    assert_string_equal(text, "2026-01-01T00:00:00Z");
}

static void given_nanoseconds_when_formatted_then_cut_to_six_digits(void **state)
{
    (void)state;
    char text[TIME_TEXT_SIZE];
    marline__time_format(1767225600 * NS_PER_S + 1999, text);
    assert_string_equal(text, "2026-01-01T00:00:00.000001Z");
}

/* Every day to 2553, and the last moment there is, against the C library's calendar. */
static void given_every_day_when_formatted_then_as_the_c_library(void **state)
{
    (void)state;
    for (uint64_t day = 0; day < 213503; day++) {
        time_t seconds = (time_t)(day * 86400 + day % 86400);
        struct tm t;
        char expected[TIME_TEXT_SIZE];
        char text[TIME_TEXT_SIZE];
        assert_non_null(gmtime_r(&seconds, &t));
        assert_true(strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", &t) > 0);
        marline__time_format((uint64_t)seconds * NS_PER_S, text);
        assert_string_equal(text, expected);
    }
    char text[TIME_TEXT_SIZE];
    marline__time_format(UINT64_MAX, text);
    assert_string_equal(text, "2554-07-21T23:34:33.709551Z");
}

static void given_offset_when_parsed_then_utc(void **state)
{
    (void)state;
    uint64_t ns = 0;
    enum time_zone_kind kind = TIME_NAIVE;
    assert_true(marline__time_parse(SLICE("2026-01-01T02:00:00.5+02:00"), &ns, &kind));
    assert_int_equal(kind, TIME_ZONED);
    assert_true(ns == 1767225600 * NS_PER_S + NS_PER_S / 2);
}

static void given_no_zone_when_parsed_then_naive_utc(void **state)
{
    (void)state;
    uint64_t ns = 0;
    enum time_zone_kind kind = TIME_ZONED;
    assert_true(marline__time_parse(SLICE("2026-01-01 00:00:00"), &ns, &kind));
    assert_int_equal(kind, TIME_NAIVE);
    assert_true(ns == 1767225600 * NS_PER_S);
}

static void given_malformed_text_when_parsed_then_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "2026-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-01-01T24:00:00Z",
                                      "2026-01-01T00:00:00.Z",
                                      "2026-01-01T00:00:00Zx",
                                      "2026-01-01",
                                      "1969-12-31T23:59:59Z",
                                      "1970-01-01T00:00:00+01:00",
                                      "2026-01-01T00:00:00+1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint64_t ns = 0;
        enum time_zone_kind kind;
        assert_false(marline__time_parse(marline__slice_text(bad[i]), &ns, &kind));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_whole_second_when_formatted_then_no_fraction),
        cmocka_unit_test(given_nanoseconds_when_formatted_then_cut_to_six_digits),
        cmocka_unit_test(given_every_day_when_formatted_then_as_the_c_library),
        cmocka_unit_test(given_offset_when_parsed_then_utc),
        cmocka_unit_test(given_no_zone_when_parsed_then_naive_utc),
        cmocka_unit_test(given_malformed_text_when_parsed_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
