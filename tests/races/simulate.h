/* Many simulated runs: counts, situations visited, the first violation; and the proof by mutants.
 * Computes and prints; main.c reads the options. */
#ifndef RACES_SIMULATE_H
#define RACES_SIMULATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "simulation/simulation.h"

enum {
    SIMULATE_COVERED_RUNS = 1000, /* so many must have visited every situation */
    SIMULATE_MUTANT_RUNS = 4000,  /* within so many each mutant must be found */
};

struct simulate_options {
    uint64_t seed;
    uint64_t runs;
    /* A store of production: "sqlite::memory:", "postgresql://…"; NULL: the memory store. */
    const char *location;
    const char *store_name; /* for the report */
    enum mutant mutant;
    const struct faults *faults; /* NULL: a mixture of each seed's own */
    FILE *log;                   /* NULL: none */
    FILE *progress;              /* a terminal that is told now and then; NULL: none */
};

struct simulate_tally {
    uint64_t runs;
    uint64_t steps;
    uint64_t virtual_ms;
    uint64_t visits[SITUATION_COUNT]; /* runs that visited it */
    bool violated;
    uint64_t violating_seed;
    char violation[512];
    bool store_failed; /* violation says why */
};

/* Stops at the first violation. */
void simulate_runs(const struct simulate_options *options, struct simulate_tally *out);
/* How many situations were never visited. */
int simulate_unvisited(const struct simulate_tally *tally);
/* NULL: no such mixture ("mix", "none"). */
bool simulate_faults_known(const char *name, const struct faults **out_faults);
bool simulate_mutant_known(const char *name, enum mutant *out_mutant);

void simulate_report(FILE *out, const struct simulate_options *options,
                     const struct simulate_tally *tally, uint64_t elapsed_ms);
/* Runs each mutant until it is found, and prints a row for each; true when all were. */
bool simulate_mutants(FILE *out, uint64_t seed);

#endif
