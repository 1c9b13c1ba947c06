/* Enrichment in three steps: read the facts of every span, decode their names, write the JSON. The
 * totals stand before the breakdown in the JSON, so all costs are known before the first byte. */
#include "core/enrichment.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/hex.h"
#include "base/memory.h"
#include "core/figures.h"
#include "wire/json_reader.h"
#include "wire/json_writer.h"

enum { COST_PLACES = 6, SPAN_ID_DIGITS = 16 };
static const double ns_per_ms = 1e6;

struct entry {
    struct span_facts facts; /* names decoded */
    bool has_cost;
    struct token_cost usd;
    struct token_cost eur;
};

struct work {
    struct enrichment_span *spans;
    struct entry *entries;
    struct slice *names; /* room for one list */
    size_t count;
    struct buffer text; /* decoded names; never grows once they are decoded into it */
    struct buffer message;
    double usd_to_eur;
    double total_usd; /* unrounded */
    double total_eur;
};

/* ---- reading ---- */

static bool is_escaped(struct slice raw)
{
    return raw.size > 0 && memchr(raw.data, '\\', raw.size);
}

static size_t decoded_room(const struct span_facts *facts)
{
    size_t room = is_escaped(facts->operation) ? facts->operation.size : 0;
    room += is_escaped(facts->model) ? facts->model.size : 0;
    return room + (is_escaped(facts->tool) ? facts->tool.size : 0);
}

/* A name with escapes moves to `text`; decoding never makes it longer. */
static void decode_name(struct slice *name, struct buffer *text)
{
    if (is_escaped(*name)) {
        size_t start = text->size;
        marline__json_unescape(*name, text);
        *name = (struct slice){text->data + start, text->size - start};
    }
}

static bool read_spans(struct work *work, struct enrichment_totals *totals)
{
    size_t room = 0;
    for (size_t i = 0; i < work->count; i++) {
        struct span_facts *facts = &work->entries[i].facts;
        work->spans[i].flaw = span_facts_read(work->spans[i].attributes, facts);
        totals->flawed_count += work->spans[i].flaw != SPAN_FLAW_NONE;
        room += decoded_room(facts);
    }
    if (room > 0 && !marline__buffer_reserve(&work->text, room)) {
        return false;
    }
    for (size_t i = 0; i < work->count; i++) {
        struct span_facts *facts = &work->entries[i].facts;
        decode_name(&facts->operation, &work->text);
        decode_name(&facts->model, &work->text);
        decode_name(&facts->tool, &work->text);
    }
    return true;
}

static bool is_llm_call(const struct entry *entry)
{
    return marline__slice_is(entry->facts.operation, "llm.invoke");
}

static void price_spans(struct work *work, const struct price_table *prices,
                        struct enrichment_totals *totals)
{
    for (size_t i = 0; prices && i < work->count; i++) {
        struct entry *entry = &work->entries[i];
        bool flawed = work->spans[i].flaw != SPAN_FLAW_NONE;
        if (flawed || !is_llm_call(entry) || entry->facts.model.size == 0) {
            continue;
        }
        const struct span_facts *facts = &entry->facts;
        const struct model_price *price = price_table_find(prices, facts->model);
        if (price) {
            entry->usd = model_price_cost(price, facts->tokens_input, facts->tokens_output);
            entry->eur.input = entry->usd.input * work->usd_to_eur;
            entry->eur.output = entry->usd.output * work->usd_to_eur;
            work->total_usd += entry->usd.input + entry->usd.output;
            work->total_eur += entry->eur.input + entry->eur.output;
            entry->has_cost = totals->has_costs = true;
        }
    }
}

static bool is_slow(const struct enrichment_span *span)
{
    return span->duration_ns > ENRICHMENT_SLOW_NS;
}

static bool is_token_hungry(const struct entry *entry)
{
    return is_llm_call(entry) && entry->facts.tokens_total > ENRICHMENT_TOKENS_HIGH;
}

static void sum_up(const struct work *work, struct enrichment_totals *totals)
{
    uint64_t duration_ns = 0;
    for (size_t i = 0; i < work->count; i++) {
        const struct enrichment_span *span = &work->spans[i];
        const struct entry *entry = &work->entries[i];
        totals->error_count += span->is_error;
        totals->anomaly_count += is_slow(span) + is_token_hungry(entry) + span->is_error;
        totals->total_tokens = figure_add(totals->total_tokens, entry->facts.tokens_total);
        duration_ns = figure_add(duration_ns, span->duration_ns);
        if (!totals->has_root && !span->has_parent) {
            totals->has_root = true;
            totals->root = i;
            totals->root_tokens = entry->facts.tokens_total;
        }
    }
    totals->span_count = work->count;
    totals->total_duration_ms = (double)duration_ns / ns_per_ms;
    totals->total_cost_usd = figure_round(work->total_usd, COST_PLACES);
    totals->total_cost_eur = figure_round(work->total_eur, COST_PLACES);
}

/* ---- writing ---- */

static void write_span_id(struct json_writer *w, const struct enrichment_span *span)
{
    char digits[SPAN_ID_DIGITS];
    marline__hex_encode(span->span_id, sizeof span->span_id, digits);
    marline__json_member_string(w, "span_id", (struct slice){digits, sizeof digits});
}

static void write_figure(struct json_writer *w, const char *key, double value)
{
    marline__json_member_double(w, key, figure_round(value, COST_PLACES));
}

static void write_breakdown(struct json_writer *w, const struct work *work, size_t index)
{
    const struct entry *entry = &work->entries[index];
    marline__json_begin_object(w);
    write_span_id(w, &work->spans[index]);
    marline__json_member_string(w, "model_name", entry->facts.model);
    marline__json_key(w, "input_tokens");
    marline__json_unsigned(w, entry->facts.tokens_input);
    marline__json_key(w, "output_tokens");
    marline__json_unsigned(w, entry->facts.tokens_output);
    write_figure(w, "input_cost_usd", entry->usd.input);
    write_figure(w, "output_cost_usd", entry->usd.output);
    write_figure(w, "total_cost_usd", entry->usd.input + entry->usd.output);
    write_figure(w, "input_cost_eur", entry->eur.input);
    write_figure(w, "output_cost_eur", entry->eur.output);
    write_figure(w, "total_cost_eur", entry->eur.input + entry->eur.output);
    marline__json_end_object(w);
}

static void write_costs(struct json_writer *w, const struct work *work,
                        const struct enrichment_totals *totals)
{
    if (!totals->has_costs) {
        return;
    }
    marline__json_key(w, "costs");
    marline__json_begin_object(w);
    marline__json_member_double(w, "total_cost_usd", totals->total_cost_usd);
    marline__json_member_double(w, "total_cost_eur", totals->total_cost_eur);
    marline__json_key(w, "breakdown");
    marline__json_begin_array(w);
    for (size_t i = 0; i < work->count; i++) {
        if (work->entries[i].has_cost) {
            write_breakdown(w, work, i);
        }
    }
    marline__json_end_array(w);
    marline__json_end_object(w);
}

/* `work->message` holds the text. The caller adds what else there is and ends the object. */
static void begin_anomaly(struct json_writer *w, struct work *work, size_t index, const char *type)
{
    marline__json_begin_object(w);
    marline__json_member_text(w, "type", type);
    write_span_id(w, &work->spans[index]);
    marline__json_member_string(w, "span_name", work->spans[index].name);
    marline__json_member_string(w, "message", marline__buffer_slice(&work->message));
    w->out->failed |= work->message.failed;
    marline__buffer_clear(&work->message);
}

/* The program never sets a locale, so the decimal point is one. */
static void write_slow(struct json_writer *w, struct work *work, size_t index)
{
    double duration_ms = (double)work->spans[index].duration_ns / ns_per_ms;
    marline__buffer_append_format(&work->message, "Span took %.1fs (threshold: 10s)",
                                  duration_ms / 1000);
    begin_anomaly(w, work, index, "slow_span");
    marline__json_member_double(w, "duration_ms", duration_ms);
    marline__json_end_object(w);
}

static void write_token_hungry(struct json_writer *w, struct work *work, size_t index)
{
    uint64_t tokens = work->entries[index].facts.tokens_total;
    marline__buffer_append_text(&work->message, "High token usage: ");
    marline__buffer_append_unsigned(&work->message, tokens);
    marline__buffer_append_text(&work->message, " tokens (threshold: 10,000)");
    begin_anomaly(w, work, index, "high_token_usage");
    marline__json_key(w, "total_tokens");
    marline__json_unsigned(w, tokens);
    marline__json_end_object(w);
}

static void write_error(struct json_writer *w, struct work *work, size_t index)
{
    struct slice reason = work->spans[index].status_message;
    marline__buffer_append_text(&work->message, "Span failed: ");
    marline__buffer_append_slice(&work->message, reason.size > 0 ? reason : SLICE("Unknown error"));
    begin_anomaly(w, work, index, "error");
    if (reason.data) {
        marline__json_member_string(w, "error_message", reason);
    }
    marline__json_end_object(w);
}

static void write_anomalies(struct json_writer *w, struct work *work,
                            const struct enrichment_totals *totals)
{
    if (totals->anomaly_count == 0) {
        return;
    }
    marline__json_key(w, "anomalies");
    marline__json_begin_array(w);
    for (size_t i = 0; i < work->count; i++) {
        if (is_slow(&work->spans[i])) {
            write_slow(w, work, i);
        }
        if (is_token_hungry(&work->entries[i])) {
            write_token_hungry(w, work, i);
        }
        if (work->spans[i].is_error) {
            write_error(w, work, i);
        }
    }
    marline__json_end_array(w);
}

static void write_metrics(struct json_writer *w, const struct enrichment_totals *totals)
{
    marline__json_key(w, "metrics");
    marline__json_begin_object(w);
    marline__json_member_double(w, "total_duration_ms", totals->total_duration_ms);
    marline__json_key(w, "span_count");
    marline__json_unsigned(w, totals->span_count);
    marline__json_key(w, "error_count");
    marline__json_unsigned(w, totals->error_count);
    marline__json_end_object(w);
}

static int compare_names(const void *left, const void *right)
{
    const struct slice *a = left;
    const struct slice *b = right;
    int order = memcmp(a->data, b->data, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

/* `offset` is that of a name in struct span_facts. */
static void write_names(struct json_writer *w, struct work *work, const char *key, size_t offset)
{
    size_t count = 0;
    for (size_t i = 0; i < work->count; i++) {
        const char *facts = (const char *)&work->entries[i].facts;
        struct slice name = *(const struct slice *)(const void *)(facts + offset);
        if (name.size > 0) {
            work->names[count++] = name;
        }
    }
    if (count == 0) {
        return;
    }
    qsort(work->names, count, sizeof work->names[0], compare_names);
    marline__json_key(w, key);
    marline__json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !marline__slice_equal(work->names[i], work->names[i - 1])) {
            marline__json_string(w, work->names[i]);
        }
    }
    marline__json_end_array(w);
}

static void write_all(struct work *work, const struct enrichment_totals *totals, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    write_costs(&w, work, totals);
    write_anomalies(&w, work, totals);
    write_metrics(&w, totals);
    write_names(&w, work, "models_used", offsetof(struct span_facts, model));
    write_names(&w, work, "tools_used", offsetof(struct span_facts, tool));
    write_names(&w, work, "operation_types", offsetof(struct span_facts, operation));
    if (totals->has_root) {
        marline__json_member_string(&w, "root_operation", work->spans[totals->root].name);
    }
    marline__json_end_object(&w);
}

bool enrichment_build(struct enrichment_span *spans, size_t count,
                      const struct enrichment_options *options, struct buffer *out,
                      struct enrichment_totals *out_totals)
{
    assert(isfinite(options->usd_to_eur) && options->usd_to_eur > 0);
    struct enrichment_totals totals = {0};
    struct work work = {.spans = spans, .count = count, .usd_to_eur = options->usd_to_eur};
    work.entries = marline__memory_array(count, sizeof work.entries[0]);
    work.names = marline__memory_array(count, sizeof work.names[0]);
    if (work.entries && work.names && read_spans(&work, &totals)) {
        price_spans(&work, options->prices, &totals);
        sum_up(&work, &totals);
        write_all(&work, &totals, out);
    } else {
        out->failed = true;
    }
    marline__memory_free(work.entries);
    marline__memory_free(work.names);
    marline__buffer_deinit(&work.text);
    marline__buffer_deinit(&work.message);
    if (!out->failed) {
        *out_totals = totals;
    }
    return !out->failed;
}

bool enrichment_is_current(struct slice earliest_enriched, size_t unprocessed_spans)
{
    struct json_reader r;
    struct slice key;
    if (unprocessed_spans > 0 || earliest_enriched.size == 0) {
        return false;
    }
    marline__json_reader_init(&r, earliest_enriched, JSON_STRICT);
    return marline__json_peek(&r) == JSON_OBJECT && marline__json_enter_object(&r) &&
           marline__json_next_member(&r, &key);
}

static void read_cost_members(struct json_reader *r, struct enrichment_costs *costs)
{
    struct slice key;
    bool good = marline__json_enter_object(r);
    while (good && marline__json_next_member(r, &key)) {
        if (marline__json_key_is(key, "total_cost_usd")) {
            good = marline__json_read_double(r, &costs->total_usd);
        } else if (marline__json_key_is(key, "total_cost_eur")) {
            good = marline__json_read_double(r, &costs->total_eur);
        } else {
            good = marline__json_skip(r, NULL);
        }
    }
}

struct enrichment_costs enrichment_read_costs(struct slice enriched)
{
    struct enrichment_costs costs = {0};
    struct json_reader r;
    struct slice key;
    marline__json_reader_init(&r, enriched, JSON_STRICT);
    bool good = marline__json_enter_object(&r);
    while (good && marline__json_next_member(&r, &key)) {
        if (marline__json_key_is(key, "costs")) {
            read_cost_members(&r, &costs);
        } else {
            good = marline__json_skip(&r, NULL);
        }
    }
    return marline__json_finish(&r) ? costs : (struct enrichment_costs){0};
}
