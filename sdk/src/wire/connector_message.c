/* Decoding of the testing channel's messages; see connector_message.h. Encoding is in
 * connector_message_encode.c.
 *
 * Decoding is driven by tables: one row for each member of each message says what it must be and
 * where it goes. A first pass over the text checks it whole, so that the second, which fills the
 * structure, meets well-formed JSON only. Members that are extensions are forgiving: of the wrong
 * type they count as absent, for another peer may use the same name for something else. */
#include "wire/connector_message.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "wire/json_reader.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- what the messages are made of ---- */

enum field_kind {
    FIELD_STRING,   /* struct slice */
    FIELD_FALLBACK, /* a string, taken unless the slot was filled by another member */
    FIELD_HINT,     /* a string; of another type it counts as absent */
    FIELD_OBJECT,   /* struct slice, raw */
    FIELD_ARRAY,    /* struct slice, raw */
    FIELD_ARRAY_HINT,
    FIELD_ANY,          /* struct slice, raw */
    FIELD_SUCCESS,      /* bool: false only for "error", as the platform reads it */
    FIELD_TRUTH,        /* bool: what Python holds for true */
    FIELD_DOUBLE,       /* double */
    FIELD_COUNT,        /* uint32_t; anything else counts as absent */
    FIELD_CAPABILITIES, /* uint32_t of enum capability */
    FIELD_NESTED,       /* an object with a table of its own, in the same structure */
    FIELD_NESTED_HINT,
};

struct field {
    const char *name;
    enum field_kind kind;
    bool required;
    size_t offset; /* NESTED: of the bool that says it is there, or NO_FLAG */
    const struct field_table *nested;
};

struct field_table {
    const struct field *fields;
    size_t count;
};

#define NO_FLAG          SIZE_MAX
#define TABLE(rows)      ((const struct field_table){(rows), COUNT(rows)})
#define AT(type, member) offsetof(struct message_##type, member)
#define NEED(name, k, place)                                                                       \
    {                                                                                              \
        (name), FIELD_##k, true, (place), NULL                                                     \
    }
#define MAY(name, k, place)                                                                        \
    {                                                                                              \
        (name), FIELD_##k, false, (place), NULL                                                    \
    }

static const struct field limits_fields[] = {
    MAY("rate_per_second", COUNT, AT(connected, rate_per_second)),
    MAY("message_size_max", COUNT, AT(connected, message_size_max)),
    MAY("idle_timeout_ms", COUNT, AT(connected, idle_timeout_ms)),
};
static const struct field_table limits_table = {limits_fields, COUNT(limits_fields)};

static const struct field connected_fields[] = {
    MAY("connection_id", STRING, AT(connected, connection_id)),
    MAY("organization_id", STRING, AT(connected, organization_id)),
    MAY("user_id", STRING, AT(connected, user_id)),
    MAY("capabilities", CAPABILITIES, AT(connected, capabilities)),
    {"limits", FIELD_NESTED_HINT, false, NO_FLAG, &limits_table},
};

static const struct field register_fields[] = {
    MAY("project_id", STRING, AT(register, project_id)),
    MAY("environment", STRING, AT(register, environment)),
    NEED("sdk_version", STRING, AT(register, sdk_version)),
    NEED("functions", ARRAY, AT(register, functions)),
    MAY("metrics", ARRAY, AT(register, metrics)),
    MAY("capabilities", CAPABILITIES, AT(register, capabilities)),
    MAY("agent_id", HINT, AT(register, agent_id)),
    MAY("concurrency", COUNT, AT(register, concurrency)),
    MAY("in_flight", ARRAY_HINT, AT(register, in_flight)),
};

static const struct field registered_fields[] = {
    MAY("status", SUCCESS, AT(registered, success)),
    MAY("error", STRING, AT(registered, error)),
    MAY("message", FALLBACK, AT(registered, error)),
    MAY("errors", ARRAY, AT(registered, errors)),
    MAY("sync_stats", OBJECT, AT(registered, sync_stats)),
    MAY("connection_id", STRING, AT(registered, connection_id)),
};

static const struct field headers_fields[] = {
    MAY("traceparent", HINT, AT(execute_test, headers.traceparent)),
    MAY("tracestate", HINT, AT(execute_test, headers.tracestate)),
    MAY("baggage", HINT, AT(execute_test, headers.baggage)),
    MAY("event_type", HINT, AT(execute_test, headers.event_type)),
    MAY("correlation_id", HINT, AT(execute_test, headers.correlation_id)),
    MAY("service", HINT, AT(execute_test, headers.service)),
    MAY("trace_mode", HINT, AT(execute_test, headers.trace_mode)),
};
static const struct field_table headers_table = {headers_fields, COUNT(headers_fields)};

static const struct field execute_test_fields[] = {
    NEED("test_run_id", STRING, AT(execute_test, invocation_id)),
    NEED("function_name", STRING, AT(execute_test, function_name)),
    NEED("inputs", OBJECT, AT(execute_test, inputs)),
    MAY("parameters", OBJECT, AT(execute_test, parameters)),
    MAY("parameter_version", STRING, AT(execute_test, parameter_version)),
    MAY("parameter_experiment_id", STRING, AT(execute_test, parameter_experiment_id)),
    MAY("parameter_source", STRING, AT(execute_test, parameter_source)),
    MAY("parameter_source_environment", STRING, AT(execute_test, parameter_source_environment)),
    MAY("parameter_source_label", FALLBACK, AT(execute_test, parameter_source_environment)),
    MAY("parameter_schema", OBJECT, AT(execute_test, parameter_schema)),
    {"headers", FIELD_NESTED_HINT, false, NO_FLAG, &headers_table},
    MAY("deadline_ms", COUNT, AT(execute_test, deadline_ms)),
};

/* The reserved keys of inputs (§3). */
static const struct field test_context_fields[] = {
    MAY("test_run_id", HINT, AT(execute_test, test.test_run_id)),
    MAY("test_id", HINT, AT(execute_test, test.test_id)),
    MAY("test_configuration_id", HINT, AT(execute_test, test.test_configuration_id)),
    MAY("test_result_id", HINT, AT(execute_test, test.test_result_id)),
    MAY("attempt", COUNT, AT(execute_test, test.attempt)),
};
static const struct field_table test_context_table = {test_context_fields,
                                                      COUNT(test_context_fields)};
static const struct field conversation_fields[] = {
    MAY("conversation_id", HINT, AT(execute_test, conversation.conversation_id)),
    MAY("trace_id", HINT, AT(execute_test, conversation.trace_id)),
    MAY("mapped_input", HINT, AT(execute_test, conversation.mapped_input)),
};
static const struct field_table conversation_table = {conversation_fields,
                                                      COUNT(conversation_fields)};
static const char key_disable[] = "_rhesis_disable_tracing";
static const char key_test[] = "_rhesis_test_context";
static const char key_conversation[] = "_rhesis_conversation_context";
static const struct field reserved_fields[] = {
    MAY(key_disable, TRUTH, AT(execute_test, disable_tracing)),
    {key_test, FIELD_NESTED, false, AT(execute_test, test.present), &test_context_table},
    {key_conversation, FIELD_NESTED, false, AT(execute_test, conversation.present),
     &conversation_table},
};

static const struct field test_result_fields[] = {
    NEED("test_run_id", STRING, AT(test_result, invocation_id)),
    MAY("status", SUCCESS, AT(test_result, success)),
    MAY("output", ANY, AT(test_result, output)),
    MAY("error", STRING, AT(test_result, error)),
    MAY("duration_ms", DOUBLE, AT(test_result, duration_ms)),
    MAY("trace_id", STRING, AT(test_result, trace_id)),
    MAY("span_count", COUNT, AT(test_result, span_count)),
};

static const struct field execute_metric_fields[] = {
    NEED("metric_run_id", STRING, AT(execute_metric, metric_run_id)),
    NEED("metric_name", STRING, AT(execute_metric, metric_name)),
    NEED("inputs", OBJECT, AT(execute_metric, inputs)),
};

static const struct field metric_result_fields[] = {
    NEED("metric_run_id", STRING, AT(metric_result, metric_run_id)),
    MAY("status", SUCCESS, AT(metric_result, success)),
    MAY("score", ANY, AT(metric_result, score)),
    MAY("details", OBJECT, AT(metric_result, details)),
    MAY("error", STRING, AT(metric_result, error)),
    MAY("duration_ms", DOUBLE, AT(metric_result, duration_ms)),
};

static const struct field error_fields[] = {
    MAY("detail", HINT, AT(error, detail)),
};

static const struct field result_ack_fields[] = {
    NEED("test_run_id", STRING, AT(result_ack, invocation_id)),
    MAY("reason", HINT, AT(result_ack, reason)),
};

static const struct field cancel_fields[] = {
    NEED("test_run_id", STRING, AT(cancel, invocation_id)),
    MAY("reason", HINT, AT(cancel, reason)),
};

static const struct field function_fields[] = {
    NEED("name", STRING, AT(function, name)),
    MAY("parameters", OBJECT, AT(function, parameters)),
    MAY("return_type", STRING, AT(function, return_type)),
    MAY("metadata", OBJECT, AT(function, metadata)),
};

/* Indexed by enum message_type. */
static const struct {
    const char *name;
    struct field_table table;
} message_types[] = {
    [MESSAGE_UNKNOWN] = {NULL, {NULL, 0}},
    [MESSAGE_CONNECTED] = {"connected", {connected_fields, COUNT(connected_fields)}},
    [MESSAGE_REGISTER] = {"register", {register_fields, COUNT(register_fields)}},
    [MESSAGE_REGISTERED] = {"registered", {registered_fields, COUNT(registered_fields)}},
    [MESSAGE_EXECUTE_TEST] = {"execute_test", {execute_test_fields, COUNT(execute_test_fields)}},
    [MESSAGE_TEST_RESULT] = {"test_result", {test_result_fields, COUNT(test_result_fields)}},
    [MESSAGE_EXECUTE_METRIC] = {"execute_metric",
                                {execute_metric_fields, COUNT(execute_metric_fields)}},
    [MESSAGE_METRIC_RESULT] = {"metric_result",
                               {metric_result_fields, COUNT(metric_result_fields)}},
    [MESSAGE_PING] = {"ping", {NULL, 0}},
    [MESSAGE_PONG] = {"pong", {NULL, 0}},
    [MESSAGE_ERROR] = {"error", {error_fields, COUNT(error_fields)}},
    [MESSAGE_RESULT_ACK] = {"result_ack", {result_ack_fields, COUNT(result_ack_fields)}},
    [MESSAGE_CANCEL] = {"cancel", {cancel_fields, COUNT(cancel_fields)}},
    [MESSAGE_DRAIN] = {"drain", {NULL, 0}},
};

static const char *const capability_names[] = {
    "result_ack", "cancel",     "drain",     "trace_context", "deadline",
    "attempt",    "span_count", "in_flight", "limits",
};

const char *marline__message_type_name(enum message_type type)
{
    return message_types[type].name;
}

const char *marline__capability_name(size_t bit)
{
    return bit < COUNT(capability_names) ? capability_names[bit] : NULL;
}

/* ---- decoding ---- */

struct decoder {
    struct buffer *scratch;
    bool valid;
    char *reason; /* DECODE_REASON_SIZE bytes, or NULL */
};

static void complain(struct decoder *d, const char *name, const char *what)
{
    if (d->valid && d->reason) {
        (void)snprintf(d->reason, DECODE_REASON_SIZE, "%s %s", name, what);
    }
    d->valid = false;
}

/* Of a raw value with its quotes. The result borrows from the text where it can. */
static struct slice decode_string(struct decoder *d, struct slice raw)
{
    struct slice text = {raw.data + 1, raw.size - 2};
    if (!memchr(text.data, '\\', text.size)) {
        return text;
    }
    size_t start = d->scratch->size;
    marline__json_unescape(text, d->scratch);
    if (d->scratch->failed) {
        return SLICE_EMPTY;
    }
    return (struct slice){d->scratch->data + start, d->scratch->size - start};
}

static double decode_double(struct slice raw)
{
    struct json_reader r;
    double value;
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    return marline__json_read_double(&r, &value) && isfinite(value) ? value : 0;
}

static uint32_t decode_count(struct slice raw)
{
    struct json_reader r;
    int64_t value;
    marline__json_reader_init(&r, raw, JSON_STRICT);
    bool whole = marline__json_read_int64(&r, &value);
    return whole && value > 0 && value <= UINT32_MAX ? (uint32_t)value : 0;
}

static uint32_t decode_capabilities(struct slice raw)
{
    struct json_reader r;
    uint32_t bits = 0;
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    if (!marline__json_enter_array(&r)) {
        return 0;
    }
    while (marline__json_next_element(&r)) {
        bool text = marline__json_peek(&r) == JSON_STRING;
        struct slice item;
        if (!marline__json_skip(&r, &item) || !text) {
            continue;
        }
        item = (struct slice){item.data + 1, item.size - 2};
        for (size_t i = 0; i < COUNT(capability_names); i++) {
            bits |= marline__json_key_is(item, capability_names[i]) ? 1u << i : 0;
        }
    }
    return bits;
}

static bool decode_truth(enum json_type type, struct slice raw)
{
    struct json_reader r;
    struct slice key;
    double number = 1; /* one that no double can hold is not zero */
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    switch (type) {
    case JSON_BOOL:
        return raw.data[0] == 't';
    case JSON_NUMBER:
        (void)marline__json_read_double(&r, &number);
        return number != 0;
    case JSON_STRING:
        return raw.size > 2;
    case JSON_ARRAY:
        return marline__json_enter_array(&r) && marline__json_next_element(&r);
    case JSON_OBJECT:
        return marline__json_enter_object(&r) && marline__json_next_member(&r, &key);
    default:
        return false;
    }
}

/* The type a member must have, JSON_ERROR when any will do. */
static enum json_type expected_type(enum field_kind kind)
{
    switch (kind) {
    case FIELD_STRING:
    case FIELD_FALLBACK:
    case FIELD_HINT:
        return JSON_STRING;
    case FIELD_OBJECT:
    case FIELD_NESTED:
    case FIELD_NESTED_HINT:
        return JSON_OBJECT;
    case FIELD_ARRAY:
    case FIELD_ARRAY_HINT:
    case FIELD_CAPABILITIES:
        return JSON_ARRAY;
    case FIELD_DOUBLE:
    case FIELD_COUNT:
        return JSON_NUMBER;
    case FIELD_ANY:
    case FIELD_SUCCESS:
    case FIELD_TRUTH:
        break;
    }
    return JSON_ERROR;
}

static bool is_forgiving(enum field_kind kind)
{
    return kind == FIELD_HINT || kind == FIELD_ARRAY_HINT || kind == FIELD_CAPABILITIES ||
           kind == FIELD_COUNT || kind == FIELD_NESTED_HINT;
}

static const char *type_complaint(enum json_type expected)
{
    switch (expected) {
    case JSON_STRING:
        return "must be a string";
    case JSON_OBJECT:
        return "must be an object";
    case JSON_ARRAY:
        return "must be an array";
    default:
        return "must be a number";
    }
}

static void decode_object(struct decoder *d, struct slice raw, const struct field_table *table,
                          void *base);

/* `raw` has the right type. */
static void store_value(struct decoder *d, const struct field *field, enum json_type type,
                        struct slice raw, void *base)
{
    if (field->nested) {
        if (field->offset != NO_FLAG) {
            *(bool *)((char *)base + field->offset) = true;
        }
        decode_object(d, raw, field->nested, base);
        return;
    }
    void *slot = (char *)base + field->offset;
    switch (field->kind) {
    case FIELD_FALLBACK:
        if (((struct slice *)slot)->data) {
            return;
        }
        *(struct slice *)slot = decode_string(d, raw);
        return;
    case FIELD_STRING:
    case FIELD_HINT:
        *(struct slice *)slot = decode_string(d, raw);
        return;
    case FIELD_OBJECT:
    case FIELD_ARRAY:
    case FIELD_ARRAY_HINT:
    case FIELD_ANY:
        *(struct slice *)slot = raw;
        return;
    case FIELD_SUCCESS:
        *(bool *)slot = type != JSON_STRING || !marline__slice_is(decode_string(d, raw), "error");
        return;
    case FIELD_TRUTH:
        *(bool *)slot = decode_truth(type, raw);
        return;
    case FIELD_DOUBLE:
        *(double *)slot = decode_double(raw);
        return;
    case FIELD_COUNT:
        *(uint32_t *)slot = decode_count(raw);
        return;
    case FIELD_CAPABILITIES:
        *(uint32_t *)slot = decode_capabilities(raw);
        return;
    case FIELD_NESTED:
    case FIELD_NESTED_HINT:
        assert(false); /* these have a table, see above */
        return;
    }
}

static bool decode_member(struct decoder *d, const struct field *field, enum json_type type,
                          struct slice raw, void *base)
{
    enum json_type expected = expected_type(field->kind);
    if (type == JSON_NULL) {
        return false; /* as if it were not there */
    }
    if (expected != JSON_ERROR && type != expected) {
        if (!is_forgiving(field->kind)) {
            complain(d, field->name, type_complaint(expected));
        }
        return true;
    }
    store_value(d, field, type, raw, base);
    return true;
}

static const struct field *find_field(const struct field_table *table, struct slice key)
{
    for (size_t i = 0; i < table->count; i++) {
        if (marline__json_key_is(key, table->fields[i].name)) {
            return &table->fields[i];
        }
    }
    return NULL;
}

/* `raw` is a well-formed object. A repeated member: the last one wins. */
static void decode_object(struct decoder *d, struct slice raw, const struct field_table *table,
                          void *base)
{
    struct json_reader r;
    struct slice key;
    uint32_t seen = 0;
    assert(table->count <= 32);
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key)) {
        const struct field *field = find_field(table, key);
        enum json_type type = marline__json_peek(&r);
        struct slice value;
        if (marline__json_skip(&r, &value) && field && decode_member(d, field, type, value, base)) {
            seen |= 1u << (field - table->fields);
        }
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->fields[i].required && (seen & 1u << i) == 0) {
            complain(d, table->fields[i].name, "is missing");
        }
    }
}

/* Decoded strings of one text never need more room than the text, so that one reservation keeps
 * every slice into scratch valid. */
static bool reserve_scratch(struct buffer *scratch, struct slice text)
{
    return !memchr(text.data, '\\', text.size) || marline__buffer_reserve(scratch, text.size);
}

/* Checks the whole text and finds its `type`: the string with its quotes, or empty. */
static enum decode_status scan_message(struct slice text, struct slice *out_type)
{
    struct json_reader r;
    struct slice key;
    *out_type = SLICE_EMPTY;
    marline__json_reader_init(&r, text, JSON_ALLOW_NON_FINITE);
    if (marline__json_peek(&r) != JSON_OBJECT) {
        return marline__json_is_valid(text, JSON_ALLOW_NON_FINITE) ? DECODE_NOT_OBJECT
                                                                   : DECODE_INVALID_JSON;
    }
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key)) {
        bool is_type = marline__json_key_is(key, "type");
        bool is_string = marline__json_peek(&r) == JSON_STRING;
        struct slice value;
        if (marline__json_skip(&r, &value) && is_type) {
            *out_type = is_string ? value : SLICE_EMPTY;
        }
    }
    return marline__json_finish(&r) ? DECODE_OK : DECODE_INVALID_JSON;
}

static enum message_type find_type(struct slice name)
{
    for (size_t i = MESSAGE_UNKNOWN + 1; i < COUNT(message_types); i++) {
        if (marline__slice_is(name, message_types[i].name)) {
            return (enum message_type)i;
        }
    }
    return MESSAGE_UNKNOWN;
}

static void check_parameter_source(struct decoder *d, struct message_execute_test *m)
{
    static const char *const known[] = {"environment", "experiment_id", "version"};
    if (marline__slice_is(m->parameter_source, "label")) {
        m->parameter_source = SLICE("environment"); /* what older backends call it */
    }
    bool found = m->parameter_source.data == NULL;
    for (size_t i = 0; i < COUNT(known); i++) {
        found = found || marline__slice_is(m->parameter_source, known[i]);
    }
    if (!found) {
        complain(d, "parameter_source", "must be environment, experiment_id or version");
    }
}

/* What the tables cannot say. */
static void complete_message(struct decoder *d, struct connector_message *m)
{
    if (m->type == MESSAGE_EXECUTE_TEST) {
        check_parameter_source(d, &m->execute_test);
        if (m->execute_test.inputs.data) {
            decode_object(d, m->execute_test.inputs, &TABLE(reserved_fields), &m->execute_test);
        }
    } else if (m->type == MESSAGE_REGISTER) {
        m->registration.has_sdk_version = m->registration.sdk_version.data != NULL;
        m->registration.has_functions = m->registration.functions.data != NULL;
    }
}

/* Without a status there was no error. */
static void assume_success(struct connector_message *m)
{
    if (m->type == MESSAGE_REGISTERED) {
        m->registered.success = true;
    } else if (m->type == MESSAGE_TEST_RESULT) {
        m->test_result.success = true;
    } else if (m->type == MESSAGE_METRIC_RESULT) {
        m->metric_result.success = true;
    }
}

enum decode_status marline__message_decode(struct slice text, struct buffer *scratch,
                                           struct connector_message *out,
                                           char out_reason[DECODE_REASON_SIZE])
{
    struct decoder d = {.scratch = scratch, .valid = true, .reason = out_reason};
    struct slice raw_type;
    *out = (struct connector_message){.type = MESSAGE_UNKNOWN};
    if (out_reason) {
        out_reason[0] = '\0';
    }
    enum decode_status status = scan_message(text, &raw_type);
    if (status != DECODE_OK) {
        return status;
    }
    if (!reserve_scratch(scratch, text)) {
        return DECODE_NO_MEMORY;
    }
    if (raw_type.data) {
        out->type_name = decode_string(&d, raw_type);
        out->type = find_type(out->type_name);
    }
    if (out->type != MESSAGE_UNKNOWN) {
        assume_success(out);
        decode_object(&d, text, &message_types[out->type].table, &out->connected);
        complete_message(&d, out);
    }
    if (scratch->failed) {
        return DECODE_NO_MEMORY;
    }
    return d.valid ? DECODE_OK : DECODE_INVALID;
}

static bool is_between_entries(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next element of a well-formed raw array; *position is 0 or where the last one ended. */
static bool next_entry(struct slice array, size_t *position, struct slice *out_entry)
{
    struct json_reader r;
    *position += *position == 0 && array.size > 0; /* the bracket */
    while (*position < array.size && is_between_entries(array.data[*position])) {
        ++*position;
    }
    struct slice rest = {array.data + *position, array.size - *position};
    if (rest.size == 0 || rest.data[0] == ']') {
        return false;
    }
    marline__json_reader_init(&r, rest, JSON_ALLOW_NON_FINITE);
    if (!marline__json_skip(&r, out_entry)) {
        return false;
    }
    *position += r.at;
    return true;
}

bool marline__message_next_function(struct slice functions, size_t *position,
                                    struct message_function *out, struct buffer *scratch,
                                    char out_reason[DECODE_REASON_SIZE])
{
    struct decoder d = {.scratch = scratch, .valid = true, .reason = out_reason};
    struct slice entry;
    out_reason[0] = '\0';
    *out = (struct message_function){.name = SLICE_EMPTY};
    if (*position == 0 && functions.size > 0 && !reserve_scratch(scratch, functions)) {
        complain(&d, "functions", "need more memory than there is");
        return false;
    }
    if (!next_entry(functions, position, &entry)) {
        return false;
    }
    if (entry.data[0] != '{') {
        complain(&d, "function", "must be an object");
        return false;
    }
    decode_object(&d, entry, &TABLE(function_fields), out);
    if (scratch->failed) {
        complain(&d, "functions", "need more memory than there is");
    }
    return d.valid;
}
