/* A private PostgreSQL server for a test program; needs Debian's package `postgresql`. */
#ifndef SUPPORT_POSTGRES_FIXTURE_H
#define SUPPORT_POSTGRES_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>

#include "postgres_server.h"

enum { POSTGRES_URL_SIZE = 192, EXIT_SKIPPED = 77 };

/* 0 when it answers; else the exit code that is due, and the reason on stderr: EXIT_SKIPPED where
 * PostgreSQL is not installed. Stop the server in every case. */
int postgres_fixture_start(struct postgres_server *server, bool is_durable);
/* Waits until it answers; false when it never does. */
bool postgres_fixture_wait(const struct postgres_server *server);
/* Removes what a store has put into it. */
bool postgres_fixture_empty(const struct postgres_server *server);
/* Carries out a statement that returns nothing. */
bool postgres_fixture_execute(const struct postgres_server *server, const char *sql);

#endif
