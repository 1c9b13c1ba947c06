/* Turns what a metric answered into its score. */
#include "agent/score.h"

#include <stdlib.h>

#include "agent/output.h"
#include "programs/must.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"

static enum json_type type_of(struct slice json)
{
    struct json_reader r;
    marline__json_reader_init(&r, json, JSON_STRICT);
    return marline__json_peek(&r);
}

static marline_status set_text(marline_call *call, struct slice text)
{
    char *copy = must_slice(text);
    marline_status status = marline_score_text(call, copy);
    marline__memory_free(copy);
    return status;
}

static marline_status set_json_text(marline_call *call, struct slice quoted)
{
    struct buffer text = BUFFER_INIT;
    marline__json_unescape((struct slice){quoted.data + 1, quoted.size - 2}, &text);
    must_buffer(&text);
    marline_status status = set_text(call, marline__buffer_slice(&text));
    marline__buffer_deinit(&text);
    return status;
}

static marline_status set_scalar(marline_call *call, struct slice json)
{
    char *number = NULL;
    marline_status status;
    switch (type_of(json)) {
    case JSON_NUMBER:
        number = must_slice(json);
        status = marline_score_number(call, strtod(number, NULL));
        marline__memory_free(number);
        return status;
    case JSON_BOOL:
        return marline_score_bool(call, marline__slice_is(json, "true"));
    case JSON_STRING:
        return set_json_text(call, json);
    default:
        return marline_fail(call, "the score must be a number, a text or a boolean, and is %.*s",
                            json.size > 100 ? 100 : (int)json.size, json.data);
    }
}

static marline_status set_details(marline_call *call, struct slice object)
{
    struct slice details;
    if (!marline__json_pointer_find(object, "/details", &details) ||
        type_of(details) != JSON_OBJECT) {
        return MARLINE_OK;
    }
    char *copy = must_slice(details);
    marline_status status = marline_score_details_json(call, copy);
    marline__memory_free(copy);
    return status;
}

marline_status score_set(marline_call *call, struct slice text)
{
    struct slice score;
    text = output_trim(text);
    if (!marline__json_is_valid(text, JSON_STRICT)) {
        return set_text(call, text);
    }
    if (type_of(text) != JSON_OBJECT) {
        return set_scalar(call, text);
    }
    if (!marline__json_pointer_find(text, "/score", &score)) {
        return marline_fail(call, "the metric answered with an object without a score; expected "
                                  "{\"score\": 0.5, \"details\": {}}");
    }
    marline_status status = set_scalar(call, output_trim(score));
    return status == MARLINE_OK ? set_details(call, text) : status;
}
