/* Counts what a design does over its schedules: all of them, or a seeded sample where they are too
 * many. On a real store each schedule is also played on the model of that store, and a different
 * outcome is kept as a difference. Computes only; main.c prints. */
#ifndef RACES_EXPLORE_H
#define RACES_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "player.h"

/* More schedules than this are sampled: three parties have millions. */
enum { EXPLORE_ALL_MAX = 10000, EXPLORE_SAMPLES = 400 };

struct tally {
    uint64_t possible;  /* schedules that exist */
    uint64_t schedules; /* schedules played */
    uint64_t missed;    /* with an unlinked span at rest */
    uint64_t partly;    /* of them, with a linked one beside it */
    uint64_t repaired;  /* where the sweep had work */
    uint64_t waited;
    uint64_t aborted;
    uint64_t stuck;
    uint64_t different; /* from the model's prediction */
    bool sampled;
    bool store_failed;
    char first_loss[SCHEDULE_SIZE];
    char first_difference[256];
};

struct explore_options {
    uint64_t seed; /* of the samples */
    bool all;      /* no samples: every schedule, however many */
};

/* `predictor` may be NULL. */
void explore_design(struct race_store *store, struct race_store *predictor,
                    const struct design *design, const struct explore_options *options,
                    struct tally *out_tally);

/* Whether the counts are those that the design must have on this kind of store. Sampled designs
 * have no exact number: one that can lose must lose, one that holds must not. */
bool explore_is_golden(const struct design *design, enum store_kind kind,
                       const struct tally *tally);

/* The losing schedule with the fewest changes of turn, first in letter order among those; false
 * when none with at most `switches_max` changes loses. */
bool explore_shrink(struct race_store *store, const struct design *design, int switches_max,
                    char out_schedule[SCHEDULE_SIZE]);

/* After how many letters every continuation loses; 0 when the schedule itself does not lose. */
int explore_point_of_no_return(struct race_store *store, const struct design *design,
                               const char *schedule);

#endif
