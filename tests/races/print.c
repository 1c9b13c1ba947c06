/* See print.h. */
#include "print.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RULE_MAX = 160 };

static bool coloured;

void print_choose_colours(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    coloured = isatty(fileno(out)) && (!no_colour || !*no_colour) && terminal &&
               strcmp(terminal, "dumb") != 0;
}

int print_width(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

void print_text(FILE *out, enum colour colour, const char *text)
{
    static const char *const codes[] = {
        [COLOUR_NONE] = "",           [COLOUR_BOLD] = "\033[1m",   [COLOUR_DIM] = "\033[2m",
        [COLOUR_GOOD] = "\033[32m",   [COLOUR_BAD] = "\033[1;31m", [COLOUR_WARN] = "\033[33m",
        [COLOUR_RESULT] = "\033[36m", [COLOUR_SPANS] = "\033[35m", [COLOUR_OTHER] = "\033[34m",
    };
    if (!coloured || colour == COLOUR_NONE || !*text) {
        (void)fputs(text, out);
        return;
    }
    (void)fprintf(out, "%s%s\033[0m", codes[colour], text);
}

void print_padded(FILE *out, enum colour colour, const char *text, int width)
{
    print_text(out, colour, text);
    for (int n = print_width(text); n < width; n++)
        (void)fputc(' ', out);
}

void print_number(FILE *out, enum colour colour, unsigned long long value, int width)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%*llu", width, value);
    print_text(out, value ? colour : COLOUR_DIM, text);
}

void print_rule(FILE *out, int width)
{
    static const char dash[] = "─";
    char rule[RULE_MAX * (sizeof dash - 1) + 1];
    size_t size = 0;
    for (int i = 0; i < width && i < RULE_MAX; i++) {
        memcpy(rule + size, dash, sizeof dash - 1);
        size += sizeof dash - 1;
    }
    rule[size] = '\0';
    print_text(out, COLOUR_DIM, rule);
    (void)fputc('\n', out);
}
