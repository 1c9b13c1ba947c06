/* Trace context in messages, and the two ways to receive it.
 *
 *     OTEL_TRACES_EXPORTER=console build/dev/bin/examples/consumer
 *
 * A consumer that handles a message alone CONTINUES its trace: the span is a child of the
 * producer's, and one trace shows the order from end to end. A consumer that handles many messages
 * in one go cannot be the child of them all: it starts a trace of its own, with a LINK to each
 * message. */
#include <string.h>
#include <strings.h>

#include "setup.h"

enum { MESSAGES = 2, HEADERS_MAX = 4 };

/* A message as any broker has it: a body, and headers. */
struct message {
    struct {
        char name[16];
        char value[64];
    } headers[HEADERS_MAX];
    size_t header_count;
    const char *body;
};

/* ---- headers, for the propagator ---- */

static void set_header(void *carrier, const char *name, const char *value)
{
    struct message *m = carrier;
    if (value && m->header_count < HEADERS_MAX) { /* NULL: to be removed; a new message has none */
        (void)snprintf(m->headers[m->header_count].name, sizeof m->headers[0].name, "%s", name);
        (void)snprintf(m->headers[m->header_count].value, sizeof m->headers[0].value, "%s", value);
        m->header_count++;
    }
}

static size_t get_header(void *carrier, const char *name, marline_string *out, size_t max)
{
    struct message *m = carrier;
    for (size_t i = 0; i < m->header_count; i++) {
        if (max > 0 && strcasecmp(m->headers[i].name, name) == 0) {
            out[0] = marline_text(m->headers[i].value);
            return 1;
        }
    }
    return 0;
}

/* What the message brought, as a context to work under or to link to. Owned by the caller. */
static marline_context *context_of(struct message *m)
{
    return marline_extract(MARLINE_PROPAGATE_ALL, marline_context_root(), get_header, m);
}

/* ---- the producer ---- */

static void publish(marline_tracer *tracer, struct message *m, const char *body)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_PRODUCER;
    marline_span span = marline_span_start(tracer, "send order", &options);
    marline_context *context = marline_context_with_span(NULL, &span);
    memset(m, 0, sizeof *m);
    m->body = body;
    marline_inject(MARLINE_PROPAGATE_ALL, context, set_header, m);
    marline_context_unref(context);
    marline_span_end(&span);
}

/* ---- the consumers ---- */

static void process(marline_tracer *tracer, struct message *m)
{
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    marline_context *sender = context_of(m);
    options.kind = MARLINE_SPAN_KIND_CONSUMER;
    options.parent = sender;
    marline_span span = marline_span_start(tracer, "process order", &options);
    marline_span_set_text(&span, "order", m->body);
    marline_span_end(&span);
    marline_context_unref(sender);
}

static void settle(marline_tracer *tracer, struct message *messages, size_t count)
{
    marline_link_data links[MESSAGES];
    for (size_t i = 0; i < count; i++) {
        marline_context *sender = context_of(&messages[i]);
        marline_span span = marline_span_current(sender);
        links[i] = marline_link_to(&span);
        marline_context_unref(sender);
    }
    /* Links given at the start are seen by the sampler, those added later are not. */
    marline_span_options options = MARLINE_SPAN_OPTIONS_INIT;
    options.kind = MARLINE_SPAN_KIND_CONSUMER;
    options.force_root = true;
    options.links = links;
    options.link_count = count;
    marline_span span = marline_span_start(tracer, "settle orders", &options);
    marline_span_set_int(&span, "messaging.batch.message_count", (int64_t)count);
    marline_span_end(&span);
}

int main(void)
{
    struct message messages[MESSAGES];
    marline_provider *provider = start_tracing("consumer");
    if (!provider) {
        return 1;
    }
    marline_tracer *tracer = marline_tracer_get(provider, "example.orders", NULL);
    publish(tracer, &messages[0], "tea");
    publish(tracer, &messages[1], "coffee");
    process(tracer, &messages[0]);
    process(tracer, &messages[1]);
    settle(tracer, messages, MESSAGES);
    return stop_tracing(provider);
}
