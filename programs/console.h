/* What a person sees: messages on stderr, colours only on a terminal that wants them. */
#ifndef PROGRAMS_CONSOLE_H
#define PROGRAMS_CONSOLE_H

#include <stdbool.h>
#include <stdio.h>

enum console_style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_BAD };

/* False when it is no terminal, NO_COLOR is set, or TERM is dumb. */
bool console_has_colour(FILE *stream);
/* The escape sequence, or "" without colours. STYLE_PLAIN ends every other style. */
const char *console_style(bool has_colour, enum console_style style);
/* "PROGRAM: text" and a newline on stderr. */
void console_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
