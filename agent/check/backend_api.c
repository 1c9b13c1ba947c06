/* What `check` asks of the backend over REST. */
#include "agent/check/backend_api.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/check/backend_ops.h"
#include "programs/must.h"
#include "wire/json_writer.h"

enum { LIST_LIMIT = 1000 };

struct backend_api *backend_api_create(const struct connection *connection)
{
    struct backend_api *api = must_zeroed(sizeof *api);
    api->rest = rest_create(connection);
    api->ops = &backend_ops_mock;
    return api;
}

void backend_api_destroy(struct backend_api *api)
{
    if (api) {
        rest_destroy(api->rest);
        marline__memory_free(api);
    }
}

/* ---- greeting ---- */

static bool greet_platform(struct backend_api *api, struct failure *f)
{
    char path[FACT_ID_SIZE + 32];
    (void)snprintf(path, sizeof path, "/projects/%s", rest_connection(api->rest)->project_id);
    api->ops = &backend_ops_platform;
    return rest_ask(api->rest, "GET", path, SLICE_EMPTY, f);
}

bool backend_api_greet(struct backend_api *api, struct failure *f)
{
    if (!rest_try(api->rest, "GET", "/health", SLICE_EMPTY, f)) {
        return false;
    }
    int status = rest_try(api->rest, "GET", "/mock/ledger", SLICE_EMPTY, f);
    if (status == 404 || status == 403) { /* no such routes, or not for callers from afar */
        return greet_platform(api, f);
    }
    return status && ((status >= 200 && status < 300) || rest_refuse(api->rest, f));
}

bool backend_api_is_mock(const struct backend_api *api)
{
    return api->ops == &backend_ops_mock;
}

/* ---- what differs ---- */

bool backend_api_start_run(struct backend_api *api, struct facts *facts, size_t base,
                           struct failure *f)
{
    return api->ops->start_run(api, facts, base, f);
}

bool backend_api_read_run(struct backend_api *api, struct facts *facts, struct failure *f)
{
    return api->ops->read_run(api, facts, f);
}

bool backend_api_read_spans(struct backend_api *api, struct facts *facts, struct failure *f)
{
    return api->ops->read_spans(api, facts, f);
}

bool backend_api_read_timeline(struct backend_api *api, struct facts *facts, struct failure *f)
{
    return api->ops->read_timeline(api, facts, f);
}

/* ---- what does not ---- */

static void read_run_id_member(struct json_reader *r, struct slice key, void *user)
{
    struct facts *facts = user;
    if (marline__json_key_is(key, "test_run_id")) {
        answer_text(r, facts->run_id, sizeof facts->run_id);
    } else {
        answer_skip(r);
    }
}

bool backend_post_run(struct backend_api *api, const char *path, struct slice body,
                      struct facts *facts, struct failure *f)
{
    if (!rest_ask(api->rest, "POST", path, body, f) ||
        !rest_read(api->rest, read_run_id_member, facts, f)) {
        return false;
    }
    return *facts->run_id ||
           failure_set(f, EXIT_CODE_UNREACHABLE, "the backend named no test_run_id at %s", path);
}

struct span_row {
    char trace_id[FACT_ID_SIZE];
    char result_id[FACT_ID_SIZE];
};

static void read_row_member(struct json_reader *r, struct slice key, void *user)
{
    struct span_row *row = user;
    if (marline__json_key_is(key, "trace_id")) {
        answer_text(r, row->trace_id, sizeof row->trace_id);
    } else if (marline__json_key_is(key, "test_result_id")) {
        answer_text(r, row->result_id, sizeof row->result_id);
    } else {
        answer_skip(r);
    }
}

/* The next span of the row's trace that is not ticked off yet. */
static void read_row(struct json_reader *r, void *user)
{
    struct facts *facts = user;
    struct span_row row = {0};
    answer_each_member(r, read_row_member, &row);
    for (size_t i = 0; i < facts->span_count; i++) {
        struct span_fact *s = &facts->spans[i];
        if (!s->is_stored && strcasecmp(s->trace_id, row.trace_id) == 0) {
            s->is_stored = true;
            memcpy(s->result_id, row.result_id, sizeof s->result_id);
            return;
        }
    }
}

static void read_rows_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "traces")) {
        answer_each_object(r, read_row, user);
    } else {
        answer_skip(r);
    }
}

bool backend_list_spans(struct backend_api *api, struct facts *facts, struct failure *f)
{
    char path[3 * FACT_ID_SIZE + 128];
    (void)snprintf(path, sizeof path,
                   "/telemetry/traces?project_id=%s&test_run_id=%s&root_spans_only=false&limit=%d",
                   rest_connection(api->rest)->project_id, facts->run_id, LIST_LIMIT);
    for (size_t i = 0; i < facts->span_count; i++) {
        facts->spans[i].is_stored = false;
        facts->spans[i].result_id[0] = '\0';
    }
    return rest_get(api->rest, path, read_rows_member, facts, f);
}

/* ---- one trace ---- */

struct trace_reader {
    bool has_result;
    bool is_enriched;
    double enriched_at_ms;
};

static void read_trace_member(struct json_reader *r, struct slice key, void *user)
{
    struct trace_reader *t = user;
    t->has_result |=
        marline__json_key_is(key, "test_result") && marline__json_peek(r) == JSON_OBJECT;
    t->is_enriched |=
        marline__json_key_is(key, "enriched_data") && marline__json_peek(r) == JSON_OBJECT;
    if (marline__json_key_is(key, "enriched_at_ms")) {
        answer_number(r, &t->enriched_at_ms);
    } else {
        answer_skip(r);
    }
}

/* False after a failure; `*out_is_stored` is false where the backend does not know the trace. */
static bool read_trace(struct backend_api *api, const char *trace_id, struct trace_reader *out,
                       bool *out_is_stored, struct failure *f)
{
    char path[3 * FACT_ID_SIZE];
    (void)snprintf(path, sizeof path, "/telemetry/traces/%s?project_id=%s", trace_id,
                   rest_connection(api->rest)->project_id);
    int status = rest_try(api->rest, "GET", path, SLICE_EMPTY, f);
    *out = (struct trace_reader){0};
    *out_is_stored = status == 200;
    if (status == 200) {
        return rest_read(api->rest, read_trace_member, out, f);
    }
    return status == 404 || (status && rest_refuse(api->rest, f));
}

bool backend_api_read_stray(struct backend_api *api, struct facts *facts, struct failure *f)
{
    struct trace_reader trace;
    bool is_stored = false;
    bool ok = read_trace(api, facts->stray_trace_id, &trace, &is_stored, f);
    facts->stray_is_stored = ok && is_stored && !trace.has_result;
    return ok;
}

bool backend_api_query_trace(struct backend_api *api, struct facts *facts, struct failure *f)
{
    struct trace_reader trace;
    bool is_stored = false;
    size_t i = 0;
    while (i < facts->span_count && !facts->spans[i].is_stored) {
        i++;
    }
    if (i == facts->span_count) {
        return true;
    }
    bool ok = read_trace(api, facts->spans[i].trace_id, &trace, &is_stored, f);
    facts->query_ms = rest_duration_ms(api->rest);
    facts->is_enriched = ok && trace.is_enriched;
    facts->enriched_at_ms = ok ? trace.enriched_at_ms : 0;
    return ok;
}

/* ---- spans without a result ---- */

static void read_verdict_member(struct json_reader *r, struct slice key, void *user)
{
    struct facts *facts = user;
    if (marline__json_key_is(key, "verdict")) {
        answer_text(r, facts->verdict, sizeof facts->verdict);
    } else {
        answer_skip(r);
    }
}

static void read_group(struct json_reader *r, void *user)
{
    answer_each_member(r, read_verdict_member, user);
}

static void read_groups_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "groups")) {
        answer_each_object(r, read_group, user);
    } else {
        answer_skip(r);
    }
}

static bool read_verdict(struct backend_api *api, struct facts *facts, struct failure *f)
{
    char path[2 * FACT_ID_SIZE];
    (void)snprintf(path, sizeof path, "/mock/links/%s", facts->spans[0].trace_id);
    int status = rest_try(api->rest, "GET", path, SLICE_EMPTY, f);
    if (status == 404) {
        return true; /* not stored yet */
    }
    return status && (status == 200 ? rest_read(api->rest, read_groups_member, facts, f)
                                    : rest_refuse(api->rest, f));
}

bool backend_api_read_orphans(struct backend_api *api, struct facts *facts, struct failure *f)
{
    return backend_list_spans(api, facts, f) &&
           (!backend_api_is_mock(api) || facts->span_count == 0 || read_verdict(api, facts, f));
}

/* ---- ledger and faults ---- */

static void read_ledger_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "duplicate")) {
        answer_count(r, user);
    } else {
        answer_skip(r);
    }
}

bool backend_api_count_duplicates(struct backend_api *api, uint64_t *out, struct failure *f)
{
    *out = 0;
    return rest_get(api->rest, "/mock/ledger", read_ledger_member, out, f);
}

bool backend_api_add_fault(struct backend_api *api, const char *rule, struct failure *f)
{
    return rest_ask(api->rest, "POST", "/mock/faults", marline__slice_text(rule), f);
}

static void read_fault_member(struct json_reader *r, struct slice key, void *user)
{
    struct fault_counts *counts = user;
    uint64_t hits = 0;
    if (marline__json_key_is(key, "hits")) {
        answer_count(r, &hits);
        counts->hits += hits;
    } else {
        answer_skip(r);
    }
}

static void read_fault(struct json_reader *r, void *user)
{
    struct fault_counts *counts = user;
    counts->rules++;
    answer_each_member(r, read_fault_member, counts);
}

static void read_faults_member(struct json_reader *r, struct slice key, void *user)
{
    if (marline__json_key_is(key, "faults")) {
        answer_each_object(r, read_fault, user);
    } else {
        answer_skip(r);
    }
}

bool backend_api_count_faults(struct backend_api *api, struct fault_counts *out, struct failure *f)
{
    *out = (struct fault_counts){0};
    return rest_get(api->rest, "/mock/faults", read_faults_member, out, f);
}

bool backend_api_clear_faults(struct backend_api *api, struct failure *f)
{
    return rest_ask(api->rest, "DELETE", "/mock/faults", SLICE_EMPTY, f);
}

/* ---- gates ---- */

bool backend_api_set_gates(struct backend_api *api, bool are_shut, struct failure *f)
{
    struct slice shut = SLICE(
        "{\"result.store\":true,\"result.link\":true,\"spans.store\":true,\"spans.link\":true}");
    struct slice open = SLICE("{\"result.store\":false,\"result.link\":false,\"spans.store\":false,"
                              "\"spans.link\":false}");
    return rest_ask(api->rest, "PUT", "/mock/gates", are_shut ? shut : open, f);
}

static void read_gate_member(struct json_reader *r, struct slice key, void *user)
{
    struct gate_state *state = user;
    if (marline__json_key_is(key, "waiting")) {
        answer_count(r, &state->waiting);
    } else if (marline__json_key_is(key, "committed")) {
        answer_count(r, &state->committed);
    } else {
        answer_skip(r);
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
        answer_each_member(r, read_gate_member, q->out);
    } else {
        answer_skip(r);
    }
}

bool backend_api_read_gate(struct backend_api *api, const char *step, struct gate_state *out,
                           struct failure *f)
{
    struct gate_query query = {step, out};
    return rest_ask(api->rest, "GET", "/mock/gates", SLICE_EMPTY, f) &&
           rest_read(api->rest, read_gates_member, &query, f);
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
    bool ok = rest_ask(api->rest, "POST", "/mock/gates/release", marline__buffer_slice(&body), f);
    marline__buffer_deinit(&body);
    return ok;
}
