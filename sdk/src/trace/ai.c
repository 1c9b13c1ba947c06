/* The platform's span names and attributes for work with models; see marline/ai.h. */
#include <marline/ai.h>

#include "base/buffer.h"

enum {
    TEXT_MAX = 2000,    /* characters of arguments, and of a result that is kept whole */
    PREVIEW_MAX = 1000, /* characters of a result's preview */
};

/* The operation's type is the span's name without "ai.". */
static const char *const span_names[] = {
    [MARLINE_AI_LLM_INVOKE] = "ai.llm.invoke",
    [MARLINE_AI_TOOL_INVOKE] = "ai.tool.invoke",
    [MARLINE_AI_RETRIEVAL] = "ai.retrieval",
    [MARLINE_AI_EMBEDDING_GENERATE] = "ai.embedding.generate",
    [MARLINE_AI_RERANK] = "ai.rerank",
    [MARLINE_AI_EVALUATION] = "ai.evaluation",
    [MARLINE_AI_GUARDRAIL] = "ai.guardrail",
    [MARLINE_AI_TRANSFORM] = "ai.transform",
    [MARLINE_AI_AGENT_INVOKE] = "ai.agent.invoke",
};

static void set_given(marline_span *span, const char *key, const char *value)
{
    if (value) {
        marline_span_set_text(span, key, value);
    }
}

void marline_ai_begin(marline_observed *observed, marline_ai_operation operation,
                      const marline_ai_details *details)
{
    if (!observed) {
        return;
    }
    if ((unsigned)operation >= sizeof span_names / sizeof span_names[0]) {
        marline_observe_begin(observed, "function.ai");
    } else {
        const char *name = span_names[operation];
        marline_observe_begin(observed, name);
        marline_span_set_text(&observed->span, "ai.operation.type", name + sizeof "ai." - 1);
    }
    if (details) {
        set_given(&observed->span, "ai.model.provider", details->provider);
        set_given(&observed->span, "ai.model.name", details->model);
        set_given(&observed->span, "ai.tool.name", details->tool);
        set_given(&observed->span, "ai.agent.name", details->agent);
    }
}

void marline_ai_set_tokens(marline_span *span, const marline_ai_tokens *tokens)
{
    if (!tokens) {
        return;
    }
    int64_t input = tokens->input > 0 ? tokens->input : 0;
    int64_t output = tokens->output > 0 ? tokens->output : 0;
    marline_span_set_int(span, "ai.llm.tokens.input", input);
    marline_span_set_int(span, "ai.llm.tokens.output", output);
    marline_span_set_int(span, "ai.llm.tokens.total",
                         input > INT64_MAX - output ? INT64_MAX : input + output);
}

/* The first `most` code points. */
static marline_string cut(const char *text, size_t most)
{
    marline_string s = marline_text(text);
    size_t seen = 0;
    for (size_t i = 0; i < s.size; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80 && seen++ == most) {
            s.size = i;
        }
    }
    return s;
}

void marline_span_set_arguments(marline_span *span, const char *json)
{
    if (!json || !marline_span_is_recording(span)) {
        return;
    }
    marline_string kept = cut(json, TEXT_MAX);
    if (json[kept.size] == '\0') {
        marline_span_set_string(span, "function.kwargs", kept);
        return;
    }
    struct buffer text = BUFFER_INIT;
    marline__buffer_append(&text, kept.data, kept.size);
    marline__buffer_append_text(&text, "...[truncated]");
    if (!text.failed) {
        marline_span_set_string(span, "function.kwargs", (marline_string){text.data, text.size});
    }
    marline__buffer_deinit(&text);
}

void marline_span_set_result(marline_span *span, const char *text)
{
    if (!text || !marline_span_is_recording(span)) {
        return;
    }
    marline_string whole = cut(text, TEXT_MAX);
    if (text[whole.size] == '\0') {
        marline_span_set_string(span, "function.result", whole);
    }
    marline_span_set_string(span, "function.result_preview", cut(text, PREVIEW_MAX));
}
