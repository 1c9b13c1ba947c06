/* Spaces and tabs around a piece of text, as HTTP headers and OTEL_* variables may have them. Line
 * ends are no such blanks. Pure; any thread. */
#ifndef MARLINE_BASE_BLANK_H
#define MARLINE_BASE_BLANK_H

#include "base/slice.h"

/* What is left of it without the blanks at both ends; borrows the same bytes. */
struct slice marline__blank_strip(struct slice s);

#endif
