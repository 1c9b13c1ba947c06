/* The key of a link: which result a span belongs to (organization, run, test, configuration,
 * attempt). A value: copied, compared, hashed; owns nothing. Any thread.
 *
 * Ids are UUIDs, so the upper-case or braced forms that agents echo compare equal (wire-protocol
 * §6.1 shows what text comparison loses). A span whose ids are no UUIDs has no key: it is stored
 * without test context, and its attributes still show what it said. */
#ifndef CORE_LINK_KEY_H
#define CORE_LINK_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "base/uuid.h"

struct link_key {
    struct uuid organization;
    struct uuid run;
    struct uuid test;
    struct uuid configuration;
    uint32_t attempt; /* from 1; 0 = not told, which only a span may have */
};

/* True when all three texts are UUIDs in any form that uuid_parse takes. */
bool link_key_parse(const struct uuid *organization, struct slice run, struct slice test,
                    struct slice configuration, uint32_t attempt, struct link_key *out);
bool link_key_equal(const struct link_key *a, const struct link_key *b);
/* A total order: by organization, run, test, configuration, attempt. */
int link_key_compare(const struct link_key *a, const struct link_key *b);
uint64_t link_key_hash(const struct link_key *key);
/* The id of the canonical result of the key: UUIDv5 of
 * "organization|run|test|configuration|attempt" as canonical texts, in a namespace of our own.
 * Requires attempt >= 1. Whoever knows the key can compute it, so a link can be checked without
 * asking the store. */
struct uuid link_key_result_id(const struct link_key *key);

/* Sorts, removes repeats, returns the new count. */
size_t link_keys_unique(struct link_key *keys, size_t count);

#endif
