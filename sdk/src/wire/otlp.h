/* OTLP traces over HTTP: requests and answers, in protobuf and in JSON, both directions; otel.md
 * §3, §4. Pure: no socket, thread or clock. */
#ifndef MARLINE_WIRE_OTLP_H
#define MARLINE_WIRE_OTLP_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "wire/platform_trace.h"
#include <marline/span_data.h>

/* The two bodies of one message: application/x-protobuf and application/json. */
enum otlp_format { OTLP_PROTOBUF, OTLP_JSON };

/* The value of Content-Type. */
const char *marline__otlp_content_type(enum otlp_format format);
/* Reads a Content-Type, parameters and letter case aside (SRV-14); false for any other. */
bool marline__otlp_format_of(struct slice content_type, enum otlp_format *out);

enum {
    OTLP_NESTING_MAX = 100, /* JS-13: levels of arrays and maps in one attribute */
    OTLP_REASON_SIZE = 160,
};

/* ---- requests ---- */

/* Appends an ExportTraceServiceRequest. Spans are grouped by their resource and scope, told apart
 * by address (PB-05), in the order of first appearance. A count of 0 is a caller's bug (CLI-04).
 * Out of memory shows in out->failed. */
void marline__otlp_encode(enum otlp_format format, const marline_span_data *spans, size_t count,
                          struct buffer *out);

struct otlp_request {
    marline_span_data *spans; /* borrow from the body and from the arena */
    size_t count;
    size_t rejected; /* spans left out for ids that cannot be (§3.2) */
    /* English, not empty when rejected > 0 (SRV-03); on OTLP_DECODE_INVALID what is wrong */
    char reason[OTLP_REASON_SIZE];
    struct arena arena;    /* owned */
    struct buffer storage; /* owned: the spans themselves */
};

enum otlp_decode {
    OTLP_DECODE_OK,
    OTLP_DECODE_INVALID, /* answer 400 */
    OTLP_DECODE_NO_MEMORY,
};

/* Reads a request; an empty one has no spans (SRV-02). Kind 0 and unknown numbers of enums read as
 * INTERNAL and UNSET. A link whose ids cannot be is left out and counted in dropped_links. `body`
 * must outlive the request. Free with request_deinit in every case. */
enum otlp_decode marline__otlp_decode(enum otlp_format format, struct slice body,
                                      struct otlp_request *out);
/* The same for protobuf alone: who calls only this does not link the reader of JSON. */
enum otlp_decode marline__otlp_decode_protobuf(struct slice body, struct otlp_request *out);
void marline__otlp_request_deinit(struct otlp_request *request);

/* Turns spans into the flat form of the platform's channel, so that both are stored by one path:
 * attributes, events, links and resource become JSON (bytes as base64; of a repeated key the last
 * wins). What that form has no place for becomes attributes, as OpenTelemetry has it for protocols
 * other than its own: otel.scope.name, otel.scope.version, otel.dropped_*_count, w3c.tracestate.
 * The environment is the resource's deployment.environment.name, or deployment.environment. The
 * name is free. False when out of memory. Free with platform_request_deinit in every case; the
 * result borrows from `spans` too. */
bool marline__otlp_flatten(const marline_span_data *spans, size_t count,
                           struct platform_request *out);

/* ---- answers ---- */

/* Appends an ExportTraceServiceResponse: complete success (no bytes, or {}) when rejected is 0 and
 * message is empty; else the partial success (SRV-01 to SRV-04). */
void marline__otlp_encode_response(enum otlp_format format, size_t rejected, struct slice message,
                                   struct buffer *out);
/* Appends a google.rpc.Status; with a description also a BadRequest that holds it (SRV-05). */
void marline__otlp_encode_status(enum otlp_format format, int code, struct slice message,
                                 struct slice description, struct buffer *out);

struct otlp_answer {
    uint64_t rejected;    /* of a response */
    struct slice message; /* of a response or a status; borrows from the body or the scratch */
};

/* False when undecodable, which changes nothing (CLI-15), or out of memory. */
bool marline__otlp_decode_response(enum otlp_format format, struct slice body,
                                   struct buffer *scratch, struct otlp_answer *out);
bool marline__otlp_decode_status(enum otlp_format format, struct slice body, struct buffer *scratch,
                                 struct otlp_answer *out);

#endif
