/* baggage: the vectors BG-01 to BG-28 and BE-01 to BE-14. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/baggage.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Entries are written as "name>value>metadata|…"; a part that is missing is empty. */
static const struct {
    const char *id;
    const char *fields[2];
    const char *entries;
} vectors[] = {
    {"BG-01", {"tenant=t1"}, "tenant>t1>|"},
    {"BG-02", {"a=1", "b=2"}, "a>1>|b>2>|"},
    {"BG-03", {" a \t=\t 1 , b = 2"}, "a>1>|b>2>|"},
    {"BG-04", {"k=1,K=2"}, "k>1>|K>2>|"},
    {"BG-05", {"k="}, "k>>|"},
    {"BG-06", {"k=a=b=="}, "k>a=b==>|"},
    {"BG-07", {"k=a%20b%2Cc%3bd"}, "k>a b,c;d>|"},
    {"BG-08", {"city=K%C3%B8ge"}, "city>K\xc3\xb8ge>|"},
    {"BG-09", {"k=x%FFy"}, "k>x\xef\xbf\xbdy>|"},
    {"BG-10", {"k=%E2%82"}, "k>\xef\xbf\xbd>|"},
    {"BG-11", {"k=a+b"}, "k>a+b>|"},
    {"BG-12", {"k=5%,j=%zz"}, "k>5%>|j>%zz>|"},
    {"BG-13", {"a%20b=1"}, "a%20b>1>|"},
    {"BG-14", {"k=v;p1;p2=q%20r"}, "k>v>p1;p2=q%20r|"},
    {"BG-15", {"k=v \t; p =\tq"}, "k>v>p =\tq|"},
    {"BG-16", {"!#$%&'*+-.^_`|~9Z=1"}, "!#$%&'*+-.^_`|~9Z>1>|"},
    {"BG-17", {"k=1,j=2,k=3"}, "j>2>|k>3>|"},
    {"BG-18", {"a=1,,b=2,"}, "a>1>|b>2>|"},
    {"BG-19", {"novalue,k=1"}, "k>1>|"},
    {"BG-20", {"=1,k=2"}, "k>2>|"},
    {"BG-21", {"k=a b,j=1"}, "j>1>|"},
    {"BG-22", {"k=\"v\",j=1"}, "j>1>|"},
    {"BG-23", {"k=a\\b,j=1"}, "j>1>|"},
    {"BG-24", {"a b=1,j=2"}, "j>2>|"},
    {"BG-25", {"a(b)=1,j=2"}, "j>2>|"},
    {"BG-26", {"k=\xc3\xb8,j=1"}, "j>1>|"},
    {"BG-27", {"bad key=1;p=1,j=2"}, "j>2>|"},
    {"BG-28", {""}, ""},
    {"control byte in metadata", {"k=1;p=\x01,j=2"}, "j>2>|"},
};

static void write_entries(const struct baggage *b, struct buffer *out)
{
    marline__buffer_append(out, NULL, 0);
    for (size_t i = 0; i < b->count; i++) {
        marline__buffer_append_slice(out, b->entries[i].name);
        marline__buffer_append_byte(out, '>');
        marline__buffer_append_slice(out, b->entries[i].value);
        marline__buffer_append_byte(out, '>');
        marline__buffer_append_slice(out, b->entries[i].metadata);
        marline__buffer_append_byte(out, '|');
    }
}

static void given_baggage_vectors_when_parsed_then_their_entries(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct slice fields[2];
        struct baggage b;
        struct buffer text = BUFFER_INIT;
        size_t count = 0;
        while (count < COUNT(fields) && vectors[i].fields[count]) {
            fields[count] = marline__slice_text(vectors[i].fields[count]);
            count++;
        }
        assert_true(marline__baggage_parse(fields, count, &b));
        write_entries(&b, &text);
        if (strcmp(text.data, vectors[i].entries) != 0) {
            fail_msg("%s: %s", vectors[i].id, text.data);
        }
        marline__buffer_deinit(&text);
        marline__baggage_deinit(&b);
    }
}

static void given_endless_field_when_parsed_then_limits_hold(void **state)
{
    (void)state;
    struct buffer text = BUFFER_INIT;
    struct baggage b;
    for (int i = 0; i < 1000; i++) {
        marline__buffer_append_format(&text, "%sk%d=v", i > 0 ? "," : "", i);
    }
    struct slice field = marline__buffer_slice(&text);
    assert_true(marline__baggage_parse(&field, 1, &b));
    assert_int_equal(b.count, BAGGAGE_MEMBERS_MAX);
    assert_true(marline__slice_is(b.entries[0].name, "k0"));
    marline__baggage_deinit(&b);
    marline__buffer_clear(&text);
    marline__buffer_append_text(&text, "big=");
    for (int i = 0; i < BAGGAGE_BYTES_MAX; i++) {
        marline__buffer_append_byte(&text, 'x');
    }
    marline__buffer_append_text(&text, ",k=v");
    field = marline__buffer_slice(&text);
    assert_true(marline__baggage_parse(&field, 1, &b));
    assert_int_equal(b.count, 1);
    assert_true(marline__slice_is(b.entries[0].name, "k"));
    marline__baggage_deinit(&b);
    marline__buffer_deinit(&text);
}

static void assert_encoded(const struct baggage_entry *entries, size_t count, const char *expected)
{
    struct buffer out = BUFFER_INIT;
    marline__buffer_append(&out, NULL, 0);
    (void)marline__baggage_encode(entries, count, &out);
    assert_string_equal(out.data, expected);
    marline__buffer_deinit(&out);
}

static void given_be_01_to_10_when_encoded_then_golden(void **state)
{
    (void)state;
    struct baggage_entry e[] = {{SLICE("k"), SLICE("a b"), SLICE_EMPTY}};
    assert_encoded(e, 1, "k=a%20b");
    e[0].value = SLICE("100%"); /* BE-02 */
    assert_encoded(e, 1, "k=100%25");
    e[0].value = SLICE("a,b;c\"d\\e"); /* BE-03 */
    assert_encoded(e, 1, "k=a%2Cb%3Bc%22d%5Ce");
    e[0].value = SLICE("a=b"); /* BE-04 */
    assert_encoded(e, 1, "k=a=b");
    e[0].value = SLICE("K\xc3\xb8ge"); /* BE-05 */
    assert_encoded(e, 1, "k=K%C3%B8ge");
    e[0].value = SLICE(""); /* BE-06 */
    assert_encoded(e, 1, "k=");
    struct baggage_entry two[] = {{SLICE("bad key"), SLICE("1"), SLICE_EMPTY},
                                  {SLICE("ok"), SLICE("2"), SLICE_EMPTY}};
    assert_encoded(two, 2, "ok=2"); /* BE-07 */
    e[0] = (struct baggage_entry){SLICE("k"), SLICE("v"), SLICE("p1;p2=q")};
    assert_encoded(e, 1, "k=v;p1;p2=q"); /* BE-08 */
    assert_encoded(e, 0, "");            /* BE-09 */
    e[0] = (struct baggage_entry){SLICE("k"), SLICE("\x01\x7f"), SLICE_EMPTY};
    assert_encoded(e, 1, "k=%01%7F"); /* BE-10 */
    e[0].metadata = SLICE("p,injected=1");
    assert_encoded(e, 1, "k=%01%7F");
}

static void given_be_11_and_12_when_encoded_then_64_members_at_most_EM_09(void **state)
{
    (void)state;
    static char names[65][4];
    struct baggage_entry entries[65];
    struct buffer out = BUFFER_INIT;
    for (size_t i = 0; i < 65; i++) {
        names[i][0] = 'k';
        names[i][1] = (char)('0' + i / 10);
        names[i][2] = (char)('0' + i % 10);
        entries[i] = (struct baggage_entry){marline__slice_text(names[i]), SLICE("v"), SLICE_EMPTY};
    }
    assert_int_equal(marline__baggage_encode(entries, 64, &out), 64); /* BE-11 */
    assert_int_equal(out.size, 64 * 6 - 1);
    marline__buffer_clear(&out);
    assert_int_equal(marline__baggage_encode(entries, 65, &out), 64); /* BE-12 */
    marline__buffer_deinit(&out);
}

static void given_be_13_and_14_when_encoded_then_8192_bytes_at_most(void **state)
{
    (void)state;
    char value[BAGGAGE_BYTES_MAX];
    struct buffer out = BUFFER_INIT;
    memset(value, 'x', sizeof value);
    struct baggage_entry entries[] = {
        {SLICE("k"), {value, BAGGAGE_BYTES_MAX - 2}, SLICE_EMPTY},
        {SLICE("b"), SLICE("1"), SLICE_EMPTY},
    };
    assert_int_equal(marline__baggage_encode(entries, 1, &out), 1); /* BE-13 */
    assert_int_equal(out.size, BAGGAGE_BYTES_MAX);
    marline__buffer_clear(&out);
    entries[0].value.size++;
    assert_int_equal(marline__baggage_encode(entries, 2, &out), 1); /* BE-14 */
    assert_true(marline__slice_is(marline__buffer_slice(&out), "b=1"));
    marline__buffer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_baggage_vectors_when_parsed_then_their_entries),
        cmocka_unit_test(given_endless_field_when_parsed_then_limits_hold),
        cmocka_unit_test(given_be_01_to_10_when_encoded_then_golden),
        cmocka_unit_test(given_be_11_and_12_when_encoded_then_64_members_at_most_EM_09),
        cmocka_unit_test(given_be_13_and_14_when_encoded_then_8192_bytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
