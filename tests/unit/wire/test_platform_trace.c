/* The platform's span JSON: exact texts sent, requests taken apart, and the 422 bodies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "wire/json_reader.h"
#include "wire/platform_trace.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

#define TRACE "0102030405060708090a0b0c0d0e0f10"
#define SPAN  "2122232425262728"

static void assert_slice(struct slice s, const char *expected)
{
    if (!marline__slice_is(s, expected) || (!s.data != !expected)) {
        fail_msg("\"%.*s\" instead of \"%s\"", SLICE_ARG(s), expected ? expected : "(null)");
    }
}

/* ---- sending ---- */

#define STRING(text)                                                                               \
    {                                                                                              \
        (text), sizeof(text) - 1                                                                   \
    }
#define A_TEXT(key, v)                                                                             \
    {                                                                                              \
        STRING(key),                                                                               \
        {                                                                                          \
            MARLINE_VALUE_STRING,                                                                  \
            {                                                                                      \
                .string = STRING(v)                                                                \
            }                                                                                      \
        }                                                                                          \
    }
#define A_INT(key, v)                                                                              \
    {                                                                                              \
        STRING(key),                                                                               \
        {                                                                                          \
            MARLINE_VALUE_INT,                                                                     \
            {                                                                                      \
                .integer = (v)                                                                     \
            }                                                                                      \
        }                                                                                          \
    }
#define A_BOOL(key, v)                                                                             \
    {                                                                                              \
        STRING(key),                                                                               \
        {                                                                                          \
            MARLINE_VALUE_BOOL,                                                                    \
            {                                                                                      \
                .boolean = (v)                                                                     \
            }                                                                                      \
        }                                                                                          \
    }
#define A_DOUBLE(key, v)                                                                           \
    {                                                                                              \
        STRING(key),                                                                               \
        {                                                                                          \
            MARLINE_VALUE_DOUBLE,                                                                  \
            {                                                                                      \
                .real = (v)                                                                        \
            }                                                                                      \
        }                                                                                          \
    }
#define A_EMPTY(key)                                                                               \
    {                                                                                              \
        STRING(key),                                                                               \
        {                                                                                          \
            MARLINE_VALUE_EMPTY,                                                                   \
            {                                                                                      \
                .integer = 0                                                                       \
            }                                                                                      \
        }                                                                                          \
    }

static const marline_attribute resource_attributes[] = {A_TEXT("service.name", "t")};
static const marline_resource_data resource = {resource_attributes, 1, {NULL, 0}};
static const marline_scope_data scope = {.name = STRING("s")};

static marline_span_data plain_span(void)
{
    marline_span_data span = {
        .trace_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
        .span_id = {0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28},
        .name = STRING("function.answer"),
        .kind = MARLINE_SPAN_KIND_INTERNAL,
        .start_unix_ns = 1767225600 * NS_PER_S,
        .end_unix_ns = 1767225600 * NS_PER_S + 1999,
        .status = MARLINE_SPAN_STATUS_OK,
        .scope = &scope,
        .resource = &resource,
    };
    return span;
}

static void assert_encoded(const marline_span_data *span, const struct platform_identity *identity,
                           const char *expected)
{
    struct buffer out = BUFFER_INIT;
    marline__platform_encode_span(span, identity, &out);
    assert_false(out.failed);
    assert_string_equal(out.data, expected);
    marline__buffer_deinit(&out);
}

static void given_plain_root_when_encoded_then_golden(void **state)
{
    (void)state;
    marline_span_data span = plain_span();
    struct platform_identity identity = {.project_id = SLICE_EMPTY};
    assert_encoded(&span, &identity,
                   "{\"trace_id\":\"" TRACE "\",\"span_id\":\"" SPAN "\",\"parent_span_id\":null,"
                   "\"project_id\":null,\"environment\":\"development\",\"conversation_id\":null,"
                   "\"span_name\":\"function.answer\",\"span_kind\":\"INTERNAL\","
                   "\"start_time\":\"2026-01-01T00:00:00Z\","
                   "\"end_time\":\"2026-01-01T00:00:00.000001Z\",\"status_code\":\"OK\","
                   "\"status_message\":null,\"attributes\":{},\"events\":[],\"links\":[],"
                   "\"resource\":{\"service.name\":\"t\"}}");
}

static void given_span_with_everything_when_encoded_then_golden(void **state)
{
    (void)state;
    static const marline_value items[] = {{MARLINE_VALUE_INT, {.integer = 300}},
                                          {MARLINE_VALUE_BOOL, {.boolean = true}}};
    static const marline_attribute inner[] = {A_BOOL("q", true)};
    static const marline_attribute attributes[] = {
        A_TEXT("rhesis.conversation.id", "c-1"),
        A_TEXT("s\"", "\n\xff"),
        A_INT("i", -1),
        A_DOUBLE("d", 1.5),
        A_BOOL("b", false),
        A_EMPTY("z"),
        {STRING("y"), {MARLINE_VALUE_BYTES, {.string = STRING("\xff\0")}}},
        {STRING("l"), {MARLINE_VALUE_ARRAY, {.array = {items, 2}}}},
        {STRING("m"), {MARLINE_VALUE_MAP, {.map = {inner, 1}}}},
    };
    static const marline_attribute event_attributes[] = {A_TEXT("exception.type", "E")};
    static const marline_event_data events[] = {
        {STRING("exception"), 1767225600500000000, event_attributes, 1, 0}};
    static const marline_link_data links[] = {
        {.trace_id = {0xaa}, .span_id = {0xbb}, .attributes = inner, .attribute_count = 1}};
    marline_span_data span = plain_span();
    span.has_parent = true;
    memset(span.parent_span_id, 0x31, sizeof span.parent_span_id);
    span.kind = MARLINE_SPAN_KIND_CONSUMER;
    span.status = MARLINE_SPAN_STATUS_ERROR;
    span.status_message = (marline_string)STRING("boom");
    span.attributes = attributes;
    span.attribute_count = COUNT(attributes);
    span.events = events;
    span.event_count = 1;
    span.links = links;
    span.link_count = 1;
    struct platform_identity identity = {SLICE("p"), SLICE("Staging"), SLICE("other")};
    assert_encoded(&span, &identity,
                   "{\"trace_id\":\"" TRACE "\",\"span_id\":\"" SPAN "\",\"parent_span_id\":"
                   "\"3131313131313131\",\"project_id\":\"p\",\"environment\":\"Staging\","
                   "\"conversation_id\":\"c-1\",\"span_name\":\"function.answer\","
                   "\"span_kind\":\"CONSUMER\",\"start_time\":\"2026-01-01T00:00:00Z\","
                   "\"end_time\":\"2026-01-01T00:00:00.000001Z\",\"status_code\":\"ERROR\","
                   "\"status_message\":\"boom\",\"attributes\":{\"rhesis.conversation.id\":"
                   "\"c-1\",\"s\\\"\":\"\\n\xef\xbf\xbd\",\"i\":-1,\"d\":1.5,\"b\":false,"
                   "\"z\":null,\"y\":\"/wA=\",\"l\":[300,true],\"m\":{\"q\":true}},"
                   "\"events\":[{\"name\":\"exception\",\"timestamp\":"
                   "\"2026-01-01T00:00:00.500000Z\",\"attributes\":{\"exception.type\":\"E\"}}],"
                   "\"links\":[{\"trace_id\":\"aa000000000000000000000000000000\",\"span_id\":"
                   "\"bb00000000000000\",\"attributes\":{\"q\":true}}],"
                   "\"resource\":{\"service.name\":\"t\"}}");
}

static void given_synthetic_parent_when_encoded_then_root_with_batch_conversation(void **state)
{
    (void)state;
    marline_span_data span = plain_span();
    struct platform_identity identity = {.conversation_id = SLICE("c-9")};
    struct buffer out = BUFFER_INIT;
    static const uint8_t parent[8] = {0, 0, 0, 0, 0xca, 0xfe, 0xca, 0xfe};
    span.has_parent = true;
    memcpy(span.parent_span_id, parent, sizeof parent);
    marline__platform_encode_span(&span, &identity, &out);
    assert_non_null(strstr(out.data, "\"parent_span_id\":null,"));
    assert_non_null(strstr(out.data, "\"conversation_id\":\"c-9\","));
    marline__buffer_deinit(&out);
}

static void given_span_names_when_checked_then_only_the_platforms_pass(void **state)
{
    (void)state;
    static const char *const good[] = {"function.", "function.x y", "ai.llm.invoke", "ai.retrieval",
                                       "ai.llm.chain"};
    static const char *const bad[] = {
        "",        "x",        "function",        "ai.",         "ai",
        "ai.llm.", "ai..x",    "ai.llm.invoke.x", "ai.LLM",      "ai.llm2",
        "ai.a-b",  "ai.chain", "ai.workflow.run", "ai.pipeline", "ai.llm\n"};
    char name[PLATFORM_NAME_MAX + 2];
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(marline__platform_span_name_is_valid(marline__slice_text(good[i])));
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(marline__platform_span_name_is_valid(marline__slice_text(bad[i])));
    }
    memset(name, 'x', sizeof name);
    memcpy(name, "function.", 9);
    assert_true(marline__platform_span_name_is_valid((struct slice){name, PLATFORM_NAME_MAX}));
    assert_false(marline__platform_span_name_is_valid((struct slice){name, PLATFORM_NAME_MAX + 1}));
}

static void given_batch_when_planned_then_roots_first_and_order_kept(void **state)
{
    (void)state;
    enum { SPANS = 251 };
    static marline_span_data spans[SPANS];
    static uint32_t order[SPANS];
    for (size_t i = 0; i < SPANS; i++) {
        spans[i] = plain_span();
        spans[i].has_parent = i % 2 == 0;
        spans[i].parent_span_id[0] = 1;
    }
    assert_int_equal(marline__platform_plan_chunks(spans, SPANS, order), 125);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[124], 249);
    assert_int_equal(order[125], 0);
    assert_int_equal(order[250], 250);
    spans[1].has_parent = false;
    assert_int_equal(marline__platform_plan_chunks(spans, 5, order), 5);
    for (size_t i = 0; i < SPANS; i++) {
        spans[i].has_parent = i != 250;
    }
    assert_int_equal(marline__platform_plan_chunks(spans, SPANS, order), 100);
    assert_int_equal(order[0], 250);
    assert_int_equal(marline__platform_plan_chunks(spans, 0, order), 0);
}

/* ---- receiving ---- */

static const char minimal[] =
    "{\"trace_id\":\"" TRACE "\",\"span_id\":\"" SPAN "\",\"span_name\":\"function.a\","
    "\"start_time\":\"2026-01-01T00:00:00Z\",\"end_time\":\"2026-01-01T00:00:01Z\"}";

/* The minimal span with these members in front; a later member wins, so only absent ones count. */
static void body_with(struct buffer *body, const char *members)
{
    marline__buffer_append_text(body, "{\"spans\":[{");
    marline__buffer_append_text(body, minimal + 1);
    body->size--; /* the closing brace */
    marline__buffer_append_text(body, members);
    marline__buffer_append_text(body, "}]}");
}

static void given_minimal_span_when_decoded_then_defaults(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct buffer errors = BUFFER_INIT;
    struct platform_request request;
    body_with(&body, "");
    assert_int_equal(marline__platform_decode(marline__buffer_slice(&body), &request, &errors),
                     PLATFORM_DECODE_OK);
    assert_int_equal(request.count, 1);
    const struct platform_span *span = &request.spans[0];
    assert_string_equal(span->trace_id, TRACE);
    assert_string_equal(span->span_id, SPAN);
    assert_string_equal(span->parent_span_id, "");
    assert_slice(span->project_id, NULL);
    assert_slice(span->environment, "development");
    assert_slice(span->conversation_id, NULL);
    assert_slice(span->name, "function.a");
    assert_int_equal(span->kind, MARLINE_SPAN_KIND_INTERNAL);
    assert_true(span->start_unix_ns == 1767225600 * NS_PER_S);
    assert_true(span->end_unix_ns == 1767225601 * NS_PER_S);
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_OK);
    assert_slice(span->status_message, NULL);
    assert_slice(span->attributes, "{}");
    assert_slice(span->events, "[]");
    assert_slice(span->links, "[]");
    assert_slice(span->resource, "{}");
    assert_slice(span->test_run_id, NULL);
    assert_int_equal(span->attempt, 0);
    assert_int_equal(errors.size, 0);
    marline__platform_request_deinit(&request);
    marline__buffer_deinit(&body);
}

static void given_full_span_when_decoded_then_every_member(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct buffer errors = BUFFER_INIT;
    struct platform_request request;
    body_with(&body,
              ",\"trace_id\":\"0102030405060708090A0B0C0D0E0F10\",\"parent_span_id\":"
              "\"3132333435363738\",\"project_id\":\"unknown\",\"environment\":\"Test \\u20ac\","
              "\"conversation_id\":\"c\",\"span_name\":\"ai.llm.invoke\",\"span_kind\":\"CLIENT\","
              "\"start_time\":\"2026-01-01T00:00:00.123456789\",\"end_time\":1767225601,"
              "\"status_code\":\"ERROR\",\"status_message\":\"boom\",\"attributes\":{\"big\":"
              "9007199254740993,\"rhesis.test.run_id\":\"r\",\"rhesis.test.id\":\"t\\u0041\","
              "\"rhesis.test.configuration_id\":\"c\",\"rhesis.test.result_id\":null,"
              "\"rhesis.test.attempt\":2},\"events\":[{\"name\":\"e\",\"timestamp\":"
              "1767225600123}],\"links\":[{\"trace_id\":\"x\",\"span_id\":\"y\"}],\"resource\":"
              "{\"a\":[1]},\"unknown\":{}");
    assert_int_equal(marline__platform_decode(marline__buffer_slice(&body), &request, &errors),
                     PLATFORM_DECODE_OK);
    const struct platform_span *span = &request.spans[0];
    assert_string_equal(span->trace_id, TRACE);
    assert_string_equal(span->parent_span_id, "3132333435363738");
    assert_slice(span->project_id, "unknown");
    assert_slice(span->environment, "Test \xe2\x82\xac");
    assert_slice(span->name, "ai.llm.invoke");
    assert_int_equal(span->kind, MARLINE_SPAN_KIND_CLIENT);
    assert_true(span->start_unix_ns == 1767225600123456000);
    assert_true(span->end_unix_ns == 1767225601 * NS_PER_S);
    assert_int_equal(span->status, MARLINE_SPAN_STATUS_ERROR);
    assert_slice(span->status_message, "boom");
    assert_non_null(strstr(span->attributes.data, "9007199254740993"));
    assert_slice(span->events, "[{\"name\":\"e\",\"timestamp\":1767225600123}]");
    assert_slice(span->links, "[{\"trace_id\":\"x\",\"span_id\":\"y\"}]");
    assert_slice(span->resource, "{\"a\":[1]}");
    assert_slice(span->test_run_id, "r");
    assert_slice(span->test_id, "tA");
    assert_slice(span->test_configuration_id, "c");
    assert_slice(span->test_result_id, NULL);
    assert_int_equal(span->attempt, 2);
    marline__platform_request_deinit(&request);
    marline__buffer_deinit(&body);
}

static void given_times_when_decoded_then_as_the_platform_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
    } vectors[] = {
        {"\"2026-01-02\"", 1767312000 * NS_PER_S},
        {"\"2026-01-02 00:00\"", 1767312000 * NS_PER_S},
        {"\"2026-01-02T01:00:00+01:00\"", 1767312000 * NS_PER_S},
        {"1767312000", 1767312000 * NS_PER_S},
        {"1767312000.25", 1767312000 * NS_PER_S + NS_PER_S / 4},
        {"1767312000001", 1767312000 * NS_PER_S + NS_PER_MS},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer body = BUFFER_INIT;
        struct buffer errors = BUFFER_INIT;
        struct buffer member = BUFFER_INIT;
        struct platform_request request;
        marline__buffer_append_format(&member, ",\"end_time\":%s", vectors[i].text);
        body_with(&body, member.data);
        assert_int_equal(marline__platform_decode(marline__buffer_slice(&body), &request, &errors),
                         PLATFORM_DECODE_OK);
        assert_true(request.spans[0].end_unix_ns == vectors[i].ns);
        marline__platform_request_deinit(&request);
        marline__buffer_deinit(&body);
        marline__buffer_deinit(&member);
    }
}

static void assert_rejected(struct slice body, const char *expected)
{
    struct buffer errors = BUFFER_INIT;
    struct platform_request request;
    assert_int_equal(marline__platform_decode(body, &request, &errors), PLATFORM_DECODE_REJECTED);
    assert_string_equal(errors.data, expected);
    marline__platform_request_deinit(&request);
    marline__buffer_deinit(&errors);
}

static void given_faulty_bodies_when_decoded_then_platforms_422(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        const char *errors;
    } vectors[] = {
        {"", "{\"type\":\"missing\",\"loc\":[\"body\"],\"msg\":\"Field required\"}"},
        {"null", "{\"type\":\"missing\",\"loc\":[\"body\"],\"msg\":\"Field required\"}"},
        {"[]", "{\"type\":\"model_attributes_type\",\"loc\":[\"body\"],\"msg\":\"Input should be "
               "a valid dictionary or object to extract fields from\"}"},
        {"{}", "{\"type\":\"missing\",\"loc\":[\"body\",\"spans\"],\"msg\":\"Field required\"}"},
        {"{\"spans\":[]}",
         "{\"type\":\"too_short\",\"loc\":[\"body\",\"spans\"],\"msg\":\"List should have at "
         "least 1 item after validation, not 0\",\"ctx\":{\"field_type\":\"List\","
         "\"min_length\":\"1\",\"actual_length\":\"0\"}}"},
        {"{\"spans\":{}}", "{\"type\":\"list_type\",\"loc\":[\"body\",\"spans\"],\"msg\":\"Input "
                           "should be a valid list\"}"},
        {"{\"spans\":null}", "{\"type\":\"list_type\",\"loc\":[\"body\",\"spans\"],\"msg\":"
                             "\"Input should be a valid list\"}"},
        {"{\"spans\":[3]}",
         "{\"type\":\"model_attributes_type\",\"loc\":[\"body\",\"spans\",0],\"msg\":\"Input "
         "should be a valid dictionary or object to extract fields from\"}"},
        {"{\"spans\":[}", "{\"type\":\"json_invalid\",\"loc\":[\"body\",10],\"msg\":\"JSON decode "
                          "error\",\"ctx\":{\"error\":\"expected a value\"}}"},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer expected = BUFFER_INIT;
        marline__buffer_append_format(&expected, "{\"detail\":[%s]}", vectors[i].errors);
        assert_rejected(marline__slice_text(vectors[i].body), expected.data);
        marline__buffer_deinit(&expected);
    }
}

#define LOC(where) "\"loc\":[\"body\",\"spans\",0," where "]"
#define VALUE_ERROR(where, text)                                                                   \
    "{\"type\":\"value_error\"," LOC(where) ",\"msg\":\"Value error, " text                        \
                                            "\",\"ctx\":{\"error\":\"" text "\"}}"
#define KINDS "'INTERNAL', 'CLIENT', 'SERVER', 'PRODUCER' or 'CONSUMER'"
#define CODES "'UNSET', 'OK' or 'ERROR'"
#define STRING_TYPE(where)                                                                         \
    "{\"type\":\"string_type\"," LOC(where) ",\"msg\":\"Input should be a valid string\"}"
#define DICT_TYPE(where)                                                                           \
    "{\"type\":\"dict_type\"," LOC(where) ",\"msg\":\"Input should be a valid dictionary\"}"
#define MISSING(where) "{\"type\":\"missing\"," LOC(where) ",\"msg\":\"Field required\"}"

static void given_faulty_members_when_decoded_then_platforms_422(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *errors;
    } vectors[] = {
        {"\"trace_id\":\"xyz\"",
         VALUE_ERROR("\"trace_id\"", "trace_id must be 32-character hex string")},
        {"\"span_id\":\"" SPAN "0\"",
         VALUE_ERROR("\"span_id\"", "span_id must be 16-character hex string")},
        {"\"parent_span_id\":\"\"",
         VALUE_ERROR("\"parent_span_id\"", "span_id must be 16-character hex string")},
        {"\"trace_id\":null", STRING_TYPE("\"trace_id\"")},
        {"\"project_id\":5", STRING_TYPE("\"project_id\"")},
        {"\"environment\":null", STRING_TYPE("\"environment\"")},
        {"\"conversation_id\":[]", STRING_TYPE("\"conversation_id\"")},
        {"\"status_message\":1", STRING_TYPE("\"status_message\"")},
        {"\"attributes\":null", DICT_TYPE("\"attributes\"")},
        {"\"resource\":[]", DICT_TYPE("\"resource\"")},
        {"\"span_name\":\"x\"",
         VALUE_ERROR("\"span_name\"",
                     "span_name must follow 'ai.<domain>.<action>' or 'function.<name>' (got: x)."
                     " Examples: ai.llm.invoke, function.answer")},
        {"\"span_name\":\"ai.chain.run\"",
         VALUE_ERROR("\"span_name\"", "span_name cannot use framework concept 'chain'. Use "
                                      "primitive operations such as llm, tool, retrieval")},
        {"\"span_kind\":\"client\"",
         "{\"type\":\"enum\"," LOC("\"span_kind\"") ",\"msg\":\"Input should be " KINDS
                                                    "\",\"ctx\":{\"expected\":\"" KINDS "\"}}"},
        {"\"status_code\":1",
         "{\"type\":\"enum\"," LOC("\"status_code\"") ",\"msg\":\"Input should be " CODES
                                                      "\",\"ctx\":{\"expected\":\"" CODES "\"}}"},
        {"\"end_time\":\"2025-12-31T00:00:00Z\"",
         VALUE_ERROR("\"end_time\"", "end_time must be after start_time")},
        {"\"end_time\":null",
         "{\"type\":\"datetime_type\"," LOC("\"end_time\"") ",\"msg\":\"Input should be a valid "
                                                            "datetime\"}"},
        {"\"end_time\":\"soon\"",
         "{\"type\":\"datetime_from_date_parsing\"," LOC(
             "\"end_time\"") ",\"msg\":\"Input should be a valid datetime or date, input is too "
                             "short\",\"ctx\":{\"error\":\"input is too short\"}}"},
        {"\"end_time\":\"2026-13-01T00:00:00Z\"",
         "{\"type\":\"datetime_from_date_parsing\"," LOC(
             "\"end_time\"") ",\"msg\":\"Input should be a valid datetime or date, month value is "
                             "outside expected range of 1-12\",\"ctx\":{\"error\":\"month value is "
                             "outside expected range of 1-12\"}}"},
        {"\"end_time\":1e300",
         "{\"type\":\"datetime_parsing\"," LOC(
             "\"end_time\"") ",\"msg\":\"Input should be a valid datetime, dates after 9999 are "
                             "not supported as unix timestamps\",\"ctx\":{\"error\":\"dates after "
                             "9999 are not supported as unix timestamps\"}}"},
        {"\"events\":{}",
         "{\"type\":\"list_type\"," LOC("\"events\"") ",\"msg\":\"Input should be a valid list\"}"},
        {"\"events\":[{\"name\":\"e\",\"timestamp\":0},{\"timestamp\":0,\"attributes\":1}]",
         MISSING("\"events\",1,\"name\"") "," DICT_TYPE("\"events\",1,\"attributes\"")},
        {"\"links\":[{\"trace_id\":1}]",
         STRING_TYPE("\"links\",0,\"trace_id\"") "," MISSING("\"links\",0,\"span_id\"")},
        {"\"links\":[null]",
         "{\"type\":\"model_attributes_type\"," LOC(
             "\"links\",0") ",\"msg\":\"Input should be a valid dictionary or object to extract "
                            "fields from\"}"},
        {"\"links\":[],\"span_id\":\"\",\"trace_id\":\"\"",
         VALUE_ERROR("\"trace_id\"", "trace_id must be 32-character hex string") "," VALUE_ERROR(
             "\"span_id\"", "span_id must be 16-character hex string")},
    };
    for (size_t i = 0; i < COUNT(vectors); i++) {
        struct buffer body = BUFFER_INIT;
        struct buffer members = BUFFER_INIT;
        struct buffer expected = BUFFER_INIT;
        marline__buffer_append_format(&members, ",%s", vectors[i].members);
        body_with(&body, members.data);
        marline__buffer_append_format(&expected, "{\"detail\":[%s]}", vectors[i].errors);
        assert_rejected(marline__buffer_slice(&body), expected.data);
        marline__buffer_deinit(&body);
        marline__buffer_deinit(&members);
        marline__buffer_deinit(&expected);
    }
}

static void given_second_span_bad_when_decoded_then_its_index_and_all_its_faults(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    marline__buffer_append_format(&body, "{\"spans\":[%s,{}]}", minimal);
    assert_rejected(
        marline__buffer_slice(&body),
        "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"spans\",1,\"trace_id\"],\"msg\":"
        "\"Field required\"},{\"type\":\"missing\",\"loc\":[\"body\",\"spans\",1,\"span_id\"],"
        "\"msg\":\"Field required\"},{\"type\":\"missing\",\"loc\":[\"body\",\"spans\",1,"
        "\"span_name\"],\"msg\":\"Field required\"},{\"type\":\"missing\",\"loc\":[\"body\","
        "\"spans\",1,\"start_time\"],\"msg\":\"Field required\"},{\"type\":\"missing\",\"loc\":"
        "[\"body\",\"spans\",1,\"end_time\"],\"msg\":\"Field required\"}]}");
    marline__buffer_deinit(&body);
}

static void given_text_beyond_the_limits_when_decoded_then_string_too_long(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct buffer member = BUFFER_INIT;
    marline__buffer_append_text(&member, ",\"environment\":\"");
    for (size_t i = 0; i < PLATFORM_ENVIRONMENT_MAX; i++) {
        marline__buffer_append_text(&member, "\xc3\xa9");
    }
    body_with(&body, member.data);
    body.size -= 3; /* opens the member again */
    marline__buffer_append_text(&body, "\"}]}");
    struct buffer errors = BUFFER_INIT;
    struct platform_request request;
    assert_int_equal(marline__platform_decode(marline__buffer_slice(&body), &request, &errors),
                     PLATFORM_DECODE_OK);
    marline__platform_request_deinit(&request);
    body.size -= 4;
    marline__buffer_append_text(&body, "x\"}]}");
    assert_rejected(marline__buffer_slice(&body),
                    "{\"detail\":[{\"type\":\"string_too_long\"," LOC(
                        "\"environment\"") ",\"msg\":\"String should have at most 50 "
                                           "characters\",\"ctx\":{\"max_length\":\"50\"}}]}");
    marline__buffer_deinit(&body);
    marline__buffer_deinit(&member);
}

static void given_body_cut_at_every_offset_when_decoded_then_rejected(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    body_with(&body, ",\"events\":[{\"name\":\"a\\n\",\"timestamp\":1.5e9}]");
    for (size_t size = 0; size < body.size; size++) {
        struct buffer errors = BUFFER_INIT;
        struct platform_request request;
        assert_int_equal(
            marline__platform_decode((struct slice){body.data, size}, &request, &errors),
            PLATFORM_DECODE_REJECTED);
        assert_true(marline__json_is_valid(marline__buffer_slice(&errors), JSON_STRICT));
        marline__platform_request_deinit(&request);
        marline__buffer_deinit(&errors);
    }
    marline__buffer_deinit(&body);
}

static void given_endless_faults_when_decoded_then_answer_is_bounded(void **state)
{
    (void)state;
    struct buffer body = BUFFER_INIT;
    struct buffer errors = BUFFER_INIT;
    struct platform_request request;
    marline__buffer_append_text(&body, "{\"spans\":[0");
    for (size_t i = 0; i < 3 * PLATFORM_ERRORS_MAX; i++) {
        marline__buffer_append_text(&body, ",0");
    }
    marline__buffer_append_text(&body, "]}");
    assert_int_equal(marline__platform_decode(marline__buffer_slice(&body), &request, &errors),
                     PLATFORM_DECODE_REJECTED);
    assert_true(marline__json_is_valid(marline__buffer_slice(&errors), JSON_STRICT));
    assert_null(strstr(errors.data, "\"spans\",1000]"));
    assert_non_null(strstr(errors.data, "\"spans\",999]"));
    marline__platform_request_deinit(&request);
    marline__buffer_deinit(&body);
    marline__buffer_deinit(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_plain_root_when_encoded_then_golden),
        cmocka_unit_test(given_span_with_everything_when_encoded_then_golden),
        cmocka_unit_test(given_synthetic_parent_when_encoded_then_root_with_batch_conversation),
        cmocka_unit_test(given_span_names_when_checked_then_only_the_platforms_pass),
        cmocka_unit_test(given_batch_when_planned_then_roots_first_and_order_kept),
        cmocka_unit_test(given_minimal_span_when_decoded_then_defaults),
        cmocka_unit_test(given_full_span_when_decoded_then_every_member),
        cmocka_unit_test(given_times_when_decoded_then_as_the_platform_reads_them),
        cmocka_unit_test(given_faulty_bodies_when_decoded_then_platforms_422),
        cmocka_unit_test(given_faulty_members_when_decoded_then_platforms_422),
        cmocka_unit_test(given_second_span_bad_when_decoded_then_its_index_and_all_its_faults),
        cmocka_unit_test(given_text_beyond_the_limits_when_decoded_then_string_too_long),
        cmocka_unit_test(given_body_cut_at_every_offset_when_decoded_then_rejected),
        cmocka_unit_test(given_endless_faults_when_decoded_then_answer_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
