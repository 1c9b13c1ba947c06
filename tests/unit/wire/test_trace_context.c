/* traceparent: the vectors TP-01 to TP-34 and EM-01. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hex.h"
#include "wire/trace_context.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define T     "a1b2c3d4e5f60718293a4b5c6d7e8f90"
#define S     "1f2e3d4c5b6a7988"
#define T_UP  "A1B2C3D4E5F60718293A4B5C6D7E8F90"
#define S_UP  "1F2E3D4C5B6A7988"
#define T_LOW "00000000000000000000000000000001"
#define S_LOW "0000000000000001"

/* TP-32 (two fields) is the carrier's: one value comes in here. */
static const struct {
    const char *id;
    struct slice value;
    const char *out; /* NULL = restart */
} vectors[] = {
    {"TP-01", SLICE_INIT("00-" T "-" S "-01"), "00-" T "-" S "-01"},
    {"TP-02", SLICE_INIT("00-" T "-" S "-00"), "00-" T "-" S "-00"},
    {"TP-03", SLICE_INIT("00-" T "-" S "-03"), "00-" T "-" S "-03"},
    {"TP-04", SLICE_INIT("00-" T "-" S "-02"), "00-" T "-" S "-02"},
    {"TP-05", SLICE_INIT("00-" T "-" S "-ff"), "00-" T "-" S "-03"},
    {"TP-06", SLICE_INIT("00-" T "-" S "-04"), "00-" T "-" S "-00"},
    {"TP-07", SLICE_INIT(" \t00-" T "-" S "-01\t "), "00-" T "-" S "-01"},
    {"TP-08", SLICE_INIT("01-" T "-" S "-01"), "00-" T "-" S "-01"},
    {"TP-09", SLICE_INIT("fe-" T "-" S "-01-x.y/z"), "00-" T "-" S "-01"},
    {"TP-10", SLICE_INIT("42-" T "-" S "-00-"), "00-" T "-" S "-00"},
    {"TP-11", SLICE_INIT("00-" T_LOW "-" S "-01"), "00-" T_LOW "-" S "-01"},
    {"TP-12", SLICE_INIT("00-" T "-" S_LOW "-01"), "00-" T "-" S_LOW "-01"},
    {"TP-13", SLICE_INIT("00-" T_UP "-" S "-01"), NULL},
    {"TP-14", SLICE_INIT("00-" T "-" S_UP "-01"), NULL},
    {"TP-15", SLICE_INIT("0A-" T "-" S "-01"), NULL},
    {"TP-16", SLICE_INIT("00-" T "-" S "-0B"), NULL},
    {"TP-17", SLICE_INIT("ff-" T "-" S "-01"), NULL},
    {"TP-18", SLICE_INIT("00-00000000000000000000000000000000-" S "-01"), NULL},
    {"TP-19", SLICE_INIT("00-" T "-0000000000000000-01"), NULL},
    {"TP-20", SLICE_INIT("00-" T "-" S "-01-more"), NULL},
    {"TP-21", SLICE_INIT("00-" T "-" S "-010"), NULL},
    {"TP-22", SLICE_INIT("02-" T "-" S "-01_more"), NULL},
    {"TP-23", SLICE_INIT("03-" T "-" S "-1"), NULL},
    {"TP-24", SLICE_INIT("0-" T "-" S "-01"), NULL},
    {"TP-25", SLICE_INIT("00-a1b2c3d4e5f60718293a4b5c6d7e8f9-" S "-01"), NULL},
    {"TP-26", SLICE_INIT("00-" T "0-" S "-01"), NULL},
    {"TP-27", SLICE_INIT("00-" T "-1f2e3d4c5b6a798-01"), NULL},
    {"TP-28", SLICE_INIT("00-g1b2c3d4e5f60718293a4b5c6d7e8f90-" S "-01"), NULL},
    {"TP-29", SLICE_INIT("00_" T "_" S "_01"), NULL},
    {"TP-30", SLICE_INIT("00-" T " -" S "-01"), NULL},
    {"TP-31", SLICE_INIT(""), NULL},
    {"TP-33", SLICE_INIT("00-" T "-" S "-01, 00-" T "-" S "-01"), NULL},
    {"TP-34", SLICE_INIT("00-" T "-" S "-0\x01"), NULL},
    {"TP-34 NUL", SLICE_INIT("00-" T "-" S "-0\0"), NULL},
};

static void given_traceparent_vectors_when_parsed_then_accepted_or_restarted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct trace_ids ids;
        char text[TRACEPARENT_SIZE];
        bool accepted = marline__traceparent_parse(vectors[i].value, &ids);
        if (accepted != (vectors[i].out != NULL)) {
            fail_msg("%s: %s", vectors[i].id, accepted ? "accepted" : "refused");
        }
        if (accepted) {
            marline__traceparent_format(&ids, text);
            if (strcmp(text, vectors[i].out) != 0) {
                fail_msg("%s: %s instead of %s", vectors[i].id, text, vectors[i].out);
            }
        }
    }
}

static void given_value_cut_at_every_offset_when_parsed_then_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < TRACEPARENT_SIZE - 1; size++) {
        struct trace_ids ids;
        struct slice cut = {vectors[0].value.data, size};
        assert_false(marline__traceparent_parse(cut, &ids));
    }
}

static void given_ids_when_parsed_then_bytes_and_unknown_flags_cleared(void **state)
{
    (void)state;
    struct trace_ids ids;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    assert_true(marline__hex_decode(SLICE(T), trace_id, sizeof trace_id));
    assert_true(marline__hex_decode(SLICE(S), span_id, sizeof span_id));
    assert_true(marline__traceparent_parse(SLICE("00-" T "-" S "-ff"), &ids));
    assert_memory_equal(ids.trace_id, trace_id, sizeof trace_id);
    assert_memory_equal(ids.span_id, span_id, sizeof span_id);
    assert_int_equal(ids.flags, TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
}

static void given_unknown_flags_when_formatted_then_left_out(void **state)
{
    (void)state;
    struct trace_ids ids = {.trace_id = {[15] = 1}, .span_id = {[7] = 1}, .flags = 0xfd};
    char text[TRACEPARENT_SIZE];
    marline__traceparent_format(&ids, text);
    assert_string_equal(text, "00-" T_LOW "-" S_LOW "-01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_traceparent_vectors_when_parsed_then_accepted_or_restarted),
        cmocka_unit_test(given_value_cut_at_every_offset_when_parsed_then_refused),
        cmocka_unit_test(given_ids_when_parsed_then_bytes_and_unknown_flags_cleared),
        cmocka_unit_test(given_unknown_flags_when_formatted_then_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
