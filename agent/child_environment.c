/* The environment that an exec endpoint's program gets. */
#include "agent/child_environment.h"

#include <string.h>

#include "programs/must.h"

/* What programs need to find their libraries, their home and their language. */
static const char *const usual_names[] = {"PATH",   "HOME",     "USER", "LOGNAME", "SHELL", "LANG",
                                          "LC_ALL", "LC_CTYPE", "TZ",   "TMPDIR",  "TERM"};
/* Set by the caller alone: a stale value of the agent's own would lie about the parent. */
static const char *const carrier_names[] = {"TRACEPARENT", "TRACESTATE", "BAGGAGE"};

static size_t name_size(const char *variable)
{
    const char *equals = strchr(variable, '=');
    return equals ? (size_t)(equals - variable) : strlen(variable);
}

static bool has_name(const char *variable, const char *name, size_t size)
{
    return name_size(variable) == size && memcmp(variable, name, size) == 0;
}

static bool is_present(const struct words *list, const char *variable)
{
    for (size_t i = 0; i < list->count; i++) {
        if (has_name(list->items[i], variable, name_size(variable))) {
            return true;
        }
    }
    return false;
}

static bool is_carrier(const char *variable)
{
    for (size_t i = 0; i < sizeof carrier_names / sizeof carrier_names[0]; i++) {
        if (has_name(variable, carrier_names[i], strlen(carrier_names[i]))) {
            return true;
        }
    }
    return false;
}

static void add_once(struct words *out, const char *variable)
{
    if (!is_present(out, variable)) {
        words_add(out, variable);
    }
}

static void add_value(struct words *out, const char *name, const char *value)
{
    if (!value) {
        return;
    }
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "%s=%s", name, value);
    must_buffer(&b);
    add_once(out, b.data);
    marline__buffer_deinit(&b);
}

static void add_test(struct words *out, const marline_test_context *test)
{
    add_value(out, "RHESIS_TEST_RUN_ID", test->test_run_id);
    add_value(out, "RHESIS_TEST_ID", test->test_id);
    add_value(out, "RHESIS_TEST_CONFIGURATION_ID", test->test_configuration_id);
    add_value(out, "RHESIS_TEST_RESULT_ID", test->test_result_id);
}

static bool is_wanted(const struct child_environment *e, const char *variable)
{
    for (size_t i = 0; i < sizeof usual_names / sizeof usual_names[0]; i++) {
        if (has_name(variable, usual_names[i], strlen(usual_names[i]))) {
            return true;
        }
    }
    for (size_t i = 0; e->pass && i < e->pass->count; i++) {
        if (has_name(variable, e->pass->items[i], strlen(e->pass->items[i]))) {
            return true;
        }
    }
    return false;
}

void child_environment_build(const struct child_environment *e, struct words *out)
{
    *out = (struct words){0};
    for (char *const *v = e->carrier; v && *v; v++) {
        add_once(out, *v);
    }
    if (e->test) {
        add_test(out, e->test);
    }
    add_value(out, "RHESIS_INVOCATION_ID", e->invocation_id);
    add_value(out, "RHESIS_PROJECT_ID", e->project_id);
    add_value(out, "RHESIS_ENVIRONMENT", e->environment);
    for (size_t i = 0; e->fixed && i < e->fixed->count; i++) {
        add_once(out, e->fixed->items[i]);
    }
    for (char *const *v = e->inherited; v && *v; v++) {
        if (is_wanted(e, *v) && !is_carrier(*v)) {
            add_once(out, *v);
        }
    }
}
