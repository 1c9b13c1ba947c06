/* An endpoint served by a service over HTTP. */
#include "agent/http_endpoint.h"

#include <stdio.h>
#include <string.h>

#include <marline/propagation.h>
#include <marline/trace.h>

#include "agent/output.h"
#include "agent/score.h"
#include "agent/template.h"
#include "agent/words.h"
#include "io/http_client.h"
#include "io/url.h"
#include "programs/must.h"
#include "wire/json_pointer.h"
#include "wire/json_writer.h"

enum { MESSAGE_SIZE = 1024, EXCERPT_MAX = 300 };

struct complaint {
    const char *type; /* error.type of the span; NULL while all is well */
    char text[MESSAGE_SIZE];
    char status_text[8];
};

struct exchange {
    marline_call *call;
    struct http_endpoint *endpoint;
    marline_span span;
    struct slice inputs;
    struct buffer url;
    struct buffer body;
    struct words headers;
    struct http_response response;
    struct complaint complaint;
};

/* ---- connections ---- */

void http_endpoint_init(struct http_endpoint *e)
{
    (void)pthread_mutex_init(&e->shared.mutex, NULL);
}

void http_endpoint_deinit(struct http_endpoint *e)
{
    for (size_t i = 0; i < e->shared.idle_count; i++) {
        marline__http_client_destroy(e->shared.idle[i]);
    }
    (void)pthread_mutex_destroy(&e->shared.mutex);
}

static struct http_client *take_client(struct http_endpoint *e)
{
    struct http_client *client = NULL;
    (void)pthread_mutex_lock(&e->shared.mutex);
    if (e->shared.idle_count > 0) {
        client = e->shared.idle[--e->shared.idle_count];
    }
    (void)pthread_mutex_unlock(&e->shared.mutex);
    if (client) {
        return client;
    }
    struct http_client_options options = {.response_max = (size_t)e->answer_max,
                                          .tls = {.ca_file = e->target->ca_file,
                                                  .certificate_file = e->target->certificate_file,
                                                  .key_file = e->target->key_file}};
    return must(marline__http_client_create(&options));
}

static void give_client_back(struct http_endpoint *e, struct http_client *client)
{
    (void)pthread_mutex_lock(&e->shared.mutex);
    bool is_kept = e->shared.idle_count < HTTP_IDLE_MAX;
    if (is_kept) {
        e->shared.idle[e->shared.idle_count++] = client;
    }
    (void)pthread_mutex_unlock(&e->shared.mutex);
    if (!is_kept) {
        marline__http_client_destroy(client);
    }
}

/* ---- the request ---- */

static const char *method_of(const struct http_target *t)
{
    return t->method ? t->method : "POST";
}

static bool lacks_input(struct exchange *x, const char *part, const struct buffer *missing)
{
    x->complaint.type = "missing_input";
    (void)snprintf(x->complaint.text, sizeof x->complaint.text,
                   "%s: the %s needs the input '%s', which is not given", x->endpoint->name, part,
                   missing->data);
    return false;
}

static bool fill_headers(struct exchange *x, struct buffer *missing)
{
    const struct http_pairs *headers = &x->endpoint->target->headers;
    bool has_type = false;
    for (size_t i = 0; i < headers->count; i++) {
        struct buffer line = BUFFER_INIT;
        marline__buffer_append_format(&line, "%s: ", headers->items[i].name);
        bool ok =
            template_fill_text(headers->items[i].value, x->inputs, TEMPLATE_PLAIN, &line, missing);
        /* An input must not add a header of its own. */
        for (size_t j = 0; ok && j < line.size; j++) {
            line.data[j] = line.data[j] == '\r' || line.data[j] == '\n' ? ' ' : line.data[j];
        }
        if (ok) {
            words_add(&x->headers, line.data);
        }
        marline__buffer_deinit(&line);
        if (!ok) {
            return lacks_input(x, "header", missing);
        }
        has_type = has_type || strcasecmp(headers->items[i].name, "Content-Type") == 0;
    }
    if (!has_type) {
        words_add(&x->headers, "Content-Type: application/json");
    }
    return true;
}

static void add_header(void *carrier, const char *name, const char *value)
{
    struct exchange *x = carrier;
    struct buffer line = BUFFER_INIT;
    if (value) {
        marline__buffer_append_format(&line, "%s: %s", name, value);
        must_buffer(&line);
        words_add(&x->headers, line.data);
        marline__buffer_deinit(&line);
    }
}

static void add_trace_headers(struct exchange *x)
{
    marline_context *context = marline_context_with_span(NULL, &x->span);
    marline_inject(MARLINE_PROPAGATE_ALL, context, add_header, x);
    marline_context_unref(context);
}

static bool fill_request(struct exchange *x)
{
    const struct http_target *t = x->endpoint->target;
    struct buffer missing = BUFFER_INIT;
    bool ok = template_fill_text(t->url, x->inputs, TEMPLATE_URL, &x->url, &missing) ||
              lacks_input(x, "url", &missing);
    ok = ok && fill_headers(x, &missing);
    bool has_body = strcmp(method_of(t), "GET") != 0;
    if (ok && has_body && t->body) {
        ok = template_fill_json(marline__slice_text(t->body), x->inputs, &x->body, &missing) ||
             lacks_input(x, "body", &missing);
    } else if (ok && has_body) {
        marline__buffer_append_slice(&x->body, x->inputs);
    }
    must_buffer(&x->url);
    must_buffer(&x->body);
    marline__buffer_deinit(&missing);
    return ok;
}

/* ---- the answer ---- */

static bool is_canceled(void *user)
{
    return marline_call_is_canceled(user);
}

static const char *error_type_of(marline_status status)
{
    switch (status) {
    case MARLINE_ETIMEDOUT:
        return "timeout";
    case MARLINE_ECANCELED:
        return "canceled";
    case MARLINE_EAUTH:
        return "tls";
    case MARLINE_EPROTO:
        return "protocol";
    default:
        return "connection";
    }
}

static bool perform(struct exchange *x)
{
    struct http_endpoint *e = x->endpoint;
    add_trace_headers(x);
    struct http_request request = {.method = method_of(e->target),
                                   .url = x->url.data,
                                   .headers = (const char *const *)x->headers.items,
                                   .header_count = x->headers.count,
                                   .body =
                                       x->body.size ? marline__buffer_slice(&x->body) : SLICE_EMPTY,
                                   .timeout_ms = e->timeout_ms,
                                   .is_canceled = is_canceled,
                                   .user = x->call};
    struct http_client *client = take_client(e);
    marline_error error = {0};
    marline_status status = marline__http_client_perform(client, &request, &x->response, &error);
    give_client_back(e, client);
    if (status) {
        x->complaint.type = error_type_of(status);
        (void)snprintf(x->complaint.text, sizeof x->complaint.text, "%s: %s", e->name, error.text);
    }
    return status == MARLINE_OK;
}

static bool check_status(struct exchange *x)
{
    int status = x->response.status;
    marline_span_set_int(&x->span, "http.response.status_code", status);
    if (status >= 200 && status <= 299) {
        return true;
    }
    struct slice body = output_trim(marline__buffer_slice(&x->response.body));
    (void)snprintf(x->complaint.status_text, sizeof x->complaint.status_text, "%d", status % 1000);
    x->complaint.type = x->complaint.status_text;
    (void)snprintf(
        x->complaint.text, sizeof x->complaint.text, "%s: %s %.300s answered HTTP %d: %.*s",
        x->endpoint->name, method_of(x->endpoint->target), x->url.data, status,
        body.size > EXCERPT_MAX ? EXCERPT_MAX : (int)body.size, body.data ? body.data : "");
    return false;
}

static bool map_answer(struct exchange *x, struct buffer *out)
{
    const struct http_pairs *response = &x->endpoint->target->response;
    struct slice body = marline__buffer_slice(&x->response.body);
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    for (size_t i = 0; i < response->count; i++) {
        struct slice value;
        if (!marline__json_pointer_find(body, response->items[i].value, &value)) {
            x->complaint.type = "response_mapping";
            (void)snprintf(x->complaint.text, sizeof x->complaint.text,
                           "%s: the answer has nothing at %s, which the output '%s' is taken from",
                           x->endpoint->name, response->items[i].value, response->items[i].name);
            return false;
        }
        marline__json_member_raw(&w, response->items[i].name, value);
    }
    marline__json_end_object(&w);
    must_buffer(out);
    return true;
}

static marline_status set_output(struct exchange *x)
{
    struct buffer mapped = BUFFER_INIT;
    struct slice answer = marline__buffer_slice(&x->response.body);
    marline_status (*set)(marline_call *, struct slice) =
        x->endpoint->is_metric ? score_set : output_set;
    marline_status status = MARLINE_OK;
    if (x->endpoint->target->response.count > 0) {
        if (map_answer(x, &mapped)) {
            status = set(x->call, marline__buffer_slice(&mapped));
        }
    } else if (output_trim(answer).size > 0) {
        status = set(x->call, answer);
    } else {
        x->complaint.type = "empty_output";
        (void)snprintf(x->complaint.text, sizeof x->complaint.text,
                       "%s: the service answered HTTP %d with an empty body; a result is expected "
                       "there",
                       x->endpoint->name, x->response.status);
    }
    marline__buffer_deinit(&mapped);
    return status;
}

/* ---- the span ---- */

static void start_span(struct exchange *x)
{
    char name[256];
    (void)snprintf(name, sizeof name, "function.http.%s", x->endpoint->name);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_CLIENT;
    marline_tracer *tracer =
        marline_tracer_get(marline_provider_global(), "marline-agent", marline_version());
    x->span = marline_span_start(tracer, name, &options);
    marline_span_set_text(&x->span, "http.request.method", method_of(x->endpoint->target));
}

/* Without the query: inputs do not belong into a URL that is kept. */
static void describe_url(struct exchange *x)
{
    struct url url;
    const char *reason = NULL;
    struct slice full = marline__buffer_slice(&x->url);
    const char *query = memchr(full.data, '?', full.size);
    full.size = query ? (size_t)(query - full.data) : full.size;
    marline_span_set_string(&x->span, "url.full", (marline_string){full.data, full.size});
    if (marline__url_parse(full, &url, &reason)) {
        marline_span_set_text(&x->span, "server.address", url.host);
        marline_span_set_int(&x->span, "server.port", url.port);
    }
}

static void end_span(struct exchange *x)
{
    if (x->complaint.type) {
        marline_span_fail(&x->span, x->complaint.type, x->complaint.text);
    } else {
        marline_span_set_status(&x->span, MARLINE_SPAN_STATUS_OK, NULL);
    }
    marline_span_end(&x->span);
}

marline_status http_endpoint_handle(marline_call *call, void *user)
{
    struct exchange x = {.call = call,
                         .endpoint = user,
                         .inputs = marline__slice_text(marline_inputs_json(call)),
                         .response = HTTP_RESPONSE_INIT};
    marline_status status = MARLINE_OK;
    start_span(&x);
    if (fill_request(&x)) {
        describe_url(&x);
        if (perform(&x) && check_status(&x)) {
            status = set_output(&x);
        }
    }
    end_span(&x);
    if (x.complaint.type) {
        status = marline_fail(call, "%s", x.complaint.text);
    }
    marline__buffer_deinit(&x.url);
    marline__buffer_deinit(&x.body);
    words_deinit(&x.headers);
    marline__http_response_deinit(&x.response);
    return status;
}
