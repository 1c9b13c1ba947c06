/* The platform's own span JSON (`POST /telemetry/traces`), both directions: spec wire-protocol §4,
 * §5. Pure: no socket, thread or clock. */
#ifndef MARLINE_WIRE_PLATFORM_TRACE_H
#define MARLINE_WIRE_PLATFORM_TRACE_H

#include "base/buffer.h"
#include "base/slice.h"
#include <marline/span_data.h>

enum {
    PLATFORM_SPANS_PER_POST = 100, /* §4.8: the SDK's chunk; receivers take any number */
    /* The platform's database has these limits, in characters, and answers 500 (§5.1); here it is
     * 422 string_too_long. */
    PLATFORM_NAME_MAX = 255,
    PLATFORM_ENVIRONMENT_MAX = 50,
    PLATFORM_CONVERSATION_ID_MAX = 255,
    PLATFORM_ERRORS_MAX = 1000, /* entries of a 422 body: a huge bad request has a bounded answer */
};

/* What the platform wants on every span beside OpenTelemetry's own fields. */
struct platform_identity {
    struct slice project_id;      /* null when unknown */
    struct slice environment;     /* "development" when empty */
    struct slice conversation_id; /* of spans that have no `rhesis.conversation.id` (§4.4) */
};

/* True for names the platform accepts (§5.1): `function.<any>`, or ai.<domain>[.<action>] of
 * lower-case letters whose domain is not chain, workflow or pipeline. Up to 255 characters. */
bool marline__platform_span_name_is_valid(struct slice name);

enum platform_name { PLATFORM_NAME_GOOD, PLATFORM_NAME_MALFORMED, PLATFORM_NAME_FORBIDDEN };
/* The grammar alone. out_domain is set with FORBIDDEN. */
enum platform_name marline__platform_check_name(struct slice name, struct slice *out_domain);

/* Appends one span as a JSON object. The span's `rhesis.conversation.id` attribute also becomes its
 * conversation_id. Bytes are written as base64, NaN, infinities and empty values as null. The
 * synthetic parent 00000000cafecafe is written as null (§4.4). */
void marline__platform_encode_span(const marline_span_data *span,
                                   const struct platform_identity *identity, struct buffer *out);

/* Sorts spans for posting: parentless ones first, otherwise in the order given (§4.8). `order`
 * receives count indices. Returns the size of the first chunk: PLATFORM_SPANS_PER_POST, or all
 * roots when there are more of them; later chunks have PLATFORM_SPANS_PER_POST. */
size_t marline__platform_plan_chunks(const marline_span_data *spans, size_t count, uint32_t *order);

/* ---- receiving ---- */

/* One span of a request, validated. Times are cut to microseconds; one without zone is UTC. Slices
 * borrow from the request's text or its scratch buffer; attributes, events, links and resource are
 * raw JSON, null written as their empty form. */
struct platform_span {
    char trace_id[33]; /* lower-case hex and a NUL */
    char span_id[17];
    char parent_span_id[17]; /* "" = root */
    struct slice project_id;
    struct slice environment;
    struct slice conversation_id;
    struct slice name;
    marline_span_kind kind;
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    marline_span_status status;
    struct slice status_message;
    struct slice attributes; /* raw object */
    struct slice events;     /* raw array */
    struct slice links;      /* raw array */
    struct slice resource;   /* raw object */
    /* taken out of the attributes, empty when absent or no string (§4.3) */
    struct slice test_run_id;
    struct slice test_id;
    struct slice test_configuration_id;
    struct slice test_result_id;
    uint32_t attempt; /* `rhesis.test.attempt` [ext], 0 = absent */
};

struct platform_request {
    struct platform_span *spans; /* owned */
    size_t count;
    struct buffer scratch; /* owned: decoded strings */
};

enum platform_decode {
    PLATFORM_DECODE_OK,
    PLATFORM_DECODE_REJECTED, /* answer 422 with out_error_body */
    PLATFORM_DECODE_NO_MEMORY,
};

/* Decodes and validates a whole request. On rejection `out_error_body` receives the JSON body of
 * the 422 answer exactly as §5.3 has it. Free with platform_request_deinit in every case. */
enum platform_decode marline__platform_decode(struct slice body, struct platform_request *out,
                                              struct buffer *out_error_body);
void marline__platform_request_deinit(struct platform_request *request);

#endif
