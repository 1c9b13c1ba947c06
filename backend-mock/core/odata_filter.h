/* $filter of the entity lists (wire-protocol §8.7): the part of OData's language that the
 * platform's SDK and its users write. Pure.
 *
 *   filter   = all { "or" all }           all     = one { "and" one }
 *   one      = "not" one | "(" filter ")" | compare | text
 *   compare  = operand ("eq" | "ne" | "gt" | "ge" | "lt" | "le") value
 *            | operand "in" "(" value { "," value } ")"
 *   text     = ("contains" | "startswith" | "endswith") "(" operand "," 'text' ")"
 *   operand  = field | ("tolower" | "toupper") "(" field ")"
 *   value    = 'text' ('' is one quote) | number | true | false | null | a UUID or a time, bare
 *
 * The caller says which fields there are and of what type; values are converted to it here, so that
 * whoever carries the filter out binds them and never sees the text of the caller. */
#ifndef CORE_ODATA_FILTER_H
#define CORE_ODATA_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"

enum filter_type { FILTER_TEXT, FILTER_UUID, FILTER_TIME, FILTER_NUMBER };

struct filter_field {
    const char *name; /* may hold slashes: "status/name" */
    enum filter_type type;
    const char *column; /* whatever whoever carries the filter out wants to know; may be NULL */
};

enum filter_case { FILTER_AS_IS, FILTER_LOWER, FILTER_UPPER };
enum filter_operator {
    FILTER_OR, /* of left and right, so for the next */
    FILTER_AND,
    FILTER_NOT, /* of left */
    FILTER_EQ,  /* of field and value, as all that follow */
    FILTER_NE,
    FILTER_GT,
    FILTER_GE,
    FILTER_LT,
    FILTER_LE,
    FILTER_CONTAINS,
    FILTER_STARTS,
    FILTER_ENDS,
};

struct filter_value {
    bool is_null; /* only with EQ and NE */
    struct slice text;
    struct uuid uuid;
    uint64_t time_ns;
    double number;
};

struct filter_node {
    enum filter_operator op;
    uint8_t left; /* index of a node */
    uint8_t right;
    uint8_t field; /* index into the caller's fields */
    enum filter_case letters;
    struct filter_value value;
};

enum {
    FILTER_SIZE_MAX = 2000, /* bytes; longer ones are for a POST */
    FILTER_DEPTH_MAX = 16,
    FILTER_VALUES_MAX = 12, /* each is a parameter of a statement */
    FILTER_NODES_MAX = 4 * FILTER_VALUES_MAX,
    FILTER_ERROR_SIZE = 160,
};

struct odata_filter {
    struct filter_node nodes[FILTER_NODES_MAX];
    size_t count;
    size_t values;
    uint8_t root;
    char text[FILTER_SIZE_MAX]; /* what the texts of values lie in */
    size_t text_size;
    char error[FILTER_ERROR_SIZE];
};

/* False, with one sentence in `out->error`, when the text is no such filter. */
bool odata_filter_parse(struct slice text, const struct filter_field *fields, size_t field_count,
                        struct odata_filter *out);

#endif
