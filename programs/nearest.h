/* The known word that a misspelt one was probably meant to be. Pure. */
#ifndef PROGRAMS_NEAREST_H
#define PROGRAMS_NEAREST_H

#include <stddef.h>

/* The closest of `count` words, by insertions, deletions, replacements and swaps of neighbours;
 * NULL when none is near enough to be worth a suggestion. `stride` is the distance in bytes from
 * one `const char *` to the next, so that the names of a table of structures can be searched. */
const char *nearest_word(const char *word, const char *const *words, size_t count, size_t stride);

#endif
