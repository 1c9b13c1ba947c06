/* What a model's tokens cost, in the format of LiteLLM's price file: one JSON object, a member per
 * model, prices in US dollars per token. Pure: text in, prices out; whoever owns the file reads it.
 *
 * Read of each model:
 *   input_cost_per_token, output_cost_per_token      the base prices; one alone: the other is 0
 *   input_cost_per_token_above_<N>[k]_tokens         with more than N input tokens every token of
 *   output_cost_per_token_above_<N>[k]_tokens        the span has this price, not only those above
 *   tiered_pricing: [{"range":[from,to], prices}]    the same rule, "from" in place of N
 * As LiteLLM does, the input tokens alone decide the tier, and a price that a tier does not name is
 * the base price; a model that has tiers alone takes the lowest as its base. A model without any
 * price per token, or with a flawed one, is remembered as having none: it is as good as unknown,
 * and no other name is tried for it.
 *
 * Not read: prices of cached tokens (spans tell no number of cached tokens, so all input has the
 * plain price), of batch, flex and priority service, and per character, second, image or query.
 *
 * Threads: load from one, then read from any. */
#ifndef CORE_PRICE_TABLE_H
#define CORE_PRICE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

enum {
    PRICE_MODELS_MAX = 50000, /* of all loads; LiteLLM's file has about 4500 */
    PRICE_TIERS_MAX = 6,      /* of one model; the file has at most 4 */
};

/* A higher price per token is a mistake of units, a flaw. */
#define PRICE_PER_TOKEN_MAX 1.0

struct price_table;
struct model_price;

/* US dollars. */
struct token_cost {
    double input;
    double output;
};

enum price_load {
    PRICE_LOAD_OK,
    PRICE_LOAD_MALFORMED, /* no JSON object: see error and error_offset */
    PRICE_LOAD_TOO_MANY,  /* more than PRICE_MODELS_MAX */
    PRICE_LOAD_NO_MEMORY,
};

struct price_load_report {
    size_t models;       /* with a price */
    size_t unpriced;     /* no price per token */
    size_t flawed;       /* a price negative, too high or no number; too many tiers; no object */
    const char *error;   /* fixed text; NULL when OK */
    size_t error_offset; /* byte of the text, when malformed */
};

/* Each returns an owned table, NULL when out of memory. The built-in one knows the common models;
 * its prices are those of the day it was written. */
struct price_table *price_table_create(void);
struct price_table *price_table_create_builtin(void);
/* Accepts NULL. */
void price_table_destroy(struct price_table *table);

/* Adds the models of `text`; one that is there already is replaced, so a short file of one's own
 * goes over the built-in table. Other than PRICE_LOAD_OK: nothing was added. Copies. */
enum price_load price_table_load(struct price_table *table, struct slice text,
                                 struct price_load_report *out_report);

/* By exact name; if there is none, without what precedes the first slash, then the next
 * ("openai/gpt-4o" finds gpt-4o). NULL = no price. Borrowed until the next load or destroy. */
const struct model_price *price_table_find(const struct price_table *table, struct slice model);

/* Unrounded. */
struct token_cost model_price_cost(const struct model_price *price, uint64_t input_tokens,
                                   uint64_t output_tokens);

#endif
