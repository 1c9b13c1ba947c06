/* What the backend has seen and sent, newest last, for tests that verify it afterwards: requests
 * with their status, messages of agents, messages to them. Bounded: the oldest entries go first.
 * Any thread. */
#ifndef HUB_JOURNAL_H
#define HUB_JOURNAL_H

#include "hub/faults.h"

enum { JOURNAL_ENTRIES_MAX = 4096 }; /* of all organizations together */

struct journal_entry {
    struct uuid organization_id;
    uint64_t number; /* counts from 1 over the life of the process */
    uint64_t at_unix_ns;
    enum fault_target target;   /* http, sent or received */
    char name[FAULT_NAME_SIZE]; /* path or type of message; a longer one is cut */
    unsigned status;            /* of the answer; 0 for messages */
};

struct journal;

struct journal *journal_create(void);
void journal_destroy(struct journal *j);

void journal_note(struct journal *j, const struct uuid *organization_id, enum fault_target target,
                  struct slice name, unsigned status);
/* Copies an organization's entries, in their order; returns how many. `out` has room for
 * JOURNAL_ENTRIES_MAX. */
size_t journal_read(struct journal *j, const struct uuid *organization_id,
                    struct journal_entry *out);
/* Forgets those of one organization. */
void journal_clear(struct journal *j, const struct uuid *organization_id);

/* ---- what a test asks ---- */

struct journal_pattern {
    enum fault_target target;
    char name[FAULT_NAME_SIZE];
};

enum { JOURNAL_ORDER_MAX = 32 };

/* Either a number of entries that match the first pattern, or all patterns in this order, with
 * anything between them. */
struct journal_claim {
    struct journal_pattern patterns[JOURNAL_ORDER_MAX];
    size_t pattern_count;
    bool is_order;
    uint32_t at_least;
    uint32_t at_most;
};

struct journal_finding {
    bool holds;
    size_t count; /* entries that match; of an order, how many of its patterns were met */
};
/* Pure. */
struct journal_finding journal_check(const struct journal_claim *claim,
                                     const struct journal_entry *entries, size_t count);

#endif
