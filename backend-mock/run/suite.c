/* See suite.h. The keys of a file are in two tables, one for the file and one for a test; defaults
 * hold for the whole file, wherever they stand in it. */
#include "run/suite.h"

#include <stdio.h>
#include <string.h>

#include "core/criteria.h"
#include "programs/must.h"
#include "programs/yaml_file.h"
#include "wire/json_writer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { UNSET = UINT32_MAX }; /* of a test's own timeout and retries, while the file is read */

/* A test as it is read, with what is not kept. */
struct reading {
    struct suite *suite;
    struct suite_test test;
    uint32_t repeat;
};

/* ---- values ---- */

static bool read_name(struct yaml_file *y, const char *key, yaml_node_t *node, char **out)
{
    const char *text = yaml_read_text(y, key, node);
    if (!text) {
        return false;
    }
    if (strlen(text) > SUITE_NAME_MAX) {
        return yaml_complain(y, node, "%s is longer than %d bytes", key, SUITE_NAME_MAX);
    }
    marline__memory_free(*out);
    *out = must_text(text);
    return true;
}

static bool read_number(struct yaml_file *y, const char *key, yaml_node_t *node, uint64_t minimum,
                        uint64_t maximum, uint32_t *out)
{
    uint64_t value = 0;
    bool ok = yaml_read_whole(y, key, node, minimum, maximum, &value);
    *out = ok ? (uint32_t)value : *out;
    return ok;
}

static bool read_json(struct yaml_file *y, const char *key, yaml_node_t *node, char **out)
{
    struct buffer json = BUFFER_INIT;
    bool ok = yaml_read_json(y, key, node, &json);
    if (ok) {
        marline__memory_free(*out);
        *out = must(marline__buffer_take(&json));
    }
    marline__buffer_deinit(&json);
    return ok;
}

/* ---- criteria: keys by a table, for the suggestion; the rest as the backend reads it ---- */

static bool accept(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    (void)y;
    (void)key;
    (void)node;
    (void)target;
    return true;
}

static const struct yaml_key expectation_keys[] = {
    {"pointer", accept}, {"of", accept},  {"equals", accept}, {"contains", accept},
    {"min", accept},     {"max", accept}, {"exists", accept},
};

static const struct yaml_key metric_keys[] = {
    {"name", accept},   {"min", accept},      {"threshold", accept},       {"max", accept},
    {"equals", accept}, {"contains", accept}, {"expected_output", accept}, {"context", accept},
};

/* `member` is "expect" or "metrics": one element of it, checked alone so that the line is known. */
static bool check_element(struct yaml_file *y, const char *member, yaml_node_t *node)
{
    struct buffer json = BUFFER_INIT;
    char error[CRITERIA_ERROR_SIZE];
    marline__buffer_append_format(&json, "{\"%s\":[", member);
    bool ok = yaml_read_json(y, member, node, &json);
    if (ok) {
        marline__buffer_append_text(&json, "]}");
        must_buffer(&json);
        struct criteria *criteria = criteria_parse(marline__buffer_slice(&json), error);
        criteria_destroy(criteria);
        if (!criteria) { /* "expect[0].min must be …" without the index, which is not the file's */
            const char *rest = strchr(error, ']');
            ok = yaml_complain(y, node, "%s%s", member, rest ? rest + 1 : error);
        }
    }
    marline__buffer_deinit(&json);
    return ok;
}

static bool check_expectation(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    (void)target;
    return yaml_read_mapping(y, node, "an expectation", expectation_keys, COUNT(expectation_keys),
                             NULL) &&
           check_element(y, key, node);
}

static bool check_metric(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    (void)target;
    return yaml_read_mapping(y, node, "a metric", metric_keys, COUNT(metric_keys), NULL) &&
           check_element(y, key, node);
}

/* One element may stand without a list around it. */
static bool read_elements(struct yaml_file *y, const char *key, yaml_node_t *node, char **out,
                          bool (*check)(struct yaml_file *, const char *, yaml_node_t *, void *))
{
    if (node->type != YAML_SEQUENCE_NODE) {
        return check(y, key, node, NULL) && read_json(y, key, node, out);
    }
    return yaml_each_item(y, key, node, check, NULL) && read_json(y, key, node, out);
}

/* ---- a test ---- */

static bool read_test_name(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    return read_name(y, key, node, &r->test.name);
}

static bool read_endpoint(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    return read_name(y, key, node, &r->test.endpoint);
}

static bool read_inputs(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    if (node->type != YAML_MAPPING_NODE) {
        return yaml_complain(y, node, "inputs must be a mapping: the function's arguments by name");
    }
    return read_json(y, key, node, &r->test.inputs);
}

static bool read_expect(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    return read_elements(y, key, node, &r->test.expect, check_expectation);
}

static bool read_metrics(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    return read_elements(y, key, node, &r->test.metrics, check_metric);
}

static bool read_test_timeout(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    return read_number(y, key, node, 1, SUITE_TIMEOUT_MAX_MS, &r->test.timeout_ms);
}

static bool read_test_retries(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    return read_number(y, key, node, 0, SUITE_RETRIES_MAX, &r->test.retries);
}

static bool read_repeat(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct reading *r = target;
    return read_number(y, key, node, 1, SUITE_TESTS_MAX, &r->repeat);
}

static const struct yaml_key test_keys[] = {
    {"name", read_test_name},       {"endpoint", read_endpoint}, {"inputs", read_inputs},
    {"expect", read_expect},        {"metrics", read_metrics},   {"timeout_ms", read_test_timeout},
    {"retries", read_test_retries}, {"repeat", read_repeat},
};

static void free_test(struct suite_test *t)
{
    marline__memory_free(t->name);
    marline__memory_free(t->endpoint);
    marline__memory_free(t->inputs);
    marline__memory_free(t->expect);
    marline__memory_free(t->metrics);
}

/* Adds copy number `i` of the test. */
static void add_test(struct reading *r, uint32_t i)
{
    struct suite *s = r->suite;
    const struct suite_test *t = &r->test;
    struct buffer name = BUFFER_INIT;
    marline__buffer_append_text(&name, t->name ? t->name : t->endpoint);
    if (r->repeat > 1) {
        marline__buffer_append_format(&name, " (%u of %u)", i + 1, r->repeat);
    }
    must_buffer(&name);
    s->tests = must_grow(s->tests, s->count, &s->capacity, sizeof *s->tests);
    s->tests[s->count++] = (struct suite_test){.name = must(marline__buffer_take(&name)),
                                               .endpoint = must_text(t->endpoint),
                                               .inputs = must_text(t->inputs ? t->inputs : "{}"),
                                               .expect = must_text(t->expect),
                                               .metrics = must_text(t->metrics),
                                               .timeout_ms = t->timeout_ms,
                                               .retries = t->retries};
}

static bool read_test(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    (void)key;
    struct reading r = {
        .suite = target, .repeat = 1, .test = {.timeout_ms = UNSET, .retries = UNSET}};
    bool ok = yaml_read_mapping(y, node, "a test", test_keys, COUNT(test_keys), &r);
    if (ok && !r.test.endpoint) {
        ok = yaml_complain(y, node, "a test needs an endpoint: the name of the function to call");
    }
    if (ok && r.suite->count + r.repeat > SUITE_TESTS_MAX) {
        ok = yaml_complain(y, node, "the file has more than %d tests", SUITE_TESTS_MAX);
    }
    for (uint32_t i = 0; ok && i < r.repeat; i++) {
        add_test(&r, i);
    }
    free_test(&r.test);
    return ok;
}

/* ---- the file ---- */

static bool read_suite_name(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct suite *s = target;
    return read_name(y, key, node, &s->name);
}

static bool read_environment(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct suite *s = target;
    return read_name(y, key, node, &s->environment);
}

static bool read_webhook(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct suite *s = target;
    const char *text = yaml_read_text(y, key, node);
    if (!text) {
        return false;
    }
    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0) {
        return yaml_complain(y, node, "webhook must be an http:// or https:// URL");
    }
    marline__memory_free(s->webhook);
    s->webhook = must_text(text);
    return true;
}

static bool read_concurrency(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct suite *s = target;
    return read_number(y, key, node, 1, SUITE_CONCURRENCY_MAX, &s->concurrency);
}

static bool read_timeout(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct suite *s = target;
    return read_number(y, key, node, 1, SUITE_TIMEOUT_MAX_MS, &s->timeout_ms);
}

static bool read_retries(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    struct suite *s = target;
    return read_number(y, key, node, 0, SUITE_RETRIES_MAX, &s->retries);
}

static bool read_tests(struct yaml_file *y, const char *key, yaml_node_t *node, void *target)
{
    return yaml_each_item(y, key, node, read_test, target);
}

static const struct yaml_key suite_keys[] = {
    {"name", read_suite_name},    {"environment", read_environment},
    {"webhook", read_webhook},    {"concurrency", read_concurrency},
    {"timeout_ms", read_timeout}, {"retries", read_retries},
    {"tests", read_tests},
};

static void apply_defaults(struct suite *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct suite_test *t = &s->tests[i];
        t->timeout_ms = t->timeout_ms == UNSET ? s->timeout_ms : t->timeout_ms;
        t->retries = t->retries == UNSET ? s->retries : t->retries;
    }
}

bool suite_read(struct suite *s, const char *path, struct failure *f)
{
    static const struct yaml_advice advice = {
        .missing = "name the file with the tests",
        .empty = "put 'tests:' in it, with a list; see marline-backend-mock run --help"};
    struct yaml_file y;
    *s = (struct suite){.concurrency = 1, .timeout_ms = SUITE_TIMEOUT_DEFAULT_MS};
    if (!yaml_file_open(&y, path, &advice, f)) {
        return false;
    }
    bool ok =
        yaml_read_mapping(&y, yaml_file_root(&y), "the file", suite_keys, COUNT(suite_keys), s);
    if (ok && s->count == 0) {
        ok = yaml_complain(&y, yaml_file_root(&y), "the file has no tests");
    }
    yaml_file_close(&y);
    if (ok) {
        apply_defaults(s);
    } else {
        suite_deinit(s);
    }
    return ok;
}

void suite_deinit(struct suite *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free_test(&s->tests[i]);
    }
    marline__memory_free(s->tests);
    marline__memory_free(s->name);
    marline__memory_free(s->environment);
    marline__memory_free(s->webhook);
    *s = (struct suite){.count = 0};
}

/* ---- the run ---- */

static void write_test(struct json_writer *w, const struct suite_test *t)
{
    marline__json_begin_object(w);
    marline__json_member_text(w, "name", t->name);
    marline__json_member_text(w, "function_name", t->endpoint);
    marline__json_member_raw(w, "inputs", marline__slice_text(t->inputs));
    if (t->expect) {
        marline__json_member_raw(w, "expect", marline__slice_text(t->expect));
    }
    if (t->metrics) {
        marline__json_member_raw(w, "metrics", marline__slice_text(t->metrics));
    }
    marline__json_member_int(w, "timeout_ms", t->timeout_ms);
    marline__json_member_int(w, "retries", t->retries);
    marline__json_end_object(w);
}

void suite_write_run(const struct suite *s, const char *project_id, struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "project_id", project_id);
    if (s->name) {
        marline__json_member_text(&w, "name", s->name);
    }
    if (s->environment) {
        marline__json_member_text(&w, "environment", s->environment);
    }
    if (s->webhook) {
        marline__json_member_text(&w, "webhook", s->webhook);
    }
    marline__json_member_int(&w, "concurrency", s->concurrency);
    marline__json_key(&w, "tests");
    marline__json_begin_array(&w);
    for (size_t i = 0; i < s->count; i++) {
        write_test(&w, &s->tests[i]);
    }
    marline__json_end_array(&w);
    marline__json_end_object(&w);
    must_buffer(out);
}
