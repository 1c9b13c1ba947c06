/* Injecting and extracting, over carriers and environments; see marline/propagation.h. The texts
 * are wire's: trace_context.h, tracestate.h, baggage.h, env_carrier.h. */
#include <marline/propagation.h>

#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/memory.h"
#include "trace/context.h"
#include "trace/environment.h"
#include "wire/baggage.h"
#include "wire/env_carrier.h"
#include "wire/trace_context.h"
#include "wire/tracestate.h"

enum {
    FIELDS_MAX = 32, /* of one name in one carrier; more are taken for an attack and ignored */
};

static const char traceparent_name[] = "traceparent";
static const char tracestate_name[] = "tracestate";
static const char baggage_name[] = "baggage";

static bool is_word(struct slice word, const char *name)
{
    return word.size == strlen(name) && strncasecmp(word.data, name, word.size) == 0;
}

static unsigned propagator_named(struct slice name)
{
    if (is_word(name, "tracecontext")) {
        return MARLINE_PROPAGATE_TRACE_CONTEXT;
    }
    if (is_word(name, "baggage")) {
        return MARLINE_PROPAGATE_BAGGAGE;
    }
    if (!is_word(name, "none")) {
        marline__log(LOG_WARN,
                     "OTEL_PROPAGATORS names %.*s, which is not supported; it is left out",
                     (int)(name.size < 40 ? name.size : 40), name.data);
    }
    return MARLINE_PROPAGATE_NOTHING;
}

marline_propagators marline_propagators_from_environment(void)
{
    const char *text = marline__environment_text("OTEL_PROPAGATORS");
    if (!text) {
        return MARLINE_PROPAGATE_ALL;
    }
    static const char separators[] = " \t,";
    unsigned chosen = MARLINE_PROPAGATE_NOTHING;
    for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
        size_t size = strcspn(text, separators);
        chosen |= propagator_named((struct slice){text, size});
        text += size;
    }
    return (marline_propagators)chosen;
}

/* ---- inject ---- */

static void inject_trace(const struct parent_view *view, marline_carrier_set_fn set, void *carrier)
{
    struct trace_ids ids;
    const marline_span_context *own = &view->span->context;
    memcpy(ids.trace_id, own->trace_id, sizeof ids.trace_id);
    memcpy(ids.span_id, own->span_id, sizeof ids.span_id);
    ids.flags = own->flags & (TRACE_FLAG_SAMPLED | TRACE_FLAG_RANDOM);
    if (!marline__trace_id_is_valid(ids.trace_id) || !marline__span_id_is_valid(ids.span_id)) {
        set(carrier, traceparent_name, NULL);
        set(carrier, tracestate_name, NULL);
        return;
    }
    char text[TRACEPARENT_SIZE];
    marline__traceparent_format(&ids, text);
    set(carrier, traceparent_name, text);
    marline_string state = marline__facts_state(view->facts, own->trace_id);
    char *copy =
        state.size > 0 ? marline__memory_slice((struct slice){state.data, state.size}) : NULL;
    set(carrier, tracestate_name, copy);
    marline__memory_free(copy);
}

static void inject_baggage(const struct facts *facts, marline_carrier_set_fn set, void *carrier)
{
    struct buffer text = BUFFER_INIT;
    if (facts && facts->baggage_count > 0) {
        (void)marline__baggage_encode(facts->baggage, facts->baggage_count, &text);
    }
    set(carrier, baggage_name, text.failed || text.size == 0 ? NULL : text.data);
    marline__buffer_deinit(&text);
}

void marline_inject(marline_propagators propagators, marline_context *context,
                    marline_carrier_set_fn set, void *carrier)
{
    if (!set) {
        return;
    }
    struct parent_view view = marline__context_view(context);
    if (propagators & MARLINE_PROPAGATE_TRACE_CONTEXT) {
        inject_trace(&view, set, carrier);
    }
    if (propagators & MARLINE_PROPAGATE_BAGGAGE) {
        inject_baggage(view.facts, set, carrier);
    }
}

/* ---- extract ---- */

static size_t get_fields(marline_carrier_get_fn get, void *carrier, const char *name,
                         struct slice out[FIELDS_MAX])
{
    marline_string values[FIELDS_MAX];
    size_t count = get(carrier, name, values, FIELDS_MAX);
    if (count > FIELDS_MAX) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct slice){values[i].data, values[i].size};
    }
    return count;
}

marline_context *marline_context_with_remote(marline_context *parent,
                                             const marline_span_context *ids,
                                             marline_string trace_state)
{
    marline_span span = marline_span_remote(ids);
    struct facts *facts = marline__facts_copy(marline__context_view(parent).facts, true, 0);
    if (facts && !marline__facts_set_state(facts, span.context.trace_id, trace_state)) {
        marline__facts_unref(facts);
        facts = NULL;
    }
    return marline__context_derive(parent, &span, facts);
}

static marline_context *hold(marline_context *parent)
{
    return parent ? marline_context_ref(parent) : marline_context_current();
}

/* TP-32: two traceparent fields are none. EM-05: a bad tracestate costs only itself. */
static marline_context *extract_trace(marline_context *parent, marline_carrier_get_fn get,
                                      void *carrier)
{
    struct slice fields[FIELDS_MAX];
    struct trace_ids ids;
    if (get_fields(get, carrier, traceparent_name, fields) != 1 ||
        !marline__traceparent_parse(fields[0], &ids)) {
        return hold(parent);
    }
    marline_span_context remote = {.flags = ids.flags, .is_remote = true};
    memcpy(remote.trace_id, ids.trace_id, sizeof remote.trace_id);
    memcpy(remote.span_id, ids.span_id, sizeof remote.span_id);
    struct buffer state = BUFFER_INIT;
    size_t count = get_fields(get, carrier, tracestate_name, fields);
    if (count > 0 && !marline__tracestate_parse(fields, count, &state)) {
        marline__buffer_clear(&state);
    }
    marline_context *context =
        marline_context_with_remote(parent, &remote, (marline_string){state.data, state.size});
    marline__buffer_deinit(&state);
    return context;
}

static marline_context *extract_baggage(marline_context *parent, marline_carrier_get_fn get,
                                        void *carrier)
{
    struct slice fields[FIELDS_MAX];
    struct baggage baggage;
    size_t count = get_fields(get, carrier, baggage_name, fields);
    if (count == 0) {
        return marline_context_ref(parent);
    }
    struct parent_view view = marline__context_view(parent);
    struct facts *facts = NULL;
    if (marline__baggage_parse(fields, count, &baggage)) {
        facts = marline__facts_copy(view.facts, true, baggage.count);
        for (size_t i = 0; facts && i < baggage.count; i++) {
            if (!marline__facts_put_baggage(facts, &baggage.entries[i])) {
                marline__facts_unref(facts);
                facts = NULL;
            }
        }
    }
    marline__baggage_deinit(&baggage);
    return marline__context_derive(parent, view.span, facts);
}

marline_context *marline_extract(marline_propagators propagators, marline_context *parent,
                                 marline_carrier_get_fn get, void *carrier)
{
    marline_context *context = get && (propagators & MARLINE_PROPAGATE_TRACE_CONTEXT)
                                   ? extract_trace(parent, get, carrier)
                                   : hold(parent);
    if (!get || !(propagators & MARLINE_PROPAGATE_BAGGAGE)) {
        return context;
    }
    marline_context *whole = extract_baggage(context, get, carrier);
    marline_context_unref(context);
    return whole;
}

/* ---- environment ---- */

enum { SETTINGS_MAX = 3 };

struct settings {
    struct env_setting items[SETTINGS_MAX];
    char *texts[SETTINGS_MAX]; /* owned */
    size_t count;
    bool failed;
};

static void set_variable(void *carrier, const char *name, const char *value)
{
    struct settings *s = carrier;
    s->texts[s->count] = marline__memory_text(value);
    s->failed |= value && !s->texts[s->count];
    s->items[s->count] =
        (struct env_setting){marline__slice_text(name), marline__slice_text(s->texts[s->count])};
    s->count++;
}

char **marline_environment_create(marline_propagators propagators, marline_context *context,
                                  const char *const *environment)
{
    static const char *const nothing[] = {NULL};
    struct settings s = {.count = 0};
    marline_inject(propagators, context, set_variable, &s);
    char **copy =
        s.failed ? NULL : marline__env_copy(environment ? environment : nothing, s.items, s.count);
    for (size_t i = 0; i < s.count; i++) {
        marline__memory_free(s.texts[i]);
    }
    return copy;
}

void marline_environment_free(char **environment)
{
    marline__memory_free(environment);
}

static size_t get_variable(void *carrier, const char *name, marline_string *out, size_t max)
{
    const char *const *const *environment = carrier;
    struct slice value;
    if (max == 0 || !marline__env_get(*environment, marline__slice_text(name), &value)) {
        return 0;
    }
    out[0] = (marline_string){value.data, value.size};
    return 1;
}

marline_context *marline_extract_environment(marline_propagators propagators,
                                             marline_context *parent,
                                             const char *const *environment)
{
    return marline_extract(propagators, parent, environment ? get_variable : NULL, &environment);
}

/* ---- baggage ---- */

static void remove_baggage(struct facts *facts, struct slice name)
{
    size_t kept = 0;
    for (size_t i = 0; i < facts->baggage_count; i++) {
        if (!marline__slice_equal(facts->baggage[i].name, name)) {
            facts->baggage[kept++] = facts->baggage[i];
        }
    }
    facts->baggage_count = kept;
}

marline_context *marline_context_with_baggage(marline_context *parent, const char *name,
                                              const char *value, const char *metadata)
{
    struct baggage_entry entry = {marline__slice_text(name), marline__slice_text(value),
                                  marline__slice_text(metadata)};
    if (!marline__baggage_name_is_valid(entry.name)) {
        return hold(parent);
    }
    struct parent_view view = marline__context_view(parent);
    struct facts *facts = marline__facts_copy(view.facts, true, 1);
    if (facts && !value) {
        remove_baggage(facts, entry.name);
    } else if (facts && !marline__facts_put_baggage(facts, &entry)) {
        marline__facts_unref(facts);
        facts = NULL;
    }
    return marline__context_derive(parent, view.span, facts);
}

marline_context *marline_context_without_baggage(marline_context *parent)
{
    struct parent_view view = marline__context_view(parent);
    struct facts *facts = marline__facts_copy(view.facts, true, 0);
    if (facts) {
        facts->baggage_count = 0;
    }
    return marline__context_derive(parent, view.span, facts);
}

bool marline_context_baggage(marline_context *context, const char *name, marline_string *out_value)
{
    const struct facts *facts = marline__context_view(context).facts;
    struct slice wanted = marline__slice_text(name);
    for (size_t i = 0; facts && i < facts->baggage_count; i++) {
        if (marline__slice_equal(facts->baggage[i].name, wanted)) {
            struct slice value = facts->baggage[i].value;
            *out_value = (marline_string){value.data, value.size};
            return true;
        }
    }
    return false;
}
