/* The commands of marline-agent. Each gets the arguments behind its name and returns the exit code;
 * each has told the user what went wrong. */
#ifndef AGENT_COMMANDS_H
#define AGENT_COMMANDS_H

#include <stdio.h>

#include "programs/exit_code.h"
#include "programs/failure.h"

enum exit_code command_run(int argc, char **argv);
enum exit_code command_config(int argc, char **argv);
enum exit_code command_doctor(int argc, char **argv);
enum exit_code command_dead_letters(int argc, char **argv);
enum exit_code command_check(int argc, char **argv);

/* Prints the failure, with a hint at the help after a mistake in usage. */
enum exit_code command_fail(const char *command, const struct failure *f);
void command_print_exit_codes(FILE *out);

#endif
