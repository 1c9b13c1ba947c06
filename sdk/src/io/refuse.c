/* Filling an error; see refuse.h. */
#include "io/refuse.h"

#include <stdarg.h>
#include <stdio.h>

marline_status marline__refuse(marline_error *error, marline_status status, const char *format, ...)
{
    if (error) {
        va_list arguments;
        va_start(arguments, format);
        error->code = status;
        (void)vsnprintf(error->text, sizeof error->text, format, arguments);
        va_end(arguments);
    }
    return status;
}
