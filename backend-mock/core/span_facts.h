/* What enrichment and queries read out of a span's attributes: the AI conventions of wire-protocol
 * §7. Pure; allocates nothing. Any thread. */
#ifndef CORE_SPAN_FACTS_H
#define CORE_SPAN_FACTS_H

#include <stdint.h>

#include "base/slice.h"

enum span_flaw {
    SPAN_FLAW_NONE,
    SPAN_FLAW_ATTRIBUTES, /* no JSON object: nothing is known but the span's own columns */
    SPAN_FLAW_TOKENS,     /* a token count that is no whole number from 0 on: no tokens, no cost */
};
enum { SPAN_FLAW_COUNT = 3 };

/* "none", "attributes are not a JSON object" … */
const char *span_flaw_text(enum span_flaw flaw);

/* The names are raw JSON text: between the quotes, still escaped; compare with json_key_is, decode
 * with json_unescape. Empty = absent, no string, or an empty string. They borrow from the
 * attributes, so the quotes are still around them. */
struct span_facts {
    struct slice operation;          /* ai.operation.type */
    struct slice model;              /* ai.model.name */
    struct slice tool;               /* ai.tool.name */
    struct slice conversation_input; /* rhesis.conversation.input */
    uint64_t tokens_input;           /* ai.llm.tokens.input; absent or null = 0 */
    uint64_t tokens_output;          /* ai.llm.tokens.output */
    uint64_t tokens_total;           /* ai.llm.tokens.total; never derived from the two */
};

/* An empty text counts as {}. A member given twice: the last counts. With SPAN_FLAW_ATTRIBUTES all
 * facts are empty, with SPAN_FLAW_TOKENS the three counts are 0. */
enum span_flaw span_facts_read(struct slice attributes, struct span_facts *out);

#endif
