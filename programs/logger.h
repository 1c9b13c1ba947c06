/* The program's log: one line per record on stderr, written in one piece. Any thread. */
#ifndef PROGRAMS_LOGGER_H
#define PROGRAMS_LOGGER_H

#include <stdbool.h>

#include "base/log.h"

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Takes the library's diagnostics too. Records above `level` are left out. Call once, early. */
void logger_start(enum log_level level, enum log_format format);
bool logger_parse_level(const char *text, enum log_level *out);
/* Never a secret, never a payload. The current span's ids are added where there is one. */
void logger_write(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
