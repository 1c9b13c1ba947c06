/* Spans of one export grouped by resource and scope (PB-05), in the order of first appearance.
 * Resources and scopes are told apart by address: each lives once, in its provider or tracer. */
#ifndef MARLINE_WIRE_OTLP_GROUP_H
#define MARLINE_WIRE_OTLP_GROUP_H

#include <marline/span_data.h>

#include "base/slice.h"

struct otlp_group {
    const marline_resource_data *resource;
    const marline_scope_data *scope;
    size_t first; /* index of a span */
    size_t last;
};

struct otlp_groups {
    struct otlp_group *groups;
    size_t count;
    size_t *next; /* by span: the next one of its group */
    struct otlp_group single;
};

/* False when out of memory. Groups of one resource stand together. Free with deinit in every case.
 */
bool marline__otlp_groups_init(struct otlp_groups *g, const marline_span_data *spans, size_t count);
void marline__otlp_groups_deinit(struct otlp_groups *g);

/* Visits the spans of a group. */
#define OTLP_GROUP_EACH(g, group, index)                                                           \
    for (size_t index = (group)->first, index##_more = 1; index##_more;                            \
         index##_more = index != (group)->last, index = otlp_group_next((g), index))

static inline size_t otlp_group_next(const struct otlp_groups *g, size_t index)
{
    return g->next ? g->next[index] : index + 1;
}

#endif
