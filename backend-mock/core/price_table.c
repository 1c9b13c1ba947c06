/* The price table: models sorted by name. A load appends behind what is there and sorts only when
 * the whole text has been read, so a failure cuts back to where it began. */
#include "core/price_table.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "core/price_builtin.h"
#include "wire/json_reader.h"

enum { FIRST_CAPACITY = 64 };

/* More than `above` input tokens: these prices. */
struct price_tier {
    uint64_t above;
    double input;
    double output;
    bool has_input;
    bool has_output;
};

struct model_price {
    char *name; /* owned */
    size_t name_size;
    struct price_tier base;
    struct price_tier tiers[PRICE_TIERS_MAX]; /* by rising `above` */
    size_t tier_count;
    bool is_priced;  /* false: in the file, but not to be used */
    size_t sequence; /* of equal names the highest was read last */
};

struct price_table {
    struct model_price *models;
    size_t count;
    size_t capacity;
    size_t sequence;
};

/* ---- one model ---- */

/* Null counts as absent; false: not a price. */
static bool read_price(struct slice json, double *out, bool *out_has)
{
    struct json_reader r;
    double value;
    if (marline__slice_is(json, "null")) {
        return true;
    }
    marline__json_reader_init(&r, json, JSON_STRICT);
    if (!marline__json_read_double(&r, &value) || value < 0 || value > PRICE_PER_TOKEN_MAX) {
        return false;
    }
    *out = value;
    *out_has = true;
    return true;
}

/* The N of "<prefix>N_tokens" or "<prefix>Nk_tokens". */
static bool read_threshold(struct slice key, const char *prefix, uint64_t *out)
{
    if (!marline__slice_starts(key, prefix)) {
        return false;
    }
    size_t at = strlen(prefix);
    size_t first = at;
    uint64_t value = 0;
    for (; at < key.size && key.data[at] >= '0' && key.data[at] <= '9'; at++) {
        if (value > UINT32_MAX) {
            return false;
        }
        value = value * 10 + (uint64_t)(key.data[at] - '0');
    }
    if (at == first) {
        return false;
    }
    if (at < key.size && key.data[at] == 'k') {
        value *= 1000;
        at++;
    }
    *out = value;
    return marline__slice_is((struct slice){key.data + at, key.size - at}, "_tokens");
}

/* NULL when there are too many. */
static struct price_tier *tier_at(struct model_price *model, uint64_t above)
{
    size_t at = 0;
    while (at < model->tier_count && model->tiers[at].above < above) {
        at++;
    }
    struct price_tier *tier = &model->tiers[at];
    if (at < model->tier_count && tier->above == above) {
        return tier;
    }
    if (model->tier_count == PRICE_TIERS_MAX) {
        return NULL;
    }
    memmove(tier + 1, tier, (model->tier_count - at) * sizeof *tier);
    *tier = (struct price_tier){.above = above};
    model->tier_count++;
    return tier;
}

static bool read_range_start(struct slice json, uint64_t *out)
{
    struct json_reader r;
    double start;
    marline__json_reader_init(&r, json, JSON_STRICT);
    if (!marline__json_enter_array(&r) || !marline__json_next_element(&r) ||
        !marline__json_read_double(&r, &start) || start < 0 || start > UINT32_MAX) {
        return false;
    }
    *out = (uint64_t)start;
    return true;
}

/* One object of tiered_pricing. One without a range is no price per token (search services have
 * ranges of results), and is passed over. */
static bool read_band(struct slice json, struct model_price *model)
{
    struct price_tier band = {0};
    struct json_reader r;
    struct slice key;
    struct slice value;
    bool has_range = false;
    bool good = true;
    marline__json_reader_init(&r, json, JSON_STRICT);
    if (!marline__json_enter_object(&r)) {
        return false;
    }
    while (good && marline__json_next_member(&r, &key) && marline__json_skip(&r, &value)) {
        if (marline__json_key_is(key, "range")) {
            good = has_range = read_range_start(value, &band.above);
        } else if (marline__json_key_is(key, "input_cost_per_token")) {
            good = read_price(value, &band.input, &band.has_input);
        } else if (marline__json_key_is(key, "output_cost_per_token")) {
            good = read_price(value, &band.output, &band.has_output);
        }
    }
    if (!good || !has_range) {
        return good;
    }
    struct price_tier *tier = tier_at(model, band.above);
    if (!tier) {
        return false;
    }
    *tier = band;
    return true;
}

static bool read_bands(struct slice json, struct model_price *model)
{
    struct json_reader r;
    struct slice band;
    marline__json_reader_init(&r, json, JSON_STRICT);
    if (!marline__json_enter_array(&r)) {
        return false;
    }
    while (marline__json_next_element(&r) && marline__json_skip(&r, &band)) {
        if (!read_band(band, model)) {
            return false;
        }
    }
    return true;
}

/* A member that says nothing about a price per token is passed over. */
static bool read_model_member(struct slice key, struct slice value, struct model_price *model)
{
    uint64_t above;
    if (marline__json_key_is(key, "input_cost_per_token")) {
        return read_price(value, &model->base.input, &model->base.has_input);
    }
    if (marline__json_key_is(key, "output_cost_per_token")) {
        return read_price(value, &model->base.output, &model->base.has_output);
    }
    if (marline__json_key_is(key, "tiered_pricing")) {
        return marline__slice_is(value, "null") || read_bands(value, model);
    }
    bool input = read_threshold(key, "input_cost_per_token_above_", &above);
    if (!input && !read_threshold(key, "output_cost_per_token_above_", &above)) {
        return true;
    }
    struct price_tier *tier = tier_at(model, above);
    return tier && (input ? read_price(value, &tier->input, &tier->has_input)
                          : read_price(value, &tier->output, &tier->has_output));
}

/* A table of tiers alone gives its first as the base. */
static void complete_model(struct model_price *model)
{
    struct price_tier *base = &model->base;
    if (!base->has_input && !base->has_output && model->tier_count > 0) {
        *base = model->tiers[0];
    }
    for (size_t i = 0; i < model->tier_count; i++) {
        struct price_tier *tier = &model->tiers[i];
        tier->input = tier->has_input ? tier->input : base->input;
        tier->output = tier->has_output ? tier->output : base->output;
    }
}

enum model_verdict { MODEL_TAKEN, MODEL_UNPRICED, MODEL_FLAWED };

static enum model_verdict read_model(struct slice json, struct model_price *model)
{
    struct json_reader r;
    struct slice key;
    struct slice value;
    marline__json_reader_init(&r, json, JSON_STRICT);
    if (!marline__json_enter_object(&r)) {
        return MODEL_FLAWED;
    }
    while (marline__json_next_member(&r, &key) && marline__json_skip(&r, &value)) {
        if (!read_model_member(key, value, model)) {
            return MODEL_FLAWED;
        }
    }
    complete_model(model);
    return model->base.has_input || model->base.has_output ? MODEL_TAKEN : MODEL_UNPRICED;
}

/* ---- the table ---- */

struct price_table *price_table_create(void)
{
    return marline__memory_zeroed(sizeof(struct price_table));
}

struct price_table *price_table_create_builtin(void)
{
    struct price_table *table = price_table_create();
    struct price_load_report report;
    if (table && price_table_load(table, marline__slice_text(price_builtin_text), &report) !=
                     PRICE_LOAD_OK) {
        price_table_destroy(table);
        return NULL;
    }
    return table;
}

static void cut_to(struct price_table *table, size_t count)
{
    while (table->count > count) {
        marline__memory_free(table->models[--table->count].name);
    }
}

void price_table_destroy(struct price_table *table)
{
    if (table) {
        cut_to(table, 0);
        marline__memory_free(table->models);
        marline__memory_free(table);
    }
}

static bool reserve_one(struct price_table *table)
{
    if (table->count < table->capacity) {
        return true;
    }
    size_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
    struct model_price *models =
        marline__memory_resize(table->models, capacity * sizeof table->models[0]);
    if (!models) {
        return false;
    }
    table->models = models;
    table->capacity = capacity;
    return true;
}

static bool push(struct price_table *table, struct slice raw_name, struct model_price *model)
{
    struct buffer name = BUFFER_INIT;
    if (!reserve_one(table)) {
        return false;
    }
    marline__json_unescape(raw_name, &name);
    model->name_size = name.size;
    model->name = marline__buffer_take(&name);
    if (!model->name) {
        return false;
    }
    model->sequence = table->sequence++;
    table->models[table->count++] = *model;
    return true;
}

static int compare_text(struct slice a, struct slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static struct slice name_of(const struct model_price *model)
{
    return (struct slice){model->name, model->name_size};
}

static int compare_models(const void *left, const void *right)
{
    const struct model_price *a = left;
    const struct model_price *b = right;
    int order = compare_text(name_of(a), name_of(b));
    return order ? order : (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

/* Sorts, and of equal names keeps the one read last. */
static void settle(struct price_table *table)
{
    size_t kept = 0;
    if (table->count == 0) {
        return;
    }
    qsort(table->models, table->count, sizeof table->models[0], compare_models);
    for (size_t i = 1; i < table->count; i++) {
        if (marline__slice_equal(name_of(&table->models[i]), name_of(&table->models[kept]))) {
            marline__memory_free(table->models[kept].name);
        } else {
            kept++;
        }
        table->models[kept] = table->models[i];
    }
    table->count = kept + 1;
}

/* One member of the file. */
static enum price_load load_model(struct price_table *table, struct slice raw_name,
                                  struct slice json, struct price_load_report *report)
{
    struct model_price model = {0};
    if (marline__json_key_is(raw_name, "sample_spec")) {
        return PRICE_LOAD_OK; /* the file's description of itself */
    }
    enum model_verdict verdict = read_model(json, &model);
    model.is_priced = verdict == MODEL_TAKEN;
    if (table->count == PRICE_MODELS_MAX) {
        report->error = "too many models";
        return PRICE_LOAD_TOO_MANY;
    }
    if (!push(table, raw_name, &model)) {
        report->error = "out of memory";
        return PRICE_LOAD_NO_MEMORY;
    }
    report->models += verdict == MODEL_TAKEN;
    report->unpriced += verdict == MODEL_UNPRICED;
    report->flawed += verdict == MODEL_FLAWED;
    return PRICE_LOAD_OK;
}

enum price_load price_table_load(struct price_table *table, struct slice text,
                                 struct price_load_report *out_report)
{
    size_t before = table->count;
    enum price_load result = PRICE_LOAD_OK;
    struct json_reader r;
    struct slice name;
    struct slice json;
    *out_report = (struct price_load_report){0};
    marline__json_reader_init(&r, text, JSON_STRICT);
    (void)marline__json_enter_object(&r);
    while (result == PRICE_LOAD_OK && !r.error && marline__json_next_member(&r, &name) &&
           marline__json_skip(&r, &json)) {
        result = load_model(table, name, json, out_report);
    }
    if (result == PRICE_LOAD_OK && !marline__json_finish(&r)) {
        out_report->error = r.error;
        out_report->error_offset = r.error_offset;
        result = PRICE_LOAD_MALFORMED;
    }
    if (result != PRICE_LOAD_OK) {
        cut_to(table, before);
        return result;
    }
    settle(table);
    return PRICE_LOAD_OK;
}

static const struct model_price *find_exact(const struct price_table *table, struct slice name)
{
    size_t low = 0;
    size_t high = table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_text(name, name_of(&table->models[middle]));
        if (order == 0) {
            return &table->models[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct model_price *price_table_find(const struct price_table *table, struct slice model)
{
    const struct model_price *found = find_exact(table, model);
    while (!found && model.size > 0) {
        const char *slash = memchr(model.data, '/', model.size);
        if (!slash) {
            return NULL;
        }
        size_t prefix = (size_t)(slash - model.data) + 1;
        model = (struct slice){model.data + prefix, model.size - prefix};
        found = find_exact(table, model);
    }
    return found && found->is_priced ? found : NULL;
}

struct token_cost model_price_cost(const struct model_price *price, uint64_t input_tokens,
                                   uint64_t output_tokens)
{
    const struct price_tier *tier = &price->base;
    for (size_t i = 0; i < price->tier_count && input_tokens > price->tiers[i].above; i++) {
        tier = &price->tiers[i];
    }
    return (struct token_cost){(double)input_tokens * tier->input,
                               (double)output_tokens * tier->output};
}
