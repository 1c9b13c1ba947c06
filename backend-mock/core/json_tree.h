/* A JSON text as a tree, for values that are compared rather than passed on. Members of objects are
 * in order of their names, and of a repeated one the last counts, so that two trees can be walked
 * side by side. Pure; aborts when there is no memory. */
#ifndef CORE_JSON_TREE_H
#define CORE_JSON_TREE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "wire/json_reader.h"

struct json_node {
    enum json_type type;
    struct slice name;       /* decoded; of members of an object */
    struct slice raw;        /* as it stands in the text; borrows from it */
    struct slice text;       /* decoded; of strings */
    struct json_node *items; /* of arrays and objects */
    size_t count;
};

/* False when the text is not JSON. Nodes live in the arena. */
bool json_tree_parse(struct slice json, struct arena *arena, struct json_node *out);
/* NULL when the node is no object, or has no such member. */
const struct json_node *json_tree_member(const struct json_node *node, const char *name);
/* False when the node is no number that fits a double. */
bool json_tree_number(const struct json_node *node, double *out);

/* Where two trees differ first: the JSON pointer, and what stands there (NULL = nothing). */
struct json_difference {
    struct buffer pointer;
    const struct json_node *expected;
    const struct json_node *found;
};

/* Numbers are compared by value, objects without regard to order. `out` may be NULL; else it is
 * set when false is returned, and its buffer is the caller's to free. */
bool json_tree_equal(const struct json_node *expected, const struct json_node *found,
                     struct json_difference *out);
/* A string contains a part of it, an array an element, an object each member of `part`, whose
 * value contains (objects) or equals (all else) what `part` says. */
bool json_tree_contains(const struct json_node *whole, const struct json_node *part);

#endif
