/* The test service that W3C's trace-context harness talks to: a POST brings a JSON array of
 * {"url", "arguments"}, and each url gets a POST of its arguments, in the trace of the request.
 *
 * Usage: w3c-service. Prints its URL; ends when its stdin does.
 * Threads: one a connection. Aborts on what a test cannot go on without. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <microhttpd.h>

#include <marline/marline.h>

enum { BODY_MAX = 1 << 20, TIMEOUT_MS = 10000 };

struct body {
    char *bytes;
    size_t size;
};

static void *must(void *pointer)
{
    if (!pointer) {
        abort();
    }
    return pointer;
}

/* ---- the context of a request ---- */

struct field {
    const char *name;
    marline_string *out;
    size_t max;
    size_t count;
};

static enum MHD_Result take_field(void *user, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    struct field *field = user;
    (void)kind;
    if (value && strcasecmp(name, field->name) == 0) {
        if (field->count < field->max) {
            field->out[field->count] = marline_text(value);
        }
        field->count++;
    }
    return MHD_YES;
}

static size_t get_field(void *connection, const char *name, marline_string *out, size_t max)
{
    struct field field = {name, out, max, 0};
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, take_field, &field);
    return field.count;
}

/* ---- the work ---- */

static void call(marline_http_client *client, const cJSON *step)
{
    const cJSON *url = cJSON_GetObjectItemCaseSensitive(step, "url");
    char *arguments =
        must(cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(step, "arguments")));
    const char *const headers[] = {"Content-Type: application/json"};
    marline_http_request request = MARLINE_HTTP_REQUEST_INIT;
    marline_http_response response;
    marline_error error = {MARLINE_OK, ""};
    request.url = cJSON_GetStringValue(url);
    request.headers = headers;
    request.header_count = 1;
    request.body = arguments;
    request.body_size = strlen(arguments);
    request.timeout_ms = TIMEOUT_MS;
    if (marline_http_send(client, &request, &response, &error) != MARLINE_OK) {
        (void)fprintf(stderr, "%s\n", error.text);
    }
    cJSON_free(arguments);
}

static void work(struct MHD_Connection *connection, const struct body *body)
{
    marline_context *caller =
        marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_field, connection);
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_SERVER;
    options.parent = caller;
    marline_tracer *tracer = marline_tracer_get(marline_provider_global(), "w3c-service", NULL);
    marline_span span = marline_span_start(tracer, "POST /test", &options);
    marline_context *context = marline_context_with_span(caller, &span);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    marline_http_client *client = must(marline_http_client_create(NULL));
    cJSON *steps = cJSON_ParseWithLength(body->bytes, body->size);
    const cJSON *step = NULL;
    cJSON_ArrayForEach(step, steps)
    {
        call(client, step);
    }
    cJSON_Delete(steps);
    marline_http_client_destroy(client);
    marline_scope_leave(&scope);
    marline_span_end(&span);
    marline_context_unref(context);
    marline_context_unref(caller);
}

/* ---- HTTP ---- */

static enum MHD_Result answer(struct MHD_Connection *connection)
{
    static char nothing[] = "{}";
    struct MHD_Response *response =
        must(MHD_create_response_from_buffer(2, nothing, MHD_RESPMEM_PERSISTENT));
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes,
                              size_t *size, void **state)
{
    (void)user;
    (void)url;
    (void)method;
    (void)version;
    struct body *body = *state;
    if (!body) {
        *state = must(calloc(1, sizeof *body));
        return MHD_YES;
    }
    if (*size > 0) {
        if (body->size + *size > BODY_MAX) {
            return MHD_NO;
        }
        body->bytes = must(realloc(body->bytes, body->size + *size));
        memcpy(body->bytes + body->size, bytes, *size);
        body->size += *size;
        *size = 0;
        return MHD_YES;
    }
    work(connection, body);
    return answer(connection);
}

static void done(void *user, struct MHD_Connection *connection, void **state,
                 enum MHD_RequestTerminationCode code)
{
    (void)user;
    (void)connection;
    (void)code;
    struct body *body = *state;
    if (body) {
        free(body->bytes);
        free(body);
    }
}

static void discard(void *user, const marline_span_data *spans, size_t count, uint64_t timeout_ms,
                    marline_export_result *out)
{
    (void)user;
    (void)spans;
    (void)timeout_ms;
    out->exported = count;
}

int main(void)
{
    marline_provider *provider = NULL;
    const marline_exporter exporter = {.export_spans = discard};
    char byte;
    if (marline_provider_create(NULL, &provider, NULL) != MARLINE_OK ||
        marline_provider_add_batch_processor(provider, &exporter, NULL, NULL) != MARLINE_OK) {
        return 1;
    }
    marline_provider_set_global(provider);
    struct MHD_Daemon *daemon = must(MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, handle, NULL, MHD_OPTION_NOTIFY_COMPLETED, done, NULL, MHD_OPTION_END));
    printf("http://127.0.0.1:%u/test\n",
           MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    MHD_stop_daemon(daemon);
    (void)marline_provider_shutdown(provider, 1000);
    marline_provider_destroy(provider);
    return 0;
}
