/* The bodies of the trace queries, built from rows in memory: the list (wire-protocol §8.2), one
 * trace in detail (§8.3), the metrics (§8.4). Pure: no store, no clock. Every member of the
 * protocol is always there, null where there is nothing; what is ours comes after the protocol's
 * own members. Any thread.
 *
 * Each function appends one JSON document and returns false, `out` failed, when out of memory.
 * A text whose data is NULL, a nil UUID and an empty raw JSON are written as null. */
#ifndef CORE_TRACE_VIEW_H
#define CORE_TRACE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/slice.h"
#include "base/uuid.h"

/* ---- the list ---- */

/* One trace, seen through its newest root. */
struct trace_summary {
    uint8_t trace_id[16];
    struct uuid project_id;
    struct slice environment;
    struct slice conversation_id;
    uint64_t start_unix_ns; /* of the root, as the four after it */
    uint64_t duration_ns;
    struct slice root_operation;
    uint8_t status;          /* 0 UNSET, 1 OK, 2 ERROR; also decides has_errors */
    struct slice attributes; /* raw; give total_tokens and conversation_input */
    size_t span_count;
    double total_cost_usd; /* 0 is shown as null, as are no tokens */
    double total_cost_eur;
    struct uuid test_run_id;
    struct uuid test_result_id;
    struct uuid test_id;
    struct uuid endpoint_id;
    struct slice endpoint_name;
};

struct trace_page {
    const struct trace_summary *traces; /* in the order to show */
    size_t count;
    uint64_t total; /* shown as 0 on an empty page, even past the end */
    uint64_t limit;
    uint64_t offset;
};

bool trace_list_write(const struct trace_page *page, struct buffer *out);

/* ---- the detail ---- */

/* One stored span. Raw JSON that is not well formed is written as null, so that one bad row does
 * not spoil the document. */
struct trace_span {
    struct uuid id; /* of the row */
    uint8_t span_id[8];
    uint8_t parent_span_id[8];
    bool has_parent;
    struct slice name;
    uint8_t kind;   /* 1 INTERNAL, 2 SERVER, 3 CLIENT, 4 PRODUCER, 5 CONSUMER */
    uint8_t status; /* 0 UNSET, 1 OK, 2 ERROR */
    uint64_t start_unix_ns;
    uint64_t end_unix_ns;
    struct slice status_message;
    struct slice environment;
    struct slice conversation_id;
    struct slice attributes; /* raw object, empty = {} */
    struct slice
        conversation_output; /* shown as an attribute, where there is none; NULL data = none */
    struct slice events;     /* raw array, empty = []; so for links */
    struct slice links;
};

/* A span of another trace with a link to this one. */
struct trace_back_link {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    struct slice span_name;
    uint8_t linked_span_id[8]; /* the span of this trace that it names, stored or not */
};

struct trace_detail {
    uint8_t trace_id[16];
    struct uuid project_id;
    const struct trace_span *spans; /* at least one, in any order */
    size_t count;
    double total_cost_usd;
    /* raw objects, of the earliest span */
    struct slice project;
    struct slice endpoint;
    struct slice test_run;
    struct slice test_result;
    struct slice test;
    /* ours */
    const struct trace_back_link *linked_from; /* in the order to show */
    size_t linked_from_count;
    struct slice enriched_data;   /* raw object */
    uint64_t enriched_unix_ns;    /* when it was cached; 0 = computed for this reader */
    uint64_t declared_span_count; /* what the agent said it started; 0 = not told */
    uint64_t declared_span_found; /* how many of those are stored, inside the window or not */
    bool cut_by_window;           /* the time window of the query left out stored spans */
};

/* Ours, beside the protocol's members: on each span `links`; on the trace `linked_from`,
 * `enriched_data`, `enriched_at_ms`, `declared_span_count`, `complete` (null when no count was
 * declared: never guessed) and `cut_by_window`. */
bool trace_detail_write(const struct trace_detail *detail, struct buffer *out);

/* ---- the metrics ---- */

struct operation_count {
    struct slice name; /* empty = no operation type, counted as "unknown" */
    uint64_t count;
};

struct trace_metrics {
    uint64_t total_traces;
    uint64_t total_tokens;
    /* Each trace once. (The platform adds a trace's cost once per span.) */
    double total_cost_usd;
    uint64_t error_count;   /* spans with status ERROR */
    uint64_t *durations_ns; /* one per span, in any order; sorted here */
    size_t span_count;
    struct operation_count *operations; /* names may repeat: sorted and added up here */
    size_t operation_count;
};

bool trace_metrics_write(struct trace_metrics *metrics, struct buffer *out);

#endif
