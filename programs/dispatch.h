/* A program of several commands: finds the one that is asked for, and answers help and version.
 * What a command does is its own. Main thread. */
#ifndef PROGRAMS_DISPATCH_H
#define PROGRAMS_DISPATCH_H

#include <stddef.h>
#include <stdio.h>

#include "programs/exit_code.h"
#include "programs/failure.h"

struct command {
    const char *name;
    /* Gets the arguments behind the name, and has told the user what went wrong. NULL for `help`
     * and `version`, which are answered here. */
    enum exit_code (*run)(int argc, char **argv);
    const char *summary; /* one line */
};

struct program {
    const char *name;
    const char *version;
    const char *introduction; /* of the help: before the commands */
    const char *advice;       /* and behind them */
    const char *missing;      /* said when no command is given; NULL = the help alone */
    const struct command *commands;
    size_t command_count;
};

/* What main returns. */
int dispatch(const struct program *p, int argc, char **argv);

/* Prints the failure of a command, with a hint at its help after a mistake in usage. */
enum exit_code dispatch_fail(const char *program, const char *command, const struct failure *f);

#endif
