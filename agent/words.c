/* Splits a command line into words without a shell. */
#include "agent/words.h"

#include <string.h>

#include "programs/must.h"

void words_add(struct words *w, const char *word)
{
    w->items = must_grow(w->items, w->count + 1, &w->capacity, sizeof *w->items);
    w->items[w->count++] = must_text(word);
    w->items[w->count] = NULL;
}

void words_deinit(struct words *w)
{
    for (size_t i = 0; i < w->count; i++) {
        marline__memory_free(w->items[i]);
    }
    marline__memory_free(w->items);
    *w = (struct words){0};
}

/* Appends the quoted text that starts at *at (behind the quote) and moves behind its end. */
static bool read_quoted(const char **at, char quote, struct buffer *word)
{
    const char *c = *at;
    for (; *c && *c != quote; c++) {
        if (quote == '"' && *c == '\\' && (c[1] == '"' || c[1] == '\\')) {
            c++;
        }
        marline__buffer_append_byte(word, *c);
    }
    *at = *c ? c + 1 : c;
    return *c == quote;
}

static bool read_word(const char **at, struct buffer *word)
{
    const char *c = *at;
    while (*c && !strchr(" \t\n", *c)) {
        if (*c == '\'' || *c == '"') {
            char quote = *c++;
            if (!read_quoted(&c, quote, word)) {
                return false;
            }
            continue;
        }
        if (*c == '\\' && c[1]) {
            c++;
        }
        marline__buffer_append_byte(word, *c++);
    }
    *at = c;
    return true;
}

bool words_split(const char *text, struct words *out, const char **out_error)
{
    *out = (struct words){0};
    struct buffer word = BUFFER_INIT;
    bool ok = true;
    const char *at = text + strspn(text, " \t\n");
    while (ok && *at) {
        marline__buffer_clear(&word);
        ok = read_word(&at, &word);
        must_buffer(&word);
        if (ok) {
            words_add(out, word.data ? word.data : "");
        }
        at += strspn(at, " \t\n");
    }
    marline__buffer_deinit(&word);
    if (!ok || out->count == 0) {
        *out_error = ok ? "it is empty" : "a quote is not closed";
        words_deinit(out);
        return false;
    }
    return true;
}
