/* What `check` asks of the backend over REST. */
#include "agent/check/backend_api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "io/http_client.h"
#include "programs/must.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum {
    REQUEST_TIMEOUT_MS = 10000, /* a backend that takes longer is not working */
    TEST_TIMEOUT_MARGIN_MS = 30000,
    EXCERPT_MAX = 200, /* of an unexpected answer, in a message */
};

struct backend_api {
    const struct connection *connection;
    struct http_client *http;
    char *base; /* http(s)://…, no slash at the end */
    char *authorization;
    struct http_response response;
    struct buffer url;
};

/* ---- requests ---- */

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

struct backend_api *backend_api_create(const struct connection *connection)
{
    struct backend_api *api = must_zeroed(sizeof *api);
    api->connection = connection;
    struct http_client_options options = {.tls = {.ca_file = connection->ca_file,
                                                  .certificate_file = connection->certificate_file,
                                                  .key_file = connection->key_file}};
    api->http = must(marline__http_client_create(&options));
    api->base = make_base(connection->base_url);
    api->response = HTTP_RESPONSE_INIT;
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "Authorization: Bearer %s", connection->api_key);
    must_buffer(&b);
    api->authorization = marline__buffer_take(&b);
    return api;
}

void backend_api_destroy(struct backend_api *api)
{
    if (!api) {
        return;
    }
    explicit_bzero(api->authorization, strlen(api->authorization));
    marline__memory_free(api->authorization);
    marline__memory_free(api->base);
    marline__http_response_deinit(&api->response);
    marline__buffer_deinit(&api->url);
    marline__http_client_destroy(api->http);
    marline__memory_free(api);
}

static bool request(struct backend_api *api, const char *method, const char *path,
                    struct slice body, struct failure *f)
{
    marline__buffer_clear(&api->url);
    marline__buffer_append_format(&api->url, "%s%s", api->base, path);
    must_buffer(&api->url);
    const char *headers[] = {api->authorization, "Content-Type: application/json",
                             "Accept: application/json"};
    struct http_request r = {.method = method,
                             .url = api->url.data,
                             .headers = headers,
                             .header_count = 3,
                             .body = body,
                             .timeout_ms = REQUEST_TIMEOUT_MS};
    marline_error error = {0};
    marline_status status = marline__http_client_perform(api->http, &r, &api->response, &error);
    if (status) {
        return failure_set(f, status == MARLINE_EAUTH ? EXIT_CODE_REFUSED : EXIT_CODE_UNREACHABLE,
                           "backend not reached: %s; is it running, and is the base URL right?",
                           error.text);
    }
    return true;
}

/* The text of {"detail": "…"}, else the start of the body. */
static void describe_answer(const struct backend_api *api, char out[EXCERPT_MAX + 1])
{
    struct slice body = marline__buffer_slice(&api->response.body);
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

static bool refuse_answer(struct backend_api *api, struct failure *f)
{
    char text[EXCERPT_MAX + 1];
    describe_answer(api, text);
    int status = api->response.status;
    if (status == 401 || status == 403) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend refused the key (HTTP %d at %s: %s); check RHESIS_API_KEY",
                           status, api->url.data, text);
    }
    if (status == 404) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend does not know this (HTTP 404 at %s: %s); check the project "
                           "id, and that the backend is a marline-backend-mock",
                           api->url.data, text);
    }
    if (status >= 400 && status < 500) {
        return failure_set(f, EXIT_CODE_REFUSED,
                           "the backend refused the request (HTTP %d at %s: %s)", status,
                           api->url.data, text);
    }
    return failure_set(f, EXIT_CODE_UNREACHABLE, "the backend is not working (HTTP %d at %s: %s)",
                       status, api->url.data, text);
}

static bool ask(struct backend_api *api, const char *method, const char *path, struct slice body,
                struct failure *f)
{
    if (!request(api, method, path, body, f)) {
        return false;
    }
    return (api->response.status >= 200 && api->response.status < 300) || refuse_answer(api, f);
}

/* ---- reading answers: each member of an object goes to a function; a wrong type is left out, as
 * if it were absent, so that a backend may add and change what is not needed here ---- */

typedef void (*member_fn)(struct json_reader *r, struct slice key, void *user);

static void each_member(struct json_reader *r, member_fn read, void *user)
{
    struct slice key;
    if (marline__json_peek(r) != JSON_OBJECT) {
        (void)marline__json_skip(r, NULL);
        return;
    }
    (void)marline__json_enter_object(r);
    while (marline__json_next_member(r, &key)) {
        read(r, key, user);
    }
}

static void each_object(struct json_reader *r, void (*read)(struct json_reader *r, void *user),
                        void *user)
{
    if (marline__json_peek(r) != JSON_ARRAY) {
        (void)marline__json_skip(r, NULL);
        return;
    }
    (void)marline__json_enter_array(r);
    while (marline__json_next_element(r)) {
        read(r, user);
    }
}

static bool read_answer(struct backend_api *api, member_fn read, void *user, struct failure *f)
{
    struct json_reader r;
    marline__json_reader_init(&r, marline__buffer_slice(&api->response.body), JSON_STRICT);
    each_member(&r, read, user);
    return marline__json_finish(&r) ||
           failure_set(f, EXIT_CODE_UNREACHABLE, "the backend answered no JSON at %s (%s)",
                       api->url.data, r.error ? r.error : "trailing text");
}

static void read_text(struct json_reader *r, char *out, size_t size)
{
    struct buffer b = BUFFER_INIT;
    if (marline__json_peek(r) == JSON_STRING && marline__json_read_string(r, &b)) {
        must_buffer(&b);
        (void)snprintf(out, size, "%s", b.data ? b.data : "");
    } else {
        struct slice raw = SLICE_EMPTY; /* an id may be a number */
        bool is_number = marline__json_peek(r) == JSON_NUMBER;
        (void)marline__json_skip(r, &raw);
        (void)snprintf(out, size, "%.*s", is_number ? (int)raw.size : 0, raw.data ? raw.data : "");
    }
    marline__buffer_deinit(&b);
}

static void read_number(struct json_reader *r, double *out)
{
    if (marline__json_peek(r) == JSON_NUMBER) {
        (void)marline__json_read_double(r, out);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

static void read_count(struct json_reader *r, uint64_t *out)
{
    double number = 0;
    read_number(r, &number);
    *out = number > 0 ? (uint64_t)number : 0;
}

static void read_flag(struct json_reader *r, bool *out)
{
    if (marline__json_peek(r) == JSON_BOOL) {
        (void)marline__json_read_bool(r, out);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

static enum link_point parse_point(const char *text)
{
    for (int p = LINK_RESULT; p <= LINK_SWEEP; p++) {
        if (strcmp(link_point_name((enum link_point)p), text) == 0) {
            return (enum link_point)p;
        }
    }
    return LINK_NONE;
}

static void read_point(struct json_reader *r, enum link_point *out)
{
    char text[FACT_ID_SIZE] = "";
    read_text(r, text, sizeof text);
    *out = parse_point(text);
}

/* ---- greeting ---- */

bool backend_api_greet(struct backend_api *api, struct failure *f)
{
    int64_t ignored;
    return request(api, "GET", "/health", SLICE_EMPTY, f) &&
           backend_api_count_stray(api, &ignored, f);
}

static void read_ledger_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "without_context")) {
        read_number(r, user);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

bool backend_api_count_stray(struct backend_api *api, int64_t *out, struct failure *f)
{
    double count = 0;
    if (!ask(api, "GET", "/mock/ledger", SLICE_EMPTY, f) ||
        !read_answer(api, read_ledger_member, &count, f)) {
        return false;
    }
    *out = (int64_t)count;
    return true;
}

/* ---- runs ---- */

static uint64_t test_timeout_ms(const struct facts *facts)
{
    return (uint64_t)(scenario_end(facts->scenario) * facts->interval_ms) + TEST_TIMEOUT_MARGIN_MS;
}

static void write_run(struct backend_api *api, const struct facts *facts, const char *inputs,
                      struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "project_id", api->connection->project_id);
    marline__json_member_text(&w, "environment", api->connection->environment);
    marline__json_member_int(&w, "concurrency", (int64_t)facts->scenario->test_count);
    marline__json_key(&w, "tests");
    marline__json_begin_array(&w);
    for (size_t i = 0; i < facts->scenario->test_count; i++) {
        marline__json_begin_object(&w);
        marline__json_member_text(&w, "function_name", facts->tests[i].probe->endpoint);
        marline__json_member_raw(&w, "inputs", marline__slice_text(inputs));
        marline__json_member_int(&w, "timeout_ms", (int64_t)test_timeout_ms(facts));
        marline__json_end_object(&w);
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    must_buffer(out);
}

static void read_run_id_member(struct json_reader *r, struct slice key, void *user)
{
    struct facts *facts = user;
    if (marline__json_key_is(key, "test_run_id")) {
        read_text(r, facts->run_id, sizeof facts->run_id);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

bool backend_api_start_run(struct backend_api *api, struct facts *facts, const char *inputs,
                           struct failure *f)
{
    struct buffer body = BUFFER_INIT;
    write_run(api, facts, inputs, &body);
    bool ok = ask(api, "POST", "/mock/runs", marline__buffer_slice(&body), f) &&
              read_answer(api, read_run_id_member, facts, f);
    marline__buffer_deinit(&body);
    if (ok && !*facts->run_id) {
        return failure_set(f, EXIT_CODE_UNREACHABLE, "the backend named no test_run_id at %s",
                           api->url.data);
    }
    return ok;
}

struct run_reader {
    struct facts *facts;
    size_t next; /* results come in the order of the tests */
};

static void read_result_member(struct json_reader *r, struct slice key, void *user)
{
    struct test_fact *t = user;
    if (marline__json_key_is(key, "test_id")) {
        read_text(r, t->test_id, sizeof t->test_id);
    } else if (marline__json_key_is(key, "test_configuration_id")) {
        read_text(r, t->configuration_id, sizeof t->configuration_id);
    } else if (marline__json_key_is(key, "test_result_id")) {
        read_text(r, t->result_id, sizeof t->result_id);
    } else if (marline__json_key_is(key, "status")) {
        read_text(r, t->status, sizeof t->status);
    } else if (marline__json_key_is(key, "error")) {
        read_text(r, t->error, sizeof t->error);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

static void read_result(struct json_reader *r, void *user)
{
    struct run_reader *reader = user;
    if (reader->next < reader->facts->scenario->test_count) {
        each_member(r, read_result_member, &reader->facts->tests[reader->next++]);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

static void read_run_member(struct json_reader *r, struct slice key, void *user)
{
    struct run_reader *reader = user;
    if (marline__json_key_is(key, "status")) {
        read_text(r, reader->facts->run_status, sizeof reader->facts->run_status);
    } else if (marline__json_key_is(key, "results")) {
        each_object(r, read_result, reader);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

static bool ask_about_run(struct backend_api *api, const struct facts *facts, const char *suffix,
                          struct failure *f)
{
    char path[FACT_ID_SIZE + 64];
    (void)snprintf(path, sizeof path, "/mock/runs/%s%s", facts->run_id, suffix);
    return ask(api, "GET", path, SLICE_EMPTY, f);
}

bool backend_api_read_run(struct backend_api *api, struct facts *facts, struct failure *f)
{
    struct run_reader reader = {facts, 0};
    return ask_about_run(api, facts, "", f) && read_answer(api, read_run_member, &reader, f);
}

/* ---- spans ---- */

struct stored_span {
    struct span_fact fact;
    char test_id[FACT_ID_SIZE];
    char configuration_id[FACT_ID_SIZE];
};

static void read_span_member(struct json_reader *r, struct slice key, void *user)
{
    struct stored_span *s = user;
    if (marline__json_key_is(key, "trace_id")) {
        read_text(r, s->fact.trace_id, sizeof s->fact.trace_id);
    } else if (marline__json_key_is(key, "span_id")) {
        read_text(r, s->fact.span_id, sizeof s->fact.span_id);
    } else if (marline__json_key_is(key, "span_name")) {
        read_text(r, s->fact.name, sizeof s->fact.name);
    } else if (marline__json_key_is(key, "test_id")) {
        read_text(r, s->test_id, sizeof s->test_id);
    } else if (marline__json_key_is(key, "test_configuration_id")) {
        read_text(r, s->configuration_id, sizeof s->configuration_id);
    } else if (marline__json_key_is(key, "test_result_id")) {
        read_text(r, s->fact.result_id, sizeof s->fact.result_id);
    } else if (marline__json_key_is(key, "link_source")) {
        read_point(r, &s->fact.linked_by);
    } else if (marline__json_key_is(key, "stored_at_ms")) {
        read_number(r, &s->fact.stored_at_ms);
    } else if (marline__json_key_is(key, "post_id")) {
        read_text(r, s->fact.post_id, sizeof s->fact.post_id);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

static void read_span(struct json_reader *r, void *user)
{
    struct facts *facts = user;
    struct stored_span stored = {0};
    each_member(r, read_span_member, &stored);
    struct span_fact *s = facts_find_span(facts, stored.fact.trace_id, stored.fact.span_id);
    int test = facts_find_test(facts, stored.test_id, stored.configuration_id);
    if (!s) {
        s = facts_add_span(facts);
        *s = stored.fact;
        s->test = test == NO_TEST ? 0 : (size_t)test;
    }
    s->is_stored = true;
    s->linked_by = stored.fact.linked_by;
    s->stored_at_ms = stored.fact.stored_at_ms;
    memcpy(s->result_id, stored.fact.result_id, sizeof s->result_id);
    memcpy(s->post_id, stored.fact.post_id, sizeof s->post_id);
}

static void read_spans_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "spans")) {
        each_object(r, read_span, user);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

bool backend_api_read_spans(struct backend_api *api, struct facts *facts, struct failure *f)
{
    return ask_about_run(api, facts, "/spans", f) && read_answer(api, read_spans_member, facts, f);
}

/* ---- timeline ---- */

static enum event_type parse_event_type(const char *text)
{
    static const char *const names[] = {"run_started",   "invoked",      "result_received",
                                        "result_stored", "spans_stored", "link_attempt",
                                        "run_finished"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            return (enum event_type)i;
        }
    }
    return EVENT_OTHER;
}

struct read_event {
    struct event_fact fact;
    char test_id[FACT_ID_SIZE];
};

static void read_count_member(struct json_reader *r, struct slice key, struct event_fact *e)
{
    if (marline__json_key_is(key, "spans_found")) {
        read_count(r, &e->spans_found);
    } else if (marline__json_key_is(key, "linked")) {
        read_count(r, &e->linked);
    } else if (marline__json_key_is(key, "spans")) {
        read_count(r, &e->spans);
    } else if (marline__json_key_is(key, "post_spans")) {
        read_count(r, &e->post_spans);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

static void read_event_member(struct json_reader *r, struct slice key, void *user)
{
    struct read_event *e = user;
    if (marline__json_key_is(key, "at_ms")) {
        read_number(r, &e->fact.at_ms);
    } else if (marline__json_key_is(key, "type")) {
        read_text(r, e->fact.type_text, sizeof e->fact.type_text);
    } else if (marline__json_key_is(key, "test_id")) {
        read_text(r, e->test_id, sizeof e->test_id);
    } else if (marline__json_key_is(key, "point")) {
        read_point(r, &e->fact.point);
    } else if (marline__json_key_is(key, "result_found")) {
        read_flag(r, &e->fact.result_found);
    } else if (marline__json_key_is(key, "post_id")) {
        read_text(r, e->fact.post_id, sizeof e->fact.post_id);
    } else if (marline__json_key_is(key, "status") || marline__json_key_is(key, "error")) {
        read_text(r, e->fact.text, sizeof e->fact.text);
    } else {
        read_count_member(r, key, &e->fact);
    }
}

static void read_event(struct json_reader *r, void *user)
{
    struct facts *facts = user;
    struct read_event e = {0};
    each_member(r, read_event_member, &e);
    e.fact.type = parse_event_type(e.fact.type_text);
    e.fact.test = facts_find_test(facts, e.test_id, NULL);
    *facts_add_event(facts) = e.fact;
}

static void read_timeline_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "events")) {
        each_object(r, read_event, user);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

bool backend_api_read_timeline(struct backend_api *api, struct facts *facts, struct failure *f)
{
    facts->event_count = 0;
    return ask_about_run(api, facts, "/timeline", f) &&
           read_answer(api, read_timeline_member, facts, f);
}

/* ---- gates ---- */

bool backend_api_set_gates(struct backend_api *api, bool are_shut, struct failure *f)
{
    struct slice shut = SLICE(
        "{\"result.store\":true,\"result.link\":true,\"spans.store\":true,\"spans.link\":true}");
    struct slice open = SLICE("{\"result.store\":false,\"result.link\":false,\"spans.store\":false,"
                              "\"spans.link\":false}");
    return ask(api, "PUT", "/mock/gates", are_shut ? shut : open, f);
}

static void read_gate_member(struct json_reader *r, struct slice key, void *user)
{
    struct gate_state *state = user;
    if (marline__json_key_is(key, "waiting")) {
        read_count(r, &state->waiting);
    } else if (marline__json_key_is(key, "committed")) {
        read_count(r, &state->committed);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

struct gate_query {
    const char *step;
    struct gate_state *out;
};

static void read_gates_member(struct json_reader *r, struct slice key, void *user)
{
    struct gate_query *q = user;
    if (marline__json_key_is(key, q->step)) {
        each_member(r, read_gate_member, q->out);
    } else {
        (void)marline__json_skip(r, NULL);
    }
}

bool backend_api_read_gate(struct backend_api *api, const char *step, struct gate_state *out,
                           struct failure *f)
{
    struct gate_query query = {step, out};
    return ask(api, "GET", "/mock/gates", SLICE_EMPTY, f) &&
           read_answer(api, read_gates_member, &query, f);
}

bool backend_api_release(struct backend_api *api, const char *step, struct failure *f)
{
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "step", step);
    marline__json_end_object(&w);
    must_buffer(&body);
    bool ok = ask(api, "POST", "/mock/gates/release", marline__buffer_slice(&body), f);
    marline__buffer_deinit(&body);
    return ok;
}
