/* How a run stands, in numbers: for its progress, its notice and its report. Any thread. */
#ifndef HUB_RUN_SUMMARY_H
#define HUB_RUN_SUMMARY_H

#include "store/store.h"
#include "wire/json_writer.h"

struct run_summary {
    struct uuid run_id;
    struct uuid project_id;
    enum run_status status;
    char *name; /* owned; NULL = none, so for the next */
    char *webhook;
    uint64_t started_unix_ns; /* 0 = not yet; so for the next */
    uint64_t finished_unix_ns;
    size_t tests;
    size_t passed;
    size_t failed;
    size_t errors;
    size_t running; /* dispatched and not answered, or about to be tried again */
    size_t waiting; /* not yet dispatched */
    size_t skipped; /* never dispatched, and will not be */
    size_t spans;   /* with the context of these tests */
    size_t linked;
};

/* Deinitialise it after STORE_OK. */
enum store_status run_summary_read(struct store *store, const struct store_scope *scope,
                                   const struct uuid *run_id, struct run_summary *out,
                                   struct store_error *error);
void run_summary_deinit(struct run_summary *s);

/* The members of an object that is open. */
void run_summary_write(struct json_writer *w, const struct run_summary *s);

#endif
