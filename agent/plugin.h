/* Loads shared objects that declare endpoints with MARLINE_ENDPOINT. Main thread, at start-up. */
#ifndef AGENT_PLUGIN_H
#define AGENT_PLUGIN_H

#include <stdbool.h>

#include "programs/failure.h"

/* Loads one plugin for the life of the process. The path is taken as it is (never searched for in
 * the library path). A file that is missing, unreadable, no shared object of this machine, or that
 * lacks a symbol, and one that declares no endpoint: a failure that names the fix. `where` says
 * where the plugin was asked for ("agent.yaml:3"; NULL for the command line). */
bool plugin_load(const char *path, const char *where, struct failure *f);

#endif
