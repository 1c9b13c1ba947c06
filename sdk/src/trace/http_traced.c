/* The traced HTTP client; see marline/http.h. The transport is io/http_client.h. */
#include <marline/http.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "io/http_client.h"
#include "io/url.h"
#include "trace/provider.h"
#include <marline/propagation.h>

enum {
    HEADERS_MAX = 64,   /* of the caller's; more are refused */
    TRACE_HEADERS = 3,  /* traceparent, tracestate, baggage */
    ERROR_STATUS = 400, /* the first one that is a client span's error */
};

struct marline_http_client {
    marline_tracer *tracer;
    struct http_client *transport;
    struct http_response response;
};

marline_http_client *marline_http_client_create(marline_tracer *tracer)
{
    marline_http_client *c = marline__memory_zeroed(sizeof *c);
    if (!c) {
        return NULL;
    }
    c->tracer = tracer;
    c->response = HTTP_RESPONSE_INIT;
    c->transport = marline__http_client_create(NULL);
    if (!c->transport) {
        marline__memory_free(c);
        return NULL;
    }
    return c;
}

void marline_http_client_destroy(marline_http_client *client)
{
    if (client) {
        marline__http_client_destroy(client->transport);
        marline__http_response_deinit(&client->response);
        marline__memory_free(client);
    }
}

/* ---- headers ---- */

struct header_set {
    const char *lines[HEADERS_MAX + TRACE_HEADERS];
    size_t count;
    char *owned[TRACE_HEADERS]; /* "name: value", in the order of setting */
    size_t owned_count;
};

static void set_header(void *carrier, const char *name, const char *value)
{
    struct header_set *set = carrier;
    if (!value || set->owned_count == TRACE_HEADERS) {
        return;
    }
    struct buffer line = BUFFER_INIT;
    marline__buffer_append_text(&line, name);
    marline__buffer_append_text(&line, ": ");
    marline__buffer_append_text(&line, value);
    char *text = marline__buffer_take(&line);
    if (text) { /* without memory the request goes out untraced */
        set->owned[set->owned_count++] = text;
        set->lines[set->count++] = text;
    }
}

static void free_headers(struct header_set *set)
{
    for (size_t i = 0; i < set->owned_count; i++) {
        marline__memory_free(set->owned[i]);
    }
}

/* ---- the span ---- */

static const char *method_of(const marline_http_request *request)
{
    return request->method ? request->method : request->body ? "POST" : "GET";
}

/* Puts the URL together again with other user information: that is secret. False: it has none. */
static bool replace_user(const char *url, const char *user, struct buffer *out)
{
    const char *host = strstr(url, "://");
    size_t scheme = host ? (size_t)(host - url) + 3 : 0;
    const char *at = memchr(url + scheme, '@', strcspn(url + scheme, "/?#"));
    if (at) {
        marline__buffer_append(out, url, scheme);
        marline__buffer_append_text(out, user);
        marline__buffer_append_text(out, at + 1);
    }
    return at != NULL;
}

static void set_full(marline_span *span, const char *url)
{
    struct buffer shown = BUFFER_INIT;
    if (!replace_user(url, "REDACTED:REDACTED@", &shown)) {
        marline_span_set_text(span, "url.full", url);
    } else if (!shown.failed) {
        marline_span_set_string(span, "url.full", (marline_string){shown.data, shown.size});
    }
    marline__buffer_deinit(&shown);
}

static void set_server(marline_span *span, const char *url)
{
    struct buffer bare = BUFFER_INIT;
    const char *plain = replace_user(url, "", &bare) && !bare.failed ? bare.data : url;
    struct url parts;
    const char *reason;
    if (marline__url_parse((struct slice){plain, strcspn(plain, "?#")}, &parts, &reason)) {
        marline_span_set_text(span, "server.address", parts.host);
        marline_span_set_int(span, "server.port", parts.port);
    }
    marline__buffer_deinit(&bare);
}

static marline_span start_span(marline_http_client *c, const marline_http_request *request)
{
    marline_provider *provider = marline_provider_global();
    marline_tracer *tracer = c->tracer ? c->tracer : provider ? provider->default_tracer : NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "function.http.%s", method_of(request));
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_CLIENT;
    marline_span span =
        marline_span_start(tracer, request->span_name ? request->span_name : name, &options);
    marline_span_set_text(&span, "http.request.method", method_of(request));
    if (request->url) {
        set_server(&span, request->url);
        set_full(&span, request->url);
    }
    return span;
}

static const char *status_name(marline_status status)
{
    switch (status) {
    case MARLINE_EINVAL:
        return "EINVAL";
    case MARLINE_ENOMEM:
        return "ENOMEM";
    case MARLINE_ETIMEDOUT:
        return "ETIMEDOUT";
    case MARLINE_EAUTH:
        return "EAUTH";
    case MARLINE_EPROTO:
        return "EPROTO";
    default:
        return "EIO";
    }
}

static void end_span(marline_span *span, marline_status status, int http_status, const char *text)
{
    if (status != MARLINE_OK) {
        marline_span_set_text(span, "error.type", status_name(status));
        marline_span_set_status(span, MARLINE_SPAN_STATUS_ERROR, text);
    } else {
        marline_span_set_int(span, "http.response.status_code", http_status);
        if (http_status >= ERROR_STATUS) {
            char number[16];
            (void)snprintf(number, sizeof number, "%d", http_status);
            marline_span_set_text(span, "error.type", number);
            marline_span_set_status(span, MARLINE_SPAN_STATUS_ERROR, NULL);
        }
    }
    marline_span_end(span);
}

/* ---- sending ---- */

static marline_status perform(marline_http_client *c, const marline_http_request *request,
                              const marline_span *span, marline_error *error)
{
    struct header_set headers = {.count = 0};
    for (size_t i = 0; request->headers && i < request->header_count; i++) {
        headers.lines[headers.count++] = request->headers[i];
    }
    marline_context *context = marline_context_with_span(NULL, span);
    marline_inject(marline_propagators_from_environment(), context, set_header, &headers);
    marline_context_unref(context);
    struct http_request wire = {.method = request->method,
                                .url = request->url,
                                .headers = headers.lines,
                                .header_count = headers.count,
                                .body = {request->body, request->body_size},
                                .timeout_ms = request->timeout_ms};
    marline_status status = marline__http_client_perform(c->transport, &wire, &c->response, error);
    free_headers(&headers);
    return status;
}

marline_status marline_http_send(marline_http_client *client, const marline_http_request *request,
                                 marline_http_response *response, marline_error *error)
{
    marline_error own_error = {0};
    error = error ? error : &own_error;
    if (!client || !request || request->size != sizeof *request || !response ||
        request->header_count > HEADERS_MAX) {
        error->code = MARLINE_EINVAL;
        (void)snprintf(error->text, sizeof error->text,
                       "a request needs a client, MARLINE_HTTP_REQUEST_INIT, a response, and at "
                       "most %d headers",
                       HEADERS_MAX);
        return MARLINE_EINVAL;
    }
    marline_span span = start_span(client, request);
    marline_status status = perform(client, request, &span, error);
    end_span(&span, status, client->response.status, error->text);
    if (status == MARLINE_OK) {
        *response =
            (marline_http_response){client->response.status,
                                    {client->response.body.data, client->response.body.size},
                                    marline_text(client->response.content_type)};
    }
    return status;
}
