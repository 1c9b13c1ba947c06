/* The commands of marline-backend-mock. Each gets the arguments behind its name and returns the
 * exit code; each has told the user what went wrong. */
#ifndef BACKEND_COMMANDS_H
#define BACKEND_COMMANDS_H

#include "programs/exit_code.h"
#include "programs/failure.h"

enum exit_code command_serve(int argc, char **argv);
enum exit_code command_run(int argc, char **argv);

/* Prints the failure, with a hint at the help after a mistake in usage. */
enum exit_code command_fail(const char *command, const struct failure *f);

#endif
