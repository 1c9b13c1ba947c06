/* The span tree. After the sort an index is also the rank by start, so appending in order of the
 * index keeps every list sorted. */
#include "core/span_tree.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct id_entry {
    uint8_t span_id[8];
    size_t node;
};

static int compare_starts(const void *left, const void *right)
{
    const struct span_tree_node *a = left;
    const struct span_tree_node *b = right;
    if (a->start_unix_ns != b->start_unix_ns) {
        return a->start_unix_ns < b->start_unix_ns ? -1 : 1;
    }
    return (a->row > b->row) - (a->row < b->row);
}

static int compare_ids(const void *left, const void *right)
{
    const struct id_entry *a = left;
    const struct id_entry *b = right;
    int order = memcmp(a->span_id, b->span_id, sizeof a->span_id);
    return order ? order : (a->node > b->node) - (a->node < b->node);
}

/* The first node with the id. */
static size_t find_id(const struct id_entry *ids, size_t count, const uint8_t span_id[8])
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(ids[middle].span_id, span_id, sizeof ids[middle].span_id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool found = low < count && memcmp(ids[low].span_id, span_id, sizeof ids[low].span_id) == 0;
    return found ? ids[low].node : SPAN_TREE_NONE;
}

static bool find_parents(struct span_tree_node *nodes, size_t count)
{
    struct id_entry *ids = marline__memory_array(count, sizeof ids[0]);
    if (!ids) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(ids[i].span_id, nodes[i].span_id, sizeof ids[i].span_id);
        ids[i].node = i;
    }
    qsort(ids, count, sizeof ids[0], compare_ids);
    for (size_t i = 0; i < count; i++) {
        struct span_tree_node *node = &nodes[i];
        node->parent =
            node->has_parent ? find_id(ids, count, node->parent_span_id) : SPAN_TREE_NONE;
        node->first_child = node->last_child = node->next = node->walk = SPAN_TREE_NONE;
    }
    marline__memory_free(ids);
    return true;
}

static void cut_ring(struct span_tree_node *nodes, size_t member)
{
    size_t earliest = member;
    for (size_t i = nodes[member].parent; i != member; i = nodes[i].parent) {
        earliest = i < earliest ? i : earliest;
    }
    nodes[earliest].parent = SPAN_TREE_NONE;
}

/* Each walk upwards leaves its number; it stops at a node it has passed itself (a ring), or that an
 * earlier walk has. */
static void cut_rings(struct span_tree_node *nodes, size_t count)
{
    for (size_t walk = 0; walk < count; walk++) {
        size_t at = walk;
        while (at != SPAN_TREE_NONE && nodes[at].walk == SPAN_TREE_NONE) {
            nodes[at].walk = walk;
            at = nodes[at].parent;
        }
        if (at != SPAN_TREE_NONE && nodes[at].walk == walk) {
            cut_ring(nodes, at);
        }
    }
}

bool span_tree_link(struct span_tree_node *nodes, size_t count, size_t *out_first_root)
{
    size_t first_root = SPAN_TREE_NONE;
    size_t last_root = SPAN_TREE_NONE;
    if (count > 0) {
        qsort(nodes, count, sizeof nodes[0], compare_starts);
        if (!find_parents(nodes, count)) {
            return false;
        }
        cut_rings(nodes, count);
    }
    for (size_t i = 0; i < count; i++) {
        struct span_tree_node *parent =
            nodes[i].parent == SPAN_TREE_NONE ? NULL : &nodes[nodes[i].parent];
        size_t *first = parent ? &parent->first_child : &first_root;
        size_t *last = parent ? &parent->last_child : &last_root;
        if (*last == SPAN_TREE_NONE) {
            *first = i;
        } else {
            nodes[*last].next = i;
        }
        *last = i;
    }
    *out_first_root = first_root;
    return true;
}
