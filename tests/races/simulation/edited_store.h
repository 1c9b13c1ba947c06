/* The SQLite store of production with one deliberate bug in its SQL. */
#ifndef SIMULATION_EDITED_STORE_H
#define SIMULATION_EDITED_STORE_H

#include "simulation/mutants.h"
#include "store/store.h"

/* In memory; `mutant` is one of the store's. NULL and *error when it cannot be opened. */
struct store *edited_store_open(enum mutant mutant, struct store_error *error);

#endif
