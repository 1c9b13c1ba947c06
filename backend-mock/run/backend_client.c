/* See backend_client.h. */
#include "run/backend_client.h"

#include <stdio.h>
#include <string.h>

#include "io/http_client.h"
#include "programs/must.h"
#include "wire/json_pointer.h"
#include "wire/json_reader.h"

enum {
    REQUEST_TIMEOUT_MS = 30000,       /* beyond what the caller asked the backend to wait */
    RESPONSE_MAX = 512 * 1024 * 1024, /* a run of 100 000 tests with their outputs */
    EXCERPT_MAX = 300,                /* of an unexpected answer, in a message */
};

struct backend_client {
    struct http_client *http;
    char *base; /* no slash at the end */
    char *authorization;
    bool (*is_canceled)(void *user);
    void *user;
    struct http_response response;
    struct buffer url;
};

struct backend_client *backend_client_create(const struct backend_client_options *options)
{
    struct backend_client *c = must_zeroed(sizeof *c);
    struct http_client_options http = {.response_max = RESPONSE_MAX};
    struct slice base = marline__slice_text(options->base_url);
    struct buffer b = BUFFER_INIT;
    while (base.size > 0 && base.data[base.size - 1] == '/') {
        base.size--;
    }
    c->http = must(marline__http_client_create(&http));
    c->base = must_slice(base);
    c->is_canceled = options->is_canceled;
    c->user = options->user;
    c->response = HTTP_RESPONSE_INIT;
    marline__buffer_append_format(&b, "Authorization: Bearer %s", options->api_key);
    must_buffer(&b);
    c->authorization = must(marline__buffer_take(&b));
    return c;
}

void backend_client_destroy(struct backend_client *c)
{
    if (!c) {
        return;
    }
    explicit_bzero(c->authorization, strlen(c->authorization));
    marline__memory_free(c->authorization);
    marline__memory_free(c->base);
    marline__http_response_deinit(&c->response);
    marline__buffer_deinit(&c->url);
    marline__http_client_destroy(c->http);
    marline__memory_free(c);
}

/* ---- requests ---- */

static bool request(struct backend_client *c, const char *method, const char *path,
                    struct slice body, uint32_t wait_ms, struct failure *f)
{
    const char *headers[] = {c->authorization, "Content-Type: application/json"};
    marline__buffer_clear(&c->url);
    marline__buffer_append_format(&c->url, "%s%s", c->base, path);
    must_buffer(&c->url);
    struct http_request r = {.method = method,
                             .url = c->url.data,
                             .headers = headers,
                             .header_count = 2,
                             .body = body,
                             .timeout_ms = REQUEST_TIMEOUT_MS + wait_ms,
                             .is_canceled = c->is_canceled,
                             .user = c->user};
    marline_error error = {0};
    marline_status status = marline__http_client_perform(c->http, &r, &c->response, &error);
    if (status == MARLINE_OK) {
        return true;
    }
    if (status == MARLINE_EINVAL) {
        return failure_set(f, EXIT_CODE_USAGE, "%s", error.text);
    }
    if (status == MARLINE_ECANCELED) {
        return failure_set(f, EXIT_CODE_INTERNAL, "interrupted before the backend had answered");
    }
    return failure_set(f, status == MARLINE_EAUTH ? EXIT_CODE_REFUSED : EXIT_CODE_UNREACHABLE,
                       "backend not reached: %s; is it running, and is the URL right?", error.text);
}

/* The text of {"detail": "…"}, else the start of the body. */
static void describe_answer(const struct backend_client *c, char out[EXCERPT_MAX + 1])
{
    struct slice body = marline__buffer_slice(&c->response.body);
    struct slice raw = SLICE_EMPTY;
    struct buffer detail = BUFFER_INIT;
    if (marline__json_pointer_find(body, "/detail", &raw) && raw.size >= 2 && raw.data[0] == '"') {
        marline__json_unescape((struct slice){raw.data + 1, raw.size - 2}, &detail);
        must_buffer(&detail);
    }
    struct slice text = detail.data ? marline__buffer_slice(&detail) : body;
    (void)snprintf(out, EXCERPT_MAX + 1, "%.*s", SLICE_ARG(text));
    marline__buffer_deinit(&detail);
}

static bool refuse_answer(struct backend_client *c, struct failure *f)
{
    char text[EXCERPT_MAX + 1];
    int status = c->response.status;
    describe_answer(c, text);
    if (status == 401 || status == 403) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend refused the key (HTTP %d at %s: %s); check RHESIS_API_KEY",
                           status, c->url.data, text);
    }
    if (status == 404) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend does not know this (HTTP 404 at %s: %s); check the project "
                           "id, and that it is a marline-backend-mock of this version",
                           c->url.data, text);
    }
    if (status >= 400 && status < 500) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend refused the request (HTTP %d at %s: "
                           "%s)",
                           status, c->url.data, text);
    }
    return failure_set(f, EXIT_CODE_UNREACHABLE, "the backend is not working (HTTP %d at %s: %s)",
                       status, c->url.data, text);
}

static bool ask(struct backend_client *c, const char *method, const char *path, struct slice body,
                struct failure *f)
{
    return request(c, method, path, body, 0, f) &&
           ((c->response.status >= 200 && c->response.status < 300) || refuse_answer(c, f));
}

/* The text of a member; "" when it is null or absent. */
static void copy_member(const struct backend_client *c, const char *pointer, char *out, size_t size)
{
    struct slice raw = SLICE_EMPTY;
    bool found =
        marline__json_pointer_find(marline__buffer_slice(&c->response.body), pointer, &raw) &&
        raw.size >= 2 && raw.data[0] == '"';
    (void)snprintf(out, size, "%.*s", found ? (int)raw.size - 2 : 0, found ? raw.data + 1 : "");
}

/* ---- questions ---- */

bool backend_client_greet(struct backend_client *c, char out_project[UUID_TEXT_SIZE],
                          struct failure *f)
{
    if (!ask(c, "GET", "/tokens/current", SLICE_EMPTY, f)) {
        return false;
    }
    copy_member(c, "/project_id", out_project, UUID_TEXT_SIZE);
    return true;
}

/* Everything that is not plainly safe in a query goes as %XX. */
static void append_query_value(struct buffer *out, const char *text)
{
    for (const unsigned char *b = (const unsigned char *)text; *b; b++) {
        bool is_plain = (*b >= '0' && *b <= '9') || (*b >= 'a' && *b <= 'z') ||
                        (*b >= 'A' && *b <= 'Z') || strchr("-._~", *b);
        marline__buffer_append_format(out, is_plain ? "%c" : "%%%02X", *b);
    }
}

bool backend_client_functions(struct backend_client *c, const char *project_id,
                              const char *environment, struct slice *out, struct failure *f)
{
    struct buffer path = BUFFER_INIT;
    marline__buffer_append_format(&path, "/connector/status/%s?environment=", project_id);
    append_query_value(&path, environment);
    must_buffer(&path);
    bool ok = ask(c, "GET", path.data, SLICE_EMPTY, f);
    marline__buffer_deinit(&path);
    if (ok &&
        !marline__json_pointer_find(marline__buffer_slice(&c->response.body), "/functions", out)) {
        *out = SLICE("[]");
    }
    return ok;
}

bool backend_client_start(struct backend_client *c, struct slice body, char out_run[UUID_TEXT_SIZE],
                          struct failure *f)
{
    if (!ask(c, "POST", "/mock/runs", body, f)) {
        return false;
    }
    copy_member(c, "/test_run_id", out_run, UUID_TEXT_SIZE);
    return out_run[0] || failure_set(f, EXIT_CODE_UNREACHABLE,
                                     "the backend's answer at %s names no run", c->url.data);
}

bool backend_client_wait(struct backend_client *c, const char *run, uint32_t timeout_ms,
                         bool *out_finished, struct failure *f)
{
    char path[128];
    struct slice finished = SLICE_EMPTY;
    (void)snprintf(path, sizeof path, "/mock/runs/%s/wait?timeout_ms=%u", run, timeout_ms);
    if (!request(c, "GET", path, SLICE_EMPTY, timeout_ms, f)) {
        return false;
    }
    if (c->response.status != 200) {
        return refuse_answer(c, f);
    }
    *out_finished = marline__json_pointer_find(marline__buffer_slice(&c->response.body),
                                               "/finished", &finished) &&
                    marline__slice_is(finished, "true");
    return true;
}

bool backend_client_cancel(struct backend_client *c, const char *run, struct failure *f)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/mock/runs/%s/cancel", run);
    return request(c, "POST", path, SLICE("{}"), 0, f) &&
           (c->response.status == 202 || c->response.status == 409 || refuse_answer(c, f));
}

bool backend_client_read(struct backend_client *c, const char *run, const char *what,
                         struct slice *out, struct failure *f)
{
    char path[128];
    (void)snprintf(path, sizeof path, "/mock/runs/%s%s", run, what);
    bool ok = ask(c, "GET", path, SLICE_EMPTY, f);
    *out = marline__buffer_slice(&c->response.body);
    return ok;
}
