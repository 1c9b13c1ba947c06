/* One span while it runs and until its last processor is done with it.
 *
 * Records are never unmapped, so a handle may outlive its span: it carries the record's generation,
 * and a method that finds another one in the record does nothing. A generation is odd while the
 * span runs; ending makes it even.
 *
 * Whoever changes a running span holds its lock, a spin lock that is held for a few copies. After
 * the end nobody changes the data; processors read it without the lock until they release it. */
#ifndef MARLINE_TRACE_SPAN_RECORD_H
#define MARLINE_TRACE_SPAN_RECORD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "trace/attribute_list.h"
#include <marline/trace.h>

enum {
    PROCESSORS_MAX = 8,            /* of one provider */
    RECORD_INLINE_ATTRIBUTES = 12, /* test and function attributes of a usual span fit */
    RECORD_INLINE_BYTES = 704,
};

struct shard;
struct facts;

struct event_list {
    marline_event_data *items;
    uint32_t count;
    uint32_t capacity;
    uint32_t dropped;
};

struct link_list {
    marline_link_data *items;
    uint32_t count;
    uint32_t capacity;
    uint32_t dropped;
};

struct span_record {
    _Alignas(64) atomic_uint lock;
    atomic_uint holders;             /* processors that have not released it yet */
    atomic_uint_fast64_t generation; /* odd = running */
    atomic_uint fate;                /* enum span_fate, once ended */
    atomic_bool forfeited;           /* never to be used again */
    struct shard *home;              /* where it returns to; constant */
    marline_provider *provider;
    const marline_span_limits *limits;
    struct facts *facts; /* counted; NULL unless it has groups */
    uint64_t start_monotonic_ns;
    bool start_was_given;
    bool ending;            /* its end is under way: only on_ending may still change it */
    marline_span_data data; /* lists are put in at the end */
    struct attribute_list attributes;
    struct event_list events;
    struct link_list links;
    struct span_memory arena;
    struct span_record *next[PROCESSORS_MAX]; /* queue of each processor; [0] also the free list */
    marline_attribute inline_attributes[RECORD_INLINE_ATTRIBUTES];
    char inline_bytes[RECORD_INLINE_BYTES];
};

enum span_fate {
    FATE_NONE,
    FATE_SEEN, /* by a processor of the user's: counts as exported unless an exporter lost it */
    FATE_EXPORTED,
    FATE_SPOOLED, /* on disk: exported later, or by another process */
    FATE_DROPPED, /* + enum marline_drop_reason */
};

void marline__record_lock_contended(struct span_record *r);

static inline void marline__record_lock(struct span_record *r)
{
    if (atomic_exchange_explicit(&r->lock, 1, memory_order_acquire) != 0) {
        marline__record_lock_contended(r);
    }
}

static inline void marline__record_unlock(struct span_record *r)
{
    atomic_store_explicit(&r->lock, 0, memory_order_release);
}

struct span_record *marline__record_lock_running(const marline_span *span);

/* Locks the record of a running span; NULL when it has none, or ended. A span that does not record
 * is told apart here, so that the calls of its methods cost next to nothing. */
static inline struct span_record *marline__record_of(const marline_span *span)
{
    return span && span->record ? marline__record_lock_running(span) : NULL;
}

/* Empties lists and memory for a new span; `data` is the caller's to fill. Borrows the limits. */
void marline__record_begin(struct span_record *r, const marline_span_limits *limits);
/* Gives spilled memory back. */
void marline__record_clear(struct span_record *r);
/* Publishes the lists in `data`. Under the lock. */
void marline__record_finish(struct span_record *r);

static inline void marline__record_set(struct span_record *r, const marline_attribute *attribute)
{
    (void)marline__attributes_set(&r->attributes, r->limits, attribute);
}

static inline void marline__record_set_text(struct span_record *r, marline_string key,
                                            marline_string text)
{
    (void)marline__attributes_set_text(&r->attributes, r->limits, key, text);
}

void marline__record_set_name(struct span_record *r, marline_string name);
void marline__record_set_status(struct span_record *r, marline_span_status status,
                                marline_string description);
void marline__record_add_event(struct span_record *r, marline_string name, uint64_t time_unix_ns,
                               const marline_attribute *attributes, size_t count);
void marline__record_add_link(struct span_record *r, const marline_link_data *link);

#endif
