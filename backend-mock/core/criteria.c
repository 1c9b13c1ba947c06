/* See criteria.h. */
#include "core/criteria.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/alloc.h"
#include "core/json_tree.h"
#include "wire/json_pointer.h"

/* ---- reading ---- */

/* Where in the criteria something is read, and what is wrong there. */
struct reading {
    char *error; /* CRITERIA_ERROR_SIZE bytes; "" while all is well */
    char where[32];
};

static bool __attribute__((format(printf, 2, 3))) refuse(struct reading *r, const char *format, ...)
{
    if (r->error[0] == '\0') {
        va_list arguments;
        size_t used = strlen(r->where);
        memcpy(r->error, r->where, used);
        va_start(arguments, format);
        (void)vsnprintf(r->error + used, CRITERIA_ERROR_SIZE - used, format, arguments);
        va_end(arguments);
    }
    return false;
}

static bool expect_type(struct reading *r, const struct json_node *node, enum json_type type,
                        const char *what)
{
    return node->type == type || refuse(r, ".%.*s must be %s", SLICE_ARG(node->name), what);
}

static bool is_named(const struct json_node *node, const char *name)
{
    return marline__slice_is(node->name, name);
}

/* Reads a member that is one of the conditions. *out_known is false when it is none. */
static bool read_condition(struct reading *r, const struct json_node *node, struct condition *out,
                           bool *out_known)
{
    double number;
    *out_known = true;
    if (is_named(node, "equals")) {
        out->equals = node;
    } else if (is_named(node, "contains")) {
        out->contains = node;
    } else if (is_named(node, "min") || is_named(node, "max")) {
        if (!json_tree_number(node, &number)) {
            return refuse(r, ".%.*s must be a number", SLICE_ARG(node->name));
        }
        *(is_named(node, "min") ? &out->min : &out->max) = node;
    } else {
        *out_known = false;
    }
    return true;
}

static bool read_pointer(struct reading *r, const struct json_node *node, struct expectation *out)
{
    if (!expect_type(r, node, JSON_STRING, "a string")) {
        return false;
    }
    marline__memory_free(out->pointer);
    out->pointer = alloc_slice(node->text);
    bool has_nul = memchr(node->text.data, '\0', node->text.size) != NULL;
    return (!has_nul && marline__json_pointer_is_valid(out->pointer)) ||
           refuse(r, ".pointer must be a JSON pointer, such as /output or /items/0/id");
}

const char *const subject_names[SUBJECT_COUNT] = {"output", "text", "error", "duration_ms"};

static bool read_subject(struct reading *r, const struct json_node *node, enum subject *out)
{
    for (size_t i = 0; i < SUBJECT_COUNT; i++) {
        if (node->type == JSON_STRING && marline__slice_is(node->text, subject_names[i])) {
            *out = (enum subject)i;
            return true;
        }
    }
    return refuse(r, ".of must be output, text, error or duration_ms");
}

static bool read_expectation_member(struct reading *r, const struct json_node *node,
                                    struct expectation *out)
{
    bool known = false;
    if (!read_condition(r, node, &out->condition, &known) || known) {
        return r->error[0] == '\0';
    }
    if (is_named(node, "pointer")) {
        return read_pointer(r, node, out);
    }
    if (is_named(node, "of")) {
        return read_subject(r, node, &out->of);
    }
    if (is_named(node, "exists")) {
        out->condition.has_exists = true;
        out->condition.exists = marline__slice_is(node->raw, "true");
        return expect_type(r, node, JSON_BOOL, "true or false");
    }
    return refuse(r,
                  " has the unknown member '%.*s'; there are pointer, of, equals, contains, min, "
                  "max and exists",
                  SLICE_ARG(node->name));
}

bool condition_is_set(const struct condition *c)
{
    return c->equals || c->contains || c->min || c->max || c->has_exists;
}

static bool check_order(struct reading *r, const struct condition *c)
{
    double min = 0;
    double max = 0;
    bool both =
        c->min && c->max && json_tree_number(c->min, &min) && json_tree_number(c->max, &max);
    return !both || min <= max || refuse(r, ".min must not be above max");
}

static bool read_expectation(struct reading *r, const struct json_node *node,
                             struct expectation *out)
{
    if (node->type != JSON_OBJECT) {
        return refuse(r, " must be an object");
    }
    for (size_t i = 0; i < node->count; i++) {
        if (!read_expectation_member(r, &node->items[i], out)) {
            return false;
        }
    }
    if (!condition_is_set(&out->condition)) {
        return refuse(r, " says nothing: give equals, contains, min, max or exists");
    }
    if (out->of != OF_OUTPUT && out->pointer) {
        return refuse(r, ".pointer points into the output only");
    }
    return check_order(r, &out->condition);
}

static bool read_metric_member(struct reading *r, const struct json_node *node,
                               struct metric_criterion *out)
{
    bool known = false;
    double number;
    if (!read_condition(r, node, &out->condition, &known) || known) {
        return r->error[0] == '\0';
    }
    if (is_named(node, "threshold")) { /* the platform's word for it */
        out->condition.min = node;
        return json_tree_number(node, &number) || refuse(r, ".threshold must be a number");
    }
    if (is_named(node, "name")) {
        marline__memory_free(out->name);
        out->name = NULL;
        if (node->type != JSON_STRING || node->text.size == 0 ||
            node->text.size > CRITERIA_NAME_MAX || memchr(node->text.data, '\0', node->text.size)) {
            return refuse(r, ".name must be a text of 1 to %d bytes", CRITERIA_NAME_MAX);
        }
        out->name = alloc_slice(node->text);
        return true;
    }
    if (is_named(node, "expected_output")) {
        out->expected_output = node;
        return true;
    }
    if (is_named(node, "context")) {
        out->context = node;
        return true;
    }
    return refuse(r,
                  " has the unknown member '%.*s'; there are name, min (or threshold), max, "
                  "equals, contains, expected_output and context",
                  SLICE_ARG(node->name));
}

static bool read_metric(struct reading *r, const struct json_node *node,
                        struct metric_criterion *out)
{
    if (node->type != JSON_OBJECT) {
        return refuse(r, " must be an object");
    }
    for (size_t i = 0; i < node->count; i++) {
        if (!read_metric_member(r, &node->items[i], out)) {
            return false;
        }
    }
    return (out->name || refuse(r, ".name is required")) && check_order(r, &out->condition);
}

/* The elements of an array; any other value stands for an array of it alone. */
static const struct json_node *elements(struct reading *r, const struct json_node *node,
                                        size_t *out_count)
{
    bool is_array = node->type == JSON_ARRAY;
    *out_count = is_array ? node->count : 1;
    if (*out_count > CRITERIA_ITEMS_MAX) {
        (void)refuse(r, " has more than %d elements", CRITERIA_ITEMS_MAX);
        *out_count = 0;
    }
    return is_array ? node->items : node;
}

static bool read_expectations(struct reading *r, const struct json_node *node, struct criteria *c)
{
    size_t count = 0;
    const struct json_node *items = elements(r, node, &count);
    c->expectations = alloc_array(count ? count : 1, sizeof(*c->expectations));
    c->expectation_count = count;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(r->where, sizeof(r->where), "expect[%zu]", i);
        if (!read_expectation(r, &items[i], &c->expectations[i])) {
            return false;
        }
    }
    return r->error[0] == '\0';
}

static bool read_metrics(struct reading *r, const struct json_node *node, struct criteria *c)
{
    size_t count = 0;
    const struct json_node *items = elements(r, node, &count);
    c->metrics = alloc_array(count ? count : 1, sizeof(*c->metrics));
    c->metric_count = count;
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(r->where, sizeof(r->where), "metrics[%zu]", i);
        if (!read_metric(r, &items[i], &c->metrics[i])) {
            return false;
        }
    }
    return r->error[0] == '\0';
}

static bool read_root(struct reading *r, struct criteria *c)
{
    if (!json_tree_parse(marline__slice_text(c->text), &c->arena, &c->root) ||
        c->root.type != JSON_OBJECT) {
        return refuse(r, "must be an object with expect and metrics");
    }
    const struct json_node *expect = json_tree_member(&c->root, "expect");
    const struct json_node *metrics = json_tree_member(&c->root, "metrics");
    c->expected_output = json_tree_member(&c->root, "expected_output");
    (void)snprintf(r->where, sizeof(r->where), "expect");
    if (expect && !read_expectations(r, expect, c)) {
        return false;
    }
    (void)snprintf(r->where, sizeof(r->where), "metrics");
    return !metrics || read_metrics(r, metrics, c);
}

struct criteria *criteria_parse(struct slice json, char error[CRITERIA_ERROR_SIZE])
{
    struct criteria *c = alloc_zeroed(sizeof(*c));
    struct reading r = {.error = error};
    error[0] = '\0';
    c->text = alloc_slice(json);
    if (!read_root(&r, c)) {
        criteria_destroy(c);
        return NULL;
    }
    return c;
}

void criteria_destroy(struct criteria *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->expectation_count; i++) {
        marline__memory_free(c->expectations[i].pointer);
    }
    for (size_t i = 0; i < c->metric_count; i++) {
        marline__memory_free(c->metrics[i].name);
    }
    marline__memory_free(c->expectations);
    marline__memory_free(c->metrics);
    marline__arena_deinit(&c->arena);
    marline__memory_free(c->text);
    marline__memory_free(c);
}
