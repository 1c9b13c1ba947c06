/* The span tree: order, missing parents, rings, repeats, depth. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "core/span_tree.h"
#include "support/failing_memory.h"

enum { NODES_MAX = 8, TEXT_MAX = 64 };

/* `id` and `parent` are one letter; parent ' ' = none. */
static struct span_tree_node node(char id, char parent, uint64_t start_unix_ns)
{
    struct span_tree_node n = {.has_parent = parent != ' ', .start_unix_ns = start_unix_ns};
    n.span_id[7] = (uint8_t)id;
    n.parent_span_id[7] = (uint8_t)parent;
    return n;
}

static void print(const struct span_tree_node *nodes, size_t at, char *out)
{
    for (; at != SPAN_TREE_NONE; at = nodes[at].next) {
        size_t size = strlen(out);
        (void)snprintf(out + size, TEXT_MAX - size, "%c(", nodes[at].span_id[7]);
        print(nodes, nodes[at].first_child, out);
        size = strlen(out);
        (void)snprintf(out + size, TEXT_MAX - size, ")");
    }
}

static void assert_tree(const struct span_tree_node *given, size_t count, const char *expected)
{
    struct span_tree_node nodes[NODES_MAX];
    char text[TEXT_MAX] = "";
    size_t first_root = 0;
    for (size_t i = 0; i < count; i++) {
        nodes[i] = given[i];
        nodes[i].row = i;
    }
    assert_true(span_tree_link(nodes, count, &first_root));
    print(nodes, first_root, text);
    assert_string_equal(text, expected);
}

static void given_no_nodes_when_linked_then_no_root(void **state)
{
    (void)state;
    size_t first_root = 0;
    assert_true(span_tree_link(NULL, 0, &first_root));
    assert_true(first_root == SPAN_TREE_NONE);
}

static void given_children_before_their_parent_when_linked_then_sorted_by_start(void **state)
{
    (void)state;
    const struct span_tree_node nodes[] = {node('d', 'b', 40), node('c', 'a', 30),
                                           node('b', 'a', 20), node('a', ' ', 10),
                                           node('e', ' ', 5)};
    assert_tree(nodes, 5, "e()a(b(d())c())");
}

static void given_equal_starts_when_linked_then_in_the_order_given(void **state)
{
    (void)state;
    const struct span_tree_node nodes[] = {node('b', 'r', 1), node('r', ' ', 1), node('a', 'r', 1),
                                           node('q', ' ', 1)};
    assert_tree(nodes, 4, "r(b()a())q()");
}

static void given_parent_not_stored_when_linked_then_root_among_the_roots(void **state)
{
    (void)state;
    const struct span_tree_node nodes[] = {node('b', 'x', 15), node('a', ' ', 10),
                                           node('c', 'b', 12), node('d', ' ', 20)};
    assert_tree(nodes, 4, "a()b(c())d()");
}

static void given_span_that_is_its_own_parent_when_linked_then_root(void **state)
{
    (void)state;
    const struct span_tree_node nodes[] = {node('a', 'a', 1), node('b', 'a', 2)};
    assert_tree(nodes, 2, "a(b())");
}

static void given_ring_when_linked_then_its_earliest_is_a_root_and_none_is_lost(void **state)
{
    (void)state;
    /* t hangs below the ring and starts before it. */
    const struct span_tree_node nodes[] = {node('a', 'c', 10), node('b', 'a', 5),
                                           node('c', 'b', 20), node('t', 'c', 1),
                                           node('r', ' ', 30)};
    assert_tree(nodes, 5, "b(c(t()a()))r()");
}

static void given_repeated_id_when_linked_then_the_earliest_has_the_children(void **state)
{
    (void)state;
    const struct span_tree_node nodes[] = {node('c', 'a', 9), node('a', ' ', 2), node('a', ' ', 1)};
    assert_tree(nodes, 3, "a(c())a()");
}

static void given_deep_chain_when_linked_then_every_link_holds(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    struct span_tree_node *nodes = marline__memory_array(DEPTH, sizeof nodes[0]);
    size_t at = 0;
    size_t depth = 0;
    assert_non_null(nodes);
    for (size_t i = 0; i < DEPTH; i++) {
        uint64_t parent = i - 1;
        memcpy(nodes[i].span_id, &i, sizeof nodes[i].span_id);
        memcpy(nodes[i].parent_span_id, &parent, sizeof nodes[i].parent_span_id);
        nodes[i].has_parent = i > 0;
        nodes[i].start_unix_ns = DEPTH - i; /* clocks that disagree */
        nodes[i].row = i;
    }
    assert_true(span_tree_link(nodes, DEPTH, &at));
    for (; at != SPAN_TREE_NONE; at = nodes[at].first_child) {
        assert_int_equal(nodes[at].row, depth);
        depth++;
    }
    assert_int_equal(depth, DEPTH);
    marline__memory_free(nodes);
}

static void given_no_memory_when_linked_then_false(void **state)
{
    (void)state;
    struct span_tree_node nodes[] = {node('a', ' ', 1)};
    size_t first_root = 7;
    failing_memory_install(1);
    assert_false(span_tree_link(nodes, 1, &first_root));
    failing_memory_remove();
    assert_int_equal(first_root, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_no_nodes_when_linked_then_no_root),
        cmocka_unit_test(given_children_before_their_parent_when_linked_then_sorted_by_start),
        cmocka_unit_test(given_equal_starts_when_linked_then_in_the_order_given),
        cmocka_unit_test(given_parent_not_stored_when_linked_then_root_among_the_roots),
        cmocka_unit_test(given_span_that_is_its_own_parent_when_linked_then_root),
        cmocka_unit_test(given_ring_when_linked_then_its_earliest_is_a_root_and_none_is_lost),
        cmocka_unit_test(given_repeated_id_when_linked_then_the_earliest_has_the_children),
        cmocka_unit_test(given_deep_chain_when_linked_then_every_link_holds),
        cmocka_unit_test(given_no_memory_when_linked_then_false),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
