/* REST calls of `check`. */
#include "agent/check/rest.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "io/http_client.h"
#include "programs/must.h"

enum {
    REQUEST_TIMEOUT_MS = 10000, /* a backend that takes longer is not working */
    EXCERPT_MAX = 200,          /* of an unexpected answer, in a message */
};

struct rest {
    const struct connection *connection;
    struct http_client *http;
    char *base; /* http(s)://…, no slash at the end */
    char *authorization;
    char *project; /* the header that names it */
    struct http_response response;
    struct buffer url;
    double duration_ms;
};

static char *make_base(const char *url)
{
    struct buffer b = BUFFER_INIT;
    struct slice rest = marline__slice_text(url);
    if (strncasecmp(url, "ws", 2) == 0) { /* ws:// and wss:// name the same server */
        marline__buffer_append_text(&b, "http");
        rest = marline__slice_text(url + 2);
    }
    while (rest.size > 0 && rest.data[rest.size - 1] == '/') {
        rest.size--;
    }
    marline__buffer_append_slice(&b, rest);
    must_buffer(&b);
    return marline__buffer_take(&b);
}

struct rest *rest_create(const struct connection *connection)
{
    struct rest *rest = must_zeroed(sizeof *rest);
    rest->connection = connection;
    struct http_client_options options = {.tls = {.ca_file = connection->ca_file,
                                                  .certificate_file = connection->certificate_file,
                                                  .key_file = connection->key_file}};
    rest->http = must(marline__http_client_create(&options));
    rest->base = make_base(connection->base_url);
    rest->response = HTTP_RESPONSE_INIT;
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "Authorization: Bearer %s", connection->api_key);
    must_buffer(&b);
    rest->authorization = marline__buffer_take(&b);
    marline__buffer_append_format(&b, "X-Project-Id: %s", connection->project_id);
    must_buffer(&b);
    rest->project = marline__buffer_take(&b);
    return rest;
}

void rest_destroy(struct rest *rest)
{
    if (!rest) {
        return;
    }
    explicit_bzero(rest->authorization, strlen(rest->authorization));
    marline__memory_free(rest->authorization);
    marline__memory_free(rest->base);
    marline__memory_free(rest->project);
    marline__http_response_deinit(&rest->response);
    marline__buffer_deinit(&rest->url);
    marline__http_client_destroy(rest->http);
    marline__memory_free(rest);
}

const struct connection *rest_connection(const struct rest *rest)
{
    return rest->connection;
}

double rest_duration_ms(const struct rest *rest)
{
    return rest->duration_ms;
}

int rest_try(struct rest *rest, const char *method, const char *path, struct slice body,
             struct failure *f)
{
    marline__buffer_clear(&rest->url);
    marline__buffer_append_format(&rest->url, "%s%s", rest->base, path);
    must_buffer(&rest->url);
    const char *headers[] = {rest->authorization, "Content-Type: application/json",
                             "Accept: application/json", rest->project};
    struct http_request r = {.method = method,
                             .url = rest->url.data,
                             .headers = headers,
                             .header_count = 4,
                             .body = body,
                             .timeout_ms = REQUEST_TIMEOUT_MS};
    marline_error error = {0};
    uint64_t start = marline__clock_monotonic_ns(marline__clock_system());
    marline_status status = marline__http_client_perform(rest->http, &r, &rest->response, &error);
    uint64_t end = marline__clock_monotonic_ns(marline__clock_system());
    rest->duration_ms = (double)(end - start) / (double)NS_PER_MS;
    if (status) {
        failure_set(f, status == MARLINE_EAUTH ? EXIT_CODE_REFUSED : EXIT_CODE_UNREACHABLE,
                    status == MARLINE_EAUTH
                        ? "backend not trusted: %s"
                        : "backend not reached: %s; is it running, and is the base URL right?",
                    error.text);
        return 0;
    }
    return rest->response.status;
}

/* The text of {"detail": "…"}, else the start of the body. */
static void describe_answer(const struct rest *rest, char out[EXCERPT_MAX + 1])
{
    struct slice body = marline__buffer_slice(&rest->response.body);
    struct buffer detail = BUFFER_INIT;
    struct json_reader r;
    struct slice key;
    marline__json_reader_init(&r, body, JSON_STRICT);
    bool found = false;
    if (marline__json_peek(&r) == JSON_OBJECT && marline__json_enter_object(&r)) {
        while (!found && marline__json_next_member(&r, &key)) {
            found = marline__json_key_is(key, "detail") && marline__json_peek(&r) == JSON_STRING &&
                    marline__json_read_string(&r, &detail);
            if (!found && !marline__json_skip(&r, NULL)) {
                break;
            }
        }
    }
    struct slice text = found ? marline__buffer_slice(&detail) : body;
    (void)snprintf(out, EXCERPT_MAX + 1, "%.*s", SLICE_ARG(text));
    marline__buffer_deinit(&detail);
}

bool rest_refuse(struct rest *rest, struct failure *f)
{
    char text[EXCERPT_MAX + 1];
    describe_answer(rest, text);
    int status = rest->response.status;
    if (status == 403) { /* an unknown key would have been answered 401 */
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend does not let this key do that (HTTP 403 at %s: %s); check "
                           "RHESIS_PROJECT_ID, and that the key's user is a member of the project",
                           rest->url.data, text);
    }
    if (status == 401) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend refused the key (HTTP %d at %s: %s); check RHESIS_API_KEY",
                           status, rest->url.data, text);
    }
    if (status == 404) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend does not know this (HTTP 404 at %s: %s); check "
                           "RHESIS_PROJECT_ID, and the path of RHESIS_BASE_URL",
                           rest->url.data, text);
    }
    if (status >= 400 && status < 500) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend refused the request (HTTP %d at %s: %s)", status,
                           rest->url.data, text);
    }
    return failure_set(f, EXIT_CODE_UNREACHABLE, "the backend is not working (HTTP %d at %s: %s)",
                       status, rest->url.data, text);
}

bool rest_ask(struct rest *rest, const char *method, const char *path, struct slice body,
              struct failure *f)
{
    int status = rest_try(rest, method, path, body, f);
    return status && ((status >= 200 && status < 300) || rest_refuse(rest, f));
}

static bool finish_reading(struct rest *rest, struct json_reader *r, struct failure *f)
{
    return marline__json_finish(r) ||
           failure_set(f, EXIT_CODE_UNREACHABLE, "the backend answered no JSON at %s (%s)",
                       rest->url.data, r->error ? r->error : "trailing text");
}

bool rest_read(struct rest *rest, answer_member_fn read, void *user, struct failure *f)
{
    struct json_reader r;
    marline__json_reader_init(&r, marline__buffer_slice(&rest->response.body), JSON_STRICT);
    answer_each_member(&r, read, user);
    return finish_reading(rest, &r, f);
}

bool rest_read_list(struct rest *rest, void (*read)(struct json_reader *r, void *user), void *user,
                    struct failure *f)
{
    struct json_reader r;
    marline__json_reader_init(&r, marline__buffer_slice(&rest->response.body), JSON_STRICT);
    answer_each_object(&r, read, user);
    return finish_reading(rest, &r, f);
}

bool rest_get(struct rest *rest, const char *path, answer_member_fn read, void *user,
              struct failure *f)
{
    return rest_ask(rest, "GET", path, SLICE_EMPTY, f) && rest_read(rest, read, user, f);
}
