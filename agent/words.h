/* Splits a command line into words without a shell: spaces part words; '…' keeps everything, "…"
 * everything but \" and \\, and \ the next character. Nothing is expanded. Pure. */
#ifndef AGENT_WORDS_H
#define AGENT_WORDS_H

#include <stdbool.h>
#include <stddef.h>

struct words {
    char **items; /* NULL at the end, fit for exec */
    size_t count;
    size_t capacity;
};

/* False when a quote is not closed, or there is no word at all; `out_error` says which. */
bool words_split(const char *text, struct words *out, const char **out_error);
/* Copies. */
void words_add(struct words *w, const char *word);
void words_deinit(struct words *w);

#endif
