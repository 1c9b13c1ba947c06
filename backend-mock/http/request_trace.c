/* See request_trace.h. Names and attributes are OpenTelemetry's. */
#include "http/request_trace.h"

#include <stdio.h>

#include <marline/propagation.h>

#include "http/http_request.h"
#include "http/server.h"

static marline_string borrow(struct slice s)
{
    return (marline_string){s.data ? s.data : "", s.size};
}

static size_t get_header(void *carrier, const char *name, marline_string *out, size_t max)
{
    struct slice value = http_request_header(carrier, name);
    if (!value.data || max == 0) {
        return 0;
    }
    out[0] = borrow(value);
    return 1;
}

static void describe(struct http_request *r, const char *route, marline_span *span)
{
    char address[HTTP_CLIENT_ADDRESS_SIZE];
    struct slice agent = http_request_header(r, "User-Agent");
    http_request_client_address(r, address);
    marline_span_set_text(span, "http.request.method", http_request_method(r));
    marline_span_set_text(span, "http.route", route);
    marline_span_set_text(span, "url.path", http_request_path(r));
    marline_span_set_text(span, "client.address", address);
    marline_span_set_int(span, "http.request.body.size", (int64_t)http_request_body(r).size);
    marline_span_set_text(span, "marline.request.id", http_request_id(r));
    if (agent.size) {
        marline_span_set_string(span, "user_agent.original", borrow(agent));
    }
}

void request_trace_enter(struct http_request *r, const char *route, marline_scope *scope)
{
    marline_tracer *tracer = http_request_server(r)->tracer;
    marline_span *span = http_request_span(r);
    char name[128];
    if (!tracer) {
        return;
    }
    if (!http_request_is_repeated(r)) {
        marline_context *caller =
            marline_extract(MARLINE_PROPAGATE_TRACE_CONTEXT, marline_context_root(), get_header, r);
        (void)snprintf(name, sizeof(name), "%s %s", http_request_method(r), route);
        marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
        options.kind = MARLINE_SPAN_KIND_SERVER;
        options.parent = caller;
        *span = marline_span_start(tracer, name, &options);
        marline_context_unref(caller);
        describe(r, route, span);
    }
    marline_context *context = marline_context_with_span(marline_context_root(), span);
    marline_scope_enter(scope, context);
    marline_context_unref(context);
}

void request_trace_leave(marline_scope *scope)
{
    marline_scope_leave(scope);
}

void request_trace_answered(marline_span *span, unsigned status)
{
    marline_span_set_int(span, "http.response.status_code", status);
    if (status >= 500) {
        char text[4];
        (void)snprintf(text, sizeof(text), "%u", status % 1000);
        marline_span_set_text(span, "error.type", text);
        marline_span_set_status(span, MARLINE_SPAN_STATUS_ERROR, NULL);
    }
    marline_span_end(span);
}
