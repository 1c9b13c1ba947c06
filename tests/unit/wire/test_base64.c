/* Base64: the vectors of RFC 4648, section 10, and what is accepted besides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/base64.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xfe", "//4="},
};

static void given_vectors_when_coded_both_ways_then_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer out = BUFFER_INIT;
        marline__buffer_append(&out, NULL, 0);
        marline__base64_encode(marline__slice_text(vectors[i][0]), &out);
        assert_string_equal(out.data, vectors[i][1]);
        marline__buffer_clear(&out);
        assert_true(marline__base64_decode(marline__slice_text(vectors[i][1]), &out));
        assert_string_equal(out.data, vectors[i][0]);
        marline__buffer_deinit(&out);
    }
}

static void given_url_safe_or_unpadded_text_when_decoded_then_accepted(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    assert_true(marline__base64_decode(SLICE("__4"), &out));
    assert_true(marline__base64_decode(SLICE("-w"), &out));
    assert_string_equal(out.data, "\xff\xfe\xfb");
    marline__buffer_deinit(&out);
}

static void given_other_texts_when_decoded_then_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",    "Zg=",    "Zg===", "=",    "====", "Z===",    "Zm9v=",
                                      "Zm9 ", "Zm9v\n", "Zh==",  "Zm9=", "Z=g=", "\x80===", "Zg=a"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct buffer out = BUFFER_INIT;
        if (marline__base64_decode(marline__slice_text(bad[i]), &out)) {
            fail_msg("accepted: %s", bad[i]);
        }
        marline__buffer_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_vectors_when_coded_both_ways_then_golden),
        cmocka_unit_test(given_url_safe_or_unpadded_text_when_decoded_then_accepted),
        cmocka_unit_test(given_other_texts_when_decoded_then_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
