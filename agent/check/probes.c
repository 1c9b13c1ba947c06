/* The endpoints that `check` registers. */
#include "agent/check/probes.h"

#include <stdio.h>
#include <string.h>

#include <marline/trace.h>

#include "agent/service.h"
#include "programs/must.h"

struct made_span {
    char run_id[FACT_ID_SIZE];
    char test_id[FACT_ID_SIZE];
    char configuration_id[FACT_ID_SIZE];
    char trace_id[FACT_ID_SIZE];
    char span_id[FACT_ID_SIZE];
    char name[FACT_NAME_SIZE];
    enum link_point expected;
};

struct binding {
    struct probes *probes;
    const struct probe *probe;
};

struct probes {
    struct pace *pace;
    bool is_prompt;
    struct binding *bindings;
    struct {
        pthread_mutex_t mutex;
        struct made_span *spans;
        size_t count;
        size_t capacity;
    } shared;
};

static void copy_id(char out[FACT_ID_SIZE], const char *id)
{
    (void)snprintf(out, FACT_ID_SIZE, "%s", id ? id : "");
}

static void record(struct probes *p, const marline_call *call, const marline_span *span,
                   const char *name, enum link_point expected)
{
    struct made_span made = {.expected = p->is_prompt ? LINK_NONE : expected};
    const marline_test_context *test = marline_call_test(call);
    copy_id(made.run_id, test->test_run_id);
    copy_id(made.test_id, test->test_id);
    copy_id(made.configuration_id, test->test_configuration_id);
    marline_span_trace_id_text(span, made.trace_id);
    marline_span_id_text(span, made.span_id);
    (void)snprintf(made.name, sizeof made.name, "%s", name);
    (void)pthread_mutex_lock(&p->shared.mutex);
    p->shared.spans =
        must_grow(p->shared.spans, p->shared.count, &p->shared.capacity, sizeof *p->shared.spans);
    p->shared.spans[p->shared.count++] = made;
    (void)pthread_mutex_unlock(&p->shared.mutex);
}

static bool make_span(struct probes *p, marline_call *call, const struct probe_span *s, double base)
{
    if (!pace_wait(p->pace, base + s->start)) {
        return false;
    }
    MARLINE_OBSERVE(observed, s->name);
    record(p, call, &observed.span, s->name, s->expected);
    return pace_wait(p->pace, base + s->end);
}

static marline_status handle(marline_call *call, void *user)
{
    const struct binding *b = user;
    struct probes *p = b->probes;
    double base = (double)marline_input_int(call, "base_tick", 0);
    if (!marline_call_test(call)) {
        return marline_fail(call, "invoked outside a test: %s is a probe of marline-agent check",
                            b->probe->endpoint);
    }
    char name[FACT_NAME_SIZE];
    (void)snprintf(name, sizeof name, "function.%s", b->probe->endpoint);
    marline_span root = marline_span_current(marline_call_context(call));
    record(p, call, &root, name, b->probe->root_expected);
    for (size_t i = 0; i < b->probe->span_count; i++) {
        if (!make_span(p, call, &b->probe->spans[i], base)) {
            return marline_fail(call, "the check was stopped");
        }
    }
    if (!pace_wait(p->pace, base + b->probe->end)) {
        return marline_fail(call, "the check was stopped");
    }
    return marline_output_text(call, "done");
}

struct probes *probes_create(struct pace *pace, bool is_prompt)
{
    struct probes *p = must_zeroed(sizeof *p);
    p->pace = pace;
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
    marline__memory_free(p->shared.spans);
    marline__memory_free(p->bindings);
    marline__memory_free(p);
}

bool probes_register(struct probes *p, marline_client *client, struct failure *f)
{
    static const marline_parameter parameter = {"base_tick", "int", NULL};
    for (size_t i = 0; i < probe_count(); i++) {
        p->bindings[i] = (struct binding){p, probe_at(i)};
        marline_endpoint endpoint = {.size = sizeof endpoint,
                                     .name = probe_at(i)->endpoint,
                                     .handler = handle,
                                     .user = &p->bindings[i],
                                     .description = probe_at(i)->description,
                                     .parameters = &parameter,
                                     .parameter_count = 1};
        marline_error error = {0};
        marline_status status = marline_client_add_endpoint(client, &endpoint, &error);
        if (status) {
            return failure_set(f, service_exit_code(status), "%s", error.text);
        }
    }
    return true;
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
    if (test == NO_TEST || facts_find_span(f, made->trace_id, made->span_id)) {
        return;
    }
    struct span_fact *s = facts_add_span(f);
    memcpy(s->trace_id, made->trace_id, sizeof s->trace_id);
    memcpy(s->span_id, made->span_id, sizeof s->span_id);
    memcpy(s->name, made->name, sizeof s->name);
    s->test = (size_t)test;
    s->expected = made->expected;
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
