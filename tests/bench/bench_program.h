/* The programs under load, each in a process of its own with an empty store: the backend-mock, and
 * the PostgreSQL server behind it. */
#ifndef TESTS_BENCH_BENCH_PROGRAM_H
#define TESTS_BENCH_BENCH_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "postgres_server.h"

struct bench_program {
    char folder[32];
    bool has_postgres;
    struct postgres_server postgres;
    pid_t pid;
    uint16_t port;
    char key[128];
    char project[64];
};

/* SQLite in a file of the working folder; or a private PostgreSQL with fsync on, false when that is
 * not installed. Waits until connections are accepted; ends the run when that never comes. */
bool bench_program_start(struct bench_program *p, bool on_postgres);
/* SIGTERM, waits, removes what was stored. */
void bench_program_stop(struct bench_program *p);

#endif
