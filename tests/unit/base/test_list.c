/* The intrusive ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct list node;
};

static int value_of(struct list *node)
{
    return LIST_ENTRY(node, struct item, node)->value;
}

static void fill(struct list *head, struct item *items, int count)
{
    marline__list_init(head);
    for (int i = 0; i < count; i++) {
        items[i].value = i;
        marline__list_push_back(head, &items[i].node);
    }
}

static void given_pushed_nodes_when_popped_then_first_in_first_out(void **state)
{
    (void)state;
    struct list head;
    struct item items[3];
    fill(&head, items, 3);
    assert_false(marline__list_is_empty(&head));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(value_of(marline__list_pop_front(&head)), i);
    }
    assert_true(marline__list_is_empty(&head));
    assert_null(marline__list_pop_front(&head));
}

static void given_visit_when_current_node_is_removed_then_others_still_come(void **state)
{
    (void)state;
    struct list head;
    struct item items[4];
    int seen = 0;
    fill(&head, items, 4);
    LIST_EACH(&head, node)
    {
        seen = seen * 10 + value_of(node);
        marline__list_remove(node);
    }
    assert_int_equal(seen, 123);
    assert_true(marline__list_is_empty(&head));
}

static void given_removed_node_when_removed_again_then_nothing_happens(void **state)
{
    (void)state;
    struct list head;
    struct item items[3];
    fill(&head, items, 3);
    marline__list_remove(&items[1].node);
    marline__list_remove(&items[1].node);
    assert_int_equal(value_of(head.next), 0);
    assert_int_equal(value_of(head.previous), 2);
    marline__list_push_back(&head, &items[1].node);
    assert_int_equal(value_of(head.previous), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_pushed_nodes_when_popped_then_first_in_first_out),
        cmocka_unit_test(given_visit_when_current_node_is_removed_then_others_still_come),
        cmocka_unit_test(given_removed_node_when_removed_again_then_nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
