/* The endpoints that `check` registers. */
#include "agent/check/probes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <marline/trace.h>

#include "agent/service.h"
#include "programs/must.h"

enum { INDEX_UNKNOWN = -1 };

struct made_span {
    char run_id[FACT_ID_SIZE];
    char test_id[FACT_ID_SIZE];
    char configuration_id[FACT_ID_SIZE];
    char trace_id[FACT_ID_SIZE];
    char span_id[FACT_ID_SIZE];
    char name[FACT_NAME_SIZE];
    enum link_point expected;
    unsigned attempt;
    int index; /* of the test in its run, or INDEX_UNKNOWN */
    bool is_root;
    bool is_dropped;
};

struct late_span {
    marline_span span;
    double end;
};

struct binding {
    struct probes *probes;
    const struct probe *probe;
};

struct probes {
    struct pace *pace;
    struct span_tap *tap;
    bool is_prompt;
    struct binding *bindings;
    struct {
        pthread_mutex_t mutex;
        struct made_span *spans;
        size_t count;
        size_t capacity;
        struct late_span *late;
        size_t late_count;
        size_t late_capacity;
    } shared;
};

/* One call of a probe. */
struct performance {
    struct probes *probes;
    const struct probe *probe;
    const marline_test_context *test;
    double base;
    int index;
};

static void copy_id(char out[FACT_ID_SIZE], const char *id)
{
    (void)snprintf(out, FACT_ID_SIZE, "%s", id ? id : "");
}

static void record(const struct performance *a, const marline_span *span, const char *name,
                   enum link_point expected, bool is_root)
{
    struct probes *p = a->probes;
    struct made_span made = {.expected = p->is_prompt ? LINK_NONE : expected,
                             .attempt = a->test->attempt,
                             .index = a->index,
                             .is_root = is_root,
                             .is_dropped = a->probe->sends_nothing};
    copy_id(made.run_id, a->test->test_run_id);
    copy_id(made.test_id, a->test->test_id);
    copy_id(made.configuration_id, a->test->test_configuration_id);
    marline_span_trace_id_text(span, made.trace_id);
    marline_span_id_text(span, made.span_id);
    (void)snprintf(made.name, sizeof made.name, "%s", name);
    (void)pthread_mutex_lock(&p->shared.mutex);
    p->shared.spans =
        must_grow(p->shared.spans, p->shared.count, &p->shared.capacity, sizeof *p->shared.spans);
    p->shared.spans[p->shared.count++] = made;
    (void)pthread_mutex_unlock(&p->shared.mutex);
}

/* ---- the calls, on the client's workers ---- */

static void keep_late(struct probes *p, const marline_span *span, double end)
{
    (void)pthread_mutex_lock(&p->shared.mutex);
    p->shared.late = must_grow(p->shared.late, p->shared.late_count, &p->shared.late_capacity,
                               sizeof *p->shared.late);
    p->shared.late[p->shared.late_count++] = (struct late_span){*span, end};
    (void)pthread_mutex_unlock(&p->shared.mutex);
}

/* Started here, ended by probes_end_late: as work does that an invocation leaves behind. */
static void start_late(const struct performance *a, const struct probe_span *s)
{
    marline_tracer *tracer = marline_tracer_get(marline_provider_global(), "marline.check", NULL);
    marline_span span = marline_span_start(tracer, s->name, NULL);
    record(a, &span, s->name, s->expected, false);
    keep_late(a->probes, &span, a->base + s->end);
}

static bool make_span(const struct performance *a, const struct probe_span *s)
{
    struct pace *pace = a->probes->pace;
    if (!pace_wait(pace, a->base + s->start)) {
        return false;
    }
    if (s->is_late) {
        start_late(a, s);
        return true;
    }
    MARLINE_OBSERVE(observed, s->name);
    record(a, &observed.span, s->name, s->expected, false);
    return pace_wait(pace, a->base + s->end);
}

static marline_status perform(const struct performance *a, marline_call *call)
{
    char name[FACT_NAME_SIZE];
    (void)snprintf(name, sizeof name, "function.%s", a->probe->endpoint);
    marline_span root = marline_span_current(marline_call_context(call));
    if (a->probe->sends_nothing) {
        span_tap_drop_trace(a->probes->tap, root.context.trace_id);
    }
    record(a, &root, name, a->probe->root_expected, true);
    for (size_t i = 0; i < a->probe->span_count; i++) {
        if (!make_span(a, &a->probe->spans[i])) {
            return marline_fail(call, "the check was stopped");
        }
    }
    if (!pace_wait(a->probes->pace, a->base + a->probe->end)) {
        return marline_fail(call, "the check was stopped");
    }
    if (a->probe->fails_first && a->test->attempt <= 1) {
        return marline_fail(call, "the first attempt fails, as the scenario wants it");
    }
    return marline_output_text(call, "done");
}

static marline_status refuse_outside_test(marline_call *call)
{
    return marline_fail(call, "invoked outside a test: this is a probe of marline-agent check");
}

static marline_status handle(marline_call *call, void *user)
{
    const struct binding *b = user;
    struct performance a = {b->probes, b->probe, marline_call_test(call),
                            (double)marline_input_int(call, "base_tick", 0), INDEX_UNKNOWN};
    return a.test ? perform(&a, call) : refuse_outside_test(call);
}

static const struct probe *find_probe(const char *name, size_t size)
{
    for (size_t i = 0; i < probe_count(); i++) {
        const char *endpoint = probe_at(i)->endpoint;
        if (strlen(endpoint) == size && memcmp(endpoint, name, size) == 0) {
            return probe_at(i);
        }
    }
    return NULL;
}

static marline_status handle_text(marline_call *call, void *user)
{
    const char *text = marline_input_text(call, "input", "");
    size_t size = strcspn(text, " ");
    char *end = NULL;
    struct performance a = {
        .probes = user, .probe = find_probe(text, size), .test = marline_call_test(call)};
    a.base = (double)strtoul(text + size, &end, 10);
    a.index = (int)strtoul(end, NULL, 10);
    if (!a.probe) {
        return marline_fail(call, "'%s' is no probe of marline-agent check", text);
    }
    return a.test ? perform(&a, call) : refuse_outside_test(call);
}

/* ---- late and orphaned spans ---- */

void probes_end_late(struct probes *p)
{
    double now = pace_now(p->pace);
    (void)pthread_mutex_lock(&p->shared.mutex);
    for (size_t i = p->shared.late_count; i-- > 0;) {
        if (p->shared.late[i].end <= now) {
            marline_span_end(&p->shared.late[i].span);
            p->shared.late[i] = p->shared.late[--p->shared.late_count];
        }
    }
    (void)pthread_mutex_unlock(&p->shared.mutex);
}

bool probes_next_late(struct probes *p, double *out_position)
{
    bool is_any = false;
    (void)pthread_mutex_lock(&p->shared.mutex);
    for (size_t i = 0; i < p->shared.late_count; i++) {
        double end = p->shared.late[i].end;
        *out_position = is_any && *out_position < end ? *out_position : end;
        is_any = true;
    }
    (void)pthread_mutex_unlock(&p->shared.mutex);
    return is_any;
}

void probes_make_orphans(struct probes *p, const struct facts *f)
{
    const struct probe *probe = f->tests[0].probe;
    marline_test_context test = {.test_run_id = f->run_id,
                                 .test_id = f->tests[0].test_id,
                                 .test_configuration_id = f->tests[0].configuration_id};
    struct performance a = {.probes = p, .probe = probe, .test = &test};
    marline_context *context = marline_context_with_test(NULL, &test);
    marline_scope scope;
    marline_scope_enter(&scope, context);
    {
        MARLINE_OBSERVE(root, "function.check.orphan");
        record(&a, &root.span, "function.check.orphan", LINK_NONE, true);
        for (size_t i = 0; i < probe->span_count; i++) {
            MARLINE_OBSERVE(child, probe->spans[i].name);
            record(&a, &child.span, probe->spans[i].name, LINK_NONE, false);
        }
    }
    marline_scope_leave(&scope);
    marline_context_unref(context);
}

/* ---- life ---- */

struct probes *probes_create(struct pace *pace, struct span_tap *tap, bool is_prompt)
{
    struct probes *p = must_zeroed(sizeof *p);
    p->pace = pace;
    p->tap = tap;
    p->is_prompt = is_prompt;
    p->bindings = must(marline__memory_array(probe_count(), sizeof *p->bindings));
    (void)pthread_mutex_init(&p->shared.mutex, NULL);
    return p;
}

void probes_destroy(struct probes *p)
{
    if (!p) {
        return;
    }
    (void)pthread_mutex_destroy(&p->shared.mutex);
    marline__memory_free(p->shared.late);
    marline__memory_free(p->shared.spans);
    marline__memory_free(p->bindings);
    marline__memory_free(p);
}

static bool add(marline_client *client, const marline_endpoint *endpoint, struct failure *f)
{
    marline_error error = {0};
    marline_status status = marline_client_add_endpoint(client, endpoint, &error);
    return status == MARLINE_OK || failure_set(f, service_exit_code(status), "%s", error.text);
}

bool probes_register(struct probes *p, marline_client *client, struct failure *f)
{
    static const marline_parameter tick = {"base_tick", "int", NULL};
    static const marline_parameter input = {"input", "str", NULL};
    for (size_t i = 0; i < probe_count(); i++) {
        p->bindings[i] = (struct binding){p, probe_at(i)};
        marline_endpoint endpoint = {.size = sizeof endpoint,
                                     .name = probe_at(i)->endpoint,
                                     .handler = handle,
                                     .user = &p->bindings[i],
                                     .description = probe_at(i)->description,
                                     .parameters = &tick,
                                     .parameter_count = 1};
        if (!add(client, &endpoint, f)) {
            return false;
        }
    }
    marline_endpoint dispatcher = {.size = sizeof dispatcher,
                                   .name = PROBES_DISPATCHER,
                                   .handler = handle_text,
                                   .user = p,
                                   .description = "Any probe, by its name in the input",
                                   .parameters = &input,
                                   .parameter_count = 1};
    return add(client, &dispatcher, f);
}

char *probes_input_text(const struct probe *probe, size_t base, size_t test)
{
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "%s %zu %zu", probe->endpoint, base, test);
    must_buffer(&b);
    return marline__buffer_take(&b);
}

char *probes_inputs(size_t base)
{
    struct buffer b = BUFFER_INIT;
    marline__buffer_append_format(&b, "{\"base_tick\":%zu}", base);
    must_buffer(&b);
    return marline__buffer_take(&b);
}

static void add_span(struct facts *f, const struct made_span *made)
{
    int test = facts_find_test(f, made->test_id, made->configuration_id);
    if (test == NO_TEST && made->index >= 0 && (size_t)made->index < f->scenario->test_count) {
        test = made->index;
        memcpy(f->tests[test].test_id, made->test_id, sizeof made->test_id);
        memcpy(f->tests[test].configuration_id, made->configuration_id,
               sizeof made->configuration_id);
    }
    if (test == NO_TEST || facts_find_span(f, made->trace_id, made->span_id)) {
        return;
    }
    struct span_fact *s = facts_add_span(f);
    memcpy(s->trace_id, made->trace_id, sizeof s->trace_id);
    memcpy(s->span_id, made->span_id, sizeof s->span_id);
    memcpy(s->name, made->name, sizeof s->name);
    s->test = (size_t)test;
    s->attempt = made->attempt;
    s->expected = made->expected;
    s->is_root = made->is_root;
    s->is_dropped = made->is_dropped;
    s->is_made = true;
}

void probes_collect(struct probes *p, struct facts *f)
{
    (void)pthread_mutex_lock(&p->shared.mutex);
    for (size_t i = 0; i < p->shared.count; i++) {
        if (strcasecmp(p->shared.spans[i].run_id, f->run_id) == 0) {
            add_span(f, &p->shared.spans[i]);
        }
    }
    (void)pthread_mutex_unlock(&p->shared.mutex);
}
