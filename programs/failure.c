/* Why something cannot be done. */
#include "programs/failure.h"

#include <stdarg.h>
#include <stdio.h>

bool failure_set(struct failure *f, enum exit_code code, const char *format, ...)
{
    if (f->code != EXIT_CODE_OK) {
        return false;
    }
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(f->text, sizeof f->text, format, arguments);
    va_end(arguments);
    if (length < 0) {
        f->text[0] = '\0';
    }
    f->code = code;
    return false;
}
