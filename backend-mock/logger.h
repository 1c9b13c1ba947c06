/* The program's log: one line per record on stderr, in UTC. Any thread. */
#ifndef BACKEND_LOGGER_H
#define BACKEND_LOGGER_H

#include "base/log.h"

/* Records above the level are left out. */
void logger_install(enum log_level level);

#endif
