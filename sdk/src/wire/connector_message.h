/* The JSON messages of the testing channel, one structure per type, for both peers: spec
 * wire-protocol §2 and §3. Pure: text in, structure out, and back. No thread, no clock.
 *
 * Ownership: a decoded message borrows from the text it was decoded from and from the `scratch`
 * buffer that receives the strings that had escapes; both must outlive it. Fields that hold
 * arbitrary JSON (inputs, output, parameters, metadata) are raw slices of the text: they go on
 * exactly as they came. An absent or null string is the slice {NULL, 0}; an empty string has a
 * non-NULL data.
 *
 * Extensions (design.md, "Protocol extensions") are marked [ext]: written only when set, so a
 * message without them is the plain protocol. */
#ifndef MARLINE_WIRE_CONNECTOR_MESSAGE_H
#define MARLINE_WIRE_CONNECTOR_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"

enum message_type {
    MESSAGE_UNKNOWN, /* a JSON object whose type is missing or not known here: to be ignored */
    MESSAGE_CONNECTED,
    MESSAGE_REGISTER,
    MESSAGE_REGISTERED,
    MESSAGE_EXECUTE_TEST,
    MESSAGE_TEST_RESULT,
    MESSAGE_EXECUTE_METRIC,
    MESSAGE_METRIC_RESULT,
    MESSAGE_PING,
    MESSAGE_PONG,
    MESSAGE_ERROR,
    MESSAGE_RESULT_ACK, /* [ext] backend: result stored, may be forgotten */
    MESSAGE_CANCEL,     /* [ext] backend: stop the work of one invocation */
    MESSAGE_DRAIN,      /* [ext] agent: accepts nothing new from now on */
};

/* Bits of `capabilities` in connected and register: an array of these names, in this order. */
enum capability {
    CAPABILITY_RESULT_ACK = 1 << 0,
    CAPABILITY_CANCEL = 1 << 1,
    CAPABILITY_DRAIN = 1 << 2,
    CAPABILITY_TRACE_CONTEXT = 1 << 3,
    CAPABILITY_DEADLINE = 1 << 4,
    CAPABILITY_ATTEMPT = 1 << 5,
    CAPABILITY_SPAN_COUNT = 1 << 6,
    CAPABILITY_IN_FLIGHT = 1 << 7,
    CAPABILITY_LIMITS = 1 << 8,
};

struct message_connected {
    struct slice connection_id;
    struct slice organization_id;
    struct slice user_id;
    uint32_t capabilities; /* [ext] */
    /* [ext] limits; 0 = not told */
    uint32_t rate_per_second;
    uint32_t message_size_max; /* bytes */
    uint32_t idle_timeout_ms;
};

struct message_register {
    struct slice project_id;  /* null = metrics only */
    struct slice environment; /* null together with project_id */
    struct slice sdk_version;
    bool has_sdk_version;
    bool has_functions;
    struct slice functions; /* raw JSON array */
    struct slice metrics;   /* raw JSON array, or absent */
    uint32_t capabilities;  /* [ext] */
    struct slice agent_id;  /* [ext] stable identity of the agent over reconnects */
    uint32_t concurrency;   /* [ext] 0 = not told */
    struct slice in_flight; /* [ext] raw JSON array of invocation ids still being worked on */
};

/* One entry of `functions`. */
struct message_function {
    struct slice name;
    struct slice parameters; /* raw object */
    struct slice return_type;
    struct slice metadata; /* raw object */
};

struct message_registered {
    bool success;
    struct slice error;      /* text of `error`, else of `message` */
    struct slice errors;     /* raw array, or absent */
    struct slice sync_stats; /* raw object, or absent */
    struct slice connection_id;
};

/* `_rhesis_test_context` of the inputs: wire-protocol §3. Members as sent, not validated. */
struct message_test_context {
    bool present;
    struct slice test_run_id;
    struct slice test_id;
    struct slice test_configuration_id;
    struct slice test_result_id;
    uint32_t attempt; /* [ext] 0 = not told */
};

struct message_conversation_context {
    bool present;
    struct slice conversation_id;
    struct slice trace_id;
    struct slice mapped_input;
};

/* [ext] `headers` of execute_test. */
struct message_headers {
    struct slice traceparent;
    struct slice tracestate;
    struct slice baggage;
    struct slice event_type;
    struct slice correlation_id;
    struct slice service;
    struct slice trace_mode; /* "continue" or "link": what the trigger asks for; else absent */
};

struct message_execute_test {
    struct slice
        invocation_id; /* on the wire `test_run_id`: a correlation id, not the run's UUID */
    struct slice function_name;
    struct slice inputs;     /* raw object, reserved keys included */
    struct slice parameters; /* raw object or absent */
    struct slice parameter_version;
    struct slice parameter_experiment_id;
    struct slice parameter_source;
    struct slice parameter_source_environment;
    struct slice parameter_schema; /* raw object or absent */
    /* from the reserved keys of inputs */
    bool disable_tracing;
    struct message_test_context test;
    struct message_conversation_context conversation;
    struct message_headers headers; /* [ext] */
    uint32_t deadline_ms;           /* [ext] time left for the work, 0 = none told */
};

struct message_test_result {
    struct slice invocation_id; /* `test_run_id` */
    bool success;
    struct slice output; /* raw JSON; absent = null */
    struct slice error;
    double duration_ms;
    struct slice trace_id;
    uint32_t span_count; /* [ext] spans started by the invocation, 0 = not told */
};

struct message_execute_metric {
    struct slice metric_run_id;
    struct slice metric_name;
    struct slice inputs; /* raw object */
};

struct message_metric_result {
    struct slice metric_run_id;
    bool success;
    struct slice score;   /* raw JSON */
    struct slice details; /* raw object */
    struct slice error;
    double duration_ms;
};

struct message_error {
    struct slice detail;
};

struct message_result_ack {
    struct slice invocation_id; /* `test_run_id` */
    struct slice reason;        /* given when the result was not taken; else absent */
};

struct message_cancel {
    struct slice invocation_id; /* `test_run_id` */
    struct slice reason;
};

struct connector_message {
    enum message_type type;
    struct slice type_name; /* as sent, for diagnostics */
    union {
        struct message_connected connected;
        struct message_register registration;
        struct message_registered registered;
        struct message_execute_test execute_test;
        struct message_test_result test_result;
        struct message_execute_metric execute_metric;
        struct message_metric_result metric_result;
        struct message_error error;
        struct message_result_ack result_ack;
        struct message_cancel cancel;
    };
};

/* As on the wire; NULL for MESSAGE_UNKNOWN. */
const char *marline__message_type_name(enum message_type type);
/* Of 1 << bit; NULL beyond the last. */
const char *marline__capability_name(size_t bit);

enum decode_status {
    DECODE_OK,
    DECODE_INVALID_JSON, /* not one JSON text */
    DECODE_NOT_OBJECT,
    DECODE_INVALID, /* a known type with a missing or ill-typed required member */
    DECODE_NO_MEMORY,
};

/* Members of the plain protocol must have their type (null counts as absent); an extension of the
 * wrong type counts as absent. `status` is an error only when it says "error" (§2.7). NaN and
 * infinities may stand in the raw members, as Python writes them (§2).
 *
 * On DECODE_INVALID `type` is set, whatever could be read of the message is filled in (so that a
 * peer can answer for the invocation id), and `out_reason` (may be NULL; fixed size) says what is
 * wrong. */
enum { DECODE_REASON_SIZE = 160 };
enum decode_status marline__message_decode(struct slice text, struct buffer *scratch,
                                           struct connector_message *out,
                                           char out_reason[DECODE_REASON_SIZE]);
/* Appends one JSON object. MESSAGE_UNKNOWN is a caller's bug. `inputs` of execute_test is written
 * as given: use marline__message_inputs to add the reserved keys. */
void marline__message_encode(const struct connector_message *message, struct buffer *out);

/* Appends `inputs` with its reserved keys (the three of §3) left out: what a handler may see. */
bool marline__message_strip_inputs(struct slice inputs, struct buffer *out);
/* Appends user inputs (keys that start with _rhesis_ removed, §2.6) plus the contexts that are
 * present. */
bool marline__message_inputs(struct slice user_inputs, const struct message_test_context *test,
                             const struct message_conversation_context *conversation,
                             struct buffer *out);

/* Walks the raw `functions` array: *position starts at 0; false at its end or on a malformed entry
 * (then out_reason is not empty, and the next call goes on behind it). `scratch` is for this walk
 * alone, not the one that the message borrows from. */
bool marline__message_next_function(struct slice functions, size_t *position,
                                    struct message_function *out, struct buffer *scratch,
                                    char out_reason[DECODE_REASON_SIZE]);
void marline__message_encode_function(const struct message_function *function, struct buffer *out);

#endif
