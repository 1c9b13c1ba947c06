/* An intrusive doubly linked ring. A node is embedded in what it links; the list owns nothing. */
#ifndef MARLINE_BASE_LIST_H
#define MARLINE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The structure of the given type whose member `field` is the node. */
#define LIST_ENTRY(node, type, field) ((type *)(void *)((char *)(node)-offsetof(type, field)))
/* Visits each node; the current one may be removed. */
#define LIST_EACH(head, node)                                                                      \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)

static inline void marline__list_init(struct list *head)
{
    head->next = head->previous = head;
}

static inline bool marline__list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void marline__list_push_back(struct list *head, struct list *node)
{
    node->previous = head->previous;
    node->next = head;
    head->previous->next = node;
    head->previous = node;
}

/* Removing a node that is in no list (init'ed, or removed before) does nothing. */
static inline void marline__list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    node->next = node->previous = node;
}

/* Returns the first node, removed; NULL when the list is empty. */
static inline struct list *marline__list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head) {
        return NULL;
    }
    marline__list_remove(node);
    return node;
}

#endif
