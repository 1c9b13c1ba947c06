/* Contexts, facts, groups and scopes; see context.h. */
#include "trace/context.h"

#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "trace/span_record.h"

static marline_context root;

static _Thread_local marline_scope *top __attribute__((tls_model("initial-exec")));

/* ---- facts ---- */

struct facts *marline__facts_ref(struct facts *facts)
{
    if (facts) {
        atomic_fetch_add_explicit(&facts->references, 1, memory_order_relaxed);
    }
    return facts;
}

void marline__facts_unref(struct facts *facts)
{
    if (!facts || atomic_fetch_sub_explicit(&facts->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < facts->group_count; i++) {
        marline_span_group_unref(facts->groups[i]);
    }
    marline__span_memory_deinit(&facts->memory);
    marline__memory_free(facts);
}

static marline_span_group *group_ref(marline_span_group *group)
{
    atomic_fetch_add_explicit(&group->references, 1, memory_order_relaxed);
    return group;
}

bool marline__facts_set_state(struct facts *facts, const uint8_t trace_id[16],
                              marline_string trace_state)
{
    memcpy(facts->state_trace_id, trace_id, sizeof facts->state_trace_id);
    facts->trace_state = (marline_string){NULL, 0};
    if (trace_state.size > 0) {
        facts->trace_state = marline__string_copy(&facts->memory, trace_state);
    }
    return facts->trace_state.size == trace_state.size;
}

marline_string marline__facts_state(const struct facts *facts, const uint8_t trace_id[16])
{
    static const marline_string none;
    bool same = facts && facts->trace_state.size > 0 &&
                memcmp(facts->state_trace_id, trace_id, sizeof facts->state_trace_id) == 0;
    return same ? facts->trace_state : none;
}

static bool copy_slice(struct facts *facts, struct slice *s)
{
    if (s->size == 0) {
        return true;
    }
    marline_string copy = marline__string_copy(&facts->memory, (marline_string){s->data, s->size});
    *s = (struct slice){copy.data, copy.size};
    return copy.data != NULL;
}

/* There is room: see marline__facts_copy. */
bool marline__facts_put_baggage(struct facts *facts, const struct baggage_entry *entry)
{
    struct baggage_entry copy = *entry;
    if (!copy_slice(facts, &copy.name) || !copy_slice(facts, &copy.value) ||
        !copy_slice(facts, &copy.metadata)) {
        return false;
    }
    for (size_t i = 0; i < facts->baggage_count; i++) {
        if (marline__slice_equal(facts->baggage[i].name, entry->name)) {
            facts->baggage[i] = copy;
            return true;
        }
    }
    facts->baggage[facts->baggage_count++] = copy;
    return true;
}

static bool copy_baggage(struct facts *facts, const struct facts *old, size_t extra)
{
    size_t old_count = old ? old->baggage_count : 0;
    if (old_count + extra == 0) {
        return true;
    }
    facts->baggage =
        marline__span_memory_take(&facts->memory, (old_count + extra) * sizeof *facts->baggage, 8);
    bool ok = facts->baggage != NULL;
    for (size_t i = 0; ok && i < old_count; i++) {
        ok = marline__facts_put_baggage(facts, &old->baggage[i]);
    }
    return ok;
}

static bool copy_facts_into(struct facts *facts, const struct facts *old, bool with_identity)
{
    facts->is_test = with_identity && old->is_test;
    for (uint32_t i = 0; i < old->group_count; i++) {
        facts->groups[facts->group_count++] = group_ref(old->groups[i]);
    }
    if (with_identity) {
        marline__attributes_set_all(&facts->identity, &marline__no_limits, old->identity.items,
                                    old->identity.count);
    }
    return facts->identity.dropped == 0 &&
           marline__facts_set_state(facts, old->state_trace_id, old->trace_state);
}

struct facts *marline__facts_copy(const struct facts *old, bool with_identity, size_t baggage_extra)
{
    struct facts *facts = marline__memory_zeroed(sizeof *facts);
    if (!facts) {
        return NULL;
    }
    atomic_init(&facts->references, 1);
    marline__span_memory_init(&facts->memory, NULL, 0);
    marline__attributes_init(&facts->identity, &facts->memory, UINT32_MAX);
    if (!copy_baggage(facts, old, baggage_extra) ||
        (old && !copy_facts_into(facts, old, with_identity))) {
        marline__facts_unref(facts);
        return NULL;
    }
    return facts;
}

static struct facts *copy_facts(const struct facts *old, bool with_identity)
{
    return marline__facts_copy(old, with_identity, 0);
}

/* ---- contexts ---- */

marline_context *marline_context_root(void)
{
    return &root;
}

marline_context *marline_context_ref(marline_context *context)
{
    if (context && context != &root) {
        atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    }
    return context;
}

void marline_context_unref(marline_context *context)
{
    if (!context || context == &root ||
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    marline__facts_unref(context->facts);
    marline__memory_free(context);
}

/* Takes `facts`; NULL when out of memory. */
static marline_context *make_context(const marline_span *span, struct facts *facts)
{
    marline_context *context = marline__memory_zeroed(sizeof *context);
    if (!context) {
        marline__facts_unref(facts);
        return NULL;
    }
    atomic_init(&context->references, 1);
    context->span = *span;
    context->facts = facts;
    return context;
}

struct parent_view marline__context_view(marline_context *context)
{
    if (context) {
        return (struct parent_view){&context->span, context->facts};
    }
    if (top) {
        return (struct parent_view){top->span, top->facts};
    }
    return (struct parent_view){&root.span, NULL};
}

marline_context *marline_context_current(void)
{
    if (!top) {
        return &root;
    }
    if (top->context) {
        return marline_context_ref(top->context);
    }
    marline_context *context = make_context(top->span, marline__facts_ref(top->facts));
    if (!context) {
        marline__log(LOG_ERROR, "out of memory: the current context was not captured");
        return &root;
    }
    return context;
}

/* What a derivation returns when it ran out of memory: the parent itself. */
static marline_context *fall_back(marline_context *parent)
{
    marline__log(LOG_ERROR, "out of memory: the context stays as it was");
    return parent ? marline_context_ref(parent) : marline_context_current();
}

marline_context *marline__context_derive(marline_context *parent, const marline_span *span,
                                         struct facts *facts)
{
    marline_context *context = facts ? make_context(span, facts) : NULL;
    return context ? context : fall_back(parent);
}

static marline_context *derive(marline_context *parent, struct facts *facts)
{
    return marline__context_derive(parent, marline__context_view(parent).span, facts);
}

enum {
    /* The most that a valid tracestate has: 32 members of 256 = 256 characters, and commas. */
    TRACE_STATE_MAX = 32 * (256 + 1 + 256) + 31,
};

/* The trace state of a running span, copied out from under its lock. */
static marline_string state_of(const marline_span *span, char buffer[TRACE_STATE_MAX],
                               bool *out_runs)
{
    marline_string state = {NULL, 0};
    struct span_record *r = marline__record_of(span);
    *out_runs = r != NULL;
    if (r) {
        if (r->data.trace_state.size > 0 && r->data.trace_state.size <= TRACE_STATE_MAX) {
            state = (marline_string){buffer, r->data.trace_state.size};
            memcpy(buffer, r->data.trace_state.data, state.size);
        }
        marline__record_unlock(r);
    }
    return state;
}

static bool is_same_text(marline_string one, marline_string other)
{
    return one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

/* The facts to go with a span: the parent's, and the span's trace state where they lack it or the
 * sampler gave it one of its own. False when out of memory. */
static bool facts_for_span(struct facts *facts, const marline_span *span, struct facts **out)
{
    char buffer[TRACE_STATE_MAX];
    bool runs;
    marline_string state = state_of(span, buffer, &runs);
    marline_string known = marline__facts_state(facts, span->context.trace_id);
    bool is_known = span->has_own_state && runs ? is_same_text(state, known)
                                                : state.size == 0 || known.size > 0;
    if (is_known) {
        *out = marline__facts_ref(facts);
        return true;
    }
    *out = marline__facts_copy(facts, true, 0);
    if (*out && !marline__facts_set_state(*out, span->context.trace_id, state)) {
        marline__facts_unref(*out);
        *out = NULL;
    }
    return *out != NULL;
}

marline_context *marline_context_with_span(marline_context *parent, const marline_span *span)
{
    static const marline_span none;
    const marline_span *carried = span ? span : &none;
    struct facts *facts = NULL;
    marline_context *context = facts_for_span(marline__context_view(parent).facts, carried, &facts)
                                   ? make_context(carried, facts)
                                   : NULL;
    return context ? context : fall_back(parent);
}

marline_context *marline_context_with_identity(marline_context *parent,
                                               const marline_attribute *attributes, size_t count)
{
    struct facts *facts = copy_facts(marline__context_view(parent).facts, true);
    if (facts) {
        marline__attributes_set_all(&facts->identity, &marline__no_limits, attributes, count);
        if (facts->identity.dropped > 0) {
            marline__facts_unref(facts);
            facts = NULL;
        }
    }
    return derive(parent, facts);
}

marline_context *marline_context_without_identity(marline_context *parent)
{
    return derive(parent, copy_facts(marline__context_view(parent).facts, false));
}

static void set_identity_text(struct facts *facts, const char *key, const char *text)
{
    if (text) {
        (void)marline__attributes_set_text(&facts->identity, &marline__no_limits, marline_text(key),
                                           marline_text(text));
    }
}

/* A test within a test: nothing of the outer one may stay. */
static void remove_test_identity(struct facts *facts)
{
    static const char prefix[] = "rhesis.test.";
    struct attribute_list *list = &facts->identity;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count; i++) {
        marline_string key = list->items[i].key;
        if (key.size < sizeof prefix - 1 || memcmp(key.data, prefix, sizeof prefix - 1) != 0) {
            list->items[kept++] = list->items[i];
        }
    }
    list->count = kept;
}

marline_context *marline_context_with_test(marline_context *parent,
                                           const marline_test_context *test)
{
    struct facts *facts = copy_facts(marline__context_view(parent).facts, true);
    if (facts && test) {
        facts->is_test = true;
        remove_test_identity(facts);
        set_identity_text(facts, "rhesis.test.run_id", test->test_run_id);
        set_identity_text(facts, "rhesis.test.id", test->test_id);
        set_identity_text(facts, "rhesis.test.configuration_id", test->test_configuration_id);
        set_identity_text(facts, "rhesis.test.result_id", test->test_result_id);
        if (test->attempt > 0) {
            marline_attribute attempt = {marline_text("rhesis.test.attempt"),
                                         {.type = MARLINE_VALUE_INT, .as.integer = test->attempt}};
            (void)marline__attributes_set(&facts->identity, &marline__no_limits, &attempt);
        }
        if (facts->identity.dropped > 0) {
            marline__facts_unref(facts);
            facts = NULL;
        }
    }
    return derive(parent, facts);
}

/* ---- groups ---- */

marline_span_group *marline_span_group_create(void)
{
    marline_span_group *group = marline__memory_zeroed(sizeof *group);
    if (group) {
        atomic_init(&group->references, 1);
    }
    return group;
}

void marline_span_group_unref(marline_span_group *group)
{
    if (group && atomic_fetch_sub_explicit(&group->references, 1, memory_order_acq_rel) == 1) {
        marline__memory_free(group);
    }
}

marline_context *marline_context_with_group(marline_context *parent, marline_span_group *group)
{
    struct facts *facts = copy_facts(marline__context_view(parent).facts, true);
    if (facts && group) {
        if (facts->group_count == GROUPS_MAX) {
            marline__log(LOG_ERROR, "more than %d span groups within each other", GROUPS_MAX);
        } else {
            facts->groups[facts->group_count++] = group_ref(group);
        }
    }
    return derive(parent, facts);
}

void marline_span_group_set_prompt(marline_span_group *group, bool is_prompt)
{
    if (group) {
        atomic_store_explicit(&group->is_prompt, is_prompt, memory_order_relaxed);
    }
}

uint32_t marline_span_group_started(const marline_span_group *group)
{
    return group ? atomic_load_explicit(&group->started, memory_order_acquire) : 0;
}

uint32_t marline_span_group_ended(const marline_span_group *group)
{
    return group ? atomic_load_explicit(&group->ended, memory_order_acquire) : 0;
}

/* ---- scopes ---- */

static void push(marline_scope *scope)
{
    scope->outer = top;
    top = scope;
}

void marline_scope_enter(marline_scope *scope, marline_context *context)
{
    if (!scope) {
        return;
    }
    marline_context *entered = context ? marline_context_ref(context) : &root;
    scope->context = entered;
    scope->span = &entered->span;
    scope->facts = entered->facts;
    push(scope);
}

void marline__scope_enter_span(marline_scope *scope, const marline_span *span)
{
    scope->context = NULL;
    scope->span = span;
    struct facts *around = marline__context_view(NULL).facts;
    struct facts *facts = NULL;
    if (!span->has_own_state || !facts_for_span(around, span, &facts)) {
        facts = marline__facts_ref(around);
    }
    scope->facts = facts;
    push(scope);
}

static bool unlink_scope(marline_scope *scope)
{
    for (marline_scope **link = &top; *link; link = &(*link)->outer) {
        if (*link == scope) {
            if (link != &top) {
                marline__log(LOG_WARN, "a scope was left before one that it encloses");
            }
            *link = scope->outer;
            return true;
        }
    }
    return false;
}

void marline_scope_leave(marline_scope *scope)
{
    if (!scope || !scope->span) {
        return;
    }
    if (!unlink_scope(scope)) {
        marline__log(LOG_ERROR, "a scope was left on another thread than it was entered on");
        return;
    }
    if (scope->context) {
        marline_context_unref(scope->context);
    } else {
        marline__facts_unref(scope->facts);
    }
    *scope = (marline_scope){NULL, NULL, NULL, NULL};
}
