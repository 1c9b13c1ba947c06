/* Typed access to inputs, and the outcome of a handler; see call.h and marline/endpoint.h. */
#include "connector/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

struct kept_text {
    struct list node;
    char *text;
};

static const char *const type_names[] = {"invalid",  "null",     "a boolean", "a number",
                                         "a string", "an array", "an object"};

void marline__call_init(struct marline_call *call)
{
    memset(call, 0, sizeof *call);
    marline__list_init(&call->texts);
}

void marline__call_deinit(struct marline_call *call)
{
    struct list *node;
    while ((node = marline__list_pop_front(&call->texts)) != NULL) {
        struct kept_text *kept = LIST_ENTRY(node, struct kept_text, node);
        marline__memory_free(kept->text);
        marline__memory_free(kept);
    }
    marline__buffer_deinit(&call->inputs);
    marline__memory_free(call->output);
    marline__memory_free(call->score);
    marline__memory_free(call->details);
    marline__memory_free(call->error);
}

/* ---- failing ---- */

__attribute__((format(printf, 3, 0))) static void fail_list(marline_call *call, const char *type,
                                                            const char *format, va_list arguments)
{
    if (call->failed) {
        return;
    }
    struct buffer text = BUFFER_INIT;
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    if (size >= 0 && marline__buffer_reserve(&text, (size_t)size)) {
        (void)vsnprintf(text.data, (size_t)size + 1, format, again);
        text.size = (size_t)size;
    }
    va_end(again);
    call->failed = true;
    call->error_type = type;
    call->error = marline__buffer_take(&text);
}

void marline__call_fail(marline_call *call, const char *type, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_list(call, type, format, arguments);
    va_end(arguments);
}

marline_status marline_fail(marline_call *call, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_list(call, "handler_error", format, arguments);
    va_end(arguments);
    return MARLINE_EIO;
}

/* ---- inputs ---- */

/* Takes the text; returns it for the life of the call, or "" when out of memory. */
static const char *keep(marline_call *call, char *text)
{
    struct kept_text *kept = text ? marline__memory_zeroed(sizeof *kept) : NULL;
    if (!kept) {
        marline__memory_free(text);
        marline__call_fail(call, "out_of_memory", "out of memory");
        return "";
    }
    kept->text = text;
    marline__list_push_back(&call->texts, &kept->node);
    return text;
}

/* The exact JSON of a member, the last one where a key is repeated; JSON_ERROR when absent. */
static enum json_type find_input(const marline_call *call, const char *name, struct slice *out_raw)
{
    struct json_reader r;
    struct slice key;
    enum json_type found = JSON_ERROR;
    marline__json_reader_init(&r, marline__buffer_slice(&call->inputs), JSON_ALLOW_NON_FINITE);
    if (!name || !marline__json_enter_object(&r)) {
        return JSON_ERROR;
    }
    while (marline__json_next_member(&r, &key)) {
        bool is_it = marline__json_key_is(key, name);
        enum json_type type = marline__json_peek(&r);
        if (!marline__json_skip(&r, is_it ? out_raw : NULL)) {
            return JSON_ERROR;
        }
        found = is_it ? type : found;
    }
    return found;
}

static void fail_type(marline_call *call, const char *name, const char *wanted,
                      enum json_type found)
{
    marline__call_fail(call, "invalid_input", "input '%s' must be %s, but is %s", name, wanted,
                       type_names[found]);
}

static struct json_reader reader_of(struct slice raw)
{
    struct json_reader r;
    marline__json_reader_init(&r, raw, JSON_ALLOW_NON_FINITE);
    return r;
}

const char *marline_input_text(marline_call *call, const char *name, const char *default_text)
{
    struct slice raw;
    enum json_type type = find_input(call, name, &raw);
    if (type == JSON_ERROR || type == JSON_NULL) {
        if (!default_text) {
            marline__call_fail(call, "invalid_input", "input '%s' is missing", name ? name : "");
        }
        return default_text ? default_text : "";
    }
    if (type == JSON_NUMBER || type == JSON_BOOL) {
        return keep(call, marline__memory_slice(raw));
    }
    if (type != JSON_STRING) {
        fail_type(call, name, "a string", type);
        return default_text ? default_text : "";
    }
    struct buffer text = BUFFER_INIT;
    struct json_reader r = reader_of(raw);
    (void)marline__json_read_string(&r, &text);
    if (text.size > 0 && memchr(text.data, '\0', text.size)) {
        marline__call_fail(call, "invalid_input", "input '%s' holds a NUL character", name);
    }
    return keep(call, marline__buffer_take(&text));
}

int64_t marline_input_int(marline_call *call, const char *name, int64_t default_value)
{
    struct slice raw;
    int64_t value;
    enum json_type type = find_input(call, name, &raw);
    if (type == JSON_ERROR || type == JSON_NULL) {
        return default_value;
    }
    struct json_reader r = reader_of(raw);
    if (type == JSON_NUMBER && marline__json_read_int64(&r, &value)) {
        return value;
    }
    if (type == JSON_NUMBER) {
        marline__call_fail(call, "invalid_input",
                           "input '%s' must be a whole number of 64 bits, but is %.*s", name,
                           SLICE_ARG(raw));
    } else {
        fail_type(call, name, "a whole number", type);
    }
    return default_value;
}

double marline_input_double(marline_call *call, const char *name, double default_value)
{
    struct slice raw;
    double value;
    enum json_type type = find_input(call, name, &raw);
    if (type == JSON_ERROR || type == JSON_NULL) {
        return default_value;
    }
    struct json_reader r = reader_of(raw);
    if (type == JSON_NUMBER && marline__json_read_double(&r, &value)) {
        return value;
    }
    fail_type(call, name, "a number that a double can hold", type);
    return default_value;
}

bool marline_input_bool(marline_call *call, const char *name, bool default_value)
{
    struct slice raw;
    enum json_type type = find_input(call, name, &raw);
    if (type == JSON_ERROR || type == JSON_NULL) {
        return default_value;
    }
    if (type == JSON_BOOL) {
        return marline__slice_is(raw, "true");
    }
    fail_type(call, name, "a boolean", type);
    return default_value;
}

const char *marline_input_json(marline_call *call, const char *name)
{
    struct slice raw;
    if (find_input(call, name, &raw) == JSON_ERROR) {
        return NULL;
    }
    return keep(call, marline__memory_slice(raw));
}

const char *marline_inputs_json(marline_call *call)
{
    return call->inputs.data ? call->inputs.data : "{}";
}

bool marline_input_exists(marline_call *call, const char *name)
{
    struct slice raw;
    return find_input(call, name, &raw) != JSON_ERROR;
}

const char *marline_call_parameters_json(marline_call *call)
{
    return call->parameters.size ? keep(call, marline__memory_slice(call->parameters)) : "{}";
}

/* ---- output ---- */

/* Replaces a text of the call by the JSON in the buffer. */
static marline_status set_json(marline_call *call, char **slot, struct buffer *json)
{
    char *text = marline__buffer_take(json);
    if (!text) {
        marline__call_fail(call, "out_of_memory", "out of memory");
        return MARLINE_ENOMEM;
    }
    marline__memory_free(*slot);
    *slot = text;
    return MARLINE_OK;
}

static marline_status set_text_output(marline_call *call, struct slice text)
{
    struct buffer json = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &json);
    marline__json_begin_object(&w);
    marline__json_member_string(&w, "output", text);
    marline__json_end_object(&w);
    return set_json(call, &call->output, &json);
}

marline_status marline_output_text(marline_call *call, const char *text)
{
    return set_text_output(call, marline__slice_text(text ? text : ""));
}

marline_status marline_output_format(marline_call *call, const char *format, ...)
{
    struct buffer text = BUFFER_INIT;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (size >= 0 && marline__buffer_reserve(&text, (size_t)size)) {
        va_start(arguments, format);
        (void)vsnprintf(text.data, (size_t)size + 1, format, arguments);
        va_end(arguments);
        text.size = (size_t)size;
    }
    marline_status status = MARLINE_ENOMEM;
    if (text.failed || size < 0) {
        marline__call_fail(call, "out_of_memory", "out of memory");
    } else {
        status = set_text_output(call, marline__buffer_slice(&text));
    }
    marline__buffer_deinit(&text);
    return status;
}

marline_status marline_output_json(marline_call *call, const char *json)
{
    struct buffer copy = BUFFER_INIT;
    if (!json || !marline__json_is_valid(marline__slice_text(json), JSON_STRICT)) {
        marline__call_fail(call, "invalid_output", "the handler's output is not valid JSON");
        return MARLINE_EINVAL;
    }
    marline__buffer_append_text(&copy, json);
    return set_json(call, &call->output, &copy);
}

/* ---- scores ---- */

marline_status marline_score_number(marline_call *call, double score)
{
    struct buffer json = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &json);
    marline__json_double(&w, score);
    return set_json(call, &call->score, &json);
}

marline_status marline_score_text(marline_call *call, const char *score)
{
    struct buffer json = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &json);
    marline__json_text(&w, score);
    return set_json(call, &call->score, &json);
}

marline_status marline_score_bool(marline_call *call, bool score)
{
    struct buffer json = BUFFER_INIT;
    marline__buffer_append_text(&json, score ? "true" : "false");
    return set_json(call, &call->score, &json);
}

marline_status marline_score_details_json(marline_call *call, const char *json)
{
    struct buffer copy = BUFFER_INIT;
    struct json_reader r = reader_of(marline__slice_text(json));
    if (!json || marline__json_peek(&r) != JSON_OBJECT ||
        !marline__json_is_valid(marline__slice_text(json), JSON_STRICT)) {
        marline__call_fail(call, "invalid_output", "the metric's details are not a JSON object");
        return MARLINE_EINVAL;
    }
    marline__buffer_append_text(&copy, json);
    return set_json(call, &call->details, &copy);
}

/* ---- about the call ---- */

const char *marline_call_invocation_id(const marline_call *call)
{
    return call->invocation_id;
}

bool marline_call_is_canceled(const marline_call *call)
{
    return atomic_load(call->canceled);
}

marline_context *marline_call_context(const marline_call *call)
{
    return call->context;
}

const marline_test_context *marline_call_test(const marline_call *call)
{
    return call->test;
}

/* ---- running ---- */

static bool has_required(marline_call *call, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->required_count; i++) {
        if (!marline_input_exists(call, endpoint->required[i])) {
            marline__call_fail(call, "invalid_input", "required input '%s' is missing",
                               endpoint->required[i]);
            return false;
        }
    }
    return true;
}

void marline__call_run(marline_call *call, const struct endpoint *endpoint)
{
    if (call->failed || !has_required(call, endpoint)) {
        return;
    }
    marline_status status = endpoint->handler(call, endpoint->user);
    if (status != MARLINE_OK) {
        marline__call_fail(call, "handler_error", "the handler failed: %s",
                           marline_status_text(status));
    }
}
