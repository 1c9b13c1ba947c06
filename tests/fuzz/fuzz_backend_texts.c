/* Texts that a client of the backend sends beside spans and messages. The first byte chooses:
 * filters, mappings (a mapping, a NUL, a request), compressed bodies, price files. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "core/mapping.h"
#include "core/odata_filter.h"
#include "core/price_table.h"
#include "http/gunzip.h"
#include "wire/json_reader.h"

static void check_filter(struct slice text)
{
    static const struct filter_field fields[] = {{"name", FILTER_TEXT, "name"},
                                                 {"id", FILTER_UUID, "id"},
                                                 {"created_at", FILTER_TIME, "created"},
                                                 {"status/count", FILTER_NUMBER, "count"}};
    static struct odata_filter filter;
    if (!odata_filter_parse(text, fields, 4, &filter)) {
        FUZZ_CHECK(filter.error[0] != '\0');
        return;
    }
    FUZZ_CHECK(filter.count > 0 && filter.count <= FILTER_NODES_MAX && filter.root < filter.count);
    for (size_t i = 0; i < filter.count; i++) {
        const struct filter_node *node = &filter.nodes[i];
        bool joins = node->op == FILTER_OR || node->op == FILTER_AND;
        FUZZ_CHECK(!joins || (node->left < filter.count && node->right < filter.count));
        FUZZ_CHECK(joins || node->op == FILTER_NOT || node->field < 4);
    }
}

static void check_mapping(struct slice text)
{
    const char *nul = memchr(text.data, '\0', text.size);
    if (!nul) {
        return;
    }
    struct slice mapping = {text.data, (size_t)(nul - text.data)};
    struct slice request = {nul + 1, text.size - mapping.size - 1};
    struct buffer out = BUFFER_INIT;
    if ((mapping.size == 0 || marline__json_is_valid(mapping, JSON_STRICT)) &&
        marline__json_is_valid(request, JSON_STRICT)) {
        mapping_inputs(mapping, request, &out);
        FUZZ_CHECK(marline__json_is_valid(marline__buffer_slice(&out), JSON_STRICT));
        marline__buffer_clear(&out);
        mapping_answer(mapping, request, &out);
    }
    marline__buffer_deinit(&out);
}

static void check_gunzip(struct slice text)
{
    enum { OUT_MAX = 1 << 16 };
    struct buffer out = BUFFER_INIT;
    FUZZ_CHECK(gunzip(text, OUT_MAX, &out) != GUNZIP_OK || out.size <= OUT_MAX);
    marline__buffer_deinit(&out);
}

static void check_prices(struct slice text)
{
    struct price_load_report report = {0};
    struct price_table *table = price_table_create();
    FUZZ_CHECK(table);
    FUZZ_CHECK(price_table_load(table, text, &report) != PRICE_LOAD_MALFORMED || report.error);
    const struct model_price *price = price_table_find(table, (struct slice){"m", 1});
    if (price) {
        struct token_cost cost = model_price_cost(price, 1000, 1000);
        FUZZ_CHECK(cost.input >= 0 && cost.output >= 0);
    }
    price_table_destroy(table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct slice) = {check_filter, check_mapping, check_gunzip,
                                                   check_prices};
    if (size > 0) {
        checks[data[0] % 4](fuzz_input(data + 1, size - 1));
    }
    return 0;
}
