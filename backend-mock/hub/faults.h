/* Faults that tests ask for: what is to go wrong, on which request or message, how often. Rules
 * belong to the organization that set them, so that tests side by side do not disturb each other.
 * Any thread. */
#ifndef HUB_FAULTS_H
#define HUB_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "store/store.h"

enum { FAULT_RULES_MAX = 256, FAULT_NAME_SIZE = 96 };

/* Where a rule looks, and what its `match` is compared with. */
enum fault_target {
    FAULT_HTTP,     /* path of a request, without the query: equal */
    FAULT_SENT,     /* type of a message to an agent, such as "registered" */
    FAULT_RECEIVED, /* type of a message from an agent, such as "test_result" */
    FAULT_STORE,    /* step of linking, such as "spans.store" (commit_gates.h) */
};

enum fault_action {
    FAULT_NONE,
    FAULT_STATUS,    /* HTTP: answered with `code`, and nothing is done */
    FAULT_AFTER,     /* HTTP: carried out, but answered with `code` */
    FAULT_DELAY,     /* carried out `delay_ms` later (HTTP, sent) */
    FAULT_CUT,       /* HTTP: the connection ends without an answer */
    FAULT_CLOSE,     /* messages: the connection is closed with `code` instead */
    FAULT_WITHHOLD,  /* messages: lost */
    FAULT_DUPLICATE, /* messages: twice */
    FAULT_FAIL,      /* store: nothing is written, as if the database were locked */
};

struct fault_rule {
    struct uuid organization_id;
    enum fault_target target;
    char match[FAULT_NAME_SIZE];
    enum fault_action action;
    uint16_t code;
    uint32_t delay_ms;
    uint32_t from;  /* the n-th match is the first to be hit; 1 = at once */
    uint32_t times; /* how many are hit; 0 = all */
    uint32_t seen;  /* matches so far */
    uint32_t hits;
};

struct faults;

struct faults *faults_create(void);
void faults_destroy(struct faults *f);

/* False when there are too many. */
bool faults_add(struct faults *f, const struct fault_rule *rule);
/* Removes those of one organization. */
void faults_clear(struct faults *f, const struct uuid *organization_id);
/* True while any organization has one: spares the look-up of who asks. */
bool faults_any(struct faults *f);
/* Counts a match; the first rule that applies decides. FAULT_NONE: nothing is to go wrong. */
struct fault_rule faults_match(struct faults *f, const struct uuid *organization_id,
                               enum fault_target target, struct slice name);
/* For the commit queue: fails a write that a rule of its organization hits. */
bool faults_refuse_write(void *user, struct store_write *write);
/* Copies up to `max` rules of an organization; returns how many. */
size_t faults_list(struct faults *f, const struct uuid *organization_id, struct fault_rule *out,
                   size_t max);

/* Words of the REST contract; false for an unknown one. */
bool fault_target_parse(const char *word, enum fault_target *out);
bool fault_action_parse(const char *word, enum fault_action *out);
const char *fault_target_name(enum fault_target target);
const char *fault_action_name(enum fault_action action);

#endif
