/* Text in lines of at most WRAP_COLUMNS, as terminals of every size can show them. Pure but for the
 * stream. */
#ifndef PROGRAMS_WRAP_H
#define PROGRAMS_WRAP_H

#include <stdio.h>

enum { WRAP_COLUMNS = 80 };

/* Prints the words of `text` from `column` on; further lines are indented by `indent` columns. Ends
 * with a newline. A word that is longer than a line gets one of its own; columns are code points.
 */
void wrap_print(FILE *out, const char *text, size_t column, size_t indent);

#endif
