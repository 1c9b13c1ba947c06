/* All that a running agent is told: options, what it serves, and which backend. The commands run,
 * config and doctor read the same settings in the same way. Main thread. */
#ifndef AGENT_SETTINGS_H
#define AGENT_SETTINGS_H

#include <stdbool.h>

#include "agent/config.h"
#include "agent/connection.h"
#include "programs/failure.h"
#include "programs/options.h"

struct settings {
    struct option_spec *specs; /* the common ones and those of the command */
    size_t spec_count;
    struct options options;
    struct config config;
    struct connection connection; /* empty until settings_resolve */
};

/* `own` are the options of the command alone; may be NULL. */
void settings_init(struct settings *s, const struct option_spec *own, size_t own_count);
void settings_deinit(struct settings *s);

/* Command line, environment, then the file that they name. With --help given it stops after the
 * command line. */
bool settings_read(struct settings *s, int argc, char **argv, struct failure *f);
/* Checks the connection's values and starts the log. */
bool settings_resolve(struct settings *s, struct failure *f);
void settings_print_help(const struct settings *s, FILE *out);

#endif
