/* The store contract in memory: what a store has to do, in a page that one can check by eye. Runs
 * of a simulation on it are fast, and its mutants are the bugs that a store can have. One thread.
 */
#ifndef SIMULATION_MEMORY_STORE_H
#define SIMULATION_MEMORY_STORE_H

#include "simulation/world.h"
#include "store/store.h"

/* Returns owned; close with store_close. `mutant` is one of those of the store, or any other. */
struct store *memory_store_open(enum mutant mutant);
/* Forgets every row: a store for the next run. */
void memory_store_clear(struct store *store);

#endif
