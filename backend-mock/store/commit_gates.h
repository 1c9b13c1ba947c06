/* Gates in front of the commit queue: each holds the writes of one step of linking until somebody
 * releases them, one by one. So an order that needs a slow export and bad luck can be played at
 * will.
 *
 * The four steps are the two of each side: a result is stored, then linked at point 1; spans are
 * stored, then linked at point 2. The sweeper has no gate: it leaves keys alone whose attempt is
 * under way, and a held attempt is. Gates belong to an organization. Any thread. */
#ifndef STORE_COMMIT_GATES_H
#define STORE_COMMIT_GATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/uuid.h"
#include "store/commit_queue.h"

enum commit_step {
    STEP_RESULT_STORE,
    STEP_RESULT_LINK,
    STEP_SPANS_STORE,
    STEP_SPANS_LINK,
    STEP_COUNT,
};

enum { COMMIT_GATES_ORGANIZATIONS_MAX = 64 }; /* with a gate shut; more are refused */

struct commit_gate {
    bool is_shut;
    size_t waiting;     /* writes held now */
    uint64_t committed; /* released writes that have returned from their commit */
};

struct commit_gates *commit_gates_create(void);
/* Every gate must be open. Accepts NULL. */
void commit_gates_destroy(struct commit_gates *gates);

/* Shuts or opens one; opening lets everything through that waits. False: too many organizations
 * have one, or all were opened for good. */
bool commit_gates_set(struct commit_gates *gates, struct commit_queue *queue,
                      const struct uuid *organization, enum commit_step step, bool is_shut);
/* Lets up to `count` writes through, oldest first; returns how many. */
size_t commit_gates_release(struct commit_gates *gates, struct commit_queue *queue,
                            const struct uuid *organization, enum commit_step step, size_t count);
/* Opens all of all organizations, for good: before the queue is destroyed. */
void commit_gates_open_all(struct commit_gates *gates, struct commit_queue *queue);
void commit_gates_read(struct commit_gates *gates, const struct uuid *organization,
                       struct commit_gate out[STEP_COUNT]);

/* The `hold` of commit_queue_options; the gates are its user. */
bool commit_gates_hold(void *user, struct commit *commit);

/* "result.store", "result.link", "spans.store", "spans.link". */
const char *commit_step_name(enum commit_step step);
bool commit_step_parse(struct slice name, enum commit_step *out);
/* The step that a write is, and whose; false for one that is no step of linking (a sweep is none).
 */
bool commit_step_of(const struct store_write *write, struct uuid *out_organization,
                    enum commit_step *out);

#endif
