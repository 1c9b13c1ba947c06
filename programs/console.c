/* What a person sees. */
#include "programs/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool console_has_colour(FILE *stream)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fileno(stream)) && !(no_colour && *no_colour) && terminal &&
           strcmp(terminal, "dumb") != 0;
}

const char *console_style(bool has_colour, enum console_style style)
{
    static const char *const sequences[] = {"\033[0m", "\033[1m", "\033[2m", "\033[32m",
                                            "\033[31m"};
    return has_colour ? sequences[style] : "";
}

void console_error(const char *format, ...)
{
    bool has_colour = console_has_colour(stderr);
    (void)fprintf(stderr, "%s%s:%s ", console_style(has_colour, STYLE_BAD),
                  program_invocation_short_name, console_style(has_colour, STYLE_PLAIN));
    va_list arguments;
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
}
