/* Spans of work with language models, under the platform's names and attributes, and what a
 * function was called with and returned. Any thread; rules as in marline/trace.h.
 *
 *     MARLINE_AI(call, MARLINE_AI_LLM_INVOKE, .provider = "acme", .model = "small-1");
 *     …
 *     marline_ai_set_tokens(&call.span, &(marline_ai_tokens){.input = 120, .output = 48}); */
#ifndef MARLINE_AI_H
#define MARLINE_AI_H

#include <stdint.h>

#include <marline/trace.h>

MARLINE_BEGIN_DECLS

/* What a span is about; its name is ai.llm.invoke, ai.tool.invoke, ai.retrieval, and so on. */
typedef enum marline_ai_operation {
    MARLINE_AI_LLM_INVOKE,
    MARLINE_AI_TOOL_INVOKE,
    MARLINE_AI_RETRIEVAL,
    MARLINE_AI_EMBEDDING_GENERATE,
    MARLINE_AI_RERANK,
    MARLINE_AI_EVALUATION,
    MARLINE_AI_GUARDRAIL,
    MARLINE_AI_TRANSFORM,
    MARLINE_AI_AGENT_INVOKE,
} marline_ai_operation;

/* All optional; what is NULL is not set. */
typedef struct marline_ai_details {
    const char *provider; /* ai.model.provider */
    const char *model;    /* ai.model.name: the platform prices llm.invoke by it */
    const char *tool;     /* ai.tool.name */
    const char *agent;    /* ai.agent.name */
} marline_ai_details;

/* As marline_observe_begin, with the span name of the operation (ai.llm.invoke, ai.retrieval, …)
 * and ai.operation.type (llm.invoke, retrieval, …). details may be NULL. An operation that does not
 * exist starts a span function.ai. End with marline_observe_end. */
MARLINE_API void marline_ai_begin(marline_observed *observed, marline_ai_operation operation,
                                  const marline_ai_details *details);

/* MARLINE_OBSERVE for an operation: traces the rest of the block. The optional rest are members of
 * marline_ai_details in designated form. */
#define MARLINE_AI(variable, operation, ...)                                                       \
    __attribute__((cleanup(marline_observe_end))) marline_observed variable;                       \
    marline_ai_begin(&(variable), (operation), &(marline_ai_details){__VA_ARGS__})

/* What one call of a model used. */
typedef struct marline_ai_tokens {
    int64_t input;
    int64_t output;
} marline_ai_tokens;

/* Sets ai.llm.tokens.input, .output and .total; negative counts are taken as 0. */
MARLINE_API void marline_ai_set_tokens(marline_span *span, const marline_ai_tokens *tokens);

/* What a traced function was called with: a JSON object of its arguments, set as function.kwargs
 * and cut after 2000 characters with the mark "...[truncated]" (wire-protocol §4.2). */
MARLINE_API void marline_span_set_arguments(marline_span *span, const char *json);
/* What it returned: function.result when it has at most 2000 characters, and
 * function.result_preview, its first 1000. */
MARLINE_API void marline_span_set_result(marline_span *span, const char *text);

MARLINE_END_DECLS
#endif
