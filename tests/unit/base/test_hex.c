/* Hexadecimal text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hex.h"

static void given_bytes_when_encoded_then_lower_case_digits(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
    char text[9] = "xxxxxxxx";
    marline__hex_encode(bytes, sizeof bytes, text);
    assert_string_equal(text, "000fa5ff");
}

static void given_digits_when_decoded_then_bytes_of_either_case(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x00, 0xaf, 0xFA};
    uint8_t bytes[3];
    assert_true(marline__hex_decode(SLICE("00aFFa"), bytes, sizeof bytes));
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_true(marline__hex_decode_lower(SLICE("00affa"), bytes, sizeof bytes));
    assert_memory_equal(bytes, expected, sizeof expected);
    assert_false(marline__hex_decode_lower(SLICE("00aFfa"), bytes, sizeof bytes));
}

static void given_other_texts_when_decoded_then_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "0", "000", "00000", "g0", "0g", "/0", ":0", "@0", "`0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t byte;
        assert_false(marline__hex_decode(marline__slice_text(bad[i]), &byte, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_bytes_when_encoded_then_lower_case_digits),
        cmocka_unit_test(given_digits_when_decoded_then_bytes_of_either_case),
        cmocka_unit_test(given_other_texts_when_decoded_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
