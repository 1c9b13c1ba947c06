/* The facts of one span's attributes. Attributes of Python peers may hold NaN and infinities, which
 * do no harm to the rest. */
#include "core/span_facts.h"

#include "wire/json_reader.h"

const char *span_flaw_text(enum span_flaw flaw)
{
    static const char *const texts[SPAN_FLAW_COUNT] = {
        [SPAN_FLAW_NONE] = "none",
        [SPAN_FLAW_ATTRIBUTES] = "attributes are not a JSON object",
        [SPAN_FLAW_TOKENS] = "a token count is not a whole number from 0 on",
    };
    return texts[flaw];
}

static struct slice read_name(struct slice json)
{
    bool is_text = json.size > 2 && json.data[0] == '"';
    return is_text ? (struct slice){json.data + 1, json.size - 2} : SLICE_EMPTY;
}

static bool read_tokens(struct slice json, uint64_t *out)
{
    struct json_reader r;
    int64_t value = 0;
    marline__json_reader_init(&r, json, JSON_ALLOW_NON_FINITE);
    if (!marline__slice_is(json, "null") && (!marline__json_read_int64(&r, &value) || value < 0)) {
        return false;
    }
    *out = (uint64_t)value;
    return true;
}

static void read_member(struct slice key, struct slice value, struct span_facts *facts,
                        bool token_flaws[3])
{
    if (marline__json_key_is(key, "ai.operation.type")) {
        facts->operation = read_name(value);
    } else if (marline__json_key_is(key, "ai.model.name")) {
        facts->model = read_name(value);
    } else if (marline__json_key_is(key, "ai.tool.name")) {
        facts->tool = read_name(value);
    } else if (marline__json_key_is(key, "rhesis.conversation.input")) {
        facts->conversation_input = read_name(value);
    } else if (marline__json_key_is(key, "ai.llm.tokens.input")) {
        token_flaws[0] = !read_tokens(value, &facts->tokens_input);
    } else if (marline__json_key_is(key, "ai.llm.tokens.output")) {
        token_flaws[1] = !read_tokens(value, &facts->tokens_output);
    } else if (marline__json_key_is(key, "ai.llm.tokens.total")) {
        token_flaws[2] = !read_tokens(value, &facts->tokens_total);
    }
}

enum span_flaw span_facts_read(struct slice attributes, struct span_facts *out)
{
    struct json_reader r;
    struct slice key;
    struct slice value;
    bool token_flaws[3] = {false, false, false};
    *out = (struct span_facts){0};
    if (attributes.size == 0) {
        return SPAN_FLAW_NONE;
    }
    marline__json_reader_init(&r, attributes, JSON_ALLOW_NON_FINITE);
    (void)marline__json_enter_object(&r);
    while (!r.error && marline__json_next_member(&r, &key) && marline__json_skip(&r, &value)) {
        read_member(key, value, out, token_flaws);
    }
    if (!marline__json_finish(&r)) {
        *out = (struct span_facts){0};
        return SPAN_FLAW_ATTRIBUTES;
    }
    if (token_flaws[0] || token_flaws[1] || token_flaws[2]) {
        out->tokens_input = out->tokens_output = out->tokens_total = 0;
        return SPAN_FLAW_TOKENS;
    }
    return SPAN_FLAW_NONE;
}
