/* A short list of common models, written in the file's own format so that it takes the same way in
 * as a file that is loaded. One line a model: name, dollars per input token, per output token; and
 * for the tiered ones the number of input tokens beyond which the two prices after it hold. */
#include "core/price_builtin.h"

#define MODEL(name, input, output)                                                                 \
    "\"" name "\":{\"input_cost_per_token\":" input ",\"output_cost_per_token\":" output "}"
#define TIERED(name, input, output, above, input_above, output_above)                              \
    "\"" name "\":{\"input_cost_per_token\":" input ",\"output_cost_per_token\":" output           \
    ",\"input_cost_per_token_above_" above "_tokens\":" input_above                                \
    ",\"output_cost_per_token_above_" above "_tokens\":" output_above "}"

/* clang-format off */
const char price_builtin_text[] =
    "{"
    MODEL("gpt-5", "1.25e-06", "1e-05") ","
    MODEL("gpt-5-mini", "2.5e-07", "2e-06") ","
    MODEL("gpt-5-nano", "5e-08", "4e-07") ","
    MODEL("gpt-4.1", "2e-06", "8e-06") ","
    MODEL("gpt-4.1-mini", "4e-07", "1.6e-06") ","
    MODEL("gpt-4.1-nano", "1e-07", "4e-07") ","
    MODEL("gpt-4o", "2.5e-06", "1e-05") ","
    MODEL("gpt-4o-mini", "1.5e-07", "6e-07") ","
    MODEL("gpt-4-turbo", "1e-05", "3e-05") ","
    MODEL("gpt-4", "3e-05", "6e-05") ","
    MODEL("gpt-3.5-turbo", "5e-07", "1.5e-06") ","
    MODEL("o1", "1.5e-05", "6e-05") ","
    MODEL("o3", "2e-06", "8e-06") ","
    MODEL("o3-mini", "1.1e-06", "4.4e-06") ","
    MODEL("o4-mini", "1.1e-06", "4.4e-06") ","
    MODEL("text-embedding-3-small", "2e-08", "0") ","
    MODEL("text-embedding-3-large", "1.3e-07", "0") ","
    MODEL("claude-opus-4-20250514", "1.5e-05", "7.5e-05") ","
    MODEL("claude-opus-4-1", "1.5e-05", "7.5e-05") ","
    TIERED("claude-sonnet-4-20250514", "3e-06", "1.5e-05", "200k", "6e-06", "2.25e-05") ","
    MODEL("claude-3-7-sonnet-20250219", "3e-06", "1.5e-05") ","
    MODEL("claude-3-5-sonnet-20241022", "3e-06", "1.5e-05") ","
    MODEL("claude-3-5-haiku-20241022", "8e-07", "4e-06") ","
    MODEL("claude-3-opus-20240229", "1.5e-05", "7.5e-05") ","
    MODEL("claude-3-haiku-20240307", "2.5e-07", "1.25e-06") ","
    TIERED("gemini-2.5-pro", "1.25e-06", "1e-05", "200k", "2.5e-06", "1.5e-05") ","
    MODEL("gemini-2.5-flash", "3e-07", "2.5e-06") ","
    MODEL("gemini-2.5-flash-lite", "1e-07", "4e-07") ","
    MODEL("gemini-2.0-flash", "1e-07", "4e-07") ","
    TIERED("gemini-1.5-pro", "1.25e-06", "5e-06", "128k", "2.5e-06", "1e-05")
    "}";
/* clang-format on */
