/* The key of a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/link_key.h"

static const char run_text[] = "11111111-1111-4111-8111-111111111111";
static const char test_text[] = "22222222-2222-4222-8222-222222222222";

static struct link_key parse(const char *configuration)
{
    const struct uuid organization = {{0xaa}};
    struct link_key key;
    assert_true(link_key_parse(&organization, marline__slice_text(run_text),
                               marline__slice_text(test_text), marline__slice_text(configuration),
                               1, &key));
    return key;
}

static void given_ids_in_other_forms_when_parsed_then_equal(void **state)
{
    (void)state;
    struct link_key plain = parse("abcdefab-cdef-4bcd-8fab-cdefabcdefab");
    struct link_key upper = parse("ABCDEFAB-CDEF-4BCD-8FAB-CDEFABCDEFAB");
    struct link_key braces = parse("{abcdefab-cdef-4bcd-8fab-cdefabcdefab}");
    assert_true(link_key_equal(&plain, &upper));
    assert_true(link_key_equal(&plain, &braces));
    assert_true(link_key_hash(&plain) == link_key_hash(&upper));
}

static void given_id_that_is_no_uuid_when_parsed_then_no_key(void **state)
{
    (void)state;
    const struct uuid organization = {{0xaa}};
    struct link_key key;
    assert_false(link_key_parse(&organization, SLICE("my-run"), marline__slice_text(test_text),
                                marline__slice_text(test_text), 1, &key));
    assert_false(link_key_parse(&organization, marline__slice_text(run_text),
                                marline__slice_text(test_text), SLICE_EMPTY, 1, &key));
}

static void given_any_member_changed_when_compared_then_different(void **state)
{
    (void)state;
    const struct link_key key = parse(run_text);
    for (size_t member = 0; member < 5; member++) {
        struct link_key other = key;
        struct uuid *ids[] = {&other.organization, &other.run, &other.test, &other.configuration};
        if (member < 4) {
            ids[member]->bytes[15] ^= 1;
        } else {
            other.attempt++;
        }
        assert_false(link_key_equal(&key, &other));
        assert_int_equal(link_key_compare(&key, &other), -link_key_compare(&other, &key));
        struct uuid a = link_key_result_id(&key);
        struct uuid b = link_key_result_id(&other);
        assert_false(marline__uuid_equal(&a, &b));
    }
}

/* Golden: Python, uuid5(uuid5(NAMESPACE_DNS, "marline.test-result"), "a|b|c|d|1"). */
static void given_key_when_result_id_derived_then_golden(void **state)
{
    (void)state;
    struct link_key key = parse("33333333-3333-4333-8333-333333333333");
    char text[UUID_TEXT_SIZE];
    struct uuid id = link_key_result_id(&key);
    marline__uuid_format(&id, text);
    assert_string_equal(text, "fa164084-4595-571a-a57f-b7d39a53d9d2");
}

static void given_repeated_keys_when_made_unique_then_one_of_each(void **state)
{
    (void)state;
    struct link_key a = parse(run_text);
    struct link_key b = parse(test_text);
    struct link_key keys[] = {b, a, b, a, a};
    assert_int_equal(link_keys_unique(keys, 5), 2);
    assert_true(link_key_equal(&keys[0], &a));
    assert_true(link_key_equal(&keys[1], &b));
    assert_int_equal(link_keys_unique(keys, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_ids_in_other_forms_when_parsed_then_equal),
        cmocka_unit_test(given_id_that_is_no_uuid_when_parsed_then_no_key),
        cmocka_unit_test(given_any_member_changed_when_compared_then_different),
        cmocka_unit_test(given_key_when_result_id_derived_then_golden),
        cmocka_unit_test(given_repeated_keys_when_made_unique_then_one_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
