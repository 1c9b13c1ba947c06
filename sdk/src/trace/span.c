/* Spans: starting, changing, ending. The hot path of the library: no allocation, no lock that
 * another thread wants, no cache line that another thread writes. Any thread. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "trace/context.h"
#include "trace/provider.h"
#include "trace/shard.h"
#include "trace/span_record.h"
#include "wire/trace_context.h"
#include "wire/tracestate.h"

enum {
    FLAG_SAMPLED = 1,
    FLAG_RANDOM = 2,
    ERROR_TEXT_MAX = 400, /* fits into a log line together with the ids */
};

/* How old a reading of the wall clock may be before it is taken anew. Between two readings the
 * monotonic clock carries it, which saves one clock read per span; a jump of the wall clock shows
 * in spans that start this much later (SPN-02). */
#define ANCHOR_NS (100 * NS_PER_MS)

static const marline_span no_span;

static bool is_valid(const marline_span_context *context)
{
    uint64_t trace[2];
    uint64_t span;
    memcpy(trace, context->trace_id, sizeof trace);
    memcpy(&span, context->span_id, sizeof span);
    return (trace[0] | trace[1]) != 0 && span != 0;
}

static uint64_t wall_at(struct lane *lane, const struct clock *clock, uint64_t monotonic_ns)
{
    if (monotonic_ns - lane->anchor_monotonic_ns >= ANCHOR_NS || lane->anchor_wall_ns == 0) {
        lane->anchor_monotonic_ns = monotonic_ns;
        lane->anchor_wall_ns = marline__clock_wall_ns(clock);
    }
    return lane->anchor_wall_ns + (monotonic_ns - lane->anchor_monotonic_ns);
}

/* Written by one thread, read by others. */
static void count_one(atomic_uint_fast64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* ---- starting ---- */

static const marline_span_options *options_or_default(const marline_span_options *options)
{
    static const marline_span_options defaults = MARLINE_SPAN_OPTIONS_INIT;
    return options ? options : &defaults;
}

enum { DRAWS_MAX = 4 }; /* of a program's generator that gives zeros */

/* Kept out of the usual path. False: the library's own are taken. */
__attribute__((noinline, cold)) static bool draw_own_trace_id(const marline_id_generator *own,
                                                              marline_span_context *out)
{
    for (int i = 0; i < DRAWS_MAX; i++) {
        own->trace_id(own->user, out->trace_id);
        if (marline__trace_id_is_valid(out->trace_id)) {
            out->flags = own->is_random ? FLAG_RANDOM : 0;
            return true;
        }
    }
    return false;
}

__attribute__((noinline, cold)) static bool draw_own_span_id(const marline_id_generator *own,
                                                             uint8_t out[8])
{
    for (int i = 0; i < DRAWS_MAX; i++) {
        own->span_id(own->user, out);
        if (marline__span_id_is_valid(out)) {
            return true;
        }
    }
    return false;
}

static void draw_trace_id(const marline_provider *provider, struct shard *shard,
                          marline_span_context *out)
{
    if (!provider->ids.trace_id || !draw_own_trace_id(&provider->ids, out)) {
        marline__ids_trace(&shard->ids, out->trace_id);
        out->flags = FLAG_RANDOM;
    }
}

static void draw_span_id(const marline_provider *provider, struct shard *shard, uint8_t out[8])
{
    if (!provider->ids.span_id || !draw_own_span_id(&provider->ids, out)) {
        marline__ids_span(&shard->ids, out);
    }
}

/* CTX-08 to CTX-10: the parent's trace id and random bit, or a new trace. */
static void begin_identity(const marline_provider *provider, struct shard *shard,
                           const marline_span_context *parent, const marline_span_context *again,
                           marline_span_context *out)
{
    out->is_remote = false;
    if (again && is_valid(again)) {
        *out = *again;
        out->is_remote = false;
        return;
    }
    if (parent) {
        memcpy(out->trace_id, parent->trace_id, sizeof out->trace_id);
        out->flags = parent->flags & FLAG_RANDOM;
    } else {
        draw_trace_id(provider, shard, out);
    }
    draw_span_id(provider, shard, out->span_id);
}

static marline_sampling ask_sampler(const marline_provider *provider,
                                    const marline_span_context *own,
                                    const marline_span_context *parent, const struct facts *facts,
                                    const char *name, const marline_span_options *o,
                                    marline_sampling_output *out)
{
    marline_sampling_input input = {
        .parent = parent,
        .trace_state = marline__facts_state(facts, own->trace_id),
        .trace_id = own->trace_id,
        .name = marline_text(name),
        .kind = o->kind ? o->kind : MARLINE_SPAN_KIND_INTERNAL,
        .attributes = o->attributes,
        .attribute_count = o->attributes ? o->attribute_count : 0,
        .links = o->links,
        .link_count = o->links ? o->link_count : 0,
        .clock = provider->clock,
    };
    return provider->sampler.decide(provider->sampler.user, &input, out);
}

/* What the sampler wants besides its decision. */
struct wishes {
    bool were_made; /* else the rest is undefined: the sampler was not asked */
    marline_sampling_output output;
};

/* A test's spans are sampled whatever anybody says. */
static marline_sampling decide(const marline_provider *provider, const marline_span_context *own,
                               const marline_span_context *parent, const struct facts *facts,
                               const char *name, const marline_span_options *o,
                               struct wishes *wishes)
{
    bool must_keep =
        (facts && facts->is_test) || (own->flags & FLAG_SAMPLED); /* so it was, the first time */
    wishes->were_made = false;
    if (atomic_load_explicit(&provider->processor_count, memory_order_acquire) == 0) {
        return MARLINE_SAMPLING_DROP;
    }
    if (must_keep) {
        return MARLINE_SAMPLING_RECORD_AND_SAMPLE;
    }
    if (provider->keeps_all) {
        return !parent || (parent->flags & FLAG_SAMPLED) ? MARLINE_SAMPLING_RECORD_AND_SAMPLE
                                                         : MARLINE_SAMPLING_DROP;
    }
    wishes->were_made = true;
    wishes->output = (marline_sampling_output){0};
    return ask_sampler(provider, own, parent, facts, name, o, &wishes->output);
}

static void stamp_identity(struct span_record *r, struct facts *facts)
{
    for (uint32_t i = 0; i < facts->identity.count; i++) {
        marline__record_set(r, &facts->identity.items[i]);
    }
    if (facts->group_count > 0) {
        r->facts = marline__facts_ref(facts);
        for (uint32_t i = 0; i < facts->group_count; i++) {
            atomic_fetch_add_explicit(&facts->groups[i]->started, 1, memory_order_relaxed);
        }
    }
}

/* Field by field: clearing the whole takes as long as all the rest of this. What
 * marline__record_finish publishes is left as it is until then. */
static void fill(struct span_record *r, struct lane *lane, marline_tracer *tracer,
                 const marline_span_context *own, const marline_span_context *parent,
                 const marline_span_options *o)
{
    marline_provider *provider = tracer->provider;
    r->provider = provider;
    r->facts = NULL;
    r->start_monotonic_ns = marline__clock_monotonic_ns(provider->clock);
    r->start_was_given = o->start_unix_ns != 0;
    r->ending = false;
    marline_span_data *data = &r->data;
    memcpy(data->trace_id, own->trace_id, sizeof data->trace_id);
    memcpy(data->span_id, own->span_id, sizeof data->span_id);
    memcpy(data->parent_span_id, parent ? parent->span_id : no_span.context.span_id,
           sizeof data->parent_span_id);
    data->has_parent = parent != NULL;
    data->parent_is_remote = parent && parent->is_remote;
    data->flags = own->flags;
    data->trace_state = (marline_string){NULL, 0};
    data->kind = o->kind >= MARLINE_SPAN_KIND_INTERNAL && o->kind <= MARLINE_SPAN_KIND_CONSUMER
                     ? o->kind
                     : MARLINE_SPAN_KIND_INTERNAL;
    data->start_unix_ns =
        o->start_unix_ns ? o->start_unix_ns : wall_at(lane, provider->clock, r->start_monotonic_ns);
    data->end_unix_ns = 0;
    data->status = MARLINE_SPAN_STATUS_UNSET;
    data->status_message = (marline_string){NULL, 0};
    data->scope = &tracer->scope;
    data->resource = &provider->resource;
}

/* The span is in no other thread's hands yet, so no lock is taken. */
static void open_record(struct span_record *r, struct lane *lane, marline_tracer *tracer,
                        const marline_span_context *own, const marline_span_context *parent,
                        struct facts *facts, const char *name, const marline_span_options *o)
{
    marline__record_begin(r, &tracer->provider->limits);
    fill(r, lane, tracer, own, parent, o);
    r->data.name = marline__string_copy(&r->arena, marline_text(name ? name : ""));
    if (facts) {
        r->data.trace_state =
            marline__string_copy(&r->arena, marline__facts_state(facts, own->trace_id));
        stamp_identity(r, facts);
    }
    for (size_t i = 0; o->attributes && i < o->attribute_count; i++) {
        marline__record_set(r, &o->attributes[i]);
    }
    for (size_t i = 0; o->links && i < o->link_count; i++) {
        marline__record_add_link(r, &o->links[i]);
    }
}

/* The threshold that the span was sampled with, in its trace state (TST-05). */
static void write_threshold(struct span_record *r, uint64_t threshold)
{
    const struct tracestate_ot ot = {.has_threshold = true, .threshold = threshold};
    struct buffer text = BUFFER_INIT;
    marline_string old = r->data.trace_state;
    if (marline__tracestate_set_ot((struct slice){old.data, old.size}, &ot, &text)) {
        marline_string state =
            marline__string_copy(&r->arena, (marline_string){text.data, text.size});
        r->data.trace_state = state.data ? state : old;
    }
    marline__buffer_deinit(&text);
}

/* What the sampler wants. True: the span has a trace state of its own. */
static bool grant(struct span_record *r, const marline_sampling_output *wanted)
{
    for (size_t i = 0; i < wanted->attribute_count; i++) {
        marline__record_set(r, &wanted->attributes[i]);
    }
    if (wanted->trace_state) {
        r->data.trace_state = marline__string_copy(&r->arena, *wanted->trace_state);
    }
    if (wanted->has_threshold) {
        write_threshold(r, wanted->threshold);
    }
    return wanted->trace_state || wanted->has_threshold;
}

static void tell_processors(const marline_provider *provider, const marline_span *span,
                            marline_context *parent)
{
    unsigned count = atomic_load_explicit(&provider->processor_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct processor *p = provider->processors[i];
        if (p->functions->on_start) {
            p->functions->on_start(p, span, parent);
        }
    }
}

/* The span's context is complete, but for the sampled flag. The rest of the handle is written
 * before the record is filled: reading it back, to return it, right after writing it would stall.
 */
static void record(marline_span *span, struct lane *lane, marline_tracer *tracer,
                   const marline_span_context *parent, struct facts *facts, const char *name,
                   const marline_span_options *o)
{
    marline_provider *provider = tracer->provider;
    struct wishes wishes;
    marline_sampling sampling = decide(provider, &span->context, parent, facts, name, o, &wishes);
    if (sampling == MARLINE_SAMPLING_DROP) {
        count_one(&lane->unsampled);
        return;
    }
    struct span_record *r = marline__shard_take_record(lane->shard);
    if (!r) { /* sampled, not recorded: never (SMP-01) */
        atomic_fetch_add_explicit(&provider->dropped[MARLINE_DROP_LIMITS], 1, memory_order_relaxed);
        return;
    }
    span->context.flags |= sampling == MARLINE_SAMPLING_RECORD_AND_SAMPLE ? FLAG_SAMPLED : 0;
    span->record = r;
    span->generation = atomic_load_explicit(&r->generation, memory_order_relaxed) + 1;
    open_record(r, lane, tracer, &span->context, parent, facts, name, o);
    if (wishes.were_made) {
        span->has_own_state = grant(r, &wishes.output);
    }
    atomic_store_explicit(&r->generation, span->generation, memory_order_release);
    if (atomic_load_explicit(&provider->wants_starts, memory_order_relaxed)) {
        tell_processors(provider, span, o->parent);
    }
}

marline_span marline_span_start(marline_tracer *tracer, const char *name,
                                const marline_span_options *options)
{
    marline_span span = no_span;
    const marline_span_options *o = options_or_default(options);
    struct parent_view view = marline__context_view(o->parent);
    marline_provider *provider = tracer ? tracer->provider : NULL;
    struct lane *lane = provider && !provider->disabled ? marline__shard_my_lane(provider) : NULL;
    if (!lane || atomic_load_explicit(&provider->stopped, memory_order_relaxed)) {
        span.context = view.span->context; /* API-06, API-10 */
        return span;
    }
    const marline_span_context *parent =
        !o->force_root && is_valid(&view.span->context) ? &view.span->context : NULL;
    begin_identity(provider, lane->shard, parent, o->again, &span.context);
    count_one(&lane->started);
    record(&span, lane, tracer, parent, view.facts, name, o);
    return span;
}

marline_span marline_span_remote(const marline_span_context *context)
{
    marline_span span = no_span;
    if (context) {
        span.context = *context;
        span.context.is_remote = true;
    }
    return span;
}

marline_span marline_span_current(marline_context *context)
{
    return *marline__context_view(context).span;
}

/* ---- ending ---- */

static uint64_t end_time(const struct span_record *r)
{
    uint64_t now = marline__clock_monotonic_ns(r->provider->clock);
    uint64_t past = now > r->start_monotonic_ns ? now - r->start_monotonic_ns : 0;
    /* A given start may be on any clock: then the end is the wall clock's. */
    return r->start_was_given ? marline__clock_wall_ns(r->provider->clock)
                              : r->data.start_unix_ns + past;
}

/* True when the span was the last one running of a group that wants its spans out then. */
static bool leave_groups(struct span_record *r)
{
    bool is_prompt = false;
    if (!r->facts) {
        return false;
    }
    for (uint32_t i = 0; i < r->facts->group_count; i++) {
        is_prompt |= marline__group_end_span(r->facts->groups[i]);
    }
    marline__facts_unref(r->facts);
    r->facts = NULL;
    return is_prompt;
}

/* Which processors want to be called again once the lock is released: bit i for processor i. */
static unsigned hand_over(struct span_record *r, struct lane *lane)
{
    marline_provider *provider = r->provider;
    unsigned count = atomic_load_explicit(&provider->processor_count, memory_order_acquire);
    unsigned wanted = 0;
    atomic_store_explicit(&r->fate, FATE_NONE, memory_order_relaxed);
    atomic_store_explicit(&r->holders, count, memory_order_relaxed);
    for (unsigned i = 0; i < count; i++) {
        struct processor *p = provider->processors[i];
        if (p->functions->on_end(p, lane, r)) {
            wanted |= 1u << i;
        }
    }
    return wanted;
}

static void finish_ending(marline_provider *provider, struct lane *lane, struct span_record *r,
                          unsigned wanted, bool is_prompt)
{
    for (unsigned i = 0; wanted >> i; i++) {
        if (wanted >> i & 1) {
            provider->processors[i]->functions->after_end(provider->processors[i], r);
        }
    }
    unsigned count = atomic_load_explicit(&provider->processor_count, memory_order_acquire);
    for (unsigned i = 0; is_prompt && i < count; i++) {
        struct processor *p = provider->processors[i];
        if (p->functions->prompt) {
            p->functions->prompt(p);
        }
    }
    atomic_store_explicit(&lane->ending,
                          atomic_load_explicit(&lane->ending, memory_order_relaxed) - 1,
                          memory_order_release);
}

/* LIM-05, outside the lock: the record may be another span's by then. */
static void log_dropped(uint32_t attributes, uint32_t events, uint32_t links)
{
    marline__log(LOG_WARN, "a span lost %u attributes, %u events, %u links to its limits",
                 attributes, events, links);
}

static void give_up(struct span_record *r)
{
    atomic_store_explicit(&r->holders, 1, memory_order_relaxed);
    atomic_store_explicit(&r->fate, FATE_NONE, memory_order_relaxed);
    marline__provider_release(r, FATE_DROPPED + MARLINE_DROP_LIMITS);
}

/* Locked in and out, unlocked between: the processors' last chance to change the span. NULL when
 * the provider was destroyed meanwhile. */
static struct span_record *announce_end(struct span_record *r, const marline_span *span)
{
    const marline_provider *provider = r->provider;
    r->ending = true;
    marline__record_unlock(r);
    unsigned count = atomic_load_explicit(&provider->processor_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        struct processor *p = provider->processors[i];
        if (p->functions->on_ending) {
            p->functions->on_ending(p, span);
        }
    }
    return marline__record_of(span);
}

/* Locks the record, with its end time fixed; NULL when the span has ended, or is about to. */
static struct span_record *begin_end(const marline_span *span, uint64_t end_unix_ns)
{
    struct span_record *r = marline__record_of(span);
    if (!r) {
        return NULL;
    }
    if (r->ending) {
        marline__record_unlock(r);
        return NULL;
    }
    r->data.end_unix_ns = end_unix_ns ? end_unix_ns : end_time(r);
    bool announced = atomic_load_explicit(&r->provider->wants_endings, memory_order_relaxed);
    return announced ? announce_end(r, span) : r;
}

static void end_at(marline_span *span, uint64_t end_unix_ns)
{
    struct span_record *r = begin_end(span, end_unix_ns);
    if (!r) {
        return;
    }
    marline_provider *provider = r->provider;
    marline__record_finish(r);
    uint32_t attributes = r->attributes.dropped;
    uint32_t events = r->events.dropped;
    uint32_t links = r->links.dropped;
    bool is_prompt = leave_groups(r);
    atomic_store_explicit(&r->generation, span->generation + 1, memory_order_release);
    /* Of this thread, which may not be the one that started the span. Not to be had only when out
     * of memory: then the span is given up, because another lane is another thread's to write. */
    struct lane *lane = marline__shard_my_lane(provider);
    unsigned wanted = 0;
    if (lane) {
        /* Marked before the unlock: a provider that is being destroyed first has the lock of every
         * record, then waits for the marks. Only this thread writes it: no atomic addition. */
        unsigned ending = atomic_load_explicit(&lane->ending, memory_order_relaxed);
        atomic_store_explicit(&lane->ending, ending + 1, memory_order_relaxed);
        wanted = hand_over(r, lane);
    } else {
        give_up(r);
    }
    marline__record_unlock(r);
    if (lane) {
        finish_ending(provider, lane, r, wanted, is_prompt);
    }
    if (attributes + events + links > 0) {
        log_dropped(attributes, events, links);
    }
}

void marline_span_end(marline_span *span)
{
    end_at(span, 0);
}

void marline_span_end_at(marline_span *span, uint64_t end_unix_ns)
{
    end_at(span, end_unix_ns);
}

/* ---- reading ---- */

bool marline_span_is_recording(const marline_span *span)
{
    const struct span_record *r = span ? span->record : NULL;
    return r && atomic_load_explicit(&r->generation, memory_order_acquire) == span->generation;
}

void marline_span_trace_id_text(const marline_span *span, char out[MARLINE_TRACE_ID_TEXT_SIZE])
{
    const marline_span *s = span ? span : &no_span;
    marline__hex_encode(s->context.trace_id, sizeof s->context.trace_id, out);
    out[MARLINE_TRACE_ID_TEXT_SIZE - 1] = '\0';
}

void marline_span_id_text(const marline_span *span, char out[MARLINE_SPAN_ID_TEXT_SIZE])
{
    const marline_span *s = span ? span : &no_span;
    marline__hex_encode(s->context.span_id, sizeof s->context.span_id, out);
    out[MARLINE_SPAN_ID_TEXT_SIZE - 1] = '\0';
}

/* ---- changing ---- */

static void set_value(struct span_record *r, const char *key, marline_value value)
{
    marline_attribute attribute = {marline_text(key), value};
    marline__record_set(r, &attribute);
    marline__record_unlock(r);
}

void marline_span_set_attribute(marline_span *span, const marline_attribute *attribute)
{
    struct span_record *r = attribute ? marline__record_of(span) : NULL;
    if (r) {
        marline__record_set(r, attribute);
        marline__record_unlock(r);
    }
}

void marline_span_set_string(marline_span *span, const char *key, marline_string value)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        marline__record_set_text(r, marline_text(key), value);
        marline__record_unlock(r);
    }
}

void marline_span_set_text(marline_span *span, const char *key, const char *value)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        marline__record_set_text(r, marline_text(key), marline_text(value));
        marline__record_unlock(r);
    }
}

void marline_span_set_int(marline_span *span, const char *key, int64_t value)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        set_value(r, key, (marline_value){.type = MARLINE_VALUE_INT, .as.integer = value});
    }
}

void marline_span_set_double(marline_span *span, const char *key, double value)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        set_value(r, key, (marline_value){.type = MARLINE_VALUE_DOUBLE, .as.real = value});
    }
}

void marline_span_set_bool(marline_span *span, const char *key, bool value)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        set_value(r, key, (marline_value){.type = MARLINE_VALUE_BOOL, .as.boolean = value});
    }
}

void marline_span_add_event(marline_span *span, const char *name, uint64_t time_unix_ns,
                            const marline_attribute *attributes, size_t count)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        uint64_t at = time_unix_ns ? time_unix_ns : end_time(r);
        marline__record_add_event(r, marline_text(name), at, attributes, count);
        marline__record_unlock(r);
    }
}

void marline_span_add_link(marline_span *span, const marline_link_data *link)
{
    struct span_record *r = link ? marline__record_of(span) : NULL;
    if (r) {
        marline__record_add_link(r, link);
        marline__record_unlock(r);
    }
}

void marline_span_set_status(marline_span *span, marline_span_status status,
                             const char *description)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        marline__record_set_status(r, status, marline_text(description));
        marline__record_unlock(r);
    }
}

void marline_span_update_name(marline_span *span, const char *name)
{
    struct span_record *r = marline__record_of(span);
    if (r) {
        marline__record_set_name(r, marline_text(name));
        marline__record_unlock(r);
    }
}

void marline_span_record_exception(marline_span *span, const char *type, const char *message)
{
    if (!type && !message) {
        return;
    }
    marline_attribute attributes[2];
    size_t count = 0;
    if (type) {
        attributes[count++] =
            (marline_attribute){marline_text("exception.type"),
                                {.type = MARLINE_VALUE_STRING, .as.string = marline_text(type)}};
    }
    if (message) {
        attributes[count++] =
            (marline_attribute){marline_text("exception.message"),
                                {.type = MARLINE_VALUE_STRING, .as.string = marline_text(message)}};
    }
    marline_span_add_event(span, "exception", 0, attributes, count);
}

void marline_span_fail(marline_span *span, const char *type, const char *message)
{
    marline_span_record_exception(span, type, message);
    marline_span_set_status(span, MARLINE_SPAN_STATUS_ERROR, message);
    marline_span_set_text(span, "error.type", type ? type : "_OTHER");
}

void marline_record_error(const char *type, const char *format, ...)
{
    char text[ERROR_TEXT_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format ? format : "", arguments);
    va_end(arguments);
    marline_span span = marline_span_current(NULL);
    marline_span_fail(&span, type, text);
    char trace_id[MARLINE_TRACE_ID_TEXT_SIZE];
    char span_id[MARLINE_SPAN_ID_TEXT_SIZE];
    marline_span_trace_id_text(&span, trace_id);
    marline_span_id_text(&span, span_id);
    marline__log(LOG_ERROR, "%s: %s trace_id=%s span_id=%s", type ? type : "error", text, trace_id,
                 span_id);
}

/* ---- observing a block ---- */

void marline_observe_begin(marline_observed *observed, const char *name)
{
    marline_provider *provider = marline_provider_global();
    observed->span = marline_span_start(provider ? provider->default_tracer : NULL, name, NULL);
    marline__scope_enter_span(&observed->scope, &observed->span);
}

void marline_observe_end(marline_observed *observed)
{
    if (!observed) {
        return;
    }
    marline_scope_leave(&observed->scope);
    struct span_record *r = marline__record_of(&observed->span);
    if (r) {
        if (r->data.status == MARLINE_SPAN_STATUS_UNSET) {
            r->data.status = MARLINE_SPAN_STATUS_OK;
        }
        marline__record_unlock(r);
        marline_span_end(&observed->span);
    }
}
