/* The attempts of a run, read whole: for whoever shows a run, or takes it up again.
 *
 * Any thread. */
#ifndef HUB_RUN_ATTEMPTS_H
#define HUB_RUN_ATTEMPTS_H

#include "store/store.h"
#include "wire/json_writer.h"

struct run_attempt {
    struct store_attempt_row row;
    char *texts[3]; /* owned: what the row's slices point to */
};

struct run_attempts {
    struct run_attempt *items; /* by test, then by attempt */
    size_t count;
    size_t capacity;
};

/* Fills `out`, which is to be deinitialised in any case. */
enum store_status run_attempts_read(struct store *store, const struct store_scope *scope,
                                    const struct uuid *run_id, struct run_attempts *out,
                                    struct store_error *error);
void run_attempts_deinit(struct run_attempts *attempts);

/* The first attempt of the test at this position, and how many it has; NULL with 0. */
const struct run_attempt *run_attempts_of(const struct run_attempts *attempts, size_t test,
                                          size_t *out_count);

/* The member "attempts" of a test: an array, empty when it was never dispatched. */
void run_attempts_write(struct json_writer *w, const struct run_attempts *attempts, size_t test);

#endif
