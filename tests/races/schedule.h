/* Schedules: strings of party letters, one letter a step. Enumeration, sampling, checks. */
#ifndef RACES_SCHEDULE_H
#define RACES_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "designs.h"

enum { SCHEDULE_SIZE = PARTY_MAX * STEP_MAX + 1 };

/* The first schedule in letter order: all of R, then all of S. */
void schedule_first(const struct design *d, char out[SCHEDULE_SIZE]);
/* The next one in letter order; false, and unchanged, after the last. */
bool schedule_next(char *schedule);
/* One at random, all equally likely. */
void schedule_random(const struct design *d, const struct random_source *random,
                     char out[SCHEDULE_SIZE]);
/* How many there are: the multinomial of the lengths. */
uint64_t schedule_count(const struct design *d);
/* How often the turn passes from one party to another. */
int schedule_switches(const char *schedule);

/* True when `text` gives each party of the design exactly its steps. Else false, and a sentence
 * naming the first step that cannot run goes to out_why. */
bool schedule_check(const struct design *d, const char *text, char *out_why, size_t why_size);

#endif
