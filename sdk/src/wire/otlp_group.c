/* Spans of one export grouped by resource and scope; see otlp_group.h. */
#include "wire/otlp_group.h"

#include "base/memory.h"

static bool is_of(const marline_span_data *span, const struct otlp_group *group)
{
    return span->resource == group->resource && span->scope == group->scope;
}

static bool is_single(const struct otlp_group *group, const marline_span_data *spans, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (!is_of(&spans[i], group)) {
            return false;
        }
    }
    return true;
}

/* Where a group of this span goes: behind the last one of the same resource. */
static size_t place_of(const struct otlp_groups *g, const marline_span_data *span)
{
    for (size_t i = g->count; i > 0; i--) {
        if (g->groups[i - 1].resource == span->resource) {
            return i;
        }
    }
    return g->count;
}

static void add_span(struct otlp_groups *g, const marline_span_data *spans, size_t index)
{
    for (size_t i = 0; i < g->count; i++) {
        if (is_of(&spans[index], &g->groups[i])) {
            g->next[g->groups[i].last] = index;
            g->groups[i].last = index;
            return;
        }
    }
    size_t place = place_of(g, &spans[index]);
    memmove(&g->groups[place + 1], &g->groups[place], (g->count - place) * sizeof g->groups[0]);
    g->groups[place] = (struct otlp_group){spans[index].resource, spans[index].scope, index, index};
    g->count++;
}

bool marline__otlp_groups_init(struct otlp_groups *g, const marline_span_data *spans, size_t count)
{
    *g = (struct otlp_groups){.count = 0};
    if (count == 0) {
        return true;
    }
    g->single = (struct otlp_group){spans[0].resource, spans[0].scope, 0, count - 1};
    if (is_single(&g->single, spans, count)) {
        g->groups = &g->single;
        g->count = 1;
        return true;
    }
    g->groups = marline__memory_array(count, sizeof *g->groups);
    g->next = marline__memory_array(count, sizeof *g->next);
    if (!g->groups || !g->next) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        add_span(g, spans, i);
    }
    return true;
}

void marline__otlp_groups_deinit(struct otlp_groups *g)
{
    if (g->groups != &g->single) {
        marline__memory_free(g->groups);
    }
    marline__memory_free(g->next);
    *g = (struct otlp_groups){.count = 0};
}
