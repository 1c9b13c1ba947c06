/* The store contract in memory: what a store has to do, in a page that one can check by eye. Runs
 * of a simulation on it are fast. One thread. */
#ifndef SIMULATION_MEMORY_STORE_H
#define SIMULATION_MEMORY_STORE_H

#include "store/store.h"

/* Returns owned; close with store_close. */
struct store *memory_store_open(void);
/* Forgets every row: a store for the next run. */
void memory_store_clear(struct store *store);

#endif
