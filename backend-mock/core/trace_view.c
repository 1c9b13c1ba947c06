/* Bodies of the trace queries. The nodes of the span tree go to the buffer past the JSON writer of
 * the document, each with a writer of its own: the tree may be deeper than any writer's stack. */
#include "core/trace_view.h"

#include <assert.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/memory.h"
#include "base/time_text.h"
#include "core/figures.h"
#include "core/span_facts.h"
#include "core/span_tree.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { COST_PLACES = 6, RATE_PLACES = 4, DURATION_PLACES = 2, ID_SIZE_MAX = 16, STATUS_ERROR = 2 };
static const double ns_per_ms = 1e6;

/* ---- members ---- */

static void write_id(struct json_writer *w, const char *key, const uint8_t *id, size_t size)
{
    char digits[2 * ID_SIZE_MAX];
    marline__hex_encode(id, size, digits);
    marline__json_member_string(w, key, (struct slice){digits, 2 * size});
}

static void write_uuid(struct json_writer *w, const char *key, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    marline__uuid_format(id, text);
    marline__json_member_text(w, key, marline__uuid_is_nil(id) ? NULL : text);
}

static void write_text_or_null(struct json_writer *w, const char *key, struct slice text)
{
    if (text.data) {
        marline__json_member_string(w, key, text);
    } else {
        marline__json_member_null(w, key);
    }
}

static void write_count(struct json_writer *w, const char *key, uint64_t value)
{
    marline__json_key(w, key);
    marline__json_unsigned(w, value);
}

static void write_time(struct json_writer *w, const char *key, uint64_t unix_ns)
{
    char text[TIME_TEXT_SIZE];
    marline__time_format(unix_ns, text);
    marline__json_member_text(w, key, text);
}

/* A peer's clock may have gone back. */
static uint64_t elapsed(uint64_t start_unix_ns, uint64_t end_unix_ns)
{
    return end_unix_ns > start_unix_ns ? end_unix_ns - start_unix_ns : 0;
}

static void write_duration(struct json_writer *w, uint64_t duration_ns)
{
    marline__json_member_double(w, "duration_ms", (double)duration_ns / ns_per_ms);
}

static void write_status(struct json_writer *w, uint8_t status)
{
    static const char *const names[] = {"UNSET", "OK", "ERROR"};
    assert(status <= STATUS_ERROR);
    marline__json_member_text(w, "status_code", names[status]);
}

static void write_json(struct json_writer *w, const char *key, struct slice json,
                       struct slice empty)
{
    bool good = json.size == 0 || marline__json_is_valid(json, JSON_STRICT);
    marline__json_member_raw(w, key, json.size == 0 ? empty : (good ? json : SLICE_EMPTY));
}

static void write_cost_or_null(struct json_writer *w, const char *key, double cost)
{
    double shown = figure_round(cost, COST_PLACES);
    if (shown > 0) {
        marline__json_member_double(w, key, shown);
    } else {
        marline__json_member_null(w, key);
    }
}

static void write_nulls(struct json_writer *w, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        marline__json_member_null(w, keys[i]);
    }
}

static void begin_list(struct json_writer *w, const char *key)
{
    marline__json_key(w, key);
    marline__json_begin_array(w);
}

/* ---- the list ---- */

/* A raw string of the facts: the quotes around it are still there. */
static struct slice with_quotes(struct slice raw)
{
    return raw.size > 0 ? (struct slice){raw.data - 1, raw.size + 2} : SLICE_EMPTY;
}

static void write_what_ran(struct json_writer *w, const struct trace_summary *trace,
                           const struct span_facts *facts)
{
    write_time(w, "start_time", trace->start_unix_ns);
    write_duration(w, trace->duration_ns);
    write_count(w, "span_count", trace->span_count);
    write_text_or_null(w, "root_operation", trace->root_operation);
    write_status(w, trace->status);
    if (facts->tokens_total > 0) {
        write_count(w, "total_tokens", facts->tokens_total);
    } else {
        marline__json_member_null(w, "total_tokens");
    }
    write_cost_or_null(w, "total_cost_usd", trace->total_cost_usd);
    write_cost_or_null(w, "total_cost_eur", trace->total_cost_eur);
    marline__json_member_bool(w, "has_errors", trace->status == STATUS_ERROR);
}

static void write_summary(struct json_writer *w, const struct trace_summary *trace)
{
    struct span_facts facts;
    (void)span_facts_read(trace->attributes, &facts);
    marline__json_begin_object(w);
    write_id(w, "trace_id", trace->trace_id, sizeof trace->trace_id);
    write_uuid(w, "project_id", &trace->project_id);
    write_text_or_null(w, "environment", trace->environment);
    write_text_or_null(w, "conversation_id", trace->conversation_id);
    marline__json_member_raw(w, "conversation_input", with_quotes(facts.conversation_input));
    write_what_ran(w, trace, &facts);
    write_uuid(w, "test_run_id", &trace->test_run_id);
    write_uuid(w, "test_result_id", &trace->test_result_id);
    write_uuid(w, "test_id", &trace->test_id);
    write_uuid(w, "endpoint_id", &trace->endpoint_id);
    write_text_or_null(w, "endpoint_name", trace->endpoint_name);
    marline__json_member_null(w, "trace_metrics_status");
    marline__json_member_bool(w, "has_reviews", false);
    marline__json_member_null(w, "last_review");
    marline__json_member_null(w, "matches_review");
    marline__json_member_int(w, "tags_count", 0);
    marline__json_member_int(w, "comments_count", 0);
    marline__json_end_object(w);
}

bool trace_list_write(const struct trace_page *page, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    begin_list(&w, "traces");
    for (size_t i = 0; i < page->count; i++) {
        write_summary(&w, &page->traces[i]);
    }
    marline__json_end_array(&w);
    write_count(&w, "total", page->count > 0 ? page->total : 0);
    write_count(&w, "limit", page->limit);
    write_count(&w, "offset", page->offset);
    marline__json_end_object(&w);
    return !out->failed;
}

/* ---- the detail ---- */

static const char *kind_name(uint8_t kind)
{
    static const char *const names[] = {"INTERNAL", "INTERNAL", "SERVER",
                                        "CLIENT",   "PRODUCER", "CONSUMER"};
    assert(kind < sizeof names / sizeof names[0]);
    return names[kind];
}

/* The answer of a turn is shown as the attribute that the platform makes of it (§5.6), unless the
 * span has that already. */
static void write_attributes(struct json_writer *w, const struct trace_span *span)
{
    static const char key[] = "rhesis.conversation.output";
    struct slice own = span->attributes;
    struct json_member present = {0};
    const char *const names[] = {key};
    marline__json_find_members(own, names, 1, &present);
    if (!span->conversation_output.data || own.size == 0 || present.type != JSON_ERROR) {
        write_json(w, "attributes", own, SLICE("{}"));
        return;
    }
    struct json_reader r;
    struct slice raw_key;
    struct slice value;
    marline__json_key(w, "attributes");
    marline__json_begin_object(w);
    marline__json_reader_init(&r, own, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_object(&r);
    while (!r.error && marline__json_next_member(&r, &raw_key) && marline__json_skip(&r, &value)) {
        marline__json_key_raw(w, raw_key);
        marline__json_raw(w, value);
    }
    marline__json_member_string(w, key, span->conversation_output);
    marline__json_end_object(w);
}

/* Leaves the node open, inside its list of children. */
static void open_node(struct buffer *out, const struct trace_span *span)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    write_uuid(&w, "id", &span->id);
    write_id(&w, "span_id", span->span_id, sizeof span->span_id);
    marline__json_member_string(&w, "span_name", span->name);
    marline__json_member_text(&w, "span_kind", kind_name(span->kind));
    write_time(&w, "start_time", span->start_unix_ns);
    write_time(&w, "end_time", span->end_unix_ns);
    write_duration(&w, elapsed(span->start_unix_ns, span->end_unix_ns));
    write_status(&w, span->status);
    write_text_or_null(&w, "status_message", span->status_message);
    write_attributes(&w, span);
    write_json(&w, "events", span->events, SLICE("[]"));
    write_json(&w, "links", span->links, SLICE("[]"));
    marline__json_key(&w, "children");
    marline__buffer_append_byte(out, '[');
}

static void close_node(struct buffer *out)
{
    marline__buffer_append_text(out, "],\"trace_metrics\":null,\"trace_reviews\":null,"
                                     "\"last_review\":null,\"matches_review\":null,"
                                     "\"review_summary\":null,\"tags\":[],\"comments\":[]}");
}

static void write_tree(struct buffer *out, const struct trace_span *spans,
                       const struct span_tree_node *nodes, size_t first_root)
{
    size_t at = first_root;
    while (at != SPAN_TREE_NONE) {
        open_node(out, &spans[nodes[at].row]);
        if (nodes[at].first_child != SPAN_TREE_NONE) {
            at = nodes[at].first_child;
            continue;
        }
        close_node(out);
        while (nodes[at].next == SPAN_TREE_NONE && nodes[at].parent != SPAN_TREE_NONE) {
            at = nodes[at].parent;
            close_node(out);
        }
        at = nodes[at].next;
        if (at != SPAN_TREE_NONE) {
            marline__buffer_append_byte(out, ',');
        }
    }
}

struct trace_sums {
    const struct trace_span *earliest;
    struct slice conversation_id;
    uint64_t end_unix_ns;
    uint64_t error_count;
    uint64_t total_tokens;
};

/* `nodes` are in order of start. */
static struct trace_sums sum_up(const struct trace_detail *detail,
                                const struct span_tree_node *nodes)
{
    struct trace_sums sums = {.earliest = &detail->spans[nodes[0].row]};
    for (size_t i = 0; i < detail->count; i++) {
        const struct trace_span *span = &detail->spans[nodes[i].row];
        struct span_facts facts;
        (void)span_facts_read(span->attributes, &facts);
        sums.total_tokens = figure_add(sums.total_tokens, facts.tokens_total);
        sums.error_count += span->status == STATUS_ERROR;
        if (span->end_unix_ns > sums.end_unix_ns) {
            sums.end_unix_ns = span->end_unix_ns;
        }
        if (!sums.conversation_id.data) {
            sums.conversation_id = span->conversation_id;
        }
    }
    return sums;
}

static void write_trace_head(struct json_writer *w, const struct trace_detail *detail,
                             const struct trace_sums *sums)
{
    uint64_t start_unix_ns = sums->earliest->start_unix_ns;
    write_id(w, "trace_id", detail->trace_id, sizeof detail->trace_id);
    write_uuid(w, "project_id", &detail->project_id);
    write_text_or_null(w, "environment", sums->earliest->environment);
    write_text_or_null(w, "conversation_id", sums->conversation_id);
    write_time(w, "start_time", start_unix_ns);
    write_time(w, "end_time", sums->end_unix_ns);
    write_duration(w, elapsed(start_unix_ns, sums->end_unix_ns));
    write_count(w, "span_count", detail->count);
    write_count(w, "error_count", sums->error_count);
    write_count(w, "total_tokens", sums->total_tokens);
    marline__json_member_double(w, "total_cost_usd",
                                figure_round(detail->total_cost_usd, COST_PLACES));
}

static void write_linked_from(struct json_writer *w, const struct trace_detail *detail)
{
    begin_list(w, "linked_from");
    for (size_t i = 0; i < detail->linked_from_count; i++) {
        const struct trace_back_link *link = &detail->linked_from[i];
        marline__json_begin_object(w);
        write_id(w, "trace_id", link->trace_id, sizeof link->trace_id);
        write_id(w, "span_id", link->span_id, sizeof link->span_id);
        write_text_or_null(w, "span_name", link->span_name);
        write_id(w, "linked_span_id", link->linked_span_id, sizeof link->linked_span_id);
        marline__json_end_object(w);
    }
    marline__json_end_array(w);
}

static void write_enriched_at(struct json_writer *w, uint64_t unix_ns)
{
    if (unix_ns) {
        marline__json_member_double(w, "enriched_at_ms", (double)unix_ns / 1e6);
    } else {
        marline__json_member_null(w, "enriched_at_ms");
    }
}

static void write_completeness(struct json_writer *w, const struct trace_detail *detail)
{
    if (detail->declared_span_count > 0) {
        write_count(w, "declared_span_count", detail->declared_span_count);
        marline__json_member_bool(w, "complete",
                                  detail->declared_span_found >= detail->declared_span_count);
    } else {
        marline__json_member_null(w, "declared_span_count");
        marline__json_member_null(w, "complete");
    }
    marline__json_member_bool(w, "cut_by_window", detail->cut_by_window);
}

static void write_detail(const struct trace_detail *detail, const struct span_tree_node *nodes,
                         size_t first_root, struct buffer *out)
{
    static const char *const reviews[] = {"trace_metrics_status", "trace_reviews", "last_review",
                                          "matches_review", "review_summary"};
    struct json_writer w;
    struct trace_sums sums = sum_up(detail, nodes);
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    write_trace_head(&w, detail, &sums);
    marline__json_key(&w, "root_spans");
    marline__json_begin_array(&w);
    write_tree(out, detail->spans, nodes, first_root);
    marline__json_end_array(&w);
    write_nulls(&w, reviews, sizeof reviews / sizeof reviews[0]);
    write_json(&w, "project", detail->project, SLICE_EMPTY);
    write_json(&w, "endpoint", detail->endpoint, SLICE_EMPTY);
    write_json(&w, "test_run", detail->test_run, SLICE_EMPTY);
    write_json(&w, "test_result", detail->test_result, SLICE_EMPTY);
    write_json(&w, "test", detail->test, SLICE_EMPTY);
    write_linked_from(&w, detail);
    write_json(&w, "enriched_data", detail->enriched_data, SLICE_EMPTY);
    write_enriched_at(&w, detail->enriched_unix_ns);
    write_completeness(&w, detail);
    marline__json_end_object(&w);
}

bool trace_detail_write(const struct trace_detail *detail, struct buffer *out)
{
    size_t first_root;
    assert(detail->count > 0);
    struct span_tree_node *nodes = marline__memory_array(detail->count, sizeof nodes[0]);
    for (size_t i = 0; nodes && i < detail->count; i++) {
        const struct trace_span *span = &detail->spans[i];
        memcpy(nodes[i].span_id, span->span_id, sizeof nodes[i].span_id);
        memcpy(nodes[i].parent_span_id, span->parent_span_id, sizeof nodes[i].parent_span_id);
        nodes[i].has_parent = span->has_parent;
        nodes[i].start_unix_ns = span->start_unix_ns;
        nodes[i].row = i;
    }
    if (nodes && span_tree_link(nodes, detail->count, &first_root)) {
        write_detail(detail, nodes, first_root, out);
    } else {
        out->failed = true;
    }
    marline__memory_free(nodes);
    return !out->failed;
}

/* ---- the metrics ---- */

static int compare_durations(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/* Continuous: between two neighbours in proportion, as SQL's percentile_cont. */
static double percentile_ms(const uint64_t *sorted_ns, size_t count, double fraction)
{
    if (count == 0) {
        return 0;
    }
    double place = fraction * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    double low = (double)sorted_ns[below] / ns_per_ms;
    double high = (double)sorted_ns[above] / ns_per_ms;
    return low + (place - (double)below) * (high - low);
}

static void write_durations(struct json_writer *w, struct trace_metrics *metrics)
{
    static const struct {
        const char *key;
        double fraction;
    } percentiles[] = {
        {"p50_duration_ms", 0.5}, {"p95_duration_ms", 0.95}, {"p99_duration_ms", 0.99}};
    size_t count = metrics->span_count;
    double sum_ms = 0;
    if (count > 0) {
        qsort(metrics->durations_ns, count, sizeof metrics->durations_ns[0], compare_durations);
    }
    for (size_t i = 0; i < count; i++) {
        sum_ms += (double)metrics->durations_ns[i] / ns_per_ms;
    }
    double average = count > 0 ? sum_ms / (double)count : 0;
    marline__json_member_double(w, "avg_duration_ms", figure_round(average, DURATION_PLACES));
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        double value = percentile_ms(metrics->durations_ns, count, percentiles[i].fraction);
        marline__json_member_double(w, percentiles[i].key, figure_round(value, DURATION_PLACES));
    }
}

static int compare_operations(const void *left, const void *right)
{
    const struct operation_count *a = left;
    const struct operation_count *b = right;
    size_t common = a->name.size < b->name.size ? a->name.size : b->name.size;
    int order = memcmp(a->name.data, b->name.data, common);
    return order ? order : (a->name.size > b->name.size) - (a->name.size < b->name.size);
}

static void write_operations(struct json_writer *w, struct trace_metrics *metrics)
{
    struct operation_count *operations = metrics->operations;
    size_t count = metrics->operation_count;
    for (size_t i = 0; i < count; i++) {
        operations[i].name = operations[i].name.size > 0 ? operations[i].name : SLICE("unknown");
    }
    if (count > 0) {
        qsort(operations, count, sizeof operations[0], compare_operations);
    }
    marline__json_key(w, "operation_breakdown");
    marline__json_begin_object(w);
    for (size_t i = 0; i < count;) {
        struct slice name = operations[i].name;
        uint64_t sum = 0;
        for (; i < count && marline__slice_equal(operations[i].name, name); i++) {
            sum = figure_add(sum, operations[i].count);
        }
        marline__json_key_slice(w, name);
        marline__json_unsigned(w, sum);
    }
    marline__json_end_object(w);
}

bool trace_metrics_write(struct trace_metrics *metrics, struct buffer *out)
{
    struct json_writer w;
    size_t spans = metrics->span_count;
    double error_rate = spans > 0 ? (double)metrics->error_count / (double)spans : 0;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    write_count(&w, "total_traces", metrics->total_traces);
    write_count(&w, "total_spans", spans);
    write_count(&w, "total_tokens", metrics->total_tokens);
    marline__json_member_double(&w, "total_cost_usd",
                                figure_round(metrics->total_cost_usd, COST_PLACES));
    marline__json_member_double(&w, "error_rate", figure_round(error_rate, RATE_PLACES));
    write_durations(&w, metrics);
    write_operations(&w, metrics);
    marline__json_end_object(&w);
    return !out->failed;
}
