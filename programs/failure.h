/* Why something cannot be done: the exit code that fits, and one text for a person, which names the
 * cause and the fix. The first failure is kept. One thread at a time. */
#ifndef PROGRAMS_FAILURE_H
#define PROGRAMS_FAILURE_H

#include <stdbool.h>

#include "programs/exit_code.h"

enum { FAILURE_TEXT_SIZE = 1024 };

struct failure {
    enum exit_code code;
    char text[FAILURE_TEXT_SIZE];
};

#define FAILURE_INIT ((struct failure){EXIT_CODE_OK, ""})

/* Always returns false, so that a function can end with it. */
bool failure_set(struct failure *f, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
