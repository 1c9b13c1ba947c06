/* Reading traces: wire-protocol §8.2 to §8.4, and why a trace is linked or not. */
#include <stdio.h>

#include "base/hex.h"
#include "base/time_text.h"
#include "core/alloc.h"
#include "core/figures.h"
#include "core/json_member.h"
#include "core/span_facts.h"
#include "core/trace_turns.h"
#include "core/trace_view.h"
#include "http/routes.h"
#include "hub/enricher.h"
#include "wire/json_reader.h"

enum { PAGE_DEFAULT = 100, PAGE_MAX = 1000, OFFSET_MAX = UINT32_MAX };

/* Rows are valid during their visit only: their texts go here, to stay until the answer is built.
 */
struct text_pool {
    struct pooled {
        struct pooled *next;
        char bytes[];
    } * first;
};

static struct slice pool_text(struct text_pool *pool, struct slice text)
{
    if (!text.data) {
        return text;
    }
    struct pooled *p = alloc_zeroed(sizeof(*p) + text.size + 1);
    memcpy(p->bytes, text.data, text.size);
    p->next = pool->first;
    pool->first = p;
    return (struct slice){p->bytes, text.size};
}

static void free_pool(struct text_pool *pool)
{
    while (pool->first) {
        struct pooled *next = pool->first->next;
        marline__memory_free(pool->first);
        pool->first = next;
    }
}

/* ---- query parameters ---- */

/* Each reads one parameter, if it is there; false when it has answered. */
static bool query_time(struct http_request *r, const char *name, uint64_t *out)
{
    struct slice text = http_request_query(r, name);
    enum time_zone_kind kind;
    if (text.size && !marline__time_parse(text, out, &kind)) {
        http_answer_detail(r, 422, "%s must be a time such as 2026-01-01T00:00:00Z", name);
        return false;
    }
    return true;
}

static bool query_milliseconds(struct http_request *r, const char *name, bool *out_has,
                               uint64_t *out_ns)
{
    struct slice text = http_request_query(r, name);
    if (!text.size) {
        return true;
    }
    struct json_reader reader;
    double ms = 0;
    marline__json_reader_init(&reader, text, JSON_STRICT);
    if (!marline__json_read_double(&reader, &ms) || !marline__json_finish(&reader) || ms < 0 ||
        ms > 1e12) {
        http_answer_detail(r, 422, "%s must be a number of milliseconds", name);
        return false;
    }
    *out_has = true;
    *out_ns = (uint64_t)(ms * 1e6);
    return true;
}

/* The platform answers 500 to a malformed id, by mistake (§8.2); so does this. */
static bool query_uuid(struct http_request *r, const char *name, struct uuid *out)
{
    struct slice text = http_request_query(r, name);
    if (text.size && !marline__uuid_parse(text, out)) {
        http_answer_failure(r, 500, "a query parameter is no UUID");
        return false;
    }
    return true;
}

/* Sets *out to the index of the word in `words` (ended by NULL); false when it has answered. */
static bool query_word(struct http_request *r, const char *name, const char *const *words, int *out)
{
    struct slice text = http_request_query(r, name);
    for (int i = 0; text.size && words[i]; i++) {
        if (marline__slice_is(text, words[i])) {
            *out = i;
            return true;
        }
    }
    if (text.size) {
        http_answer_detail(r, 422, "%s has no such value", name);
        return false;
    }
    return true;
}

static bool query_status(struct http_request *r, struct store_trace_filter *filter)
{
    static const char *const words[] = {"UNSET", "OK", "ERROR", NULL};
    int status = -1;
    if (!query_word(r, "status_code", words, &status)) {
        return false;
    }
    filter->has_status = status >= 0;
    filter->status = (uint8_t)(status >= 0 ? status : 0);
    return true;
}

static bool query_source_and_turns(struct http_request *r, struct store_trace_filter *filter)
{
    static const char *const sources[] = {"all", "test", "operation", NULL};
    static const char *const turns[] = {"all",         "Single-Turn", "Multi-Turn",
                                        "single_turn", "multi_turn",  NULL};
    static const enum trace_turns meaning[] = {TRACE_TURNS_ALL, TRACE_TURNS_SINGLE,
                                               TRACE_TURNS_MULTI, TRACE_TURNS_SINGLE,
                                               TRACE_TURNS_MULTI};
    int source = 0;
    int turn = 0;
    if (!query_word(r, "trace_source", sources, &source) ||
        !query_word(r, "trace_type", turns, &turn)) {
        return false;
    }
    filter->source = (enum trace_source)source;
    filter->turns = meaning[turn];
    return true;
}

static bool query_roots_only(struct http_request *r, struct store_trace_filter *filter)
{
    static const char *const words[] = {"true", "false", "1", "0", "True", "False", NULL};
    int word = 0;
    if (!query_word(r, "root_spans_only", words, &word)) {
        return false;
    }
    filter->all_spans = word % 2 == 1;
    return true;
}

static bool read_filter(struct http_request *r, struct store_trace_filter *filter)
{
    *filter = (struct store_trace_filter){.limit = PAGE_DEFAULT};
    filter->environment = http_request_query(r, "environment");
    filter->conversation_id = http_request_query(r, "conversation_id");
    filter->span_name = http_request_query(r, "span_name");
    filter->search = http_request_query(r, "search");
    filter->text = http_request_query(r, "q");
    return query_status(r, filter) && query_source_and_turns(r, filter) &&
           query_roots_only(r, filter) &&
           query_time(r, "start_time_after", &filter->start_after_unix_ns) &&
           query_time(r, "start_time_before", &filter->start_before_unix_ns) &&
           query_milliseconds(r, "duration_min_ms", &filter->has_duration_min,
                              &filter->duration_min_ns) &&
           query_milliseconds(r, "duration_max_ms", &filter->has_duration_max,
                              &filter->duration_max_ns) &&
           query_uuid(r, "test_run_id", &filter->run_id) &&
           query_uuid(r, "test_result_id", &filter->result_id) &&
           query_uuid(r, "test_id", &filter->test_id) &&
           routes_query_unsigned(r, "limit", 1, PAGE_MAX, &filter->limit) &&
           routes_query_unsigned(r, "offset", 0, OFFSET_MAX, &filter->offset);
}

/* ---- the list ---- */

struct trace_list {
    struct text_pool pool;
    struct trace_summary rows[PAGE_MAX];
    size_t count;
};

static void add_summary(void *user, const struct store_trace_row *row)
{
    struct trace_list *list = user;
    if (list->count == PAGE_MAX) {
        return;
    }
    struct trace_summary *s = &list->rows[list->count++];
    *s = (struct trace_summary){.project_id = row->project_id,
                                .environment = pool_text(&list->pool, row->environment),
                                .conversation_id = pool_text(&list->pool, row->conversation_id),
                                .start_unix_ns = row->start_unix_ns,
                                .duration_ns = row->duration_ns,
                                .root_operation = pool_text(&list->pool, row->name),
                                .status = row->status,
                                .attributes = pool_text(&list->pool, row->attributes),
                                .span_count = row->span_count,
                                .total_cost_usd = row->cost_usd,
                                .total_cost_eur = row->cost_eur,
                                .test_run_id = row->run_id,
                                .test_result_id = row->result_id,
                                .test_id = row->test_id};
    memcpy(s->trace_id, row->trace_id, sizeof(s->trace_id));
}

static void answer_list(struct http_request *r, const struct store_scope *scope,
                        const struct store_trace_filter *filter)
{
    struct trace_list *list = alloc_zeroed(sizeof(*list));
    struct store_error error;
    uint64_t total = 0;
    enum store_status status = store_list_traces(http_request_server(r)->store, scope, filter,
                                                 &total, add_summary, list, &error);
    if (status == STORE_INVALID) {
        http_answer_detail(r, 422, "q: %s", error.text);
    } else if (status != STORE_OK) {
        routes_answer_store_error(r, &error, NULL);
    } else {
        struct trace_page page = {.traces = list->rows,
                                  .count = list->count,
                                  .total = total,
                                  .limit = filter->limit,
                                  .offset = filter->offset};
        struct buffer body = BUFFER_INIT;
        (void)trace_list_write(&page, &body);
        http_answer_json(r, 200, &body);
    }
    free_pool(&list->pool);
    marline__memory_free(list);
}

static void get_traces(struct http_request *r)
{
    struct store_scope scope;
    struct store_trace_filter filter;
    if (routes_read_scope_of_query(r, &scope) && read_filter(r, &filter)) {
        answer_list(r, &scope, &filter);
    }
}

/* GET /test_runs/{id}/traces: the same list, for one run. */
static void get_run_traces(struct http_request *r)
{
    struct store_scope scope;
    struct store_trace_filter filter;
    if (!routes_read_scope(r, &scope) || !read_filter(r, &filter)) {
        return;
    }
    if (!marline__uuid_parse(http_request_parameter(r, 0), &filter.run_id)) {
        http_answer_detail(r, 404, "Test Run not found");
        return;
    }
    answer_list(r, &scope, &filter);
}

/* ---- the detail ---- */

struct trace_read {
    struct text_pool pool;
    struct trace_span *spans;
    size_t count;
    size_t capacity;
    struct trace_back_link *back;
    size_t back_count;
    size_t back_capacity;
    struct trace_turn *turns;
    size_t turn_count;
    size_t turn_capacity;
    uint8_t trace_id[16];
    struct slice enriched;
    uint64_t enriched_unix_ns;
    double cost_usd;
    size_t total_spans;
    uint64_t declared;
    uint64_t declared_found; /* of the invocation's own spans */
    bool has_first;
    uint64_t after_ns; /* the window; 0 = open */
    uint64_t before_ns;
    struct uuid project_id;
    /* of the earliest span */
    bool has_key;
    struct link_key key;
    bool has_result;
    struct uuid result_id;
};

static void read_head(void *user, const struct store_trace_head *head)
{
    struct trace_read *t = user;
    t->enriched = pool_text(&t->pool, head->enriched);
    t->enriched_unix_ns = head->enriched_unix_ns;
    t->cost_usd = head->cost_usd;
    t->total_spans = head->span_count;
}

static bool in_window(const struct trace_read *t, uint64_t start_ns)
{
    return start_ns >= t->after_ns && (t->before_ns == 0 || start_ns <= t->before_ns);
}

static void note_context(struct trace_read *t, const struct store_span_detail *row)
{
    if (row->declared_span_count > t->declared) {
        t->declared = row->declared_span_count;
    }
    t->declared_found += row->has_result && !row->inherited;
    if (!t->has_first) {
        t->has_first = true;
        t->project_id = row->project_id;
        t->has_key = row->has_key;
        t->key = row->key;
        t->has_result = row->has_result;
        t->result_id = row->result_id;
    }
}

static void read_span(void *user, const struct store_span_detail *row)
{
    struct trace_read *t = user;
    note_context(t, row);
    if (!in_window(t, row->start_unix_ns)) {
        return;
    }
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 32;
        t->spans = alloc_resize(t->spans, t->capacity * sizeof(*t->spans));
    }
    struct trace_span *span = &t->spans[t->count++];
    *span = (struct trace_span){.id = row->row_id,
                                .has_parent = row->has_parent,
                                .name = pool_text(&t->pool, row->name),
                                .kind = row->kind,
                                .status = row->status,
                                .start_unix_ns = row->start_unix_ns,
                                .end_unix_ns = row->end_unix_ns,
                                .status_message = pool_text(&t->pool, row->status_message),
                                .environment = pool_text(&t->pool, row->environment),
                                .conversation_id = pool_text(&t->pool, row->conversation_id),
                                .attributes = pool_text(&t->pool, row->attributes),
                                .events = pool_text(&t->pool, row->events),
                                .links = pool_text(&t->pool, row->links)};
    memcpy(span->span_id, row->span_id, sizeof(span->span_id));
    memcpy(span->parent_span_id, row->parent_span_id, sizeof(span->parent_span_id));
}

static void add_back_link(struct trace_read *t, const struct store_back_link *row,
                          const uint8_t span_id[8])
{
    if (t->back_count == t->back_capacity) {
        t->back_capacity = t->back_capacity ? t->back_capacity * 2 : 8;
        t->back = alloc_resize(t->back, t->back_capacity * sizeof(*t->back));
    }
    struct trace_back_link *link = &t->back[t->back_count++];
    *link = (struct trace_back_link){.span_name = pool_text(&t->pool, row->name)};
    memcpy(link->trace_id, row->trace_id, sizeof(link->trace_id));
    memcpy(link->span_id, row->span_id, sizeof(link->span_id));
    memcpy(link->linked_span_id, span_id, sizeof(link->linked_span_id));
}

/* Reads one entry of `links`: both ids, where they are well formed. */
static void read_link_ids(struct json_reader *r, uint8_t trace_id[16], uint8_t span_id[8])
{
    struct slice key;
    struct slice text;
    if (marline__json_peek(r) != JSON_OBJECT || !marline__json_enter_object(r)) {
        (void)marline__json_skip(r, NULL);
        return;
    }
    while (marline__json_next_member(r, &key)) {
        bool is_trace = marline__json_key_is(key, "trace_id");
        bool is_span = marline__json_key_is(key, "span_id");
        if ((!is_trace && !is_span) || marline__json_peek(r) != JSON_STRING) {
            (void)marline__json_skip(r, NULL);
        } else if (marline__json_read_raw_string(r, &text)) {
            (void)(is_trace ? marline__hex_decode(text, trace_id, 16)
                            : marline__hex_decode(text, span_id, 8));
        }
    }
}

static void read_back_link(void *user, const struct store_back_link *row)
{
    struct trace_read *t = user;
    struct json_reader r;
    marline__json_reader_init(&r, row->links, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_array(&r);
    while (marline__json_next_element(&r)) {
        uint8_t trace_id[16] = {0};
        uint8_t span_id[8] = {0};
        read_link_ids(&r, trace_id, span_id);
        if (memcmp(trace_id, t->trace_id, sizeof(trace_id)) == 0) {
            add_back_link(t, row, span_id);
        }
    }
}

static void read_turn(void *user, const struct store_turn_row *row)
{
    struct trace_read *t = user;
    if (t->turn_count == t->turn_capacity) {
        t->turn_capacity = t->turn_capacity ? t->turn_capacity * 2 : 8;
        t->turns = alloc_resize(t->turns, t->turn_capacity * sizeof(*t->turns));
    }
    t->turns[t->turn_count++] =
        (struct trace_turn){.conversation_id = pool_text(&t->pool, row->conversation_id),
                            .input = pool_text(&t->pool, row->input),
                            .output = pool_text(&t->pool, row->output),
                            .started_unix_ns = row->started_unix_ns,
                            .ended_unix_ns = row->ended_unix_ns};
}

/* The small objects beside the trace: {"id":…}, empty for none. */
static struct slice id_object(struct text_pool *pool, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    char json[UUID_TEXT_SIZE + 16];
    if (marline__uuid_is_nil(id)) {
        return SLICE_EMPTY;
    }
    marline__uuid_format(id, text);
    int n = snprintf(json, sizeof(json), "{\"id\":\"%s\"}", text);
    return pool_text(pool, (struct slice){json, (size_t)n});
}

/* A reader does not wait for the enricher: what is missing is computed here and now. */
static void enrich_now(struct http_request *r, struct trace_read *t)
{
    struct enriched enriched;
    struct store_error error;
    if (t->enriched.data || enricher_compute(http_request_server(r)->enricher,
                                             &http_request_identity(r)->organization_id,
                                             t->trace_id, &enriched, &error) != STORE_OK) {
        return;
    }
    t->enriched = pool_text(&t->pool, marline__buffer_slice(&enriched.data));
    t->cost_usd = enriched.cost_usd;
    marline__buffer_deinit(&enriched.data);
}

static void answer_detail(struct http_request *r, struct trace_read *t)
{
    static const struct uuid nil;
    struct trace_detail detail = {
        .project_id = t->project_id,
        .spans = t->spans,
        .count = t->count,
        .total_cost_usd = t->cost_usd,
        .project = id_object(&t->pool, &t->project_id),
        .test_run = id_object(&t->pool, t->has_key ? &t->key.run : &nil),
        .test_result = id_object(&t->pool, t->has_result ? &t->result_id : &nil),
        .test = id_object(&t->pool, t->has_key ? &t->key.test : &nil),
        .linked_from = t->back,
        .linked_from_count = t->back_count,
        .enriched_data = t->enriched,
        .enriched_unix_ns = t->enriched_unix_ns,
        .declared_span_count = t->declared,
        .declared_span_found = t->declared_found,
        .cut_by_window = t->count < t->total_spans,
    };
    memcpy(detail.trace_id, t->trace_id, sizeof(detail.trace_id));
    struct buffer body = BUFFER_INIT;
    (void)trace_detail_write(&detail, &body);
    http_answer_json(r, 200, &body);
}

static void answer_trace_not_found(struct http_request *r)
{
    http_answer_detail(r, 404, "Trace %.*s not found", SLICE_ARG(http_request_parameter(r, 0)));
}

static void read_and_answer(struct http_request *r, const struct store_scope *scope,
                            struct trace_read *t)
{
    struct store_trace_visitor visitor = {.head = read_head,
                                          .span = read_span,
                                          .linked_from = read_back_link,
                                          .turn = read_turn,
                                          .user = t};
    struct store_error error;
    enum store_status status =
        store_read_trace(http_request_server(r)->store, scope, t->trace_id, &visitor, &error);
    if (status == STORE_NOT_FOUND || (status == STORE_OK && t->count == 0)) {
        answer_trace_not_found(r);
    } else if (status != STORE_OK) {
        routes_answer_store_error(r, &error, NULL);
    } else {
        enrich_now(r, t);
        trace_turns_apply(t->turns, t->turn_count, t->spans, t->count);
        answer_detail(r, t);
    }
}

static void get_trace(struct http_request *r)
{
    struct trace_read t = {0};
    struct store_scope scope;
    struct slice project = http_request_query(r, "project_id");
    struct uuid ignored;
    if (!project.data) {
        routes_answer_missing_query(r, "project_id");
        return;
    }
    if (!marline__uuid_parse(project, &ignored)) {
        http_answer_failure(r, 500, "project_id is no UUID"); /* as the platform (§8.3) */
        return;
    }
    if (!routes_read_scope_of_query(r, &scope) || !query_time(r, "start_time_after", &t.after_ns) ||
        !query_time(r, "start_time_before", &t.before_ns)) {
        return;
    }
    if (marline__hex_decode(http_request_parameter(r, 0), t.trace_id, sizeof(t.trace_id))) {
        read_and_answer(r, &scope, &t);
    } else {
        answer_trace_not_found(r);
    }
    marline__memory_free(t.spans);
    marline__memory_free(t.back);
    marline__memory_free(t.turns);
    free_pool(&t.pool);
}

/* ---- the metrics ---- */

struct metric_read {
    struct text_pool pool;
    struct trace_metrics metrics;
    size_t capacity;
};

static void read_metric(void *user, const struct store_metric_row *row)
{
    struct metric_read *m = user;
    struct trace_metrics *out = &m->metrics;
    struct span_facts facts;
    if (out->span_count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 1024;
        out->durations_ns = alloc_resize(out->durations_ns, m->capacity * sizeof(uint64_t));
        out->operations = alloc_resize(out->operations, m->capacity * sizeof(*out->operations));
    }
    (void)span_facts_read(row->attributes, &facts);
    out->total_tokens = figure_add(out->total_tokens, facts.tokens_total);
    out->error_count += row->status == 2;
    out->durations_ns[out->span_count] = row->duration_ns;
    out->operations[out->span_count] =
        (struct operation_count){.name = pool_text(&m->pool, facts.operation), .count = 1};
    out->span_count++;
    out->operation_count = out->span_count;
}

static void get_trace_metrics(struct http_request *r)
{
    struct store_scope scope;
    struct store_trace_filter filter;
    struct store_metrics totals;
    struct store_error error;
    struct metric_read m = {0};
    if (!routes_read_scope_of_query(r, &scope) || !read_filter(r, &filter)) {
        return;
    }
    if (store_read_metrics(http_request_server(r)->store, &scope, &filter, &totals, read_metric, &m,
                           &error) != STORE_OK) {
        routes_answer_store_error(r, &error, NULL);
    } else {
        struct buffer body = BUFFER_INIT;
        m.metrics.total_traces = totals.traces;
        m.metrics.total_cost_usd = totals.cost_usd;
        (void)trace_metrics_write(&m.metrics, &body);
        http_answer_json(r, 200, &body);
    }
    marline__memory_free(m.metrics.durations_ns);
    marline__memory_free(m.metrics.operations);
    free_pool(&m.pool);
}

/* ---- why linked or not ---- */

static void write_key(struct json_writer *w, const char *name, const struct link_key *key)
{
    marline__json_key(w, name);
    marline__json_begin_object(w);
    json_member_uuid(w, "test_run_id", &key->run);
    json_member_uuid(w, "test_id", &key->test);
    json_member_uuid(w, "test_configuration_id", &key->configuration);
    if (key->attempt) {
        marline__json_member_int(w, "attempt", key->attempt);
    } else {
        marline__json_member_null(w, "attempt");
    }
    marline__json_end_object(w);
}

static void write_last_attempt(struct json_writer *w, const struct store_link_group *row)
{
    marline__json_member_int(w, "attempts", (int64_t)row->attempts);
    marline__json_key(w, "last_attempt");
    if (row->attempts == 0) {
        marline__json_null(w);
        return;
    }
    marline__json_begin_object(w);
    json_member_time(w, "at", row->last_attempt_unix_ns);
    marline__json_member_text(w, "point", link_point_name(row->last_point));
    if (row->last_error.data) {
        marline__json_member_string(w, "error", row->last_error);
    } else {
        marline__json_member_null(w, "error");
    }
    marline__json_end_object(w);
}

static void write_group(void *user, const struct store_link_group *row)
{
    struct json_writer *w = user;
    marline__json_begin_object(w);
    marline__json_member_text(w, "verdict", link_verdict_name(row->verdict));
    marline__json_member_int(w, "spans", (int64_t)row->spans);
    marline__json_member_int(w, "linked", (int64_t)row->linked);
    marline__json_member_int(w, "inherited", (int64_t)row->inherited);
    if (row->has_key) {
        write_key(w, "key", &row->key);
    } else {
        marline__json_member_null(w, "key");
    }
    if (row->has_result) {
        json_member_uuid(w, "test_result_id", &row->result_id);
    } else {
        marline__json_member_null(w, "test_result_id");
    }
    if (row->has_nearest) {
        write_key(w, "nearest_miss", &row->nearest);
    } else {
        marline__json_member_null(w, "nearest_miss");
    }
    write_last_attempt(w, row);
    marline__json_end_object(w);
}

static void get_links(struct http_request *r)
{
    uint8_t trace_id[16];
    struct slice text = http_request_parameter(r, 0);
    if (!marline__hex_decode(text, trace_id, sizeof(trace_id))) {
        answer_trace_not_found(r);
        return;
    }
    struct store_scope scope = routes_scope(r);
    struct store_error error;
    struct buffer body = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &body);
    marline__json_begin_object(&w);
    marline__json_member_string(&w, "trace_id", text);
    marline__json_key(&w, "groups");
    marline__json_begin_array(&w);
    enum store_status status = store_explain_link(http_request_server(r)->store, &scope, trace_id,
                                                  write_group, &w, &error);
    if (status != STORE_OK) {
        marline__buffer_deinit(&body);
        if (status == STORE_NOT_FOUND) {
            answer_trace_not_found(r);
        } else {
            routes_answer_store_error(r, &error, NULL);
        }
        return;
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    http_answer_json(r, 200, &body);
}

const struct route routes_traces[] = {
    {"GET", "/telemetry/traces", ROUTE_KEY, get_traces, "List traces"},
    {"GET", "/telemetry/traces/{trace_id}", ROUTE_KEY, get_trace, "One trace, enriched"},
    {"GET", "/telemetry/metrics", ROUTE_KEY, get_trace_metrics, "Sums and percentiles over spans"},
    {"GET", "/test_runs/{id}/traces", ROUTE_KEY, get_run_traces, "Traces of one run"},
    {"GET", "/mock/links/{trace_id}", ROUTE_KEY, get_links, "Why a trace is linked or not"},
    {0},
};
