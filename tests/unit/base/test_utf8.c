/* UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void given_text_when_checked_then_only_well_formed_passes(void **state)
{
    (void)state;
    assert_true(marline__utf8_is_valid(SLICE("a\xc3\xa9\xe2\x82\xac\xf4\x8f\xbf\xbf\0")));
    static const char *const bad[] = {"\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
                                      "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf5\x80\x80\x80",
                                      "\xc3",         "\xe2\x28\xa1",     "\xf4\x90\x80\x80"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(marline__utf8_is_valid(marline__slice_text(bad[i])));
    }
}

static void given_every_code_point_when_encoded_then_one_well_formed_sequence(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x10ffff; code++) {
        char bytes[4];
        size_t size = marline__utf8_encode(code, bytes);
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        size_t found = marline__utf8_sequence((struct slice){bytes, size});
        assert_int_equal(found, surrogate ? 0 : size);
    }
}

static void given_malformed_text_when_repaired_then_one_mark_for_each_maximal_part(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        const char *out;
    } vectors[] = {
        {"abc", "abc"},
        {"a\xffz", "a\xef\xbf\xbdz"},
        {"\xe2\x82", "\xef\xbf\xbd"},
        {"\xe2\x82z", "\xef\xbf\xbdz"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\xf0\x9f\x98\x80", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer out = BUFFER_INIT;
        marline__utf8_append_repaired(&out, marline__slice_text(vectors[i].in));
        assert_string_equal(out.data, vectors[i].out);
        marline__buffer_deinit(&out);
    }
}

static void given_text_when_measured_then_characters_not_bytes(void **state)
{
    (void)state;
    assert_int_equal(marline__utf8_length(SLICE("")), 0);
    assert_int_equal(marline__utf8_length(SLICE("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
}

static void given_one_bad_byte_when_anywhere_then_found(void **state)
{
    (void)state;
    enum { SIZE_MAX_TRIED = 40 };
    for (size_t size = 0; size <= SIZE_MAX_TRIED; size++) {
        char *text = malloc(size + 1); /* of the exact size: a sanitizer sees a read beyond */
        assert_non_null(text);
        memset(text, 'a', size);
        assert_true(marline__utf8_is_valid((struct slice){text, size}));
        for (size_t i = 0; i < size; i++) {
            text[i] = (char)0xff;
            assert_false(marline__utf8_is_valid((struct slice){text, size}));
            text[i] = 'a';
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_one_bad_byte_when_anywhere_then_found),
        cmocka_unit_test(given_text_when_checked_then_only_well_formed_passes),
        cmocka_unit_test(given_every_code_point_when_encoded_then_one_well_formed_sequence),
        cmocka_unit_test(given_malformed_text_when_repaired_then_one_mark_for_each_maximal_part),
        cmocka_unit_test(given_text_when_measured_then_characters_not_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
