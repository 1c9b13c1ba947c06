/* Group commit: one writer thread takes everything that waits and commits it in one transaction.
 * The busier the backend, the more writes share one fsync.
 *
 * A write and everything it points to are borrowed until its callback, which comes exactly once,
 * on the writer thread, after the commit (or its failure). Writes are carried out in the order of
 * submission. The callback may submit; it must not stop or destroy the queue. Bounded: when
 * `writes_max` wait, submit refuses and the caller answers 503. */
#ifndef STORE_COMMIT_QUEUE_H
#define STORE_COMMIT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/list.h"
#include "store/store.h"

struct commit_queue;

struct commit {
    struct store_write write; /* first the work, then its outcome */
    void (*done)(struct commit *commit, void *user);
    void *user;
    struct list node; /* the queue's */
};

struct commit_queue_options {
    size_t writes_max;         /* waiting; 0 = COMMIT_QUEUE_WRITES_MAX */
    size_t batch_max;          /* writes in one transaction; 0 = COMMIT_QUEUE_BATCH_MAX */
    const struct clock *clock; /* stamps writes that carry no time; NULL = the system's */
    /* Optional: true keeps a write back, to be given to commit_queue_submit_released later. */
    bool (*hold)(void *user, struct commit *commit);
    void *hold_user;
    /* Optional: true when the write is not to be carried out; it has set the outcome then. On the
     * writer thread. */
    bool (*refuse)(void *user, struct store_write *write);
    void *refuse_user;
};

enum {
    COMMIT_QUEUE_WRITES_MAX = 8192, /* a write is one row, or one POST that its worker holds */
    COMMIT_QUEUE_BATCH_MAX = 256,   /* bounds how long the first write waits for the last */
};

/* Borrows the store until destroy. NULL when the thread cannot be started. */
struct commit_queue *commit_queue_create(struct store *store,
                                         const struct commit_queue_options *options);
/* Carries out what waits, calls back, joins, frees. Accepts NULL. */
void commit_queue_destroy(struct commit_queue *queue);
/* Any thread. False, and no callback, when the queue is full or being destroyed. */
bool commit_queue_submit(struct commit_queue *queue, struct commit *commit);
/* The same for a write that was kept back. */
bool commit_queue_submit_released(struct commit_queue *queue, struct commit *commit);

struct commit_queue_counters {
    uint64_t writes;
    uint64_t transactions;
    uint64_t failed_transactions;
    uint64_t refused; /* submissions when full */
    size_t waiting;
};
/* Any thread. */
struct commit_queue_counters commit_queue_counters(struct commit_queue *queue);

#endif
