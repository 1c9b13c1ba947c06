/* Telling a caller why a call fails. Any thread. */
#ifndef MARLINE_IO_REFUSE_H
#define MARLINE_IO_REFUSE_H

#include <marline/status.h>

/* Fills an error (may be NULL), and returns its status. */
marline_status marline__refuse(marline_error *error, marline_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
