/* See self_trace.h. Names and attributes are OpenTelemetry's where it has some. */
#include "hub/self_trace.h"

#include <stdio.h>

static const char organization_key[] = "marline.organization.id";

static marline_string borrow(struct slice s)
{
    return (marline_string){s.data ? s.data : "", s.size};
}

static marline_span start(marline_tracer *tracer, const char *name, marline_span_kind kind,
                          marline_context *parent)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = kind;
    options.parent = parent;
    return marline_span_start(tracer, name, &options);
}

void self_trace_set_organization(marline_span *span, const struct uuid *organization_id)
{
    char text[UUID_TEXT_SIZE];
    if (marline_span_is_recording(span)) {
        marline__uuid_format(organization_id, text);
        marline_span_set_text(span, organization_key, text);
    }
}

/* ---- store ---- */

marline_span self_trace_start_store(marline_tracer *tracer, const marline_span *parent,
                                    size_t spans)
{
    marline_span none = {.record = NULL};
    if (!tracer) {
        return none;
    }
    marline_context *context = marline_context_with_span(marline_context_root(), parent);
    marline_span span = start(tracer, "store insert_spans", MARLINE_SPAN_KIND_CLIENT, context);
    marline_context_unref(context);
    marline_span_set_int(&span, "marline.batch.spans", (int64_t)spans);
    return span;
}

void self_trace_end_store(marline_span *span, const char *failure, size_t stored, size_t duplicates)
{
    if (failure) {
        marline_span_fail(span, "store", failure);
    } else {
        marline_span_set_int(span, "marline.batch.stored", (int64_t)stored);
        marline_span_set_int(span, "marline.batch.duplicates", (int64_t)duplicates);
    }
    marline_span_end(span);
}

/* ---- messages ---- */

marline_span self_trace_call(marline_tracer *tracer, const struct self_trace_call *call)
{
    marline_span span = {.record = NULL};
    if (tracer) {
        span =
            start(tracer, "send execute_test", MARLINE_SPAN_KIND_PRODUCER, marline_context_root());
        marline_span_set_string(&span, "messaging.message.id", borrow(call->invocation_id));
        marline_span_set_int(&span, "messaging.message.body.size", (int64_t)call->size);
        marline_span_set_string(&span, "marline.function.name", borrow(call->function_name));
        marline_span_set_string(&span, "deployment.environment.name", borrow(call->environment));
        marline_span_end(&span);
    }
    return span;
}

static bool has_ids(const marline_span *span)
{
    static const uint8_t none[sizeof(span->context.trace_id)];
    return memcmp(span->context.trace_id, none, sizeof(none)) != 0;
}

static void set_rate(marline_span *span, const struct agent_rate *rate)
{
    marline_span_set_bool(span, "marline.rate_limit.allowed", rate->allowed);
    if (rate->limit) {
        marline_span_set_int(span, "marline.rate_limit.limit", rate->limit);
        marline_span_set_int(span, "marline.rate_limit.remaining", rate->remaining);
        marline_span_set_text(span, "marline.rate_limit.algorithm", "sliding_window");
    }
}

void self_trace_message(marline_tracer *tracer, const struct self_trace_message *message)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    marline_link_data link = marline_link_to(&message->call);
    char name[64];
    if (!tracer) {
        return;
    }
    (void)snprintf(name, sizeof(name), "process %s", message->type[0] ? message->type : "message");
    options.kind = MARLINE_SPAN_KIND_CONSUMER;
    options.force_root = true;
    options.start_unix_ns = message->start_unix_ns;
    options.links = &link;
    options.link_count = has_ids(&message->call) ? 1 : 0;
    marline_span span = marline_span_start(tracer, name, &options);
    self_trace_set_organization(&span, &message->organization_id);
    marline_span_set_int(&span, "messaging.message.body.size", (int64_t)message->size);
    set_rate(&span, &message->rate);
    if (!message->rate.allowed) {
        marline_span_set_status(&span, MARLINE_SPAN_STATUS_ERROR, "Rate limit exceeded");
    }
    marline_span_end(&span);
}

/* ---- notices ---- */

marline_span self_trace_start_notice(marline_tracer *tracer, const struct uuid *run_id)
{
    marline_span span = {.record = NULL};
    char id[UUID_TEXT_SIZE];
    if (tracer) {
        span = start(tracer, "notify webhook", MARLINE_SPAN_KIND_CLIENT, marline_context_root());
        marline__uuid_format(run_id, id);
        marline_span_set_text(&span, "marline.notification.id", id);
        marline_span_set_text(&span, "marline.notification.channel", "webhook");
    }
    return span;
}

void self_trace_end_notice(marline_span *span, unsigned attempts, int status, const char *failure)
{
    marline_span_set_int(span, "http.request.resend_count", attempts ? attempts - 1 : 0);
    if (status) {
        marline_span_set_int(span, "http.response.status_code", status);
    }
    if (failure) {
        marline_span_fail(span, "webhook", failure);
    }
    marline_span_end(span);
}

/* ---- sweep and enrichment ---- */

void self_trace_sweep(marline_tracer *tracer, uint64_t start_unix_ns, const char *failure,
                      size_t keys)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    if (!tracer || (!failure && keys == 0)) {
        return;
    }
    options.kind = MARLINE_SPAN_KIND_CONSUMER;
    options.force_root = true;
    options.start_unix_ns = start_unix_ns;
    marline_span span = marline_span_start(tracer, "sweep", &options);
    marline_span_set_int(&span, "marline.batch.keys", (int64_t)keys);
    if (failure) {
        marline_span_fail(&span, "store", failure);
    }
    marline_span_end(&span);
}

marline_span self_trace_start_enrichment(marline_tracer *tracer, const marline_span *causes,
                                         size_t count)
{
    marline_link_data links[SELF_TRACE_CAUSES_MAX];
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_CONSUMER;
    options.force_root = true;
    options.links = links;
    while (options.link_count < count && options.link_count < SELF_TRACE_CAUSES_MAX) {
        links[options.link_count] = marline_link_to(&causes[options.link_count]);
        options.link_count++;
    }
    return marline_span_start(tracer, "enrich traces", &options);
}
