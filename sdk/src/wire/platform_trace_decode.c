/* The receiving side of the platform's span JSON; see platform_trace.h.
 *
 * A span is read in two steps: its members are found (the last of a repeated one wins), then
 * checked in the order of the platform's model, so that the faults of a request are reported in
 * the order in which the platform reports them. One fault rejects the whole request (§5.3). */
#include "wire/platform_trace.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/memory.h"
#include "base/time_text.h"
#include "base/utf8.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum place_level { PLACE_BODY, PLACE_SPANS, PLACE_SPAN };

/* Where a fault is: body, spans, index, field, and for events and links index and member. */
struct place {
    enum place_level level;
    size_t span;
    const char *field; /* NULL: the span itself */
    size_t item;
    bool in_item;
    const char *member; /* NULL: the item itself */
};

struct receiver {
    struct buffer *scratch;
    struct json_writer errors;
    size_t error_count;
};

/* ---- faults ---- */

struct fault {
    const char *type;
    const char *message;
    const char *context_key;
    const char *context; /* without a key: the whole ctx as JSON; NULL: no ctx */
};

static void write_place(struct json_writer *w, const struct place *place)
{
    marline__json_text(w, "body");
    if (place->level >= PLACE_SPANS) {
        marline__json_text(w, "spans");
    }
    if (place->level >= PLACE_SPAN) {
        marline__json_unsigned(w, place->span);
    }
    if (place->field) {
        marline__json_text(w, place->field);
    }
    if (place->in_item) {
        marline__json_unsigned(w, place->item);
    }
    if (place->in_item && place->member) {
        marline__json_text(w, place->member);
    }
}

/* Begins an entry; the caller closes it after its ctx. */
static bool begin_fault(struct receiver *rx, const struct place *place, const char *type)
{
    if (rx->error_count++ >= PLATFORM_ERRORS_MAX) {
        return false;
    }
    struct json_writer *w = &rx->errors;
    marline__json_begin_object(w);
    marline__json_member_text(w, "type", type);
    marline__json_key(w, "loc");
    marline__json_begin_array(w);
    write_place(w, place);
    marline__json_end_array(w);
    return true;
}

static void report(struct receiver *rx, const struct place *place, const struct fault *fault)
{
    struct json_writer *w = &rx->errors;
    if (!begin_fault(rx, place, fault->type)) {
        return;
    }
    marline__json_member_text(w, "msg", fault->message);
    if (fault->context_key) {
        marline__json_key(w, "ctx");
        marline__json_begin_object(w);
        marline__json_member_text(w, fault->context_key, fault->context);
        marline__json_end_object(w);
    } else if (fault->context) {
        marline__json_member_raw(w, "ctx", marline__slice_text(fault->context));
    }
    marline__json_end_object(w);
}

/* The `value_error` of a validator: its text stands in msg and in ctx. */
static void report_value(struct receiver *rx, const struct place *place, struct slice text)
{
    struct json_writer *w = &rx->errors;
    struct buffer message = BUFFER_INIT;
    if (!begin_fault(rx, place, "value_error")) {
        return;
    }
    marline__buffer_append_text(&message, "Value error, ");
    marline__buffer_append_slice(&message, text);
    w->out->failed = w->out->failed || message.failed;
    marline__json_member_string(w, "msg", marline__buffer_slice(&message));
    marline__json_key(w, "ctx");
    marline__json_begin_object(w);
    marline__json_member_string(w, "error", text);
    marline__json_end_object(w);
    marline__json_end_object(w);
    marline__buffer_deinit(&message);
}

static const struct fault fault_missing = {"missing", "Field required", NULL, NULL};
static const struct fault fault_string = {"string_type", "Input should be a valid string", NULL,
                                          NULL};
static const struct fault fault_object = {"dict_type", "Input should be a valid dictionary", NULL,
                                          NULL};
static const struct fault fault_list = {"list_type", "Input should be a valid list", NULL, NULL};
static const struct fault fault_model = {
    "model_attributes_type", "Input should be a valid dictionary or object to extract fields from",
    NULL, NULL};
static const struct fault fault_datetime = {"datetime_type", "Input should be a valid datetime",
                                            NULL, NULL};

/* ---- members ---- */

static bool is_absent(const struct json_member *value)
{
    return value->type == JSON_ERROR;
}

/* Of a raw value with its quotes; borrows from the text where it can. */
static struct slice string_of(struct receiver *rx, struct slice raw)
{
    struct slice text = {raw.data + 1, raw.size - 2};
    if (!memchr(text.data, '\\', text.size)) {
        return text;
    }
    size_t start = rx->scratch->size;
    marline__json_unescape(text, rx->scratch);
    if (rx->scratch->failed) {
        return SLICE_EMPTY;
    }
    return (struct slice){rx->scratch->data + start, rx->scratch->size - start};
}

enum need { REQUIRED, OPTIONAL, NULLABLE }; /* an OPTIONAL member may be absent but not null */

/* True when the member is a string; reports what it must not be. */
static bool take_string(struct receiver *rx, const struct place *place,
                        const struct json_member *value, enum need need, struct slice *out)
{
    if (is_absent(value)) {
        if (need == REQUIRED) {
            report(rx, place, &fault_missing);
        }
        return false;
    }
    if (value->type == JSON_NULL && need == NULLABLE) {
        return false;
    }
    if (value->type != JSON_STRING) {
        report(rx, place, &fault_string);
        return false;
    }
    *out = string_of(rx, value->raw);
    return true;
}

static void take_short_string(struct receiver *rx, const struct place *place,
                              const struct json_member *value, enum need need, size_t max,
                              struct slice *out)
{
    char message[64];
    char limit[24];
    if (!take_string(rx, place, value, need, out) || marline__utf8_length(*out) <= max) {
        return;
    }
    (void)snprintf(message, sizeof message, "String should have at most %zu characters", max);
    (void)snprintf(limit, sizeof limit, "%zu", max);
    report(rx, place, &(struct fault){"string_too_long", message, "max_length", limit});
}

/* `out` receives 2 * size lower-case digits and a NUL. */
static void take_id(struct receiver *rx, const struct place *place, const struct json_member *value,
                    enum need need, size_t size, char *out)
{
    struct slice text;
    uint8_t bytes[16];
    if (!take_string(rx, place, value, need, &text)) {
        return;
    }
    if (!marline__hex_decode(text, bytes, size)) {
        report_value(rx, place,
                     size == 16 ? SLICE("trace_id must be 32-character hex string")
                                : SLICE("span_id must be 16-character hex string"));
        return;
    }
    marline__hex_encode(bytes, size, out);
    out[2 * size] = '\0';
}

static void take_raw(struct receiver *rx, const struct place *place,
                     const struct json_member *value, enum json_type type,
                     const struct fault *fault, struct slice *out)
{
    if (is_absent(value)) {
        return;
    }
    if (value->type != type) {
        report(rx, place, fault);
        return;
    }
    *out = value->raw;
}

/* Returns the index of the text among the names, or -1. */
static int take_enum(struct receiver *rx, const struct place *place,
                     const struct json_member *value, const char *const *names, size_t count,
                     const char *expected)
{
    char message[128];
    if (is_absent(value)) {
        return -1;
    }
    for (size_t i = 0; i < count && value->type == JSON_STRING; i++) {
        struct slice raw = {value->raw.data + 1, value->raw.size - 2};
        if (marline__json_key_is(raw, names[i])) {
            return (int)i;
        }
    }
    (void)snprintf(message, sizeof message, "Input should be %s", expected);
    report(rx, place, &(struct fault){"enum", message, "expected", expected});
    return -1;
}

/* ---- times ---- */

/* What is wrong with the date that a text starts with, in the words of the platform's parser. */
static const char *date_complaint(struct slice text)
{
    static const char *const parts[] = {"invalid character in year", "invalid character in month",
                                        "invalid character in day"};
    if (text.size < 10) {
        return "input is too short";
    }
    for (size_t i = 0; i < 10; i++) {
        bool dash = i == 4 || i == 7;
        if (dash && text.data[i] != '-') {
            return "invalid date separator, expected `-`";
        }
        if (!dash && (text.data[i] < '0' || text.data[i] > '9')) {
            return parts[(i > 4) + (i > 7)];
        }
    }
    int month = (text.data[5] - '0') * 10 + text.data[6] - '0';
    if (month < 1 || month > 12) {
        return "month value is outside expected range of 1-12";
    }
    return text.size > 10 ? "unexpected extra characters at the end of the input"
                          : "day value is outside expected range";
}

static void report_time(struct receiver *rx, const struct place *place, const char *type,
                        const char *what, const char *why)
{
    char message[160];
    (void)snprintf(message, sizeof message, "Input should be a valid %s, %s", what, why);
    report(rx, place, &(struct fault){type, message, "error", why});
}

/* Seconds, or milliseconds when the number is large (§5.1). NULL, or what is wrong. */
static const char *unix_time(struct slice raw, uint64_t *out_ns)
{
    static const double milliseconds_from = 2e10;
    static const double year_9999_end = 253402300799.0;
    static const double nanoseconds_end = 18446744073.0;
    struct json_reader r;
    double value;
    marline__json_reader_init(&r, raw, JSON_STRICT);
    if (!marline__json_read_double(&r, &value)) {
        return "dates after 9999 are not supported as unix timestamps";
    }
    double seconds = value > milliseconds_from ? value / 1000 : value;
    if (seconds > year_9999_end) {
        return "dates after 9999 are not supported as unix timestamps";
    }
    if (seconds < 0 || seconds >= nanoseconds_end) {
        return "dates before 1970 or after 2554 are not supported";
    }
    double whole = floor(seconds);
    *out_ns = (uint64_t)whole * NS_PER_S +
              (uint64_t)((seconds - whole) * 1e6 + 0.5) * 1000; /* doubles hold microseconds */
    return NULL;
}

static bool text_time(struct slice text, uint64_t *out_ns)
{
    enum time_zone_kind kind;
    char day[] = "YYYY-MM-DDT00:00";
    if (text.size == 10) { /* a date is its midnight */
        memcpy(day, text.data, text.size);
        text = marline__slice_text(day);
    }
    return marline__time_parse(text, out_ns, &kind);
}

static bool take_time(struct receiver *rx, const struct place *place,
                      const struct json_member *value, uint64_t *out_ns)
{
    uint64_t ns = 0;
    const char *complaint = NULL;
    switch (value->type) {
    case JSON_ERROR:
        report(rx, place, &fault_missing);
        return false;
    case JSON_NUMBER:
        complaint = unix_time(value->raw, &ns);
        if (complaint) {
            report_time(rx, place, "datetime_parsing", "datetime", complaint);
            return false;
        }
        break;
    case JSON_STRING:
        if (!text_time(string_of(rx, value->raw), &ns)) {
            report_time(rx, place, "datetime_from_date_parsing", "datetime or date",
                        date_complaint(string_of(rx, value->raw)));
            return false;
        }
        break;
    default:
        report(rx, place, &fault_datetime);
        return false;
    }
    *out_ns = ns - ns % 1000;
    return true;
}

/* ---- events and links ---- */

static void check_attributes(struct receiver *rx, struct place *place,
                             const struct json_member *value)
{
    struct slice ignored;
    place->member = "attributes";
    take_raw(rx, place, value, JSON_OBJECT, &fault_object, &ignored);
}

static void check_event(struct receiver *rx, struct place *place, struct slice raw)
{
    static const char *const names[] = {"name", "timestamp", "attributes"};
    struct json_member members[COUNT(names)];
    struct slice name;
    uint64_t time;
    marline__json_find_members(raw, names, COUNT(names), members);
    place->member = names[0];
    (void)take_string(rx, place, &members[0], REQUIRED, &name);
    place->member = names[1];
    (void)take_time(rx, place, &members[1], &time);
    check_attributes(rx, place, &members[2]);
}

/* The ids of a link are not checked by their form (§5.1). */
static void check_link(struct receiver *rx, struct place *place, struct slice raw)
{
    static const char *const names[] = {"trace_id", "span_id", "attributes"};
    struct json_member members[COUNT(names)];
    struct slice id;
    marline__json_find_members(raw, names, COUNT(names), members);
    for (size_t i = 0; i < 2; i++) {
        place->member = names[i];
        (void)take_string(rx, place, &members[i], REQUIRED, &id);
    }
    check_attributes(rx, place, &members[2]);
}

static void take_items(struct receiver *rx, struct place *place, const struct json_member *value,
                       void (*check)(struct receiver *rx, struct place *place, struct slice raw),
                       struct slice *out)
{
    struct json_reader r;
    take_raw(rx, place, value, JSON_ARRAY, &fault_list, out);
    if (value->type != JSON_ARRAY) {
        return;
    }
    marline__json_reader_init(&r, value->raw, JSON_TRUSTED);
    (void)marline__json_enter_array(&r);
    place->in_item = true;
    for (place->item = 0; marline__json_next_element(&r); place->item++) {
        bool object = marline__json_peek(&r) == JSON_OBJECT;
        struct slice raw;
        place->member = NULL;
        if (marline__json_skip(&r, &raw) && object) {
            check(rx, place, raw);
        } else {
            report(rx, place, &fault_model);
        }
    }
    place->in_item = false;
}

/* ---- spans ---- */

enum span_member {
    TRACE_ID,
    SPAN_ID,
    PARENT_SPAN_ID,
    PROJECT_ID,
    ENVIRONMENT,
    CONVERSATION_ID,
    SPAN_NAME,
    SPAN_KIND,
    START_TIME,
    END_TIME,
    STATUS_CODE,
    STATUS_MESSAGE,
    ATTRIBUTES,
    EVENTS,
    LINKS,
    RESOURCE,
    SPAN_MEMBERS,
};

static const char *const span_member_names[SPAN_MEMBERS] = {
    "trace_id",   "span_id",   "parent_span_id", "project_id", "environment", "conversation_id",
    "span_name",  "span_kind", "start_time",     "end_time",   "status_code", "status_message",
    "attributes", "events",    "links",          "resource",
};

static const struct place *at(struct place *place, enum span_member member)
{
    place->field = span_member_names[member];
    return place;
}

static void take_name(struct receiver *rx, const struct place *place,
                      const struct json_member *value, struct slice *out)
{
    struct buffer text = BUFFER_INIT;
    struct slice domain;
    size_t before = rx->error_count;
    take_short_string(rx, place, value, REQUIRED, PLATFORM_NAME_MAX, out);
    if (is_absent(value) || rx->error_count > before) {
        return;
    }
    switch (marline__platform_check_name(*out, &domain)) {
    case PLATFORM_NAME_GOOD:
        return;
    case PLATFORM_NAME_MALFORMED:
        marline__buffer_append_text(
            &text, "span_name must follow 'ai.<domain>.<action>' or 'function.<name>' (got: ");
        marline__buffer_append_slice(&text, *out);
        marline__buffer_append_text(&text, "). Examples: ai.llm.invoke, function.answer");
        break;
    case PLATFORM_NAME_FORBIDDEN:
        marline__buffer_append_text(&text, "span_name cannot use framework concept '");
        marline__buffer_append_slice(&text, domain);
        marline__buffer_append_text(&text, "'. Use primitive operations such as llm, tool, "
                                           "retrieval");
        break;
    }
    rx->errors.out->failed = rx->errors.out->failed || text.failed;
    report_value(rx, place, marline__buffer_slice(&text));
    marline__buffer_deinit(&text);
}

static void take_kind(struct receiver *rx, const struct place *place,
                      const struct json_member *value, marline_span_kind *out)
{
    static const char *const names[] = {"INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"};
    int index = take_enum(rx, place, value, names, COUNT(names),
                          "'INTERNAL', 'CLIENT', 'SERVER', 'PRODUCER' or 'CONSUMER'");
    *out = index < 0 ? MARLINE_SPAN_KIND_INTERNAL
                     : (marline_span_kind)(MARLINE_SPAN_KIND_INTERNAL + index);
}

static void take_status(struct receiver *rx, const struct place *place,
                        const struct json_member *value, marline_span_status *out)
{
    static const char *const names[] = {"UNSET", "OK", "ERROR"};
    int index = take_enum(rx, place, value, names, COUNT(names), "'UNSET', 'OK' or 'ERROR'");
    *out = index < 0 ? MARLINE_SPAN_STATUS_OK : (marline_span_status)index;
}

static void take_times(struct receiver *rx, struct place *place, const struct json_member *members,
                       struct platform_span *span)
{
    bool started = take_time(rx, at(place, START_TIME), &members[START_TIME], &span->start_unix_ns);
    bool ended = take_time(rx, at(place, END_TIME), &members[END_TIME], &span->end_unix_ns);
    if (started && ended && span->end_unix_ns < span->start_unix_ns) {
        report_value(rx, place, SLICE("end_time must be after start_time"));
    }
}

static void take_test_string(struct receiver *rx, const struct json_member *value,
                             struct slice *out)
{
    if (value->type == JSON_STRING) {
        *out = string_of(rx, value->raw);
    }
}

static void take_test_ids(struct receiver *rx, struct platform_span *span)
{
    static const char *const names[] = {
        "rhesis.test.run_id",    "rhesis.test.id",      "rhesis.test.configuration_id",
        "rhesis.test.result_id", "rhesis.test.attempt",
    };
    struct json_member members[COUNT(names)];
    struct json_reader r;
    int64_t attempt;
    marline__json_find_members(span->attributes, names, COUNT(names), members);
    take_test_string(rx, &members[0], &span->test_run_id);
    take_test_string(rx, &members[1], &span->test_id);
    take_test_string(rx, &members[2], &span->test_configuration_id);
    take_test_string(rx, &members[3], &span->test_result_id);
    marline__json_reader_init(&r, members[4].raw, JSON_STRICT);
    if (members[4].type == JSON_NUMBER && marline__json_read_int64(&r, &attempt) && attempt > 0 &&
        attempt <= UINT32_MAX) {
        span->attempt = (uint32_t)attempt;
    }
}

static void take_span(struct receiver *rx, size_t index, struct slice raw,
                      struct platform_span *span)
{
    struct json_member m[SPAN_MEMBERS];
    struct place place = {.level = PLACE_SPAN, .span = index};
    *span = (struct platform_span){.environment = SLICE("development"),
                                   .attributes = SLICE("{}"),
                                   .events = SLICE("[]"),
                                   .links = SLICE("[]"),
                                   .resource = SLICE("{}")};
    marline__json_find_members(raw, span_member_names, SPAN_MEMBERS, m);
    take_id(rx, at(&place, TRACE_ID), &m[TRACE_ID], REQUIRED, 16, span->trace_id);
    take_id(rx, at(&place, SPAN_ID), &m[SPAN_ID], REQUIRED, 8, span->span_id);
    take_id(rx, at(&place, PARENT_SPAN_ID), &m[PARENT_SPAN_ID], NULLABLE, 8, span->parent_span_id);
    (void)take_string(rx, at(&place, PROJECT_ID), &m[PROJECT_ID], NULLABLE, &span->project_id);
    take_short_string(rx, at(&place, ENVIRONMENT), &m[ENVIRONMENT], OPTIONAL,
                      PLATFORM_ENVIRONMENT_MAX, &span->environment);
    take_short_string(rx, at(&place, CONVERSATION_ID), &m[CONVERSATION_ID], NULLABLE,
                      PLATFORM_CONVERSATION_ID_MAX, &span->conversation_id);
    take_name(rx, at(&place, SPAN_NAME), &m[SPAN_NAME], &span->name);
    take_kind(rx, at(&place, SPAN_KIND), &m[SPAN_KIND], &span->kind);
    take_times(rx, &place, m, span);
    take_status(rx, at(&place, STATUS_CODE), &m[STATUS_CODE], &span->status);
    (void)take_string(rx, at(&place, STATUS_MESSAGE), &m[STATUS_MESSAGE], NULLABLE,
                      &span->status_message);
    take_raw(rx, at(&place, ATTRIBUTES), &m[ATTRIBUTES], JSON_OBJECT, &fault_object,
             &span->attributes);
    (void)at(&place, EVENTS);
    take_items(rx, &place, &m[EVENTS], check_event, &span->events);
    (void)at(&place, LINKS);
    take_items(rx, &place, &m[LINKS], check_link, &span->links);
    take_raw(rx, at(&place, RESOURCE), &m[RESOURCE], JSON_OBJECT, &fault_object, &span->resource);
    take_test_ids(rx, span);
}

/* ---- the request ---- */

static bool grow(struct platform_request *request, size_t *capacity)
{
    if (request->count < *capacity) {
        return true;
    }
    size_t larger = *capacity ? *capacity * 2 : 16;
    struct platform_span *spans =
        marline__memory_resize(request->spans, larger * sizeof *request->spans);
    if (!spans) {
        return false;
    }
    request->spans = spans;
    *capacity = larger;
    return true;
}

/* `raw` is a well-formed array. False when out of memory. */
static bool take_spans(struct receiver *rx, struct slice raw, struct platform_request *request)
{
    struct json_reader r;
    size_t capacity = 0;
    marline__json_reader_init(&r, raw, JSON_TRUSTED);
    (void)marline__json_enter_array(&r);
    while (marline__json_next_element(&r)) {
        bool object = marline__json_peek(&r) == JSON_OBJECT;
        struct slice span;
        if (!marline__json_skip(&r, &span) || !grow(request, &capacity)) {
            return false;
        }
        if (object) {
            take_span(rx, request->count, span, &request->spans[request->count]);
        } else {
            report(rx, &(struct place){.level = PLACE_SPAN, .span = request->count}, &fault_model);
            request->spans[request->count] = (struct platform_span){.attempt = 0};
        }
        request->count++;
    }
    return true;
}

static const struct fault fault_too_short = {
    "too_short", "List should have at least 1 item after validation, not 0", NULL,
    "{\"field_type\":\"List\",\"min_length\":\"1\",\"actual_length\":\"0\"}"};

/* False when out of memory. */
static bool take_request(struct receiver *rx, struct slice body, struct platform_request *request)
{
    static const char *const names[] = {"spans"};
    struct place place = {.level = PLACE_BODY};
    struct json_member spans;
    struct json_reader r;
    marline__json_reader_init(&r, body, JSON_STRICT);
    if (marline__json_peek(&r) != JSON_OBJECT) {
        report(rx, &place, marline__json_peek(&r) == JSON_NULL ? &fault_missing : &fault_model);
        return true;
    }
    place.level = PLACE_SPANS;
    marline__json_find_members(body, names, COUNT(names), &spans);
    if (spans.type != JSON_ARRAY) {
        report(rx, &place, is_absent(&spans) ? &fault_missing : &fault_list);
        return true;
    }
    if (!take_spans(rx, spans.raw, request)) {
        return false;
    }
    if (request->count == 0) {
        report(rx, &place, &fault_too_short);
    }
    return true;
}

/* `loc` is the offset; the platform counts characters, this counts bytes. */
static void report_invalid_json(struct json_writer *w, const struct json_reader *r)
{
    marline__json_begin_object(w);
    marline__json_member_text(w, "type", "json_invalid");
    marline__json_key(w, "loc");
    marline__json_begin_array(w);
    marline__json_text(w, "body");
    marline__json_unsigned(w, r->error_offset);
    marline__json_end_array(w);
    marline__json_member_text(w, "msg", "JSON decode error");
    marline__json_key(w, "ctx");
    marline__json_begin_object(w);
    marline__json_member_text(w, "error", r->error);
    marline__json_end_object(w);
    marline__json_end_object(w);
}

/* False when the text is no JSON; that is then reported. */
static bool check_text(struct receiver *rx, struct slice body)
{
    struct json_reader r;
    if (body.size == 0) {
        report(rx, &(struct place){.level = PLACE_BODY}, &fault_missing);
        return false;
    }
    marline__json_reader_init(&r, body, JSON_STRICT);
    if (marline__json_skip(&r, NULL) && marline__json_finish(&r)) {
        return true;
    }
    rx->error_count++;
    report_invalid_json(&rx->errors, &r);
    return false;
}

enum platform_decode marline__platform_decode(struct slice body, struct platform_request *out,
                                              struct buffer *out_error_body)
{
    *out = (struct platform_request){.scratch = BUFFER_INIT};
    struct receiver rx = {.scratch = &out->scratch};
    struct buffer errors = BUFFER_INIT;
    /* Decoded strings never need more room than the text: one reservation keeps slices valid. */
    bool good = body.size == 0 || !memchr(body.data, '\\', body.size) ||
                marline__buffer_reserve(&out->scratch, 2 * body.size);
    marline__json_writer_init(&rx.errors, &errors);
    marline__json_begin_object(&rx.errors);
    marline__json_key(&rx.errors, "detail");
    marline__json_begin_array(&rx.errors);
    if (good && check_text(&rx, body)) {
        good = take_request(&rx, body, out);
    }
    marline__json_end_array(&rx.errors);
    marline__json_end_object(&rx.errors);
    if (rx.error_count > 0) {
        marline__buffer_append_slice(out_error_body, marline__buffer_slice(&errors));
    }
    good = good && !errors.failed && !out->scratch.failed && !out_error_body->failed;
    marline__buffer_deinit(&errors);
    if (!good) {
        return PLATFORM_DECODE_NO_MEMORY;
    }
    return rx.error_count > 0 ? PLATFORM_DECODE_REJECTED : PLATFORM_DECODE_OK;
}

void marline__platform_request_deinit(struct platform_request *request)
{
    marline__memory_free(request->spans);
    marline__buffer_deinit(&request->scratch);
    *request = (struct platform_request){.scratch = BUFFER_INIT};
}
