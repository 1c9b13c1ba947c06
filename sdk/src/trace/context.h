/* The private side of contexts: see marline/context.h.
 *
 * A context is a span plus the facts that hold around it. Facts are immutable, counted and shared
 * by all contexts derived without changing them. */
#ifndef MARLINE_TRACE_CONTEXT_H
#define MARLINE_TRACE_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "trace/attribute_list.h"
#include "wire/baggage.h"
#include <marline/trace.h>

enum {
    GROUPS_MAX = 8, /* groups within groups; deeper ones are refused with a log line */
};

struct marline_span_group {
    atomic_uint references;
    atomic_uint started;
    atomic_uint ended;
    atomic_bool is_prompt;
};

/* True when it was the last running span of a prompt group. */
static inline bool marline__group_end_span(struct marline_span_group *group)
{
    unsigned ended = atomic_fetch_add_explicit(&group->ended, 1, memory_order_acq_rel) + 1;
    return atomic_load_explicit(&group->is_prompt, memory_order_relaxed) &&
           ended == atomic_load_explicit(&group->started, memory_order_relaxed);
}

struct facts {
    atomic_uint references;
    bool is_test; /* spans are always sampled */
    marline_span_group *groups[GROUPS_MAX];
    uint32_t group_count;
    struct attribute_list identity;
    uint8_t state_trace_id[16]; /* whose trace state it is */
    marline_string trace_state;
    struct baggage_entry *baggage;
    size_t baggage_count;
    struct span_memory memory;
};

struct marline_context {
    atomic_uint references; /* 0: static, not counted */
    marline_span span;
    struct facts *facts; /* NULL = none */
};

struct facts *marline__facts_ref(struct facts *facts);
void marline__facts_unref(struct facts *facts);

/* A copy that nobody else has and may still be changed: `baggage_extra` entries fit in. NULL when
 * out of memory. */
struct facts *marline__facts_copy(const struct facts *old, bool with_identity,
                                  size_t baggage_extra);
/* A context of `span` and `facts`; takes the facts, NULL meaning that making them failed. Never
 * NULL: out of memory, the parent comes back. */
marline_context *marline__context_derive(marline_context *parent, const marline_span *span,
                                         struct facts *facts);
/* False when out of memory. */
bool marline__facts_set_state(struct facts *facts, const uint8_t trace_id[16],
                              marline_string trace_state);
bool marline__facts_put_baggage(struct facts *facts, const struct baggage_entry *entry);
/* The trace state of a span of that trace; empty when the facts know none. */
marline_string marline__facts_state(const struct facts *facts, const uint8_t trace_id[16]);

/* What a new span starts under. Borrowed from the context, or from the current scope. */
struct parent_view {
    const marline_span *span; /* never NULL */
    struct facts *facts;      /* may be NULL */
};
/* NULL: the calling thread's current one. */
struct parent_view marline__context_view(marline_context *context);

/* Enters a scope for a span in the caller's memory, which must outlive the scope. */
void marline__scope_enter_span(marline_scope *scope, const marline_span *span);

#endif
