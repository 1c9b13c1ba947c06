/* What the files of the simulated backend share: backend.c (commit queue, linker, sessions, life),
 * backend_runs.c (runs and ingest). */
#ifndef SIMULATION_BACKEND_PARTS_H
#define SIMULATION_BACKEND_PARTS_H

#include "simulation.h"

struct commit {
    struct simulation *sim;
    struct commit *next;
    struct store_write write;
    void (*done)(struct backend *b, struct commit *c, bool ok);
    struct backend_run *run;
    size_t test;
    struct run_action action;
    struct linker_action link;
    struct post *post;        /* owned copy */
    struct store_span *spans; /* owned */
    struct store_run_test tests[TESTS_MAX];
};

/* Filled by the caller, then submitted; `done` comes after the transaction. */
struct commit *backend_commit(struct backend *b, enum store_write_type type,
                              void (*done)(struct backend *, struct commit *, bool));
void backend_submit(struct backend *b, struct commit *c);
/* Carries out what the machines want, and sets the timer. After every input. */
void backend_settle(struct backend *b);
void backend_drive_linker(struct backend *b);
void backend_drive_run(struct backend *b, struct backend_run *r);
/* This agent serves its project now. */
void backend_served(struct backend *b, int agent);

/* NULL: unknown, or closed. */
struct backend_session *backend_session(struct backend *b, uint64_t number);
void backend_send(struct backend *b, struct backend_session *s,
                  const struct connector_message *message);
void backend_acknowledge(struct backend *b, uint64_t session, struct slice id);

#endif
