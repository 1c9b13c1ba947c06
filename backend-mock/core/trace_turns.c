/* See trace_turns.h. */
#include "core/trace_turns.h"

#include "core/alloc.h"
#include "core/span_facts.h"
#include "wire/json_reader.h"

enum {
    INPUT_CUT = 10000,   /* characters after which a root's input may be cut (§4.4) */
    PRECISION_NS = 1000, /* of the times in spans (§4.1) */
};

struct root {
    struct trace_span *span;
    struct buffer input;
    bool is_taken;
};

struct matching {
    const struct trace_turn *turns;
    size_t turn_count;
    struct root *roots;
    size_t root_count;
};

static bool asked_the_same(const struct trace_turn *turn, const struct root *root)
{
    struct slice input = marline__buffer_slice(&root->input);
    bool is_cut = input.size >= INPUT_CUT && input.size < turn->input.size &&
                  memcmp(input.data, turn->input.data, input.size) == 0;
    return is_cut || marline__slice_equal(turn->input, input);
}

static void take(const struct trace_turn *turn, struct root *root)
{
    root->is_taken = true;
    root->span->conversation_output = turn->output;
}

/* Of turns at the same time the later one takes the later root. */
static bool match_by_time(const struct matching *m, const struct trace_turn *turn)
{
    for (size_t i = m->root_count; i-- > 0;) {
        struct root *root = &m->roots[i];
        uint64_t start_ns = root->span->start_unix_ns;
        bool is_within = start_ns + PRECISION_NS > turn->started_unix_ns &&
                         (turn->ended_unix_ns == 0 || start_ns <= turn->ended_unix_ns);
        if (!root->is_taken && is_within && asked_the_same(turn, root)) {
            take(turn, root);
            return true;
        }
    }
    return false;
}

/* The place of turn `index` among those that asked the same, and how many there are. */
static size_t place_of(const struct matching *m, size_t index, size_t *out_total)
{
    size_t place = 0;
    *out_total = 0;
    for (size_t i = 0; i < m->turn_count; i++) {
        if (marline__slice_equal(m->turns[i].input, m->turns[index].input)) {
            place += i < index;
            ++*out_total;
        }
    }
    return place;
}

static void match_by_order(const struct matching *m, size_t index)
{
    size_t turns;
    size_t place = place_of(m, index, &turns);
    size_t roots = 0;
    struct root *mine = NULL;
    for (size_t i = 0; i < m->root_count; i++) {
        if (asked_the_same(&m->turns[index], &m->roots[i])) {
            mine = roots++ == place ? &m->roots[i] : mine;
        }
    }
    if (mine && roots == turns) {
        take(&m->turns[index], mine);
    }
}

static void find_roots(struct matching *m, struct trace_span *spans, size_t count)
{
    m->roots = alloc_array(count, sizeof(*m->roots));
    for (size_t i = 0; i < count; i++) {
        struct span_facts facts;
        if (spans[i].has_parent) {
            continue;
        }
        (void)span_facts_read(spans[i].attributes, &facts);
        if (facts.conversation_input.size > 0) {
            struct root *root = &m->roots[m->root_count++];
            *root = (struct root){.span = &spans[i], .input = BUFFER_INIT};
            marline__json_unescape(facts.conversation_input, &root->input);
            alloc_check_buffer(&root->input);
        }
    }
}

static void name_conversation(const struct matching *m, struct trace_span *spans, size_t count)
{
    struct slice conversation = SLICE_EMPTY;
    for (size_t i = 0; i < m->turn_count && !conversation.data; i++) {
        conversation = m->turns[i].conversation_id;
    }
    for (size_t i = 0; i < count; i++) {
        if (!spans[i].conversation_id.data) {
            spans[i].conversation_id = conversation;
        }
    }
}

void trace_turns_apply(const struct trace_turn *turns, size_t turn_count, struct trace_span *spans,
                       size_t span_count)
{
    struct matching m = {.turns = turns, .turn_count = turn_count};
    if (turn_count == 0 || span_count == 0) {
        return;
    }
    name_conversation(&m, spans, span_count);
    find_roots(&m, spans, span_count);
    size_t matched = 0;
    for (size_t i = turn_count; i-- > 0;) {
        matched += match_by_time(&m, &turns[i]);
    }
    for (size_t i = 0; i < turn_count && matched == 0; i++) {
        match_by_order(&m, i);
    }
    for (size_t i = 0; i < m.root_count; i++) {
        marline__buffer_deinit(&m.roots[i].input);
    }
    marline__memory_free(m.roots);
}
