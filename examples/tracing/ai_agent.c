/* An AI agent's turn: the agent, the model it asks twice, the tool it calls in between.
 *
 *     OTEL_TRACES_EXPORTER=console build/dev/bin/examples/ai-agent
 *
 * MARLINE_AI is MARLINE_OBSERVE with the names and attributes that the platform prices and groups
 * by. The model here is a stand-in: what counts is what is said about it. */
#include <string.h>

#include "setup.h"

static const char *look_up_weather(const char *arguments)
{
    MARLINE_AI(tool, MARLINE_AI_TOOL_INVOKE, .tool = "weather");
    marline_span_set_arguments(&tool.span, arguments); /* JSON; cut when it is long */
    const char *result = "4 degrees, rain";
    marline_span_set_result(&tool.span, result);
    return result;
}

static const char *ask_model(const char *prompt)
{
    MARLINE_AI(model, MARLINE_AI_LLM_INVOKE, .provider = "acme", .model = "small-1");
    marline_ai_set_tokens(&model.span, &(marline_ai_tokens){.input = 48, .output = 12});
    return strstr(prompt, "rain") ? "Take an umbrella." : "{\"city\":\"Oslo\"}";
}

static const char *answer(const char *question)
{
    MARLINE_AI(agent, MARLINE_AI_AGENT_INVOKE, .agent = "travel-guide");
    const char *tool_call = ask_model(question);
    return ask_model(look_up_weather(tool_call));
}

int main(void)
{
    marline_provider *provider = start_tracing("ai-agent");
    if (!provider) {
        return 1;
    }
    puts(answer("What do I need in Oslo?"));
    return stop_tracing(provider);
}
