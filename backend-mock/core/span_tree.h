/* The tree of a trace's spans, as far as they are stored: a span whose parent is not among them is
 * a root. Children and roots are in order of their start. Pure; peers may send anything, so depth
 * has no limit (walk it without recursion), and spans that are each other's ancestors, which no
 * root would reach, lose the link of the earliest of them, which becomes a root. Any thread. */
#ifndef CORE_SPAN_TREE_H
#define CORE_SPAN_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPAN_TREE_NONE SIZE_MAX

struct span_tree_node {
    /* in */
    uint8_t span_id[8];
    uint8_t parent_span_id[8];
    bool has_parent;
    uint64_t start_unix_ns;
    size_t row; /* the caller's own; of equal starts the lower comes first */
    /* out: indices of nodes, or SPAN_TREE_NONE */
    size_t parent;
    size_t first_child;
    size_t next; /* sibling, or next root */
    /* private */
    size_t last_child;
    size_t walk;
};

/* Sorts the nodes by start and links them; out_first_root is SPAN_TREE_NONE for no nodes. Of spans
 * with the same id the earliest gets the children. False: out of memory. */
bool span_tree_link(struct span_tree_node *nodes, size_t count, size_t *out_first_root);

#endif
