/* Builds the context and the span of an invocation, calls the handler, and writes down what came of
 * it: wire-protocol §4.1 to §4.5. */
#include "connector/invocation.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/memory.h"
#include "connector/span_text.h"
#include "wire/trace_context.h"
#include "wire/tracestate.h"
#include <marline/propagation.h>

enum { ATTRIBUTES_MAX = 8, STATUS_TEXT_SIZE = 512 };

/* A conversation's trace goes on under this parent; exporters take it out again (§4.4). */
static const uint8_t conversation_parent[8] = {0, 0, 0, 0, 0xca, 0xfe, 0xca, 0xfe};

/* ---- life ---- */

static bool copy_test(struct invocation *i)
{
    const struct message_test_context *from = &i->request->test.test;
    const struct slice texts[] = {from->test_run_id, from->test_id, from->test_configuration_id,
                                  from->test_result_id};
    for (size_t n = 0; n < sizeof texts / sizeof texts[0]; n++) {
        i->test_texts[n] = texts[n].data ? marline__memory_slice(texts[n]) : NULL;
        if (texts[n].data && !i->test_texts[n]) {
            return false;
        }
    }
    i->has_test = from->present;
    i->test = (marline_test_context){i->test_texts[0], i->test_texts[1], i->test_texts[2],
                                     i->test_texts[3], from->attempt};
    return true;
}

static bool set_up(struct invocation *i)
{
    const struct message_execute_test *request = &i->request->test;
    marline__call_init(&i->call);
    i->id = marline__memory_slice(request->invocation_id);
    if (!i->id || !copy_test(i) ||
        !marline__message_strip_inputs(request->inputs, &i->call.inputs)) {
        return false;
    }
    i->call.invocation_id = i->id;
    i->call.parameters = request->parameters;
    i->call.test = i->has_test ? &i->test : NULL;
    i->call.canceled = &i->canceled;
    return true;
}

struct invocation *marline__invocation_create(struct session_job *request,
                                              struct endpoint *endpoint)
{
    struct invocation *i = marline__memory_zeroed(sizeof *i);
    if (!i) {
        marline__session_job_free(request);
        marline__endpoint_unref(endpoint);
        return NULL;
    }
    i->request = request;
    i->endpoint = endpoint;
    marline__list_init(&i->running);
    marline__list_init(&i->done);
    atomic_init(&i->canceled, false);
    atomic_init(&i->abandoned, NULL);
    atomic_init(&i->traced, false);
    atomic_init(&i->returned, false);
    if (!set_up(i)) {
        marline__invocation_destroy(i);
        return NULL;
    }
    return i;
}

void marline__invocation_destroy(struct invocation *i)
{
    if (!i) {
        return;
    }
    marline__call_deinit(&i->call);
    marline_span_group_unref(i->group);
    for (size_t n = 0; n < sizeof i->test_texts / sizeof i->test_texts[0]; n++) {
        marline__memory_free(i->test_texts[n]);
    }
    marline__buffer_deinit(&i->link_state);
    marline__memory_free(i->id);
    marline__session_job_free(i->request);
    marline__endpoint_unref(i->endpoint);
    marline__memory_free(i);
}

/* ---- where the span goes ---- */

struct placement {
    marline_span_context parent;
    bool has_parent;
    bool continues_trigger; /* the parent is the sender's span, whose trace state goes on */
    marline_link_data link;
    bool has_link;
    marline_span_kind kind;
};

static bool wants_link(const struct invocation *i)
{
    struct slice asked = i->request->test.headers.trace_mode;
    if (marline__slice_is(asked, "link") || marline__slice_is(asked, "continue")) {
        return marline__slice_is(asked, "link");
    }
    if (i->endpoint->trace_mode != MARLINE_TRACE_MODE_DEFAULT) {
        return i->endpoint->trace_mode == MARLINE_TRACE_MODE_LINK;
    }
    return i->has_test;
}

static bool conversation_trace(const struct invocation *i, uint8_t out[16])
{
    struct slice text = i->request->test.conversation.trace_id;
    return text.size == 32 && marline__hex_decode(text, out, 16) && marline__trace_id_is_valid(out);
}

static void link_to(struct placement *p, const struct trace_ids *ids)
{
    memcpy(p->link.trace_id, ids->trace_id, sizeof ids->trace_id);
    memcpy(p->link.span_id, ids->span_id, sizeof ids->span_id);
    p->link.flags = ids->flags;
    p->link.is_remote = true;
    p->has_link = true;
}

static struct trace_ids ids_of(const marline_span *span)
{
    struct trace_ids ids = {.flags = span->context.flags};
    memcpy(ids.trace_id, span->context.trace_id, sizeof ids.trace_id);
    memcpy(ids.span_id, span->context.span_id, sizeof ids.span_id);
    return ids;
}

static void continue_from(struct placement *p, const struct trace_ids *ids)
{
    memcpy(p->parent.trace_id, ids->trace_id, sizeof ids->trace_id);
    memcpy(p->parent.span_id, ids->span_id, sizeof ids->span_id);
    p->parent.flags = ids->flags;
    p->has_parent = true;
}

/* The sender's trace state, where it is one (EM-05). */
static void link_state(struct invocation *i, struct placement *p)
{
    const struct slice field = i->request->test.headers.tracestate;
    if (field.size > 0 && marline__tracestate_parse(&field, 1, &i->link_state)) {
        p->link.trace_state = (marline_string){i->link_state.data, i->link_state.size};
    }
}

static struct placement place(struct invocation *i)
{
    struct placement p = {.kind = MARLINE_SPAN_KIND_INTERNAL, .parent.is_remote = true};
    if (marline__trace_id_is_valid(
            i->request->failure.trace_id)) { /* a retry: the trace of the failure goes on */
        continue_from(&p, &i->request->failure);
        link_to(&p, &i->request->failure);
        return p;
    }
    struct trace_ids trigger;
    bool triggered = marline__traceparent_parse(i->request->test.headers.traceparent, &trigger);
    bool talks = conversation_trace(i, p.parent.trace_id);
    if (talks) {
        memcpy(p.parent.span_id, conversation_parent, sizeof conversation_parent);
        p.parent.flags = TRACE_FLAG_SAMPLED;
        p.has_parent = true;
    } else if (triggered && !wants_link(i)) {
        continue_from(&p, &trigger);
        p.continues_trigger = true;
    }
    if (triggered && (talks || wants_link(i))) {
        link_to(&p, &trigger);
        link_state(i, &p);
    }
    if (triggered) {
        p.kind = MARLINE_SPAN_KIND_CONSUMER;
    }
    return p;
}

/* Replaces a context by one derived from it. */
static marline_context *advance(marline_context *old, marline_context *derived)
{
    marline_context_unref(old);
    return derived;
}

/* The headers of the message as a carrier. */
static size_t get_header(void *carrier, const char *name, marline_string *out, size_t max)
{
    const struct message_headers *headers = carrier;
    struct slice value = strcmp(name, "traceparent") == 0  ? headers->traceparent
                         : strcmp(name, "tracestate") == 0 ? headers->tracestate
                                                           : headers->baggage;
    if (max == 0 || value.size == 0) {
        return 0;
    }
    out[0] = (marline_string){value.data, value.size};
    return 1;
}

/* The context that the span starts under: the sender's baggage, remote parent, test, group. Owned.
 */
static marline_context *surroundings(struct invocation *i, const struct placement *p)
{
    marline_propagators wanted =
        p->continues_trigger ? MARLINE_PROPAGATE_ALL : MARLINE_PROPAGATE_BAGGAGE;
    marline_context *context =
        marline_extract(wanted, marline_context_root(), get_header, &i->request->test.headers);
    if (p->has_parent && !p->continues_trigger) {
        marline_span parent = marline_span_remote(&p->parent);
        context = advance(context, marline_context_with_span(context, &parent));
    }
    if (i->has_test) {
        context = advance(context, marline_context_with_test(context, &i->test));
    }
    i->group = marline_span_group_create();
    if (i->group) {
        context = advance(context, marline_context_with_group(context, i->group));
    }
    return context;
}

/* ---- what the span says ---- */

static marline_string string_of(struct slice s)
{
    return (marline_string){s.data, s.size};
}

struct attribute_list {
    marline_attribute items[ATTRIBUTES_MAX];
    size_t count;
};

static marline_value *add(struct attribute_list *list, const char *key, marline_value_type type)
{
    marline_attribute *attribute = &list->items[list->count++];
    attribute->key = marline_text(key);
    attribute->value.type = type;
    return &attribute->value;
}

static void add_text(struct attribute_list *list, const char *key, struct slice text)
{
    if (text.size > 0) {
        add(list, key, MARLINE_VALUE_STRING)->as.string = string_of(text);
    }
}

static void start_span(struct invocation *i, marline_tracer *tracer, marline_context *context,
                       const struct placement *p, const marline_span_context *again)
{
    struct buffer name = BUFFER_INIT;
    struct buffer arguments = BUFFER_INIT;
    uint32_t argument_count = 0;
    struct attribute_list list = {.count = 0};
    const struct message_conversation_context *talk = &i->request->test.conversation;
    marline__buffer_append_format(&name, "function.%s", i->endpoint->name);
    marline__span_text_arguments(marline__buffer_slice(&i->call.inputs), &arguments,
                                 &argument_count);
    add_text(&list, "function.name", marline__slice_text(i->endpoint->name));
    add(&list, "function.args_count", MARLINE_VALUE_INT)->as.integer = 0;
    add(&list, "function.kwargs_count", MARLINE_VALUE_INT)->as.integer = argument_count;
    add_text(&list, "function.kwargs", marline__buffer_slice(&arguments));
    if (talk->conversation_id.size > 0) {
        add(&list, "rhesis.conversation.is_turn_root", MARLINE_VALUE_BOOL)->as.boolean = true;
        add_text(&list, "rhesis.conversation.id", talk->conversation_id);
    }
    add_text(&list, "rhesis.conversation.input",
             marline__span_text_cut(talk->mapped_input, CONVERSATION_TEXT_MAX));
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = p->kind;
    options.parent = context;
    options.attributes = list.items;
    options.attribute_count = list.count;
    options.links = &p->link;
    options.link_count = p->has_link;
    options.start_unix_ns = i->start_unix_ns;
    options.again = again;
    i->span = marline_span_start(tracer, name.failed ? "function" : name.data, &options);
    marline__buffer_deinit(&arguments);
    marline__buffer_deinit(&name);
}

static void fail_span(marline_span *span, const char *type, const char *text)
{
    char status[STATUS_TEXT_SIZE];
    (void)snprintf(status, sizeof status, "%s: %s", type, text);
    marline_span_record_exception(span, type, text);
    marline_span_set_text(span, "error.type", type);
    marline_span_set_status(span, MARLINE_SPAN_STATUS_ERROR, status);
}

static void describe_output(struct invocation *i)
{
    const char *result = i->request->is_metric ? i->call.score : i->call.output;
    struct buffer text = BUFFER_INIT;
    marline__span_text_result(marline__slice_text(result ? result : "null"), &text);
    struct slice whole = marline__buffer_slice(&text);
    if (marline__span_text_cut(whole, SPAN_TEXT_MAX).size == whole.size) {
        marline_span_set_string(&i->span, "function.result", string_of(whole));
    }
    marline_span_set_string(&i->span, "function.result_preview",
                            string_of(marline__span_text_cut(whole, SPAN_TEXT_PREVIEW)));
    marline__buffer_deinit(&text);
}

static void end_span(struct invocation *i)
{
    if (i->call.failed) {
        fail_span(&i->span, i->call.error_type, i->call.error ? i->call.error : "");
    } else {
        if (marline_span_is_recording(&i->span)) {
            describe_output(i);
        }
        marline_span_set_status(&i->span, MARLINE_SPAN_STATUS_OK, NULL);
    }
    marline_span_end(&i->span);
}

static void abandon_span(struct invocation *i, const char *why)
{
    marline_span span = i->span; /* the worker may be using its own copy */
    fail_span(&span, "canceled", why);
    marline_span_end(&span);
}

/* ---- running ---- */

static void call_in(struct invocation *i, marline_context *context)
{
    marline_scope scope;
    i->call.context = context;
    marline_scope_enter(&scope, context);
    marline__call_run(&i->call, i->endpoint);
    marline_scope_leave(&scope);
    i->call.context = NULL;
}

static void run_traced(struct invocation *i, marline_tracer *tracer)
{
    struct placement placement = place(i);
    marline_context *outside = surroundings(i, &placement);
    start_span(i, tracer, outside, &placement, NULL);
    i->start_unix_ns = marline__clock_wall_ns(marline__clock_system());
    atomic_store(&i->traced, true);
    const char *why = atomic_load(&i->abandoned);
    if (why) {
        abandon_span(i, why);
    }
    marline_context *inside = marline_context_with_span(outside, &i->span);
    call_in(i, inside);
    end_span(i);
    marline_context_unref(inside);
    marline_context_unref(outside);
}

void marline__invocation_run(struct invocation *i, marline_tracer *tracer)
{
    const struct clock *clock = marline__clock_system();
    uint64_t start = marline__clock_monotonic_ns(clock);
    if (tracer && !i->request->test.disable_tracing) {
        run_traced(i, tracer);
    } else {
        call_in(i, marline_context_root());
    }
    i->duration_ms = (double)(marline__clock_monotonic_ns(clock) - start) / (double)NS_PER_MS;
    atomic_store(&i->returned, true);
}

void marline__invocation_skip(struct invocation *i)
{
    marline__call_fail(&i->call, "canceled", "canceled before it began");
}

void marline__invocation_result(struct invocation *i, struct session_trace *trace,
                                struct message_test_result *out)
{
    *out = (struct message_test_result){
        .invocation_id = i->request->test.invocation_id,
        .success = !i->call.failed,
        .duration_ms = i->duration_ms,
    };
    if (i->call.failed) {
        out->error = i->call.error ? marline__slice_text(i->call.error) : SLICE("out of memory");
    } else {
        out->output = marline__slice_text(i->call.output);
    }
    marline__invocation_describe(i, trace);
    out->trace_id = trace->trace_id[0] ? marline__slice_text(trace->trace_id) : SLICE_EMPTY;
    out->span_count = trace->span_count;
}

void marline__invocation_metric_result(const struct invocation *i,
                                       struct message_metric_result *out)
{
    *out = (struct message_metric_result){
        .metric_run_id = i->request->test.invocation_id,
        .success = !i->call.failed,
        .duration_ms = i->duration_ms,
    };
    if (i->call.failed) {
        out->error = i->call.error ? marline__slice_text(i->call.error) : SLICE("out of memory");
    } else {
        out->score = marline__slice_text(i->call.score);
        out->details = marline__slice_text(i->call.details);
    }
}

static void trace_failure(struct invocation *i, marline_tracer *tracer,
                          const struct invocation_failure *failure)
{
    struct placement placement = place(i);
    marline_context *outside = surroundings(i, &placement);
    i->start_unix_ns = failure->start_unix_ns;
    start_span(i, tracer, outside, &placement, NULL);
    if (i->start_unix_ns == 0) {
        i->start_unix_ns = marline__clock_wall_ns(marline__clock_system());
    }
    atomic_store(&i->traced, true);
    fail_span(&i->span, failure->type, failure->text);
    marline_span_end(&i->span);
    marline_context_unref(outside);
}

/* An invocation without an endpoint, which may have been removed; NULL without a span to make. */
struct stand_in {
    struct endpoint endpoint;
    char *name;
    struct invocation *invocation;
};

static bool stand_in_open(struct stand_in *s, struct session_job *request,
                          const marline_tracer *tracer)
{
    s->name = marline__memory_slice(request->test.function_name);
    s->endpoint = (struct endpoint){.name = s->name};
    atomic_init(&s->endpoint.references, 2); /* never freed by a reference: it lives here */
    s->invocation = marline__invocation_create(request, &s->endpoint);
    return s->invocation && s->name && tracer && !s->invocation->request->test.disable_tracing;
}

static void stand_in_close(struct stand_in *s)
{
    marline__invocation_destroy(s->invocation);
    marline__memory_free(s->name);
}

void marline__invocation_report_failure(struct session_job *request, marline_tracer *tracer,
                                        const struct invocation_failure *failure,
                                        struct session_trace *out,
                                        char out_traceparent[TRACEPARENT_SIZE])
{
    struct stand_in s;
    *out = (struct session_trace){.span_count = 0};
    if (stand_in_open(&s, request, tracer)) {
        trace_failure(s.invocation, tracer, failure);
        marline__invocation_describe(s.invocation, out);
        if (out_traceparent && out->trace_id[0]) {
            marline__traceparent_format(&out->span, out_traceparent);
        }
    }
    stand_in_close(&s);
}

static void end_replay(struct invocation *i, const struct invocation_replay *replay)
{
    struct buffer scratch = BUFFER_INIT;
    struct connector_message message;
    bool known = marline__message_decode(replay->result, &scratch, &message, NULL) == DECODE_OK &&
                 message.type == MESSAGE_TEST_RESULT;
    const struct message_test_result *result = &message.test_result;
    double duration_ms = known && result->duration_ms > 0 ? result->duration_ms : 0;
    if (known && result->success) {
        i->call.output = marline__memory_slice(result->output);
        describe_output(i);
        marline_span_set_status(&i->span, MARLINE_SPAN_STATUS_OK, NULL);
    } else {
        char *error = known ? marline__memory_slice(result->error) : NULL;
        fail_span(&i->span, "error", error ? error : "");
        marline__memory_free(error);
    }
    marline_span_end_at(&i->span, replay->start_unix_ns + (uint64_t)(duration_ms * NS_PER_MS));
    marline__buffer_deinit(&scratch);
}

void marline__invocation_replay(struct session_job *request, marline_tracer *tracer,
                                const struct invocation_replay *replay)
{
    struct stand_in s;
    if (stand_in_open(&s, request, tracer)) {
        struct invocation *i = s.invocation;
        struct placement placement = place(i);
        marline_context *outside = surroundings(i, &placement);
        marline_span_context again = {.flags = replay->span.flags};
        memcpy(again.trace_id, replay->span.trace_id, sizeof again.trace_id);
        memcpy(again.span_id, replay->span.span_id, sizeof again.span_id);
        i->start_unix_ns = replay->start_unix_ns;
        start_span(i, tracer, outside, &placement, &again);
        end_replay(i, replay);
        marline_context_unref(outside);
    }
    stand_in_close(&s);
}

/* ---- from outside ---- */

void marline__invocation_cancel(struct invocation *i, const char *why, bool abandon)
{
    atomic_store(&i->canceled, true);
    if (abandon) {
        atomic_store(&i->abandoned, why);
        if (atomic_load(&i->traced)) {
            abandon_span(i, why);
        }
    }
}

void marline__invocation_describe(const struct invocation *i, struct session_trace *out)
{
    *out = (struct session_trace){.returned = atomic_load(&i->returned)};
    if (!atomic_load(&i->traced) || !marline__trace_id_is_valid(i->span.context.trace_id)) {
        return;
    }
    marline_span_trace_id_text(&i->span, out->trace_id);
    out->span_count = i->group ? marline_span_group_started(i->group) : 0;
    out->span = ids_of(&i->span);
    out->start_unix_ns = i->start_unix_ns;
}
