/* Loads shared objects that declare endpoints and metrics with MARLINE_ENDPOINT and MARLINE_METRIC.
 * Main thread, at start-up. */
#ifndef AGENT_PLUGIN_H
#define AGENT_PLUGIN_H

#include <stdbool.h>

#include "programs/failure.h"

/* Loads one plugin for the life of the process. The path is taken as it is (never searched for in
 * the library path). A file that is missing, unreadable, no shared object of this machine, or that
 * lacks a symbol, and one that declares no endpoint: a failure that names the fix. `where` says
 * where the plugin was asked for ("agent.yaml:3"; NULL for the command line).
 *
 * `folder` (may be NULL) is the only one that plugins may come from: a file that lies elsewhere,
 * also behind a symbolic link, is refused, and so is one that belongs neither to root nor to the
 * agent's user. With or without it a file that every user may write is refused, and one in a folder
 * that every user may write: it would run with the agent's rights. */
bool plugin_load(const char *path, const char *where, const char *folder, struct failure *f);

#endif
