/* A borrowed run of bytes: text or binary, not NUL-terminated. Passed by value, owns nothing. */
#ifndef MARLINE_BASE_SLICE_H
#define MARLINE_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data;
    size_t size;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})
/* The same for the initialiser of something static, which has to be constant. */
#define SLICE_INIT(literal)                                                                        \
    {                                                                                              \
        (literal), sizeof(literal) - 1                                                             \
    }
#define SLICE_EMPTY ((struct slice){NULL, 0})
/* For printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) (int)(s).size, ((s).data ? (s).data : "")

/* A NULL text gives the empty slice. */
static inline struct slice marline__slice_text(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

static inline bool marline__slice_equal(struct slice a, struct slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool marline__slice_is(struct slice s, const char *text)
{
    return marline__slice_equal(s, marline__slice_text(text));
}

static inline bool marline__slice_starts(struct slice s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.size >= n && (n == 0 || memcmp(s.data, prefix, n) == 0);
}

#endif
