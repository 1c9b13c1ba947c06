/* tracestate: the vectors TS-01 to TS-35, MU-01 to MU-08, EM-06, and the ot member. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "wire/tracestate.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* In a template '#' stands for 255 more of the character before it, and '!' for 241. */
static void expand(const char *template, struct buffer *out)
{
    for (const char *at = template; *at; at++) {
        int more = *at == '#' ? 255 : (*at == '!' ? 241 : 0);
        for (int i = 0; i < more; i++) {
            marline__buffer_append_byte(out, at[-1]);
        }
        if (more == 0) {
            marline__buffer_append_byte(out, *at);
        }
    }
    marline__buffer_append(out, NULL, 0);
}

/* "k00=v,k01=v,…" */
static void numbered(size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++) {
        marline__buffer_append_format(out, "%sk%02zu=v", i > 0 ? "," : "", i);
    }
}

/* TS-19 to TS-21 have tests of their own. */
static const struct {
    const char *id;
    const char *fields[3];
    const char *kept; /* NULL = the list is dropped */
} vectors[] = {
    {"TS-01", {"up1=x9"}, "up1=x9"},
    {"TS-02", {"b=2,a=1"}, "b=2,a=1"},
    {"TS-03", {"b=2", "a=1", "c=3"}, "b=2,a=1,c=3"},
    {"TS-04", {"b=2 \t,\t a=1 "}, "b=2,a=1"},
    {"TS-05", {"k=  v"}, "k=  v"},
    {"TS-06", {"k=v  ,j=w"}, "k=v,j=w"},
    {"TS-07", {"k=a b"}, "k=a b"},
    {"TS-08", {",,k=v,, ,"}, "k=v"},
    {"TS-09", {""}, ""},
    {"TS-10", {"", "k=v"}, "k=v"},
    {"TS-11", {"7k=v"}, "7k=v"},
    {"TS-12", {"a@=1,b@@c=2,d@e@f=3"}, "a@=1,b@@c=2,d@e@f=3"},
    {"TS-13", {"a_-*/@9=v"}, "a_-*/@9=v"},
    {"TS-14", {"k#=v"}, "k#=v"},
    {"TS-15", {"k=v#"}, "k=v#"},
    {"TS-16", {"t!@v=1"}, "t!@v=1"},
    {"TS-17", {"ot=th:c;rv:0123456789abcd"}, "ot=th:c;rv:0123456789abcd"},
    {"TS-18", {"k=new,j=1,k=old"}, "k=new,j=1"},
    {"TS-22", {"a=1,k#k=v"}, NULL},
    {"TS-23", {"a=1,k=v#v"}, NULL},
    {"TS-24", {"Ab=1"}, NULL},
    {"TS-25", {"@k=1,b=2"}, NULL},
    {"TS-26", {"_k=1"}, NULL},
    {"TS-27", {"a.b=1"}, NULL},
    {"TS-28", {"k =1"}, NULL},
    {"TS-29", {"k"}, NULL},
    {"TS-30", {"=v"}, NULL},
    {"TS-31", {"k=,j=1"}, NULL},
    {"TS-32", {"k=a=b"}, NULL},
    {"TS-33",
     {"k=a\x1f"
      "b"},
     NULL},
    {"TS-34", {"k=a\tb"}, NULL},
    {"TS-35", {"k=a\x7f"}, NULL},
    {"TS-35 high byte", {"k=a\x80"}, NULL},
};

static void check_vector(size_t v)
{
    struct buffer texts[COUNT(vectors[0].fields)] = {BUFFER_INIT, BUFFER_INIT, BUFFER_INIT};
    struct slice fields[COUNT(vectors[0].fields)];
    struct buffer out = BUFFER_INIT;
    struct buffer expected = BUFFER_INIT;
    size_t count = 0;
    while (count < COUNT(fields) && vectors[v].fields[count]) {
        expand(vectors[v].fields[count], &texts[count]);
        fields[count] = marline__buffer_slice(&texts[count]);
        count++;
    }
    marline__buffer_append_text(&out, "before:");
    bool kept = marline__tracestate_parse(fields, count, &out);
    if (kept != (vectors[v].kept != NULL)) {
        fail_msg("%s: %s", vectors[v].id, kept ? "kept" : "dropped");
    }
    marline__buffer_append_text(&expected, "before:");
    expand(kept ? vectors[v].kept : "", &expected);
    if (!marline__slice_equal(marline__buffer_slice(&out), marline__buffer_slice(&expected))) {
        fail_msg("%s: %.*s", vectors[v].id, SLICE_ARG(marline__buffer_slice(&out)));
    }
    for (size_t i = 0; i < COUNT(texts); i++) {
        marline__buffer_deinit(&texts[i]);
    }
    marline__buffer_deinit(&out);
    marline__buffer_deinit(&expected);
}

static void given_tracestate_vectors_when_parsed_then_kept_or_dropped(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        check_vector(i);
    }
}

static void given_ts_19_to_21_when_parsed_then_32_members_at_most(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    numbered(32, &text);
    struct slice field = marline__buffer_slice(&text);
    assert_true(marline__tracestate_parse(&field, 1, &out));
    assert_string_equal(out.data, text.data);
    marline__buffer_clear(&out);
    marline__buffer_append_text(&text, ",,");
    field = marline__buffer_slice(&text);
    assert_true(marline__tracestate_parse(&field, 1, &out));
    assert_int_equal(out.size, text.size - 2);
    marline__buffer_clear(&out);
    marline__buffer_clear(&text);
    numbered(33, &text); /* TS-20 */
    field = marline__buffer_slice(&text);
    assert_false(marline__tracestate_parse(&field, 1, &out));
    assert_int_equal(out.size, 0);
    marline__buffer_deinit(&text);
    marline__buffer_deinit(&out);
}

static void assert_set(const char *list, const char *key, const char *value, bool set,
                       const char *expected)
{
    struct buffer out = BUFFER_INIT;
    assert_int_equal(marline__tracestate_set(marline__slice_text(list), marline__slice_text(key),
                                             marline__slice_text(value), &out),
                     set);
    assert_string_equal(out.data, expected);
    marline__buffer_deinit(&out);
}

static void given_mu_01_to_04_when_set_then_first_or_unchanged_TST_01_TST_02(void **state)
{
    (void)state;
    static const char list[] = "a=1,b=2,c=3";
    assert_set(list, "c", "9", true, "c=9,a=1,b=2");
    assert_set(list, "n", "7", true, "n=7,a=1,b=2,c=3"); /* MU-02 */
    assert_set(list, "Bad", "7", false, list);           /* MU-03 */
    assert_set(list, "n", "x=y", false, list);           /* MU-04 */
    assert_set(list, "n", "", false, list);
    assert_set(list, "n", "x ", false, list);
    assert_set("", "n", "1", true, "n=1");
}

static void given_mu_05_and_06_when_removed_then_gone_or_unchanged(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    marline__tracestate_remove(SLICE("a=1,b=2,c=3"), SLICE("b"), &out); /* MU-05 */
    assert_string_equal(out.data, "a=1,c=3");
    marline__buffer_clear(&out);
    marline__tracestate_remove(SLICE("a=1,b=2,c=3"), SLICE("zz"), &out); /* MU-06 */
    assert_string_equal(out.data, "a=1,b=2,c=3");
    marline__buffer_deinit(&out);
}

static void given_mu_07_full_list_when_added_then_last_member_goes_TST_03(void **state)
{
    (void)state;
    struct buffer list = BUFFER_INIT;
    struct buffer expected = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    numbered(32, &list);
    marline__buffer_append_text(&expected, "new=1,");
    numbered(31, &expected);
    assert_true(
        marline__tracestate_set(marline__buffer_slice(&list), SLICE("new"), SLICE("1"), &out));
    assert_string_equal(out.data, expected.data);
    marline__buffer_clear(&out);
    assert_true(
        marline__tracestate_set(marline__buffer_slice(&list), SLICE("k31"), SLICE("1"), &out));
    assert_int_equal(out.size, list.size);
    marline__buffer_deinit(&list);
    marline__buffer_deinit(&expected);
    marline__buffer_deinit(&out);
}

static void given_mu_08_when_got_then_absent_is_not_empty(void **state)
{
    (void)state;
    struct slice value = SLICE_EMPTY;
    assert_false(marline__tracestate_get(SLICE("a=1,b=2"), SLICE("zz"), &value));
    assert_false(marline__tracestate_get(SLICE(""), SLICE("a"), &value));
    assert_false(marline__tracestate_get(SLICE("ab=1"), SLICE("a"), &value));
    assert_true(marline__tracestate_get(SLICE("a=1,b=2"), SLICE("b"), &value));
    assert_true(marline__slice_is(value, "2"));
}

static void given_em_06_when_shortened_then_long_members_go_first(void **state)
{
    (void)state;
    struct buffer list = BUFFER_INIT;
    struct buffer out = BUFFER_INIT;
    marline__buffer_append_text(&list, "a=1,");
    expand("k=v!", &list);
    marline__buffer_append_text(&list, ",b=2,c=3");
    marline__tracestate_shorten(marline__buffer_slice(&list), list.size, &out);
    assert_string_equal(out.data, list.data);
    marline__buffer_clear(&out);
    marline__tracestate_shorten(marline__buffer_slice(&list), list.size - 1, &out);
    assert_string_equal(out.data, "a=1,b=2,c=3");
    marline__buffer_clear(&out);
    marline__tracestate_shorten(marline__buffer_slice(&list), 7, &out);
    assert_string_equal(out.data, "a=1,b=2");
    marline__buffer_clear(&out);
    marline__tracestate_shorten(marline__buffer_slice(&list), 2, &out);
    assert_int_equal(out.size, 0);
    marline__buffer_deinit(&list);
    marline__buffer_deinit(&out);
}

static void given_tst_05_when_read_then_56_bit_fractions(void **state)
{
    (void)state;
    struct tracestate_ot ot = marline__tracestate_ot(SLICE("x=1,ot=th:c;rv:0123456789abcd"));
    assert_true(ot.has_threshold);
    assert_true(ot.threshold == 0xc0000000000000u);
    assert_true(ot.has_randomness);
    assert_true(ot.randomness == 0x0123456789abcdu);
    ot = marline__tracestate_ot(SLICE("ot=th:0"));
    assert_true(ot.has_threshold && ot.threshold == 0);
    assert_false(ot.has_randomness);
    ot = marline__tracestate_ot(SLICE("ot=th:;rv:0123456789abc"));
    assert_false(ot.has_threshold || ot.has_randomness);
    ot = marline__tracestate_ot(SLICE("ot=th:123456789abcdef;rv:0123456789abcG"));
    assert_false(ot.has_threshold || ot.has_randomness);
    ot = marline__tracestate_ot(SLICE("th=8"));
    assert_false(ot.has_threshold);
}

static void assert_set_ot(const char *list, struct tracestate_ot ot, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    assert_true(marline__tracestate_set_ot(marline__slice_text(list), &ot, &out));
    assert_string_equal(out.data, expected);
    marline__buffer_deinit(&out);
}

static void given_tst_04_when_threshold_is_set_then_other_subkeys_stay(void **state)
{
    (void)state;
    struct tracestate_ot half = {.has_threshold = true, .threshold = 0x80000000000000u};
    struct tracestate_ot all = {.has_threshold = true, .threshold = 0};
    struct tracestate_ot both = {true, 0x0fu, true, 0xabcu};
    assert_set_ot("", half, "ot=th:8");
    assert_set_ot("", all, "ot=th:0");
    assert_set_ot("", both, "ot=th:0000000000000f;rv:00000000000abc");
    assert_set_ot("a=1,ot=p:1;th:c;rv:0123456789abcd;q:", half,
                  "ot=th:8;p:1;rv:0123456789abcd;q:,a=1");
    assert_set_ot("ot=rv:0123456789abcd", both, "ot=th:0000000000000f;rv:0123456789abcd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_tracestate_vectors_when_parsed_then_kept_or_dropped),
        cmocka_unit_test(given_ts_19_to_21_when_parsed_then_32_members_at_most),
        cmocka_unit_test(given_mu_01_to_04_when_set_then_first_or_unchanged_TST_01_TST_02),
        cmocka_unit_test(given_mu_05_and_06_when_removed_then_gone_or_unchanged),
        cmocka_unit_test(given_mu_07_full_list_when_added_then_last_member_goes_TST_03),
        cmocka_unit_test(given_mu_08_when_got_then_absent_is_not_empty),
        cmocka_unit_test(given_em_06_when_shortened_then_long_members_go_first),
        cmocka_unit_test(given_tst_05_when_read_then_56_bit_fractions),
        cmocka_unit_test(given_tst_04_when_threshold_is_set_then_other_subkeys_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
