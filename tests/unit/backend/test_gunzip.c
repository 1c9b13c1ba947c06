/* Decompression of bodies: whole, damaged, cut, and larger than allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/gunzip.h"

/* "ab" and "cd", a member each. */
static const uint8_t two_members[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0x4c, 0x02, 0x00, 0x6d,
    0x48, 0x83, 0x9e, 0x02, 0x00, 0x00, 0x00, 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x02, 0x03, 0x4b, 0x4e, 0x01, 0x00, 0xda, 0x8f, 0xd6, 0x45, 0x02, 0x00, 0x00, 0x00};
/* 100000 times 'a' in 133 bytes. */
static const uint8_t bomb[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0x00,
    0x00, 0x00, 0xc2, 0xa0, 0xac, 0xeb, 0x5f, 0xc2, 0x1a, 0x1e, 0x40, 0x01, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0xaf, 0x06, 0x87, 0xfa, 0xe2, 0x1b, 0xa0, 0x86, 0x01, 0x00};

enum { BOMB_SIZE = 100000 };

static enum gunzip_result run(const uint8_t *data, size_t size, size_t max, struct buffer *out)
{
    return gunzip((struct slice){(const char *)data, size}, max, out);
}

static void given_two_members_when_inflated_then_one_text(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    assert_int_equal(run(two_members, sizeof(two_members), 4, &out), GUNZIP_OK);
    assert_int_equal(out.size, 4);
    assert_memory_equal(out.data, "abcd", 4);
    marline__buffer_deinit(&out);
}

static void
given_limit_when_one_byte_short_then_too_large_and_no_more_is_inflated_SRV_06(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    assert_int_equal(run(bomb, sizeof(bomb), BOMB_SIZE, &out), GUNZIP_OK);
    assert_int_equal(out.size, BOMB_SIZE);
    marline__buffer_clear(&out);
    assert_int_equal(run(bomb, sizeof(bomb), BOMB_SIZE - 1, &out), GUNZIP_TOO_LARGE);
    marline__buffer_clear(&out);
    assert_int_equal(run(bomb, sizeof(bomb), 10, &out), GUNZIP_TOO_LARGE);
    assert_true(out.size <= 11);
    marline__buffer_deinit(&out);
}

static void given_cut_at_every_offset_when_inflated_then_corrupt(void **state)
{
    (void)state;
    size_t first_member = sizeof(two_members) / 2;
    for (size_t n = 0; n < sizeof(two_members); n++) {
        struct buffer out = BUFFER_INIT;
        assert_int_equal(run(two_members, n, 100, &out),
                         n == first_member ? GUNZIP_OK : GUNZIP_CORRUPT);
        marline__buffer_deinit(&out);
    }
}

static void given_damage_when_inflated_then_corrupt(void **state)
{
    (void)state;
    uint8_t damaged[sizeof(bomb)];
    struct buffer out = BUFFER_INIT;
    memcpy(damaged, bomb, sizeof(bomb));
    damaged[sizeof(damaged) - 5] ^= 1; /* of the checksum */
    assert_int_equal(run(damaged, sizeof(damaged), BOMB_SIZE, &out), GUNZIP_CORRUPT);
    marline__buffer_clear(&out);
    assert_int_equal(run((const uint8_t *)"plain text", 10, 100, &out), GUNZIP_CORRUPT);
    marline__buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_two_members_when_inflated_then_one_text),
        cmocka_unit_test(
            given_limit_when_one_byte_short_then_too_large_and_no_more_is_inflated_SRV_06),
        cmocka_unit_test(given_cut_at_every_offset_when_inflated_then_corrupt),
        cmocka_unit_test(given_damage_when_inflated_then_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
