/* The known word that a misspelt one was probably meant to be. */
#include "programs/nearest.h"

#include <string.h>

enum {
    WORD_MAX = 64, /* longer words are nobody's typing error */
    ERRORS_MAX = 3,
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau-Levenshtein distance (neighbours may swap once), rows of the matrix kept as needed. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = smaller(best, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = smaller(best, two_above[j - 2] + 1);
            }
            row[j] = best;
        }
    }
    return rows[a_size % 3][b_size];
}

const char *nearest_word(const char *word, const char *const *words, size_t count, size_t stride)
{
    size_t size = strlen(word);
    if (size == 0 || size > WORD_MAX) {
        return NULL;
    }
    const char *best = NULL;
    /* Beyond that a suggestion would be a guess: two words of four letters that share two of them
     * have nothing to do with each other. */
    size_t limit = size < (size_t)3 * ERRORS_MAX ? (size + 2) / 4 : ERRORS_MAX;
    for (size_t i = 0; i < count; i++) {
        const char *candidate;
        memcpy(&candidate, (const char *)words + i * stride, sizeof candidate);
        size_t candidate_size = strlen(candidate);
        if (candidate_size > WORD_MAX) {
            continue;
        }
        size_t d = distance(word, size, candidate, candidate_size);
        if (d <= limit) {
            limit = d > 0 ? d - 1 : 0;
            best = candidate;
            if (d == 0) {
                break;
            }
        }
    }
    return best;
}
