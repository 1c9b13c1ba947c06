/* Attributes as a span keeps them: copied, one per key, limited (otel.md §1.6, SPN-03).
 * The copies live in an arena of the owner's. No thread safety. */
#ifndef MARLINE_TRACE_ATTRIBUTE_LIST_H
#define MARLINE_TRACE_ATTRIBUTE_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/span_memory.h"
#include <marline/sampler.h>
#include <marline/span_data.h>

struct attribute_list {
    marline_attribute *items;
    struct span_memory *arena; /* borrowed while the list lives */
    uint32_t count;
    uint32_t count_max;
    uint32_t capacity;
    uint32_t dropped;
};

/* For what no limit of spans applies to: resources, scopes (LIM-07). */
extern const marline_span_limits marline__no_limits;

static inline void marline__attributes_init(struct attribute_list *list, struct span_memory *arena,
                                            uint32_t count_max)
{
    *list = (struct attribute_list){.arena = arena, .count_max = count_max};
}

/* Copies key and value. The same key overwrites in place, at the limit too. A key without bytes is
 * ignored. A new key above count_max, or out of memory: `dropped` grows, false. */
bool marline__attributes_set(struct attribute_list *list, const marline_span_limits *limits,
                             const marline_attribute *attribute);
/* The commonest case on its own, because it is the hot one. */
bool marline__attributes_set_text(struct attribute_list *list, const marline_span_limits *limits,
                                  marline_string key, marline_string text);
void marline__attributes_set_all(struct attribute_list *list, const marline_span_limits *limits,
                                 const marline_attribute *attributes, size_t count);
/* The same keys and values in the same order. */
bool marline__attributes_equal(const marline_attribute *one, size_t one_count,
                               const marline_attribute *other, size_t other_count);
/* NULL when absent. */
const marline_attribute *marline__attributes_find(const struct attribute_list *list,
                                                  marline_string key);

/* Copies a text into the arena; data NULL when that failed. */
marline_string marline__string_copy(struct span_memory *arena, marline_string text);

#endif
