/* UUIDs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/uuid.h"

static const char name_space_dns[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

static void given_accepted_forms_when_parsed_then_same_uuid(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
        "6ba7b8109dad11d180b400c04fd430c8", "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
        "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct uuid u;
        char text[UUID_TEXT_SIZE];
        assert_true(marline__uuid_parse(marline__slice_text(forms[i]), &u));
        marline__uuid_format(&u, text);
        assert_string_equal(text, name_space_dns);
    }
}

static void given_other_texts_when_parsed_then_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "6ba7b810-9dad-11d1-80b4-00c04fd430c",
                                      "6ba7b810-9dad-11d1-80b4-00c04fd430c8a",
                                      "6ba7b8109-dad-11d1-80b4-00c04fd430c8",
                                      "6ba7b810-9dad-11d1-80b4-00c04fd430cg",
                                      "{6ba7b810-9dad-11d1-80b4-00c04fd430c8",
                                      "{}",
                                      "urn:uuid:"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct uuid u;
        assert_false(marline__uuid_parse(marline__slice_text(bad[i]), &u));
    }
}

static void given_name_when_derived_then_version_5_of_rfc_9562(void **state)
{
    (void)state;
    struct uuid dns;
    char text[UUID_TEXT_SIZE];
    assert_true(marline__uuid_parse(marline__slice_text(name_space_dns), &dns));
    struct uuid derived = marline__uuid_derived(&dns, SLICE("python.org"));
    marline__uuid_format(&derived, text);
    assert_string_equal(text, "886313e1-3b8a-5372-9b90-0c9aee199e5d");
    struct uuid again = marline__uuid_derived(&dns, SLICE("python.org"));
    assert_true(marline__uuid_equal(&derived, &again));
    again = marline__uuid_derived(&dns, SLICE_EMPTY);
    assert_false(marline__uuid_equal(&derived, &again));
}

static void given_random_source_when_made_then_version_4(void **state)
{
    (void)state;
    struct random_seeded seeded;
    struct random_source random = marline__random_seeded(&seeded, 7);
    struct uuid nil = {{0}};
    assert_true(marline__uuid_is_nil(&nil));
    for (int i = 0; i < 100; i++) {
        struct uuid u = marline__uuid_random(&random);
        assert_int_equal(u.bytes[6] >> 4, 4);
        assert_int_equal(u.bytes[8] >> 6, 2);
        assert_false(marline__uuid_is_nil(&u));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_accepted_forms_when_parsed_then_same_uuid),
        cmocka_unit_test(given_other_texts_when_parsed_then_refused),
        cmocka_unit_test(given_name_when_derived_then_version_5_of_rfc_9562),
        cmocka_unit_test(given_random_source_when_made_then_version_4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
