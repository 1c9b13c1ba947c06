/* Text for a terminal: padding by what the eye sees, colours only where they are wanted. One
 * thread. */
#ifndef RACES_PRINT_H
#define RACES_PRINT_H

#include <stdio.h>

enum colour {
    COLOUR_NONE,
    COLOUR_BOLD,
    COLOUR_DIM,
    COLOUR_GOOD,
    COLOUR_BAD,
    COLOUR_WARN,
    COLOUR_RESULT, /* the lane of R */
    COLOUR_SPANS,  /* the lane of S */
    COLOUR_OTHER,  /* the lane of T */
};

/* Colours when `out` is a terminal, NO_COLOR is unset and TERM is not "dumb". */
void print_choose_colours(FILE *out);
/* How many columns UTF-8 text of single-width characters takes. */
int print_width(const char *text);
void print_text(FILE *out, enum colour colour, const char *text);
/* Left-aligned in `width` columns; longer text is not cut. */
void print_padded(FILE *out, enum colour colour, const char *text, int width);
void print_number(FILE *out, enum colour colour, unsigned long long value, int width);
/* A rule of `width` columns, and a newline. */
void print_rule(FILE *out, int width);

#endif
