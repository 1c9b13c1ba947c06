/* Endpoints: functions that a test platform may invoke. A handler gets its inputs typed, returns an
 * output or an error, and everything it traces belongs to the test that called it.
 *
 *     #include <marline/marline.h>
 *
 *     MARLINE_ENDPOINT(greet, .description = "Greets by name")
 *     {
 *         const char *name = marline_input_text(call, "name", "world");
 *         return marline_output_format(call, "Hello, %s!", name);
 *     }
 *
 * Handlers run on worker threads, several at once, each call on one thread. */
#ifndef MARLINE_ENDPOINT_H
#define MARLINE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <marline/context.h>
#include <marline/status.h>

MARLINE_BEGIN_DECLS

/* One invocation. Valid from the call of the handler to its return, on the handler's thread; what
 * the input functions return lives as long. */
typedef struct marline_call marline_call;

/* MARLINE_OK: success, with the output set (none set = null). Any other status, or an error set
 * with marline_fail: an error result. The invocation's span ends either way. */
typedef marline_status (*marline_handler_fn)(marline_call *call, void *user);

/* A parameter of an endpoint, as the platform shows it. */
typedef struct marline_parameter {
    const char *name;
    const char *type; /* as shown to the platform: "str", "int", "float", "bool", "dict", "list" */
    const char *default_text; /* NULL = required */
} marline_parameter;

/* Where the spans of an invocation go, when whoever triggered it sent a trace context along. */
typedef enum marline_trace_mode {
    /* What the trigger asks for, else LINK for a test, CONTINUE for anything else. */
    MARLINE_TRACE_MODE_DEFAULT,
    /* The invocation is a child of the trigger's span: one trace from request to handler. */
    MARLINE_TRACE_MODE_CONTINUE,
    /* The invocation is the root of its own trace, with a link to the trigger's span. */
    MARLINE_TRACE_MODE_LINK,
} marline_trace_mode;

/* When the spans of an invocation leave. */
typedef enum marline_flush_mode {
    MARLINE_FLUSH_DEFAULT, /* of an endpoint: as the client says; of a client: BATCH */
    MARLINE_FLUSH_BATCH,   /* with the next batch: fewer requests, and the trace comes later */
    /* At once, and the result after them: it goes when they were posted, or after a bounded wait.
     * So a backend that links when a result arrives finds the whole trace. */
    MARLINE_FLUSH_PROMPT,
} marline_flush_mode;

/* A function that may be invoked. Initialise with designators, the rest with zeros. */
typedef struct marline_endpoint {
    size_t size;                         /* sizeof(marline_endpoint) */
    const char *name;                    /* required: unique key, at most 200 bytes, UTF-8 */
    marline_handler_fn handler;          /* required */
    void *user;                          /* handed to the handler */
    const char *description;             /* optional */
    const marline_parameter *parameters; /* optional */
    size_t parameter_count;
    const char *return_type;      /* optional: NULL = "dict" */
    const char *request_mapping;  /* optional JSON object; NULL = {"input": "{{ input }}"} */
    const char *response_mapping; /* optional JSON object; NULL = {"output": "$.output"} */
    uint32_t timeout_ms;          /* optional: 0 = none */
    uint32_t concurrency; /* optional: calls at once; 0 = as many as the client has workers */
    marline_trace_mode trace_mode; /* optional */
    marline_flush_mode flush;      /* optional */
} marline_endpoint;

/* ---- inputs ---- */

/* A missing or null input gives the default. An input of another type, or a missing one whose
 * default is NULL, makes the call fail with an error that names the parameter; the default (or "")
 * is returned, and the handler's own return value no longer matters.
 *
 * As a text, a number or a boolean is given as its JSON, for the platform turns a text that looks
 * like one into one on its way here (wire-protocol §2.6). */
MARLINE_API const char *marline_input_text(marline_call *call, const char *name,
                                           const char *default_text);
MARLINE_API int64_t marline_input_int(marline_call *call, const char *name, int64_t default_value);
MARLINE_API double marline_input_double(marline_call *call, const char *name, double default_value);
MARLINE_API bool marline_input_bool(marline_call *call, const char *name, bool default_value);
/* The exact JSON text of one input, NUL-terminated; NULL when absent. */
MARLINE_API const char *marline_input_json(marline_call *call, const char *name);
/* The exact JSON text of all inputs, reserved keys removed: an object. */
MARLINE_API const char *marline_inputs_json(marline_call *call);
/* False when the input is absent; one that is null exists. */
MARLINE_API bool marline_input_exists(marline_call *call, const char *name);
/* The exact JSON text of the resolved experiment parameters of the invocation: an object,
 * name to value or to {"type", "value"} (wire-protocol §2.6); "{}" without any. */
MARLINE_API const char *marline_call_parameters_json(marline_call *call);

/* ---- output: each returns MARLINE_OK, so that a handler can end with it ---- */

/* Sets {"output": text}, what the default response mapping reads. The last call wins. Copies. */
MARLINE_API marline_status marline_output_text(marline_call *call, const char *text);
MARLINE_API marline_status marline_output_format(marline_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Sets the output to a JSON text, which is checked: an invalid one fails the call, MARLINE_EINVAL.
 */
MARLINE_API marline_status marline_output_json(marline_call *call, const char *json);
/* Fails the call with a text of your own, which becomes the error of the result. Returns
 * MARLINE_EIO. */
MARLINE_API marline_status marline_fail(marline_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- metrics: functions that rate the output of a test ---- */

/* The handler finds `input` and `output` among its inputs, and the two others where it wants them,
 * and ends with a score. */
typedef struct marline_metric {
    size_t size;                /* sizeof(marline_metric) */
    const char *name;           /* required: as an endpoint's */
    marline_handler_fn handler; /* required */
    void *user;                 /* handed to the handler */
    const char *description;    /* optional */
    const char *score_type;     /* optional: NULL = "numeric"; "binary", "categorical" */
    bool wants_expected_output;
    bool wants_context;
} marline_metric;

/* Each returns MARLINE_OK; the last call wins; none made = null. */
MARLINE_API marline_status marline_score_number(marline_call *call, double score);
MARLINE_API marline_status marline_score_text(marline_call *call, const char *score);
MARLINE_API marline_status marline_score_bool(marline_call *call, bool score);
/* Anything that explains the score: a JSON object, which is checked. */
MARLINE_API marline_status marline_score_details_json(marline_call *call, const char *json);

/* ---- about the call ---- */

/* The id that the platform gave the invocation. */
MARLINE_API const char *marline_call_invocation_id(const marline_call *call);
/* True when the backend cancelled the call, its time is up, or the agent stops: long work should
 * look. */
MARLINE_API bool marline_call_is_canceled(const marline_call *call);
/* Borrowed: the context with the invocation's span and test. Already current on the handler's
 * thread; take a reference to carry it to others. */
MARLINE_API marline_context *marline_call_context(const marline_call *call);
/* NULL without a test context. Borrowed. */
MARLINE_API const marline_test_context *marline_call_test(const marline_call *call);

/* ---- declaring, next to the handler ---- */

/* Adds an endpoint to the process-wide list of declared ones, before main or while a plugin is
 * loaded. Borrows it for the life of the process. Used by MARLINE_ENDPOINT. */
MARLINE_API void marline_endpoint_declare(const marline_endpoint *endpoint);
/* How many are declared so far, and the index-th of them (NULL beyond the end). */
MARLINE_API size_t marline_endpoint_declared_count(void);
MARLINE_API const marline_endpoint *marline_endpoint_declared(size_t index);

/* The same for metrics. Used by MARLINE_METRIC. */
MARLINE_API void marline_metric_declare(const marline_metric *metric);
MARLINE_API size_t marline_metric_declared_count(void);
MARLINE_API const marline_metric *marline_metric_declared(size_t index);

/* Defines a metric's handler and declares it under its own name. The optional rest are members of
 * marline_metric in designated form. */
#define MARLINE_METRIC(function, ...)                                                              \
    static marline_status function(marline_call *call, void *user);                                \
    __attribute__((constructor)) static void marline_declare_##function(void)                      \
    {                                                                                              \
        static const marline_metric metric = {                                                     \
            .size = sizeof(marline_metric), .name = #function, .handler = function, __VA_ARGS__};  \
        marline_metric_declare(&metric);                                                           \
    }                                                                                              \
    static marline_status function(__attribute__((unused)) marline_call *call,                     \
                                   __attribute__((unused)) void *user)

/* Defines a handler and declares it under its own name. The optional rest are members of
 * marline_endpoint in designated form. */
#define MARLINE_ENDPOINT(function, ...)                                                            \
    static marline_status function(marline_call *call, void *user);                                \
    __attribute__((constructor)) static void marline_declare_##function(void)                      \
    {                                                                                              \
        static const marline_endpoint endpoint = {.size = sizeof(marline_endpoint),                \
                                                  .name = #function,                               \
                                                  .handler = function,                             \
                                                  __VA_ARGS__};                                    \
        marline_endpoint_declare(&endpoint);                                                       \
    }                                                                                              \
    static marline_status function(__attribute__((unused)) marline_call *call,                     \
                                   __attribute__((unused)) void *user)

MARLINE_END_DECLS
#endif
