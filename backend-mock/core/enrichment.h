/* Enrichment: what is computed from all spans of one trace (costs, anomalies, sums, what was used)
 * and stored with it, so that queries need not look at attributes. A pure function of the spans,
 * the prices and the rate: no I/O, no clock, no thread, nothing kept between calls. Any thread.
 *
 * Life, seen from a store: read all spans of the trace by start time; if enrichment_is_current says
 * so, take what is stored; else enrichment_build, store the JSON with every one of those spans, and
 * mark exactly those as processed. A span that came in meanwhile stays unmarked, so the next look
 * computes anew. */
#ifndef CORE_ENRICHMENT_H
#define CORE_ENRICHMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "core/price_table.h"
#include "core/span_facts.h"

/* Strictly more than these is an anomaly. */
#define ENRICHMENT_SLOW_NS 10000000000u
enum { ENRICHMENT_TOKENS_HIGH = 10000 };

#define USD_TO_EUR_DEFAULT 0.92

struct enrichment_span {
    uint8_t span_id[8];
    bool has_parent;
    bool is_error; /* status ERROR */
    uint64_t duration_ns;
    struct slice name;
    struct slice status_message; /* NULL data = none */
    struct slice attributes;     /* raw JSON object */
    enum span_flaw flaw;         /* out: what of this span was skipped, and why */
};

struct enrichment_options {
    const struct price_table *prices; /* NULL: no costs */
    double usd_to_eur;                /* finite, above 0 */
};

/* What summaries show without reading the JSON again. */
struct enrichment_totals {
    bool has_costs;
    double total_cost_usd; /* rounded to 6 decimals, as in the JSON; so for EUR */
    double total_cost_eur;
    uint64_t span_count;
    uint64_t error_count;
    uint64_t anomaly_count;
    uint64_t flawed_count; /* spans whose flaw is not SPAN_FLAW_NONE */
    double total_duration_ms;
    uint64_t total_tokens; /* of all spans */
    uint64_t root_tokens;  /* of the root alone */
    bool has_root;
    size_t root; /* index of the earliest span without parent */
};

/* Appends the JSON of wire-protocol §7.4 for spans in order of their start; members that would be
 * null are left out, `metrics` never is. The three lists are sorted by bytes, each name once.
 *
 * A flawed span never spoils its neighbours: it still counts in metrics, as root, as slow and as
 * failed, which its columns tell; what its attributes should have told is left out.
 *
 * False: out of memory, `out` has failed, the totals are not set. */
bool enrichment_build(struct enrichment_span *spans, size_t count,
                      const struct enrichment_options *options, struct buffer *out,
                      struct enrichment_totals *out_totals);

/* §7.1: a stored enrichment holds while the trace's earliest span has one (no text, null and {} are
 * none) and no span of the trace is unprocessed. */
bool enrichment_is_current(struct slice earliest_enriched, size_t unprocessed_spans);

/* The total costs of a stored enrichment; 0 where it has none, or is none. */
struct enrichment_costs {
    double total_usd;
    double total_eur;
};
struct enrichment_costs enrichment_read_costs(struct slice enriched);

#endif
