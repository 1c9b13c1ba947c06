/* What the answer of a test must be: expectations on the output, its text, the error or the
 * duration, and metrics that an agent computes, whose scores have conditions.
 *
 *     {"expect": [{"pointer": "/output", "equals": "Hello, Ada!"},
 *                 {"pointer": "/items", "contains": {"id": 7}},
 *                 {"of": "duration_ms", "max": 2000}],
 *      "metrics": [{"name": "brevity", "min": 0.2, "expected_output": "…", "context": […]}],
 *      "expected_output": "…"}      for metrics that have none of their own
 *
 * Pure; core/verdict.h judges by it. Aborts when there is no memory. */
#ifndef CORE_CRITERIA_H
#define CORE_CRITERIA_H

#include "core/json_tree.h"

enum {
    CRITERIA_ITEMS_MAX = 100, /* expectations, and metrics: more is a generated mistake */
    CRITERIA_ERROR_SIZE = 200,
    CRITERIA_NAME_MAX = 255, /* bytes of a metric's name, as the platform's database allows */
};

/* What must hold for a value; all that is set. */
struct condition {
    const struct json_node *equals;
    const struct json_node *contains;
    const struct json_node *min; /* numbers */
    const struct json_node *max;
    bool has_exists;
    bool exists;
};

/* OF_TEXT: the member "output" of the output where that is a text, else the whole output. */
enum subject { OF_OUTPUT, OF_TEXT, OF_ERROR, OF_DURATION };
enum { SUBJECT_COUNT = OF_DURATION + 1 };
extern const char *const subject_names[SUBJECT_COUNT];

struct expectation {
    enum subject of;
    char *pointer; /* owned */
    struct condition condition;
};

struct metric_criterion {
    char *name; /* owned */
    struct condition condition;
    const struct json_node *expected_output; /* NULL = not given; so for the next */
    const struct json_node *context;
};

struct criteria {
    struct arena arena;
    char *text; /* owned; the tree borrows from it */
    struct json_node root;
    struct expectation *expectations;
    size_t expectation_count;
    struct metric_criterion *metrics;
    size_t metric_count;
    const struct json_node *expected_output; /* of metrics without their own; NULL = not given */
};

/* Copies the text. NULL, and an error that names the member ("expect[1].pointer must be …"), when
 * it is not as above. */
struct criteria *criteria_parse(struct slice json, char error[CRITERIA_ERROR_SIZE]);
void criteria_destroy(struct criteria *criteria); /* accepts NULL */

bool condition_is_set(const struct condition *condition);

#endif
